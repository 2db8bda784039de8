"""Time each step of the block-exact filter and alternative implementations of it."""

import numpy as np

from anc.dsp.block_exact import cumulative_sum, gram, invert_unit_lower, window_columns
from benchmarks.speed import TAPS, interleaved

RUN = 1024


def steps(rounds: int = 31) -> dict[str, dict[str, float]]:
    """Return median CPU microseconds per run of 1024 samples, by step and implementation; ours is first."""
    rng = np.random.default_rng(3)
    run = rng.standard_normal(TAPS - 1 + RUN).astype(np.float32)
    w = np.zeros(TAPS, np.float32)
    cases_of: dict[str, dict] = {}
    for size in (32, 16, 64):
        M = np.tril(np.multiply(gram(run, run, TAPS, size), 0.5 / TAPS, order="C"), -1).astype(np.float32)
        system, residual = M + np.eye(size, dtype=np.float32), np.ones((RUN // size, size, 1), np.float32)
        rows = np.zeros((size, RUN), np.float32)
        cases_of |= {
            f"products, blocks of {size}": {
                "sums": lambda size=size: gram(run, run, TAPS, size),
                "X^T X": lambda size=size: [X.T @ X for X in window_columns(run, TAPS, size)],
            },
            f"triangular systems, blocks of {size}": {
                "inverses": lambda M=M: invert_unit_lower(M),
                "numpy inv": lambda system=system: np.linalg.inv(system),
                "numpy solve": lambda system=system, residual=residual: np.linalg.solve(system, residual),
            },
            f"filter and update, blocks of {size}": {
                "copy, two products": lambda size=size: [
                    np.dot(X, np.dot(w, X)) for X in window_columns(run, TAPS, size)
                ],
                "two correlations": lambda size=size: [
                    np.correlate(part, np.correlate(part, w, "valid"), "valid")
                    for part in (run[at : at + TAPS - 1 + size] for at in range(0, RUN, size))
                ],
            },
            f"sums over rows, blocks of {size}": {
                "row by row": lambda rows=rows: cumulative_sum(rows),
                "numpy cumsum": lambda rows=rows: np.cumsum(rows, axis=0),
            },
        }
    table = {}
    for step, cases in cases_of.items():
        medians = np.median(interleaved(list(cases.values()), rounds), axis=0) * 1e6
        table[step] = dict(zip(cases, medians.tolist(), strict=True))
    return table
