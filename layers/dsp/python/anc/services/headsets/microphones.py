"""Faults of a headset's microphones, found in its snapshots: one is dead, or the two are swapped.

References
----------
C. Knapp, G. Carter, The generalized correlation method for estimation of time delay, IEEE Trans. ASSP 24(4),
1976: the phase transform.
"""

import numpy as np

from anc.dsp import Statistics
from anc.noise.features import unpack
from anc.pcm import int16_to_float
from anc.schemas.refusal import Refused
from anc.schemas.snapshot import (
    MICROPHONES,
    MIN_LEVEL_DBFS,
    Snapshot,
    check_microphones,
    refuse_dead_microphone,
)

SILENT_BYTE = 15  # of a log-mel summary, -125 dBFS per Hz: the rounding to int16 is below
DEAD_DBFS = -96.0  # half a step of int16: the converter's own noise is above
MAX_LEAD_S = 1.5e-3  # larger than the distance between the microphones
MIN_LEAD_S = 6e-5  # by which the error microphone must lead to be taken for the reference
MIN_PROMINENCE = 2.0  # of the peak over the best causal one
MIN_SAMPLES = 1_000
SWAPPED = Refused(
    "swapped_microphones",
    "microphone: sound reaches the error microphone before the reference microphone; they may be swapped. The"
    " reference is channel 0, outside",
)


def check(snapshot: Snapshot) -> None:
    """Refuse a snapshot in which one microphone is constant while the other one hears sound.

    Of statistics, the reference is judged by the log-mel summary. The error microphone is judged by the power
    of d: it is not that of the microphone while a filter plays, so the headset checks its microphones too.

    Raises
    ------
    Refused
        `dead_microphone`; `bad_field` for invalid statistics.
    """
    if snapshot.pcm is not None:
        check_microphones(int16_to_float(snapshot.pcm))
        return
    try:
        sent = Statistics.from_bytes(snapshot.statistics)
        silent = unpack(snapshot.summary).max(initial=0) <= SILENT_BYTE
    except ValueError as fault:
        raise Refused("bad_field", f"snapshot: {fault}") from fault
    powers = np.array([sent.autocorrelation[0], sent.energy]) / max(sent.samples, 1.0)
    reference_dbfs, error_dbfs = 10 * np.log10(powers + 1e-20)
    if silent and error_dbfs > MIN_LEVEL_DBFS:
        refuse_dead_microphone(*MICROPHONES)
    if error_dbfs < DEAD_DBFS and reference_dbfs > MIN_LEVEL_DBFS:
        refuse_dead_microphone(*reversed(MICROPHONES))


def seem_swapped(snapshot: Snapshot) -> bool:
    """Return whether the sound reaches the error microphone before the reference microphone.

    Judged without control only, by the delay with the strongest coherence. One snapshot is no proof: sound
    may come from the other side of the head.
    """
    if snapshot.pcm is None or snapshot.filter_id or snapshot.samples < MIN_SAMPLES:
        return False
    x, e = int16_to_float(snapshot.pcm).T
    size = 2 ** int(np.ceil(np.log2(2 * x.size)))
    spectrum = np.fft.rfft(e * np.hanning(e.size), size) * np.conj(np.fft.rfft(x * np.hanning(x.size), size))
    phase = spectrum / (np.abs(spectrum) + 1e-3 * np.abs(spectrum).max() + 1e-20)
    correlation = np.abs(np.fft.irfft(phase, size))
    lead = int(MIN_LEAD_S * snapshot.rate) + 1
    longest = int(MAX_LEAD_S * snapshot.rate) + 1
    leading, causal = correlation[-longest:-lead].max(), correlation[: longest + 1].max()
    return bool(leading > MIN_PROMINENCE * causal)
