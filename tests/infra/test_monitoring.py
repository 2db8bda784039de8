"""Alarms, their topic, the budget, the dashboard, and the audit trail."""

import ast
import json
from pathlib import Path

import pytest

from functions.routes import FUNCTIONS, QUEUES
from infra.audit import AUDITED_DEAD_LETTERS
from infra.environment import NO_ACCOUNT
from tests.infra.conftest import Stacks, synthesize

LIBRARY = Path("layers/dsp/python/anc")


@pytest.fixture(scope="module")
def alarms(stacks):
    return {alarm["AlarmName"]: alarm for alarm in stacks.of_type("AWS::CloudWatch::Alarm").values()}


def metrics_of(alarm):
    """Return the metrics of an alarm, including those in its expression."""
    if "MetricName" in alarm:
        return [alarm]
    return [
        part["MetricStat"]["Metric"] | {"Stat": part["MetricStat"]["Stat"]}
        for part in alarm["Metrics"]
        if "MetricStat" in part
    ]


def test_there_is_an_alarm_for_every_user_visible_failure(alarms):
    expected = {"rest-slow", "rest-errors", "live-slow", "live-errors", "snapshots-slow", "throttled"}
    expected |= {"classification-failed", "emergencies", "model-fallback"}
    expected |= {f"{name}-errors" for name in FUNCTIONS}
    expected |= {f"{route.name}-{what}" for route in QUEUES for what in ("old", "dead")}

    assert set(alarms) == {f"anc-dev-{name}" for name in expected}


def test_an_endpoint_adds_an_alarm_on_fallbacks(stacks, without_endpoint):
    names = {alarm["AlarmName"] for alarm in without_endpoint.of_type("AWS::CloudWatch::Alarm").values()}
    assert "anc-dev-model-fallback" not in names
    (alarm,) = [
        alarm
        for alarm in stacks.of_type("AWS::CloudWatch::Alarm").values()
        if alarm["AlarmName"] == "anc-dev-model-fallback"
    ]

    assert {metric["MetricName"] for metric in metrics_of(alarm)} == {
        "endpoint_failed",
        "endpoint_circuit_open",
    }


def test_latency_alarms_use_p99(alarms):
    for name in ("rest-slow", "live-slow", "snapshots-slow"):
        (metric,) = metrics_of(alarms[f"anc-dev-{name}"])
        assert metric.get("ExtendedStatistic", metric.get("Stat")) == "p99", name


