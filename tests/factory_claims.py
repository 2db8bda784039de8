"""Certificates and hook events of new headsets."""

import datetime
import hashlib
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID


@cache
def key(name: str) -> ec.EllipticCurvePrivateKey:
    """Return the key of this name."""
    return ec.generate_private_key(ec.SECP256R1())


@cache
def certificate(key_name: str, number: int = 1) -> str:
    """Return a certificate of a key, PEM; another number makes another certificate of the same key."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "AWS IoT Certificate")])
    begins = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key(key_name).public_key())
        .serial_number(number)
        .not_valid_before(begins)
        .not_valid_after(begins + datetime.timedelta(days=3650))
        .sign(key(key_name), hashes.SHA256())
    )
    return signed.public_bytes(Encoding.PEM).decode()


def claim(serial: str, key_name: str = "ours", number: int = 1) -> dict[str, Any]:
    """Return the hook's event when a headset with this key claims a serial number."""
    pem = certificate(key_name, number)
    return {
        "claimCertificateId": "c" * 64,
        "certificateId": hashlib.sha256(pem.encode()).hexdigest(),
        "certificatePem": pem,
        "templateArn": "arn:aws:iot:eu-central-1:000000000000:provisioningtemplate/anc-headset",
        "clientId": f"claim.{serial}",
        "parameters": {"SerialNumber": serial},
    }
