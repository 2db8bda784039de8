"""One caller cannot exhaust resources of others."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import soundfile

from functions.routes import REST, SOUND_BYTES
from tests.attacks.conftest import QUOTA
from tests.attacks.slow import HALVES, SlowRequests
from tests.attacks.target import Target, assert_refused, label
from tests.processes import read_to_end

SOUNDS = [route for route in REST if route.body_bytes == SOUND_BYTES]
PATH = [0.0, 0.5, 0.2]
MADE: dict[str, Callable[[int], Any]] = {
    "/api/sessions": lambda n: {"rate": 16_000},
    "/api/devices": lambda n: {"thing": f"NAME-{n}", "secondary": PATH},
    "/api/users/me/keys": lambda n: {"name": f"key-{n}"},
    "/api/audio/uploads": lambda n: {"size": 100},
}


def silence(rate: int, seconds: int, channels: int, kind: str) -> bytes:
    """Return a file of silence: kilobytes that become megabytes when decoded."""
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", rate, channels, format=kind, subtype="PCM_16") as flac:
        for _ in range(seconds):
            flac.write(np.zeros((rate, channels), np.int16))
    return file.getvalue()


BOMBS = {
    "ten minutes": lambda: silence(48_000, 600, 2, "FLAC"),
    "eight channels of ten minutes": lambda: silence(8_000, 600, 8, "FLAC"),
    "a minute at the highest rate": lambda: silence(192_000, 61, 1, "FLAC"),
}


@pytest.fixture(scope="module")
def bombs() -> dict[str, bytes]:
    return {what: make() for what, make in BOMBS.items()}


# A preview decodes nothing but the beginning; tests/unit/functions tests its limits.
DECODED = [route for route in SOUNDS if route.path != "/api/audio/preview"]


@pytest.mark.parametrize("route", DECODED, ids=label)
def test_decompression_bombs_are_rejected(target: Target, bombs: dict[str, bytes], route: Any) -> None:
    token = target.token("bomber")
    for what, bomb in bombs.items():
        assert len(bomb) < 1_000_000, what
        answer = target.call(route.method, route.path, token, bomb, {"Content-Type": "audio/flac"})
        assert_refused(answer, 400, 413, 429)


@pytest.mark.parametrize("path", MADE)
def test_a_used_up_quota_does_not_affect_other_users(target: Target, path: str) -> None:
    body = MADE[path]

    def make(user: str, n: int) -> int:
        document = {
            name: value.replace("NAME", user) if isinstance(value, str) else value
            for name, value in body(n).items()
        }
        return target.call("POST", path, target.token(user), document).status

    assert all(make("greedy", n) in {200, 201, 202} for n in range(QUOTA))
    assert [make("greedy", QUOTA + n) for n in range(2)] == [429, 429]
    assert make("modest", 0) in {200, 201, 202}


def test_a_rate_limited_user_does_not_affect_other_users(target: Target) -> None:
    route = next(route for route in REST if label(route) == "GET /api/users")
    greedy, modest = target.token("greedy-admin", "admin"), target.token("modest-admin", "admin")
    assert any(target.call("GET", route.path, greedy).status == 429 for _ in range(10 * route.per_minute))
    assert target.call("GET", route.path, modest).status == 200


def test_too_many_websockets_of_a_user_do_not_affect_others(target: Target) -> None:
    for user in ("greedy", "modest"):
        target.platform.tokens[user] = target.token(user)
    opened = [target.platform.connect("greedy") for _ in range(QUOTA)]
    try:
        with pytest.raises(Exception, match="403"):
            target.platform.connect("greedy")
        with target.platform.connect("modest") as socket:
            assert socket.ask(action="ping") == {"type": "pong"}
    finally:
        for socket in opened:
            socket.plain.close()


@pytest.mark.thorough
@pytest.mark.parametrize("half", HALVES)
def test_an_unfinished_request_is_rejected_or_dropped(slow_requests: SlowRequests, half: str) -> None:
    answer = read_to_end(slow_requests.lines[half])
    assert not answer or answer.split()[1] in {b"400", b"408", b"413"}, answer
