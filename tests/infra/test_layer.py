"""The content, platform and size of the Lambda layers."""

import re
import sys
import tomllib
from pathlib import Path

import pytest

from anc.aws import clients
from infra import wheels
from infra.layer import LIBRARY, PARTS, Part, build_layer, layer_key, sources

ROOT = Path(__file__).parents[2]
MEGABYTE = 1_000_000
QUOTA = 250  # of a function and its layers, unpacked. Source: Lambda quotas


MAX_BASE, MAX_BOTH = 100, 215


@pytest.fixture(scope="session")
def layers(tmp_path_factory: pytest.TempPathFactory) -> dict[Part, Path]:
    folders = {part: tmp_path_factory.mktemp(part) for part in PARTS}
    for part, folder in folders.items():
        build_layer(part, "lambda", folder)
    return {part: folder / "python" for part, folder in folders.items()}


@pytest.mark.thorough
def test_the_layers_are_within_the_size_limits(layers):
    sizes = {
        part: sum(path.stat().st_size for path in layer.rglob("*") if path.is_file()) / MEGABYTE
        for part, layer in layers.items()
    }

    print(f"{sizes} MB of the {QUOTA} that Lambda takes, functions included")
    assert sizes["base"] < MAX_BASE
    assert sum(sizes.values()) < MAX_BOTH < QUOTA


def test_no_file_is_in_both_layers(layers):
    base, sound = ({path.name for path in layer.iterdir()} for layer in layers.values())

    assert not base & sound
    assert sound >= {"av", "PIL", "soundfile.py"}


def test_compiled_files_are_built_for_arm64(layers):
    machines = {
        int.from_bytes(path.read_bytes()[18:20], "little")
        for layer in layers.values()
        for path in layer.rglob("*.so*")
        if path.read_bytes()[:4] == b"\x7fELF"
    }

    assert machines == {183}  # EM_AARCH64


def test_the_layers_have_the_locked_versions(layers):
    locked = {
        line.split("==")[0].replace("-", "_").lower(): line.split("==")[1].split()[0]
        for line in (ROOT / "requirements" / "layer.txt").read_text().splitlines()
        if "==" in line
    }
    installed = {
        name.lower(): version
        for name, version in (
            path.name.removesuffix(".dist-info").split("-", 1)
            for layer in layers.values()
            for path in layer.glob("*.dist-info")
        )
    }

    assert installed == {name: locked[name] for name in installed}
    assert {"numpy", "msgspec", "pydantic", "soundfile"} <= set(installed)


def test_the_base_layer_contains_the_complete_library(layers):
    def files(root: Path) -> set[str]:
        return {
            str(path.relative_to(root))
            for path in root.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts and path.suffix not in (".c", ".so")
        }

    assert files(layers["base"] / "anc") == files(LIBRARY)


def test_the_base_layer_has_the_filter_kernel(layers):
    library = (layers["base"] / "anc" / "dsp" / "_kernel.so").read_bytes()

    assert b"anc_nlms_f32" in library


def test_the_hash_of_the_layer_ignores_the_kernel_of_this_machine():
    assert not [path for path in sources() if path.suffix == ".so"]
    assert LIBRARY / "dsp" / "kernel.c" in sources()


def test_the_layers_exclude_packages_that_no_function_uses(layers):
    for layer in layers.values():
        assert not {"pip", "setuptools", "scipy", "sklearn"} & {path.name for path in layer.iterdir()}


def test_the_host_layer_has_another_hash_than_the_lambda_layer():
    keys = [layer_key(part, target) for part in PARTS for target in ("host", "lambda")]
    assert len(set(keys)) == len(keys)
    assert layer_key("base", "lambda") == layer_key("base", "lambda")


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
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert set(stated["dependency-groups"]["layer"]) <= set(stated["project"]["dependencies"])


def test_the_base_layer_has_the_services_that_the_functions_use_and_a_boto3_of_its_own(layers):
    base = layers["base"]
    used = set(re.findall(r'(?:client|_storage)\(\s*"([\w-]+)"', Path(clients.__file__).read_text()))
    described = {path.name for path in (base / "botocore" / "data").iterdir() if path.is_dir()}

    assert used == described
    assert (base / "boto3" / "__init__.py").exists()
