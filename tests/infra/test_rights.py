"""Each function may do what it does, and nothing else."""

from collections import defaultdict
from typing import get_args

import pytest

from anc.aws import world
from functions.routes import FUNCTIONS, QUEUES
from infra.data import Table

KEY = {"kms:DescribeKey", "kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"}
COUNT = {"dynamodb:UpdateItem"}
CONSUME = {f"sqs:{verb}" for verb in ("ReceiveMessage", "ChangeMessageVisibility", "GetQueueUrl")}
CONSUME |= {"sqs:DeleteMessage", "sqs:GetQueueAttributes"}

# Function: what it may do, to what. A table is named by its own name, its index by `name/by_group`, files by
# their prefix.
RIGHTS = {
    "authorizer": {"api_keys": {"dynamodb:GetItem"}},
    "classifier": {
        "limits": {"dynamodb:UpdateItem"},
        "opinions": CONSUME,
        "controls": {"dynamodb:GetItem", "dynamodb:PutItem"},
        "updates": {"sqs:SendMessage"},
    },
    "ws_connect": {"connections": {"dynamodb:PutItem"}},
    "ws_disconnect": {
        "connections": {"dynamodb:GetItem", "dynamodb:DeleteItem"},
        "watches": {"dynamodb:DeleteItem"},
    },
    "audio_receiver": {
        "streams": {f"dynamodb:{verb}Item" for verb in ("Get", "BatchGet", "Put", "Delete")},
        "streams/by_group": {"dynamodb:Query"},
        "connections": {"dynamodb:GetItem", "dynamodb:PutItem"},
        "watches": {"dynamodb:BatchGetItem", "dynamodb:PutItem"},
        "watches/by_group": {"dynamodb:Query"},
        "devices": {"dynamodb:GetItem"},
        "emergencies": {"dynamodb:PutItem"},
        "alerts": {"sns:Publish"},
    },
    "rest_api": {
        "streams": {f"dynamodb:{verb}Item" for verb in ("Get", "BatchGet", "Put", "Delete")},
        "streams/by_group": {"dynamodb:Query"},
        "devices": {f"dynamodb:{verb}Item" for verb in ("Get", "BatchGet", "Put", "Delete")},
        "devices/by_group": {"dynamodb:Query"},
        "device_models": {f"dynamodb:{verb}Item" for verb in ("Get", "BatchGet", "Put", "Delete")},
        "device_models/by_group": {"dynamodb:Query"},
        "controls": {f"dynamodb:{verb}Item" for verb in ("Get", "Put", "Delete")},
        "telemetry": {f"dynamodb:{verb}Item" for verb in ("Get", "Put", "Delete")},
        "history": {"dynamodb:BatchGetItem", "dynamodb:PutItem"},
        "history/by_group": {"dynamodb:Query"},
        "statuses": {"dynamodb:GetItem", "dynamodb:DeleteItem"},
        "api_keys": {f"dynamodb:{verb}Item" for verb in ("Get", "BatchGet", "Put", "Delete")},
        "api_keys/by_group": {"dynamodb:Query"},
        "emergencies": {"dynamodb:BatchGetItem"},
        "emergencies/by_group": {"dynamodb:Query"},
        "jobs": {f"dynamodb:{verb}Item" for verb in ("Get", "BatchGet", "Put", "Delete")},
        "jobs/by_group": {"dynamodb:Query"},
        "uploads": {f"s3:{verb}Object" for verb in ("Get", "Put", "Delete")}
        | {"s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"},
        "results": {"s3:GetObject", "s3:DeleteObject", "s3:AbortMultipartUpload"},
        "work": {"s3:DeleteObject"},
        "objects": {"s3:ListBucket"},
        "counters": {"dynamodb:GetItem"},
        "limits": {"dynamodb:UpdateItem"},
        "updates": {"sqs:SendMessage"},
        "people": {
            f"cognito-idp:{verb}"
            for verb in (
                "AdminInitiateAuth",
                "AdminGetUser",
                "AdminCreateUser",
                "AdminSetUserPassword",
                "AdminDeleteUser",
                "AdminListGroupsForUser",
                "AdminAddUserToGroup",
                "AdminRemoveUserFromGroup",
                "ListUsers",
                "ListUsersInGroup",
            )
        },
        "any thing": {
            f"iot:{verb}"
            for verb in (
                "CreateThing",
                "DeleteThing",
                "ListThingPrincipals",
                "AttachThingPrincipal",
                "DetachThingPrincipal",
            )
        },
        "any certificate": {
            f"iot:{verb}"
            for verb in (
                "UpdateCertificate",
                "AttachPolicy",
                "DetachPolicy",
                "AttachThingPrincipal",
                "DetachThingPrincipal",
            )
        },
        "any client": {"iot:DeleteConnection"},
        "any shadow `anc`": {"iot:GetThingShadow", "iot:DeleteThingShadow"},
        "anything": {"iot:CreateKeysAndCertificate", "iot:DescribeEndpoint"},
    },
    "anc_processor": {
        "snapshots": CONSUME,
        "recordings": CONSUME | {"sqs:SendMessage"},
        "opinions": {"sqs:SendMessage"},
        "jobs": {"dynamodb:GetItem", "dynamodb:PutItem"},
        "uploads": {"s3:GetObject", "s3:DeleteObject"},
        "work": {"s3:GetObject", "s3:PutObject", "s3:DeleteObject"},
        "results": {"s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"},
        "objects": {"s3:ListBucket"},
        "devices": {"dynamodb:GetItem"},
        "controls": {"dynamodb:GetItem", "dynamodb:PutItem"},
        "reports": CONSUME,
        "telemetry": {"dynamodb:GetItem", "dynamodb:PutItem"},
        "history": {"dynamodb:PutItem"},
        "statuses": {"dynamodb:GetItem", "dynamodb:PutItem"},
        "fleets": {"dynamodb:GetItem", "dynamodb:PutItem"},
        "updates": {"sqs:SendMessage"},
        "emergencies": {"dynamodb:PutItem"},
        "alerts": {"sns:Publish"},
    },
    "audio_sender": {
        "updates": CONSUME,
        "controls": {"dynamodb:GetItem"},
        "watches": {"dynamodb:BatchGetItem", "dynamodb:DeleteItem"},
        "watches/by_group": {"dynamodb:Query"},
        "jobs": {"dynamodb:GetItem"},
        "connections": {"dynamodb:BatchGetItem", "dynamodb:DeleteItem"},
        "connections/by_group": {"dynamodb:Query"},
        "any socket": {"execute-api:ManageConnections"},
        "any shadow `anc`": {"iot:UpdateThingShadow"},
    },
}
WHERE = {
    "thing/*": "any thing",
    "thing/*/anc": "any shadow `anc`",
    "cert/*": "any certificate",
    "client/*": "any client",
    "*": "anything",
}
QUEUE_NAMES = {route.name for route in QUEUES}


