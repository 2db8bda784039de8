"""Vectors of stored state: bytes of filters and statistics that every later version must read."""

from collections.abc import Callable
from typing import Any

import numpy as np

from anc.dsp import FDAF, NLMS, FxNLMS, Predictor, Statistics
from tools.vectors.messages import STATISTICS, one_per_line

RESTORED: dict[str, Callable[[bytes], Any]] = {
    "NLMS": NLMS.from_state,
    "FxNLMS": FxNLMS.from_state,
    "FDAF": FDAF.from_state,
    "Predictor": Predictor.from_state,
}


def document() -> bytes:
    """Return the vectors as JSON: the state after a block of a ramp, and the output for the next block."""
    x = np.linspace(-1.0, 1.0, 16)
    filters: dict[str, Any] = {
        "NLMS": NLMS(taps=4, mu=0.5),
        "FxNLMS": FxNLMS(taps=4, mu=0.1, secondary=[0.0, 0.5]),
        "FDAF": FDAF(taps=8, mu=0.5, block=8),
        "Predictor": Predictor(taps=4, horizon=2, mu=0.5),
    }
    vectors: list[dict[str, Any]] = []
    for name, each in filters.items():
        process(each, x)
        state = each.state()
        vectors.append({"kind": name, "hex": state.hex(), "output": process(each, x[::-1])})
    sums = STATISTICS.to_bytes()
    vectors.append({"kind": "Statistics", "hex": sums.hex(), "output": attenuations(sums)})
    return one_per_line(vectors)


def process(each: Any, x: np.ndarray) -> list[float]:
    """Return the output of a filter for the reference x and half of it as primary signal."""
    y = each.process(x)[0] if isinstance(each, Predictor) else each.process(x, 0.5 * x)[0]
    return [round(float(value), 9) for value in y]


def attenuations(state: bytes) -> list[float]:
    """Return the attenuation of three filters by these statistics."""
    sums = Statistics.from_bytes(state)
    return [round(sums.attenuation_db(w), 9) for w in ([0.25], [0.25, -0.25], [0.0, 0.0, 0.0, 1.0])]


def output(kind: str, state: bytes) -> list[float]:
    """Return what this version computes from a stored state."""
    if kind == "Statistics":
        return attenuations(state)
    return process(RESTORED[kind](state), np.linspace(-1.0, 1.0, 16)[::-1])
