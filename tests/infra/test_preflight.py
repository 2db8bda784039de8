"""What an account lacks is named before a deployment, with the command that provides it."""

import re
from types import SimpleNamespace

import pytest
from aws_cdk import App
from botocore.exceptions import ClientError

from infra.environment import Environment
from infra.preflight import BOOTSTRAPPED, missing_for

READY = {
    "bootstrapped": ("eu-central-1", "us-east-1"),
    "executions": 1000,
    "serverless": 10.0,
    "instances": 4.0,
    "indexed": [],
    "groups": ["AWSIotLogsV2"],
    "stacks": ["anc-account"],
}


def missing(context=(), **differences):
    """Return what is reported for an account that differs from one that is ready."""
    account = SimpleNamespace(**READY | differences)
    names = {
        "Maximum total concurrency that can be allocated across all serverless endpoints": account.serverless,
        "ml.m5.large for endpoint usage": account.instances,
        "ml.m5.large for notebook instance usage": 0.0,
    }
    quotas = [
        {"QuotaName": name, "QuotaCode": f"L-{number}", "Value": value}
        for number, (name, value) in enumerate(names.items(), 1)
    ]
    fields = [{"name": name, "type": "String"} for name in account.indexed]

    def describe_stacks(StackName):
        if StackName not in account.stacks:
            fault = {"Code": "ValidationError", "Message": f"Stack with id {StackName} does not exist"}
            raise ClientError({"Error": fault}, "DescribeStacks")

    def client(service, region):
        known = [{"Name": BOOTSTRAPPED}] if region in account.bootstrapped else []
        return SimpleNamespace(
            get_parameters=lambda Names: {"Parameters": known},
            get_account_settings=lambda: {"AccountLimit": {"ConcurrentExecutions": account.executions}},
            describe_log_groups=lambda **_: {"logGroups": account.groups},
            describe_stacks=describe_stacks,
            get_paginator=lambda _: SimpleNamespace(paginate=lambda ServiceCode: [{"Quotas": quotas}]),
            get_indexing_configuration=lambda: {"thingIndexingConfiguration": {"customFields": fields}},
        )

    return list(missing_for(Environment.of(App(context=dict(context))), client))


@pytest.mark.parametrize(
    "context", [{}, {"env": "prod"}, {"endpoint": "none"}, {"endpoint": "instance"}], ids=str
)
def test_an_account_with_everything_is_ready(context):
    assert missing(context) == []


def test_a_new_account_is_ready_for_dev():
    assert missing(executions=10, groups=[], stacks=[]) == []


@pytest.mark.parametrize(
    ("context", "differences", "named"),
    [
        ({}, {"bootstrapped": ()}, "eu-central-1: run make bootstrap ENV=dev"),
        ({"env": "prod"}, {"bootstrapped": ("eu-central-1",)}, "us-east-1: run make bootstrap ENV=prod"),
        ({"env": "prod"}, {"executions": 10}, "pass -c concurrency=10"),
        ({}, {"serverless": 0.0}, "L-1, .* pass -c endpoint=none"),
        ({"endpoint": "instance"}, {"instances": 0.0}, "L-2, .* takes 4: .* pass -c endpoint=none"),
        ({}, {"indexed": ["attributes.colour"]}, "custom fields.*python -m infra.indexing --region"),
        ({}, {"stacks": []}, "delete-log-group --log-group-name AWSIotLogsV2"),
    ],
)
def test_what_is_missing_is_named_with_the_remedy(context, differences, named):
    (sentence,) = missing(context, **differences)

    assert re.search(named, sentence)
