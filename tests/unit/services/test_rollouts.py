"""Rollouts in stages: which headsets get them, when they go on, and when they stop by themselves."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from anc.fleet_records import FleetQuery
from anc.headset_records import DesiredConfiguration, DesiredFirmware
from anc.ports import Conflict
from anc.records import Record
from anc.rollout_records import Rollout, Target
from anc.schemas.job import IN_PROGRESS_TIMEOUT_S, JobDocument, ReportedStatus
from anc.schemas.refusal import Refused
from anc.schemas.shadow import Configuration, Firmware
from anc.schemas.telemetry import TelemetryReport
from anc.services.access.identity import Caller
from anc.services.headsets import control, devices, registrations, rollout_steps, rollouts
from anc.services.headsets.devices import ShadowUpdate
from anc.services.headsets.rollouts import RolloutRequest
from tests.fakes import FakePlatform
from tools import fleet_population
from tools.simulated_fleet import SimulatedFleet, effect_db

OPERATOR = Caller("olga", "operator")
FIRMWARE = DesiredFirmware("1.5.0", "https://x.example/1.5.0.bin", "ab" * 32, 1024)
HEADSETS = 200
CANARY = 10  # 5 %
MINUTE = 60.0


def request(**changes: Any) -> RolloutRequest:
    given = {
        "name": "hinge",
        "firmware": FIRMWARE,
        "config": None,
        "query": FleetQuery(),
        "canary_percent": 5.0,
        "soak_minutes": 10.0,
        "per_minute": 100,
        "max_failed_percent": 10.0,
        "max_drop_db": 2.0,
    }
    return RolloutRequest(**{**given, **changes})


class Fleet(SimulatedFleet):
    """Simulated headsets whose jobs end as the test wants.

    Attributes
    ----------
    before_db : dict of str to float
        Attenuation of the headsets that reported one.
    took : list of str
        Headsets that had a job, in this order.
    """

    def __init__(self, platform: FakePlatform, headsets: int) -> None:
        fleet_population.add(platform.deps, headsets, seed=1)
        super().__init__(platform.deps, platform.jobs)
        self.platform = platform
        self.before_db = {
            thing: db + effect_db(self.firmware[thing]) for thing, db in self.baseline_db.items()
        }
        self.took: list[str] = []
        self._status: Callable[[str], ReportedStatus] = succeeded

    def execute(
        self, status: Callable[[str], ReportedStatus], change_db: Callable[[str], float] = lambda thing: 0.0
    ) -> Sequence[str]:
        """Let every headset with a job finish it, and every headset report; return those with a job."""
        self._status = status
        took = self.take_jobs(len(self.things))
        self.took += took
        self.platform.clock.now += 1.0
        self.report_all(change_db)
        return took

    def install(self, thing: str, document: JobDocument) -> ReportedStatus:
        return self._status(thing)

    def report_all(self, change_db: Callable[[str], float]) -> None:
        """Let every headset report an attenuation, which differs by `change_db` for those updated so far."""
        for thing, before_db in self.before_db.items():
            db = before_db + (change_db(thing) if thing in self.took else 0.0)
            self.send(thing, TelemetryReport(attenuation_db=max(-100.0, db), firmware="1.4.1"))


def succeeded(thing: str) -> ReportedStatus:
    return "SUCCEEDED"


def minutes(platform: FakePlatform, number: int = 1) -> None:
    """Take the steps that are due in the next minutes."""
    for _ in range(number):
        steps(platform)
        platform.clock.now += MINUTE
    steps(platform)


def steps(platform: FakePlatform) -> None:
    rollout_steps.take_all(platform.deps)


@pytest.fixture(autouse=True)
def same_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give rollouts ids that are the same in every run, and with them the order of their headsets."""
    monkeypatch.setattr(rollouts, "secrets", SimpleNamespace(token_hex=lambda size: "0a1b2c3d"))


@pytest.fixture
def fleet(platform: FakePlatform) -> Fleet:
    return Fleet(platform, HEADSETS)


def current(created: Rollout, platform: FakePlatform) -> Rollout:
    return rollouts.find(created.key, platform.deps)


