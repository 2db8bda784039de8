"""The platform on the emulator: its addresses, logs and resources."""

import json
import ssl
import urllib.request
from collections.abc import Iterator
from typing import Any, NamedTuple, Self

import boto3

from infra.emulated.emulator import REGION, Emulator

STACKS = "anc-dev"


class Deployment(NamedTuple):
    """Addresses of the deployed platform, as paths on the emulator."""

    emulator: Emulator
    rest: str
    sockets: str
    pool: str

    @classmethod
    def of(cls, emulator: Emulator) -> Self:
        """Return the addresses from the outputs of the stacks."""
        outputs = {
            output["OutputKey"]: output["OutputValue"]
            for stack in client(emulator, "cloudformation").describe_stacks()["Stacks"]
            for output in stack.get("Outputs", [])
        }
        rest, sockets = (_api_and_stage(outputs[name]) for name in ("RestUrl", "SocketUrl"))
        return cls(
            emulator,
            f"https://{emulator.host}/restapis/{rest}/_user_request_",
            f"wss://{emulator.host}/_aws/execute-api/{sockets}",
            outputs["UserPool"],
        )

    def log_levels(self) -> dict[str, str]:
        """Return the log levels of the functions."""
        functions = client(self.emulator, "lambda").list_functions()["Functions"]
        environments = [function.get("Environment", {}).get("Variables", {}) for function in functions]
        name, level = "POWERTOOLS_SERVICE_NAME", "POWERTOOLS_LOG_LEVEL"
        return {variables[name]: variables[level] for variables in environments if name in variables}

    def expect_health(self) -> None:
        """Raise AssertionError unless the platform is healthy."""
        trust = ssl.create_default_context(cafile=self.emulator.certificate)
        with urllib.request.urlopen(f"{self.rest}/health", context=trust, timeout=300) as answer:  # noqa: S310
            health = json.loads(answer.read())
        if health["status"] != "ok":
            raise AssertionError(f"health after the update: {health}")

    def logged(self) -> Iterator[str]:
        """Yield the log messages of the functions."""
        logs = client(self.emulator, "logs")
        for group in logs.describe_log_groups()["logGroups"]:
            for event in logs.filter_log_events(logGroupName=group["logGroupName"])["events"]:
                yield f"{group['logGroupName']} {event['message'].rstrip()}\n"

    @staticmethod
    def left_behind(emulator: Emulator) -> list[str]:
        """Return the resources of the stacks that still exist."""
        queues = client(emulator, "sqs").list_queues().get("QueueUrls", [])
        functions = client(emulator, "lambda").list_functions()["Functions"]
        buckets = client(emulator, "s3").list_buckets()["Buckets"]
        return [
            *client(emulator, "dynamodb").list_tables()["TableNames"],
            *queues,
            *(function["FunctionName"] for function in functions),
            *(bucket["Name"] for bucket in buckets if not bucket["Name"].startswith("cdk-")),
        ]


def client(emulator: Emulator, service: str) -> Any:
    """Return a boto3 client for the emulator."""
    environment = emulator.environment
    return boto3.client(
        service,  # type: ignore[call-overload]
        region_name=REGION,
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        verify=str(emulator.certificate),
    )


def _api_and_stage(url: str) -> str:
    """Return `{api}/{stage}` of `https://{api}.execute-api.{region}.amazonaws.com/{stage}/`."""
    host, stage = url.rstrip("/").split("/")[2:4]
    return f"{host.split('.')[0]}/{stage}"
