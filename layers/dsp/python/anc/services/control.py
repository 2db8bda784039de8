"""The control path: a snapshot of a headset's noise in, the control filter that it should use out."""

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np

from anc.dsp import Statistics, design_with_each, effort_db, onset, recover_primary
from anc.ports import World
from anc.records import Alarm, Control, Device, Mode, SentFilter
from anc.services import emergencies, fleet, hearing, second_opinion
from anc.services.connections import tell_watchers
from anc.services.fleet import Kin
from anc.services.hearing import Heard
from anc.services.registrations import registered
from anc.wire.refusal import Refused, refuse
from anc.wire.shadow import Desired, FilterDocument, Noise, float16
from anc.wire.snapshot import Snapshot, check_clipping
from anc.wire.websocket import DeviceNews, NoiseHeard, as_float

AT_THE_LIMIT_DB = 0.1
MARGIN_DB = 0.5  # by which a new filter must be predicted to beat the one in use
SAME_NOISE_DB = 1.0  # memory that costs more than this now is of another noise
FORGETTING = 0.8  # what is remembered counts this much when the next snapshot of the same noise comes
LOUDEST = 1e5  # mean power, 50 dB over full scale: no sound, however loud a path, but a fault
LONGEST_S = 10.0
KEPT_FILTERS = 4  # a snapshot on its way may still have been taken with one of the last few


class Finding(NamedTuple):
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


def process_snapshot(thing: str, payload: bytes, world: World, at: float | None = None) -> None:
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
    device = registered(thing, world, at) or refuse("unknown_device", f"thing: {thing} is not registered")
    known = world.controls.get(thing) or Control(key=thing, group=device.group)
    if snapshot.seq == known.seq:
        _repeat(known, world)
        return
    if snapshot.seq < known.seq:
        refuse("stale_seq", f"sequence: {snapshot.seq}, the latest is {known.seq}")
    if snapshot.rate != device.rate:
        refuse("bad_field", f"rate: {snapshot.rate} Hz, the device is registered with {device.rate}")
    heard = hearing.of_snapshot(snapshot, world)
    noise = second_opinion.standing(heard.noise, known, world)
    control = known.but(
        seq=snapshot.seq,
        noise=noise.label if noise else "",
        confidence=noise.confidence if noise else 0.0,
        doubted=known.doubted if noise is not heard.noise else "",
        reason=heard.emergency.reason or known.reason,
        emergency_until=heard.until or _held_until(known),
        untold=_alarm(heard, known, world) or known.untold,
    )
    try:
        finding = _study(snapshot, device, known, control.noise, world)
    except Refused as refusal:
        if heard.until:  # whatever else is wrong with the snapshot, there is an alarm in it
            known = _commit(control, known, heard, world)
        if refusal.code == "unknown_filter":
            _ask_for_another(known, snapshot.seq, world)
        raise
    control = control.but(statistics=finding.statistics.to_bytes())
    if _accepted(finding):
        control = control.but(filters=(_sent(finding, snapshot), *known.filters)[:KEPT_FILTERS])
    sharing = _worth_sharing(snapshot, heard, control.noise, finding, known, world)
    if sharing:
        control = control.but(shared={**known.shared, control.noise: world.clock()})
    _commit(control, known, heard, world)
    _count(finding, device, world)
    if sharing:
        fleet.share(device, control.noise, finding.statistics, _sent(finding, snapshot), world)
    second_opinion.seek(thing, snapshot, heard.noise, world)
    world.count("snapshots_processed")
    world.counters.time("snapshot", time.perf_counter() - begun)


def deliver(thing: str, world: World) -> None:
    """Bring a headset's shadow to what the cloud now wants of it, and tell its watchers.

    Messages only say *that* something changed: what is sent is always the latest. When it changed again
    while it was being sent, it is sent again, so the last word in the shadow is never an old one.
    """
    sent = None
    while (control := world.controls.get(thing)) is not None and control.version != sent:
        world.shadows.update(thing, desired(control, world))
        sent = control.version
    if control is None:
        return
    newest = control.filters[0] if control.filters else None
    news = DeviceNews(
        device=thing,
        mode=_mode(control, world),
        noise=NoiseHeard(control.noise, control.confidence) if control.noise else None,
        filter=newest.id if newest else "",
        predicted_gain_db=round(newest.predicted_gain_db, 2) if newest else None,
        reason=_reason(control, world),
    )
    tell_watchers(thing, news, world)


def desired(control: Control, world: World) -> Mapping[str, Any]:
    """Return the desired state of a headset's shadow."""
    newest = control.filters[0] if control.filters else None
    document = Desired(
        mode=_mode(control, world),
        intensity=control.intensity,
        filter=FilterDocument.of(newest.taps, newest.seq, newest.rate) if newest else None,
        reason=_reason(control, world),
        noise=Noise(control.noise, round(control.confidence, 3)) if control.noise else None,
        without_control=control.without_control if control.without_control >= 0 else None,
    )
    state: dict[str, Any] = msgspec.to_builtins(document)
    own = {"firmware": control.firmware, "config": control.config}
    return state | {name: wanted for name, wanted in own.items() if wanted}


def _repeat(known: Control, world: World) -> None:
    world.updates.send({"thing": known.key})
    if known.emergency_until > world.clock():
        _announce_end_of_hold(known.key, known, world)
    emergencies.settle(known, world.controls, world)


