"""A rollout ends after two weeks at the latest, and with it the jobs of headsets that did not finish."""

import pytest

from anc.fleet_records import FleetQuery
from anc.headset_records import DesiredConfiguration
from anc.lifetimes import DAY_S
from anc.rollout_records import Rollout, Target
from anc.services.access.identity import Caller
from anc.services.headsets import rollout_steps, rollouts
from tests.fakes import FakePlatform
from tools import fleet_population

OPERATOR = Caller("olga", "operator")
HEADSETS = 3


@pytest.fixture
def under_way(platform: FakePlatform) -> Rollout:
    """Create a rollout whose headsets have a job and have not finished it."""
    fleet_population.add(platform.deps, HEADSETS, seed=1)
    request = rollouts.RolloutRequest(
        name="calm",
        firmware=None,
        config=DesiredConfiguration(snapshot_interval_s=60.0),
        query=FleetQuery(),
        canary_percent=100.0,
        soak_minutes=0.0,
        per_minute=100,
        max_failed_percent=100.0,
        max_drop_db=2.0,
    )
    created = rollouts.create(request, OPERATOR, platform.deps)
    rollout_steps.take_all(platform.deps)
    found = rollouts.find(created.key, platform.deps)
    assert found.counts == {"queued": HEADSETS}
    return found


def after(days: float, rollout: Rollout, platform: FakePlatform) -> Rollout:
    platform.clock.now = rollout.created + days * DAY_S
    rollout_steps.take_all(platform.deps)
    return rollouts.find(rollout.key, platform.deps)


@pytest.mark.parametrize("is_paused", [False, True], ids=["active", "paused"])
@pytest.mark.parametrize("days", [14.1, 60.0], ids=["on time", "when the platform runs again"])
def test_a_rollout_that_headsets_do_not_finish_ends_with_their_jobs(
    under_way: Rollout, platform: FakePlatform, is_paused: bool, days: float
) -> None:
    if is_paused:
        rollouts.change(under_way.key, "pause", OPERATOR, platform.deps)
    ended = after(days, under_way, platform)

    assert (ended.state, ended.counts) == ("done", {"cancelled": HEADSETS})
    assert ended.reason == f"{HEADSETS} headsets did not finish within 14 days"


def test_a_rollout_whose_jobs_cannot_be_started_ends_too(
    under_way: Rollout, platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a thing was deleted by hand")

    monkeypatch.setattr(platform.jobs, "start", fail)
    (batch,) = platform.deps.rollout_batches.list(under_way.key)
    waiting = tuple(Target(target.thing) for target in batch.targets)
    platform.deps.rollout_batches.put(batch.replace(started=False, targets=waiting))
    platform.deps.rollouts.put(under_way.replace(started=0))
    assert after(1.0, under_way, platform).state == "active"
    ended = after(14.1, under_way, platform)

    assert (ended.state, ended.counts) == ("done", {"waiting": HEADSETS})


def test_a_paused_rollout_can_be_cancelled_after_its_deadline(
    under_way: Rollout, platform: FakePlatform
) -> None:
    """The platform did not run in between, so it has not ended the rollout itself."""
    rollouts.change(under_way.key, "pause", OPERATOR, platform.deps)
    platform.clock.now = under_way.created + 30 * DAY_S
    rollouts.change(under_way.key, "cancel", OPERATOR, platform.deps)
    ended = after(30.1, under_way, platform)

    assert (ended.state, ended.counts) == ("cancelled", {"cancelled": HEADSETS})


def test_a_paused_rollout_stays_so_until_its_deadline(under_way: Rollout, platform: FakePlatform) -> None:
    rollouts.change(under_way.key, "pause", OPERATOR, platform.deps)
    kept = after(13.9, under_way, platform)

    assert (kept.state, kept.counts) == ("paused", {"queued": HEADSETS})
