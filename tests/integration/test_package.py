"""Both packages can be built, and installed with nothing but their declared dependencies."""

import importlib.util
import json
import os
import re
import subprocess
import sys
import venv
from collections.abc import Iterator
from email.message import Message
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

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).parents[2]
BUILD = ROOT / ".ci" / "build_packages.py"
EPOCH = 1_800_000_000
TRAINING = {"sklearn", "torch"}  # of the extra `train`
PLOTS = {"matplotlib"}  # of the extra `plots`
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
    """Return the folder of everything that a release publishes."""
    folder = tmp_path_factory.mktemp("release")
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH)}
    subprocess.run([sys.executable, str(BUILD), str(folder)], check=True, env=environment)
    return folder


@pytest.fixture(scope="module")
def client_wheel(wheels: Path) -> Path:
    return wheels / f"anc_client-{__version__}-py3-none-any.whl"


@pytest.fixture(scope="module")
def platform_wheel(wheels: Path) -> Path:
    (wheel,) = wheels.glob(f"anc_platform-{__version__}-*.whl")  # for this system: it has the kernel
    return wheel


@pytest.fixture(scope="module")
def client(client_wheel: Path, wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("client") / "venv", client_wheel, wheels)


@pytest.fixture(scope="module")
def platform(platform_wheel: Path, wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("platform") / "venv", platform_wheel, wheels)


def _metadata(wheel: Path) -> Message:
    with ZipFile(wheel) as opened:
        (name,) = (each for each in opened.namelist() if each.endswith(".dist-info/METADATA"))
        return Parser().parsestr(opened.read(name).decode())


def _requires(wheel: Path) -> list[str]:
    listed = [Requirement(each) for each in _metadata(wheel).get_all("Requires-Dist") or ()]
    return [str(each) for each in listed if each.marker is None or each.marker.evaluate({"extra": ""})]


def _folders(wheel: Path) -> set[str]:
    return {name.partition("/")[0] for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}


def test_a_build_at_another_time_has_the_same_bytes(wheels: Path, tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("build_packages", BUILD)
    assert spec is not None
    assert spec.loader is not None
    build_packages = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build_packages)
    build_packages.build(tmp_path, EPOCH)
    built = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert len(built) == 4
    assert [name for name in built if (wheels / name).read_bytes() != built[name]] == []


@pytest.mark.parametrize(("name", "lock"), [("anc_client", "client.txt"), ("anc_platform", "platform.txt")])
def test_the_sbom_is_valid_and_lists_what_the_lock_file_installs(wheels: Path, name: str, lock: str) -> None:
    # Every worker collects this file, and these take two seconds to import.
    from cyclonedx.schema import SchemaVersion  # noqa: PLC0415
    from cyclonedx.validation.json import JsonStrictValidator  # noqa: PLC0415

    text = (wheels / f"{name}-{__version__}.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    sbom = json.loads(text)
    described = sbom["metadata"]["component"]
    assert (described["name"], described["version"]) == (name.replace("_", "-"), __version__)
    locked = re.findall(r"^([\w-]+)==([\w.]+)", (ROOT / "requirements" / lock).read_text(), re.MULTILINE)
    assert locked
    assert sorted((each["name"], each["version"]) for each in sbom["components"]) == sorted(locked)
    assert "opentelemetry-sdk" not in dict(locked)  # of an extra, which the package does not install
    hashes = [each["externalReferences"][0]["hashes"] for each in sbom["components"]]
    assert all(hashes)


def test_extras_are_plots_traces_and_training(platform_wheel: Path) -> None:
    extras: dict[str, set[str]] = {}
    for each in map(Requirement, _metadata(platform_wheel).get_all("Requires-Dist") or ()):
        for extra in re.findall(r'extra == "(\w+)"', str(each.marker)):
            extras.setdefault(extra, set()).add(each.name)
    assert set(extras) == {"plots", "traces", "train"}
    assert extras["plots"] == PLOTS
    assert all(name.startswith("opentelemetry-") for name in extras["traces"])
    assert {"torch", "scikit-learn"} <= extras["train"]


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
    missing = [line.split() for line in done.stdout.splitlines()]
    assert {name for _, name in missing} <= TRAINING | PLOTS
    assert {folder for folder, _ in missing} <= {"tools", "training"}


def test_the_installed_command_has_version_and_help(platform: Installed) -> None:
    assert platform.run("anc", "--version").stdout == f"anc {__version__}\n"
    answer = platform.run("anc", "-h")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "Usage: anc" in answer.stdout


@pytest.mark.parametrize(
    "command", ["train --data .", "evaluate --data .", "bench", "demo --picture levels.svg"]
)
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
