"""A short run of `python -m tests.attacks.messages`, always with the same seed, and its runner."""

import json
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.attacks import messages
from tests.attacks.message_parsers import MessageParser, message_parsers
from tests.attacks.messages import BLOCK, attack, inputs
from tests.attacks.mutations import long_runs

COUNT = 300


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> dict[str, MessageParser]:
    return {each.name: each for each in message_parsers(tmp_path_factory.mktemp("messages"))}


NAMES = messages.names()


@pytest.mark.parametrize("name", NAMES)
def test_a_parser_accepts_its_first_sample(every: dict[str, MessageParser], name: str) -> None:
    every[name].parse(every[name].samples[0])


@pytest.mark.parametrize("name", NAMES)
def test_a_parser_accepts_or_refuses_changed_and_random_input(
    every: dict[str, MessageParser], name: str
) -> None:
    found = attack(every[name], seed=1, count=COUNT, limit_s=10.0)
    assert found["faults"] == []
    assert found["accepted"] + found["refused"] == COUNT


@pytest.mark.thorough
@pytest.mark.parametrize("name", NAMES)
def test_time_does_not_grow_with_the_square_of_what_is_repeated(
    every: dict[str, MessageParser], name: str
) -> None:
    parser = every[name]
    for data in long_runs(parser.samples[0]):
        begun = time.thread_time()
        with suppress(*parser.refusal):
            parser.parse(data)
        assert time.thread_time() - begun < 1.0, data[:60]  # of the processor: usually below 0.1 s


def test_the_inputs_of_a_seed_are_always_the_same_and_partly_random() -> None:
    first, again, other = (inputs([b"abcdef"], "any", seed, 0) for seed in (1, 1, 2))
    assert first == again != other
    assert len(first) == BLOCK


def test_a_fault_is_reported_with_its_number_and_a_slow_input_too() -> None:
    def parse(data: bytes) -> None:
        if data.startswith(b"x"):
            raise LookupError("a bug")

    faulty = MessageParser("faulty", parse, [b"xyz"], (ValueError,))
    found = attack(faulty, seed=1, count=20)
    assert found["faults"]
    fault = found["faults"][0]
    assert inputs([b"xyz"], "faulty", 1, 0)[fault["number"]].startswith(b"x")
    assert fault["error"] == "LookupError: a bug"
    slow = attack(faulty._replace(parse=lambda data: None), seed=1, count=3, limit_s=-1.0)
    assert [fault["error"][:4] for fault in slow["faults"]] == ["took"] * 3


def test_rows_of_other_parsers_stay_in_the_documentation() -> None:
    result = {"inputs": 5, "accepted": 4, "refused": 1, "longest_ms": 0.25, "faults": []}
    earlier = {"a": "| a | 1,000 | 1,000 | 0 | 1.0 | none |", "b": "| b | 1 | 1 | 0 | 1.0 | none |"}
    written = messages.table({"b": result}, 1, earlier)
    assert "1,005 inputs" in written
    assert written.splitlines()[-2:] == [earlier["a"], "| b | 5 | 4 | 1 | 0.2 | none |"]
    assert set(messages.rows_of(messages.PAGE)) <= set(NAMES)


def test_the_command_adds_a_parser_to_earlier_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = tmp_path / "figures.json"
    figures.write_text(json.dumps({"topic": {"inputs": 7, "faults": []}}))
    command = [
        "messages",
        "--only",
        "job request",
        "--inputs",
        "10",
        "--workers",
        "1",
        "--json",
        str(figures),
    ]
    monkeypatch.setattr(sys, "argv", command)
    assert messages.main() == 0
    assert {name: each["inputs"] for name, each in json.loads(figures.read_text()).items()} == {
        "topic": 7,
        "job request": 10,
    }
