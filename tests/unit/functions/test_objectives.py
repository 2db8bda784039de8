"""What the service-level objectives are measured by: from the receipt of sound to its effect."""

from pathlib import Path

import pytest

from anc.ports import Conflict
from anc.services.platform_metrics import histogram
from tests.fakes import Clock, FakePlatform, make_dependencies
from tests.unit.functions.test_control_path import headsets, message, process, send, snapshot
from tests.unit.functions.test_emergency import begin, send_siren
from tests.untrained_models import untrained_model

__all__ = ["headsets"]  # a fixture


def durations(platform: FakePlatform, name: str) -> tuple[int, float]:
    found = histogram(name, platform.counts)
    return found.number, found.total_s


def test_the_time_from_snapshot_to_shadow_includes_the_wait_in_both_queues(headsets: FakePlatform) -> None:
    headsets.clock.now = 1_800_000_000.0 + 0.75  # after it was published
    process(headsets, message("left", snapshot(1)))
    (changed,) = headsets.messages()
    headsets.clock.now += 2
    assert durations(headsets, "snapshot_shadow") == (0, 0)

    send(headsets, changed)
    assert durations(headsets, "snapshot_shadow") == (1, pytest.approx(2.75))


def test_an_update_of_the_shadow_without_a_snapshot_is_not_measured(headsets: FakePlatform) -> None:
    send(headsets, "left")
    assert durations(headsets, "snapshot_shadow") == (0, 0)


def test_every_answered_block_and_the_opening_of_its_emergency_are_measured(
    tmp_path: Path, clock: Clock
) -> None:
    model = untrained_model(tmp_path / "alarm.npz", alarm=True)
    platform = make_dependencies(tmp_path, clock, ml_model_path=str(model))
    send_siren(platform, begin(platform), range(20))

    assert durations(platform, "block_answer")[0] == 20
    assert durations(platform, "emergency_open")[0] == 1


def test_an_emergency_that_was_published_late_is_measured_from_its_sound(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = untrained_model(tmp_path / "alarm.npz", alarm=True)
    platform = make_dependencies(tmp_path, clock, ml_model_path=str(model))
    session = begin(platform)
    with monkeypatch.context() as broken:
        broken.setattr(platform.alerts, "publish", lambda *_: (_ for _ in ()).throw(Conflict("broken")))
        send_siren(platform, session, range(20))
    assert durations(platform, "emergency_open")[0] == 0

    clock.now += 3
    send_siren(platform, session, range(20, 21))
    assert durations(platform, "emergency_open") == (1, pytest.approx(3, abs=0.5))
