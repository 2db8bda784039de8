"""The edition's certificate authority."""

import stat
from pathlib import Path

from cryptography import x509

from local.certificates import Authority


def test_keys_are_readable_by_their_owner_alone(tmp_path: Path):
    Authority(tmp_path / "ca")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "ca").glob("*.key")}
    assert modes == {0o600}


def test_the_authority_outlives_a_restart(tmp_path: Path):
    first = Authority(tmp_path / "ca").certificate
    assert Authority(tmp_path / "ca").certificate == first


def test_a_start_cut_short_before_the_certificate_was_written_is_repeated(tmp_path: Path):
    Authority(tmp_path / "ca")
    (tmp_path / "ca" / "ca.pem").unlink()  # the key was kept, its certificate was not
    (tmp_path / "ca" / "server.pem").unlink()
    certificate = x509.load_pem_x509_certificate(Authority(tmp_path / "ca").issue("h").certificate.encode())
    ca = x509.load_pem_x509_certificate((tmp_path / "ca" / "ca.pem").read_bytes())
    certificate.verify_directly_issued_by(ca)


def test_a_headsets_certificate_carries_its_name_and_is_good_for_clients_only(tmp_path: Path):
    issued = Authority(tmp_path / "ca").issue("headset-1")
    certificate = x509.load_pem_x509_certificate(issued.certificate.encode())
    assert certificate.subject.rfc4514_string() == "CN=headset-1"
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]
