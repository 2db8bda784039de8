"""Metrics of a deployment, shared by alarms and dashboard."""

from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch

from anc.published_metrics import ENDPOINT, is_published
from anc.schemas.topics import rule_name
from functions.routes import RULES
from infra.environment import Environment
from infra.firewall import acl_name
from infra.websocket import WebSocket

MINUTE = cdk.Duration.minutes(1)
# Source: AWS IoT Core Developer Guide, "AWS IoT metrics and dimensions", message broker metrics
BROKER_REQUESTS = ("Connect", "Subscribe", "PublishIn", "PublishOut")


class Metrics:
    """Metrics of the two APIs, and custom metrics of the functions.

    Attributes
    ----------
    rest_p99, live_p99 : Metric
        Response time of API Gateway in ms.
    rest_errors, live_errors : IMetric
        Server errors per minute.
    snapshot_p99 : Metric
        Processing time of a snapshot in seconds.
    fallbacks : IMetric
        Fallbacks to the built-in model in five minutes.
    rules_failed, rules_lost, tables_throttled : IMetric
        Failed actions and failed error actions of IoT rules, and throttled requests to DynamoDB, per minute.
        They cover all environments of an account and region: a query needs neither the value of the
        dimension ActionType nor one metric for each table, of which an alarm may have ten.
    rules_throttled : IMetric
        Messages that this environment's IoT rules did not take, per minute.
    headsets_throttled : IMetric
        Requests of headsets above the limits of AWS IoT, per minute, of all environments of an account and
        region: their metrics have the dimension Protocol only.
    requests_blocked : Metric
        Requests that the web ACL of the REST API blocked in five minutes.
    """

    def __init__(
        self, environment: Environment, rest: apigateway.Stage, socket: WebSocket, region: str
    ) -> None:
        self._environment = environment
        self.rest_p99 = rest.metric_latency(statistic="p99", period=MINUTE)
        self.rest_errors = rest.metric_server_error(period=MINUTE)
        self.rest_calls = rest.metric_count(period=MINUTE)
        self.live_p99 = socket.metric("IntegrationLatency", "p99")
        self.live_errors = cloudwatch.MathExpression(
            expression="FILL(integration, 0) + FILL(execution, 0)",
            using_metrics={
                "integration": socket.metric("IntegrationError", "sum"),
                "execution": socket.metric("ExecutionError", "sum"),
            },
            period=MINUTE,
            label="frames without a response",
        )
        self.frames = socket.metric("MessageCount", "sum")
        self.snapshot_p99 = self.counted("anc_processor", "snapshot", "p99")
        self.fallbacks = self.over(ENDPOINT, "endpoint_failed", "endpoint_circuit_open", minutes=5)
        self.rules_failed = queried("AWS/IoT", "Failure", "ActionType", "RuleName")
        self.rules_lost = queried("AWS/IoT", "ErrorActionFailure", "ActionType", "RuleName")
        self.tables_throttled = queried("AWS/DynamoDB", "ThrottledRequests", "Operation", "TableName")
        throttled = {
            rule.name: _iot("RuleMessageThrottled", "RuleName", rule_name(rule.name, environment.name))
            for rule in RULES
        }
        self.rules_throttled = total(throttled, "messages that rules did not take")
        refused = {kind.lower(): _iot(f"{kind}.Throttle", "Protocol", "MQTT") for kind in BROKER_REQUESTS}
        self.headsets_throttled = total(refused, "requests of headsets above the account's limits")
        self.requests_blocked = cloudwatch.Metric(
            namespace="AWS/WAFV2",
            metric_name="BlockedRequests",
            dimensions_map={"WebACL": acl_name(environment, "REGIONAL"), "Rule": "ALL", "Region": region},
            statistic="sum",
            period=cdk.Duration.minutes(5),
        )

    def counted(
        self, function: str, name: str, statistic: str = "sum", minutes: int = 1
    ) -> cloudwatch.Metric:
        """Return a custom metric of one function (`anc.ports.Counters`).

        Raises
        ------
        ValueError
            When the function does not publish it.
        """
        if not is_published(function, name):
            raise ValueError(f"{name}: is not in anc.published_metrics for {function}")
        return cloudwatch.Metric(
            namespace=self._environment.metrics,
            metric_name=name,
            dimensions_map={"service": function},
            statistic=statistic,
            period=cdk.Duration.minutes(minutes),
            label=f"{name} of {function}",
        )

    def over(self, functions: Sequence[str], *names: str, minutes: int = 1) -> cloudwatch.MathExpression:
        """Return the sum of custom metrics over several functions; missing data counts as 0."""
        parts = {
            f"{name}_of_{function}": self.counted(function, name, minutes=minutes)
            for function in functions
            for name in names
        }
        return total(parts, " and ".join(names), minutes=minutes)


def _iot(name: str, dimension: str, value: str) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace="AWS/IoT",
        metric_name=name,
        dimensions_map={dimension: value},
        statistic="sum",
        period=MINUTE,
    )


def total(parts: Mapping[str, cloudwatch.IMetric], label: str, minutes: int = 1) -> cloudwatch.MathExpression:
    """Return the sum of metrics; missing data counts as 0."""
    return cloudwatch.MathExpression(
        expression=" + ".join(f"FILL({part}, 0)" for part in parts),
        using_metrics=parts,
        period=cdk.Duration.minutes(minutes),
        label=label,
    )


def queried(namespace: str, name: str, *dimensions: str) -> cloudwatch.MathExpression:
    """Return the sum over all metrics with these dimensions, a query of CloudWatch Metrics Insights."""
    schema = ", ".join([f'"{namespace}"', *dimensions])
    return cloudwatch.MathExpression(
        expression=f"SELECT SUM({name}) FROM SCHEMA({schema})",  # noqa: S608  constants
        period=MINUTE,
        label=name,
    )
