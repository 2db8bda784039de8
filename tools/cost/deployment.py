"""Count the resources of a deployment that are billed whether headsets use them or not."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from anc import published_metrics

DEPLOYMENT = Path(__file__).with_name("deployment.json")
METRICS_OF_A_METHOD = 5  # calls, two kinds of errors, two latencies
MB_PER_GB = 1024
FAILURES_ONLY = "WARN"  # level of the functions' own events; start and report of a call are INFO
NAMESPACE = re.compile(r"\b(?:AWS|ANC)/\w+")


class Deployment(msgspec.Struct, frozen=True):
    """What the templates of a deployment say about its cost.

    Attributes
    ----------
    units : dict of str to float
        Billed units per month.
    traced : list of str
        Functions that begin traces at Lambda's own rate.
    logged : list of str
        Functions of which Lambda logs start and end of each call.
    alarms : dict of str to (int, int)
        Number of alarms and of their metrics, by the service that writes the metrics.
    """

    units: dict[str, float]
    traced: list[str]
    logged: list[str]
    alarms: dict[str, tuple[int, int]]


def read_deployment() -> Deployment:
    """Return the counts of the templates in this repository; a test keeps them current."""
    return msgspec.json.decode(DEPLOYMENT.read_bytes(), type=Deployment)


def count(templates: Mapping[str, Any]) -> Deployment:
    """Return what synthesized templates, by stack, say about the cost."""
    functions = {
        properties["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]: properties
        for properties in (each["Properties"] for each in _resources(templates, "AWS::Lambda::Function"))
        if "Environment" in properties
    }
    traced = [
        name for name, each in functions.items() if each.get("TracingConfig", {}).get("Mode") == "Active"
    ]
    logged = [
        name
        for name, each in functions.items()
        if each.get("LoggingConfig", {}).get("SystemLogLevel") != FAILURES_ONLY
    ]
    return Deployment(_units(templates), sorted(traced), sorted(logged), _alarms(templates))


def _alarms(templates: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for resource in _resources(templates, "AWS::CloudWatch::Alarm"):
        (namespace, *_) = NAMESPACE.findall(str(resource["Properties"]))
        service = (
            "the platform's counters" if namespace.startswith("ANC/") else namespace.removeprefix("AWS/")
        )
        alarms, metrics = found.get(service, (0, 0))
        found[service] = (alarms + 1, metrics + _metrics(resource["Properties"]))
    return dict(sorted(found.items()))


def _units(templates: Mapping[str, Any]) -> dict[str, float]:

    def of(kind: str) -> list[dict[str, Any]]:
        return [resource.get("Properties", {}) for resource in _resources(templates, kind)]

    functions = of("AWS::Lambda::Function")
    memory_mb = max((each.get("MemorySize", 0) for each in functions), default=0)
    warm = sum(
        version.get("ProvisionedConcurrencyConfig", {}).get("ProvisionedConcurrentExecutions", 0)
        for version in of("AWS::Lambda::Version")
    )
    methods = [
        setting
        for stage in of("AWS::ApiGateway::Stage")
        for setting in stage.get("MethodSettings", ())
        if setting.get("MetricsEnabled") and setting["HttpMethod"] != "*"
    ]
    routes = len(of("AWS::ApiGatewayV2::Route")) * any(
        stage.get("DefaultRouteSettings", {}).get("DetailedMetricsEnabled")
        for stage in of("AWS::ApiGatewayV2::Stage")
    )
    acls = of("AWS::WAFv2::WebACL")
    return {
        "kms_key": len(of("AWS::KMS::Key")),
        "secret": len(of("AWS::SecretsManager::Secret")),
        "alarm_metric": sum(_metrics(alarm) for alarm in of("AWS::CloudWatch::Alarm")),
        "composite_alarm": len(of("AWS::CloudWatch::CompositeAlarm")),
        "dashboard": len(of("AWS::CloudWatch::Dashboard")),
        "detailed_metric": METRICS_OF_A_METHOD * (len(methods) + routes),
        "custom_metric": sum(map(len, published_metrics.FUNCTIONS.values())),
        "web_acl": len(acls),
        "web_acl_rule": sum(len(acl["Rules"]) for acl in acls),
        "provisioned_gb": round(warm * memory_mb / MB_PER_GB, 3),
        "event_source": len(of("AWS::Lambda::EventSourceMapping")),
    }


def _resources(templates: Mapping[str, Any], kind: str) -> Iterator[dict[str, Any]]:
    for template in templates.values():
        yield from (each for each in template["Resources"].values() if each["Type"] == kind)


def _metrics(alarm: dict[str, Any]) -> int:
    return sum("MetricStat" in metric for metric in alarm.get("Metrics", ())) or 1
