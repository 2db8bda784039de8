"""Vectors of signal processing: the results for one signal, with tolerances.

Every signal is made of integers, so it is the same on every machine. Results may differ in their last digits.
"""

import json
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anc.dsp import Statistics, design_from_statistics, onset
from anc.noise import summary
from anc.pcm import int16_to_bytes, int16_to_float
from anc.schemas.shadow import FilterDocument, float16
from iot.controller import ActiveFilter, Block, Controller
from iot.filter_monitor import FilterMonitor
from iot.fir import Fir, Signal
from iot.local_adaptation import LocalAdaptation
from iot.snapshot_scheduler import SnapshotScheduler

RATE, TAPS, BLOCK = 16_000, 64, 320
SAMPLES, QUIET = 16_000, 2_000
SECONDARY = (np.array([0, 0, 40, 24, -12, -6, 4, 2]) / 64).astype(np.float32)
PLAYED_AT, REPLACED_AT = 10, 30  # blocks before which a good and a bad filter are ordered
INTERVAL_S = 15.0
TOLERANCES = {
    "onset": "exact",
    "statistics": "r: 1e-4 of r[0]; p: 1e-4 of the root of r[0] times energy; energy: 1e-4; samples: 1e-6",
    "design": "taps: 1e-3 of their norm; gain: 0.05 dB",
    "summary": "1 of each byte; 98 % of the bytes are equal",
    "filter": "exact",
    "control": "1e-4",
    "monitor": "0.1 dB; blocks and verdicts are equal",
    "adaptation": "1e-3 of the norm of the weights",
    "scheduler": "4 blocks, as a spectrum can be computed in more than one way; samples: exact",
}


def noise(seed: int, samples: int) -> NDArray[np.int64]:
    """Return white noise, 16 bits: the upper half of a linear congruential generator modulo 2^32."""
    values, state = np.empty(samples, np.int64), seed
    for i in range(samples):
        state = (1_664_525 * state + 1_013_904_223) % 2**32
        values[i] = (state >> 16) - 32_768
    return values


def signal() -> NDArray[np.int16]:
    """Return x and d, (n, 2): coloured noise after an eighth of a second that is 48 dB quieter."""
    white = noise(1, SAMPLES + 12)
    smooth = (white[3:] + white[2:-1] + white[1:-2] + white[:-3]) >> 4
    x = smooth[9:]
    d = (3 * smooth[4:-5] + 2 * smooth[3:-6] - smooth[:-9] + (noise(2, SAMPLES) >> 7)) >> 3
    both = np.stack([x, d], 1)
    both[:QUIET] >>= 8
    return both.astype(np.int16)


def files() -> dict[str, bytes]:
    """Return the files by name."""
    pcm = signal()
    x, d = int16_to_float(pcm).astype(np.float64).T
    start = onset(x)
    sums = Statistics.measure(x[start:], d[start:], SECONDARY, TAPS, RATE)
    design = design_from_statistics([sums])
    good = FilterDocument.of(float16(design.taps), seq=1, rate=RATE)
    bad = FilterDocument.of(float16(-0.5 * design.taps), seq=2, rate=RATE)
    repeated = np.resize(x[start:], x.size)
    played, evaluations = control(pcm, good, bad)
    results: dict[str, Any] = {
        "rate": RATE,
        "block": BLOCK,
        "onset": start,
        "statistics": {"taps": TAPS, "energy": sums.energy, "samples": sums.samples},
        "design": {"gain_db": design.predicted_gain_db, "regularisation": design.regularisation},
        "filters": [filter_fields(good), filter_fields(bad)],
        "monitor": {"played_at": PLAYED_AT, "replaced_at": REPLACED_AT, "evaluations": evaluations},
        "scheduler": {"interval_s": INTERVAL_S, "snapshots": schedule(pcm)},
        "tolerances": TOLERANCES,
    }
    return {
        "dsp.json": (json.dumps(results, indent=1) + "\n").encode(),
        "signal.s16": int16_to_bytes(pcm),
        "secondary.f32": floats(SECONDARY),
        "autocorrelation.f32": floats(sums.autocorrelation),
        "crosscorrelation.f32": floats(sums.crosscorrelation),
        "design.f32": floats(design.taps),
        "summary.u8": zlib.decompress(summary(repeated, RATE)),
        "control.f32": floats(played[::16]),
        "adaptation.f32": floats(adapted(pcm, good)),
    }


