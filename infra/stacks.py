"""All stacks of the platform and their dependencies."""

import aws_cdk as cdk

from infra.account import Account
from infra.api import Api
from infra.audit import Audit
from infra.console import Console
from infra.data import Data
from infra.environment import Environment
from infra.firewall import Edge
from infra.identity import Identity
from infra.inference import Inference
from infra.iot import Iot
from infra.monitoring import Monitoring
from infra.recordings import Recordings

# CDK feature flags, set here so that synthesis is the same without the CDK CLI.
FLAGS = {
    "@aws-cdk/aws-iam:minimizePolicies": True,
    "@aws-cdk/aws-s3:createDefaultLoggingPolicy": True,
    "@aws-cdk/aws-s3:serverAccessLogsUseBucketPolicy": True,
    "@aws-cdk/aws-apigateway:disableCloudWatchRole": True,
    "@aws-cdk/aws-lambda:recognizeLayerVersion": True,
    "@aws-cdk/core:defaultCrossStackReferences": "strong",
    "@aws-cdk/core:target-partitions": ["aws"],
}


def provision(app: cdk.App) -> list[cdk.Stack]:
    """Add all stacks to an app and return them in deployment order."""
    environment = Environment.of(app)
    prefix = f"anc-{environment.name}"
    account = Account(app, environment)
    data = Data(app, f"{prefix}-data", environment)
    identity = Identity(app, f"{prefix}-identity", environment)
    api = Api(app, f"{prefix}-api", environment, account, data, identity)
    iot = Iot(app, f"{prefix}-iot", environment, data, identity, api)
    recordings = Recordings(app, f"{prefix}-recordings", environment, data)
    functions = api.functions | iot.functions | recordings.functions
    monitoring = Monitoring(app, f"{prefix}-monitoring", environment, data, api, functions)
    audit = Audit(app, f"{prefix}-audit", environment, data)
    edge = Edge(app, f"{prefix}-edge", environment) if environment.guarded else None
    console = Console(app, f"{prefix}-console", environment, data, api, edge)
    stacks: list[cdk.Stack] = [data, identity, api, iot, recordings, monitoring, audit, console]
    if environment.endpoint != "none":
        inference = Inference(app, f"{prefix}-inference", environment, data.key)
        stacks.insert(2, inference)
        for dependent in (api, iot):
            dependent.add_stack_dependency(inference)
    if edge:
        stacks.insert(0, edge)
    for stack in stacks:
        cdk.Tags.of(stack).add("environment", environment.name)
    stacks.insert(0, account)
    for stack in stacks:
        cdk.Tags.of(stack).add("platform", "anc")
    return stacks
