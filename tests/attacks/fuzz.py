"""Mutations of valid inputs against every parser, bounded in count and in time."""

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tests.attacks.mutations import mutated
from tests.attacks.parsers import Parser

MAX_FAULTS = 20


class Fault(NamedTuple):
    """An input on which a parser raised an unexpected exception."""

    parser: str
    number: int
    error: str
    data: bytes


class Outcome(NamedTuple):
    """The numbers of accepted and rejected inputs of each parser, and its faults."""

    accepted: Counter[str]
    refused: Counter[str]
    faults: list[Fault]


def fuzz(
    parsers: Sequence[Parser],
    seed: int,
    rounds: int,
    until: float = float("inf"),
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Pass one mutated input per round to each parser.

    An input depends on the seed, the parser's name and the round alone.

    Parameters
    ----------
    parsers : sequence of Parser
    seed : int
    rounds : int
    until : float
        When to end at the latest, on `clock`.

    Returns
    -------
    Outcome
        It ends early with `MAX_FAULTS` faults.
    """
    outcome = Outcome(Counter(), Counter(), [])
    for number in range(rounds):
        for parser in parsers:
            if clock() >= until or len(outcome.faults) >= MAX_FAULTS:
                return outcome
            data = mutated(parser.samples, random.Random(f"{seed} {parser.name} {number}"))
            try:
                parser.parse(data)
            except parser.refusal:
                outcome.refused[parser.name] += 1
            except Exception as error:
                message = f"{type(error).__name__}: {error}"[:200]
                outcome.faults.append(Fault(parser.name, number, message, data))
            else:
                outcome.accepted[parser.name] += 1
    return outcome
