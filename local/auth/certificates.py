"""The platform's own certificate authority, created at the first start and stored in the data folder."""

import datetime
import ipaddress
import os
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from local.data_folder import UnusableFolder

LIFETIME = datetime.timedelta(days=3650)
SERVER_LIFETIME = datetime.timedelta(days=800)  # Apple's systems refuse server certificates of over 825 days
MIN_REMAINING = datetime.timedelta(days=400)  # at a start, before a new one is issued
LOCAL_NAMES = ("localhost", "127.0.0.1")
CLOCK_SKEW = datetime.timedelta(days=1)
CURVES = ("secp256r1", "secp384r1", "secp521r1")  # as accepted by AWS IoT
RSA_BITS = (2048, 4096)
MAX_REQUEST_CHARS = 8 * 1024
CLIENT_NAME = "headset"  # the registry maps certificates to things


class Issued(NamedTuple):
    """A certificate with its key, PEM; `id` is the SHA-256 fingerprint, as in AWS IoT."""

    id: str
    certificate: str
    private_key: str


class Authority:
    """Sign the certificates of the broker and of headsets.

    Parameters
    ----------
    folder : Path
        Holds `ca.pem`, `ca.key`, `server.pem` and `server.key`; missing files are created.
    names : sequence of str
        Host names and addresses in the certificate of the server, besides those of the machine itself. It is
        issued again when it lacks one.

    Raises
    ------
    UnusableFolder
        When a file in it is damaged.
    """

    def __init__(self, folder: Path, names: Sequence[str] = ()) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        if not (folder / "ca.pem").exists():
            self._create()
        self.certificate = (folder / "ca.pem").read_text()
        try:
            self._ca = x509.load_pem_x509_certificate(self.certificate.encode())
            key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), password=None)
        except ValueError as fault:
            raise _damaged(folder, "ca.pem or ca.key") from fault
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise _damaged(folder, "ca.key")
        self._key = key
        self._ensure_server(set(names))

    def issue(self, name: str) -> Issued:
        """Issue a client certificate with the common name `name`."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._signed(name, key.public_key())
        return Issued(fingerprint(certificate), pem(certificate), _key_pem(key))

    def sign(self, request_pem: str) -> x509.Certificate:
        """Return a client certificate for the key of a signing request.

        Raises
        ------
        ValueError
            When the request or its signature is invalid, or AWS IoT would not accept the type of its key; the
            message says which. Only the key is used; all other fields of the request are ignored.
        """
        if len(request_pem) > MAX_REQUEST_CHARS:
            raise ValueError(
                f"it must have at most {MAX_REQUEST_CHARS:,} characters (got {len(request_pem):,})"
            )
        try:
            request = x509.load_pem_x509_csr(request_pem.encode())
            key = request.public_key()
            _check_key(key)  # before the signature, which takes long to verify for a huge key
            signed = request.is_signature_valid
        except (x509.InvalidVersion, UnsupportedAlgorithm, TypeError, OverflowError) as fault:
            raise ValueError(f"it cannot be read: {fault}") from fault
        if not signed:
            raise ValueError("its signature does not match its key")
        return self._signed(CLIENT_NAME, key)

    def server_context(self) -> ssl.SSLContext:
        """Return a server TLS context that requires client certificates of this authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_cert_chain(self._folder / "server.pem", self._folder / "server.key")
        except ssl.SSLError as fault:
            raise _damaged(self._folder, "server.pem or server.key") from fault
        context.load_verify_locations(cadata=self.certificate)
        return context

    def _signed(self, name: str, key: CertificatePublicKeyTypes) -> x509.Certificate:
        return (
            _builder(name, self._ca.subject, key)
            .add_extension(self._signer(), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def _create(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name("ANC Platform local authority")
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        certificate = (
            _builder("ANC Platform local authority", subject, key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        self._store("ca.key", _key_pem(key))
        self._store("ca.pem", pem(certificate))

    def _ensure_server(self, names: set[str]) -> None:
        path, names = self._folder / "server.pem", {*LOCAL_NAMES, *names}
        if not path.exists():
            return self._issue_server(names)
        try:
            certificate = x509.load_pem_x509_certificate(path.read_bytes())
        except ValueError as fault:
            raise _damaged(self._folder, "server.pem") from fault
        remaining = certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
        present = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        known = {str(name.value) for name in present}
        if not names <= known or remaining < MIN_REMAINING:
            self._issue_server(names | known)

    def _issue_server(self, names: set[str]) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _builder("localhost", self._ca.subject, key.public_key(), SERVER_LIFETIME)
            .add_extension(x509.SubjectAlternativeName(_general_names(names)), critical=False)
            .add_extension(self._signer(), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self._store("server.key", _key_pem(key))
        self._store("server.pem", pem(certificate))

    def _signer(self) -> x509.AuthorityKeyIdentifier:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())

    def _store(self, name: str, pem: str) -> None:
        """Write a file atomically. Keys are written first, so an existing certificate has its key."""
        partial = self._folder / f"{name}.new"
        partial.unlink(missing_ok=True)
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._folder / name)


def _damaged(folder: Path, files: str) -> UnusableFolder:
    return UnusableFolder(f"{folder}: {files} is damaged; restore the folder from a backup")


def _check_key(key: object) -> None:
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in CURVES:
        return
    low, high = RSA_BITS
    if isinstance(key, rsa.RSAPublicKey) and low <= key.key_size <= high and key.public_numbers().e == 65_537:
        return
    raise ValueError(
        f"its key must be an elliptic curve key ({', '.join(CURVES)}) or RSA of {low} to {high} bits with "
        "exponent 65537"
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _general_names(names: set[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in sorted(names):
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found


def _builder(
    common: str,
    issuer: x509.Name,
    key: CertificatePublicKeyTypes,
    lifetime: datetime.timedelta = LIFETIME,
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(common))
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + lifetime)
    )


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 fingerprint of a certificate, which is its id."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def pem(certificate: x509.Certificate) -> str:
    """Return a certificate in PEM format."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
