"""The optional compiled kernel of NLMS, from `kernel.c`.

`setup.py` compiles it if there is a C compiler, and the Lambda layer always has it. Without it the filters
use numpy, with the same results to rounding.
"""

import ctypes
import importlib.util
from typing import Final, Protocol

import numpy as np

from anc.dsp.validation import Signal

VERSION = 1  # of the functions' arguments; a library of another version is ignored
LIBRARY = "anc.dsp._kernel"


class Nlms(Protocol):
    """See `nlms`."""

    def __call__(
        self,
        stream: Signal,
        d: Signal,
        e: Signal,
        w: Signal,
        *,
        mu: float,
        eps: float,
        leak: float,
        gate: float,
    ) -> None: ...


def load() -> ctypes.CDLL | None:
    """Return the compiled library, or None if it was not built or has another version."""
    spec = importlib.util.find_spec(LIBRARY)
    if spec is None or spec.origin is None:
        return None
    try:
        library = ctypes.CDLL(spec.origin)
        current = library.anc_kernel_version() == VERSION
    except (OSError, AttributeError):
        return None
    return library if current else None


def bind(library: ctypes.CDLL) -> Nlms:
    """Return the library's NLMS as a Python function."""
    functions = {np.dtype(np.float32): library.anc_nlms_f32, np.dtype(np.float64): library.anc_nlms_f64}
    for function in functions.values():
        function.restype = None
        function.argtypes = [ctypes.c_void_p] * 5 + [ctypes.c_size_t] * 2 + [ctypes.c_double] * 4

    def nlms(
        stream: Signal, d: Signal, e: Signal, w: Signal, *, mu: float, eps: float, leak: float, gate: float
    ) -> None:
        """Adapt over a block; the arrays are contiguous and of one type.

        Parameters
        ----------
        stream : (taps - 1 + n,) ndarray
            Reference, the past samples first.
        d, e : (n,) ndarray
            Primary signal; residual, which is written.
        w : (taps,) ndarray
            Weights, oldest sample first; updated in place.
        gate : float
            Energy of the window below which the weights do not adapt.
        """
        if stream.size != d.size + w.size - 1 or e.size != d.size:
            raise ValueError("stream must have len(d) + len(w) - 1 samples, and e as many as d")
        tail = np.empty(w.size)
        pointers = [array.ctypes.data for array in (stream, d, e, w, tail)]
        functions[w.dtype](*pointers, d.size, w.size, mu, eps, leak, gate)

    return nlms


_library = load()
nlms: Final[Nlms | None] = None if _library is None else bind(_library)
