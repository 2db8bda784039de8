"""Each function has exactly the permissions that it uses; missing and unused ones fail."""

from collections import defaultdict
from itertools import product

import pytest

from anc.aws import dependencies
from anc.tables import TABLE_NAMES, variable
from functions.routes import FUNCTIONS, QUEUES, RULES
from tests.infra.scenarios import ENDPOINT_SCENARIOS, SCENARIOS, run

KEY = {"kms:DescribeKey", "kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"}
TRACE = {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}
CONSUME = {f"sqs:{verb}" for verb in ("ReceiveMessage", "ChangeMessageVisibility", "GetQueueUrl")}
CONSUME |= {"sqs:DeleteMessage", "sqs:GetQueueAttributes"}

# Source: Service Authorization Reference; "Resource types" of these is empty.
NAMELESS = TRACE | {"iot:CreateKeysAndCertificate", "iot:DescribeEndpoint", "ecr:GetAuthorizationToken"}
NAMELESS |= {"cloudwatch:GetMetricData"}
WHERE = {
    "thing/*": "any thing",
    "thing/*/anc": "any shadow `anc`",
    "thing/*/fleet": "any shadow `fleet`",
    "job/anc-dev-*": "any job of the environment",
    "index/AWS_Things": "the fleet index",
    "cert/*": "any certificate",
    "client/*": "any client",
    "endpoint/anc-dev": "anc-dev",
    "*": "anything",
}
DEPLOYERS = ("livegroup", "ancprocessorlivegroup", "audiosenderlivegroup")  # roles of gradual deployments
QUEUE_NAMES = {route.name for route in QUEUES}


def policies(stacks):
    """Return all policies; CDK moves what is too large for an inline policy of a role into a managed one."""
    return [*stacks.of_type("AWS::IAM::Policy").values(), *stacks.of_type("AWS::IAM::ManagedPolicy").values()]


def rights_of(stacks, function):
    """Return the permissions of a function's role, without its log, which is checked separately."""
    role = stacks.text(stacks.functions()[function]["Role"])
    found = defaultdict(set)
    for policy in policies(stacks):
        if role not in map(stacks.text, policy["Roles"]):
            continue
        for statement in policy["PolicyDocument"]["Statement"]:
            actions, resources = statement["Action"], statement["Resource"]
            for resource in resources if isinstance(resources, list) else [resources]:
                found[named(stacks.text(resource))] |= {actions} if isinstance(actions, str) else {*actions}
    return dict(found)


def named(resource):
    """Return a resource of the stacks as RIGHTS names it."""
    if "execute-api" in resource:
        sockets = {"POST": "any socket", "DELETE": "any socket's end"}
        return sockets.get(resource.removesuffix("/@connections/*").rpartition("/")[2], resource)
    for pattern, word in WHERE.items():
        if resource == pattern or (pattern != "*" and resource.endswith(f":{pattern}")):
            return word
    if any(resource.startswith(f"{function.replace('_', '')}log") for function in FUNCTIONS):
        return "own log"
    if resource.startswith("objects") and resource.endswith("/*"):
        return resource.split("/")[1]
    for name in (*TABLE_NAMES, *QUEUE_NAMES, "objects", "alerts", "key", "people"):
        if resource.startswith(name.replace("_", "")):
            _, _, index = resource.partition("/index/")
            return f"{name}/{index}" if index else name
    return resource


@pytest.mark.thorough
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("endpoint", [False, True], ids=["", "with an endpoint"])
def test_a_function_has_exactly_the_permissions_that_it_uses(stacks, without_endpoint, function, endpoint):
    may = rights_of(stacks if endpoint else without_endpoint, function)
    does = defaultdict(set)
    for calls, _ in map(run, SCENARIOS + ENDPOINT_SCENARIOS if endpoint else SCENARIOS):
        for call in calls.get(function, ()):
            does[call.what].add(call.action)
    for queue in (route.name for route in QUEUES if route.function == function):
        does[queue] |= CONSUME  # what Lambda does in its name before it is called

    assert may.pop("own log") == {"logs:CreateLogStream", "logs:PutLogEvents"}
    assert may.pop("key") == KEY
    assert may["anything"] >= TRACE
    may["anything"] -= TRACE
    assert {what: actions for what, actions in may.items() if actions} == does


