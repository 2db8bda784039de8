"""The REST API conforms to its OpenAPI document."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from functions.routes import REST
from tests.processes import ANC, Platform

pytestmark = pytest.mark.thorough

SCHEMATHESIS = str(Path(sys.executable).with_name("schemathesis"))
HERE = Path(__file__).with_name("schemathesis")
EXAMPLES = int(os.environ.get("EXAMPLES", "4"))  # of each endpoint and phase
LINKS = 10  # at least, of the 25 by which an answer leads to another call; chance often takes 24
ROUNDS = (  # each as a new user, because of quotas
    ("root", "examples,coverage,fuzzing", EXAMPLES),
    ("heir", "stateful", 3 * EXAMPLES),
)


@pytest.mark.timeout(900 + 60 * EXAMPLES)
def test_schemathesis_finds_no_violation_of_the_openapi_document(
    start: Callable[..., Platform], tmp_path: Path
) -> None:
    platform = start(RATE_LIMIT_SCALE="100000")
    environ = {**os.environ, "SCHEMATHESIS_HOOKS": "sounds", "PYTHONPATH": str(HERE)}
    output = {}
    for user, phases, examples in ROUNDS:
        made = [ANC, "token", "--data", str(platform.data), "--role", "admin", "--user", user]
        token = subprocess.run(made, capture_output=True, text=True, check=True, cwd=tmp_path).stdout.strip()
        command = [
            *(SCHEMATHESIS, "--config-file", str(HERE / "schemathesis.toml")),
            *("run", f"http://127.0.0.1:{platform.port}/openapi.json"),
            *("--header", f"Authorization: Bearer {token}"),
            *("--checks", "all", "--phases", phases),
            *("--max-examples", str(examples), "--continue-on-failure", "--no-color"),
        ]
        found = subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, env=environ, check=False
        )
        assert found.returncode == 0, found.stdout[-8000:] + found.stderr[-2000:]
        output[user] = found.stdout
    described = len(REST) - len({"/openapi.json", "/docs"})
    assert f"Tested: {described}" in output["root"], "every endpoint"
    followed = re.search(r"API Links: +(\d+) covered", output["heir"])
    assert followed, output["heir"]
    assert int(followed[1]) >= LINKS, output["heir"]
    assert "Traceback" not in platform.log.read_text()
