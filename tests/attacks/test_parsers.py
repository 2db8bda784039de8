"""A short run of `python -m tests.attacks`, always with the same seed."""

from pathlib import Path

import pytest

from tests.attacks.fuzz import fuzz
from tests.attacks.parsers import Parser, parsers

ROUNDS = 200
NAMES = (
    "snapshot",
    "telemetry",
    "path",
    "signing request",
    "registration",
    "shadow update",
    "desired state",
    "websocket frame",
    "mqtt packet",
    "mqtt 5 packet",
    "token",
    "sound file",
    "model file",
)


@pytest.fixture(scope="module")
def every_parser(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Parser]:
    return {each.name: each for each in parsers(tmp_path_factory.mktemp("parsers"))}


def test_every_parser_is_listed(every_parser: dict[str, Parser]) -> None:
    assert tuple(every_parser) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_parser_accepts_its_valid_samples(every_parser: dict[str, Parser], name: str) -> None:
    parser = every_parser[name]
    parser.parse(parser.samples[0])


@pytest.mark.parametrize("name", NAMES)
def test_every_parser_accepts_or_rejects_mutated_input(every_parser: dict[str, Parser], name: str) -> None:
    outcome = fuzz([every_parser[name]], seed=1, rounds=ROUNDS)
    assert outcome.faults == []
    assert outcome.accepted[name] + outcome.refused[name] == ROUNDS


def test_a_parser_fault_is_reported_with_its_input(tmp_path: Path) -> None:
    def parse(data: bytes) -> None:
        if data != b"sample":
            raise LookupError("a bug")

    faulty = Parser("faulty", parse, [b"sample"], ValueError)
    first, again = fuzz([faulty], seed=7, rounds=5), fuzz([faulty], seed=7, rounds=5)
    assert first.faults == again.faults
    assert first.faults
    for fault in first.faults:
        with pytest.raises(LookupError):
            parse(fault.data)
