"""An adaptive filter whose output is not louder than its input.

An adaptive filter learns from whatever it is given. While its reference pauses and somebody talks into the
other microphone, the normalised step learns from nothing, and the noise that comes back meets weights that
amplify it. The guard compares the energies of input and residual step by step. A step that would be louder,
or that weights kept from earlier would leave much quieter, is filtered again from the better weights: those
kept, or none.

While neither happens, outputs and weights are those of the bare filter, bit for bit. A step is decided by
samples of the same block alone, so nothing is delayed.
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
MAX_EXCESS = 1.9  # energy of the residual over that of the input in a step: 2.8 dB
INAUDIBLE = 1e-9  # mean square of a residual below the last bit of a 16-bit sample
POOR = 0.25  # share of the input's energy: a residual that takes off less than 6 dB is worth a comparison
BETTER = 0.25  # energy that kept weights must leave of a poor residual to replace the weights: 6 dB
RETURNED = 0.1  # share of the reference's power when weights were kept, from which on they are compared
CHECKPOINT_S = 0.25
WORTH_KEEPING = 0.5  # share of a window's energy that weights may leave to be kept: 3 dB
LATELY = 0.98  # of the power that kept weights removed, per window: halves in nine seconds
MUCH = 0.25  # share of the power that kept weights removed, which others have to remove to replace them

Bare: TypeAlias = NLMS | FDAF | Predictor


class GuardedFilter:
    """An adaptive filter whose weights are replaced before it makes things louder.

    Parameters
    ----------
    bare : NLMS, FDAF or Predictor
        The filter. A predictor has no reference that could pause: it is reset, never taken back.
    rate : int
        Hz.
    """

    def __init__(self, bare: Bare, rate: int) -> None:
        self.bare = bare
        self.rate = rate
        self._replaced = 0
        whole = bare.block if isinstance(bare, FDAF) else 1
        self._step = max(whole, int(STEP_S * rate) // whole * whole)
        self._kept: Signal = np.zeros(0, np.float32)
        self._removed = self._loudness = 0.0  # power that the kept weights removed, and of the reference then
        self._latest = 0.0  # mean square of the input in the step before
        self._window = np.zeros(4)  # samples, energies of reference, input and residual

    @property
    def resets(self) -> int:
        """How often the weights were replaced, by the guard or by the filter itself."""
        return self._replaced + (self.bare.resets if isinstance(self.bare, FDAF) else 0)

    def clear_history(self) -> None:
        """Forget past samples and keep the weights: what a gap in the stream asks for."""
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
            Filter output and residual e = d - y. In no step of 20 ms has the residual more than 1.9 times the
            energy of the input, unless it is inaudible.

        Raises
        ------
        ValueError
            As the bare filter; it is then as it was.
        """
        x, d = np.asarray(x), np.asarray(d)
        before = copy.copy(self.bare)
        try:
            y, e = self._run(x, d)
        except ArithmeticError:
            first: int | None = 0
        else:
            first = self._first_bad_step(before, x, d, e)
        if first is not None:
            self.bare = before
            y, e = self._process_in_steps(x, d, first * self._step)
        self._note(x, d, e)
        return y, e

    def state(self) -> bytes:
        """Everything the filter knows, as bytes: `from_state` continues bit for bit."""
        numbers = (self.rate, self._replaced, self._removed, self._loudness, self._latest, *self._window)
        kept = self._kept.astype("<f2").view(np.uint8)
        return pack(KIND, numbers, (np.frombuffer(self.bare.state(), np.uint8), kept))

    @classmethod
    def from_state(cls, bare: type[Bare], state: bytes) -> Self:
        """The filter that `state` was taken from; ValueError if the bytes are damaged or of another kind."""
        (rate, replaced, removed, loudness, latest, *window), (inner, kept) = unpack(KIND, state)
        guarded = cls(bare.from_state(inner.tobytes()), int(rate))
        guarded._replaced = int(replaced)
        guarded._removed, guarded._loudness, guarded._latest = removed, loudness, latest
        guarded._window = np.array(window)
        guarded._kept = kept.view("<f2").astype(np.float32)
        return guarded

    def _run(self, x: Signal, d: Signal) -> tuple[Signal, Signal]:
        with np.errstate(over="ignore", invalid="ignore"):  # what diverges is noticed by its energy
            return self.bare.process(d) if isinstance(self.bare, Predictor) else self.bare.process(x, d)

    def _starts(self, n: int) -> range:
        """Where the steps of a block begin; the last step takes what is left."""
        return range(0, max(n // self._step, 1) * self._step, self._step)

    def _energies(self, signal: Signal) -> Signal:
        return np.add.reduceat(np.square(signal, dtype=np.float64), self._starts(signal.size))

    def _is_louder(self, n: int, before: Signal, after: Signal) -> NDArray[np.bool_]:
        """Which steps are louder; a block shorter than a step is held against the input before it too."""
        floor = INAUDIBLE * min(n, self._step)
        if n < self._step:
            floor = max(floor, MAX_EXCESS * n * self._latest)
        return ~(after <= np.maximum(MAX_EXCESS * before, floor))

    def _first_bad_step(self, before: Bare, x: Signal, d: Signal, e: Signal) -> int | None:
        of_input, of_residual = self._energies(d), self._energies(e)
        bad = self._is_louder(d.size, of_input, of_residual)
        bad |= self._kept_is_better(before, x, d, of_residual, of_input)
        return int(np.argmax(bad)) if bad.any() else None

    def _kept_is_better(
        self, bare: Bare, x: Signal, d: Signal, of_residual: Signal, of_input: Signal
    ) -> NDArray[np.bool_]:
        """In which steps the kept weights would leave much less than the residual has."""
        poor = of_residual > POOR * of_input
        if not self._kept.size or not poor.any():
            return np.zeros(poor.shape, np.bool_)
        sizes = np.diff([*self._starts(d.size), d.size])
        poor &= (self._energies(x) > RETURNED * self._loudness * sizes) & (of_residual > INAUDIBLE * sizes)
        if not poor.any():
            return poor
        return poor & (self._energies(self._left_by_kept(bare, x, d)) < BETTER * of_residual)

    def _left_by_kept(self, bare: Bare, x: Signal, d: Signal) -> Signal:
        """Return the residual that the kept weights would leave, standing still."""
        assert not isinstance(bare, Predictor)
        past = bare.past[bare.past.size - self._kept.size + 1 :]
        return d - fft_filter(self._kept, np.concatenate([past, x]))[past.size :]

    def _process_in_steps(self, x: Signal, d: Signal, sure: int) -> tuple[Signal, Signal]:
        """Process a block again: up to sample `sure` at once, and from there on step by step."""
        y, e = np.empty_like(d), np.empty_like(d)
        if sure:
            y[:sure], e[:sure] = self._run(x[:sure], d[:sure])
        starts = [start for start in self._starts(d.size) if start >= sure]
        for start, stop in zip(starts, [*starts[1:], d.size], strict=True):
            y[start:stop], e[start:stop] = self._process_step(x[start:stop], d[start:stop])
        return y, e

    def _process_step(self, x: Signal, d: Signal) -> tuple[Signal, Signal]:
        """Process a step with the weights as they are, or kept, or zero, whichever is good enough first."""
        before = copy.copy(self.bare)
        energy = self._energies(d)
        for weights in self._candidates(before, x, d):
            self.bare = copy.copy(before)
            if weights is not None:
                self.bare.w = weights
            try:
                y, e = self._run(x, d)
            except ArithmeticError:
                continue
            if weights is None and self._first_bad_step(before, x, d, e) is not None:
                continue
            if not self._is_louder(d.size, energy, self._energies(e)).any():
                self._replaced += weights is not None
                return y, e
        # Not even adapting from zero is good enough: pass the step through and learn nothing from it.
        self._replaced += 1
        self.bare = copy.copy(before)
        self.bare.w = np.zeros_like(before.w)
        self._run(x, np.zeros_like(d))
        return np.zeros_like(d), d.copy()

    def _candidates(self, bare: Bare, x: Signal, d: Signal) -> list[Signal | None]:
        zero = np.zeros_like(bare.w)
        if not self._kept.size:
            return [None, zero]
        kept = self._kept.astype(bare.w.dtype)
        left = np.square(self._left_by_kept(bare, x, d), dtype=np.float64).sum()
        energy = np.square(d, dtype=np.float64).sum()
        return [None, kept, zero] if left < energy else [None, zero]

    def _note(self, x: Signal, d: Signal, e: Signal) -> None:
        """Keep the weights when they removed much in a window."""
        n = d.size
        energies = [np.square(signal, dtype=np.float64).sum() for signal in (x, d, e)]
        self._latest = energies[1] / n
        self._window += n, *energies
        samples, of_reference, before, after = self._window
        if samples < CHECKPOINT_S * self.rate or isinstance(self.bare, Predictor):
            return
        self._window = np.zeros(4)
        self._removed *= LATELY ** (samples / (CHECKPOINT_S * self.rate))
        removed = (before - after) / samples
        if after < WORTH_KEEPING * before and removed > MUCH * self._removed:
            self._kept = self.bare.w.astype("<f2").astype(np.float32)
            self._removed = max(removed, self._removed)
            self._loudness = of_reference / samples
