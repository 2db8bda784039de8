"""The control path: a snapshot of a headset's noise in, the control filter that it should use out."""

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np

from anc.dsp import Statistics, design_for_priors, onset, peak_gain_db, recover_primary
from anc.pcm import int16_to_float
from anc.ports import Dependencies
from anc.records import Alarm, Control, Device, HeadsetMode, SentFilter
from anc.schemas.messages import ControlChanged
from anc.schemas.refusal import Refused, refuse
from anc.schemas.shadow import Desired, FilterDocument, Noise, float16
from anc.schemas.snapshot import Snapshot, check_clipping
from anc.schemas.websocket import DeviceUpdate, NoisePrediction
from anc.services import emergencies
from anc.services.connections import notify_watchers
from anc.services.headsets import fleet_statistics, reclassification
from anc.services.headsets.fleet_statistics import Neighbour
from anc.services.headsets.registrations import registered
from anc.services.sound import detection
from anc.services.sound.detection import Detection

AT_THE_LIMIT_DB = 0.1
MARGIN_DB = 0.5  # by which a new filter must be predicted to beat the one in use
SAME_NOISE_DB = 1.0  # memory that costs more than this now is of another noise
FORGETTING = 0.8  # what is remembered counts this much when the next snapshot of the same noise comes
LOUDEST = 1e5  # mean power, 50 dB over full scale: no sound, however loud a path, but a fault
LONGEST_S = 10.0
KEPT_FILTERS = 4  # a snapshot on its way may still have been taken with one of the last few


class FilterDesign(NamedTuple):
    """What a snapshot says of the noise.

    Attributes
    ----------
    w : (taps,) float32 ndarray
        The filter that suits it best.
    predicted_gain_db, gain_in_use_db : float
        Of `w`, and of the filter that was playing.
    statistics : Statistics
        What the headset itself heard of this noise so far.
    of_fleet : bool
        Whether `w` owes something to other headsets.
    """

    w: np.ndarray
    predicted_gain_db: float
    gain_in_use_db: float
    statistics: Statistics
    of_fleet: bool


def process_snapshot(thing: str, payload: bytes, deps: Dependencies, at: float | None = None) -> None:
    """Hear a snapshot published at `at`, design the headset's filter, and queue the news if there are any.

    The write is conditional and the latest sequence wins: of two snapshots processed at the same time one
    raises Conflict and comes back from the queue. A snapshot delivered again queues its news again, since
    the first time may have ended before that.

    Raises
    ------
    Refused
        Naming the field and what is allowed: `truncated`, `too_large`, `bad_field`, `unknown_device`,
        `unknown_filter`, `clipped`, `stale_seq`. Nothing stored has changed, unless an alarm was heard, or
        the headset is asked for another snapshot, taken without control.
    Conflict
        Another snapshot of this headset was committed meanwhile; try again.
    """
    begun = time.perf_counter()
    snapshot = Snapshot.parse(payload)
    device = registered(thing, deps, at) or refuse("unknown_device", f"thing: {thing} is not registered")
    known = deps.controls.get(thing) or Control(key=thing, group=device.group)
    if snapshot.seq == known.seq:
        _redeliver(known, deps)
        return
    if snapshot.seq < known.seq:
        refuse("stale_seq", f"sequence: {snapshot.seq}, the latest is {known.seq}")
    if snapshot.rate != device.rate:
        refuse("bad_field", f"rate: {snapshot.rate} Hz, the device is registered with {device.rate}")
    detected = detection.detect_in_snapshot(snapshot, deps)
    noise = reclassification.current_label(detected.noise, known, deps)
    control = known.replace(
        seq=snapshot.seq,
        noise=noise.label if noise else "",
        confidence=noise.confidence if noise else 0.0,
        reclassified_from=known.reclassified_from if noise is not detected.noise else "",
        reason=detected.emergency.reason or known.reason,
        emergency_until=detected.until or _held_until(known),
        pending_emergency=_new_alarm(detected, known, deps) or known.pending_emergency,
    )
    try:
        finding = _design_update(snapshot, device, known, control.noise, deps)
    except Refused as refusal:
        if detected.until:  # whatever else is wrong with the snapshot, there is an alarm in it
            known = _commit(control, known, detected, deps)
        if refusal.code == "unknown_filter":
            _request_snapshot(known, snapshot.seq, deps)
        raise
    control = control.replace(statistics=finding.statistics.to_bytes())
    if _accepted(finding):
        control = control.replace(filters=(_sent(finding, snapshot), *known.filters)[:KEPT_FILTERS])
    sharing = _is_shareable(snapshot, detected, control.noise, finding, known, deps)
    if sharing:
        control = control.replace(shared={**known.shared, control.noise: deps.clock()})
    _commit(control, known, detected, deps)
    _count(finding, device, deps)
    if sharing:
        fleet_statistics.contribute(device, control.noise, finding.statistics, _sent(finding, snapshot), deps)
    reclassification.request(thing, snapshot, detected.noise, deps)
    deps.count("snapshots_processed")
    deps.counters.time("snapshot", time.perf_counter() - begun)


