"""The REST API does what its OpenAPI document says, whatever is thrown at it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.running import ANC, Platform

SCHEMATHESIS = str(Path(sys.executable).with_name("schemathesis"))
HERE = Path(__file__).with_name("schemathesis")
EXAMPLES = 10  # of each endpoint and phase


@pytest.mark.timeout(600)
def test_schemathesis_finds_nothing_in_the_whole_api(start: Callable[..., Platform], tmp_path: Path) -> None:
    platform = start(RATE_LIMIT_SCALE="100000")
    made = [ANC, "token", "--data", str(platform.data), "--role", "admin", "--user", "root"]
    token = subprocess.run(made, capture_output=True, text=True, check=True, cwd=tmp_path).stdout.strip()
    command = [
        *(SCHEMATHESIS, "--config-file", str(HERE / "schemathesis.toml")),
        *("run", f"http://127.0.0.1:{platform.port}/openapi.json"),
        *("--header", f"Authorization: Bearer {token}"),
        *("--checks", "all", "--phases", "examples,coverage,fuzzing,stateful"),
        *("--max-examples", str(EXAMPLES), "--continue-on-failure", "--no-color"),
    ]
    environ = {**os.environ, "SCHEMATHESIS_HOOKS": "sounds", "PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"}
    found = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environ, check=False)
    assert found.returncode == 0, found.stdout[-8000:] + found.stderr[-2000:]
    assert "Tested: 49" in found.stdout, "every endpoint"
    assert "Traceback" not in platform.log.read_text()
