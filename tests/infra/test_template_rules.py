"""Security, reliability and cost rules for the templates."""

import json
import os
import subprocess
import sys
from typing import get_args

import aws_cdk as cdk
import pytest

from anc.aws.clients import CONFIG, IOT_CONFIG, S3_CONFIG
from anc.services.access.identity import Role
from anc.settings import BadSetting
from anc_client.base_client import TIMEOUT_S
from functions.routes import SOCKET
from infra.stacks import FLAGS, provision
from infra.wheels import ROOT
from tests.infra.conftest import Stacks, synthesize
from tools.cost.prices import read_prices

TRIES = 3  # of boto3's mode "standard", unless AWS_MAX_ATTEMPTS says another number
# How long a function's caller waits for it. Sources: API Gateway, quotas; AWS IoT, pre-provisioning hooks
WAIT_S = {
    **dict.fromkeys(["rest_api", "audio_receiver", "ws_connect", "ws_disconnect"], 29),
    "authorizer": 29,
    "classifier": 29,  # and a queue
    "provisioner": 5,
    "rollout_manager": 60,  # to its next invocation
}
QUEUED = ("anc_processor", "audio_sender", "recording_processor")
DECODING = ("rest_api", "classifier", "recording_processor")
# What app.py does, without its checks, which change nothing and take most of its time.
SYNTHESIZE = """
import infra
import aws_cdk
from infra.stacks import FLAGS, provision
app = aws_cdk.App(context=FLAGS)
provision(app)
app.synth()
"""
WITHOUT_ASSETS = {"aws:cdk:bundling-stacks": []}
KEPT = ("AWS::DynamoDB::GlobalTable", "AWS::KMS::Key", "AWS::S3::Bucket", "AWS::Cognito::UserPool")


@pytest.mark.thorough
def test_synthesis_is_deterministic(tmp_path):
    # Without the traces of the calls, which lead through a folder that is another each time.
    quietly = {"CDK_CONTEXT_JSON": json.dumps(WITHOUT_ASSETS), "CDK_DISABLE_STACK_TRACE": "1"}
    folders = elsewhere, here = tmp_path / "1", tmp_path / "2"
    other_order = {"CDK_OUTDIR": str(elsewhere), "PYTHONHASHSEED": "1"}  # of the elements of sets
    command = [sys.executable, "-c", SYNTHESIZE]
    subprocess.run(command, cwd=ROOT, env=os.environ | quietly | other_order, check=True)
    app = cdk.App(context=FLAGS | WITHOUT_ASSETS, outdir=str(here), stack_traces=False)
    provision(app)
    app.synth()

    once, again = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in folders
    )
    assert len(once) > 50
    assert once == again


def test_iot_rules_send_to_standard_queues(stacks):
    queues = stacks.of_type("AWS::SQS::Queue")
    for rule in stacks.of_type("AWS::IoT::TopicRule").values():
        payload = rule["TopicRulePayload"]
        for action in (*payload["Actions"], payload["ErrorAction"]):
            queue = queues[stacks.text(action["Sqs"]["QueueUrl"])]
            assert not queue.get("FifoQueue")


def test_every_iot_rule_has_an_error_action(stacks):
    queues = stacks.of_type("AWS::SQS::Queue")
    for rule in stacks.of_type("AWS::IoT::TopicRule").values():
        payload = rule["TopicRulePayload"]
        target = stacks.text(payload["Actions"][0]["Sqs"]["QueueUrl"])
        lost = stacks.text(payload["ErrorAction"]["Sqs"]["QueueUrl"])
        assert lost == stacks.text(queues[target]["RedrivePolicy"]["deadLetterTargetArn"])


def test_every_queue_is_encrypted_and_has_a_dead_letter_queue(stacks):
    queues = stacks.of_type("AWS::SQS::Queue")
    dead = {
        stacks.text(queue["RedrivePolicy"]["deadLetterTargetArn"])
        for queue in queues.values()
        if "RedrivePolicy" in queue
    }

    assert dead
    assert {name for name, queue in queues.items() if "RedrivePolicy" not in queue} == dead
    assert all(stacks.text(queue["KmsMasterKeyId"]).startswith("key") for queue in queues.values())


def test_audio_in_queues_is_retained_for_days_only(stacks):
    queues = stacks.of_type("AWS::SQS::Queue")
    days = {name: queue["MessageRetentionPeriod"] / 86_400 for name, queue in queues.items()}

    assert max(days.values()) <= 4
    for name, queue in queues.items():
        if "RedrivePolicy" in queue:  # a message's age goes with it to the dead letters
            dead = stacks.text(queue["RedrivePolicy"]["deadLetterTargetArn"])
            assert days[name] + 1 <= days[dead], name


