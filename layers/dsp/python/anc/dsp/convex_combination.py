"""Choosing between two residuals, sample by sample, by what they were until now."""

import numpy as np

from anc.dsp.validation import Signal


class ConvexCombination:
    """Convex combination of two filters' residuals that has lately left the least energy.

    Of e = s a + (1 - s) b, 0 <= s <= 1, the share s that minimises the faded energy of the past is
    sum(b (b - a)) / sum((b - a)^2). The share of a sample uses samples before it only.

    Parameters
    ----------
    memory : float > 1
        Time constant of the fading, in samples.

    References
    ----------
    Arenas-Garcia, Figueiras-Vidal & Sayed, "Mean-square performance of a convex combination of two adaptive
    filters", IEEE Trans. Signal Processing 54(3), 2006; here with the share in closed form.
    """

    def __init__(self, memory: float) -> None:
        self.memory = memory
        self.sums: Signal = np.zeros(2)

    def share(self, a: Signal, b: Signal) -> Signal:
        """Share of `a` in each sample of a block, (n,), given both residuals, (n,)."""
        difference = np.subtract(b, a, dtype=np.float64)
        sums = np.empty((2, a.size + 1))
        sums[:, 0] = self.sums
        np.multiply(b, difference, out=sums[0, 1:])
        np.multiply(difference, difference, out=sums[1, 1:])
        fade(sums, 1 - 1 / self.memory)
        self.sums = sums[:, -1].copy()
        return np.clip(sums[0, :-1] / np.maximum(sums[1, :-1], np.finfo(float).tiny), 0, 1)


def fade(terms: Signal, keep: float) -> None:
    """Turn each row of `terms` into s[n] = terms[n] + keep s[n - 1], in place, by doubling."""
    span = 1
    while span < terms.shape[1]:
        terms[:, span:] += keep**span * terms[:, :-span]
        span *= 2
