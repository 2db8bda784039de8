"""A headset fresh from the factory comes for its own certificate. Its private key never leaves it.

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
    PROVISION_TOPIC,
    RESPONSE_TOPICS,
    SERIAL,
    SIGN_TOPIC,
    Provisioned,
    Registration,
    Rejected,
    Signed,
    SigningRequest,
    client_id,
)
from anc.schemas.refusal import Refused, parse_json
from iot.mqtt_transport import MqttTransport
from iot.store import replace_file
from iot.transport import Transport

PATIENCE_S = 60.0

T = TypeVar("T")


class ClaimFailed(RuntimeError):
    """The headset has no certificate of its own yet; the message says why, and it may try again."""


class _Identity(msgspec.Struct, frozen=True):
    """What is kept of it: the certificate's id and text, and whose it is."""

    thing: str
    certificate_id: str
    certificate: str


def provision(
    serial: str,
    claim: Credentials,
    folder: Path,
    patience_s: float = PATIENCE_S,
    make_transport: Callable[[str, Credentials, Callable[[], None]], Transport] = MqttTransport,
) -> Credentials:
    """Return the headset's own credentials: those that it keeps, or at first those that its claim gets it.

    The key is made before anything is asked for, and kept. So a headset that lost power in between, or never
    heard the answer, comes again with the same key and is let in again; with another key it would not be.

    Parameters
    ----------
    serial : str
        The headset's serial number, which is to be its thing's name.
    claim : Credentials
        The factory's, the same in many headsets.
    folder : Path
        The headset's own.
    patience_s : float
        For connecting, and for each answer.
    line_to : callable
        `line_to(client_id, credentials, when_online)` makes the way to the cloud.

    Raises
    ------
    ClaimFailed
    """
    key = _key(folder / "headset.key")
    try:
        own = parse_json((folder / "identity.json").read_bytes(), _Identity)
    except (OSError, Refused):
        own = _claimed(serial, claim, key, patience_s, make_transport)
        replace_file(folder / "identity.json", msgspec.json.encode(own))
    if own.thing != serial:
        raise ClaimFailed(f"{folder}: holds the certificate of {own.thing}, not of {serial}")
    return claim._replace(
        certificate_id=own.certificate_id, certificate=own.certificate, private_key=_key_pem(key).decode()
    )


def _claimed(
    serial: str,
    claim: Credentials,
    key: ec.EllipticCurvePrivateKey,
    patience_s: float,
    make_transport: Callable[[str, Credentials, Callable[[], None]], Transport],
) -> _Identity:
    answers: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
    line = make_transport(client_id(serial), claim, lambda: None)
    for topic in RESPONSE_TOPICS:
        line.on(topic, partial(_put, answers, topic))

    def ask(topic: str, request: msgspec.Struct, kind: type[T]) -> T:
        if not line.online.wait(patience_s) or not line.publish(topic, msgspec.json.encode(request)):
            raise ClaimFailed(f"cannot reach {claim.endpoint}:{claim.port} with this claim")
        try:
            heard, payload = answers.get(timeout=patience_s)
        except queue.Empty:
            raise ClaimFailed(f"no answer within {patience_s:.0f} s") from None
        if heard == f"{topic}/accepted":
            return parse_json(payload, kind)
        no = parse_json(payload, Rejected)
        raise ClaimFailed(f"{serial} was refused: {no.error_code}: {no.error_message}")

    line.start()
    try:
        signed = ask(SIGN_TOPIC, SigningRequest(_request(serial, key)), Signed)
        registration = Registration(signed.certificate_ownership_token, {SERIAL: serial})
        thing = ask(PROVISION_TOPIC, registration, Provisioned).thing_name
    except Refused as refusal:
        raise ClaimFailed(f"an answer that makes no sense: {refusal.message}") from refusal
    finally:
        line.stop()
    return _Identity(thing, signed.certificate_id, signed.certificate_pem)


def _put(answers: "queue.SimpleQueue[tuple[str, bytes]]", topic: str, payload: bytes) -> None:
    answers.put((topic, payload))


def _key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except FileNotFoundError:
        key = ec.generate_private_key(ec.SECP256R1())
        replace_file(path, _key_pem(key))
    except ValueError as fault:
        raise ClaimFailed(f"{path}: damaged; remove it, and have the headset listed again") from fault
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ClaimFailed(f"{path}: not an elliptic curve's key")
    return key


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _request(serial: str, key: ec.EllipticCurvePrivateKey) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, serial)])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()
