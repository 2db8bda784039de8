"""Design a control filter from a snapshot, the headset's earlier snapshots, and its fleet."""

from typing import NamedTuple

import numpy as np

from anc.dsp import BandLimit, Statistics, design_for_priors, onset, peak_gain_db, recover_primary
from anc.headset_records import Control, Device, SentFilter
from anc.pcm import int16_to_float
from anc.ports import Dependencies
from anc.schemas.refusal import Refused, refuse
from anc.schemas.shadow import float16
from anc.schemas.snapshot import Snapshot, check_clipping
from anc.services.headsets import fleet_statistics
from anc.services.headsets.fleet_statistics import Neighbour

MIN_IMPROVEMENT_DB = 0.3  # predicted gain of a new filter over the one in use, from a full snapshot
# Below this measured duration, the prediction is less certain, and the required gain is inversely
# proportional to it. A snapshot of a second has 0.84 s, without the fades of its window.
FULL_SNAPSHOT_S = 0.8
MAX_MEMORY_COST_DB = 1.0  # earlier statistics that cost more than this belong to another noise
MEMORY_DECAY = 0.8  # weight of earlier statistics, applied at every snapshot
MAX_MEAN_POWER = 1e5  # 50 dB over full scale: above, the measurement is faulty
MAX_STATISTICS_S = 10.0
DRIVER_LIMIT_MARGIN_DB = 0.1  # a filter this close to the driver's limit counts as limited by it


class FilterDesign(NamedTuple):
    """The result of a design.

    Attributes
    ----------
    w : (taps,) float32 ndarray
        Control filter, tap 0 first.
    predicted_gain_db, gain_in_use_db : float
        Attenuation of the snapshot by `w`, and by the filter that was playing.
    statistics : Statistics
        The headset's own statistics of this noise, to be stored for the next snapshot.
    measured_s : float
        Duration of the sound in this snapshot, without the fades of the window.
    of_fleet : bool
        Whether statistics of another headset contributed to `w`.
    """

    w: np.ndarray
    predicted_gain_db: float
    gain_in_use_db: float
    statistics: Statistics
    measured_s: float
    of_fleet: bool

    @property
    def improves(self) -> bool:
        """Whether `w` is predicted to be better than the filter in use, by enough for the duration."""
        margin_db = MIN_IMPROVEMENT_DB * max(FULL_SNAPSHOT_S / max(self.measured_s, 1e-3), 1.0)
        return self.predicted_gain_db > self.gain_in_use_db + margin_db

    def as_sent(self, snapshot: Snapshot) -> SentFilter:
        """Return the filter as it is sent to the headset."""
        return SentFilter.of(float16(self.w), snapshot.seq, snapshot.rate, self.predicted_gain_db)


def design_filter(
    snapshot: Snapshot, device: Device, known: Control, label: str, deps: Dependencies
) -> FilterDesign:
    """Design the control filter for a snapshot whose noise has this label ("" when it is not classified).

    Raises
    ------
    Refused
        `unknown_filter`, `clipped` or `bad_field`.
    """
    in_use = _filter_in_use(snapshot, known)
    try:
        now, limit = _measure(snapshot, device, in_use)
        _check_power(now)
        stored = known.memory or known.statistics
        memory = Statistics.from_stored_bytes(stored) if stored else None
        new_noise = label and (label != known.noise or memory is None)
        neighbour = fleet_statistics.nearest(device, label, now, deps) if new_noise else None
        return _design(
            now,
            memory,
            neighbour,
            now.attenuation_db((snapshot.gain or known.intensity) * in_use),
            device.max_gain_db,
            limit,
        )
    except ValueError as fault:
        raise Refused("bad_field", f"snapshot: {fault}") from fault


def count(design: FilterDesign, device: Device, deps: Dependencies) -> None:
    """Count whether a design was sent, and what limited it."""
    if not design.improves:
        deps.count("filters_kept")
        return
    deps.count("filters_sent")
    if design.of_fleet:
        deps.count("filters_of_fleet")
    if peak_gain_db(design.w) > device.max_gain_db - DRIVER_LIMIT_MARGIN_DB:
        deps.count("filters_at_drivers_limit")


