"""`python prune.py SITE_PACKAGES`: delete what the platform does not use from the image.

This halves the size: descriptions of AWS services that nothing calls, tests, sources of compiled modules,
symbols for debuggers, codecs of video, and pip. It needs gcc and binutils.
"""

import shutil
import subprocess
import sys
from pathlib import Path

# Each is a client of `anc.aws.clients` or of a command with `--stacks`.
SERVICES = {
    "apigatewaymanagementapi",
    "cloudformation",
    "cloudwatch",
    "cognito-idp",
    "dynamodb",
    "iot",
    "iot-data",
    "logs",
    "s3",
    "sagemaker-runtime",
    "sns",
    "sqs",
}
UNUSED = (
    *("*.pyi", "*.pyx", "*.pxd", "*.h", "*.a", "*.c"),
    # Pillow draws PNG files, without color profiles.
    *("PIL/_avif*", "pillow.libs/libavif-*", "PIL/_imagingcms*", "pillow.libs/liblcms2-*"),
    *("numpy/_core/_simd.*.so", "numpy/_core/_*_tests.*.so"),
)
FOLDERS = ("pip", "pip-*.dist-info", "numpy/f2py")
# Libraries that FFmpeg loads, and calls for video only.
VIDEO = ("libx265-*", "libSvtAv1Enc-*", "libvpx-*", "libx264-*", "libdav1d-*")
LEXERS = {"__init__.py", "_mapping.py", "python.py"}  # of pygments; rich highlights exceptions with it


def prune(installed: Path) -> None:
    """Delete what is not used from a folder of installed packages."""
    services = [path for path in (installed / "botocore" / "data").iterdir() if path.is_dir()]
    folders = [path for path in services if path.name not in SERVICES]
    folders += [path for path in installed.rglob("tests") if path.is_dir()]
    folders += [path for pattern in FOLDERS for path in installed.glob(pattern)]
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)  # one may be in another
    files = [path for pattern in UNUSED for path in installed.rglob(pattern)]
    files += [path for path in installed.glob("pygments/lexers/*.py") if path.name not in LEXERS]
    for path in files:
        path.unlink(missing_ok=True)  # two patterns may name it


def replace_video(installed: Path) -> None:
    """Replace the largest codecs of video by libraries of the same names whose functions return 0.

    FFmpeg does not load without them, and asks them what they can do. `anc.audio.ffmpeg` opens decoders of
    sound only.
    """
    libraries = installed / "av.libs"
    (ffmpeg,) = libraries.glob("libavcodec-*")
    called = set(_output("nm", "-D", "-P", "--undefined-only", ffmpeg).split())
    for codec in [path for pattern in VIDEO for path in libraries.glob(pattern)]:
        exported = _output("nm", "-D", "-P", "--defined-only", codec).split()
        source = "".join(f"void *{name}(void) {{ return 0; }}\n" for name in called & set(exported))
        options = ["-shared", "-nostdlib", f"-Wl,-soname,{codec.name}", "-o", codec]
        subprocess.run(["gcc", *options, "-x", "c", "-"], input=source, text=True, check=True)


def strip(installed: Path) -> None:
    """Remove symbols for debuggers from compiled modules and libraries."""
    for path in installed.rglob("*.so*"):
        subprocess.run(["strip", "--strip-unneeded", path], check=True)


def _output(*command: str | Path) -> str:
    return subprocess.check_output(command, text=True)


if __name__ == "__main__":
    prune(Path(sys.argv[1]))
    strip(Path(sys.argv[1]))
    replace_video(Path(sys.argv[1]))
