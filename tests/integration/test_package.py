"""Both packages can be built, and installed with nothing but their declared dependencies."""

import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import httpx
import numpy as np
import pytest
import soundfile
from packaging.requirements import Requirement

from anc import __version__
from tests.distributions import closure, link
from tests.processes import PATIENCE_S, Platform

ROOT = Path(__file__).parents[2]
CLIENT = ("anc_client/pyproject.toml", "anc_client/README.md", "anc_client/src")
PLATFORM = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "layers", "web", "functions", "iot")
PLATFORM += ("local", "simulation", "tools", "training", "infra")
IGNORED = shutil.ignore_patterns("__pycache__", "*.egg-info", "*.so")
TRAINING = {"sklearn", "torch"}  # of the extra `train`
IMPORT_ALL = """
import importlib, pkgutil
for root in ("anc", "anc_client", "functions", "iot", "local", "simulation", "tools", "training"):
    for found in pkgutil.walk_packages(importlib.import_module(root).__path__, root + "."):
        if not found.name.endswith(("__main__", "._kernel")):
            try:
                importlib.import_module(found.name)
            except ModuleNotFoundError as missing:
                print(root, missing.name)
"""
USE_OF_TYPES = """
from anc_client import Client, NewDevice, NewSession

def use(anc: Client) -> tuple[float | None, str]:
    registered = anc.register(NewDevice(thing="left", secondary=[0.0, 0.5]))
    return anc.telemetry(registered.thing).battery, registered.credentials.private_key

def misuse(anc: Client) -> str:
    anc.open_session(NewSession(mode="cancle"))  # wrong
    return anc.me().email  # wrong
"""


class Installed:
    """A virtual environment with a wheel and its dependencies."""

    def __init__(self, folder: Path, wheel: Path, wheels: Path) -> None:
        venv.create(folder, symlinks=True)
        self.bin = folder / "bin"
        self.python = str(self.bin / "python")
        (self.site,) = folder.glob("lib/python*/site-packages")
        link(closure(_requires(wheel)) - {"anc-client", "anc-platform"}, self.site)
        pip = [sys.executable, "-m", "pip", "--python", self.python, "install", "-q", "--no-compile"]
        found = ["--disable-pip-version-check", "--no-index", "--find-links", str(wheels), str(wheel)]
        subprocess.run([*pip, *found], check=True)

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run a command in the folder of the environment, which is no checkout."""
        return subprocess.run(
            [str(self.bin / command[0]), *command[1:]],
            check=False,
            cwd=self.bin.parent,
            env={"COLUMNS": "80"},
            capture_output=True,
            text=True,
        )


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder with both wheels, built from copies of what they are made of."""
    folder = tmp_path_factory.mktemp("wheels")
    for source in (*CLIENT, *PLATFORM):
        copy = folder / "checkout" / source
        copy.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, copy, ignore=IGNORED)
        else:
            shutil.copy(ROOT / source, copy)
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--disable-pip-version-check", "--no-deps"]
    build += ["--no-build-isolation", "-w", str(folder), "./anc_client", "."]
    subprocess.run(build, cwd=folder / "checkout", check=True)
    return folder


@pytest.fixture(scope="module")
def client_wheel(wheels: Path) -> Path:
    return wheels / f"anc_client-{__version__}-py3-none-any.whl"


@pytest.fixture(scope="module")
def platform_wheel(wheels: Path) -> Path:
    (wheel,) = wheels.glob(f"anc_platform-{__version__}-*.whl")  # tagged for this machine: it has the kernel
    return wheel


@pytest.fixture(scope="module")
def client(client_wheel: Path, wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("client") / "venv", client_wheel, wheels)


@pytest.fixture(scope="module")
def platform(platform_wheel: Path, wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("platform") / "venv", platform_wheel, wheels)