def test_a_bad_firmware_for_five_percent_of_a_fleet_stops_by_itself(
    platform: FakePlatform, fleet: Fleet
) -> None:
    created = rollouts.create(request(), OPERATOR, platform.deps)
    minutes(platform)
    took = fleet.execute(succeeded, change_db=lambda thing: -6.0)
    minutes(platform, 30)

    stopped = current(created, platform)
    assert len(took) == CANARY
    assert stopped.state == "stopped"
    assert stopped.reason == (
        f"the attenuation of {stopped.measured} updated headsets changed by -6.0 dB, of others by +0.0 dB"
        " (limit 2 dB lower)"
    )
    assert stopped.counts == {"succeeded": CANARY, "waiting": HEADSETS - CANARY}
    assert fleet.execute(succeeded) == []
    assert (stopped.changed_by, platform.counts["rollouts_stopped"]) == ("", 1)
    assert stopped.reason in platform.alerts.messages[0]
    (entry,) = [each for each in platform.deps.audit.list("audit") if each.action == "rollout.stop"]
    assert (entry.user, entry.subject, entry.detail["reason"]) == ("platform", created.key, stopped.reason)


def test_a_good_firmware_reaches_the_whole_fleet_at_its_rate(platform: FakePlatform, fleet: Fleet) -> None:
    created = rollouts.create(request(), OPERATOR, platform.deps)
    reached = []
    for _ in range(16):
        minutes(platform)
        reached.append(len(fleet.execute(succeeded, change_db=lambda thing: 0.5)))
    finished = current(created, platform)

    first, *later = [number for number in reached if number]
    assert (first, later) == (CANARY, [100, 90])
    assert reached.index(100) - reached.index(CANARY) >= 10, "the others wait for the soak time"
    assert (finished.state, finished.counts) == ("done", {"succeeded": HEADSETS})
    assert sorted(fleet.took) == sorted(fleet.things), "each headset got it once"


def test_the_noise_of_the_whole_fleet_does_not_count_against_a_rollout(
    platform: FakePlatform, fleet: Fleet
) -> None:
    created = rollouts.create(request(soak_minutes=0.0), OPERATOR, platform.deps)
    minutes(platform)
    fleet.execute(succeeded)
    fleet.before_db = {thing: db - 5.0 for thing, db in fleet.before_db.items()}
    fleet.report_all(lambda thing: 0.0)
    minutes(platform, 2)

    judged = current(created, platform)
    assert (judged.state, judged.updated_change_db, judged.other_change_db) == ("active", -5.0, -5.0)


def test_failures_beyond_the_limit_stop_a_rollout_and_end_the_jobs_of_the_others(
    platform: FakePlatform, fleet: Fleet
) -> None:
    created = rollouts.create(request(canary_percent=50.0), OPERATOR, platform.deps)
    steps(platform)
    failing = iter(range(100))
    fleet.execute(lambda thing: "FAILED" if next(failing) < 11 else "IN_PROGRESS")
    minutes(platform)

    stopped = current(created, platform)
    assert (stopped.state, stopped.reason) == ("stopped", "11 of 100 headsets failed (11.0 %, limit 10 %)")
    assert Counter(stopped.counts) == {"failed": 11, "cancelled": 89, "waiting": 100}
    assert fleet.execute(succeeded) == []


def test_as_many_failures_as_the_limit_allows_do_not_stop_a_rollout(
    platform: FakePlatform, fleet: Fleet
) -> None:
    created = rollouts.create(request(), OPERATOR, platform.deps)
    minutes(platform)
    failing = iter(range(CANARY))
    fleet.execute(lambda thing: "FAILED" if next(failing) < 1 else "SUCCEEDED")  # 10 %
    minutes(platform, 15)

    assert (current(created, platform).state, current(created, platform).stage) == ("active", "fleet")


def test_headsets_that_know_no_jobs_do_not_hold_up_a_rollout(platform: FakePlatform, fleet: Fleet) -> None:
    created = rollouts.create(request(soak_minutes=0.0), OPERATOR, platform.deps)
    minutes(platform)
    old = {*fleet.things[::3]}
    for thing in old:
        fleet.forget(thing)
    for _ in range(4):
        fleet.execute(succeeded)
        minutes(platform)
    fleet.execute(succeeded)
    minutes(platform)
    waiting = current(created, platform)
    assert waiting.counts == {"succeeded": len(fleet.things), "queued": len(old)}

    platform.clock.now += rollout_steps.DEADLINE_S
    minutes(platform)
    ended = current(created, platform)
    assert (ended.state, ended.counts["cancelled"]) == ("done", len(old))
    assert ended.reason == f"{len(old)} headsets did not finish within 14 days"
    assert len(old) + len(fleet.things) == HEADSETS


