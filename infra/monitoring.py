"""What somebody is woken for: alarms on what people notice, a topic that carries them, and a budget."""

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

from infra.api import Api
from infra.dashboard import Dashboard
from infra.data import Data
from infra.environment import Environment
from infra.iot import Iot
from infra.metrics import HEARING, Metrics

REST_P99_MS = 3000  # sounds in a request take seconds by nature, everything else a tenth of one
LIVE_P99_MS = 500  # of a block's way through API Gateway and back, the wait for a new container included
SNAPSHOT_P99_S = 2.0
CONTROL_AGE_S = 60  # a filter that comes later is for another noise
RECORDING_AGE_S = 1800
EMERGENCIES = 20  # in five minutes: a real one for many, or a detector that is wrong
FALLBACKS = 10  # in five minutes: doubts that only the layer's own model could answer
TRACED = 0.01  # of what is asked, and one a second: a trace costs as much as the call that it is of
SHARES = (80, 100)  # percent of the budget, spent or foreseen


class Monitoring(cdk.Stack):
    """Topic, alarms, dashboard, budget, and how much is traced.

    Attributes
    ----------
    topic : Topic
        Who subscribes is told of alarms and of what it costs.
    """

    def __init__(
        self, scope: Construct, id: str, environment: Environment, data: Data, api: Api, iot: Iot
    ) -> None:
        super().__init__(scope, id, env=environment.target)
        self._environment = environment
        self.topic = self._topic(data)
        measures = Metrics(environment, api.rest.stage, api.socket)
        functions = api.functions | iot.functions
        self._watch_what_clients_wait_for(measures)
        self._watch_functions(functions)
        self._watch_queues(data)
        self._watch_hearing(measures)
        Dashboard(self, "dashboard", environment, measures, functions, data)
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

    def _watch_what_clients_wait_for(self, measures: Metrics) -> None:
        self._alarm("rest-slow", measures.rest_p99, REST_P99_MS, "One REST call in a hundred takes over 3 s.")
        self._alarm("rest-errors", measures.rest_errors, 5, "REST calls end with a fault of ours.")
        self._alarm("live-slow", measures.live_p99, LIVE_P99_MS, "Live streams fall behind.")
        self._alarm("live-errors", measures.live_errors, 5, "Frames are answered by nobody.")
        self._alarm(
            "snapshots-slow",
            measures.snapshot_p99,
            SNAPSHOT_P99_S,
            "A filter takes over 2 s to compute.",
        )

    def _watch_functions(self, functions: dict[str, lambda_.Function]) -> None:
        every_minute = cdk.Duration.minutes(1)
        for name, function in functions.items():
            self._alarm(
                f"{name}-errors",
                function.metric_errors(period=every_minute),
                0,
                f"{name} raised what nobody caught, or ran out of time or memory; its log says which.",
            )
        throttles = {
            f"t{i}": function.metric_throttles(period=every_minute)
            for i, function in enumerate(functions.values())
        }
        self._alarm(
            "throttled",
            cloudwatch.MathExpression(
                expression=f"SUM([{', '.join(f'FILL({name}, 0)' for name in throttles)}])",
                using_metrics=throttles,
                period=every_minute,
                label="calls that Lambda held back",
            ),
            0,
            "The account's concurrent executions are used up: ask for more.",
        )

    def _watch_queues(self, data: Data) -> None:
        for name, queue in data.queues.items():
            most = RECORDING_AGE_S if name == "recordings" else CONTROL_AGE_S
            self._alarm(
                f"{name}-old",
                queue.metric_approximate_age_of_oldest_message(period=cdk.Duration.minutes(1)),
                most,
                f"What is in the queue {name} waits for over {most} s.",
            )
        for name, dead in data.dead_letters.items():
            self._alarm(
                f"{name}-dead",
                dead.metric_approximate_number_of_messages_visible(
                    period=cdk.Duration.minutes(1), statistic="max"
                ),
                0,
                f"A message of the queue {name} failed for good; it is kept for four days.",
                minutes=1,
            )

    def _watch_hearing(self, measures: Metrics) -> None:
        deaf = measures.over(HEARING, "classification_failed")
        self._alarm("cannot-hear", deaf, 0, "Classification failed; headsets are open meanwhile.")
        many = measures.over(HEARING, "emergencies_raised", minutes=5)
        self._alarm("emergencies", many, EMERGENCIES, "Many alarms at once, or a wrong detector.", minutes=1)
        if self._environment.endpoint != "none":
            self._alarm(
                "model-fallback",
                measures.fallbacks,
                FALLBACKS,
                "The endpoint does not answer; the layer's own model does.",
                minutes=1,
            )

    def _alarm(
        self, name: str, metric: cloudwatch.IMetric, most: float, means: str, *, minutes: int = 3
    ) -> None:
        """Tell the topic when a metric is over `most` in as many periods out of five, or at once for one."""
        alarm = cloudwatch.Alarm(
            self,
            name,
            alarm_name=f"anc-{self._environment.name}-{name}",
            alarm_description=means,
            metric=metric,
            threshold=most,
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
            service_name=f"anc-{self._environment.name}*",  # so begin the functions' names, and the API's
            service_type="*",
            host="*",
            http_method="*",
            url_path="*",
            resource_arn="*",
            priority=1000,
            reservoir_size=1,
            fixed_rate=TRACED,
            version=1,
        )
        xray.CfnSamplingRule(self, "traced", sampling_rule=rule)

    def _budget(self) -> None:
        """Have AWS say when the account, with whatever else runs in it, becomes expensive."""
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
            for share, how in zip(SHARES, ("ACTUAL", "FORECASTED"), strict=True)
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
