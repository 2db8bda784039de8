"""All parsers of untrusted input, with valid samples and their expected exceptions."""

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

import local.server  # noqa: F401  first: it switches the handlers' cloud tools off
from anc.audio.reader import AudioReader
from anc.noise import model_file
from anc.schemas import claim, path, shadow, telemetry, websocket
from anc.schemas.refusal import Refused, parse_json
from anc.schemas.snapshot import Snapshot
from anc.services.access import identity
from local.mqtt import packets
from local.mqtt.shadows import UpdateRequest
from tests.attacks.mqtt_client import connect_packet, text
from tests.fakes import Clock, make_dependencies
from tests.sound_kinds import KINDS

SECONDS = 0.1  # of sound in a file
FRAMES_READ = 20_000  # of a sound file, more are as the first ones


class Parser(NamedTuple):
    """A parser; any exception other than `refusal` is a fault."""

    name: str
    parse: Callable[[bytes], object]
    samples: Sequence[bytes]
    refusal: type[Exception]


def parsers(folder: Path) -> list[Parser]:
    """Return all parsers. What needs files has them in `folder`."""
    platform = make_dependencies(folder, Clock())
    platform.clock.now = 0.0
    good = platform.issuer.issue("alice", "listener").encode()

    def verify(data: bytes) -> object:
        return identity.verify(data.decode(errors="replace"), platform.deps)

    def frame(data: bytes) -> object:
        return websocket.parse_request(data.decode(errors="replace"))

    def model(data: bytes) -> object:
        file = folder / "model.npz"
        file.write_bytes(data)
        return model_file.load(file)

    small = folder / "small.npz"
    model_file.save(small, {"w": np.ones((2, 2), np.float32)}, {"name": "small", "classes": ["quiet"]})
    return [
        Parser("snapshot", Snapshot.parse, _snapshots(), Refused),
        Parser("telemetry", telemetry.parse_reports, _TELEMETRY, Refused),
        Parser("path", path.parse_path, _PATHS, Refused),
        Parser("signing request", lambda data: parse_json(data, claim.SigningRequest), _SIGNING, Refused),
        Parser("registration", lambda data: parse_json(data, claim.Registration), _CLAIMS, Refused),
        Parser("shadow update", lambda data: parse_json(data, UpdateRequest), _SHADOWS, Refused),
        Parser("desired state", shadow.parse_desired, _DESIRED, Refused),
        Parser("websocket frame", frame, _FRAMES, Refused),
        Parser(
            "mqtt packet",
            lambda data: packets.parse(data[0] if data else 0, data[1:]),
            _packets(),
            packets.Malformed,
        ),
        Parser(
            "mqtt 5 packet",
            lambda data: packets.parse(data[0] if data else 0, data[1:], packets.V5),
            _mqtt5_packets(),
            packets.Malformed,
        ),
        Parser("token", verify, [good, b"anc_0123456789abcdef_secret", b"a.b.c"], Refused),
        Parser("sound file", _sound, [kind.make(SECONDS) for kind in KINDS], Refused),
        Parser("model file", model, [small.read_bytes()], model_file.ModelError),
    ]


def _sound(data: bytes) -> object:
    with AudioReader(io.BytesIO(data)) as reader:
        return reader.read(FRAMES_READ)


def _snapshots() -> list[bytes]:
    pcm = np.arange(400, dtype=np.int16).reshape(200, 2)
    sound = Snapshot(1, 16_000, len(pcm), "", 1.0, pcm=pcm)
    figures = Snapshot(2, 16_000, 16_000, "", 1.0, statistics=bytes(range(200)), summary=bytes(100))
    return [sound.encode(), figures.encode()]


def _mqtt5_packets() -> list[bytes]:
    """Return packets of MQTT 5 without their length."""
    return [
        b"\x10"
        + text("MQTT")
        + b"\x05\x06\x00\x3c\x08\x11\0\0\x0e\x10\x21\0\x05"
        + text("h1")
        + b"\0"
        + text("anc/h1/event")
        + text("gone"),
        b"\x32" + text("anc/h1/event") + b"\0\x01\x03\x23\0\x01body",
        b"\x82\0\x01\x02\x0b\x07" + text("anc/h1/#") + b"\x01",
        b"\xa2\0\x02\0" + text("anc/h1/#"),
        b"\xe0\x04\x05\x11\0\0\0\0",
        b"\x40\0\x01\x10\0",
    ]


def _packets() -> list[bytes]:
    """Return packets without their length: `local.mqtt.mqtt_connection` reads it."""
    greeting = connect_packet("left")
    filters = b"\x00\x01" + text("anc/left/#") + b"\x01"
    message = text("anc/left/telemetry") + b"{}"
    return [
        greeting[:1] + greeting[2:],
        b"\x82" + filters,
        b"\xa2" + filters[:-1],
        b"\x30" + message,
        b"\x32" + text("anc/left/path") + b"\x00\x07{}",
        b"\x40\x00\x01",
        b"\xc0",
        b"\xe0",
    ]


def _json(*documents: object) -> list[bytes]:
    return [json.dumps(document).encode() for document in documents]


_TELEMETRY = _json({"level_dbfs": -30.0, "battery": 0.5}, [{"level_dbfs": -30.0}] * 3, {})
_PATHS = _json({"secondary": [0.0, 0.5, 0.2], "rate": 16_000, "played": "probe", "fit_db": 30.0})
_SIGNING = _json({"certificateSigningRequest": "-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n"})
_CLAIMS = _json({"certificateOwnershipToken": "token", "parameters": {"SerialNumber": "left-1"}})
_SHADOWS = _json(
    {"state": {"reported": {"enabled": True, "gain": 1.0}}, "clientToken": "a", "version": 3},
    {"state": {"reported": None}},
)
_DESIRED = _json({"enabled": True, "filter": None}, {"intensity": 0.5, "bypass": False})
_FRAMES = _json(
    {"action": "start", "rate": 16_000, "channels": 2, "taps": 64, "mu": 0.5},
    {"action": "audio", "session": "s", "seq": 1, "pcm": "AAAA"},
    {"action": "set", "session": "s", "intensity": 0.5},
    {"action": "watch", "device": "left"},
    {"action": "ping"},
)
