"""What AWS refuses or ignores and an emulator accepts, as checks of the templates.

A rule is a function from the templates of a deployment to the violations it finds. Its docstring begins with
the address of the page that it is from. Each rule has at least one fault beside it: a change of correct
templates, often back to an earlier version of them, that the rule must find.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from tests.infra.conftest import Stacks, Template

Check = Callable[[Stacks], Iterator[str]]
Damage = Callable[[dict[str, Template]], None]


class Rule(NamedTuple):
    """A check of the templates, and changes of correct templates that it must find."""

    check: Check
    faults: list[Damage]

    @property
    def name(self) -> str:
        """The name of the check, which states the rule."""
        return self.check.__name__

    @property
    def source(self) -> str:
        """The address of the page that the rule is from."""
        return (self.check.__doc__ or "").split()[0]


RULES: dict[str, Rule] = {}


def rule(check: Check) -> Check:
    """Add a check to the rule book."""
    RULES[check.__name__] = Rule(check, [])
    return check


def fault(check: Check) -> Callable[[Damage], Damage]:
    """Add a change that a check must find in otherwise correct templates."""

    def add(damage: Damage) -> Damage:
        RULES[check.__name__].faults.append(damage)
        return damage

    return add
