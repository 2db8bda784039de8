"""A platform on one machine starts without modules that it does not need."""

import subprocess
import sys

START = """
import sys
import tools.cli.main
import local.server
with tools.cli.main.platform_errors():
    list(map(local.server._handler, local.server.FUNCTIONS))
print(*sys.modules)
"""
SLOW = {
    "aws_lambda_powertools.event_handler.openapi.models",
    "boto3",
    "botocore.session",
    "httpx",
    "iot",
    "matplotlib",
    "opentelemetry",
    "scipy",
    "simulation",
    "sklearn",
    "torch",
    "training.commands",
}


def test_a_start_imports_no_slow_module_that_most_platforms_never_use() -> None:
    done = subprocess.run([sys.executable, "-c", START], capture_output=True, text=True, check=True)
    imported = set(done.stdout.split())
    assert {"anc.services.sound.detection", "functions.rest_api.handler"} <= imported
    assert not SLOW & imported
