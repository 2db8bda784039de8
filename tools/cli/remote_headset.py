"""A headset against a platform elsewhere, of which it has its credentials and nothing else."""

from pathlib import Path
from typing import NamedTuple

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID
from rich.console import Console

from anc.aws.things import amazon_root
from anc.ports import Credentials
from iot.provisioning import provision
from iot.status import Status
from local.auth.certificates import Authority
from local.data_folder import make_private, require_platform
from local.mqtt.things import LocalThings
from local.storage.database import Database
from simulation.acoustic_plant import AcousticPlant
from simulation.headset import SimulationResult, run_headset
from simulation.path_measurement import StimulusKind
from simulation.scenes import Noise
from tools.cli.demo import View, headset_folder, watch

MQTT_TLS_PORT = 8883


class Unusable(Exception):
    """What was given as credentials or endpoint cannot be used; the message says why."""


class _Kept(msgspec.Struct, frozen=True):
    """Credentials as the platform gave them out: the whole answer to a registration, or a part of it."""

    certificate: str
    private_key: str
    ca: str = ""
    endpoint: str = ""
    port: int = MQTT_TLS_PORT
    certificate_id: str = ""


class _Registered(msgspec.Struct, frozen=True):
    credentials: _Kept
    thing: str = ""


class Identity(NamedTuple):
    """Who a headset is, and where it goes."""

    thing: str
    credentials: Credentials


def identity(file: Path, endpoint: str | None, thing: str | None) -> Identity:
    """Read credentials: the answer of `POST /api/devices` or its `credentials`, as JSON.

    Parameters
    ----------
    file : Path
    endpoint : str, optional
        `host` or `host:port`, instead of the one in the file.
    thing : str, optional
        The headset's name; the file's, or else that in the certificate, when left out.

    Raises
    ------
    Unusable
    """
    try:
        text = file.read_bytes()
        try:
            registered = msgspec.json.decode(text, type=_Registered)
        except msgspec.ValidationError:
            registered = _Registered(msgspec.json.decode(text, type=_Kept))
    except OSError as fault:
        raise Unusable(f"{file}: {fault.strerror}") from fault
    except msgspec.DecodeError as fault:
        raise Unusable(f"{file}: not credentials as the platform gives them out: {fault}") from fault
    kept = registered.credentials
    named = _checked(file, kept)
    host, port = _where(endpoint) if endpoint else (kept.endpoint, kept.port)
    if not host:
        raise Unusable(f"{file}: names no endpoint; say --endpoint HOST[:PORT]")
    name = thing or registered.thing or named
    if not name:
        raise Unusable(f"{file}: does not say whose they are; say --thing NAME")
    return Identity(
        name,
        Credentials(
            kept.certificate_id, kept.certificate, kept.private_key, kept.ca or amazon_root(), host, port
        ),
    )


def claimed(file: Path, endpoint: str | None, serial: str | None, folders: Path) -> Identity:
    """Have a headset come for its own certificate with the factory's claim, if it has none yet.

    Raises
    ------
    Unusable, ClaimFailed
    """
    if not serial:
        raise Unusable("--claim: says nothing of whose certificate is wanted; say --thing SERIAL_NUMBER")
    claim = identity(file, endpoint, serial).credentials
    make_private(folders)
    return Identity(serial, provision(serial, claim, folders / serial))


def claim_of(data: Path, port: int) -> str:
    """Return a new claim of the platform on this machine, as JSON. Raises UnusableFolder."""
    require_platform(data)
    authority = Authority(data / "certificates")
    things = LocalThings(Database(data / "anc.db"), authority, port + 1)
    return msgspec.json.encode(things.issue_claim()._asdict()).decode()


def run_remote_headset(
    who: Identity,
    data: Path,
    scene: Noise,
    name: str,
    seconds: float,
    console: Console | None,
    measure: StimulusKind | None = None,
) -> SimulationResult:
    """Put a headset that is registered somewhere into a noise, and show what happens.

    Parameters
    ----------
    who : Identity
    data : Path
        Below it the headset keeps a folder of its own.
    scene, name, seconds, console, measure
        As in `tools.cli.demo.demonstrate`.

    Raises
    ------
    UnusableFolder
    """
    where = f"connected to {who.credentials.endpoint}:{who.credentials.port}"
    view = View(who.thing, name, _seen_from_the_headset, where)
    with headset_folder(data, who.thing) as folder:
        return watch(
            view,
            console,
            lambda show: run_headset(
                who.thing, who.credentials, AcousticPlant(), scene, seconds, folder, show, measure=measure
            ),
        )


def _seen_from_the_headset(status: Status) -> tuple[str, str]:
    return status.noise or "nothing yet", status.filter_id or "none yet"


def _checked(file: Path, kept: _Kept) -> str:
    """Return the certificate's common name. Raises Unusable when it, or its key, is none."""
    try:
        certificate = x509.load_pem_x509_certificate(kept.certificate.encode())
        key = serialization.load_pem_private_key(kept.private_key.encode(), password=None)
    except (ValueError, TypeError) as fault:
        raise Unusable(f"{file}: certificate or private_key is not PEM") from fault
    if key.public_key() != certificate.public_key():
        raise Unusable(f"{file}: private_key is not that of the certificate")
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


def _where(endpoint: str) -> tuple[str, int]:
    host, _, port = endpoint.partition(":")
    if not host or (port and not (port.isascii() and port.isdecimal() and 0 < int(port) < 65_536)):
        raise Unusable(f"--endpoint {endpoint}: HOST or HOST:PORT is wanted, the port from 1 to 65535")
    return host, int(port or MQTT_TLS_PORT)
