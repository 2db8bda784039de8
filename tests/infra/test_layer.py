"""The layer that is deployed: what is in it, for which machine, and how large."""

import sys
import tomllib
from pathlib import Path

import pytest

from infra import wheels
from infra.layer import LIBRARY, build_layer, layer_key

MEGABYTE = 1_000_000
QUOTA = 250  # of a function and its layers, unpacked. Source: Lambda quotas


@pytest.fixture(scope="session")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("layer")
    build_layer("lambda", folder)
    return folder / "python"


def test_the_layer_is_small_enough(layer):
    size = sum(path.stat().st_size for path in layer.rglob("*") if path.is_file())

    print(f"{size / MEGABYTE:.0f} MB of the {QUOTA} that Lambda takes, functions included")
    assert size < 120 * MEGABYTE < QUOTA * MEGABYTE


def test_every_compiled_file_is_for_lambdas_processor(layer):
    machines = {
        int.from_bytes(path.read_bytes()[18:20], "little")
        for path in layer.rglob("*.so*")
        if path.read_bytes()[:4] == b"\x7fELF"
    }

    assert machines == {183}  # EM_AARCH64


def test_the_wheels_are_the_newest_that_the_lock_allows_and_not_what_an_old_platform_tag_had(layer):
    locked = {
        line.split("==")[0].replace("-", "_").lower(): line.split("==")[1].split()[0]
        for line in (Path("requirements") / "layer.txt").read_text().splitlines()
        if "==" in line
    }
    installed = {
        name.lower(): version
        for name, version in (
            path.name.removesuffix(".dist-info").split("-", 1) for path in layer.glob("*.dist-info")
        )
    }

    assert installed == {name: locked[name] for name in installed}
    assert {"numpy", "msgspec", "pydantic", "soundfile"} <= set(installed)


def test_the_library_is_in_it_whole_with_its_models(layer):
    def files(root: Path) -> set[str]:
        return {
            str(path.relative_to(root))
            for path in root.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }

    assert files(layer / "anc") == files(LIBRARY)


def test_what_lambda_brings_itself_is_not_in_it(layer):
    assert not {"boto3", "botocore", "pip"} & {path.name for path in layer.iterdir()}


def test_the_layer_for_this_machine_is_another_than_lambdas():
    assert layer_key("host") != layer_key("lambda")
    assert layer_key("lambda") == layer_key("lambda")


def test_the_wheels_for_this_machine_are_those_of_its_python(tmp_path, monkeypatch):
    monkeypatch.setattr(wheels, "KEPT", tmp_path)
    monkeypatch.setattr("subprocess.run", lambda command, check: Path(folder_of(command)).mkdir())
    used = wheels.requirements("host")
    assert wheels.requirements("host") == used
    monkeypatch.setattr(sys.implementation, "cache_tag", "cpython-399")
    assert wheels.requirements("host") != used


def folder_of(command: list[str]) -> str:
    return command[command.index("--target") + 1]


def test_what_the_layer_gets_the_platform_requires_too():
    stated = tomllib.loads(Path("pyproject.toml").read_text())
    assert set(stated["dependency-groups"]["layer"]) <= set(stated["project"]["dependencies"])