def floats(values: NDArray[Any]) -> bytes:
    """Return values as little-endian float32."""
    return np.asarray(values, "<f4").tobytes()


def filter_fields(document: FilterDocument) -> dict[str, Any]:
    """Return a filter as in the shadow."""
    return {name: getattr(document, name) for name in document.__struct_fields__}


def blocks(pcm: NDArray[np.int16]) -> list[tuple[Signal, Signal]]:
    """Return x and d of each block."""
    return [(x, d) for x, d in int16_to_float(pcm).reshape(-1, BLOCK, 2).transpose(0, 2, 1)]


def control(
    pcm: NDArray[np.int16], good: FilterDocument, bad: FilterDocument
) -> tuple[Signal, list[tuple[int, float, str]]]:
    """Play a good filter, then a bad one, on the path S, and judge them without reacting."""
    controller, monitor, path = Controller(RATE, TAPS), FilterMonitor(SECONDARY, RATE), Fir(SECONDARY)
    orders = {PLAYED_AT: good, REPLACED_AT: bad}
    played, evaluations = [], []
    for k, (x, d) in enumerate(blocks(pcm)):
        if k in orders:
            controller.play(ActiveFilter(orders[k].id, orders[k].decode(), 1.0), 0.0)
        y = controller.process(x, 0.0)
        e = (d - path.process(y)).astype(np.float32)
        played.append(y)
        evaluation = monitor.process(Block(x, e, y, controller.active, controller.steady))
        if evaluation:
            back = evaluation.replacement
            verdict = "keep" if back is None else "previous" if back.filter_id else "none"
            evaluations.append((k, round(evaluation.attenuation_db, 3), verdict))
    return np.concatenate(played), evaluations


def adapted(pcm: NDArray[np.int16], base: FilterDocument) -> Signal:
    """Return the weights after the signal, adapted on a path that is 1.25 times S."""
    controller = Controller(RATE, TAPS, LocalAdaptation(SECONDARY, RATE))
    path = Fir(1.25 * SECONDARY)
    controller.play(ActiveFilter(base.id, base.decode(), 1.0), 0.0)
    for x, d in blocks(pcm):
        y = controller.process(x, 0.0)
        e = (d - path.process(y)).astype(np.float32)
        controller.adapt(x, e, y)
    return controller.weights


def scheduled_sound(pcm: NDArray[np.int16]) -> Signal:
    """Return x, four times without its quiet start, then four times its difference: another spectrum.

    In the end x returns: a known noise.
    """
    x = pcm[:, 0].astype(np.int64)
    steady, difference = np.tile(x[QUIET:], 4), np.tile(np.diff(x)[QUIET:], 4)
    sound = np.concatenate([x, steady, difference, steady])
    return int16_to_float(sound[: sound.size // BLOCK * BLOCK].astype(np.int16))


def schedule(pcm: NDArray[np.int16]) -> list[tuple[int, int]]:
    """Return the block after which each snapshot is sent, and its length."""
    scheduler = SnapshotScheduler(RATE, RATE, INTERVAL_S)
    sent = []
    for k, x in enumerate(scheduled_sound(pcm).reshape(-1, BLOCK)):
        scheduler.process(Block(x, x, x, ActiveFilter("", x, 0.0), True))
        samples = scheduler.due()
        if samples:
            sent.append((k, samples))
            scheduler.mark_sent(samples)
    return sent
