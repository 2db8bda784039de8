"""The parsers of `tests.attacks.messages`: those of `parsers`, and what lies behind them.

A property that holds whatever the input is checked too, with `Broken`.
"""

import asyncio
import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, cast
from urllib.parse import parse_qsl, urlsplit

import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from anc.dsp import Statistics
from anc.noise import features
from anc.noise import summary as summary_of
from anc.schemas import shadow, websocket
from anc.schemas.job import ExecutionUpdate, JobRequest
from anc.schemas.refusal import Refused, parse_json
from anc.schemas.snapshot import Snapshot, check_clipping
from anc.services.headsets.claims import _fingerprint
from anc.services.sound.endpoint_classifier import EndpointUnavailable, _validated
from functions import headset_rights
from local.auth.certificates import Authority
from local.http.signed_urls import SignedUrls
from local.mqtt import packets
from local.mqtt.mqtt_connection import ConnectionBroken, MqttConnection, PacketTooLarge
from local.mqtt.shadows import UpdateRequest, depth, difference
from tests.attacks.mqtt_client import connect_packet, packet, text
from tests.attacks.parsers import parsers
from tests.attacks.rest_parsers import Broken, Declined, rest_parsers
from tests.factory_claims import certificate

ELSEWHERE = {"sound file", "model file"}  # tests.attacks.sound_files; a model comes from its operator
THING = "left"


class MessageParser(NamedTuple):
    """A parser; every exception but those of `refusal` is a fault."""

    name: str
    parse: Callable[[bytes], object]
    samples: list[bytes]
    refusal: tuple[type[Exception], ...]


def message_parsers(folder: Path) -> list[MessageParser]:
    """Return all parsers. What needs files has them in `folder`."""
    known = [
        MessageParser(
            each.name,
            _signed_only(each.parse) if each.name == "token" else each.parse,
            list(each.samples),
            (each.refusal,),
        )
        for each in parsers(folder / "parsers")
        if each.name not in ELSEWHERE
    ]
    return [
        *known,
        MessageParser("snapshot content", snapshot_content, _snapshots(), (Refused, ValueError)),
        MessageParser("filter document", _filter, _filters(), (Refused,)),
        MessageParser("audio block", _audio_block, _blocks(), (Refused,)),
        MessageParser("shadow merge", _shadow_merge, _SHADOWS, (Refused,)),
        MessageParser("job update", lambda data: parse_json(data, ExecutionUpdate), _JOBS, (Refused,)),
        MessageParser("job request", lambda data: parse_json(data, JobRequest), _JOBS, (Refused,)),
        MessageParser("certificate", _certificate, [certificate("ours").encode()], (Refused,)),
        MessageParser("signing request content", _signing(folder), [_request()], (ValueError,)),
        MessageParser("endpoint answer", _validated, [_ENDPOINT], (EndpointUnavailable,)),
        MessageParser("mqtt stream", MqttStream(), _streams(), (packets.Malformed, PacketTooLarge)),
        MessageParser("topic", _topic, [name.encode() for name in _topics()], ()),
        SignedLinks(folder).parser(),
        *(MessageParser(*each, (Declined,)) for each in rest_parsers(folder / "rest")),
    ]


def _signed_only(verify: Callable[[bytes], object]) -> Callable[[bytes], object]:
    """Return a parser of tokens that accepts nothing but what the signed sample says."""

    def parse(data: bytes) -> object:
        caller = cast(Any, verify(data))
        if (caller.user, caller.role) != ("alice", "listener"):
            raise Broken(f"a token of alice became one of {caller.user}, {caller.role}")
        return caller

    return parse


def snapshot_content(data: bytes) -> object:
    """Parse a snapshot and what it contains, as far as the platform does before it computes."""
    snapshot = Snapshot.parse(data)
    if snapshot.pcm is not None:
        return check_clipping(snapshot.pcm)
    return Statistics.from_bytes(snapshot.statistics), features.unpack(snapshot.summary)


def _snapshots() -> list[bytes]:
    x = np.random.default_rng(1).standard_normal(4800) * 0.1
    statistics = Statistics.measure(x, 0.5 * x, [0.5], 32, 16_000).to_bytes()
    pcm = (1e3 * np.stack([x, x], axis=1)).astype(np.int16)
    private = Snapshot(2, 16_000, 4800, "", 0.0, statistics=statistics, summary=summary_of(x, 16_000))
    return [private.encode(), Snapshot(1, 16_000, len(pcm), "", 1.0, pcm=pcm).encode()]


def _filter(data: bytes) -> object:
    return parse_json(data, shadow.FilterDocument).decode()


def _filters() -> list[bytes]:
    document = shadow.FilterDocument.of(np.ones(16, "<f2").tobytes(), 3, 16_000)
    return [json.dumps(fields_of(document)).encode()]


