"""What `make` does: the environment of the Python that was asked for, and all tests in the CI."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
THIS = "{}.{}.{}".format(*sys.version_info)
ANEW = "rm -rf .venv"
SOURCES = ("pyproject.toml", "setup.py", "anc_client/pyproject.toml", "requirements/dev.txt")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Give a folder with what `make` reads, and an environment that is up to date."""
    for name in (
        "pyproject.toml",
        "setup.py",
        "anc_client/pyproject.toml",
        "requirements/dev.txt",
        "web_types/package.json",
        "web_types/package-lock.json",
        "Makefile",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)
    made_by(tmp_path, THIS)
    (tmp_path / ".venv" / "dev.stamp").touch()
    return tmp_path


def made_by(checkout: Path, version: str) -> None:
    (checkout / ".venv" / "pyvenv.cfg").write_text(f"home = /usr/bin\nversion = {version}\n")


def planned(checkout: Path, *options: str, target: str = "lint") -> str:
    """Return the commands that `make` would run for a target."""
    environ = {name: value for name, value in os.environ.items() if name != "CI"}
    command = ["make", "-n", target, *options]
    return subprocess.run(
        command, cwd=checkout, env=environ, check=True, capture_output=True, text=True
    ).stdout


@pytest.mark.parametrize("options", [[], [f"PYTHON={sys.executable}"]])
def test_an_environment_of_the_right_python_is_used_as_it_is(checkout: Path, options: list[str]) -> None:
    assert "install" not in planned(checkout, *options)


def test_an_environment_of_another_python_than_the_one_asked_for_is_made_anew(checkout: Path) -> None:
    made_by(checkout, "3.11.0")
    commands = planned(checkout, f"PYTHON={sys.executable}")
    assert (
        commands.index(ANEW) < commands.index(f"{sys.executable} -m venv .venv") < commands.index("install")
    )


def test_an_environment_whose_python_was_replaced_since_is_made_anew(checkout: Path) -> None:
    made_by(checkout, "3.11.0")
    assert ANEW in planned(checkout)


def test_an_environment_whose_python_is_gone_is_made_anew(checkout: Path) -> None:
    python = checkout / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to(checkout / "gone")
    assert ANEW in planned(checkout)


@pytest.mark.parametrize("name", SOURCES)
def test_an_environment_that_is_older_than_what_it_is_made_of_is_brought_up_to_date(
    checkout: Path, name: str
) -> None:
    changed = (checkout / ".venv" / "dev.stamp").stat().st_mtime + 1
    os.utime(checkout / name, (changed, changed))
    commands = planned(checkout)
    assert "install" in commands
    assert ANEW not in commands


def test_the_environment_of_the_tests_can_run_the_platform() -> None:
    locked = {
        name: set(re.findall(r"^([\w.-]+==\S+)", (ROOT / "requirements" / name).read_text(), re.MULTILINE))
        for name in ("run.txt", "dev.txt")
    }
    assert locked["run.txt"]
    assert locked["run.txt"] <= locked["dev.txt"]


def test_the_supported_versions_of_python_are_those_that_are_tested() -> None:
    named = []
    for path in (ROOT / "pyproject.toml", ROOT / "anc_client" / "pyproject.toml"):
        project = tomllib.loads(path.read_text())["project"]
        versions = [each.rpartition(" ")[2] for each in project["classifiers"]]
        named.append([version for version in versions if version.startswith("3.")])
        assert project["requires-python"] == f">={named[-1][0]}"
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "platform.yml").read_text())
    matrix = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert named == [matrix, matrix]


def test_the_continuous_integration_leaves_out_no_test(checkout: Path) -> None:
    left_out = '-m "not thorough"'
    assert left_out in planned(checkout, target="test")
    for option in ("CI=1", "CI=true", "THOROUGH=1"):
        assert left_out not in planned(checkout, option, target="test")
    script = (ROOT / ".ci" / "run").read_text()
    assert script.index("export CI=1") < script.index("\nmake test\n")
