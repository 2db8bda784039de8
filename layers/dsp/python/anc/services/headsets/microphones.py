"""Faults of a headset's microphones, found in its snapshots: one is dead, or the two are swapped.

References
----------
C. Knapp, G. Carter, The generalized correlation method for estimation of time delay, IEEE Trans. ASSP 24(4),
1976: the phase transform.
"""

import numpy as np

from anc.pcm import int16_to_float
from anc.schemas.refusal import Refused, refuse
from anc.schemas.snapshot import Snapshot

NAMES = ("reference", "error")
MIN_SPREAD = 4  # of int16: a converter's own noise exceeds this
MIN_LEVEL_DBFS = -60.0  # of the other microphone, from which silence is a fault
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

    Raises
    ------
    Refused
        `dead_microphone`.
    """
    if snapshot.pcm is None:
        return
    spread = np.ptp(snapshot.pcm.astype(np.int32), axis=0)
    signals = int16_to_float(snapshot.pcm)
    levels = 10 * np.log10(np.mean((signals - signals.mean(axis=0)) ** 2, axis=0) + 1e-20)
    for dead, other in ((0, 1), (1, 0)):
        if spread[dead] < MIN_SPREAD and levels[other] > MIN_LEVEL_DBFS:
            refuse(
                "dead_microphone",
                f"microphone: the {NAMES[dead]} microphone delivers no sound, the {NAMES[other]} microphone"
                f" measures {levels[other]:.0f} dBFS; check its connection",
            )


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
