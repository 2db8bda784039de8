"""The guards of speed run, and count the ratios that are above their limits."""

import pytest

from benchmarks import guards
from benchmarks.guards import Guard, check, ratio


class Cpu:
    """A processor clock that advances by the work that is done."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def work(self, *seconds: float) -> object:
        """Return a function that takes so long at each call, and the last time from then on."""
        left = list(seconds)

        def do() -> None:
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return do


@pytest.fixture
def cpu(monkeypatch: pytest.MonkeyPatch) -> Cpu:
    cpu = Cpu()
    monkeypatch.setattr(guards.time, "thread_time", cpu)
    return cpu


def test_the_smallest_times_are_compared(cpu: Cpu) -> None:
    guard = Guard("a", "b", cpu.work(9.0, 3.0, 8.0), cpu.work(5.0, 1.0, 4.0), 1.0)  # type: ignore[arg-type]
    assert ratio(guard, rounds=3) == pytest.approx(3.0)


def test_a_ratio_above_its_limit_is_counted_unless_a_longer_run_is_within(
    cpu: Cpu, capsys: pytest.CaptureFixture[str]
) -> None:
    within = Guard("within", "b", cpu.work(2.0), cpu.work(1.0), 2.5)  # type: ignore[arg-type]
    disturbed = [9.0] * guards.ROUNDS + [2.0]
    late = Guard("late", "b", cpu.work(*disturbed), cpu.work(1.0), 2.5)  # type: ignore[arg-type]
    slow = Guard("slow", "b", cpu.work(3.0), cpu.work(1.0), 2.5)  # type: ignore[arg-type]
    assert check([within, late, slow]) == 1
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines() if "above" in line] == ["slow"]


def test_every_guard_runs() -> None:
    for guard in guards.guards():
        guard.subject()
        guard.plain()
