"""Provisioning by claim: which headsets may exchange the claim certificate for one of their own."""

import hashlib
import re
from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from anc.headset_records import Device
from anc.ports import Dependencies
from anc.schemas.claim import CLAIMING, SERIAL, Claim, serial_of_client
from anc.schemas.refusal import Refused, refuse
from anc.services.access import audit
from anc.services.access.identity import Caller
from anc.services.headsets import device_models, devices, registrations
from anc.services.updates import retry_or_refuse

HEADSET = Caller("headset")  # the actor of claims in the audit log
_SERIAL = re.compile(r"[A-Za-z0-9_-]{1,64}")


def preregister(model: str, serials: Sequence[str], caller: Caller, deps: Dependencies) -> Sequence[str]:
    """Register headsets of a model that will be provisioned by claim; the caller owns them. Idempotent.

    Returns
    -------
    sequence of str
        Serial numbers that were not registered before.

    Raises
    ------
    Refused
        `unknown_model`: such a headset takes its rate, taps and path from its model.
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
    """Return the serial number in a claim, which must be the one in the MQTT client id.

    Raises
    ------
    Refused
        `bad_field`.
    """
    serial = claim.parameters.get(SERIAL, "")
    if not _SERIAL.fullmatch(serial):
        refuse("bad_field", f"{SERIAL}: must be 1 to 64 letters, digits, `-` and `_`")
    if serial_of_client(claim.client_id) != serial:
        refuse(
            "bad_field",
            f"{SERIAL}: must be the one in the client id, `{CLAIMING}{{serial number}}`",
        )
    return serial


def authorize_claim(claim: Claim, deps: Dependencies) -> None:
    """Bind the certificate of a claim to its preregistered headset, and store the headset's key.

    The first key that claims a serial number is stored. A later claim must use the same key, so that a
    headset can repeat its claim after a power failure and no other device can claim its serial number. The
    certificate is bound before it is stored, and AWS IoT activates it after this hook: if the headset is
    removed in between, the certificate never becomes active.

    Raises
    ------
    Refused
        `unknown_serial`, `not_expected`, `claimed_already`, `bad_field`. No record has changed.
    """
    serial, key = serial_of(claim), _fingerprint(claim.certificate_pem)

    def bind_certificate() -> Device:
        device = _expected(serial, key, deps)
        if device.certificate == claim.certificate_id:
            return device  # perhaps by a call that stopped before it revoked the earlier certificates
        detail = {"owner": device.group, "key": key[:16]}
        audit.write(deps.audit, "device.claim", serial, HEADSET, HEADSET.user, deps.clock(), detail)
        deps.things.attach_certificate(serial, claim.certificate_id)
        claimed = device.replace(
            claimed_by=key,
            certificate=claim.certificate_id,
            replaced=(*device.replaced, device.certificate) if device.certificate else device.replaced,
            credentials_at=deps.clock(),
        )
        stored = deps.devices.put(claimed)
        deps.count("devices_claimed")
        return stored

    stored = retry_or_refuse(bind_certificate, registrations.BUSY)
    if stored.replaced:
        registrations.revoke_replaced(stored, deps)


def _expected(serial: str, key: str, deps: Dependencies) -> Device:
    device = registrations.registered(serial, deps) or refuse(
        "unknown_serial",
        f"serial number: {serial} is not registered; its maker must register it with its model",
    )
    if not device.claimable:
        refuse(
            "not_expected",
            f"serial number: {serial} is registered with a certificate of its own and cannot be claimed",
        )
    if device.claimed_by not in ("", key):
        refuse(
            "claimed_already",
            f"serial number: {serial} was claimed with another key; if that was not this headset, "
            "remove it and register it again",
        )
    return device


def _fingerprint(certificate_pem: str) -> str:
    """Return the SHA-256 of a certificate's public key."""
    try:
        key = x509.load_pem_x509_certificate(certificate_pem.encode()).public_key()
    except (ValueError, TypeError, x509.InvalidVersion, UnsupportedAlgorithm) as fault:
        raise Refused("bad_field", "certificate: must be an X.509 certificate in PEM") from fault
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
