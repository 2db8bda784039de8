"""The certificate authority of the local platform."""

import base64
import stat
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.auth.certificates import Authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority") / "ca")


def test_keys_are_readable_by_their_owner_alone(tmp_path: Path):
    Authority(tmp_path / "ca")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "ca").glob("*.key")}
    assert modes == {0o600}


def test_the_authority_survives_a_restart(tmp_path: Path):
    first = Authority(tmp_path / "ca").certificate
    assert Authority(tmp_path / "ca").certificate == first


def test_an_interrupted_first_start_is_repeated(tmp_path: Path):
    Authority(tmp_path / "ca")
    (tmp_path / "ca" / "ca.pem").unlink()  # the key exists, its certificate does not
    (tmp_path / "ca" / "server.pem").unlink()
    certificate = x509.load_pem_x509_certificate(Authority(tmp_path / "ca").issue("h").certificate.encode())
    ca = x509.load_pem_x509_certificate((tmp_path / "ca" / "ca.pem").read_bytes())
    certificate.verify_directly_issued_by(ca)


def test_a_headset_certificate_has_its_name_and_is_valid_for_clients_only(tmp_path: Path):
    issued = Authority(tmp_path / "ca").issue("headset-1")
    certificate = x509.load_pem_x509_certificate(issued.certificate.encode())
    assert certificate.subject.rfc4514_string() == "CN=headset-1"
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]


def signing_request(key: Any, sign_with: Any = None, *extensions: x509.ExtensionType) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "h-1")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name)
    for extension in extensions:
        request = request.add_extension(extension, critical=True)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return request.sign(sign_with or key, algorithm).public_bytes(serialization.Encoding.PEM).decode()


@pytest.mark.parametrize(
    "curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda each: each.name
)
def test_the_curves_of_aws_iot_are_accepted(authority: Authority, curve: ec.EllipticCurve) -> None:
    key = ec.generate_private_key(curve)
    assert authority.sign(signing_request(key)).public_key() == key.public_key()


@pytest.mark.parametrize(
    "new_key",
    [
        partial(ec.generate_private_key, ec.SECP224R1()),
        partial(ec.generate_private_key, ec.SECP256K1()),
        partial(ec.generate_private_key, ec.BrainpoolP256R1()),
        partial(rsa.generate_private_key, 65_537, 1024),
        partial(rsa.generate_private_key, 3, 2048),
        ed25519.Ed25519PrivateKey.generate,
        partial(dsa.generate_private_key, 2048),
    ],
    ids=["p224", "k256", "brainpool", "rsa-1024", "rsa-e3", "ed25519", "dsa"],
)
def test_an_unsupported_key_is_refused_with_the_supported_types(
    authority: Authority, new_key: Callable[[], Any]
) -> None:
    request = signing_request(new_key())
    with pytest.raises(ValueError, match=r"secp256r1, secp384r1, secp521r1\) or RSA of 2048 to 4096 bits"):
        authority.sign(request)


def test_other_fields_of_a_signing_request_are_ignored(authority: Authority) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    extensions = [
        x509.BasicConstraints(ca=True, path_length=None),
        x509.SubjectAlternativeName([x509.DNSName("localhost")]),
        x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), bytes(2000)),
    ]
    signed = authority.sign(signing_request(key, None, *extensions))
    kinds = {type(extension.value) for extension in signed.extensions}
    assert kinds == {x509.AuthorityKeyIdentifier, x509.ExtendedKeyUsage}
    assert signed.subject.rfc4514_string() == "CN=headset"


def test_a_signing_request_that_is_too_long_is_refused_before_parsing(authority: Authority) -> None:
    with pytest.raises(ValueError, match=r"at most 8,192 characters \(got 8,193\)"):
        authority.sign("-" * 8193)


REQUEST = base64.b64decode(
    "".join(signing_request(ec.generate_private_key(ec.SECP256R1())).splitlines()[1:-1])
)


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(st.tuples(st.integers(0, len(REQUEST) - 1), st.integers(0, 255)), max_size=4),
    size=st.integers(0, len(REQUEST)),
    more=st.binary(max_size=20),
)
def test_a_damaged_signing_request_is_refused_with_a_reason(
    authority: Authority, changes: list[tuple[int, int]], size: int, more: bytes
) -> None:
    damaged = bytearray(REQUEST)
    for at, byte in changes:
        damaged[at] = byte
    text = base64.encodebytes(bytes(damaged[:size]) + more).decode()
    request = f"-----BEGIN CERTIFICATE REQUEST-----\n{text}-----END CERTIFICATE REQUEST-----\n"
    with suppress(ValueError):
        assert isinstance(authority.sign(request).public_key(), ec.EllipticCurvePublicKey)


def server_names(folder: Path) -> set[str]:
    certificate = x509.load_pem_x509_certificate((folder / "server.pem").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in names}


def test_the_server_certificate_names_every_address_and_is_issued_again_for_new_ones(tmp_path: Path) -> None:
    Authority(tmp_path)
    assert server_names(tmp_path) == {"localhost", "127.0.0.1"}
    Authority(tmp_path, ["anc.example", "192.168.7.5", "fd00::5"])
    assert server_names(tmp_path) == {"localhost", "127.0.0.1", "anc.example", "192.168.7.5", "fd00::5"}
    issued = (tmp_path / "server.pem").read_bytes()
    Authority(tmp_path, ["anc.example"])
    assert (tmp_path / "server.pem").read_bytes() == issued
