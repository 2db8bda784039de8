"""Speed, as ratios within interleaved rounds: a machine that is busy is busy for available."""

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from anc.dsp import FDAF, NLMS, FxNLMS, fxnlms_reference, nlms_reference
from benchmarks.implementations import available, numpy_loop

TAPS, MU, EPS, BLOCK = 512, 0.5, 1e-6, 1024


def table(rounds: int = 7, samples: int = 16384) -> list[dict]:
    """Return time per block, speed relative to the numpy loop and deviation of each implementation."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(samples).astype(np.float32)
    d = np.convolve(x, rng.standard_normal(100) * 0.95 ** np.arange(100))[:samples].astype(np.float32)
    expected = nlms_reference(x, d, TAPS, MU, EPS)[1]
    implementations = list(available())
    residuals = [
        c.residual(x, d, TAPS, MU, EPS) for c in implementations
    ]  # the first run includes compilation
    seconds = interleaved([lambda c=c: c.residual(x, d, TAPS, MU, EPS) for c in implementations], rounds)
    plain = next(k for k, c in enumerate(implementations) if c.residual is numpy_loop)
    rows = []
    for k, (c, e) in enumerate(zip(implementations, residuals, strict=True)):
        deviation = float(np.abs(e - expected[: e.size]).max() / np.abs(d).max())
        rows.append(
            {
                "name": c.name,
                "us_per_block": float(np.median(seconds[:, k])) * 1e6 * BLOCK / samples,
                "times_the_numpy_loop": float(np.median(seconds[:, plain] / seconds[:, k])),
                "deviation": deviation,
                "same_algorithm": c.same and deviation < 1e-3,
            }
        )
    return rows


def fxnlms(rounds: int = 7, samples: int = 16384) -> dict:
    """Compare FxNLMS with a loop, for a secondary path of 128 samples."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal(samples).astype(np.float32)
    d = np.convolve(x, rng.standard_normal(60))[:samples].astype(np.float32)
    S = (rng.standard_normal(128) * 0.9 ** np.arange(128)).astype(np.float32)

    def ours() -> NDArray:
        f = FxNLMS(TAPS, 0.05, secondary=S)
        return np.concatenate(
            [f.process(x[at : at + BLOCK], d[at : at + BLOCK])[1] for at in range(0, samples, BLOCK)]
        )

    seconds = interleaved([lambda: fxnlms_loop(x, d, S, 0.05), ours], rounds)
    expected = fxnlms_reference(x, d, TAPS, 0.05, EPS, secondary=S)[1]
    return {
        "times_its_loop": float(np.median(seconds[:, 0] / seconds[:, 1])),
        "us_per_block": float(np.median(seconds[:, 1])) * 1e6 * BLOCK / samples,
        "deviation": float(np.abs(ours() - expected).max() / np.abs(d).max()),
    }


def fxnlms_loop(x: NDArray, d: NDArray, S: NDArray, mu: float) -> NDArray:
    """Run the recursion with four numpy calls per sample and no copies."""
    v = np.convolve(x, S)[: x.size].astype(x.dtype)
    silence = np.zeros(TAPS - 1, x.dtype)
    xs, vs = np.concatenate([silence, x]), np.concatenate([silence, v])
    ys, w, e = np.zeros(x.size + S.size - 1, x.dtype), np.zeros(TAPS, x.dtype), np.empty_like(d)
    reversed_s, step, floor = S[::-1].copy(), x.dtype.type(mu), x.dtype.type(EPS)
    for n in range(x.size):
        ys[n + S.size - 1] = w @ xs[n : n + TAPS]
        e[n] = d[n] - reversed_s @ ys[n : n + S.size]
        v_n = vs[n : n + TAPS]
        w += (step * e[n] / (floor + v_n @ v_n)) * v_n
    return e


def growth(rounds: int = 5) -> dict:
    """Return microseconds per sample by taps, block length and number of sessions."""
    rng = np.random.default_rng(2)
    x, d = rng.standard_normal((2, 8192)).astype(np.float32)
    by_taps = {}
    for taps in (64, 128, 256, 512, 1024, 2048, 4096):
        nlms, fdaf = NLMS(taps, MU), FDAF(taps, MU)
        cases = [lambda f=nlms: f.process(x[:2048], d[:2048]), lambda f=fdaf: f.process(x[:2048], d[:2048])]
        by_taps[taps] = per_sample(cases, rounds, 2048)
    by_block = {}
    for block in (64, 128, 256, 512, 1024, 2048, 4096, 8192):
        nlms, fdaf = NLMS(TAPS, MU), FDAF(TAPS, MU, block=min(block, 1024))
        cases = [lambda f=f, n=block: f.process(x[:n], d[:n]) for f in (nlms, fdaf)]
        by_block[block] = per_sample(cases, rounds, block)
    by_sessions = {}
    for sessions in (1, 10, 50, 100, 200):
        filters = [[kind(TAPS, MU) for _ in range(sessions)] for kind in (NLMS, FDAF)]

        def run_sessions(fs: list) -> None:
            for f in fs:
                type(f).from_state(f.state()).process(x[:BLOCK], d[:BLOCK])

        cases = [lambda fs=fs: run_sessions(fs) for fs in filters]
        by_sessions[sessions] = per_sample(cases, rounds, sessions * BLOCK)
    return {"taps": by_taps, "block": by_block, "sessions": by_sessions}


def per_sample(cases: list[Callable], rounds: int, samples: int) -> dict[str, float]:
    """Return median microseconds per sample for NLMS and FDAF."""
    medians = np.median(interleaved(cases, rounds), axis=0) * 1e6 / samples
    return {"NLMS": float(medians[0]), "FDAF": float(medians[1])}


def interleaved(cases: list[Callable], rounds: int) -> NDArray:
    """Return CPU seconds, (rounds, cases). Every round runs every case once, after a warm-up round.

    CPU time excludes the time that other processes use.
    """
    seconds = np.empty((rounds + 1, len(cases)))
    for row in seconds:
        for k, case in enumerate(cases):
            start = time.process_time()
            case()
            row[k] = time.process_time() - start
    return seconds[1:]
