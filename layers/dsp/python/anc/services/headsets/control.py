"""The control path: process a headset's snapshot, and bring its shadow to the desired state."""

import time
from collections.abc import Mapping
from typing import Any

import msgspec

from anc.headset_records import Control, HeadsetMode
from anc.ports import Dependencies
from anc.schemas.messages import ControlChanged
from anc.schemas.refusal import Refused, refuse
from anc.schemas.shadow import Desired, FilterDocument, Noise
from anc.schemas.snapshot import Snapshot
from anc.schemas.websocket import DeviceUpdate, NoisePrediction
from anc.services import emergencies
from anc.services.connections import notify_watchers
from anc.services.headsets import (
    device_status,
    emergency_hold,
    filter_design,
    fleet_statistics,
    microphones,
    reclassification,
)
from anc.services.headsets.filter_design import FilterDesign, design_filter
from anc.services.headsets.registrations import registered
from anc.services.sound import detection
from anc.services.sound.detection import Detection

MAX_FILTERS = 2  # a snapshot that is on its way may have been taken with the last but one


def process_snapshot(thing: str, payload: bytes, deps: Dependencies, at: float | None = None) -> None:
    """Detect noise and alarms in a snapshot, design a filter, commit both, and contribute to the fleet.

    The commit is conditional and the highest sequence number wins: of two snapshots processed at the same
    time one raises Conflict and is retried by the queue. A snapshot delivered again or late queues the
    updates again, because the first attempt may have stopped before it queued them.

    Parameters
    ----------
    thing : str
    payload : bytes
        See `anc.schemas.snapshot`.
    deps : Dependencies
    at : float, optional
        When it was published, in seconds since the epoch.

    Raises
    ------
    Refused
        `truncated`, `too_large`, `bad_field`, `unknown_device`, `unknown_filter`, `clipped`,
        `dead_microphone` or `stale_seq`.
        Nothing was stored, with two exceptions: an alarm in the snapshot is committed, and after
        `unknown_filter` the headset is requested to send a snapshot without control.
    Conflict
        Another snapshot of this headset was committed meanwhile; try again.
    """
    begun = time.perf_counter()
    snapshot = Snapshot.parse(payload)
    device = registered(thing, deps, at) or refuse("unknown_device", f"thing: {thing} is not registered")
    known = deps.controls.get(thing) or Control(key=thing, group=device.group)
    if snapshot.seq == known.seq:
        _redeliver(known, deps, at)
        return
    if snapshot.seq < known.seq:
        _redeliver(_opened_if_alarm(snapshot, known, at, deps), deps, None)
        refuse("stale_seq", f"sequence: must be higher than the latest, {known.seq} (got {snapshot.seq})")
    if snapshot.rate != device.rate:
        refuse("bad_field", f"rate: must be {device.rate} Hz, as registered (got {snapshot.rate})")
    gap_s = deps.clock() - known.classified_at
    with deps.tracing.span("detect", thing=thing, seq=snapshot.seq):
        detected = detection.detect_in_snapshot(snapshot, deps, known.label_evidence, gap_s)
    control = _with_detection(known, snapshot, detected, deps, at)
    try:
        microphones.check(snapshot)
        with deps.tracing.span("design"):
            design = design_filter(snapshot, device, known, control.noise, deps)
    except Refused as refusal:
        _commit_without_design(control, known, detected, refusal, deps, at)
        raise
    control = _with_design(control, snapshot, design)
    shareable = _is_shareable(control, snapshot, detected, design, deps)
    if shareable:
        control = control.replace(shared={**control.shared, control.noise: deps.clock()})
    if not _is_superseded(control, known, snapshot, detected, design):
        with deps.tracing.span("commit"):
            _commit(control, known, deps, at)
    filter_design.count(design, device, deps)
    if shareable:
        fleet_statistics.contribute(device, control.noise, design.statistics, design.as_sent(snapshot), deps)
    with deps.best_effort("reclassifications_not_requested", "request of a reclassification"):
        reclassification.request(thing, snapshot, detected, known, deps)
    if microphones.seem_swapped(snapshot):
        with deps.best_effort("swapped_microphones_not_recorded", "record of swapped microphones"):
            device_status.record_repeated_refusal(thing, "microphone", microphones.SWAPPED, deps)
    deps.count("snapshots_processed")
    deps.measure("snapshot", time.perf_counter() - begun)


def deliver(thing: str, deps: Dependencies, at: float = 0.0, ends: float = 0.0) -> None:
    """Update a headset's shadow to the desired state, and notify its watchers.

    The update is repeated when the state changed while it was being sent, so that the last update of the
    shadow is never an outdated one. `at` and `ends` are those of `ControlChanged`.
    """
    sent = None
    while (control := deps.controls.get(thing)) is not None and control.version != sent:
        control = emergency_hold.extended_if_late(control, deps)
        with deps.tracing.span("update shadow", thing=thing, seq=control.seq):
            deps.shadows.update(thing, desired(control, deps))
        sent = emergency_hold.recorded_as_received(control, ends, deps).version
    if control is None:
        return
    if at:
        deps.measure("snapshot_shadow", max(0.0, deps.clock() - at))
    newest = control.filters[0] if control.filters else None
    update = DeviceUpdate(
        device=thing,
        mode=_mode(control, deps),
        noise=NoisePrediction(control.noise, control.confidence) if control.noise else None,
        filter=newest.id if newest else "",
        predicted_gain_db=round(newest.predicted_gain_db, 2) if newest else None,
        reason=_reason(control, deps),
    )
    notify_watchers(thing, update, deps)