def statements(stacks):
    """Yield role, action and resource of every permission."""
    for policy in policies(stacks):
        for statement in policy["PolicyDocument"]["Statement"]:
            actions, resources = statement["Action"], statement["Resource"]
            for role, action, resource in product(policy["Roles"], listed(actions), listed(resources)):
                yield stacks.text(role), action, stacks.text(resource)


def listed(value):
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize("deployment", ["stacks", "prod", "without_endpoint"])
def test_wildcard_resources_are_only_used_where_no_arn_exists(deployment, request):
    anything = {action for _, action, on in statements(request.getfixturevalue(deployment)) if on == "*"}

    assert anything <= NAMELESS


@pytest.mark.parametrize("deployment", ["stacks", "prod", "without_endpoint"])
def test_no_role_has_wildcard_actions(deployment, request):
    assert not [action for _, action, _ in statements(request.getfixturevalue(deployment)) if "*" in action]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_an_iot_rule_may_send_only_to_its_queue_and_dead_letter_queue(stacks, rule):
    (made,) = [
        each["TopicRulePayload"]
        for each in stacks.of_type("AWS::IoT::TopicRule").values()
        if each["RuleName"] == f"{rule.name}_dev"
    ]
    to = [made["Actions"][0]["Sqs"], made["ErrorAction"]["Sqs"]]
    (role,) = {stacks.text(each["RoleArn"]) for each in to}
    queues = {stacks.text(each["QueueUrl"]) for each in to}
    may = {(action, on) for whose, action, on in statements(stacks) if whose == role}

    assert {(action, on) for action, on in may if not action.startswith("kms:")} == {
        ("sqs:SendMessage", queue) for queue in queues
    }
    assert {action for action, _ in may if action.startswith("kms:")} == {
        "kms:GenerateDataKey",
        "kms:Decrypt",
    }


def test_every_role_belongs_to_a_function_a_rule_or_the_list_here(stacks, prod):
    for deployment, others in (
        (stacks, {"apigatewayrole", "iotrole", "factoryrole", "role"}),
        (prod, {"apigatewayrole", "iotrole", "factoryrole", "role", "CustomCrossRegionExport", *DEPLOYERS}),
    ):
        known = {f"{name.replace('_', '')}role" for name in (*FUNCTIONS, *(rule.name for rule in RULES))}
        roles = deployment.of_type("AWS::IAM::Role")
        unknown = {role for role in roles if not role.startswith(tuple(known))}
        assert all(role.startswith(tuple(others)) for role in unknown), unknown


def test_every_function_has_its_own_role_without_managed_policies(stacks):
    roles = [stacks.text(function["Role"]) for function in stacks.functions().values()]

    assert len(set(roles)) == len(FUNCTIONS)
    for role in roles:
        assert "ManagedPolicyArns" not in stacks.of_type("AWS::IAM::Role")[role]


def test_functions_may_use_the_key_through_data_services_only(stacks):
    uses = [
        statement
        for policy in policies(stacks)
        for statement in policy["PolicyDocument"]["Statement"]
        if "kms:Encrypt" in statement["Action"]
    ]

    assert uses
    assert all("kms:ViaService" in statement["Condition"]["StringEquals"] for statement in uses)


def test_functions_get_only_variables_that_they_read(stacks, monkeypatch):
    read = set()

    class Environment(dict):
        def get(self, name, default=None):
            read.add(name)
            return default

    monkeypatch.setattr(dependencies.os, "environ", Environment())
    dependencies.aws_dependencies.__wrapped__()

    for name, function in stacks.functions().items():
        variables = function["Environment"]["Variables"]
        passed = {key for key in variables if not key.startswith(("POWERTOOLS_", "AWS_", "OPENBLAS_"))}
        assert passed <= read, f"{name} gets the unused variables {passed - read}"


def test_a_function_gets_the_name_of_every_table_that_it_may_use(stacks):
    for name, function in stacks.functions().items():
        tables = {word.partition("/")[0] for word in rights_of(stacks, name)} & set(TABLE_NAMES)
        passed = function["Environment"]["Variables"]
        for table in tables:
            assert stacks.text(passed[variable(table)]).startswith(table.replace("_", ""))