def test_a_paused_rollout_starts_no_headset_and_is_still_stopped(
    platform: FakePlatform, fleet: Fleet
) -> None:
    created = rollouts.create(request(canary_percent=100.0), OPERATOR, platform.deps)
    steps(platform)
    rollouts.change(created.key, "pause", OPERATOR, platform.deps)
    minutes(platform, 5)
    assert len(fleet.execute(succeeded, change_db=lambda thing: -6.0)) == 100
    minutes(platform, 2)

    assert current(created, platform).state == "stopped"


def test_a_resumed_rollout_goes_on_and_keeps_its_rate(platform: FakePlatform, fleet: Fleet) -> None:
    created = rollouts.create(request(canary_percent=100.0), OPERATOR, platform.deps)
    steps(platform)
    for action in ("pause", "resume", "pause", "resume"):
        rollouts.change(created.key, action, OPERATOR, platform.deps)
        steps(platform)
    assert len(fleet.execute(succeeded)) == 100, "changes within a minute do not increase the rate"
    minutes(platform, 2)

    assert len(fleet.execute(succeeded)) >= 100
    assert current(created, platform).changed_by == "olga"


def test_a_cancelled_rollout_withdraws_the_jobs_and_cannot_be_resumed(
    platform: FakePlatform, fleet: Fleet
) -> None:
    created = rollouts.create(request(), OPERATOR, platform.deps)
    minutes(platform)
    rollouts.change(created.key, "cancel", OPERATOR, platform.deps)
    rollouts.change(created.key, "cancel", OPERATOR, platform.deps)
    steps(platform)

    stopped = current(created, platform)
    assert stopped.counts == {"cancelled": CANARY, "waiting": HEADSETS - CANARY}
    assert fleet.execute(succeeded) == []
    with pytest.raises(Refused, match="cannot be changed any more") as refused:
        rollouts.change(created.key, "resume", OPERATOR, platform.deps)
    assert refused.value.code == "ended"
    minutes(platform, 3)
    assert current(created, platform).steps == stopped.steps


def test_more_frequent_steps_do_not_increase_the_rate(platform: FakePlatform, fleet: Fleet) -> None:
    created = rollouts.create(request(canary_percent=100.0), OPERATOR, platform.deps)
    for _ in range(3):
        steps(platform)
    assert len(fleet.execute(succeeded)) == 100
    minutes(platform)

    assert current(created, platform).started == 2