def test_a_single_dead_letter_raises_an_alarm(alarms, stacks):
    queues = stacks.of_type("AWS::SQS::Queue")
    for route in QUEUES:
        alarm = alarms[f"anc-dev-{route.name}-dead"]
        (name,) = [dimension["Value"] for dimension in alarm["Dimensions"]]
        assert "RedrivePolicy" not in queues[stacks.text(name)]
        assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (0, "GreaterThanThreshold")
        assert (alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"]) == (1, 1)


def test_every_alarm_has_a_description_and_notifies_the_topic(alarms, stacks):
    topics = stacks.of_type("AWS::SNS::Topic")
    for alarm in alarms.values():
        assert len(alarm["AlarmDescription"]) > 20
        assert alarm["TreatMissingData"] == "notBreaching"
        for actions in (alarm["AlarmActions"], alarm["OKActions"]):
            (action,) = actions
            assert stacks.text(action) in topics


def test_alarms_use_only_metrics_that_functions_emit(alarms, stacks):
    """An alarm on an unknown metric would never be raised."""
    counted = {
        part.value
        for path in LIBRARY.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and getattr(call.func, "attr", "") in {"count", "add", "measure"}
        for part in call.args
        if isinstance(part, ast.Constant)
    }
    (board,) = stacks.of_type("AWS::CloudWatch::Dashboard").values()
    asked = {
        metric["MetricName"]
        for alarm in alarms.values()
        for metric in metrics_of(alarm)
        if metric["Namespace"] == "ANC/dev"
    }
    body = json.loads(
        "".join(part for part in board["DashboardBody"]["Fn::Join"][1] if isinstance(part, str))
    )
    shown = {
        metric[1]
        for widget in body["widgets"]
        for metric in widget["properties"]["metrics"]
        if metric[0] == "ANC/dev"
    }

    assert asked
    assert shown > asked
    assert shown <= counted
    assert {"filters_sent", "filters_kept", "filters_at_drivers_limit", "filters_reverted"} <= shown
    for function in stacks.functions().values():
        assert function["Environment"]["Variables"]["POWERTOOLS_METRICS_NAMESPACE"] == "ANC/dev"


def test_metrics_have_no_user_or_headset_dimension(alarms):
    names = {
        dimension["Name"]
        for alarm in alarms.values()
        for metric in metrics_of(alarm)
        for dimension in metric["Dimensions"]
    }

    assert names == {"service", "FunctionName", "QueueName", "ApiName", "ApiId", "Stage"}


def test_the_alarm_topic_is_encrypted_and_accepts_cloudwatch_and_budgets(stacks):
    (key,) = [
        key for name, key in stacks.templates["data"]["Resources"].items() if key["Type"] == "AWS::KMS::Key"
    ]
    users = [
        statement
        for statement in key["Properties"]["KeyPolicy"]["Statement"]
        if "Service" in statement["Principal"]
    ]
    topics = stacks.templates["monitoring"]["Resources"].values()
    (topic,) = [resource["Properties"] for resource in topics if resource["Type"] == "AWS::SNS::Topic"]
    (policy,) = [resource["Properties"] for resource in topics if resource["Type"] == "AWS::SNS::TopicPolicy"]
    (allowed,) = [s for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Allow"]

    services = {"cloudwatch.amazonaws.com", "budgets.amazonaws.com"}
    assert stacks.text(topic["KmsMasterKeyId"]).startswith("key")
    assert set(allowed["Principal"]["Service"]) == services
    assert services < {name for user in users for name in user["Principal"]["Service"]}
    for statement in (*users, allowed):
        assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": NO_ACCOUNT}}


def test_alarms_are_mailed_if_an_address_is_set(stacks):
    assert not stacks.of_type("AWS::SNS::Subscription")
    (subscription,) = (
        Stacks(synthesize("dev", mail="ops@example.com")).of_type("AWS::SNS::Subscription").values()
    )

    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "ops@example.com")


@pytest.mark.parametrize("name", ["stacks", "prod"])
def test_the_budget_notifies_before_it_is_exceeded(name, request):
    stacks = request.getfixturevalue(name)
    (budget,) = stacks.of_type("AWS::Budgets::Budget").values()
    notifications = {
        (one["Notification"]["NotificationType"], one["Notification"]["Threshold"])
        for one in budget["NotificationsWithSubscribers"]
    }

    assert budget["Budget"]["BudgetLimit"] == {"Amount": 1000 if name == "prod" else 50, "Unit": "USD"}
    assert notifications == {("ACTUAL", 80), ("FORECASTED", 100)}


def test_the_trail_records_access_to_audio_only(stacks):
    (trail,) = stacks.of_type("AWS::CloudTrail::Trail").values()
    recorded = {}
    for selector in trail["AdvancedEventSelectors"]:
        fields = {field["Field"]: field for field in selector["FieldSelectors"]}
        assert fields["eventCategory"]["Equals"] == ["Data"]
        named = fields["resources.ARN"]
        (kind,) = fields["resources.type"]["Equals"]
        recorded[kind] = [*map(stacks.text, named.get("StartsWith") or named["Equals"])]

    (sound,) = recorded.pop("AWS::S3::Object")
    assert sound.startswith("objects")
    assert not sound.startswith("objectslog")
    assert sound.endswith("/")
    dead = recorded.pop("AWS::SQS::Queue")
    assert [name.partition("dead")[0] for name in dead] == [*AUDITED_DEAD_LETTERS]
    assert not recorded
    assert trail["EnableLogFileValidation"]
    assert trail["IsLogging"]


def test_audit_records_have_their_own_key_and_only_the_trail_writes_them(stacks):
    (trail,) = stacks.of_type("AWS::CloudTrail::Trail").values()
    own = stacks.templates["audit"]["Resources"]
    assert own[stacks.text(trail["KMSKeyId"])]["Type"] == "AWS::KMS::Key"

    (policy,) = [r["Properties"] for r in own.values() if r["Type"] == "AWS::S3::BucketPolicy"]
    allowed = [s for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Allow"]
    writers = {s["Principal"].get("Service") for s in allowed if "s3:PutObject" in str(s["Action"])}
    assert writers == {"cloudtrail.amazonaws.com"}
    for statement in allowed:
        source = statement["Condition"]["StringEquals"]["aws:SourceArn"]
        assert stacks.text(source).endswith(f":trail/{trail['TrailName']}")
