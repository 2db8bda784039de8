"""Every process of the platform limits numpy to one thread, unless the user sets another number."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from local import BLAS_THREADS

ROOT = Path(__file__).parents[3]
THREADS = """
import os
import {module}
import numpy as np
square = np.ones((1000, 1000))
square @ square
print(len(os.listdir("/proc/self/task")))
"""
LINUX = pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="counts threads as Linux does")


def threads_of(module: str, **environ: str) -> int:
    """Return the number of threads of a process that imports a module and multiplies large matrices."""
    clean = {name: value for name, value in os.environ.items() if name not in BLAS_THREADS}
    command = [sys.executable, "-c", THREADS.format(module=module)]
    options: Any = {"env": clean | environ, "cwd": ROOT, "capture_output": True, "text": True}
    done = subprocess.run(command, check=True, **options)
    return int(done.stdout)


@LINUX
@pytest.mark.parametrize("module", ["tools.cli.main", "local.server", "local.process", "benchmarks"])
def test_numpy_uses_one_thread_in_every_process(module: str) -> None:
    assert threads_of(module) == 1


@LINUX
def test_a_number_of_threads_set_by_the_user_is_kept() -> None:
    assert threads_of("tools.cli.main", OPENBLAS_NUM_THREADS="2") == min(2, os.cpu_count() or 1)