def _ask_for_another(known: Control, seq: int, world: World) -> None:
    """Have the headset send a snapshot without control. Again changes nothing."""
    if known.without_control != seq:
        world.controls.put(known.but(without_control=seq))
    world.updates.send({"thing": known.key})


def _commit(control: Control, known: Control, heard: Heard, world: World) -> Control:
    stored = world.controls.put(control)
    if _news(control) != _news(known):
        world.updates.send({"thing": control.key})
    if heard.until:
        _announce_end_of_hold(control.key, control, world)
    return emergencies.settle(stored, world.controls, world)


def _alarm(heard: Heard, known: Control, world: World) -> Alarm | None:
    """Return the alarm that a snapshot begins, unless an earlier one still holds the headset open."""
    if heard.kind and _held_until(known) < world.clock():
        return Alarm(heard.kind, heard.emergency.score, world.clock())
    return None


def _held_until(known: Control) -> float:
    """Return until when an alarm holds a headset open; that nobody could hear ends when somebody can."""
    return 0.0 if known.reason in hearing.FAULTS else known.emergency_until


def _announce_end_of_hold(thing: str, control: Control, world: World) -> None:
    world.updates.send({"thing": thing}, delay_s=int(control.emergency_until - world.clock()) + 1)


def _study(snapshot: Snapshot, device: Device, control: Control, noise: str, world: World) -> Finding:
    in_use = _filter_in_use(snapshot, control)
    try:
        now = _statistics(snapshot, device, in_use)
        _check_power(now)
        memory = Statistics.from_bytes(control.statistics) if control.statistics else None
        met = noise and (noise != control.noise or memory is None)
        kin = fleet.nearest(device, noise, now, world) if met else None
        return _design(now, memory, kin, now.residual_db(snapshot.gain * in_use), device.max_gain_db)
    except ValueError as fault:
        raise Refused("bad_field", f"snapshot: {fault}") from fault


def _statistics(snapshot: Snapshot, device: Device, in_use: np.ndarray) -> Statistics:
    if snapshot.pcm is None:
        return _sent_statistics(snapshot, device)
    secondary = np.frombuffer(device.secondary, np.float32)
    check_clipping(snapshot.pcm)
    signals = as_float(snapshot.pcm)
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
    kin: Kin | None,
    gain_in_use_db: float,
    max_gain_db: float,
) -> Finding:
    """Design on what is heard now and what is remembered, be it by this headset or by one that is like it.

    What a memory is worth is judged on this snapshot by the filter that the memory alone would make; what the
    snapshot alone is worth, on itself, less what so many taps learn by heart. The headset's own memory is
    kept as long as it costs little now: noises that come and go are met best by what is good for all of them.
    Where it does not suit, the noise is new to the headset, and the fleet's memory has its turn in the same
    way. As long as it has heard next to nothing, the other one's very filter may be the best.
    """
    own = memory.forget(FORGETTING) if memory else None
    theirs = kin.statistics.beside(now, fleet.COUNTS_AS_S) if kin else None
    memories = [each for each in (own, theirs) if each]
    best, *remembering = design_with_each([now], [None, *memories], max_gain_db=max_gain_db)
    of_fleet = False
    least_db = best.predicted_gain_db - SAME_NOISE_DB
    for each, design in zip(memories, remembering, strict=True):
        if design.predicted_gain_db > least_db:
            best, of_fleet = design, each is theirs
            break
    statistics = now if of_fleet else best.statistics
    if kin and kin.gain_db > best.predicted_gain_db:
        return Finding(kin.w, kin.gain_db, gain_in_use_db, statistics, of_fleet=True)
    return Finding(best.taps, best.predicted_gain_db, gain_in_use_db, statistics, of_fleet)


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


def _accepted(finding: Finding) -> bool:
    """Tell whether a filter is worth sending. How loud it may be, its design knows already."""
    return finding.predicted_gain_db > finding.gain_in_use_db + MARGIN_DB


def _count(finding: Finding, device: Device, world: World) -> None:
    if not _accepted(finding):
        world.count("filters_kept")
        return
    world.count("filters_sent")
    if finding.of_fleet:
        world.count("filters_of_fleet")
    if effort_db(finding.w) > device.max_gain_db - AT_THE_LIMIT_DB:
        world.count("filters_at_drivers_limit")


def _worth_sharing(
    snapshot: Snapshot, heard: Heard, noise: str, finding: Finding, known: Control, world: World
) -> bool:
    """Tell whether the fleet should hear of this: a noise that the headset has heard and mastered."""
    return (
        bool(noise)
        and not heard.until
        and finding.predicted_gain_db >= fleet.WORTH_SHARING_DB
        and snapshot.samples >= fleet.LONG_ENOUGH_S * snapshot.rate
        and world.clock() >= known.shared.get(noise, 0.0) + fleet.SHARING_S
    )


def _sent(finding: Finding, snapshot: Snapshot) -> SentFilter:
    return SentFilter.of(float16(finding.w), snapshot.seq, snapshot.rate, finding.predicted_gain_db)


def _mode(control: Control, world: World) -> Mode:
    return "transparency" if world.clock() < control.emergency_until else control.mode


def _reason(control: Control, world: World) -> str:
    return control.reason if world.clock() < control.emergency_until else ""


def _news(control: Control) -> tuple[object, ...]:
    newest = control.filters[0].id if control.filters else ""
    return newest, control.noise, control.mode, control.intensity, control.emergency_until, control.reason
