"""The noise label of a sound over time: one rule for files, streams and headsets.

Probabilities of neighbouring windows are averaged geometrically. Quiet is determined by level, so it needs
no averaging, and quiet windows say nothing about the noise around them. The confidence of a label is its
averaged probability, everywhere.
"""

import struct
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

MEMORY_S = 2.0  # seconds of sound after which a window's weight has fallen to 37 %
GAP_MEMORY_S = 60.0  # the same for seconds without sound, between the snapshots of a headset
MIN_PROBABILITY = 1e-3  # smaller probabilities count as this, so that no single window decides
SWITCH_MARGIN = 0.1  # by which another label must be more probable to replace the present one
QUIET = -1  # index of `quiet` among the labels


def average(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the label probabilities of a sound from those of its windows or channels.

    Parameters
    ----------
    probabilities : (n, labels) float
        The last label is `quiet`. Quiet windows count only if all are.

    Returns
    -------
    (labels,) float64
        Normalised geometric mean.

    Examples
    --------
    >>> average(np.array([[0.8, 0.2, 0.0], [0.8, 0.2, 0.0], [0.0, 0.0, 1.0]])).round(2).tolist()
    [0.8, 0.2, 0.0]
    """
    probabilities = np.asarray(probabilities, np.float64)
    loud = probabilities[:, QUIET] < 0.5
    counted = probabilities[loud] if loud.any() else probabilities
    if len(counted) == 1:
        return counted[0]
    return _normalised(np.log(np.maximum(counted, MIN_PROBABILITY)).mean(axis=0))


@dataclass(frozen=True)
class LabelEvidence:
    """What the recent sound says about the noise around it.

    Attributes
    ----------
    log_probabilities : tuple of float
        Weighted mean by label; empty without evidence.
    weight : float
        Seconds of sound behind it, less what was forgotten.
    label : int
        Index of the present label; -1 for none yet.
    """

    log_probabilities: tuple[float, ...] = ()
    weight: float = 0.0
    label: int = -1

    def updated(
        self, probabilities: NDArray[np.float64], seconds: float, gap_s: float = 0.0
    ) -> tuple[Self, NDArray[np.float64]]:
        """Return the evidence with another sound, and the probabilities of the labels now.

        Parameters
        ----------
        probabilities : (labels,) float
            Of the new sound.
        seconds : float
            Its length, without what overlaps the previous sound.
        gap_s : float
            Time between the previous sound and this one.
        """
        probabilities = np.asarray(probabilities, np.float64)
        kept = self.weight * float(np.exp(-seconds / MEMORY_S - max(gap_s, 0.0) / GAP_MEMORY_S))
        if probabilities[QUIET] >= 0.5:
            return type(self)(self.log_probabilities, kept), probabilities
        new = np.log(np.maximum(probabilities, MIN_PROBABILITY))
        if kept and len(self.log_probabilities) == len(new):
            new = (kept * np.array(self.log_probabilities) + seconds * new) / (kept + seconds)
        averaged = _normalised(new)
        label = int(np.argmax(averaged))
        if 0 <= self.label < len(averaged) and averaged[label] < averaged[self.label] + SWITCH_MARGIN:
            label = self.label
        return type(self)(tuple(new.tolist()), kept + seconds, label), averaged

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """Probabilities of the labels, (labels,), if there is evidence."""
        return _normalised(np.array(self.log_probabilities))

    def to_bytes(self) -> bytes:
        """Return the evidence as bytes."""
        return struct.pack(
            f"<Bbd{len(self.log_probabilities)}d",
            len(self.log_probabilities),
            self.label,
            self.weight,
            *self.log_probabilities,
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Restore the result of `to_bytes`; b"" is no evidence. Raises ValueError for other bytes."""
        if not data:
            return cls()
        try:
            _, label, weight, *values = struct.unpack(f"<Bbd{data[0]}d", data)
        except struct.error as error:
            raise ValueError(f"label evidence: damaged: {error}") from None
        if not np.isfinite([weight, *values]).all() or weight < 0:
            raise ValueError("label evidence: damaged: not finite")
        return cls(tuple(values), weight, label)


def _normalised(log_probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(log_probabilities - log_probabilities.max())
    return np.asarray(powers / powers.sum())
