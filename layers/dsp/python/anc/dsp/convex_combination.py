"""Adaptive convex combination of two filters."""

import numpy as np

from anc.dsp.validation import Signal


class ConvexCombination:
    """Combine two filters' residuals a and b into e = s a + (1 - s) b, with 0 <= s <= 1.

    The weight s minimises the exponentially weighted energy of past e: s = sum(b (b - a)) / sum((b - a)^2).
    The weight of a sample depends on earlier samples only.

    Parameters
    ----------
    memory : float > 1
        Time constant of the exponential weighting, in samples.

    References
    ----------
    Arenas-Garcia, Figueiras-Vidal & Sayed, "Mean-square performance of a convex combination of two adaptive
    filters", IEEE Trans. Signal Processing 54(3), 2006; here with the share in closed form.
    """

    def __init__(self, memory: float) -> None:
        self.memory = memory
        self.sums: Signal = np.zeros(2)

    def weight(self, a: Signal, b: Signal) -> Signal:
        """Return the weight s of `a` for each sample of a block, (n,), given both residuals, (n,)."""
        difference = np.subtract(b, a, dtype=np.float64)
        sums = np.empty((2, a.size + 1))
        sums[:, 0] = self.sums
        np.multiply(b, difference, out=sums[0, 1:])
        np.multiply(difference, difference, out=sums[1, 1:])
        leaky_sum(sums, 1 - 1 / self.memory)
        self.sums = sums[:, -1].copy()
        return np.clip(sums[0, :-1] / np.maximum(sums[1, :-1], np.finfo(float).tiny), 0, 1)


def leaky_sum(terms: Signal, keep: float) -> None:
    """Replace each row of `terms` by s[n] = terms[n] + keep s[n - 1], in place, in log2(n) passes."""
    span = 1
    while span < terms.shape[1]:
        terms[:, span:] += keep**span * terms[:, :-span]
        span *= 2
