"""Obtain a headset's own certificate with a claim certificate. The private key never leaves the headset.

References
----------
AWS IoT Core Developer Guide, "Provisioning devices that don't have device certificates using fleet
provisioning", by claim.
"""

import queue
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from anc.ports import Credentials
from anc.schemas.claim import (
    SERIAL,
    SIGN_TOPIC,
    Provisioned,
    Registration,
    Rejected,
    Signed,
    SigningRequest,
    client_id,
    provision_topic,
    response_topics,
)
from anc.schemas.refusal import Refused, parse_json
from iot.mqtt_transport import MqttTransport
from iot.store import replace_file
from iot.transport import Transport

TIMEOUT_S = 60.0

T = TypeVar("T")


class ClaimFailed(RuntimeError):
    """Raised when the headset cannot get its own certificate; the message says why. It may be retried."""


class _Identity(msgspec.Struct, frozen=True):
    """The stored certificate, its id, and the thing that it belongs to."""

    thing: str
    certificate_id: str
    certificate: str


def provision(
    serial: str,
    claim: Credentials,
    folder: Path,
    timeout_s: float = TIMEOUT_S,
    make_transport: Callable[[str, Credentials, Callable[[], None]], Transport] = MqttTransport,
) -> Credentials:
    """Return the headset's own credentials, from storage or, the first time, by registering with the claim.

    The private key is created and stored before the first request. A headset that lost power or missed the
    response retries with the same key and is accepted; another key would be rejected.

    Parameters
    ----------
    serial : str
        Serial number of the headset, which becomes the name of its thing.
    claim : Credentials
        Claim certificate from the factory, shared by many headsets.
    folder : Path
        Persistent storage of the headset.
    timeout_s : float
        For the connection and for each response.
    make_transport : callable
        `make_transport(client_id, credentials, when_online)` returns the transport to the cloud.

    Raises
    ------
    ClaimFailed
    """
    key = _load_or_create_key(folder / "headset.key")
    try:
        identity = parse_json((folder / "identity.json").read_bytes(), _Identity)
    except (OSError, Refused):
        identity = _register(serial, claim, key, timeout_s, make_transport)
        replace_file(folder / "identity.json", msgspec.json.encode(identity))
    if identity.thing != serial:
        raise ClaimFailed(f"{folder} holds the certificate of {identity.thing}, not of {serial}")
    return claim._replace(
        certificate_id=identity.certificate_id,
        certificate=identity.certificate,
        private_key=_key_pem(key).decode(),
    )


def _register(
    serial: str,
    claim: Credentials,
    key: ec.EllipticCurvePrivateKey,
    timeout_s: float,
    make_transport: Callable[[str, Credentials, Callable[[], None]], Transport],
) -> _Identity:
    responses: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
    transport = make_transport(client_id(serial), claim, lambda: None)
    for topic in response_topics(claim.environment):
        transport.subscribe(topic, partial(_put, responses, topic))

    def call(topic: str, request: msgspec.Struct, response_type: type[T]) -> T:
        online = transport.online.wait(timeout_s)
        if not online or not transport.publish(topic, msgspec.json.encode(request)):
            raise ClaimFailed(f"cannot connect to {claim.endpoint}:{claim.port} with this claim certificate")
        try:
            response_topic, payload = responses.get(timeout=timeout_s)
        except queue.Empty:
            raise ClaimFailed(f"no response within {timeout_s:.0f} s") from None
        if response_topic == f"{topic}/accepted":
            return parse_json(payload, response_type)
        rejected = parse_json(payload, Rejected)
        raise ClaimFailed(f"{serial} was rejected: {rejected.error_code}: {rejected.error_message}")

    transport.start()
    try:
        signed = call(SIGN_TOPIC, SigningRequest(_signing_request(serial, key)), Signed)
        registration = Registration(signed.certificate_ownership_token, {SERIAL: serial})
        thing = call(provision_topic(claim.environment), registration, Provisioned).thing_name
    except Refused as refusal:
        raise ClaimFailed(f"invalid response: {refusal.message}") from refusal
    finally:
        transport.stop()
    return _Identity(thing, signed.certificate_id, signed.certificate_pem)


def _put(responses: "queue.SimpleQueue[tuple[str, bytes]]", topic: str, payload: bytes) -> None:
    responses.put((topic, payload))


def _load_or_create_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except FileNotFoundError:
        key = ec.generate_private_key(ec.SECP256R1())
        replace_file(path, _key_pem(key))
    except ValueError as fault:
        raise ClaimFailed(f"{path} is damaged; delete it and preregister the headset again") from fault
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ClaimFailed(f"{path} must hold an elliptic curve key")
    return key


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _signing_request(serial: str, key: ec.EllipticCurvePrivateKey) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, serial)])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()
