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
# Lambda's glibc is 2.34. With manylinux2014 alone pip would silently take years-old wheels.
PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64")


def requirements(target: str) -> Path:
    """Return the folder of the installed requirements, for "lambda" or for "host"."""
    lock = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:16]
    python = PYTHON if target == "lambda" else sys.implementation.cache_tag
    kept = KEPT / f"{target}-{python}-{lock}"
    if kept.exists():
        return kept
    part = KEPT / f"{kept.name}.{os.getpid()}"
    command = [sys.executable, "-m", "pip", "install", "-qq", "--no-input", "--disable-pip-version-check"]
    command += ["--no-compile", "--no-deps", "--require-hashes", "--only-binary=:all:"]
    command += ["--target", str(part), "--requirement", str(REQUIREMENTS)]
    if target == "lambda":
        command += ["--implementation", "cp", "--python-version", PYTHON]
        command += [option for platform in PLATFORMS for option in ("--platform", platform)]
    subprocess.run(command, check=True)  # noqa: S603
    part.rename(kept)
    return kept
