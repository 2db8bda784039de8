"""Run an AWS emulator (ministack) on 127.0.0.1 with TLS and IAM enforcement."""

import contextlib
import datetime
import ipaddress
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ACCOUNT, REGION = "000000000000", "eu-central-1"
HOST = "127.0.0.1"
MQTT = f"{HOST}:8883"
T = TypeVar("T")


class Emulator(NamedTuple):
    """A running emulator.

    Attributes
    ----------
    host : str
        `127.0.0.1:{port}`.
    certificate : Path
        The one that it shows, which is to be trusted.
    environment : dict
        What an AWS client needs in its environment to reach it, and nothing of this shell's account.
    """

    host: str
    certificate: Path
    environment: dict[str, str]


@contextlib.contextmanager
def running(folder: Path, mqtt: bool = False) -> Iterator[Emulator]:
    """Run an emulator within the context, with its state and log in the folder.

    MQTT is optional, because its listener binds to all network interfaces.
    """
    port = _free_port()
    certificate, key = _certificate(folder)
    emulator = Emulator(f"{HOST}:{port}", certificate, _environment(folder, port, certificate))
    own = {name: value for name, value in emulator.environment.items() if not name.startswith("AWS_")}
    settings = {
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_REGION": REGION,
        "AUTH": "true",
        "USE_SSL": "true",
        "MINISTACK_SSL_CERT": str(certificate),
        "MINISTACK_SSL_KEY": str(key),
        "AWS_CA_BUNDLE": str(certificate),  # the functions inherit it
        "IOT_MTLS_ENABLED": str(mqtt).lower(),
        "STATE_DIR": str(folder / "state"),
        "S3_DATA_DIR": str(folder / "s3"),
    }
    # By path, because with `-m` the functions could import modules that their packages lack.
    command = [sys.executable, str(Path(__file__).with_name("completed.py"))]
    with (folder / "emulator.log").open("wb") as log:
        process = subprocess.Popen(command, env=own | settings, stdout=log, stderr=log, cwd=folder)  # noqa: S603
        try:
            wait_for(lambda: process.poll() is not None or _answers(port), 300, "the emulator to start")
            if process.poll() is not None:
                raise OSError(f"the emulator exited with code {process.returncode}")
            yield emulator
        finally:
            process.kill()  # it has no state to save, and its workers exit with it
            process.wait()


def wait_for(condition: Callable[[], T | None], seconds: float, what: str) -> T:
    """Return the first true result of a condition. Raises TimeoutError."""
    until = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > until:
            raise TimeoutError(f"waited {seconds:g} s for {what}")
        time.sleep(0.05)
    return answer


def _environment(folder: Path, port: int, certificate: Path) -> dict[str, str]:
    tools = str(Path(sys.executable).parent)  # includes Node.js
    return {
        "PATH": os.pathsep.join([tools, os.environ.get("PATH", os.defpath)]),
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "AWS_ENDPOINT_URL": f"https://{HOST}:{port}",
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CA_BUNDLE": str(certificate),
        "AWS_EC2_METADATA_DISABLED": "true",
        "NODE_EXTRA_CA_CERTS": str(certificate),
        "SSL_CERT_FILE": str(certificate),
    }


def _certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    pem, private = folder / "emulator.pem", folder / "emulator.key"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.touch(mode=0o600)
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return pem, private


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
