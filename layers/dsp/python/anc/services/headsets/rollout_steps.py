"""Carry out rollouts: select the headsets, start batches of them, watch the updated ones, stop a bad one.

A step of each is taken once a minute, on one machine more often. All that it needs is stored, so a step that
was interrupted is simply taken again.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence

import msgspec

from anc.headset_records import Control
from anc.lifetimes import DAY_S
from anc.ports import Dependencies
from anc.rollout_records import (
    UNFINISHED,
    Rollout,
    RolloutBatch,
    Target,
    counts_of,
    finished,
)
from anc.schemas.job import JobDocument
from anc.schemas.messages import ControlChanged
from anc.schemas.shadow import Configuration, Firmware, max_firmware_url_chars
from anc.services.headsets import rollout_checks, telemetry
from anc.services.headsets.registrations import registered
from anc.services.updates import retry_on_conflict

GROUP = "rollouts"
MIN_STEP_S = 50.0  # between starts of batches, which come once a minute
PAGE = 100
MAX_READ = 100  # batches whose progress is read in a step
CANARY_SHARE = 0.5  # of the canary that fetched its job must have finished before the others start,
MIN_CANARY_SHARE = 0.1  # and of the whole canary
DEADLINE_S = 14 * DAY_S
MAX_OFF_S = 90 * DAY_S  # that the platform may not have run, before a rollout is forgotten


def take_all(deps: Dependencies) -> None:
    """Take a step of every rollout that has not ended. One that fails does not hold up the others."""
    after, oldest = "", deps.clock() - DEADLINE_S - MAX_OFF_S
    while page := deps.rollouts.list(GROUP, PAGE, after, descending=True):
        after = page[-1].key
        for rollout in page:
            if rollout.created < oldest:
                return  # as are all that follow
            if not rollout.is_final or rollout.is_closing:
                with deps.best_effort("rollouts_failed", "a step of a rollout"):
                    take(rollout.key, deps)


def take(id: str, deps: Dependencies) -> None:
    """Take a step of a rollout, again if it was changed meanwhile."""
    retry_on_conflict(lambda: _step(id, deps))


def _step(id: str, deps: Dependencies) -> None:
    rollout = deps.rollouts.get(id)
    if rollout is None or (rollout.is_final and not rollout.is_closing):
        return
    if rollout.stage == "planning" and not rollout.is_final:
        rollout = planned(rollout, deps)
    batches = _refreshed(rollout, _batches(rollout, deps), deps)
    if not rollout.is_final:
        rollout = rollout_checks.judge(rollout, batches, deps)
    if not rollout.is_final:
        rollout = _ended_by_deadline(rollout, batches, deps)
    if rollout.state == "active":
        rollout, batches = _continued(rollout, batches, deps)
    if rollout.is_final:
        batches = [_ended(batch, deps) for batch in batches]
    counts = counts_of(batches)
    deps.rollouts.put(rollout.replace(counts=counts, steps=rollout.steps + 1, is_closing=False))


def _batches(rollout: Rollout, deps: Dependencies) -> Sequence[RolloutBatch]:
    found: list[RolloutBatch] = []
    while page := deps.rollout_batches.list(rollout.key, PAGE, found[-1].key if found else ""):
        found += page
    return found


# Selection


def planned(rollout: Rollout, deps: Dependencies) -> Rollout:
    """Select the headsets of a rollout and store its batches, the canary first, in a random order."""
    for batch in _batches(rollout, deps):
        deps.rollout_batches.delete(batch.key)  # of an interrupted attempt; nothing was started
    targets = _selected(rollout, deps)
    canary = min(max(1, math.ceil(len(targets) * rollout.canary_percent / 100)), len(targets))
    size = rollout.batch_size
    parts = [
        part[begin : begin + size]
        for part in (targets[:canary], targets[canary:])
        for begin in range(0, len(part), size)
    ]
    for number, part in enumerate(parts):
        key = f"{rollout.key}-{number:05d}"
        deps.rollout_batches.put(
            RolloutBatch(key=key, group=rollout.key, expires=rollout.expires, targets=tuple(part))
        )
    return rollout.replace(stage="canary", headsets=len(targets), canary=canary, batches=len(parts))


def _selected(rollout: Rollout, deps: Dependencies) -> Sequence[Target]:
    found = {thing: Target(thing, _attenuation_db(thing, deps)) for thing in rollout.things}
    after = ""
    while not rollout.things:
        page = deps.fleet_index.search(rollout.query, limit=PAGE, after=after)
        found |= {each.thing: Target(each.thing, each.attenuation_db) for each in page.headsets}
        after = page.next
        if not after:
            break
    return sorted(found.values(), key=lambda target: _shuffled(rollout.key, target.thing))


def _attenuation_db(thing: str, deps: Dependencies) -> float | None:
    latest = deps.telemetry.get(thing)
    return telemetry.report_of(latest).attenuation_db if latest else None


def _shuffled(rollout: str, thing: str) -> bytes:
    return hashlib.sha256(f"{rollout}/{thing}".encode()).digest()


# Progress


def _refreshed(
    rollout: Rollout, batches: Sequence[RolloutBatch], deps: Dependencies
) -> Sequence[RolloutBatch]:
    """Read what the headsets of open batches reported; of many, another part in each step."""
    unfinished = [number for number, batch in enumerate(batches) if batch.is_open]
    turn = rollout.steps * MAX_READ % max(1, len(unfinished))
    chosen = {*(unfinished[turn:] + unfinished[:turn])[:MAX_READ]}
    return [
        _with_progress(batch, rollout, deps) if number in chosen else batch
        for number, batch in enumerate(batches)
    ]


def _with_progress(batch: RolloutBatch, rollout: Rollout, deps: Dependencies) -> RolloutBatch:
    reported = {each.thing: each for each in deps.headset_jobs.executions(batch.key)}
    targets = []
    for target in batch.targets:
        found = reported.get(target.thing)
        if found is None or target.status not in UNFINISHED or found.status == target.status:
            targets.append(target)
            continue
        if found.status == "succeeded":
            _adopt(target.thing, rollout, deps)
        targets.append(msgspec.structs.replace(target, status=found.status, at=found.at))
    changed = batch.replace(targets=tuple(targets))
    return batch if changed == batch else deps.rollout_batches.put(changed)


def _adopt(thing: str, rollout: Rollout, deps: Dependencies) -> None:
    """Make what a headset got its desired state, which would otherwise undo it.

    A step that is taken again sends the update again, because the first one may have been interrupted before.
    """
    device = registered(thing, deps)
    if device is None:
        return
    url_chars = max_firmware_url_chars(device.taps)

    def write() -> bool:
        known = deps.controls.get(thing) or Control(key=thing, group=device.group)
        if rollout.config:
            given = msgspec.structs.asdict(rollout.config)
            changes = {name: value for name, value in given.items() if value is not None}
            wanted = known.replace(config=msgspec.structs.replace(known.config, **changes))
        elif rollout.firmware and known.firmware and len(rollout.firmware.url) <= url_chars:
            wanted = known.replace(firmware=rollout.firmware)
        else:
            return False
        if wanted != known:
            deps.controls.put(wanted)
        return True

    if retry_on_conflict(write):
        deps.updates.send(ControlChanged(thing))


def _continued(
    rollout: Rollout, batches: Sequence[RolloutBatch], deps: Dependencies
) -> tuple[Rollout, Sequence[RolloutBatch]]:
    """Start the batches that are due, and end the rollout when all have finished."""
    now = deps.clock()
    if rollout.stage == "canary":
        rollout = _soaked(rollout, counts_of(batches[: rollout.canary_batches]), now)
    last = rollout.canary_batches if rollout.stage == "canary" else len(batches)
    due = range(0)
    if now >= rollout.started_at + MIN_STEP_S:
        due = range(rollout.started, min(last, rollout.started + rollout.per_minute // rollout.batch_size))
    batches = [_started(each, rollout, deps) if n in due else each for n, each in enumerate(batches)]
    if due:
        rollout = rollout.replace(started=due.stop, started_at=now)
    if rollout.started == len(batches) and not any(batch.is_open for batch in batches):
        rollout = rollout.replace(state="done", changed=now, changed_by="")
    return rollout, batches


def _ended_by_deadline(rollout: Rollout, batches: Sequence[RolloutBatch], deps: Dependencies) -> Rollout:
    """Return the rollout as done if it is overdue, also when it is paused: its open jobs must not stay."""
    now = deps.clock()
    if now <= rollout.created + DEADLINE_S:
        return rollout
    pending = _pending(batches)
    reason = f"{pending:,} headsets did not finish within {DEADLINE_S // DAY_S} days" if pending else ""
    return rollout.replace(state="done", reason=reason, changed=now, changed_by="")


def _pending(batches: Sequence[RolloutBatch]) -> int:
    counts = counts_of(batches)
    return sum(counts.get(status, 0) for status in ("waiting", *UNFINISHED))


def _soaked(rollout: Rollout, canary: Mapping[str, int], now: float) -> Rollout:
    """Return the rollout in the stage `fleet` once enough of the canary finished long enough ago."""
    expected = rollout.canary - canary.get("cancelled", 0)
    begun = finished(canary) + canary.get("in_progress", 0)
    enough = max(CANARY_SHARE * begun, MIN_CANARY_SHARE * expected)
    if rollout.started < rollout.canary_batches or finished(canary) < enough:
        return rollout
    since = now if rollout.soaking_since is None else rollout.soaking_since
    soaked = now >= since + 60 * rollout.soak_minutes
    return rollout.replace(soaking_since=since, stage="fleet" if soaked else "canary")


def _started(batch: RolloutBatch, rollout: Rollout, deps: Dependencies) -> RolloutBatch:
    now = deps.clock()
    devices = (registered(target.thing, deps) for target in batch.targets)
    things = [device.key for device in devices if device and device.has_thing]
    if things:
        deps.headset_jobs.start(batch.key, things, _document(rollout))
    targets = tuple(
        msgspec.structs.replace(target, status="queued" if target.thing in things else "cancelled", at=now)
        for target in batch.targets
    )
    return deps.rollout_batches.put(batch.replace(targets=targets, started=True))


def _document(rollout: Rollout) -> JobDocument:
    if rollout.firmware:
        return JobDocument(firmware=Firmware(**msgspec.structs.asdict(rollout.firmware)))
    assert rollout.config
    return JobDocument(config=Configuration(**msgspec.structs.asdict(rollout.config)))


def _ended(batch: RolloutBatch, deps: Dependencies) -> RolloutBatch:
    """End the jobs of headsets that have not finished."""
    if not batch.is_open:
        return batch
    deps.headset_jobs.cancel(batch.key)
    targets = tuple(
        msgspec.structs.replace(target, status="cancelled", at=deps.clock())
        if target.status in UNFINISHED
        else target
        for target in batch.targets
    )
    return deps.rollout_batches.put(batch.replace(targets=targets))
