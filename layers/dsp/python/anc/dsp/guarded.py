"""A guard that prevents an adaptive filter from making its input louder.

While the reference of an adaptive filter pauses and a person talks near the other microphone, the normalised
update changes the weights at random, and the noise that returns meets weights that amplify it. The guard
compares the energies of input and residual in steps of 20 ms. It repeats a step with weights stored earlier,
or with zero weights, if the residual is louder than the input or much louder than with the stored weights.

Without such a step, outputs and weights equal those of the bare filter, bit for bit. The decision uses
samples of the same block only, so it adds no delay.
"""

import copy
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anc.dsp.convolution import fft_filter
from anc.dsp.fdaf import FDAF
from anc.dsp.nlms import NLMS
from anc.dsp.predictor import Predictor
from anc.dsp.state import pack, unpack
from anc.dsp.validation import Signal

KIND = "guarded"
STEP_S = 0.02
MAX_EXCESS = 1.9  # residual energy relative to input energy in a step: 2.8 dB
INAUDIBLE_POWER = 1e-9  # mean square of a residual below one bit of 16-bit audio
POOR_SHARE = 0.25  # of the input energy: a residual above it (less than 6 dB removed) is compared
BETTER_SHARE = 0.25  # of a poor residual: stored weights that leave less (6 dB) replace the weights
RETURNED_SHARE = 0.1  # of the reference power when weights were stored: below it they are not compared
CHECKPOINT_S = 0.25
MAX_STORED_SHARE = 0.5  # of the input energy: weights that leave more (3 dB) are not stored
DECAY = 0.98  # per window, of the power removed by the stored weights: half after nine seconds
MIN_REMOVED_SHARE = 0.25  # of the power removed by the stored weights: other weights must remove more

BareFilter: TypeAlias = NLMS | FDAF | Predictor


