"""What a filter accepts: every refusal names the argument, what was wrong and what is allowed."""

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Signal: TypeAlias = NDArray[np.floating]

MAX_MAGNITUDE = 1e12  # far above int16 full scale, and 512 squares of it still fit a float32


def check_signal(name: str, samples: ArrayLike, dtype: np.dtype) -> Signal:
    """Samples as a contiguous vector of finite `dtype`, or a ValueError that names `name`."""
    given = np.asarray(samples)
    if given.ndim != 1 or given.dtype.kind not in "fiu":
        raise ValueError(
            f"{name}: shape {given.shape} of {given.dtype}; one channel of real samples is expected"
        )
    if given.size == 0:
        raise ValueError(f"{name}: empty block; at least 1 sample is expected")
    # One pass refuses NaN, infinity and what would overflow: no comparison with NaN is ever true.
    if not float(np.abs(given).max()) <= MAX_MAGNITUDE:
        if not np.isfinite(given).all():
            raise ValueError(f"{name}: sample {np.flatnonzero(~np.isfinite(given))[0]} is NaN or infinite")
        raise ValueError(f"{name}: a sample is beyond +-{MAX_MAGNITUDE:g}; scale the signal")
    return np.ascontiguousarray(given, dtype)


def check_pair(x: ArrayLike, d: ArrayLike, dtype: np.dtype) -> tuple[Signal, Signal]:
    """Reference and primary of one block, of equal length."""
    x, d = check_signal("x", x, dtype), check_signal("d", d, dtype)
    if x.size != d.size:
        raise ValueError(
            f"x has {x.size} samples and d has {d.size}; a block has as many of one as of the other"
        )
    return x, d


def check_converged(e: Signal) -> None:
    """An ArithmeticError if the residual of a block shows that the filter has diverged."""
    if not np.isfinite(e).all():
        raise ArithmeticError(
            "the filter diverged and this block was not kept; mu is too large for its paths"
        )


def check_int(name: str, value: int, lowest: int, highest: int) -> int:
    """An integer within [lowest, highest]."""
    if int(value) != value or not lowest <= value <= highest:
        raise ValueError(f"{name}: {value!r}; a whole number from {lowest} to {highest} is expected")
    return int(value)


def check_float(name: str, value: float, lowest: float, highest: float) -> float:
    """A real number within [lowest, highest]."""
    if not lowest <= value <= highest:
        raise ValueError(f"{name}: {value!r}; a number from {lowest:g} to {highest:g} is expected")
    return float(value)


def check_precision(dtype: object) -> np.dtype:
    """float32 or float64."""
    wanted = np.dtype(dtype)  # type: ignore[call-overload]
    if wanted not in (np.float32, np.float64):
        raise ValueError(f"dtype: {wanted}; float32 or float64 is expected")
    return wanted
