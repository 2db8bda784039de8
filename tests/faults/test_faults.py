"""Whatever call fails and whenever the process ends, no flow loses or repeats what it promised.

A kind of fault happens in every third call in which it has a new effect, and another kind in the next ones.
`python -m tests.faults` injects every fault into every call.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.campaign import new_outcomes, undisturbed
from tests.faults.flows import FLOWS
from tests.faults.injection import KINDS, MEANING, PORTS, Faults, Killed
from tests.faults.platform import DELIVERIES, FaultyPlatform
from tests.faults.sound import computed_once

# Users: tests/unit/services/test_users_cut_short.py. Watches are optional.
NOT_IN_A_FLOW = {"users", "watches", "fleet_days"}
STEP = 3
# With late delivery, only the message of a process that ended is delivered differently.
CASES = [(kind, "at once") for kind in KINDS] + [("killed before", "late"), ("killed after", "late")]


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    with computed_once():
        yield


@pytest.mark.thorough
@pytest.mark.parametrize(("kind", "delivery"), CASES, ids=["-".join(case) for case in CASES])
@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_keeps_its_promise_whichever_call_fails(
    name: str, kind: str, delivery: str, tmp_path: Path
) -> None:
    flow, here = FLOWS[name], FaultyPlatform(tmp_path, delivery)
    calls = undisturbed(flow, here, "free")
    found = list(new_outcomes(flow, here, kind, calls, "run", STEP))  # type: ignore[arg-type]
    assert [outcome for outcome in found if outcome.failure] == []
    assert found or kind in ("gone", "overtaken")


@pytest.mark.parametrize("delivery", DELIVERIES)
@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_keeps_its_promise_however_its_messages_are_delivered(
    name: str, delivery: str, tmp_path: Path
) -> None:
    here = FaultyPlatform(tmp_path, delivery)
    undisturbed(FLOWS[name], here, "free")
    assert here.dead_letters() == []


def test_together_the_flows_call_every_port(tmp_path: Path) -> None:
    here, used = FaultyPlatform(tmp_path), set()
    for name, flow in FLOWS.items():
        used |= {port for port, _ in undisturbed(flow, here, name.replace(" ", "-"))}
    assert used >= set(PORTS) - NOT_IN_A_FLOW


def test_a_dead_process_makes_no_calls() -> None:
    class Log(list[str]):
        def put(self, text: str) -> None:
            self.append(text)

    faults, log = Faults(), Log()
    port = faults.wrap("log", log)
    faults.inject("killed after", 1)
    port.put("a")
    for text in ("b", "c"):
        with pytest.raises(Killed):
            port.put(text)
    faults.restart()
    port.put("d")
    assert log == ["a", "b", "d"]


def test_the_page_on_reliability_names_every_promise_and_fault() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text()
    for name, flow in FLOWS.items():
        assert f"| {name} | {flow.promise} |" in page
    for kind, meaning in MEANING.items():
        assert f"| {kind} | {meaning} |" in page