class GuardedFilter:
    """Adaptive filter whose weights are replaced before the residual gets louder than the input.

    Parameters
    ----------
    bare : NLMS, FDAF or Predictor
        The filter. For a predictor, which has no reference, no weights are stored: it is only reset.
    rate : int
        Hz.
    """

    def __init__(self, bare: BareFilter, rate: int) -> None:
        self.bare = bare
        self.rate = rate
        self._replacements = 0
        block = bare.block if isinstance(bare, FDAF) else 1
        self._step = max(block, int(STEP_S * rate) // block * block)
        self._stored: Signal = np.zeros(0, np.float32)
        self._removed_power = self._reference_power = 0.0  # of the stored weights
        self._previous_power = 0.0  # mean square of the previous block of the input
        self._window = np.zeros(4)  # samples, energies of reference, input and residual

    @property
    def resets(self) -> int:
        """Number of replacements of the weights, by the guard and by the filter itself."""
        return self._replacements + (self.bare.resets if isinstance(self.bare, FDAF) else 0)

    def clear_history(self) -> None:
        """Set past samples to zero and keep the weights, as after a gap in the stream."""
        self.bare.clear_history()

    def process(self, x: ArrayLike, d: ArrayLike) -> tuple[Signal, Signal]:
        """Filter and adapt over one block, as the bare filter does.

        Parameters
        ----------
        x, d : (n,) array_like, n >= 1
            Reference and primary signal; a predictor takes `d` alone.

        Returns
        -------
        y, e : (n,) ndarray
            Filter output and residual e = d - y. In each step of 20 ms the residual has at most 1.9 times the
            energy of the input, unless it is inaudible.

        Raises
        ------
        ValueError
            As the bare filter. The state is then unchanged.
        """
        x, d = np.asarray(x), np.asarray(d)
        before = copy.deepcopy(self.bare)
        try:
            y, e = self._run(x, d)
        except ArithmeticError:
            first: int | None = 0
        else:
            first = self._first_step_to_repeat(before, x, d, e)
        if first is not None:
            self.bare = before
            y, e = self._process_in_steps(x, d, first * self._step)
        self._update_stored(x, d, e)
        return y, e

    def state(self) -> bytes:
        """Return the complete state as bytes; `from_state` continues bit for bit."""
        powers = (self._removed_power, self._reference_power, self._previous_power)
        numbers = (self.rate, self._replacements, *powers, *self._window)
        stored = self._stored.astype("<f2").view(np.uint8)
        return pack(KIND, numbers, (np.frombuffer(self.bare.state(), np.uint8), stored))

    @classmethod
    def from_state(cls, bare: type[BareFilter], state: bytes) -> Self:
        """Restore a filter from `state()`. Raises ValueError for damaged bytes or another kind of filter."""
        (rate, replacements, removed, reference, previous, *window), (inner, stored) = unpack(KIND, state)
        guarded = cls(bare.from_state(inner.tobytes()), int(rate))
        guarded._replacements = int(replacements)
        guarded._removed_power, guarded._reference_power = removed, reference
        guarded._previous_power = previous
        guarded._window = np.array(window)
        guarded._stored = stored.view("<f2").astype(np.float32)
        return guarded

    def _run(self, x: Signal, d: Signal) -> tuple[Signal, Signal]:
        with np.errstate(over="ignore", invalid="ignore"):  # divergence is detected by its energy
            return self.bare.process(d) if isinstance(self.bare, Predictor) else self.bare.process(x, d)

    def _starts(self, n: int) -> range:
        """Return the first sample of each step; the last step includes the remainder of the block."""
        return range(0, max(n // self._step, 1) * self._step, self._step)

    def _energies(self, signal: Signal) -> Signal:
        return np.add.reduceat(np.square(signal, dtype=np.float64), self._starts(signal.size))

    def _is_louder(self, n: int, before: Signal, after: Signal) -> NDArray[np.bool_]:
        """Return which steps are louder. A block shorter than a step may be as loud as the block before."""
        floor = INAUDIBLE_POWER * min(n, self._step)
        if n < self._step:
            floor = max(floor, MAX_EXCESS * n * self._previous_power)
        return ~(after <= np.maximum(MAX_EXCESS * before, floor))

    def _first_step_to_repeat(self, before: BareFilter, x: Signal, d: Signal, e: Signal) -> int | None:
        input_energy, residual_energy = self._energies(d), self._energies(e)
        bad = self._is_louder(d.size, input_energy, residual_energy)
        bad |= self._stored_is_better(before, x, d, residual_energy, input_energy)
        return int(np.argmax(bad)) if bad.any() else None

    def _stored_is_better(
        self, bare: BareFilter, x: Signal, d: Signal, residual_energy: Signal, input_energy: Signal
    ) -> NDArray[np.bool_]:
        """Return in which steps the residual of the stored weights is much quieter."""
        poor = residual_energy > POOR_SHARE * input_energy
        if not self._stored.size or not poor.any():
            return np.zeros(poor.shape, np.bool_)
        sizes = np.diff([*self._starts(d.size), d.size])
        poor &= self._energies(x) > RETURNED_SHARE * self._reference_power * sizes
        poor &= residual_energy > INAUDIBLE_POWER * sizes
        if not poor.any():
            return poor
        return poor & (self._energies(self._residual_of_stored(bare, x, d)) < BETTER_SHARE * residual_energy)

    def _residual_of_stored(self, bare: BareFilter, x: Signal, d: Signal) -> Signal:
        """Return the residual of the stored weights without adaptation."""
        assert not isinstance(bare, Predictor)
        past = bare.past[bare.past.size - self._stored.size + 1 :]
        return d - fft_filter(self._stored, np.concatenate([past, x]))[past.size :]

    def _process_in_steps(self, x: Signal, d: Signal, first: int) -> tuple[Signal, Signal]:
        """Process a block again: at once up to sample `first`, then step by step."""
        y, e = np.empty_like(d), np.empty_like(d)
        if first:
            y[:first], e[:first] = self._run(x[:first], d[:first])
        starts = [start for start in self._starts(d.size) if start >= first]
        for start, stop in zip(starts, [*starts[1:], d.size], strict=True):
            y[start:stop], e[start:stop] = self._process_step(x[start:stop], d[start:stop])
        return y, e

    def _process_step(self, x: Signal, d: Signal) -> tuple[Signal, Signal]:
        """Process a step with the current, stored or zero weights: the first that are good enough."""
        before = copy.deepcopy(self.bare)
        energy = self._energies(d)
        for weights in self._candidates(before, x, d):
            self.bare = copy.deepcopy(before)
            if weights is not None:
                self.bare.w = weights
            try:
                y, e = self._run(x, d)
            except ArithmeticError:
                continue
            if weights is None and self._first_step_to_repeat(before, x, d, e) is not None:
                continue
            if not self._is_louder(d.size, energy, self._energies(e)).any():
                self._replacements += weights is not None
                return y, e
        # Adapting from zero is not good enough either: pass the step through without adapting.
        self._replacements += 1
        self.bare = copy.deepcopy(before)
        self.bare.w = np.zeros_like(before.w)
        self._run(x, np.zeros_like(d))
        return np.zeros_like(d), d.copy()

    def _candidates(self, bare: BareFilter, x: Signal, d: Signal) -> list[Signal | None]:
        zero = np.zeros_like(bare.w)
        if not self._stored.size:
            return [None, zero]
        stored = self._stored.astype(bare.w.dtype)
        left = np.square(self._residual_of_stored(bare, x, d), dtype=np.float64).sum()
        energy = np.square(d, dtype=np.float64).sum()
        return [None, stored, zero] if left < energy else [None, zero]

    def _update_stored(self, x: Signal, d: Signal, e: Signal) -> None:
        """Store the weights at the end of a window in which they removed enough."""
        n = d.size
        energies = [np.square(signal, dtype=np.float64).sum() for signal in (x, d, e)]
        self._previous_power = energies[1] / n
        self._window += n, *energies
        samples, of_reference, before, after = self._window
        if samples < CHECKPOINT_S * self.rate or isinstance(self.bare, Predictor):
            return
        self._window = np.zeros(4)
        self._removed_power *= DECAY ** (samples / (CHECKPOINT_S * self.rate))
        removed_power = (before - after) / samples
        if after < MAX_STORED_SHARE * before and removed_power > MIN_REMOVED_SHARE * self._removed_power:
            self._stored = self.bare.w.astype("<f2").astype(np.float32)
            self._removed_power = max(removed_power, self._removed_power)
            self._reference_power = of_reference / samples