def desired(control: Control, deps: Dependencies) -> Mapping[str, Any]:
    """Return the desired state of a headset's shadow."""
    newest = control.filters[0] if control.filters else None
    document = Desired(
        mode=_mode(control, deps),
        intensity=control.intensity,
        filter=FilterDocument.of(newest.taps, newest.seq, newest.rate) if newest else None,
        reason=_reason(control, deps),
        noise=Noise(control.noise, round(control.confidence, 3)) if control.noise else None,
        without_control=control.without_control if control.without_control >= 0 else None,
    )
    state: dict[str, Any] = msgspec.to_builtins(document)
    own = {"firmware": control.firmware, "config": control.config}
    return state | {name: wanted for name, value in own.items() if (wanted := msgspec.to_builtins(value))}


def _opened_if_alarm(snapshot: Snapshot, known: Control, at: float | None, deps: Dependencies) -> Control:
    """Commit the alarm in a snapshot that is processed after a later one; return the stored control."""
    if at is None or emergency_hold.is_covered(at, known, deps):
        return known
    detected = detection.detect_in_snapshot(snapshot, deps)
    if not detected.kind:
        return known
    return deps.controls.put(emergency_hold.opened(known, detected.kind, detected.emergency.score, deps, at))


def _with_detection(
    known: Control, snapshot: Snapshot, detected: Detection, deps: Dependencies, at: float | None
) -> Control:
    """Return the control with the noise label and the emergency of a snapshot."""
    noise = reclassification.current_label(detected.noise, known, deps)
    alarm = emergency_hold.new_alarm(detected.kind, detected.emergency.score, known, deps, at)
    return known.replace(
        seq=snapshot.seq,
        noise=noise.label if noise else "",
        confidence=noise.confidence if noise else 0.0,
        label_evidence=detected.state,
        classified_at=deps.clock(),
        reclassified_from=known.reclassified_from if noise is not detected.noise else "",
        reason=detected.emergency.reason or known.reason,
        emergency_until=detected.until or emergency_hold.held_until(known),
        pending_emergency=alarm or known.pending_emergency,
    )


def _with_design(control: Control, snapshot: Snapshot, design: FilterDesign) -> Control:
    """Return the control with the statistics of a design, and its filter if that is an improvement."""
    control = control.replace(memory=design.statistics.to_stored_bytes(), statistics=b"")
    if not design.improves:
        return control
    return control.replace(filters=(design.as_sent(snapshot), *control.filters)[:MAX_FILTERS])


def _is_shareable(
    control: Control, snapshot: Snapshot, detected: Detection, design: FilterDesign, deps: Dependencies
) -> bool:
    """Return whether to contribute: a classified noise, measured long enough and cancelled well."""
    return (
        bool(control.noise)
        and not detected.until
        and design.predicted_gain_db >= fleet_statistics.MIN_SHARED_DB
        and snapshot.lasts(fleet_statistics.MIN_SHARED_S)
        and deps.clock() >= control.shared.get(control.noise, 0.0) + fleet_statistics.CONTRIBUTION_INTERVAL_S
    )


def _is_superseded(
    control: Control, known: Control, snapshot: Snapshot, detected: Detection, design: FilterDesign
) -> bool:
    """Return whether a snapshot changes nothing and need not be stored.

    This is a short one, which is contained in a longer one that follows at once, or statistics, which a
    headset sends of a noise that it has sent before.
    """
    return (
        (snapshot.pcm is None or snapshot.is_short)
        and bool(known.memory or known.statistics)
        and not design.improves
        and not detected.until
        and _notification(control) == _notification(known)
    )


def _commit(control: Control, known: Control, deps: Dependencies, at: float | None) -> Control:
    stored = deps.controls.put(control)
    if _notification(control) != _notification(known):
        deps.updates.send(ControlChanged(control.key, at or 0.0))
    return emergencies.flush_pending_emergency(stored, deps.controls, deps)


def _commit_without_design(
    control: Control,
    known: Control,
    detected: Detection,
    refusal: Refused,
    deps: Dependencies,
    at: float | None,
) -> None:
    """Commit what holds although no filter can be designed: the alarm, and the request for a snapshot."""
    if detected.until:
        known = _commit(control, known, deps, at)
    if refusal.code == "unknown_filter":
        _request_snapshot(known, control.seq, deps)


def _request_snapshot(known: Control, seq: int, deps: Dependencies) -> None:
    """Request a snapshot without control from the headset. Idempotent."""
    if known.without_control != seq:
        deps.controls.put(known.replace(without_control=seq))
    deps.updates.send(ControlChanged(known.key))


def _redeliver(known: Control, deps: Dependencies, at: float | None) -> None:
    deps.updates.send(ControlChanged(known.key, at or 0.0))
    emergencies.flush_pending_emergency(known, deps.controls, deps)


def _mode(control: Control, deps: Dependencies) -> HeadsetMode:
    return "transparency" if deps.clock() < control.emergency_until else control.mode


def _reason(control: Control, deps: Dependencies) -> str:
    return control.reason if deps.clock() < control.emergency_until else ""


def _notification(control: Control) -> tuple[object, ...]:
    """Return what the headset and its watchers are notified of when it changes."""
    newest = control.filters[0].id if control.filters else ""
    return newest, control.noise, control.mode, control.intensity, control.emergency_until, control.reason
