"""Messages of fleet provisioning by claim, between a new headset and the cloud.

The headset has the claim certificate of the factory, which permits only these topics. It creates its own key,
requests a certificate for it, and sends its serial number. The pre-provisioning hook allows or denies it.

References
----------
AWS IoT Core Developer Guide, "Device provisioning MQTT API" and "Pre-provisioning hooks".
"""

import re
import secrets
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from anc.patterns import ONE_LINE, SHA256
from anc.schemas.refusal import Refused
from anc.schemas.topics import in_environment
from anc.validation_messages import msgspec_sentence

SERIAL = "SerialNumber"
CLAIMING = "claim."  # prefix of the client id of a claim; no thing name begins with it
CLIENT_ID = re.compile(r"claim\.(?P<serial>[A-Za-z0-9_-]{1,64})(\.[0-9a-f]{16,32})?")
SIGN_TOPIC = "$aws/certificates/create-from-csr/json"


def template_name(environment: str = "") -> str:
    """Return the name of the provisioning template."""
    return in_environment("anc-headset", environment, "-")


def provision_topic(environment: str = "") -> str:
    """Return the topic of the request that names the serial number."""
    return f"$aws/provisioning-templates/{template_name(environment)}/provision/json"


def request_topics(environment: str = "") -> tuple[str, ...]:
    """Return the topics to which a claim may publish."""
    return SIGN_TOPIC, provision_topic(environment)


def response_topics(environment: str = "") -> tuple[str, ...]:
    """Return the topics to which a claim may subscribe."""
    return tuple(
        f"{topic}/{verb}" for topic in request_topics(environment) for verb in ("accepted", "rejected")
    )


def client_id(serial: str) -> str:
    """Return a client id for a connection with the claim certificate.

    A broker closes a connection when another one uses its client id. The random part prevents others from
    closing the connection of a headset in this way.
    """
    return f"{CLAIMING}{serial}.{secrets.token_hex(8)}"


def serial_of_client(client_id: str) -> str:
    """Return the serial number in the client id of a claim, or ""."""
    found = CLIENT_ID.fullmatch(client_id)
    return found["serial"] if found else ""


Pem = Annotated[str, Meta(max_length=8 * 1024)]


class SigningRequest(msgspec.Struct, frozen=True, rename="camel"):
    """Request a certificate for a key that never leaves the headset."""

    certificate_signing_request: Pem


class Signed(msgspec.Struct, frozen=True, rename="camel"):
    """The certificate, not active yet, and the token that proves its ownership."""

    certificate_id: str
    certificate_pem: Pem
    certificate_ownership_token: str


class Registration(msgspec.Struct, frozen=True, rename="camel"):
    """Request the activation of the certificate for the serial number in `parameters`."""

    certificate_ownership_token: Annotated[str, Meta(max_length=4096)]
    parameters: dict[str, Annotated[str, Meta(max_length=1024)]]


class Provisioned(msgspec.Struct, frozen=True, rename="camel"):
    """The thing as which the headset connects from now on, with its own certificate."""

    thing_name: str
    device_configuration: dict[str, Any] = {}


class Rejected(msgspec.Struct, frozen=True, rename="camel"):
    """A rejected request. If the hook denied it, AWS IoT sends only `AccessDenied`."""

    status_code: int
    error_code: str
    error_message: str


class Claim(msgspec.Struct, frozen=True, rename="camel"):
    """The relevant fields of the event that AWS IoT passes to the pre-provisioning hook."""

    certificate_id: Annotated[str, Meta(pattern=SHA256 + ONE_LINE)]
    certificate_pem: Pem
    client_id: Annotated[str, Meta(max_length=128)]
    parameters: dict[str, Annotated[str, Meta(max_length=1024)]]

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> "Claim":
        """Parse the event of the hook. Raises Refused."""
        try:
            return msgspec.convert(event, cls)
        except msgspec.ValidationError as fault:
            raise Refused("bad_field", f"claim: {msgspec_sentence(str(fault), cls, event)}") from fault
