"""Run a flow once for every call that it makes, with a fault in that call."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tests.faults.flow import Flow
from tests.faults.injection import JUMPS_S, KINDS, Kind, applies, is_new
from tests.faults.platform import FaultyPlatform


class Outcome(NamedTuple):
    """A fault that was injected, and how the promise was broken, or ""."""

    kind: Kind
    call: str
    failure: str


def undisturbed(flow: Flow, here: FaultyPlatform, name: str) -> list[tuple[str, str]]:
    """Run a flow without a fault, and return its calls. Raises AssertionError if the promise is broken."""
    flow.prepare(here, name)
    here.faults.inject()
    flow.run(here, name)
    calls = here.faults.calls
    flow.check(here, name)
    return calls


def outcomes(
    flow: Flow,
    here: FaultyPlatform,
    kind: Kind,
    calls: list[tuple[str, str]],
    prefix: str,
) -> Iterator[Outcome]:
    """Run a flow with a fault in each call in turn."""
    numbers = [number for number, call in enumerate(calls) if applies(kind, *call)]
    return _inject(flow, here, kind, calls, prefix, numbers)


def new_outcomes(
    flow: Flow, here: FaultyPlatform, kind: Kind, calls: list[tuple[str, str]], prefix: str, step: int
) -> Iterator[Outcome]:
    """Run a flow with a fault in every `step`-th call in which it has a new effect; others for each kind."""
    numbers = [number for number, call in enumerate(calls) if is_new(kind, *call)]
    first = KINDS.index(kind) % max(min(step, len(numbers)), 1)
    return _inject(flow, here, kind, calls, prefix, numbers[first::step])


def _inject(
    flow: Flow,
    here: FaultyPlatform,
    kind: Kind,
    calls: list[tuple[str, str]],
    prefix: str,
    numbers: Sequence[int],
) -> Iterator[Outcome]:
    for number in numbers:
        name = f"{prefix}-{number}"
        flow.prepare(here, name)
        here.faults.inject(kind, number)
        failure, injected = "", True
        try:
            flow.run(here, name)
            injected = here.faults.injected
            here.faults.inject()
            if kind == "clock back":
                here.clock.now -= JUMPS_S[kind]
                here.run()
            flow.check(here, name)
            dead = here.dead_letters()
            assert not dead, f"dead letters: {dead}"
        except AssertionError as fault:
            failure = str(fault).splitlines()[0]
        if injected:
            yield Outcome(kind, ".".join(calls[number]), failure)
