"""Fleet provisioning by claim: what a headset, fresh from the factory, and the cloud say to each other.

The headset holds the factory's claim certificate, which opens these topics and nothing else. It makes its own
key, has a certificate signed for it, and names its serial number; the cloud's hook says yes or no.

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
from anc.validation_messages import msgspec_sentence

TEMPLATE = "anc-headset"
SERIAL = "SerialNumber"
CLAIMING = "claim."  # how the client id of a claim begins: no thing's name does
CLIENT_ID = re.compile(r"claim\.(?P<serial>[A-Za-z0-9_-]{1,64})(\.[0-9a-f]{16,32})?")
SIGN_TOPIC = "$aws/certificates/create-from-csr/json"
PROVISION_TOPIC = f"$aws/provisioning-templates/{TEMPLATE}/provision/json"
REQUEST_TOPICS = (SIGN_TOPIC, PROVISION_TOPIC)
RESPONSE_TOPICS = tuple(f"{topic}/{verb}" for topic in REQUEST_TOPICS for verb in ("accepted", "rejected"))


def client_id(serial: str) -> str:
    """Return a client id under which a headset connects with the claim.

    A broker closes a connection when another one comes under its client id. Nobody who does not know the
    random part can have that done to a headset that claims.
    """
    return f"{CLAIMING}{serial}.{secrets.token_hex(8)}"


def serial_of_client(client_id: str) -> str:
    """Return the serial number that a claim's connection is for; "" when it is for none."""
    found = CLIENT_ID.fullmatch(client_id)
    return found["serial"] if found else ""


Pem = Annotated[str, Meta(max_length=8 * 1024)]


class SigningRequest(msgspec.Struct, frozen=True, rename="camel"):
    """Asks for a certificate of a key that never leaves the headset."""

    certificate_signing_request: Pem


class Signed(msgspec.Struct, frozen=True, rename="camel"):
    """The certificate, good for nothing yet, and the token that says whose it is."""

    certificate_id: str
    certificate_pem: Pem
    certificate_ownership_token: str


class Registration(msgspec.Struct, frozen=True, rename="camel"):
    """Asks for the certificate to be made good, for the serial number in `parameters`."""

    certificate_ownership_token: Annotated[str, Meta(max_length=4096)]
    parameters: dict[str, Annotated[str, Meta(max_length=1024)]]


class Provisioned(msgspec.Struct, frozen=True, rename="camel"):
    """From now on the headset connects as this thing, with its own certificate."""

    thing_name: str
    device_configuration: dict[str, Any] = {}


class Rejected(msgspec.Struct, frozen=True, rename="camel"):
    """Why not. Of what the hook refused AWS IoT says no more than `AccessDenied`; its owner reads why."""

    status_code: int
    error_code: str
    error_message: str


class Claim(msgspec.Struct, frozen=True, rename="camel"):
    """What AWS IoT asks its pre-provisioning hook; here is what matters of it."""

    certificate_id: Annotated[str, Meta(pattern=SHA256 + ONE_LINE)]
    certificate_pem: Pem
    client_id: Annotated[str, Meta(max_length=128)]
    parameters: dict[str, Annotated[str, Meta(max_length=1024)]]

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> "Claim":
        """Read the hook's event. Raises Refused."""
        try:
            return msgspec.convert(event, cls)
        except msgspec.ValidationError as fault:
            raise Refused("bad_field", f"claim: {msgspec_sentence(str(fault), cls, event)}") from fault