def _filter_in_use(snapshot: Snapshot, known: Control) -> np.ndarray:
    if not snapshot.filter_id:
        return np.zeros(1, np.float32)
    for sent in known.filters:
        if sent.id == snapshot.filter_id:
            return sent.decode()
    if snapshot.gain == 0.0:
        return np.zeros(1, np.float32)
    refuse(
        "unknown_filter",
        f"filter id: {snapshot.filter_id} was not sent to this headset recently; "
        "send a snapshot without control",
    )


def _measure(snapshot: Snapshot, device: Device, in_use: np.ndarray) -> tuple[Statistics, BandLimit | None]:
    """Return the statistics of a snapshot, and the limit of its bands if it has sound."""
    if snapshot.pcm is None:
        return _sent_statistics(snapshot, device), None
    secondary = np.frombuffer(device.secondary, np.float32)
    check_clipping(snapshot.pcm)
    signals = int16_to_float(snapshot.pcm)
    x, d = recover_primary(signals[:, 0], signals[:, 1], in_use, secondary, snapshot.gain)
    start = onset(x)  # leading silence would count as observed noise
    sound = x[start:], d[start:], secondary
    return (
        Statistics.measure(*sound, device.taps, device.rate, lower_limit_hz=device.lower_limit_hz),
        BandLimit.measure(*sound, device.rate),
    )


def _sent_statistics(snapshot: Snapshot, device: Device) -> Statistics:
    sent = Statistics.from_bytes(snapshot.statistics)
    if (sent.taps, sent.rate) != (device.taps, device.rate):
        refuse(
            "bad_field",
            f"statistics: must have {device.taps} taps at {device.rate} Hz, as the device "
            f"(got {sent.taps} at {sent.rate:g} Hz)",
        )
    max_samples = min(snapshot.samples, MAX_STATISTICS_S * snapshot.rate)
    if sent.samples > max_samples:
        refuse("bad_field", f"statistics: must sum up at most {max_samples:g} samples (got {sent.samples:g})")
    return sent


def _check_power(now: Statistics) -> None:
    """Refuse statistics so large that they would outweigh all that the headset and its fleet have stored."""
    power = max(now.autocorrelation[0], now.energy) / max(now.samples, 1.0)
    if power > MAX_MEAN_POWER:
        refuse(
            "bad_field",
            "snapshot: mean power through the secondary path and at the error microphone must be at most "
            f"{MAX_MEAN_POWER:g} (got {power:.3g}); measure the path again",
        )


def _design(
    now: Statistics,
    memory: Statistics | None,
    neighbour: Neighbour | None,
    gain_in_use_db: float,
    max_gain_db: float,
    limit: BandLimit | None,
) -> FilterDesign:
    """Choose between designs on the snapshot alone, with the headset's memory, and with the fleet's.

    Each is evaluated on this snapshot: a memory by the filter designed on the memory alone, the snapshot by
    its own filter, corrected for overfitting. The headset's own memory is used while it costs at most
    `MAX_MEMORY_COST_DB`, because a filter for all phases of a recurring noise works best over time. If it
    costs more, the noise is new to the headset, and the fleet's statistics are evaluated in the same way.
    The neighbour's own filter is the best one as long as the headset has measured very little. It is not used
    if it amplifies a third octave.
    """
    own = memory.decayed(MEMORY_DECAY) if memory else None
    theirs = neighbour.statistics.rescaled(now, fleet_statistics.EQUIVALENT_S) if neighbour else None
    priors = [each for each in (own, theirs) if each]
    best, *with_priors = design_for_priors([now], [None, *priors], max_gain_db=max_gain_db, limit=limit)
    of_fleet = False
    min_gain_db = best.predicted_gain_db - MAX_MEMORY_COST_DB
    for prior, design in zip(priors, with_priors, strict=True):
        if design.predicted_gain_db > min_gain_db:
            best, of_fleet = design, prior is theirs
            break
    statistics = now if of_fleet else best.statistics
    w, gain_db, measured_s = best.taps, best.predicted_gain_db, now.samples / now.rate
    amplifies = neighbour and limit and limit.excess_db(neighbour.w) > 0
    if neighbour and neighbour.gain_db > gain_db and not amplifies:
        w, gain_db, of_fleet = neighbour.w, neighbour.gain_db, True
    return FilterDesign(w, gain_db, gain_in_use_db, statistics, measured_s, of_fleet)
