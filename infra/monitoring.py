"""CloudWatch alarms, the topic that publishes them, dashboard, budget, and tracing."""

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_budgets as budgets
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_xray as xray
from aws_cdk.aws_sns_subscriptions import EmailSubscription
from constructs import Construct

from anc.published_metrics import DETECTION
from infra.api import Api
from infra.dashboard import Dashboard
from infra.data import Data
from infra.environment import Environment
from infra.firewall import MAX_BLOCKED
from infra.metrics import Metrics
from infra.objectives import ObjectiveAlarms

REST_P99_MS = 3000  # requests with sound take seconds; others, about 0.1 s
LIVE_P99_MS = 500  # including API Gateway and cold starts
SNAPSHOT_P99_S = 2.0
CONTROL_AGE_S = 60  # later filters are outdated
RECORDING_AGE_S = 1800
MAX_EMERGENCIES = 20  # in five minutes
MAX_FALLBACKS = 10  # in five minutes
TRACED_FRACTION = 0.01  # of REST calls, plus one per second: a trace costs as much as the call
BUDGET_THRESHOLDS = (80, 100)  # percent, actual and forecast


# An alarm takes at most ten metrics. The messages of this function wait without harm; see its queue's age.
PATIENT = ("rollout_manager",)


class Monitoring(cdk.Stack):
    """Topic, alarms, dashboard, budget and X-Ray sampling.

    Attributes
    ----------
    topic : Topic
        Receives alarms and budget notifications.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        environment: Environment,
        data: Data,
        api: Api,
        functions: Mapping[str, lambda_.Function],
    ) -> None:
        super().__init__(scope, id, env=environment.target)
        self._environment = environment
        self.topic = self._topic(data)
        metrics = Metrics(environment, api.rest.stage, api.socket, self.region)
        self._watch_apis(metrics)
        self._watch_functions(functions)
        self._watch_queues(data)
        self._watch_detection(metrics)
        self._watch_services(metrics)
        ObjectiveAlarms(self, "objectives", environment, metrics, self.topic)
        Dashboard(self, "dashboard", environment, metrics, functions, data)
        self._budget()
        self._trace()
        cdk.CfnOutput(self, "AlarmsTopic", value=self.topic.topic_arn)

    def _topic(self, data: Data) -> sns.Topic:
        topic = sns.Topic(self, "alarms", master_key=data.key, enforce_ssl=True)
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[
                    iam.ServicePrincipal(f"{service}.amazonaws.com") for service in ("cloudwatch", "budgets")
                ],
                actions=["sns:Publish"],
                resources=[topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": self.account}},
            )
        )
        if self._environment.mail:
            topic.add_subscription(EmailSubscription(self._environment.mail))
        return topic

    def _watch_apis(self, metrics: Metrics) -> None:
        self._alarm("rest-slow", metrics.rest_p99, REST_P99_MS, "REST latency p99 is above 3 s.")
        self._alarm("rest-errors", metrics.rest_errors, 5, "REST calls fail with server errors.")
        self._alarm("live-slow", metrics.live_p99, LIVE_P99_MS, "Latency p99 of live streams is above 0.5 s.")
        self._alarm("live-errors", metrics.live_errors, 5, "Frames get no response.")
        self._alarm(
            "snapshots-slow",
            metrics.snapshot_p99,
            SNAPSHOT_P99_S,
            "Snapshot processing p99 is above 2 s.",
        )

    def _watch_functions(self, functions: Mapping[str, lambda_.Function]) -> None:
        every_minute = cdk.Duration.minutes(1)
        for name, function in functions.items():
            self._alarm(
                f"{name}-errors",
                function.metric_errors(period=every_minute),
                0,
                f"{name} failed: an unhandled exception, a timeout or no memory; see its log.",
            )
        throttles = {
            f"t{i}": function.metric_throttles(period=every_minute)
            for i, function in enumerate(functions[name] for name in functions if name not in PATIENT)
        }
        self._alarm(
            "throttled",
            cloudwatch.MathExpression(
                expression=f"SUM([{', '.join(f'FILL({name}, 0)' for name in throttles)}])",
                using_metrics=throttles,
                period=every_minute,
                label="throttled calls",
            ),
            0,
            "The concurrency limit of the account is reached; request an increase.",
        )

    def _watch_queues(self, data: Data) -> None:
        for name, queue in data.queues.items():
            limit_s = RECORDING_AGE_S if name == "recordings" else CONTROL_AGE_S
            self._alarm(
                f"{name}-old",
                queue.metric_approximate_age_of_oldest_message(period=cdk.Duration.minutes(1)),
                limit_s,
                f"Messages in the queue {name} wait for more than {limit_s} s.",
            )
        for name, dead in data.dead_letters.items():
            self._alarm(
                f"{name}-dead",
                dead.metric_approximate_number_of_messages_visible(
                    period=cdk.Duration.minutes(1), statistic="max"
                ),
                0,
                f"A message of the queue {name} moved to its dead-letter queue (kept for four days).",
                minutes=1,
            )

    def _watch_detection(self, metrics: Metrics) -> None:
        failed = metrics.over(DETECTION, "classification_failed")
        self._alarm(
            "classification-failed", failed, 0, "Classification fails; headsets stay in transparency mode."
        )
        many = metrics.over(DETECTION, "emergencies_raised", minutes=5)
        self._alarm(
            "emergencies",
            many,
            MAX_EMERGENCIES,
            "Many emergencies at once, or false alarms of the detector.",
            minutes=1,
        )
        if self._environment.endpoint != "none":
            self._alarm(
                "model-fallback",
                metrics.fallbacks,
                MAX_FALLBACKS,
                "The endpoint fails; the built-in model is used instead.",
                minutes=1,
            )

    def _watch_services(self, metrics: Metrics) -> None:
        """Watch what is between the functions. Queries cover all environments of the account and region."""
        self._alarm(
            "rules-failed",
            metrics.rules_failed,
            0,
            "Actions of IoT rules fail: messages are in dead-letter queues, the reason in AWSIotLogsV2.",
            minutes=1,
        )
        self._alarm(
            "rules-lost",
            metrics.rules_lost,
            0,
            "Messages of headsets are lost: IoT rules could not write them to a dead-letter queue either.",
            minutes=1,
        )
        self._alarm(
            "rules-throttled",
            metrics.rules_throttled,
            0,
            "IoT rules are throttled; request an increase of rule evaluations per second.",
            minutes=1,
        )
        self._alarm(
            "headsets-throttled",
            metrics.headsets_throttled,
            0,
            "AWS IoT throttles headsets: a limit of the account for connects or messages is reached.",
        )
        self._alarm(
            "tables-throttled",
            metrics.tables_throttled,
            0,
            "DynamoDB throttles requests: too many to one key, or the account's limit is reached.",
        )
        if self._environment.guarded:
            self._alarm(
                "requests-blocked",
                metrics.requests_blocked,
                MAX_BLOCKED,
                "The web ACL of the API blocks many requests: an attack, or a rule that is too strict.",
                minutes=1,
            )

    def _alarm(
        self, name: str, metric: cloudwatch.IMetric, threshold: float, description: str, *, minutes: int = 3
    ) -> None:
        """Add an alarm on a metric above a threshold: in `minutes` of five periods, or in a single one."""
        alarm = cloudwatch.Alarm(
            self,
            name,
            alarm_name=f"anc-{self._environment.name}-{name}",
            alarm_description=description,
            metric=metric,
            threshold=threshold,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=5 if minutes > 1 else 1,
            datapoints_to_alarm=minutes,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        action = actions.SnsAction(self.topic)
        alarm.add_alarm_action(action)
        alarm.add_ok_action(action)

    def _trace(self) -> None:
        rule = xray.CfnSamplingRule.SamplingRuleProperty(
            rule_name=f"anc-{self._environment.name}",
            service_name=f"anc-{self._environment.name}/*",  # the stage of the REST API
            service_type="AWS::ApiGateway::Stage",
            host="*",
            http_method="*",
            url_path="*",
            resource_arn="*",
            priority=1000,
            reservoir_size=1,
            fixed_rate=TRACED_FRACTION,
            version=1,
        )
        xray.CfnSamplingRule(self, "traced", sampling_rule=rule)

    def _budget(self) -> None:
        """Add a budget of the whole account, with notifications."""
        kind = budgets.CfnBudget
        subscriber = kind.SubscriberProperty(subscription_type="SNS", address=self.topic.topic_arn)
        notifications = [
            kind.NotificationWithSubscribersProperty(
                notification=kind.NotificationProperty(
                    comparison_operator="GREATER_THAN",
                    notification_type=how,
                    threshold=share,
                    threshold_type="PERCENTAGE",
                ),
                subscribers=[subscriber],
            )
            for share, how in zip(BUDGET_THRESHOLDS, ("ACTUAL", "FORECASTED"), strict=True)
        ]
        budgets.CfnBudget(
            self,
            "budget",
            budget=kind.BudgetDataProperty(
                budget_name=f"anc-{self._environment.name}",
                budget_type="COST",
                time_unit="MONTHLY",
                budget_limit=kind.SpendProperty(amount=self._environment.budget, unit="USD"),
            ),
            notifications_with_subscribers=notifications,
        )