def deliver(thing: str, deps: Dependencies) -> None:
    """Bring a headset's shadow to what the cloud now wants of it, and tell its watchers.

    Messages only say *that* something changed: what is sent is always the latest. When it changed again
    while it was being sent, it is sent again, so the last word in the shadow is never an old one.
    """
    sent = None
    while (control := deps.controls.get(thing)) is not None and control.version != sent:
        deps.shadows.update(thing, desired(control, deps))
        sent = control.version
    if control is None:
        return
    newest = control.filters[0] if control.filters else None
    news = DeviceUpdate(
        device=thing,
        mode=_mode(control, deps),
        noise=NoisePrediction(control.noise, control.confidence) if control.noise else None,
        filter=newest.id if newest else "",
        predicted_gain_db=round(newest.predicted_gain_db, 2) if newest else None,
        reason=_reason(control, deps),
    )
    notify_watchers(thing, news, deps)


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
    return state | {name: wanted for name, wanted in own.items() if wanted}


def _redeliver(known: Control, deps: Dependencies) -> None:
    deps.updates.send(ControlChanged(known.key))
    if known.emergency_until > deps.clock():
        _schedule_end_of_hold(known.key, known, deps)
    emergencies.flush_pending_emergency(known, deps.controls, deps)


def _request_snapshot(known: Control, seq: int, deps: Dependencies) -> None:
    """Have the headset send a snapshot without control. Again changes nothing."""
    if known.without_control != seq:
        deps.controls.put(known.replace(without_control=seq))
    deps.updates.send(ControlChanged(known.key))


def _commit(control: Control, known: Control, detected: Detection, deps: Dependencies) -> Control:
    stored = deps.controls.put(control)
    if _notification(control) != _notification(known):
        deps.updates.send(ControlChanged(control.key))
    if detected.until:
        _schedule_end_of_hold(control.key, control, deps)
    return emergencies.flush_pending_emergency(stored, deps.controls, deps)


def _new_alarm(detected: Detection, known: Control, deps: Dependencies) -> Alarm | None:
    """Return the alarm that a snapshot begins, unless an earlier one still holds the headset open."""
    if detected.kind and _held_until(known) < deps.clock():
        return Alarm(detected.kind, detected.emergency.score, deps.clock())
    return None


def _held_until(known: Control) -> float:
    """Return until when an alarm holds a headset open; that nobody could hear ends when somebody can."""
    return 0.0 if known.reason in detection.FAULTS else known.emergency_until


def _schedule_end_of_hold(thing: str, control: Control, deps: Dependencies) -> None:
    deps.updates.send(ControlChanged(thing), delay_s=int(control.emergency_until - deps.clock()) + 1)


def _design_update(
    snapshot: Snapshot, device: Device, control: Control, noise: str, deps: Dependencies
) -> FilterDesign:
    in_use = _filter_in_use(snapshot, control)
    try:
        now = _statistics(snapshot, device, in_use)
        _check_power(now)
        memory = Statistics.from_bytes(control.statistics) if control.statistics else None
        met = noise and (noise != control.noise or memory is None)
        neighbour = fleet_statistics.nearest(device, noise, now, deps) if met else None
        return _design(now, memory, neighbour, now.attenuation_db(snapshot.gain * in_use), device.max_gain_db)
    except ValueError as fault:
        raise Refused("bad_field", f"snapshot: {fault}") from fault


def _statistics(snapshot: Snapshot, device: Device, in_use: np.ndarray) -> Statistics:
    if snapshot.pcm is None:
        return _sent_statistics(snapshot, device)
    secondary = np.frombuffer(device.secondary, np.float32)
    check_clipping(snapshot.pcm)
    signals = int16_to_float(snapshot.pcm)
    x, d = recover_primary(signals[:, 0], signals[:, 1], in_use, secondary, snapshot.gain)
    begun = onset(x)  # quiet before it would count as sound that was heard
    return Statistics.measure(x[begun:], d[begun:], secondary, device.taps, device.rate)


def _sent_statistics(snapshot: Snapshot, device: Device) -> Statistics:
    sent = Statistics.from_bytes(snapshot.statistics)
    if (sent.taps, sent.rate) != (device.taps, device.rate):
        refuse(
            "bad_field",
            f"statistics: of {sent.taps} taps at {sent.rate:g} Hz, "
            f"the device has {device.taps} at {device.rate}",
        )
    most = min(snapshot.samples, LONGEST_S * snapshot.rate)
    if sent.samples > most:
        refuse("bad_field", f"statistics: of {sent.samples:g} samples, at most {most:g} may be")
    return sent


