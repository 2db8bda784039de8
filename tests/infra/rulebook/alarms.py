"""Alarms that combine others: which they may name, and whom they notify."""

import re
from collections.abc import Iterator

from tests.infra.conftest import Stacks, Template
from tests.infra.rulebook import fault, rule
from tests.infra.rulebook.templates import of_type

COMPOSITE = "AWS::CloudWatch::CompositeAlarm"
MAX_COMBINED = 100


@rule
def combined_alarms_exist_and_somebody_is_notified(stacks: Stacks) -> Iterator[str]:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html

    A rule names up to 100 alarms of the same account and region, each of which must exist.
    """
    known = {name for name, _ in of_type(stacks, "AWS::CloudWatch::Alarm")}
    for name, alarm in of_type(stacks, COMPOSITE):
        combined = re.findall(r'\("([^"]*)"\)', stacks.text(alarm["AlarmRule"]))
        if not 1 <= len(combined) <= MAX_COMBINED:
            yield f"{name} combines {len(combined)} alarms"
        yield from (f"{name} combines {each}, which does not exist" for each in combined if each not in known)
        if not alarm.get("AlarmActions"):
            yield f"{name} sends no notification"


@fault(combined_alarms_exist_and_somebody_is_notified)
def a_combined_alarm_that_is_missing(templates: dict[str, Template]) -> None:
    for _, resource in _composites(templates):
        resource["Properties"]["AlarmRule"] = 'ALARM("anc-dev-missing")'


@fault(combined_alarms_exist_and_somebody_is_notified)
def a_combination_without_a_notification(templates: dict[str, Template]) -> None:
    for _, resource in _composites(templates):
        del resource["Properties"]["AlarmActions"]


def _composites(templates: dict[str, Template]) -> Iterator[tuple[str, Template]]:
    for name, resource in templates["monitoring"]["Resources"].items():
        if resource["Type"] == COMPOSITE:
            yield name, resource
