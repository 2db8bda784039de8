"""Alarms, their topic, the budget, the dashboard, and the audit trail."""

import ast
import json
from pathlib import Path

import pytest

from anc.published_metrics import FUNCTIONS as PUBLISHED
from anc.services.objectives import BURN_RATES, OBJECTIVES
from functions.routes import FUNCTIONS, QUEUES
from infra.audit import AUDITED_DEAD_LETTERS
from infra.environment import NO_ACCOUNT
from tests.infra.conftest import Stacks, synthesize

OPTIONAL = {"mail": "ops@example.com", "traces": "on"}  # off by default
ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "layers/dsp/python/anc"
MEASURING = {  # functions that measure an objective, and the service that does
    "audio_receiver": "socket_requests",
    "audio_sender": "control.deliver",
    "anc_processor": "control.process_snapshot",
    "classifier": "reclassification.reclassify",
}


@pytest.fixture(scope="module")
def alarms(stacks):
    """Return the alarms by name, without those of objectives and those that only roll back deployments."""
    return {
        alarm["AlarmName"]: alarm
        for alarm in stacks.of_type("AWS::CloudWatch::Alarm").values()
        if "-canary-" not in alarm["AlarmName"] and "-burns-" not in alarm["AlarmName"]
    }


def metrics_of(alarm):
    """Return the metrics of an alarm, including those in its expression."""
    if "MetricName" in alarm:
        return [alarm]
    return [
        part["MetricStat"]["Metric"] | {"Stat": part["MetricStat"]["Stat"]}
        for part in alarm["Metrics"]
        if "MetricStat" in part
    ]


def dashboard(stacks):
    """Return the body of the dashboard, without references to resources."""
    (board,) = stacks.of_type("AWS::CloudWatch::Dashboard").values()
    body = board["DashboardBody"]["Fn::Join"][1]
    return json.loads("".join(part for part in body if isinstance(part, str)))


def test_there_is_an_alarm_for_every_user_visible_failure(alarms):
    expected = {"rest-slow", "rest-errors", "live-slow", "live-errors", "snapshots-slow", "throttled"}
    expected |= {"classification-failed", "emergencies", "model-fallback"}
    expected |= {"rules-failed", "rules-lost", "rules-throttled", "headsets-throttled", "tables-throttled"}
    expected |= {f"{name}-errors" for name in FUNCTIONS}
    expected |= {f"{route.name}-{what}" for route in QUEUES for what in ("old", "dead")}

    assert set(alarms) == {f"anc-dev-{name}" for name in expected}


def test_every_published_metric_is_in_an_alarm_or_on_the_dashboard(stacks):
    published = {(function, name) for name, functions in PUBLISHED.items() for function in functions}
    watched = {
        (metric["Dimensions"][0]["Value"], metric["MetricName"])
        for alarm in stacks.of_type("AWS::CloudWatch::Alarm").values()
        for metric in metrics_of(alarm)
        if metric["Namespace"] == "ANC/dev"
    }
    shown = {
        (metric[3], metric[1])  # namespace, name, dimension and its value
        for widget in dashboard(stacks)["widgets"]
        for metric in widget["properties"]["metrics"]
        if metric[0] == "ANC/dev"
    }

    assert watched | shown == published


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
    asked = {
        metric["MetricName"]
        for alarm in stacks.of_type("AWS::CloudWatch::Alarm").values()
        for metric in metrics_of(alarm)
        if metric["Namespace"] == "ANC/dev"
    }
    shown = {
        metric[1]
        for widget in dashboard(stacks)["widgets"]
        for metric in widget["properties"]["metrics"]
        if metric[0] == "ANC/dev"
    }

    assert asked
    assert shown > asked - {objective.name for objective in OBJECTIVES}
    assert shown | asked <= counted
    assert {"filters_sent", "filters_kept", "filters_at_drivers_limit", "filters_reverted"} <= shown
    for function in stacks.functions().values():
        assert function["Environment"]["Variables"]["POWERTOOLS_METRICS_NAMESPACE"] == "ANC/dev"


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda objective: objective.name)
@pytest.mark.parametrize("rate", BURN_RATES, ids=lambda rate: rate.name)
def test_an_objective_alerts_when_its_budget_burns_over_both_windows(stacks, objective, rate):
    name = f"anc-dev-{objective.name.replace('_', '-')}-burns-{rate.name}"
    (composite,) = [
        alarm
        for alarm in stacks.of_type("AWS::CloudWatch::CompositeAlarm").values()
        if alarm["AlarmName"] == name
    ]
    windows = {
        alarm["AlarmName"]: alarm
        for alarm in stacks.of_type("AWS::CloudWatch::Alarm").values()
        if alarm["AlarmName"].startswith(f"{name}-")
    }

    assert set(windows) == {f"{name}-{minutes}m" for minutes in (rate.long_minutes, rate.short_minutes)}
    for minutes in (rate.long_minutes, rate.short_minutes):
        alarm = windows[f"{name}-{minutes}m"]
        periods = {part["MetricStat"]["Period"] for part in alarm["Metrics"] if "MetricStat" in part}
        assert periods == {60 * minutes}
        assert alarm["ComparisonOperator"] == "LessThanThreshold"
        assert alarm["Threshold"] == pytest.approx(100 - 100 * rate.factor * objective.budget)
        assert "AlarmActions" not in alarm
        for metric in metrics_of(alarm):
            assert metric["MetricName"] == objective.name
            statistic = metric.get("ExtendedStatistic", metric.get("Stat"))
            assert statistic == f"PR(0:{objective.limit_on_aws_s:g})"
    assert json.dumps(composite["AlarmRule"]).count("ALARM(") == 2
    assert " AND " in json.dumps(composite["AlarmRule"])
    topics = stacks.of_type("AWS::SNS::Topic")
    assert {stacks.text(action) for action in composite["AlarmActions"] + composite["OKActions"]} <= set(
        topics
    )


