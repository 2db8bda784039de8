"""The content, platform and size of the Lambda layer."""

import sys
import tomllib
from pathlib import Path

import pytest

from infra import wheels
from infra.layer import LIBRARY, build_layer, layer_key, sources

MEGABYTE = 1_000_000
QUOTA = 250  # of a function and its layers, unpacked. Source: Lambda quotas


@pytest.fixture(scope="session")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("layer")
    build_layer("lambda", folder)
    return folder / "python"


def test_the_layer_is_within_the_size_limit(layer):
    size = sum(path.stat().st_size for path in layer.rglob("*") if path.is_file())

    print(f"{size / MEGABYTE:.0f} MB of the {QUOTA} that Lambda takes, functions included")
    assert size < 210 * MEGABYTE < QUOTA * MEGABYTE


def test_compiled_files_are_built_for_arm64(layer):
    machines = {
        int.from_bytes(path.read_bytes()[18:20], "little")
        for path in layer.rglob("*.so*")
        if path.read_bytes()[:4] == b"\x7fELF"
    }

    assert machines == {183}  # EM_AARCH64


def test_the_layer_has_the_locked_versions(layer):
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


def test_the_layer_contains_the_complete_library(layer):
    def files(root: Path) -> set[str]:
        return {
            str(path.relative_to(root))
            for path in root.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts and path.suffix not in (".c", ".so")
        }

    assert files(layer / "anc") == files(LIBRARY)


def test_the_layer_has_the_filter_kernel(layer):
    library = (layer / "anc" / "dsp" / "_kernel.so").read_bytes()

    assert b"anc_nlms_f32" in library


def test_the_hash_of_the_layer_ignores_the_kernel_of_this_machine():
    assert not [path for path in sources() if path.suffix == ".so"]
    assert LIBRARY / "dsp" / "kernel.c" in sources()


def test_the_layer_excludes_packages_of_the_runtime(layer):
    assert not {"boto3", "botocore", "pip"} & {path.name for path in layer.iterdir()}


def test_the_host_layer_has_another_hash_than_the_lambda_layer():
    assert layer_key("host") != layer_key("lambda")
    assert layer_key("lambda") == layer_key("lambda")


def test_the_host_layer_has_wheels_for_this_python(tmp_path, monkeypatch):
    monkeypatch.setattr(wheels, "KEPT", tmp_path)
    monkeypatch.setattr("subprocess.run", lambda command, check: Path(folder_of(command)).mkdir())
    used = wheels.requirements("host")
    assert wheels.requirements("host") == used
    monkeypatch.setattr(sys.implementation, "cache_tag", "cpython-399")
    assert wheels.requirements("host") != used


def folder_of(command: list[str]) -> str:
    return command[command.index("--target") + 1]


def test_layer_requirements_are_also_platform_requirements():
    stated = tomllib.loads(Path("pyproject.toml").read_text())
    assert set(stated["dependency-groups"]["layer"]) <= set(stated["project"]["dependencies"])
