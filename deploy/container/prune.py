"""`python prune.py SITE_PACKAGES`: delete what the platform does not use from the image.

This halves it: descriptions of AWS services that nothing calls, tests, sources of compiled modules, and pip.
"""

import shutil
import sys
from pathlib import Path

# Each is a client of `anc.aws.clients` or of a command with `--stacks`.
SERVICES = {
    "apigatewaymanagementapi",
    "cloudformation",
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
UNUSED = ("*.pyi", "*.pyx", "*.pxd", "*.h", "*.a", "*.c")
PACKAGES = ("pip", "pip-*.dist-info")


def prune(installed: Path) -> None:
    """Delete what is not used from a folder of installed packages."""
    services = [path for path in (installed / "botocore" / "data").iterdir() if path.is_dir()]
    folders = [path for path in services if path.name not in SERVICES]
    folders += [path for path in installed.rglob("tests") if path.is_dir()]
    folders += [path for pattern in PACKAGES for path in installed.glob(pattern)]
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)  # one may be in another
    for pattern in UNUSED:
        for path in installed.rglob(pattern):
            path.unlink()


if __name__ == "__main__":
    prune(Path(sys.argv[1]))
