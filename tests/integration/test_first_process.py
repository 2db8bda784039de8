"""`anc up` as the first process of a container: process 1 gets no signal that it does not handle itself."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from local.process import children_of, free_port
from tests.processes import ANC, PATIENCE_S

UNSHARE = ["unshare", "--pid", "--fork"]


def can_unshare() -> bool:
    """Return whether this user may create process namespaces."""
    return bool(shutil.which("unshare")) and subprocess.run([*UNSHARE, "true"], check=False).returncode == 0


@pytest.mark.skipif(not can_unshare(), reason="needs the right to create a process namespace")
def test_the_first_process_of_a_container_ends_on_sigterm_without_a_message(tmp_path: Path) -> None:
    command = [*UNSHARE, ANC, "up", "--json", "--port", str(free_port()), "--data", str(tmp_path / "data")]
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, cwd=tmp_path, **piped) as started:  # type: ignore[call-overload]
        assert started.stdout.readline().startswith("{")
        (first,) = children_of(started.pid)
        os.kill(first, signal.SIGTERM)
        _, errors = started.communicate(timeout=PATIENCE_S)
    assert (started.returncode, errors) == (0, "")
