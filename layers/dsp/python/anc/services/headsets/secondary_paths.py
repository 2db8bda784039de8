"""Plausibility of secondary paths, driver to error microphone."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from msgspec import Meta

from anc.schemas.refusal import refuse

MAX_PATH_TAPS = 1024
MIN_PEAK, MAX_PEAK = 1e-6, 100.0  # of the largest tap: -120 to 40 dB
MIN_DECAY_TAPS = 64  # shorter paths are not checked for decay
TAIL_SHARE, MAX_TAIL_ENERGY = 0.25, 0.5  # the last quarter of the taps holds at most half of the energy
MIN_CORRELATION = 0.5  # with the nominal path, from which on the sign of the correlation is reliable

Secondary = Annotated[list[float], Meta(min_length=1, max_length=MAX_PATH_TAPS)]


def validated(taps: Sequence[float], nominal: np.ndarray | None = None) -> np.ndarray:
    """Return a secondary path as it is stored, (m,) float32.

    Parameters
    ----------
    taps : sequence of float
        Impulse response, tap 0 first.
    nominal : (n,) ndarray, optional
        Nominal path of the headset's model.

    Raises
    ------
    Refused
        `bad_field`: not finite, silent, not decaying (feedback, or cut off), too loud, or inverted.
    """
    given = np.abs(np.asarray(taps, float))  # limits apply before rounding to float32
    with np.errstate(over="ignore"):
        path = np.asarray(taps, np.float32)
    if not 1 <= path.size <= MAX_PATH_TAPS:
        refuse("bad_field", f"secondary: must have 1 to {MAX_PATH_TAPS} taps (got {path.size})")
    if not np.isfinite(path).all() or given.max() < MIN_PEAK:
        refuse(
            "bad_field",
            f"secondary: must be finite and not all zero; the largest tap must be at least {MIN_PEAK:g}",
        )
    energy = np.square(path, dtype=float)
    tail = energy[int((1 - TAIL_SHARE) * path.size) :].sum() / energy.sum()
    if path.size >= MIN_DECAY_TAPS and tail > MAX_TAIL_ENERGY:
        refuse(
            "bad_field",
            f"secondary: must decay: its last quarter may hold at most {MAX_TAIL_ENERGY:.0%} of the energy "
            f"(got {tail:.0%}); measure for longer, or look for feedback",
        )
    if given.max() > MAX_PEAK:
        refuse("bad_field", f"secondary: taps must be at most {MAX_PEAK:g} (got {given.max():g})")
    if nominal is not None:
        similarity = correlation(path, nominal)
        if similarity < -MIN_CORRELATION:
            refuse(
                "bad_field",
                f"secondary: has the wrong polarity (correlation {similarity:.2f} with its model's path); "
                "check the wiring of driver and microphone",
            )
    return path


def correlation(path: np.ndarray, nominal: np.ndarray) -> float:
    """Return the largest normalised cross-correlation of two paths by magnitude, -1 to 1."""
    size = 1 << (path.size + nominal.size - 1).bit_length()
    products = np.fft.irfft(np.fft.rfft(path, size) * np.fft.rfft(nominal, size).conj(), size)
    peak = float(products[np.argmax(np.abs(products))])
    return peak / float(np.linalg.norm(path) * np.linalg.norm(nominal))
