"""The CloudWatch dashboard."""

from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from anc.published_metrics import DETECTION, ENDPOINT
from infra.data import Data
from infra.environment import Environment
from infra.metrics import MINUTE, Metrics

WIDTH, HEIGHT = 8, 6  # three graphs per row


class Dashboard(Construct):
    """Graphs from user-visible symptoms (first row) to possible causes (last row)."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        environment: Environment,
        measures: Metrics,
        functions: Mapping[str, lambda_.Function],
        data: Data,
    ) -> None:
        super().__init__(scope, id)
        board = cloudwatch.Dashboard(
            self,
            "board",
            dashboard_name=f"anc-{environment.name}",
            default_interval=cdk.Duration.hours(3),
        )
        counted = measures.counted
        board.add_widgets(
            _graph(
                "Snapshots and filters per minute",
                [
                    counted("anc_processor", "snapshots_processed"),
                    counted("anc_processor", "filters_sent"),
                    counted("anc_processor", "filters_kept"),
                    counted("anc_processor", "filters_reverted"),
                    counted("anc_processor", "filters_at_drivers_limit"),
                ],
            ),
            _graph(
                "Snapshot processing time, s",
                [
                    counted("anc_processor", "snapshot", "p50"),
                    measures.snapshot_p99,
                ],
            ),
            _graph(
                "Age of the oldest message, s",
                [
                    queue.metric_approximate_age_of_oldest_message(period=MINUTE, label=name)
                    for name, queue in data.queues.items()
                ],
            ),
        )
        board.add_widgets(
            _graph("Live frames per minute", [measures.frames, measures.live_errors]),
            _graph("Live frame latency, ms (p99)", [measures.live_p99]),
            _graph("REST", [measures.rest_calls, measures.rest_errors], [measures.rest_p99]),
        )
        board.add_widgets(
            _graph(
                "Emergencies and failed classifications",
                [
                    measures.over(DETECTION, "emergencies_raised"),
                    measures.over(DETECTION, "classification_failed"),
                ],
            ),
            _graph(
                "SageMaker endpoint",
                [
                    measures.over(ENDPOINT, "endpoint_answered"),
                    measures.fallbacks,
                ],
            ),
            _graph(
                "Dead letters",
                [
                    queue.metric_approximate_number_of_messages_visible(
                        period=MINUTE, statistic="max", label=name
                    )
                    for name, queue in data.dead_letters.items()
                ],
            ),
        )
        board.add_widgets(
            _graph(
                "Function duration, ms (p99)",
                [
                    function.metric_duration(period=MINUTE, statistic="p99", label=name)
                    for name, function in functions.items()
                ],
            ),
            _graph(
                "Function errors",
                [function.metric_errors(period=MINUTE, label=name) for name, function in functions.items()],
            ),
            _graph(
                "Function throttles",
                [
                    function.metric_throttles(period=MINUTE, label=name)
                    for name, function in functions.items()
                ],
            ),
        )


def _graph(
    title: str, left: Sequence[cloudwatch.IMetric], right: Sequence[cloudwatch.IMetric] = ()
) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=[*left], right=[*right], width=WIDTH, height=HEIGHT)
