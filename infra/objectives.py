"""Alarms on the error budgets of the service-level objectives."""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns
from constructs import Construct

from anc import published_metrics
from anc.services.objectives import BURN_RATES, OBJECTIVES, BurnRate, Objective
from infra.environment import Environment
from infra.metrics import Metrics


class ObjectiveAlarms(Construct):
    """Two composite alarms for each objective: the budget is used up fast, or slowly.

    Each is raised while its alarms on a long and on a short window are; these two have no action.
    """

    def __init__(
        self, scope: Construct, id: str, environment: Environment, metrics: Metrics, topic: sns.ITopic
    ) -> None:
        super().__init__(scope, id)
        self._environment = environment
        self._metrics = metrics
        action = actions.SnsAction(topic)
        for objective in OBJECTIVES:
            for rate in BURN_RATES:
                alarm = self._composite(objective, rate)
                alarm.add_alarm_action(action)
                alarm.add_ok_action(action)

    def _composite(self, objective: Objective, rate: BurnRate) -> cloudwatch.CompositeAlarm:
        name = f"{objective.name.replace('_', '-')}-burns-{rate.name}"
        windows = [
            self._window(f"{name}-{minutes}m", objective, rate, minutes)
            for minutes in (rate.long_minutes, rate.short_minutes)
        ]
        return cloudwatch.CompositeAlarm(
            self,
            name,
            composite_alarm_name=f"anc-{self._environment.name}-{name}",
            alarm_description=(
                f"Too few {objective.meaning} within {objective.limit_on_aws_s:g} s: the error budget of "
                f"{objective.budget:.1%} is used up {rate.factor:g} times too fast."
            ),
            alarm_rule=cloudwatch.AlarmRule.all_of(*windows),
        )

    def _window(self, name: str, objective: Objective, rate: BurnRate, minutes: int) -> cloudwatch.Alarm:
        return cloudwatch.Alarm(
            self,
            name,
            alarm_name=f"anc-{self._environment.name}-{name}",
            alarm_description=f"Percentage of {objective.meaning} in time, over {minutes} minutes.",
            metric=self._share(objective, minutes),
            threshold=round(100 * (1 - rate.factor * objective.budget), 4),
            comparison_operator=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            evaluation_periods=1,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )

    def _share(self, objective: Objective, minutes: int) -> cloudwatch.IMetric:
        """Return the percentage of durations within the limit; of several functions, the lowest."""
        rank = f"PR(0:{objective.limit_on_aws_s:g})"
        parts = {
            f"of_{function}": self._metrics.counted(function, objective.name, rank, minutes)
            for function in published_metrics.FUNCTIONS[objective.name]
        }
        if len(parts) == 1:
            return next(iter(parts.values()))
        return cloudwatch.MathExpression(
            expression=f"MIN([{', '.join(f'FILL({part}, 100)' for part in parts)}])",
            using_metrics=parts,
            period=cdk.Duration.minutes(minutes),
            label=f"{objective.name} in time, %",
        )
