"""Rotation of signing keys on a running platform."""

import json
import subprocess
import urllib.request
from collections.abc import Callable

from tests.processes import ANC, Platform, until


def anc(platform: Platform, *words: str) -> str:
    command = [ANC, *words, "--data", str(platform.data)]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=platform.folder).stdout


def kids(platform: Platform) -> list[str]:
    """Return the ids of the published keys."""
    with urllib.request.urlopen(f"http://127.0.0.1:{platform.port}/.well-known/jwks.json") as answer:
        return [key["kid"] for key in json.load(answer)["keys"]]


def test_a_running_platform_accepts_tokens_of_old_and_new_keys(
    start: Callable[..., Platform],
) -> None:
    platform = start()
    (first,) = kids(platform)
    platform.tokens["early"] = anc(platform, "token", "--user", "early").strip()
    assert platform.request("GET", "/api/users/me", user="early")[0] == 200

    rotated = json.loads(anc(platform, "keys", "rotate", "--json"))

    assert kids(platform) == [rotated["kid"], first]
    platform.tokens["late"] = anc(platform, "token", "--user", "late", "--role", "admin").strip()
    for user in ("early", "late"):
        assert platform.request("GET", "/api/users/me", user=user)[1]["user"] == user
    with platform.connect("early") as socket:
        assert socket.ask(action="ping") == {"type": "pong"}
    (entry,) = platform.request("GET", "/api/audit", user="late")[1]["entries"]
    assert (entry["action"], entry["user"]) == ("signing_key.rotate", "machine owner")

    anc(platform, "keys", "rotate", "--at-once")

    assert first not in kids(platform)
    for user in ("early", "late"):
        until(lambda user=user: platform.request("GET", "/api/users/me", user=user)[0] == 401)


def test_rotating_keys_requires_an_existing_platform(start: Callable[..., Platform]) -> None:
    platform = start()
    command = [ANC, "keys", "rotate", "--data", "nowhere"]
    refused = subprocess.run(command, capture_output=True, text=True, check=False, cwd=platform.folder)
    assert refused.returncode == 2
    assert "there is no such folder" in refused.stderr
    assert not (platform.folder / "nowhere").exists()
