"""What a secondary path, driver to error microphone, can be and what it cannot."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from msgspec import Meta

from anc.schemas.refusal import refuse

MAX_PATH_TAPS = 1024
MIN_TAP, MAX_TAP = 1e-6, 100.0  # what a path's largest tap must reach and may be: -120 to 40 dB
TAIL_TAPS = 64  # so many taps are enough to tell whether a path dies away
MAX_DELAY_S, MAX_TAIL_ENERGY = 0.25, 0.5  # of the taps, the last; of the energy, what they may hold
MIN_CORRELATION = 0.5  # correlation with the nominal path from which its sign can be told

Secondary = Annotated[list[float], Meta(min_length=1, max_length=MAX_PATH_TAPS)]


def validated(taps: Sequence[float], nominal: np.ndarray | None = None) -> np.ndarray:
    """Return a secondary path as it is stored, (m,) float32.

    Parameters
    ----------
    taps : sequence of float
    nominal : (n,) ndarray, optional
        What headsets of the kind have.

    Raises
    ------
    Refused
        `bad_field`: not finite, silent, not dying away (howling, or cut off), too loud, or the wrong way
        round.
    """
    given = np.abs(np.asarray(taps, float))  # a limit means what was given, not what float32 rounds it to
    with np.errstate(over="ignore"):
        path = np.asarray(taps, np.float32)
    if not 1 <= path.size <= MAX_PATH_TAPS:
        refuse("bad_field", f"secondary: {path.size} taps, allowed are 1 to {MAX_PATH_TAPS}")
    if not np.isfinite(path).all() or given.max() < MIN_TAP:
        refuse("bad_field", f"secondary: must be finite and not all zero; one tap at least is {MIN_TAP:g}")
    energy = np.square(path, dtype=float)
    late = energy[int((1 - MAX_DELAY_S) * path.size) :].sum() / energy.sum()
    if path.size >= TAIL_TAPS and late > MAX_TAIL_ENERGY:
        refuse(
            "bad_field",
            f"secondary: does not die away: its last quarter holds {late:.0%} of its energy, "
            f"at most {MAX_TAIL_ENERGY:.0%}; measure for longer, or look for howling",
        )
    if given.max() > MAX_TAP:
        refuse("bad_field", f"secondary: {given.max():g} is a tap, at most {MAX_TAP:g} may be")
    if nominal is not None:
        alike = correlation(path, nominal)
        if alike < -MIN_CORRELATION:
            refuse(
                "bad_field",
                f"secondary: the wrong way round (correlation {alike:.2f} with that of its model); "
                "a driver or microphone is wired with the other polarity",
            )
    return path


def correlation(path: np.ndarray, nominal: np.ndarray) -> float:
    """Return the normalised correlation of two paths, -1 to 1, at the shift where they are most alike."""
    size = 1 << (path.size + nominal.size - 1).bit_length()
    alike = np.fft.irfft(np.fft.rfft(path, size) * np.fft.rfft(nominal, size).conj(), size)
    most = float(alike[np.argmax(np.abs(alike))])
    return most / float(np.linalg.norm(path) * np.linalg.norm(nominal))