def test_tables_have_expiry_recovery_and_encryption(stacks):
    tables = stacks.of_type("AWS::DynamoDB::GlobalTable")

    assert tables
    for table in tables.values():
        replica = table["Replicas"][0]
        assert table["TimeToLiveSpecification"] == {"AttributeName": "sweep", "Enabled": True}
        assert replica["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]
        assert stacks.text(replica["SSESpecification"]["KMSMasterKeyId"]).startswith("key")


def test_table_indexes_project_keys_only(stacks):
    for table in stacks.of_type("AWS::DynamoDB::GlobalTable").values():
        for index in table["GlobalSecondaryIndexes"]:
            attribute = {"by_group": "group", "by_shard": "shard"}[index["IndexName"]]
            assert [key["AttributeName"] for key in index["KeySchema"]] == [attribute, "key"]
            assert index["Projection"]["ProjectionType"] == "KEYS_ONLY"


def test_buckets_are_private_encrypted_and_expire_objects(stacks):
    buckets = stacks.of_type("AWS::S3::Bucket")

    assert buckets
    for bucket in buckets.values():
        assert all(bucket["PublicAccessBlockConfiguration"].values())
        assert bucket["BucketEncryption"]
    for name, bucket in buckets.items():
        if name not in stacks.templates["console"]["Resources"]:  # whose files are public
            assert all(rule["ExpirationInDays"] for rule in bucket["LifecycleConfiguration"]["Rules"])


def test_data_resources_require_tls(stacks):
    policies = [
        *stacks.of_type("AWS::S3::BucketPolicy").values(),
        *stacks.of_type("AWS::SQS::QueuePolicy").values(),
        *stacks.of_type("AWS::SNS::TopicPolicy").values(),
    ]
    holders = sum(
        len(stacks.of_type(kind)) for kind in ("AWS::S3::Bucket", "AWS::SQS::Queue", "AWS::SNS::Topic")
    )

    assert len(policies) == holders
    for policy in policies:
        assert any(
            statement["Effect"] == "Deny"
            and statement.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}
            for statement in policy["PolicyDocument"]["Statement"]
        )


def test_every_log_group_has_a_retention(stacks):
    logs = stacks.of_type("AWS::Logs::LogGroup")

    assert all(log["RetentionInDays"] <= 365 for log in logs.values())
    for function in stacks.functions().values():
        assert stacks.text(function["LoggingConfig"]["LogGroup"]) in logs


def test_access_logs_contain_routes_but_no_paths_or_tokens(stacks):
    formats = [
        stage["AccessLogSetting"]["Format"] for stage in stacks.of_type("AWS::ApiGateway::Stage").values()
    ] + [
        stage["AccessLogSettings"]["Format"] for stage in stacks.of_type("AWS::ApiGatewayV2::Stage").values()
    ]

    assert len(formats) == 2
    for format in formats:
        fields = set(json.loads(format).values())
        assert not fields & {"$context.path", "$context.connectionId", "$context.identity.sourceIp"}
        assert not any("authorizer" in field or "querystring" in field for field in fields)


def test_payloads_never_reach_a_log(stacks):
    for stage in stacks.of_type("AWS::ApiGateway::Stage").values():
        assert all(not setting["DataTraceEnabled"] for setting in stage["MethodSettings"])
    for stage in stacks.of_type("AWS::ApiGatewayV2::Stage").values():
        assert not stage["DefaultRouteSettings"].get("DataTraceEnabled")


def test_both_apis_are_throttled(stacks):
    (rest,) = stacks.of_type("AWS::ApiGateway::Stage").values()
    (socket,) = stacks.of_type("AWS::ApiGatewayV2::Stage").values()

    for settings in (rest["MethodSettings"][0], socket["DefaultRouteSettings"]):
        assert 0 < settings["ThrottlingRateLimit"] <= settings["ThrottlingBurstLimit"]


def test_every_function_limits_blas_to_one_thread(stacks):
    for function in stacks.functions().values():
        assert function["Environment"]["Variables"]["OPENBLAS_NUM_THREADS"] == "1"


def test_functions_run_on_arm_with_the_layers_that_they_need(stacks):
    for name, function in stacks.functions().items():
        assert function["Handler"] == f"functions.{name}.handler.handler"
        assert function["Architectures"] == ["arm64"]
        assert function["Runtime"] == "python3.13"
        assert len(function["Layers"]) == (2 if name in DECODING else 1), name


def test_requests_are_sampled_for_tracing(stacks):
    (stage,) = stacks.of_type("AWS::ApiGateway::Stage").values()
    (rule,) = stacks.of_type("AWS::XRay::SamplingRule").values()

    assert stage["TracingEnabled"]
    assert rule["SamplingRule"]["ServiceName"] == "anc-dev/*"
    assert rule["SamplingRule"]["FixedRate"] <= 0.01


