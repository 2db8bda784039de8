"""Metrics of a deployment, shared by alarms and dashboard."""

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch

from infra.environment import Environment
from infra.websocket import WebSocket

DETECTION = ("anc_processor", "audio_receiver", "classifier", "rest_api")  # functions that classify sound
ENDPOINT = ("classifier",)  # functions that call the endpoint
MINUTE = cdk.Duration.minutes(1)


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
    """

    def __init__(self, environment: Environment, rest: apigateway.Stage, socket: WebSocket) -> None:
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

    def counted(
        self, function: str, name: str, statistic: str = "sum", minutes: int = 1
    ) -> cloudwatch.Metric:
        """Return a custom metric of one function (`anc.ports.Counters`)."""
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
        return cloudwatch.MathExpression(
            expression=" + ".join(f"FILL({part}, 0)" for part in parts),
            using_metrics=parts,
            period=cdk.Duration.minutes(minutes),
            label=" and ".join(names),
        )