def fields_of(document: Any) -> dict[str, Any]:
    """Return the fields of a message."""
    return {name: getattr(document, name) for name in document.__struct_fields__}


def _audio_block(data: bytes) -> object:
    request = websocket.parse_request(data.decode(errors="replace"))
    return websocket.decode_pcm(request.pcm, 2) if isinstance(request, websocket.Audio) else None


def _blocks() -> list[bytes]:
    pcm = base64.b64encode(bytes(400)).decode()
    return [json.dumps({"action": "audio", "session": "s", "seq": 1, "pcm": pcm}).encode()]


def _shadow_merge(data: bytes) -> object:
    """Parse an update and merge it, as the broker does with what is stored."""
    state = parse_json(data, UpdateRequest).state
    change = {"reported": getattr(state, "reported", None) or {}}
    depth(change)
    return difference({"mode": "cancel", "filter": {"id": "0"}}, shadow.merge({}, change["reported"]))


def _certificate(data: bytes) -> object:
    return _fingerprint(data.decode(errors="replace"))


def _signing(folder: Path) -> Callable[[bytes], object]:
    authority = Authority(folder)
    return lambda data: authority.sign(data.decode(errors="replace"))


def _request() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "left")])
    signed = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return signed.public_bytes(Encoding.PEM)


def _topic(data: bytes) -> object:
    topic = data.decode(errors="replace")
    allowed = headset_rights.may_publish(THING, topic) or headset_rights.may_subscribe(THING, topic)
    if allowed and f"/{THING}/" not in topic:
        raise Broken(f"{THING} may use {topic!r}")
    return allowed


def _topics() -> tuple[str, ...]:
    own = (*headset_rights.publish_topics(THING), *headset_rights.answer_topics(THING))
    return (*own, "anc/right/telemetry", "$aws/things/right/shadow/name/anc/update", "#", "+/left/#")


class MqttStream:
    """Reads packets from bytes as the broker reads them from a connection, until they end."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()

    def __call__(self, data: bytes) -> object:
        """Read all packets."""
        return self._loop.run_until_complete(self._read(data))

    async def _read(self, data: bytes) -> int:
        connection = cast(Any, MqttConnection.__new__(MqttConnection))
        connection._reader, connection._timeout_s = asyncio.StreamReader(), None
        connection.level, connection._aliases = packets.V311, {}
        connection._reader.feed_data(data)
        connection._reader.feed_eof()
        count = 0
        while True:
            try:
                found = await connection.receive()
            except ConnectionBroken:
                return count
            count += 1
            if isinstance(found, packets.Connect):
                connection.level = found.level
            elif isinstance(found, packets.Publish):
                connection.topic_of(found)


def _streams() -> list[bytes]:
    body = text("anc/left/telemetry") + b"{}"
    return [
        connect_packet("left") + packet(0x82, b"\0\1" + text("anc/left/#") + b"\1") + packet(0x30, body),
        packet(0x30, body) * 3 + packet(0xC0, b"") + packet(0xE0, b""),
    ]


class SignedLinks:
    """Signed URLs: only the request that was signed is accepted."""

    def __init__(self, folder: Path) -> None:
        self._urls = SignedUrls.of(folder, "http://127.0.0.1")
        self._links = [
            urlsplit(self._urls.get("results/j1", 3600, "a.wav")).query.encode(),
            urlsplit(self._urls.put("results/j1", 100, 3600, "p", 2)).query.encode(),
        ]

    def parser(self) -> MessageParser:
        """Return the parser of query strings."""
        return MessageParser("signed link", self._check, self._links, (Refused,))

    def _check(self, data: bytes) -> object:
        query = dict(parse_qsl(data.decode(errors="replace")))
        permit = self._urls.check("GET", "results/j1", query)
        if (permit.name, permit.size) != ("a.wav", 0):
            raise Broken(f"a link permits {permit}")
        return permit


_ENDPOINT = json.dumps(
    {
        "label": "road",
        "confidence": 0.9,
        "probabilities": {"road": 0.9, "rail": 0.1},
        "model": "m",
        "sha256": "ab" * 32,
        "emergency": False,
    }
).encode()
_JOBS = [
    json.dumps(each).encode()
    for each in (
        {"status": "IN_PROGRESS", "statusDetails": {"progress": "50"}, "clientToken": "a"},
        {"status": "FAILED", "statusDetails": {"reason": "bad_hash"}},
        {"clientToken": "t"},
    )
]
_SHADOWS = [
    json.dumps(each).encode()
    for each in (
        {"state": {"reported": {"mode": "cancel", "filter": {"id": "1", "seq": 1}}}, "version": 3},
        {"state": {"reported": {"config": {"private": True}, "attenuation_db": 3.5, "seq": 7}}},
        {"state": {"reported": None}},
    )
]
