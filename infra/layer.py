"""The Lambda layer of all functions: the locked requirements and `anc`, built without Docker."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import aws_cdk as cdk
import jsii
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.wheels import PYTHON, REQUIREMENTS, ROOT, requirements

LIBRARY = ROOT / "layers" / "dsp" / "python" / "anc"

RUNTIME = lambda_.Runtime(f"python{PYTHON}", lambda_.RuntimeFamily.PYTHON)
ARCHITECTURE = lambda_.Architecture.ARM_64
UNUSED = shutil.ignore_patterns("__pycache__", "*.pyi", "tests", "*.pyx", "*.pxd", "*.h", "*.a")
NOT_SHIPPED = shutil.ignore_patterns("__pycache__", "*.c", "*.so")  # *.so: the kernel of this machine
KERNEL_CACHE = ROOT / "build" / "zig"
COMPILER_TARGETS = {"lambda": "aarch64-linux-gnu.2.34", "host": "native"}


class DspLayer(lambda_.LayerVersion):
    """A layer version. Each stack has its own, because an export in use cannot be changed."""

    def __init__(self, scope: Construct, id: str, target: str) -> None:
        code = lambda_.Code.from_asset(
            str(LIBRARY.parent),
            asset_hash=layer_key(target),
            asset_hash_type=cdk.AssetHashType.CUSTOM,
            bundling=cdk.BundlingOptions(
                image=cdk.DockerImage.from_registry("never-used"),
                local=_Bundle(target),
            ),
        )
        super().__init__(
            scope,
            id,
            code=code,
            description="anc and its requirements",
            compatible_runtimes=[RUNTIME],
            compatible_architectures=[ARCHITECTURE],
        )


def layer_key(target: str) -> str:
    """Return a hash of the layer's inputs: requirements, sources, platform, and this file."""
    digest = hashlib.sha256(f"{target} {sys.version if target == 'host' else RUNTIME.name}".encode())
    for path in (REQUIREMENTS, Path(__file__), Path(__file__).with_name("wheels.py"), *sources()):
        digest.update(f"{path.relative_to(ROOT)} {path.stat().st_size}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def build_layer(target: str, output: Path) -> None:
    """Write the layer's files, as below /opt on Lambda, to a folder."""
    shutil.copytree(requirements(target), output / "python", ignore=UNUSED, dirs_exist_ok=True)
    shutil.copytree(LIBRARY, output / "python" / "anc", ignore=NOT_SHIPPED)
    build_kernel(target, output / "python" / "anc" / "dsp" / "_kernel.so")


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
    def __init__(self, target: str) -> None:
        self._target = target

    def try_bundle(self, output_dir: str, options: cdk.BundlingOptions) -> bool:
        """Build the layer locally."""
        build_layer(self._target, Path(output_dir))
        return True
