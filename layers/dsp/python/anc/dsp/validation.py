"""Argument checks. Every error names the argument, what is allowed and what was given."""

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Signal: TypeAlias = NDArray[np.floating]

MAX_MAGNITUDE = 1e12  # far above int16 full scale; a sum of 512 squares still fits into a float32


def check_signal(name: str, samples: ArrayLike, dtype: np.dtype) -> Signal:
    """Return samples as a contiguous finite vector of `dtype`. Raises ValueError, naming the argument."""
    given = np.asarray(samples)
    if given.ndim != 1 or given.dtype.kind not in "fiu":
        raise ValueError(
            f"{name}: must be one channel of real samples (got shape {given.shape} of {given.dtype})"
        )
    if given.size == 0:
        raise ValueError(f"{name}: empty block; at least 1 sample is required")
    # One pass rejects NaN, infinity and values that would overflow: comparisons with NaN are false.
    if not float(np.abs(given).max()) <= MAX_MAGNITUDE:
        if not np.isfinite(given).all():
            raise ValueError(f"{name}: sample {np.flatnonzero(~np.isfinite(given))[0]} is NaN or infinite")
        raise ValueError(f"{name}: samples must be within +-{MAX_MAGNITUDE:g}; scale the signal")
    return np.ascontiguousarray(given, dtype)


def check_pair(x: ArrayLike, d: ArrayLike, dtype: np.dtype) -> tuple[Signal, Signal]:
    """Return reference and primary signal of one block. Raises ValueError unless their lengths are equal."""
    x, d = check_signal("x", x, dtype), check_signal("d", d, dtype)
    if x.size != d.size:
        raise ValueError(f"x and d must have the same number of samples (got {x.size} and {d.size})")
    return x, d


def check_converged(e: Signal) -> None:
    """Raise ArithmeticError if the residual of a block shows that the filter has diverged."""
    if not np.isfinite(e).all():
        raise ArithmeticError("the filter diverged and the block was discarded; choose a smaller mu")


def check_int(name: str, value: int, lowest: int, highest: int) -> int:
    """Return an integer within [lowest, highest], or raise ValueError."""
    if int(value) != value or not lowest <= value <= highest:
        raise ValueError(f"{name}: must be an integer from {lowest} to {highest} (got {value!r})")
    return int(value)


def check_float(name: str, value: float, lowest: float, highest: float) -> float:
    """Return a number within [lowest, highest], or raise ValueError."""
    if not lowest <= value <= highest:
        raise ValueError(f"{name}: must be from {lowest:g} to {highest:g} (got {value!r})")
    return float(value)


def check_precision(dtype: object) -> np.dtype:
    """Return float32 or float64, or raise ValueError."""
    chosen = np.dtype(dtype)  # type: ignore[call-overload]
    if chosen not in (np.float32, np.float64):
        raise ValueError(f"dtype: must be float32 or float64 (got {chosen})")
    return chosen