def rights_of(stacks, function):
    """Return what the function's role may do, to what; without its own log, checked apart."""
    role = stacks.text(stacks.functions()[function]["Role"])
    found = defaultdict(set)
    for policy in stacks.of_type("AWS::IAM::Policy").values():
        if role not in map(stacks.text, policy["Roles"]):
            continue
        for statement in policy["PolicyDocument"]["Statement"]:
            actions, resources = statement["Action"], statement["Resource"]
            for resource in resources if isinstance(resources, list) else [resources]:
                found[named(stacks.text(resource))] |= {actions} if isinstance(actions, str) else {*actions}
    return dict(found)


def named(resource):
    """Return a resource of the stacks in the words of RIGHTS."""
    if "execute-api" in resource:
        return "any socket" if resource.endswith("/POST/@connections/*") else resource
    for pattern, word in WHERE.items():
        if resource == pattern or (pattern != "*" and resource.endswith(f":{pattern}")):
            return word
    if any(resource.startswith(f"{function.replace('_', '')}log") for function in FUNCTIONS):
        return "own log"
    if resource.startswith("objects") and resource.endswith("/*"):
        return resource.split("/")[1]
    for name in (*get_args(Table), *QUEUE_NAMES, "objects", "alerts", "key", "people"):
        if resource.startswith(name.replace("_", "")):
            return f"{name}/by_group" if resource.endswith("/index/by_group") else name
    return resource


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_may_do_what_it_does_and_nothing_else(stacks, function):
    found = rights_of(stacks, function)

    assert found.pop("own log") == {"logs:CreateLogStream", "logs:PutLogEvents"}
    assert found.pop("key", set()) <= KEY
    assert found == RIGHTS[function] | {"counters": RIGHTS[function].get("counters", set()) | COUNT}


def test_every_function_has_a_role_of_its_own_and_no_managed_policy(stacks):
    roles = [stacks.text(function["Role"]) for function in stacks.functions().values()]

    assert len(set(roles)) == len(FUNCTIONS)
    for role in roles:
        assert "ManagedPolicyArns" not in stacks.of_type("AWS::IAM::Role")[role]


def test_the_key_is_used_by_the_services_that_hold_the_data_in_a_functions_name(stacks):
    uses = [
        statement
        for policy in stacks.of_type("AWS::IAM::Policy").values()
        for statement in policy["PolicyDocument"]["Statement"]
        if "kms:Encrypt" in statement["Action"]
    ]

    assert uses
    assert all("kms:ViaService" in statement["Condition"]["StringEquals"] for statement in uses)


def test_every_name_that_a_function_is_told_is_one_that_its_world_asks_for(stacks, monkeypatch):
    asked = set()

    class Environment(dict):
        def get(self, name, default=None):
            asked.add(name)
            return default

    monkeypatch.setattr(world.os, "environ", Environment())
    world.world.__wrapped__()

    for name, function in stacks.functions().items():
        told = {key for key in function["Environment"]["Variables"] if not key.startswith("POWERTOOLS_")}
        assert told <= asked, f"{name} is told {told - asked}, which nobody reads"


def test_a_function_is_told_the_name_of_every_table_that_it_may_use(stacks):
    for name, function in stacks.functions().items():
        tables = {word.partition("/")[0] for word in rights_of(stacks, name)} & set(get_args(Table))
        told = function["Environment"]["Variables"]
        for table in tables:
            assert stacks.text(told[f"{table.upper()}_TABLE"]).startswith(table.replace("_", ""))
