"""Simulated headsets report and install updates, so that a rollout can be tried without hardware."""

import threading
from unittest.mock import Mock

import pytest

from anc.fleet_records import FleetQuery
from anc.headset_records import DesiredFirmware
from anc.rollout_records import Rollout
from anc.services.access.identity import Caller
from anc.services.headsets import devices, rollout_steps, rollouts
from anc.services.headsets.rollouts import RolloutRequest
from tests.fakes import FakePlatform
from tools import fleet_population, simulated_fleet
from tools.simulated_fleet import FAILING, WORSE, SimulatedFleet

HEADSETS = 120
OPERATOR = Caller("olga", "operator")


@pytest.fixture
def fleet(platform: FakePlatform, monkeypatch: pytest.MonkeyPatch) -> SimulatedFleet:
    # The same canary each time: it could consist of those whose version is as bad as the worse one.
    monkeypatch.setattr(rollouts, "secrets", Mock(token_hex=lambda size: "00" * size))
    fleet_population.add(platform.deps, HEADSETS, seed=2)
    return SimulatedFleet(platform.deps, platform.jobs)


def created(version: str, platform: FakePlatform) -> Rollout:
    request = RolloutRequest(
        name="fix",
        firmware=DesiredFirmware(version, "https://updates.example/x.bin", "ab" * 32, 1024),
        config=None,
        query=FleetQuery(),
        canary_percent=10.0,
        soak_minutes=1.0,
        per_minute=100,
        max_failed_percent=10.0,
        max_drop_db=2.0,
    )
    return rollouts.create(request, OPERATOR, platform.deps)


def roll_out(version: str, platform: FakePlatform, fleet: SimulatedFleet) -> Rollout:
    """Roll out a version, and let the headsets act for half an hour."""
    rollout = created(version, platform)
    for _ in range(30):
        platform.clock.now += 60.0
        rollout_steps.take_all(platform.deps)
        fleet.take_jobs(HEADSETS)
        platform.clock.now += 1.0
        fleet.report(fleet.things)
    return rollouts.find(rollout.key, platform.deps)


def test_a_good_version_reaches_every_headset(platform: FakePlatform, fleet: SimulatedFleet) -> None:
    rollout = roll_out("2.0.0", platform, fleet)

    assert (rollout.state, rollout.counts) == ("done", {"succeeded": HEADSETS})
    found = platform.deps.fleet_index.search(FleetQuery(firmware="2.0.0"), limit=100)
    assert len(found.headsets) == 100


def test_a_worse_version_stops_with_the_canary(platform: FakePlatform, fleet: SimulatedFleet) -> None:
    rollout = roll_out(f"2.0{WORSE}", platform, fleet)

    assert (rollout.state, rollout.counts["succeeded"]) == ("stopped", HEADSETS // 10)
    assert "attenuation" in rollout.reason


def test_a_version_that_cannot_be_installed_stops_too(platform: FakePlatform, fleet: SimulatedFleet) -> None:
    rollout = roll_out(f"2.0{FAILING}", platform, fleet)

    assert (rollout.state, rollout.counts["failed"]) == ("stopped", HEADSETS // 10)


def test_a_fleet_that_starts_later_takes_the_jobs_that_waited(platform: FakePlatform) -> None:
    fleet_population.add(platform.deps, HEADSETS, seed=2)
    created("2.0.0", platform)
    rollout_steps.take_all(platform.deps)

    assert len(SimulatedFleet(platform.deps, platform.jobs).take_jobs(HEADSETS)) == HEADSETS // 10


def test_a_removed_headset_no_longer_reports(platform: FakePlatform, fleet: SimulatedFleet) -> None:
    thing = fleet.things[0]
    devices.remove(thing, Caller("admin", "admin"), platform.deps)

    fleet.report(list(fleet.things))

    assert thing not in fleet.things
    assert len(fleet.things) == HEADSETS - 1


def test_each_headset_reports_once_in_a_round(
    platform: FakePlatform, fleet: SimulatedFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulated_fleet, "ROUND_S", 0.0)
    reported, stop = [], threading.Event()
    monkeypatch.setattr(
        fleet, "report", lambda things: (reported.extend(things), len(reported) >= HEADSETS and stop.set())
    )

    fleet.run(stop)

    assert sorted(reported) == sorted(fleet.things)