def test_prod_has_provisioned_concurrency_for_live_audio(prod):
    ((name, version),) = [
        (name, version)
        for name, version in prod.of_type("AWS::Lambda::Version").items()
        if "ProvisionedConcurrencyConfig" in version
    ]
    aliases = prod.of_type("AWS::Lambda::Alias").items()
    (live,) = [alias for alias, each in aliases if prod.text(each["FunctionVersion"]) == name]
    integrations = prod.of_type("AWS::ApiGatewayV2::Integration").values()
    to_live = [each for each in integrations if live in prod.text(each["IntegrationUri"])]

    assert prod.function_of(version["FunctionName"]) == "audio_receiver"
    assert version["ProvisionedConcurrencyConfig"]["ProvisionedConcurrentExecutions"] == 1
    assert len(to_live) == len([name for name in SOCKET.values() if name == "audio_receiver"])


def test_another_number_of_warm_executions_makes_another_version(prod):
    """CloudFormation cannot change the provisioned concurrency of a version."""
    more = Stacks(synthesize("prod", warm="2"))
    versions, others = (set(each.of_type("AWS::Lambda::Version")) for each in (prod, more))
    assert len(versions - others) == len(others - versions) == 1


def test_dev_has_no_provisioned_concurrency(stacks):
    versions = stacks.of_type("AWS::Lambda::Version").values()
    assert not any("ProvisionedConcurrencyConfig" in version for version in versions)


def test_the_cost_estimate_matches_the_deployment(stacks):
    reckoned = read_prices().work.memory_gb
    for name in ("audio_receiver", "anc_processor", "audio_sender"):
        assert stacks.functions()[name]["MemorySize"] / 1024 == pytest.approx(reckoned, abs=0.001), name


def test_timeouts_decrease_from_caller_to_callee(stacks):
    queues, timeouts = stacks.of_type("AWS::SQS::Queue"), {}
    for source in stacks.of_type("AWS::Lambda::EventSourceMapping").values():
        visible_again = queues[stacks.text(source["EventSourceArn"])]["VisibilityTimeout"]
        timeouts.setdefault(stacks.function_of(source["FunctionName"]), []).append(visible_again)
    for name, function in stacks.functions().items():
        tries = int(function["Environment"]["Variables"].get("AWS_MAX_ATTEMPTS", TRIES))
        assert _longest(CONFIG, tries) < function["Timeout"], name
        assert name in QUEUED or function["Timeout"] < WAIT_S[name], name
        if "OBJECTS_BUCKET" in function["Environment"]["Variables"]:
            assert _longest(S3_CONFIG) < function["Timeout"], name
    assert _longest(IOT_CONFIG) < stacks.functions()["rest_api"]["Timeout"]
    let_in = stacks.functions()["authorizer"]["Timeout"]
    assert let_in + WAIT_S["rest_api"] < TIMEOUT_S  # of `anc_client`


def _longest(config, tries=TRIES):
    """Return the seconds until a call finally fails: attempts, and waits of up to 1, 2, ... s between."""
    return tries * (config.connect_timeout + config.read_timeout) + sum(2**i for i in range(tries - 1))


def test_self_sign_up_is_disabled_and_every_role_has_a_group(stacks):
    (users,) = stacks.of_type("AWS::Cognito::UserPool").values()
    groups = {group["GroupName"] for group in stacks.of_type("AWS::Cognito::UserPoolGroup").values()}

    assert users["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"]
    assert groups == set(get_args(Role))


def test_prod_retains_user_data(prod):
    kept = [
        (name, resource)
        for stack, template in prod.templates.items()
        for name, resource in template["Resources"].items()
        if resource["Type"] in KEPT and stack != "console"  # made of what is in the repository
    ]

    assert {resource["Type"] for _, resource in kept} == set(KEPT)
    for name, resource in kept:
        assert resource["DeletionPolicy"] == "Retain", name
    for table in prod.of_type("AWS::DynamoDB::GlobalTable").values():
        assert table["Replicas"][0]["DeletionProtectionEnabled"]


def test_quotas_in_the_context_reach_every_function():
    given = Stacks(synthesize("dev", quota_sessions="20", sound_seconds_per_minute="15.5"))
    for function in given.functions().values():
        variables = function["Environment"]["Variables"]
        assert (variables["QUOTA_SESSIONS"], variables["SOUND_SECONDS_PER_MINUTE"]) == ("20", "15.5")
        assert "QUOTA_SOCKETS" not in variables, "its default is the library's"


def test_an_invalid_quota_fails_the_synthesis():
    with pytest.raises(BadSetting, match="QUOTA_SESSIONS=0"):
        synthesize("dev", quota_sessions="0")
