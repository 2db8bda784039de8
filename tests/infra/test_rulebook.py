"""The templates obey the rule book in every environment and with every option."""

import copy
import importlib
import pkgutil
from pathlib import Path

import pytest

from infra.emulated.assembly import LACKING
from tests.infra import rulebook
from tests.infra.conftest import OPTIONS, Stacks, deployment, synthesize

for module in pkgutil.iter_modules(rulebook.__path__):
    importlib.import_module(f"{rulebook.__name__}.{module.name}")

DEPLOYMENTS = {
    "dev": {},
    "prod": {"env": "prod"},
    "options": OPTIONS,
    "instance": {"endpoint": "instance", "canary": "on"},
    "prod in a new account": {"env": "prod", "concurrency": "10"},
    "prod with the other options": {"env": "prod", **OPTIONS, "canary": "off", "queue_concurrency": "100"},
}
RULE_FILES = list(Path(rulebook.__file__).parent.glob("*.py"))
FAULTS = [(rule, damage) for rule in rulebook.RULES.values() for damage in rule.faults]


@pytest.mark.parametrize("name", rulebook.RULES)
@pytest.mark.parametrize("deployed", DEPLOYMENTS)
def test_the_templates_obey_the_rule(deployed, name):
    stacks = deployment(**DEPLOYMENTS[deployed])

    assert list(rulebook.RULES[name].check(stacks)) == []


@pytest.mark.parametrize(("rule", "damage"), FAULTS, ids=[damage.__name__ for _, damage in FAULTS])
def test_the_rule_finds_the_fault(rule, damage):
    faulty = copy.deepcopy(synthesize("prod"))
    damage(faulty)

    assert list(rule.check(Stacks(faulty)))


@pytest.mark.parametrize("kind", sorted(LACKING))
def test_rules_cover_what_the_emulator_lacks(kind):
    assert any(f'"{kind}"' in path.read_text() for path in RULE_FILES)


def test_a_new_account_cannot_have_what_prod_reserves():
    rule = rulebook.RULES["reservations_leave_100_executions"]

    assert list(rule.check(Stacks(synthesize("prod"), quota=10)))


@pytest.mark.parametrize("rule", rulebook.RULES.values(), ids=rulebook.RULES)
def test_every_rule_names_its_source_and_a_fault(rule):
    assert rule.source.startswith("https://")
    assert rule.faults