def _requires(wheel: Path) -> list[str]:
    with ZipFile(wheel) as opened:
        (name,) = (each for each in opened.namelist() if each.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(opened.read(name).decode())
    listed = [Requirement(each) for each in metadata.get_all("Requires-Dist") or ()]
    return [str(each) for each in listed if each.marker is None or each.marker.evaluate({"extra": ""})]


def _folders(wheel: Path) -> set[str]:
    return {name.partition("/")[0] for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}


def test_the_client_has_type_annotations_and_depends_on_httpx_only(client_wheel: Path) -> None:
    assert _folders(client_wheel) == {"anc_client"}
    assert [Requirement(each).name for each in _requires(client_wheel)] == ["httpx"]
    sources = ROOT / "anc_client" / "src"
    files = {str(path.relative_to(sources)) for path in sources.rglob("*.py")} | {"anc_client/py.typed"}
    assert files <= set(ZipFile(client_wheel).namelist())


def test_the_client_works_with_only_httpx_installed(client: Installed) -> None:
    used = client.run("python", "-c", "import anc_client; print(anc_client.__version__, anc_client.__file__)")
    assert used.stdout.split() == [__version__, str(client.site / "anc_client" / "__init__.py")], used.stderr
    assert client.run("python", "-c", "import pydantic").returncode, "other packages are installed"
    assert not (client.bin / "anc").exists(), "the client has no command"


def test_a_type_checker_finds_wrong_use_of_the_client(client: Installed, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(USE_OF_TYPES)
    mypy = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--python-executable", client.python]
    mypy += ["--cache-dir", str(tmp_path / "cache"), str(script)]
    checked = subprocess.run(mypy, check=False, cwd=tmp_path, capture_output=True, text=True)
    wrong = {number for number, line in enumerate(USE_OF_TYPES.splitlines(), 1) if "# wrong" in line}
    found = {int(line.split(":")[1]) for line in checked.stdout.splitlines() if ": error:" in line}
    assert found == wrong, checked.stdout


def test_the_platform_wheel_contains_modules_model_and_console_but_no_stacks(
    platform_wheel: Path,
) -> None:
    assert _folders(platform_wheel) == {"anc", "functions", "iot", "local", "simulation", "tools", "training"}
    contents = set(ZipFile(platform_wheel).namelist())
    modules = {
        path.relative_to(ROOT)
        for folder in _folders(platform_wheel)
        for path in (ROOT / folder).rglob("*.py")
    }
    modules |= {
        path.relative_to(ROOT / "layers/dsp/python") for path in (ROOT / "layers/dsp/python").rglob("*.py")
    }
    assert {str(path) for path in modules} <= contents
    console = {path.relative_to(ROOT) for path in (ROOT / "web").rglob("*") if path.is_file()}
    assert {f"local/{path}" for path in console} <= contents
    assert "anc/noise/model.npz" in contents


def test_every_module_of_the_platform_can_be_imported(platform: Installed) -> None:
    done = platform.run("python", "-c", IMPORT_ALL)
    assert done.returncode == 0, done.stderr
    missing = {tuple(line.split()) for line in done.stdout.splitlines()}
    assert missing <= {("training", name) for name in TRAINING}


def test_the_installed_command_has_version_and_help(platform: Installed) -> None:
    assert platform.run("anc", "--version").stdout == f"anc {__version__}\n"
    answer = platform.run("anc", "-h")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "Usage: anc" in answer.stdout


@pytest.mark.parametrize("command", ["train --data .", "evaluate --data .", "bench"])
def test_a_command_with_missing_requirements_says_what_to_install(platform: Installed, command: str) -> None:
    answer = platform.run("anc", *command.split())
    assert answer.returncode == 2
    assert answer.stderr.startswith("anc: ")
    assert answer.stderr.count("\n") == 1
    assert "checkout" in answer.stderr


def test_the_installed_platform_classifies_noise(platform: Installed, tmp_path: Path) -> None:
    sound = tmp_path / "noise.wav"
    soundfile.write(sound, 0.1 * np.random.default_rng(1).standard_normal(32_000), 16_000)
    assert '"label"' in platform.run("anc", "classify", str(sound), "--json").stdout


@pytest.fixture
def running(platform: Installed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    monkeypatch.setattr("tests.processes.ANC", str(platform.bin / "anc"))
    started = Platform(tmp_path)
    yield started
    started.kill()


def test_the_installed_platform_serves_api_and_console(running: Platform) -> None:
    url = f"http://127.0.0.1:{running.port}"
    assert httpx.get(f"{url}/health", timeout=PATIENCE_S).json()["ready"]
    assert httpx.get(f"{url}/openapi.json", timeout=PATIENCE_S).json()["info"]["version"] == __version__
    assert "ui/parts.js" in httpx.get(f"{url}/app.js", timeout=PATIENCE_S).text
    assert httpx.get(f"{url}/ui/parts.js", timeout=PATIENCE_S).is_success