def test_a_rollout_that_fails_does_not_hold_up_another(
    platform: FakePlatform, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = rollouts.create(request(), OPERATOR, platform.deps)
    platform.clock.now += 1.0
    second = rollouts.create(request(query=FleetQuery(model="Studio")), OPERATOR, platform.deps)
    search = platform.deps.fleet_index.search

    def fail_for_all(query: FleetQuery, **options: Any) -> Any:
        return search(query, **options) if query.model else _fail()

    monkeypatch.setattr(platform.deps.fleet_index, "search", fail_for_all)
    steps(platform)

    assert (current(first, platform).steps, current(second, platform).steps) == (0, 1)
    assert platform.counts["rollouts_failed"] == 1


def test_an_interrupted_step_is_taken_again(
    platform: FakePlatform, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = rollouts.create(request(), OPERATOR, platform.deps)
    with monkeypatch.context() as broken:
        broken.setattr(platform.jobs, "start", _fail)
        with pytest.raises(OSError, match="interrupted"):
            rollout_steps.take(created.key, platform.deps)
    assert current(created, platform).steps == 0
    rollout_steps.take(created.key, platform.deps)

    batches = platform.deps.rollout_batches.list(created.key)
    targets: list[Target] = [target for batch in batches for target in batch.targets]
    assert len({target.thing for target in targets}) == len(targets) == HEADSETS
    assert len(fleet.execute(succeeded)) == CANARY


def _fail(*given: object) -> None:
    raise OSError("interrupted")


def test_a_step_repeats_after_a_change_at_the_same_time(
    platform: FakePlatform, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = rollouts.create(request(), OPERATOR, platform.deps)
    put, paused = platform.deps.rollouts.put, []

    def put_after_a_pause(record: Record) -> Record:
        if not paused:
            paused.append(True)
            rollouts.change(created.key, "pause", OPERATOR, platform.deps)
        return put(record)  # type: ignore[arg-type]

    monkeypatch.setattr(platform.deps.rollouts, "put", put_after_a_pause)
    rollout_steps.take(created.key, platform.deps)

    assert (current(created, platform).state, current(created, platform).steps) == ("paused", 1)


def test_a_configuration_that_headsets_took_becomes_their_desired_state(platform: FakePlatform) -> None:
    fleet = Fleet(platform, 10)
    first = fleet.things[0]
    before = ShadowUpdate(config=Configuration(snapshot_interval_s=5.0, telemetry_interval_s=300.0))
    devices.update_desired(first, before, OPERATOR, platform.deps)
    config = DesiredConfiguration(snapshot_interval_s=60.0)
    rollouts.create(request(firmware=None, config=config, canary_percent=100.0), OPERATOR, platform.deps)
    minutes(platform)
    fleet.execute(succeeded)
    minutes(platform)

    wanted = platform.deps.controls.get(first)
    assert wanted is not None
    assert wanted.config == DesiredConfiguration(snapshot_interval_s=60.0, telemetry_interval_s=300.0)
    control.deliver(first, platform.deps)
    document = platform.deps.shadows.get(first)
    assert document is not None
    assert document["state"]["desired"]["config"]["snapshot_interval_s"] == 60.0


def test_firmware_that_headsets_installed_replaces_an_older_desired_one(platform: FakePlatform) -> None:
    fleet = Fleet(platform, 10)
    first, second = fleet.things[:2]
    old = Firmware("1.4.9", "https://x.example/1.4.9.bin", "cd" * 32, 1024)
    devices.update_desired(first, ShadowUpdate(firmware=old), OPERATOR, platform.deps)
    rollouts.create(request(canary_percent=100.0), OPERATOR, platform.deps)
    minutes(platform)
    fleet.execute(succeeded)
    minutes(platform)

    controls: Mapping[str, Any] = {thing: platform.deps.controls.get(thing) for thing in (first, second)}
    assert controls[first].firmware == FIRMWARE
    assert controls[second].firmware is None


def test_a_headset_that_was_removed_meanwhile_gets_no_job(platform: FakePlatform) -> None:
    fleet = Fleet(platform, 10)
    created = rollouts.create(request(canary_percent=100.0), OPERATOR, platform.deps)
    removed = platform.deps.devices.get(fleet.things[0])
    assert removed is not None
    platform.deps.devices.put(removed.replace(removed=True))  # not yet from the index
    rollout_steps.take(created.key, platform.deps)

    assert current(created, platform).counts == {"queued": 9, "cancelled": 1}
    registrations.unregister(removed, platform.deps)


def test_a_headset_that_never_ends_its_job_times_out_as_a_failure(platform: FakePlatform) -> None:
    fleet = Fleet(platform, 4)
    created = rollouts.create(request(canary_percent=100.0), OPERATOR, platform.deps)
    minutes(platform)
    fleet.execute(lambda thing: "IN_PROGRESS")
    platform.clock.now += IN_PROGRESS_TIMEOUT_S
    minutes(platform)

    stopped = current(created, platform)
    assert (stopped.state, stopped.counts) == ("stopped", {"timed_out": 4})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config": DesiredConfiguration(private=True)}, "firmware: give either firmware or config"),
        ({"firmware": None}, "firmware: give either firmware or config"),
        ({"firmware": None, "config": DesiredConfiguration()}, "config: must set at least one field"),
        ({"firmware": None, "config": DesiredConfiguration(private=False)}, "config.private: must not"),
        ({"query": FleetQuery(model="none")}, "query: no headset matches"),
    ],
)
def test_a_rollout_without_content_or_headsets_is_refused(
    platform: FakePlatform, changes: dict[str, Any], message: str
) -> None:
    fleet_population.add(platform.deps, 3, seed=1)
    with pytest.raises(Refused, match=message) as refused:
        rollouts.create(request(**changes), OPERATOR, platform.deps)

    assert refused.value.code == "bad_field"
    assert rollouts.list_all(10, "", platform.deps) == []


def test_a_rollout_for_too_many_headsets_is_refused(
    platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform.deps.fleet_index, "count", lambda query: 20_001)
    with pytest.raises(Refused, match="at most 20,000 headsets") as refused:
        rollouts.create(request(), OPERATOR, platform.deps)

    assert refused.value.code == "too_large"


def test_rollouts_that_change_all_the_time_refuse_a_change(
    platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet_population.add(platform.deps, 3, seed=1)
    created = rollouts.create(request(), OPERATOR, platform.deps)

    def conflict(record: Record) -> Record:
        raise Conflict(record.key)

    monkeypatch.setattr(platform.deps.rollouts, "put", conflict)
    with pytest.raises(Refused, match="try again") as refused:
        rollouts.change(created.key, "pause", OPERATOR, platform.deps)

    assert refused.value.code == "in_flight"
