"""`anc smoke`: the walk that proves a deployment passes here too, and fails where something is wrong."""

import json
import socket
import subprocess
from collections.abc import Callable
from typing import Any

from functions.routes import REST
from tests.processes import ANC, Platform


def smoke(port: int, *more: str) -> tuple[int, dict[str, Any]]:
    """Return how the walk ended and what it saw."""
    command = [ANC, "smoke", "--port", str(port), "--json", *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout)


def test_everything_that_a_platform_does_is_done_once_and_nothing_of_it_stays(
    start: Callable[..., Platform],
) -> None:
    platform = start()

    ended, seen = smoke(platform.port, "--data", str(platform.data))

    assert (ended, seen["fault"]) == (0, "")
    found = {step["what"]: step["found"] for step in seen["seen"]}
    assert found["endpoints"] == f"all {len(REST)} answered"
    assert "laid aside" in found["dead letters"]

    token = subprocess.check_output(
        [ANC, "token", "--data", str(platform.data), "--role", "admin"], text=True
    )
    url = f"http://127.0.0.1:{platform.port}"
    ended, seen = smoke(platform.port, "--url", url, "--token", token.strip())

    assert (ended, seen["fault"]) == (0, "")  # from elsewhere, with a token alone
    assert {step["what"] for step in seen["seen"]} == found.keys() - {"dead letters"}


def test_a_platform_whose_token_is_refused_fails_the_walk_and_says_why(shared_platform: Platform) -> None:
    ended, seen = smoke(shared_platform.port, "--token", "not-a-token")

    assert ended == 2
    assert seen["fault"].startswith("ApiError")
    assert "token" in seen["fault"]


def test_a_place_where_nobody_answers_fails_the_walk(shared_platform: Platform) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    ended, seen = smoke(port, "--token", shared_platform.token("ann"))

    assert ended == 2
    assert seen["fault"].startswith("no platform answers")
