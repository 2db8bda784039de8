"""The Lambda layers: the locked requirements and `anc`, built without Docker."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import aws_cdk as cdk
import jsii
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.wheels import PYTHON, REQUIREMENTS, ROOT, requirements

LIBRARY = ROOT / "layers" / "dsp" / "python" / "anc"

RUNTIME = lambda_.Runtime(f"python{PYTHON}", lambda_.RuntimeFamily.PYTHON)
ARCHITECTURE = lambda_.Architecture.ARM_64
Part = Literal["base", "sound"]
PARTS: tuple[Part, ...] = get_args(Part)
SOUND_PACKAGES = ("av", "pillow", "soundfile")
DESCRIPTIONS = {"base": "anc and its requirements", "sound": "decoders of sound files, drawing of reports"}
PATTERNS = shutil.ignore_patterns("__pycache__", "*.pyi", "tests", "*.pyx", "*.pxd", "*.h", "*.a")
# What `anc.aws.clients` uses. botocore describes 400 more services, a third of the layer.
SERVICES = {
    "apigatewaymanagementapi",
    "cloudwatch",
    "cognito-idp",
    "dynamodb",
    "iot",
    "iot-data",
    "s3",
    "sagemaker-runtime",
    "sns",
    "sqs",
}
NOT_SHIPPED = shutil.ignore_patterns("__pycache__", "*.c", "*.so")  # *.so: the kernel of this machine
KERNEL_CACHE = ROOT / "build" / "zig"
COMPILER_TARGETS = {"lambda": "aarch64-linux-gnu.2.34", "host": "native"}


class Layers(NamedTuple):
    """The layers of a stack's functions. Each stack has its own, because an export in use cannot be changed.

    Attributes
    ----------
    base : LayerVersion
        `anc` and what every function needs.
    sound : LayerVersion
        Libraries that decode sound files and draw reports: more than half of all bytes. It is without `anc`,
        so it changes with the lock file only.
    """

    base: lambda_.LayerVersion
    sound: lambda_.LayerVersion


def layers(scope: Construct, target: str) -> Layers:
    """Add both layers to a stack, built for "lambda" or for this "host"."""
    return Layers(*(_layer(scope, part, target) for part in PARTS))


def layer_key(part: Part, target: str) -> str:
    """Return a hash of a layer's inputs: requirements, sources, platform, and this file."""
    digest = hashlib.sha256(f"{part} {target} {sys.version if target == 'host' else RUNTIME.name}".encode())
    own = sources() if part == "base" else []
    for path in (REQUIREMENTS, Path(__file__), Path(__file__).with_name("wheels.py"), *own):
        digest.update(f"{path.relative_to(ROOT)} {path.stat().st_size}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def build_layer(part: Part, target: str, output: Path) -> None:
    """Write a layer's files, as below /opt on Lambda, to a folder."""
    installed, python = requirements(target), output / "python"
    of_sound = {entry for package in SOUND_PACKAGES for entry in _entries_of(installed, package)}
    others = {path.name for path in installed.iterdir()} - of_sound
    for name in sorted(of_sound if part == "sound" else others):
        if (installed / name).is_dir():
            shutil.copytree(installed / name, python / name, ignore=_unused)
        else:
            python.mkdir(parents=True, exist_ok=True)
            shutil.copy2(installed / name, python)
    if part == "base":
        shutil.copytree(LIBRARY, python / "anc", ignore=NOT_SHIPPED)
        build_kernel(target, python / "anc" / "dsp" / "_kernel.so")


def _unused(folder: str, names: list[str]) -> set[str]:
    """Return what of a folder is left out of the layers."""
    left_out = set(PATTERNS(folder, names))
    if Path(folder).parts[-2:] == ("botocore", "data"):
        left_out |= {name for name in names if "." not in name and name not in SERVICES}
    return left_out


def _entries_of(installed: Path, package: str) -> set[str]:
    """Return the files and folders of an installed package."""
    (record,) = installed.glob(f"{package}-*.dist-info/RECORD")
    paths = {Path(line.split(",")[0]).parts[0] for line in record.read_text().splitlines()}
    return {name for name in paths if name not in ("..", "bin", "__pycache__")}


def _layer(scope: Construct, part: Part, target: str) -> lambda_.LayerVersion:
    return lambda_.LayerVersion(
        scope,
        "layer" if part == "base" else f"{part}_layer",
        code=lambda_.Code.from_asset(
            str(LIBRARY.parent),
            asset_hash=layer_key(part, target),
            asset_hash_type=cdk.AssetHashType.CUSTOM,
            bundling=cdk.BundlingOptions(
                image=cdk.DockerImage.from_registry("never-used"),
                local=_Bundle(part, target),
            ),
        ),
        description=DESCRIPTIONS[part],
        compatible_runtimes=[RUNTIME],
        compatible_architectures=[ARCHITECTURE],
    )


def build_kernel(target: str, output: Path) -> None:
    """Compile the filter kernel for Lambda's processor, or for this machine."""
    compiler = f"{sys.executable} -m ziglang cc -target {COMPILER_TARGETS[target]}"
    environment = {
        **os.environ,
        "CC": compiler,
        "LDSHARED": f"{compiler} -shared -s",
        "ZIG_GLOBAL_CACHE_DIR": str(KERNEL_CACHE),
        "ZIG_LOCAL_CACHE_DIR": str(KERNEL_CACHE),
    }
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "setup.py", "-q", "build_ext"]
        command += ["--build-lib", folder, "--build-temp", f"{folder}/objects"]
        subprocess.run(command, check=True, cwd=ROOT, env=environment)  # noqa: S603
        (built,) = Path(folder).rglob("_kernel*.so")
        shutil.copyfile(built, output)


def sources() -> list[Path]:
    """Return the files of this repository from which the layer is built."""
    return sorted(
        path
        for path in [*LIBRARY.rglob("*"), ROOT / "setup.py"]
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".so"
    )


@jsii.implements(cdk.ILocalBundling)
class _Bundle:
    def __init__(self, part: Part, target: str) -> None:
        self._part: Part = part
        self._target = target

    def try_bundle(self, output_dir: str, options: cdk.BundlingOptions) -> bool:
        """Build the layer locally."""
        build_layer(self._part, self._target, Path(output_dir))
        return True
