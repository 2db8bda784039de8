"""Check what would make a deployment fail halfway: run `python -m infra.preflight -c env=dev`.

`make deploy` runs it first. It reads the account's quotas, and names what is missing and what to do.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from typing import Any

import aws_cdk as cdk
import boto3
from botocore.exceptions import ClientError

from infra.account import IOT_LOGS
from infra.account import STACK as ACCOUNT_STACK
from infra.environment import Environment
from infra.firewall import EDGE_REGION
from infra.indexing import with_fleet
from infra.inference import INSTANCE, INSTANCES, SERVERLESS_CONCURRENCY

BOOTSTRAPPED = "/cdk-bootstrap/hnb659fds/version"
# Words of the name of the quota that an endpoint needs, and how much of it.
ENDPOINT_QUOTAS = {
    "serverless": (("serverless", "total concurrency"), SERVERLESS_CONCURRENCY),
    "instance": ((f"{INSTANCE} for endpoint usage",), max(INSTANCES)),
}

Client = Callable[[str, str], Any]


def main() -> None:
    """Print what is missing, and exit with 1 if anything is."""
    parser = argparse.ArgumentParser(prog="python -m infra.preflight", description=__doc__)
    parser.add_argument("-c", "--context", action="append", default=[], metavar="KEY=VALUE")
    context = dict(setting.split("=", 1) for setting in parser.parse_args().context)
    environment = Environment.of(cdk.App(context=context))
    missing = list(missing_for(environment, _client))
    print(*missing or ["The account is ready."], sep="\n")
    sys.exit(1 if missing else 0)


def _client(service: str, region: str) -> Any:
    return boto3.client(service, region_name=region)  # type: ignore[call-overload]


def missing_for(environment: Environment, client: Client) -> Iterator[str]:
    """Yield a sentence for each prerequisite that the account lacks."""
    regions = [environment.region, *([EDGE_REGION] if environment.guarded else [])]
    for region in regions:
        ssm = client("ssm", region)
        if not ssm.get_parameters(Names=[BOOTSTRAPPED])["Parameters"]:
            yield f"CDK is not set up in {region}: run make bootstrap ENV={environment.name}"
    limit = client("lambda", environment.region).get_account_settings()["AccountLimit"]
    if limit["ConcurrentExecutions"] < environment.concurrency.quota:
        yield (
            f"Lambda may run {limit['ConcurrentExecutions']} executions at a time; this deployment is for "
            f"{environment.concurrency.quota}: request an increase, or pass -c concurrency="
            f"{limit['ConcurrentExecutions']}"
        )
    if environment.endpoint in ENDPOINT_QUOTAS:
        yield from _missing_for_endpoint(client("service-quotas", environment.region), environment.endpoint)
    try:
        iot = client("iot", environment.region)
        with_fleet(iot.get_indexing_configuration().get("thingIndexingConfiguration", {}))
    except ValueError as fault:  # found after the deployment, it would leave the console unpublished
        yield f"{fault} (python -m infra.indexing --region {environment.region})"
    logs, stacks = client("logs", environment.region), client("cloudformation", environment.region)
    groups = logs.describe_log_groups(logGroupNamePrefix=IOT_LOGS)["logGroups"]
    if groups and not _exists(stacks, ACCOUNT_STACK):
        yield (
            f"The log group {IOT_LOGS} exists, but not in the stack {ACCOUNT_STACK}: "
            f"delete it with aws logs delete-log-group --log-group-name {IOT_LOGS}"
        )


def _missing_for_endpoint(quotas: Any, endpoint: str) -> Iterator[str]:
    words, needed = ENDPOINT_QUOTAS[endpoint]
    for page in quotas.get_paginator("list_service_quotas").paginate(ServiceCode="sagemaker"):
        for quota in page["Quotas"]:
            name = quota["QuotaName"].lower()
            if all(word in name for word in words) and quota["Value"] < needed:
                yield (
                    f"The quota {quota['QuotaCode']}, {quota['QuotaName']}, is {quota['Value']:g}, and the "
                    f"endpoint takes {needed}: request an increase, or pass -c endpoint=none"
                )


def _exists(cloudformation: Any, stack: str) -> bool:
    try:
        cloudformation.describe_stacks(StackName=stack)
    except ClientError as fault:
        if "does not exist" not in str(fault):
            raise
        return False
    return True


if __name__ == "__main__":
    main()
