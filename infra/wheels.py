"""Install the locked requirements of the layer, for Lambda or for this machine, once per lock file."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
REQUIREMENTS = ROOT / "requirements" / "layer.txt"
KEPT = ROOT / "build" / "layers"
PYTHON = "3.13"  # of Lambda
PLATFORM = "aarch64-manylinux_2_28"  # Lambda's glibc is 2.34


def requirements(target: str) -> Path:
    """Return the folder of the installed requirements, for "lambda" or for "host"."""
    lock = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:16]
    python = PYTHON if target == "lambda" else sys.implementation.cache_tag
    kept = KEPT / f"{target}-{python}-{lock}"
    if kept.exists():
        return kept
    part = KEPT / f"{kept.name}.{os.getpid()}"
    command = [sys.executable, "-m", "uv", "pip", "install", "-q", "--no-config", "--python", sys.executable]
    command += ["--link-mode", "copy", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
    command += ["--target", str(part), "--requirement", str(REQUIREMENTS)]
    if target == "lambda":
        command += ["--python-version", PYTHON, "--python-platform", PLATFORM]
    subprocess.run(command, check=True)  # noqa: S603
    (part / ".lock").unlink(missing_ok=True)  # of uv
    part.rename(kept)
    return kept