def test_the_functions_that_measure_an_objective_are_watched():
    """The functions that consume snapshots, blocks and updates, by the modules that they import."""
    for function, service in MEASURING.items():
        assert service in ROOT.joinpath(f"functions/{function}/handler.py").read_text()
    assert {name for each in OBJECTIVES for name in PUBLISHED[each.name]} == set(MEASURING)


def test_metrics_have_no_user_or_headset_dimension(alarms):
    names = {
        dimension["Name"]
        for alarm in alarms.values()
        for metric in metrics_of(alarm)
        for dimension in metric["Dimensions"]
    }

    assert names == {
        "service",
        "FunctionName",
        "QueueName",
        "ApiName",
        "ApiId",
        "Stage",
        "RuleName",
        "Protocol",
    }


def test_the_alarm_topic_is_encrypted_and_accepts_cloudwatch_and_budgets(stacks):
    topics = stacks.templates["monitoring"]["Resources"].values()
    (topic,) = [resource["Properties"] for resource in topics if resource["Type"] == "AWS::SNS::Topic"]
    (policy,) = [resource["Properties"] for resource in topics if resource["Type"] == "AWS::SNS::TopicPolicy"]
    (allowed,) = [s for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Allow"]

    services = {"cloudwatch.amazonaws.com", "budgets.amazonaws.com"}
    assert stacks.text(topic["KmsMasterKeyId"]).startswith("key")
    assert set(allowed["Principal"]["Service"]) == services
    assert allowed["Condition"] == {"StringEquals": {"aws:SourceAccount": NO_ACCOUNT}}


def test_alarms_are_mailed_if_an_address_is_set(stacks):
    assert not stacks.of_type("AWS::SNS::Subscription")
    (subscription,) = Stacks(synthesize("dev", **OPTIONAL)).of_type("AWS::SNS::Subscription").values()

    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "ops@example.com")


def test_snapshots_begin_traces_only_on_request(stacks):
    def modes(of):
        return {name: each["TracingConfig"]["Mode"] for name, each in of.functions().items()}

    assert set(modes(stacks).values()) == {"PassThrough"}
    traced = modes(Stacks(synthesize("dev", **OPTIONAL)))
    assert {name for name, mode in traced.items() if mode == "Active"} == {"anc_processor"}


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


def test_prod_watches_its_web_acls_and_the_console_where_their_metrics_are(prod):
    regional, edge = (
        {
            resource["Properties"]["AlarmName"]: resource["Properties"]
            for resource in prod.templates[stack]["Resources"].values()
            if resource["Type"] == "AWS::CloudWatch::Alarm"
        }
        for stack in ("monitoring", "edge")
    )
    web_acls = prod.of_type("AWS::WAFv2::WebACL").values()
    names = {acl["VisibilityConfig"]["MetricName"] for acl in web_acls}
    blocked = (regional["anc-prod-requests-blocked"], edge["anc-prod-console-blocked"])
    watched = {
        dimension["Value"]
        for alarm in blocked
        for dimension in alarm["Dimensions"]
        if dimension["Name"] == "WebACL"
    }

    assert watched == names
    assert set(edge) == {"anc-prod-console-blocked", "anc-prod-console-errors"}
    for alarm in (*blocked, edge["anc-prod-console-errors"]):
        assert alarm["AlarmActions"] == alarm["OKActions"]
        assert len(alarm["AlarmActions"]) == 1


def test_iot_errors_are_logged_without_payloads(stacks):
    (logging,) = stacks.of_type("AWS::IoT::Logging").values()

    assert logging["DefaultLogLevel"] == "ERROR"
    assert "AWSIotLogsV2" in [
        group.get("LogGroupName") for group in stacks.of_type("AWS::Logs::LogGroup").values()
    ]


def test_new_versions_in_prod_get_a_tenth_of_the_calls_first_and_are_rolled_back(prod, stacks):
    groups = list(prod.of_type("AWS::CodeDeploy::DeploymentGroup").values())

    assert len(groups) == 3
    for group in groups:
        assert group["DeploymentConfigName"] == "CodeDeployDefault.LambdaCanary10Percent5Minutes"
        assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]
        assert group["AlarmConfiguration"]["Enabled"]
    moved = {
        prod.function_of(resource["Properties"]["FunctionName"])
        for template in prod.templates.values()
        for resource in template["Resources"].values()
        if "CodeDeployLambdaAliasUpdate" in resource.get("UpdatePolicy", {})
    }
    assert moved == {"audio_receiver", "anc_processor", "audio_sender"}
    assert not stacks.of_type("AWS::CodeDeploy::DeploymentGroup"), "dev moves at once"