def _check_power(now: Statistics) -> None:
    """Refuse what would outgrow all that the headset and its fleet remember."""
    power = max(now.autocorrelation[0], now.energy) / max(now.samples, 1.0)
    if power > LOUDEST:
        refuse(
            "bad_field",
            f"snapshot: a mean power of {power:.3g} through the secondary path or at the error microphone, "
            f"at most {LOUDEST:g} may be; measure the path anew",
        )


def _design(
    now: Statistics,
    memory: Statistics | None,
    neighbour: Neighbour | None,
    gain_in_use_db: float,
    max_gain_db: float,
) -> FilterDesign:
    """Design on what is heard now and what is remembered, be it by this headset or by one that is like it.

    What a memory is worth is judged on this snapshot by the filter that the memory alone would make; what the
    snapshot alone is worth, on itself, less what so many taps learn by heart. The headset's own memory is
    kept as long as it costs little now: noises that come and go are met best by what is good for all of them.
    Where it does not suit, the noise is new to the headset, and the fleet's memory has its turn in the same
    way. As long as it has heard next to nothing, the other one's very filter may be the best.
    """
    own = memory.decayed(FORGETTING) if memory else None
    theirs = neighbour.statistics.rescaled(now, fleet_statistics.EQUIVALENT_S) if neighbour else None
    memories = [each for each in (own, theirs) if each]
    best, *remembering = design_for_priors([now], [None, *memories], max_gain_db=max_gain_db)
    of_fleet = False
    least_db = best.predicted_gain_db - SAME_NOISE_DB
    for each, design in zip(memories, remembering, strict=True):
        if design.predicted_gain_db > least_db:
            best, of_fleet = design, each is theirs
            break
    statistics = now if of_fleet else best.statistics
    if neighbour and neighbour.gain_db > best.predicted_gain_db:
        return FilterDesign(neighbour.w, neighbour.gain_db, gain_in_use_db, statistics, of_fleet=True)
    return FilterDesign(best.taps, best.predicted_gain_db, gain_in_use_db, statistics, of_fleet)


def _filter_in_use(snapshot: Snapshot, control: Control) -> np.ndarray:
    if not snapshot.filter_id:
        return np.zeros(1, np.float32)
    for sent in control.filters:
        if sent.id == snapshot.filter_id:
            return sent.decode()
    refuse(
        "unknown_filter",
        f"filter id: {snapshot.filter_id} was not sent to this headset lately; "
        "send a snapshot without control",
    )


def _accepted(finding: FilterDesign) -> bool:
    """Tell whether a filter is worth sending. How loud it may be, its design knows already."""
    return finding.predicted_gain_db > finding.gain_in_use_db + MARGIN_DB


def _count(finding: FilterDesign, device: Device, deps: Dependencies) -> None:
    if not _accepted(finding):
        deps.count("filters_kept")
        return
    deps.count("filters_sent")
    if finding.of_fleet:
        deps.count("filters_of_fleet")
    if peak_gain_db(finding.w) > device.max_gain_db - AT_THE_LIMIT_DB:
        deps.count("filters_at_drivers_limit")


def _is_shareable(
    snapshot: Snapshot,
    detected: Detection,
    noise: str,
    finding: FilterDesign,
    known: Control,
    deps: Dependencies,
) -> bool:
    """Tell whether the fleet should hear of this: a noise that the headset has heard and mastered."""
    return (
        bool(noise)
        and not detected.until
        and finding.predicted_gain_db >= fleet_statistics.MIN_SHARED_DB
        and snapshot.samples >= fleet_statistics.MIN_SHARED_S * snapshot.rate
        and deps.clock() >= known.shared.get(noise, 0.0) + fleet_statistics.CONTRIBUTION_INTERVAL_S
    )


def _sent(finding: FilterDesign, snapshot: Snapshot) -> SentFilter:
    return SentFilter.of(float16(finding.w), snapshot.seq, snapshot.rate, finding.predicted_gain_db)


def _mode(control: Control, deps: Dependencies) -> HeadsetMode:
    return "transparency" if deps.clock() < control.emergency_until else control.mode


def _reason(control: Control, deps: Dependencies) -> str:
    return control.reason if deps.clock() < control.emergency_until else ""


def _notification(control: Control) -> tuple[object, ...]:
    newest = control.filters[0].id if control.filters else ""
    return newest, control.noise, control.mode, control.intensity, control.emergency_until, control.reason
