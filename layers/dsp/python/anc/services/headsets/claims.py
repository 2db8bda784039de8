"""Headsets that come for their certificate themselves, with the factory's claim: who may, and who may not."""

import hashlib
import re
from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from anc.ports import Dependencies
from anc.records import Device
from anc.schemas.claim import CLAIMING, SERIAL, Claim, serial_of_client
from anc.schemas.refusal import Refused, refuse
from anc.services.access import audit
from anc.services.access.identity import Caller
from anc.services.headsets import device_models, devices, registrations
from anc.services.updates import retry_or_refuse

MOST_AT_ONCE = 50
HEADSET = Caller("headset")  # who acts, in the audit log, when one comes with the factory's claim
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def preregister(model: str, serials: Sequence[str], caller: Caller, deps: Dependencies) -> Sequence[str]:
    """List headsets of a kind that will come with a claim; they are the caller's. Again changes nothing.

    Returns
    -------
    sequence of str
        Those that were not in the registry yet.

    Raises
    ------
    Refused
        `unknown_model`: what such a headset is like is known from its model alone.
    """
    device_models.find(model, deps)
    new = []
    for serial in serials:
        try:
            devices.create(devices.Registration(thing=serial, model=model), caller, deps, claimable=True)
        except Refused as refusal:
            if refusal.code != "exists":
                raise
        else:
            new.append(serial)
    return new


def serial_of(claim: Claim) -> str:
    """Return the serial number that a headset names, which is the one that it connected for.

    Raises
    ------
    Refused
        `bad_field`.
    """
    serial = claim.parameters.get(SERIAL, "")
    if not _NAME.fullmatch(serial):
        refuse("bad_field", f"{SERIAL}: 1 to 64 letters, digits, `-` and `_`")
    if serial_of_client(claim.client_id) != serial:
        refuse(
            "bad_field",
            f"{SERIAL}: not the one in the client id, which must be `{CLAIMING}{{serial number}}`",
        )
    return serial


def authorize_claim(claim: Claim, deps: Dependencies) -> None:
    """Let a headset that is expected have the certificate that it came for, and remember its key.

    The first key that comes for a serial number is the headset's; with that key it may come again, as after a
    power cut in between, and no other key ever gets in. The certificate is bound to the device before it is
    written down, and activated by the caller: a removal in between leaves one that opens nothing.

    Raises
    ------
    Refused
        `unknown_serial`, `not_expected`, `claimed_already`, `bad_field`. No record has changed.
    """
    serial, key = serial_of(claim), _fingerprint(claim.certificate_pem)

    def bind_certificate() -> Device | None:
        device = _expected(serial, key, deps)
        if device.certificate == claim.certificate_id:
            return None
        detail = {"owner": device.group, "key": key[:16]}
        audit.write(deps.audit, "device.claim", serial, HEADSET, HEADSET.user, deps.clock(), detail)
        deps.things.attach_certificate(serial, claim.certificate_id)
        claimed = device.replace(
            claimed_by=key,
            certificate=claim.certificate_id,
            replaced=(*device.replaced, device.certificate) if device.certificate else device.replaced,
            credentials_at=deps.clock(),
        )
        return deps.devices.put(claimed)

    stored = retry_or_refuse(bind_certificate, registrations.BUSY)
    if stored is None:
        return
    if stored.replaced:
        registrations.revoke_replaced(stored, deps)
    deps.count("devices_claimed")


def _expected(serial: str, key: str, deps: Dependencies) -> Device:
    device = registrations.registered(serial, deps) or refuse(
        "unknown_serial", f"serial number: {serial} is on no list; its maker lists it with its model"
    )
    if not device.claimable:
        refuse(
            "not_expected",
            f"serial number: {serial} is registered with a certificate of its own, and no claim is open",
        )
    if device.claimed_by not in ("", key):
        refuse(
            "claimed_already",
            f"serial number: {serial} was claimed with another key; if that was not this headset, "
            "remove it and list it again",
        )
    return device


def _fingerprint(certificate_pem: str) -> str:
    """Return the SHA-256 of the public key that a certificate is for."""
    try:
        key = x509.load_pem_x509_certificate(certificate_pem.encode()).public_key()
    except (ValueError, TypeError, x509.InvalidVersion, UnsupportedAlgorithm) as fault:
        raise Refused("bad_field", "certificate: is not an X.509 certificate in PEM") from fault
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
