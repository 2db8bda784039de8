"""Sizes that AWS limits and an emulator does not: stacks, variables of functions, and memory of alarms."""

import json
from collections.abc import Iterator
from typing import Any

from tests.infra.conftest import Stacks, Template
from tests.infra.rulebook import fault, rule
from tests.infra.rulebook.templates import of_type

MAX_RESOURCES, MAX_OUTPUTS, MAX_TEMPLATE_BYTES = 500, 200, 1_000_000
MAX_VARIABLES_BYTES = 4096
REFERENCE_BYTES = 90  # of a name or ARN that is known after the deployment, at most
HOUR_S, DAY_S, WEEK_S = 3600, 86_400, 604_800
QUERY_S = 3 * HOUR_S


@rule
def stacks_are_within_the_quotas_of_cloudformation(stacks: Stacks) -> Iterator[str]:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html"""
    for name, template in stacks.templates.items():
        for part, most in (("Resources", MAX_RESOURCES), ("Outputs", MAX_OUTPUTS)):
            if len(template.get(part, {})) > most:
                yield f"{name} has {len(template[part])} {part}"
        if len(json.dumps(template)) > MAX_TEMPLATE_BYTES:
            yield f"the template of {name} is too large"


@fault(stacks_are_within_the_quotas_of_cloudformation)
def a_stack_with_too_many_resources(templates: dict[str, Template]) -> None:
    topic = {"Type": "AWS::SNS::Topic", "Properties": {}}
    templates["api"]["Resources"] |= {f"topic{number}": topic for number in range(MAX_RESOURCES)}


@rule
def variables_of_functions_have_at_most_4_kb(stacks: Stacks) -> Iterator[str]:
    """https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html

    The limit is for all variables of a function, names included.
    """
    for name, function in stacks.functions().items():
        variables = function["Environment"]["Variables"]
        if sum(len(key) + _size(value) for key, value in variables.items()) > MAX_VARIABLES_BYTES:
            yield f"{name} has too long variables"


@fault(variables_of_functions_have_at_most_4_kb)
def a_function_with_a_long_variable(templates: dict[str, Template]) -> None:
    for resource in templates["api"]["Resources"].values():
        if resource["Type"] == "AWS::Lambda::Function":
            resource["Properties"]["Environment"]["Variables"]["LONG"] = "x" * MAX_VARIABLES_BYTES


@rule
def alarms_do_not_look_back_too_far(stacks: Stacks) -> Iterator[str]:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html

    An alarm evaluates at most seven days, with periods below an hour one day, and a query of Metrics Insights
    three hours.
    """
    for name, alarm in of_type(stacks, "AWS::CloudWatch::Alarm"):
        parts = alarm.get("Metrics", ())
        periods = [alarm.get("Period"), *(_period(part) for part in parts)]
        period_s = max(period for period in periods if period)
        most = WEEK_S if period_s >= HOUR_S else DAY_S
        if any("SELECT" in part.get("Expression", "") for part in parts):
            most = QUERY_S
        if period_s * alarm["EvaluationPeriods"] > most:
            yield f"{name} looks back {period_s * alarm['EvaluationPeriods']} s"


def _set_periods(templates: dict[str, Template], periods: int, of_query: bool) -> None:
    for resource in templates["monitoring"]["Resources"].values():
        if resource["Type"] == "AWS::CloudWatch::Alarm" and ("SELECT" in str(resource)) == of_query:
            resource["Properties"]["EvaluationPeriods"] = periods


@fault(alarms_do_not_look_back_too_far)
def alarms_over_more_than_a_day(templates: dict[str, Template]) -> None:
    _set_periods(templates, 24 * 60 + 1, of_query=False)


@fault(alarms_do_not_look_back_too_far)
def a_query_over_half_a_day(templates: dict[str, Template]) -> None:
    _set_periods(templates, 12 * 60, of_query=True)


def _size(value: Any) -> int:
    return len(value) if isinstance(value, str) else REFERENCE_BYTES


def _period(metric: dict[str, Any]) -> int:
    return int(metric.get("Period") or metric.get("MetricStat", {}).get("Period") or 0)
