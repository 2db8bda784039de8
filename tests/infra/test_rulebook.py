"""The templates obey the rule book in every environment and with every option."""

import copy
import importlib
import pkgutil

import pytest

from tests.infra import rulebook
from tests.infra.conftest import OPTIONS, Stacks, synthesize

for module in pkgutil.iter_modules(rulebook.__path__):
    importlib.import_module(f"{rulebook.__name__}.{module.name}")

DEPLOYMENTS = {
    "dev": {},
    "prod": {"env": "prod"},
    "options": OPTIONS,
    "instance": {"endpoint": "instance"},
}
FAULTS = [(rule, damage) for rule in rulebook.RULES.values() for damage in rule.faults]


@pytest.mark.parametrize("name", rulebook.RULES)
@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_the_templates_obey_the_rule(deployment, name):
    stacks = Stacks(synthesize(**DEPLOYMENTS[deployment]))

    assert list(rulebook.RULES[name].check(stacks)) == []


@pytest.mark.parametrize(("rule", "damage"), FAULTS, ids=[damage.__name__ for _, damage in FAULTS])
def test_the_rule_finds_the_fault(rule, damage):
    faulty = copy.deepcopy(synthesize("prod"))
    damage(faulty)

    assert list(rule.check(Stacks(faulty)))


@pytest.mark.parametrize("rule", rulebook.RULES.values(), ids=rulebook.RULES)
def test_every_rule_names_its_source_and_a_fault(rule):
    assert rule.source.startswith("https://")
    assert rule.faults
