"""`anc headset --credentials` and `--claim`: run a simulated headset against a remote platform."""

from pathlib import Path
from typing import NamedTuple

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID
from rich.console import Console

from anc.aws.things import amazon_root
from anc.ports import Credentials
from anc.validation_messages import msgspec_sentence
from iot.provisioning import provision
from iot.status import Status
from local.auth.certificates import Authority
from local.data_folder import make_private, require_platform
from local.mqtt.things import LocalThings
from local.public_address import PublicAddress
from local.storage.database import Database
from simulation.acoustic_plant import AcousticPlant
from simulation.headset import SimulationResult, run_headset
from simulation.path_measurement import StimulusKind
from simulation.scenes import Noise
from tools.cli.demo import View, headset_folder, noise_text, watch
from tools.cli.terminal import DEFAULT_PORT

MQTT_TLS_PORT = 8883


class InvalidCredentials(Exception):
    """The credentials or the endpoint cannot be used."""


class _StoredCredentials(msgspec.Struct, frozen=True):
    """The `credentials` object of a registration response."""

    certificate: str
    private_key: str
    ca: str = ""
    endpoint: str = ""
    port: int = MQTT_TLS_PORT
    certificate_id: str = ""
    environment: str = ""


class _Registration(msgspec.Struct, frozen=True):
    credentials: _StoredCredentials
    thing: str = ""


class Identity(NamedTuple):
    """A headset's name and its credentials, which include the endpoint."""

    thing: str
    credentials: Credentials


def read_identity(file: Path, endpoint: str | None, thing: str | None) -> Identity:
    """Read the response of `POST /api/devices`, or its `credentials` object, from a JSON file.

    Parameters
    ----------
    file : Path
    endpoint : str, optional
        `host` or `host:port`; overrides the file.
    thing : str, optional
        Name of the headset; defaults to the name in the file, else to the certificate's common name.

    Raises
    ------
    InvalidCredentials
    """
    registration = _read_registration(file)
    stored = registration.credentials
    common_name = _validated_common_name(file, stored)
    host, port = _parse_endpoint(endpoint) if endpoint else (stored.endpoint, stored.port)
    if not host:
        raise InvalidCredentials(f"{file}: contains no endpoint; set --endpoint HOST[:PORT]")
    name = thing or registration.thing or common_name
    if not name:
        raise InvalidCredentials(f"{file}: contains no headset name; set --thing NAME")
    ca = stored.ca or amazon_root()
    credentials = Credentials(
        stored.certificate_id, stored.certificate, stored.private_key, ca, host, port, stored.environment
    )
    return Identity(name, credentials)


def provisioned_identity(file: Path, endpoint: str | None, serial: str | None, folders: Path) -> Identity:
    """Return a headset's identity, provisioned with the claim in `file` if it has no certificate yet.

    Raises
    ------
    InvalidCredentials, ClaimFailed
    """
    if not serial:
        raise InvalidCredentials("--claim: requires the headset's serial number; set --thing SERIAL_NUMBER")
    claim = read_identity(file, endpoint, serial).credentials
    make_private(folders)
    return Identity(serial, provision(serial, claim, folders / serial))


def issue_claim(data: Path, port: int | None = None) -> str:
    """Return a new claim certificate of the platform on this machine, as JSON.

    Parameters
    ----------
    data : Path
        Data folder of the platform.
    port : int, optional
        Port of REST and WebSocket. Default: the one at which the platform was started last.

    Raises
    ------
    UnusableFolder
    """
    require_platform(data)
    authority = Authority(data / "certificates")
    address = PublicAddress.read(data, DEFAULT_PORT, port)
    things = LocalThings(Database(data / "anc.db"), authority, address.port + 1, address.endpoint)
    return msgspec.json.encode(things.issue_claim()._asdict()).decode()


def run_remote_headset(
    identity: Identity,
    data: Path,
    scene: Noise,
    name: str,
    seconds: float,
    console: Console | None,
    measure: StimulusKind | None = None,
) -> SimulationResult:
    """Run a registered headset in a noise scene and show its status.

    Parameters
    ----------
    identity : Identity
    data : Path
        Parent of the headset's own folder.
    scene, name, seconds, console, measure
        As in `tools.cli.demo.demonstrate`.

    Raises
    ------
    UnusableFolder
    """
    footer = f"connected to {identity.credentials.endpoint}:{identity.credentials.port}"
    view = View(identity.thing, name, _detection_on_headset, footer)
    with headset_folder(data, identity.thing) as folder:
        return watch(
            view,
            console,
            lambda show: run_headset(
                identity.thing,
                identity.credentials,
                AcousticPlant(),
                scene,
                seconds,
                folder,
                show,
                measure=measure,
            ),
        )


def _detection_on_headset(status: Status) -> tuple[str, str]:
    return noise_text(status.noise, status.noise_confidence), status.filter_id or "-"


def _read_registration(file: Path) -> _Registration:
    try:
        document = msgspec.json.decode(file.read_bytes())
    except OSError as fault:
        raise InvalidCredentials(f"{file}: {fault.strerror}") from fault
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise InvalidCredentials(f"{file}: not a JSON document: {fault}") from fault
    if isinstance(document, dict) and "credentials" not in document:
        document = {"credentials": document}
    try:
        return msgspec.convert(document, _Registration)
    except msgspec.ValidationError as fault:
        rule = msgspec_sentence(str(fault), _Registration, document)
        raise InvalidCredentials(f"{file}: not the response of a registration: {rule}") from fault


def _validated_common_name(file: Path, stored: _StoredCredentials) -> str:
    """Return the certificate's common name. Raises InvalidCredentials if certificate or key is invalid."""
    try:
        certificate = x509.load_pem_x509_certificate(stored.certificate.encode())
        key = serialization.load_pem_private_key(stored.private_key.encode(), password=None)
    except (ValueError, TypeError) as fault:
        raise InvalidCredentials(f"{file}: certificate or private_key is not PEM") from fault
    if key.public_key() != certificate.public_key():
        raise InvalidCredentials(f"{file}: private_key does not match the certificate")
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


def _parse_endpoint(endpoint: str) -> tuple[str, int]:
    host, _, port = endpoint.partition(":")
    if not host or (port and not (port.isascii() and port.isdecimal() and 0 < int(port) < 65_536)):
        raise InvalidCredentials(
            f"--endpoint {endpoint}: must be HOST or HOST:PORT, with a port between 1 and 65535"
        )
    return host, int(port or MQTT_TLS_PORT)
