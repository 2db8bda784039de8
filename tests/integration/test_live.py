"""Live sessions with a running platform and a plain WebSocket client."""

import base64
import json
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from anc.dsp import NLMS
from anc.headset_records import Device
from local.storage.database import Database
from local.storage.tables import SqliteTable
from tests.processes import PATIENCE_S, Platform, Socket

RATE, BLOCK = 48_000, 4_800  # a tenth of a second
TAPS = 512


def two_microphones(seconds: float, seed: int = 0) -> np.ndarray:
    """An engine and hiss at the reference, a room's path later at the primary, with a voice; (n, 2) int16."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * RATE)) / RATE
    x = 0.02 * rng.standard_normal(t.size) + sum(
        0.05 / k * np.sin(2 * np.pi * 71 * k * t) for k in range(1, 6)
    )
    path = np.exp(-np.arange(200) / 30) * rng.standard_normal(200) * 0.2
    voice = 0.01 * np.sin(2 * np.pi * 220 * t) * (np.sin(2 * np.pi * 0.5 * t) > 0)
    d = np.convolve(x, path)[: t.size] + voice
    return np.rint(32_768 * np.clip(np.stack([x, d], axis=1), -0.99, 0.99)).astype("<i2")


def encoded(block: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(block).tobytes()).decode()


def decoded(answer: dict[str, Any]) -> np.ndarray:
    assert answer["type"] == "audio", answer
    return np.frombuffer(base64.b64decode(answer["pcm"]), "<i2")


def blocks_of(pcm: np.ndarray) -> list[np.ndarray]:
    return np.split(pcm, range(BLOCK, len(pcm), BLOCK))


def residual(pcm: np.ndarray, taps: int = TAPS) -> np.ndarray:
    """What the filter leaves of the whole signal at once, as int16."""
    x, d = (pcm / np.float32(32_768)).astype(np.float32).T
    _, e = NLMS(taps, 0.5).process(x, d)
    return np.clip(np.rint(e * 32_768.0), -32_768, 32_767).astype(np.int16)


def assert_same(answered: np.ndarray, expected: np.ndarray) -> None:
    """Equal to the last int16 step; and a step apart only where rounding was a tie but for float32 noise."""
    difference = np.abs(answered.astype(int) - expected)
    assert difference.max() <= 1
    assert np.count_nonzero(difference) < 0.01 * difference.size


def begin(socket: Socket, **wishes: Any) -> str:
    begun = socket.ask(action="start", **{"rate": RATE, "channels": 2, "taps": TAPS, "mu": 0.5} | wishes)
    assert (begun["type"], begun["next_seq"]) == ("started", 0)
    return str(begun["session"])


def stream(socket: Socket, session: str, blocks: list[np.ndarray], first: int = 0) -> np.ndarray:
    """Send block after block, each when the answer to the one before has come."""
    answers = []
    for seq, block in enumerate(blocks, first):
        answer = socket.ask(action="audio", session=session, seq=seq, pcm=encoded(block))
        assert answer.get("seq") == seq, answer
        answers.append(decoded(answer))
    return np.concatenate(answers)


@pytest.fixture
def platform(shared_platform: Platform) -> Platform:
    return shared_platform


def test_filtering_in_blocks_equals_filtering_the_whole_signal(platform: Platform) -> None:
    pcm = two_microphones(30)
    with platform.connect("ann") as socket:
        session = begin(socket)
        answered = stream(socket, session, blocks_of(pcm))
        ended = socket.ask(action="stop", session=session)
    assert_same(answered, residual(pcm))
    assert ended["summary"]["blocks"] == 300
    assert ended["summary"]["seconds"] == pytest.approx(30)
    d, e = pcm[:, 1].astype(float), answered.astype(float)
    assert ended["summary"]["attenuation_db"] == pytest.approx(10 * np.log10((d @ d) / (e @ e)), abs=0.1)


def test_the_classification_is_sent_after_one_second(platform: Platform) -> None:
    blocks = blocks_of(two_microphones(1.5))
    with platform.connect("ann") as socket:
        session = begin(socket, taps=16)
        answers = [
            socket.ask(action="audio", session=session, seq=seq, pcm=encoded(block))
            for seq, block in enumerate(blocks)
        ]
    assert answers[0]["noise"] is None
    assert answers[-1]["noise"]["label"] == "machine"
    assert not any(answer["emergency"]["active"] for answer in answers)


def test_the_server_selects_the_protocol_and_not_the_token(platform: Platform) -> None:
    with platform.connect("ann") as socket:
        assert socket.plain.subprotocol == "anc.v1"
        response = socket.plain.response
        assert response is not None
        assert platform.token("ann") not in str(response.headers)


def test_compression_is_declined(platform: Platform) -> None:
    offer = ["anc.v1", platform.token("ann")]
    url = f"ws://127.0.0.1:{platform.port}/ws"
    with connect(url, subprotocols=offer, compression="deflate", open_timeout=PATIENCE_S) as socket:
        assert socket.response is not None
        assert "Sec-WebSocket-Extensions" not in socket.response.headers


@pytest.mark.parametrize(
    "offer", [None, ["anc.v1"], ["anc.v1", "ey.forged.token"]], ids=["none", "name", "forged"]
)
def test_the_handshake_requires_a_valid_token(platform: Platform, offer: Any) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        connect(f"ws://127.0.0.1:{platform.port}/ws", subprotocols=offer, proxy=None)
    assert refusal.value.response.status_code in {401, 403}


def closed(socket: Socket) -> int:
    with pytest.raises(ConnectionClosed) as end:
        socket.plain.recv(PATIENCE_S)
    assert end.value.rcvd is not None
    return end.value.rcvd.code


def test_a_binary_frame_closes_with_1003_and_keeps_the_session(platform: Platform) -> None:
    block = two_microphones(0.1)
    with platform.connect("ann") as socket:
        session = begin(socket, taps=16)
        socket.plain.send(block.tobytes())
        assert closed(socket) == 1003
    with platform.connect("ann") as socket:
        assert stream(socket, session, [block]).size == BLOCK


@pytest.mark.parametrize("size", [32 * 1024 + 1, 100_000])
def test_a_frame_over_32_kb_closes_with_1009(platform: Platform, size: int) -> None:
    with platform.connect("ann") as socket:
        socket.plain.send("x" * size)
        assert closed(socket) == 1009


def test_a_frame_that_is_still_being_sent_ends_the_connection(platform: Platform) -> None:
    with platform.connect("ann") as socket:
        with suppress(ConnectionClosed):
            socket.plain.send("x" * 2_000_000)
        with pytest.raises(ConnectionClosed) as end:
            socket.receive()
        # The code is lost if the connection is reset before the client has read it.
        assert end.value.rcvd is None or end.value.rcvd.code == 1009
    assert platform.request("GET", "/health")[0] == 200


def test_a_frame_of_32_kb_is_answered(platform: Platform) -> None:
    with platform.connect("ann") as socket:
        socket.plain.send("x" * 32 * 1024)
        assert socket.receive()["code"] == "bad_json"


def test_streams_of_two_users_do_not_mix(platform: Platform) -> None:
    signals = {user: two_microphones(2, seed=seed) for seed, user in enumerate(("ann", "bob"), 1)}
    with platform.connect("ann") as ann, platform.connect("bob") as bob:
        sockets = {"ann": ann, "bob": bob}
        sessions = {user: begin(socket) for user, socket in sockets.items()}
        answered: dict[str, list[np.ndarray]] = {"ann": [], "bob": []}
        for seq in range(20):
            for user, socket in sockets.items():  # both are on their way before either is awaited
                block = signals[user][seq * BLOCK : (seq + 1) * BLOCK]
                socket.send(action="audio", session=sessions[user], seq=seq, pcm=encoded(block))
            for user, socket in sockets.items():
                answered[user].append(decoded(socket.receive()))
        for user, signal in signals.items():
            assert_same(np.concatenate(answered[user]), residual(signal))

        foreign = bob.ask(
            action="audio", session=sessions["ann"], seq=20, pcm=encoded(signals["bob"][:BLOCK])
        )
        assert foreign["code"] == "unknown_session"
        assert bob.ask(action="stop", session=sessions["ann"])["code"] == "unknown_session"
        assert ann.ask(action="stop", session=sessions["ann"])["summary"]["blocks"] == 20


def test_each_websocket_of_a_user_can_have_a_session(platform: Platform) -> None:
    signals = [two_microphones(0.5, seed=seed) for seed in range(4)]
    sockets = [platform.connect("ann") for _ in signals]
    sessions = [begin(socket, taps=64) for socket in sockets]
    answered: list[list[np.ndarray]] = [[] for _ in signals]
    for seq in range(5):
        for socket, session, signal in zip(sockets, sessions, signals, strict=True):
            socket.send(action="audio", session=session, seq=seq, pcm=encoded(blocks_of(signal)[seq]))
        for answers, socket in zip(answered, sockets, strict=True):
            answers.append(decoded(socket.receive()))
    for answers, signal, socket in zip(answered, signals, sockets, strict=True):
        assert_same(np.concatenate(answers), residual(signal, 64))
        socket.plain.close()


def test_a_session_continues_on_another_websocket(platform: Platform) -> None:
    pcm = two_microphones(2, seed=5)
    blocks = blocks_of(pcm)
    first = platform.connect("ann")
    session = begin(first)
    received = stream(first, session, blocks[:9])
    first.send(action="audio", session=session, seq=9, pcm=encoded(blocks[9]))
    first.cut()

    with platform.connect("ann") as second:
        # The tenth block may have arrived before the disconnection; the client sends it again.
        rest = stream(second, session, blocks[9:], first=9)
    assert_same(np.concatenate([received, rest]), residual(pcm))


def test_concurrent_blocks_of_a_session_are_accepted_once(platform: Platform) -> None:
    pcm = two_microphones(1, seed=6)
    with platform.connect("ann") as here, platform.connect("ann") as there:
        session = begin(here, taps=64)
        answered = []
        for seq, block in enumerate(blocks_of(pcm)):
            for socket in (here, there):
                socket.send(action="audio", session=session, seq=seq, pcm=encoded(block))
            answers = [socket.receive() for socket in (here, there)]
            good = [answer for answer in answers if answer["type"] == "audio"]
            assert good
            assert all(answer["pcm"] == good[0]["pcm"] for answer in good)
            assert all(answer["code"] == "in_flight" for answer in answers if answer["type"] == "error")
            answered.append(decoded(good[0]))
        assert here.ask(action="stop", session=session)["summary"]["blocks"] == 10
    assert_same(np.concatenate(answered), residual(pcm, 64))


def test_a_session_opened_over_rest_is_used_over_the_websocket(
    platform: Platform,
) -> None:
    status, opened = platform.request("POST", "/api/sessions", {"taps": 32}, user="ann")
    assert status == 201
    path = f"/api/sessions/{opened['session']}"
    pcm = two_microphones(0.3)
    with platform.connect("ann") as socket:
        answered = stream(socket, opened["session"], blocks_of(pcm))
    assert_same(answered, residual(pcm, 32))
    assert platform.request("GET", path, user="ann")[1]["next_seq"] == 3
    assert platform.request("GET", f"{path}/stats", user="ann")[1]["blocks"] == 3
    assert platform.request("PATCH", path, {"enabled": False}, user="ann")[1]["enabled"] is False
    with platform.connect("ann") as socket:
        again = stream(socket, opened["session"], [pcm[:BLOCK]], first=3)
    assert np.array_equal(again, pcm[:BLOCK, 1]), "switched off over REST, it passes the primary untouched"


def test_a_dropped_websocket_ends_its_watches(platform: Platform) -> None:
    devices = SqliteTable(Database(platform.data / "anc.db"), "devices", Device)
    devices.put(Device(key="kept", group="ann", model="m", rate=16_000, taps=64, secondary=b"", created=0.0))
    with platform.connect("ann") as socket:
        assert socket.ask(action="watch", device="kept") == {"type": "watching", "device": "kept"}
        assert socket.ask(action="watch", device="none")["code"] == "unknown_device"
    watches = Database(platform.data / "anc.db").connection
    with platform.connect("ann") as other:  # one more round trip for the first socket's end to be noted
        while watches.execute("SELECT count(*) FROM watches").fetchone()[0]:
            assert other.ask(action="ping") == {"type": "pong"}


def test_a_hostile_client_does_not_affect_others(platform: Platform) -> None:
    pcm = two_microphones(0.5)
    with platform.connect("ann") as ann, platform.connect("mallory") as mallory:
        session = begin(ann, taps=64)
        answered = []
        for seq, block in enumerate(blocks_of(pcm)):
            for frame in (
                "",
                "[" * 30_000,
                '{"a":' * 6_000,
                json.dumps({"action": "stop", "session": session}),
            ):
                mallory.plain.send(frame)
                assert mallory.receive()["type"] == "error"
            answered.append(stream(ann, session, [block], first=seq))
    assert_same(np.concatenate(answered), residual(pcm, 64))
