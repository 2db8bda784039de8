"""Implementations of NLMS, each with its best settings, as functions (x, d, taps, mu, eps) -> residual.

Packages that are not installed are skipped with a message. `same` says whether the implementation should
equal the textbook recursion; the benchmark verifies it and marks other algorithms.
"""

import ctypes
import importlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from anc.dsp import FDAF, NLMS

Residual = Callable[[NDArray, NDArray, int, float, float], NDArray]


@dataclass(frozen=True)
class Implementation:
    """An implementation; `same` if it should equal the textbook recursion."""

    name: str
    residual: Residual
    same: bool = True


def available() -> Iterator[Implementation]:
    """Yield our filters, then all other installed implementations; print which are missing."""
    yield Implementation(
        "anc NLMS float32", lambda x, d, taps, mu, eps: run_in_blocks(NLMS(taps, mu, eps), x, d)
    )
    yield Implementation("anc NLMS float32, numpy", without_kernel)
    yield Implementation(
        "anc NLMS float64", lambda x, d, taps, mu, eps: run_in_blocks(NLMS(taps, mu, eps, np.float64), x, d)
    )
    yield Implementation(
        "anc FDAF float32, block 512",
        lambda x, d, taps, mu, eps: run_in_blocks(FDAF(taps, mu, eps), x, d),
        False,
    )
    yield Implementation("numpy loop float32", numpy_loop)
    makers = (
        c_loop,
        numba_loop,
        padasip,
        adafilt,
        adafilt_fast,
        pyroomacoustics,
        adaptfilt,
        pydaptivefiltering,
        pyaec,
    )
    for make in makers:
        try:
            yield make()
        except (ImportError, FileNotFoundError, subprocess.CalledProcessError) as missing:
            print(f"skipped {make.__name__.replace('_', ' ')}: {missing}")


def run_in_blocks(f: NLMS | FDAF, x: NDArray, d: NDArray) -> NDArray:
    """Return the residual of a filter in blocks of 1024, as in a live session."""
    return np.concatenate(
        [f.process(x[at : at + 1024], d[at : at + 1024])[1] for at in range(0, x.size, 1024)]
    )


def without_kernel(x: NDArray, d: NDArray, taps: int, mu: float, eps: float) -> NDArray:
    """Return the residual of our NLMS as it runs where the kernel was not compiled."""
    with patch("anc.dsp.nlms.kernel", SimpleNamespace(nlms=None)):
        return run_in_blocks(NLMS(taps, mu, eps), x, d)


def numpy_loop(x: NDArray, d: NDArray, taps: int, mu: float, eps: float) -> NDArray:
    """Run the recursion with three numpy calls per sample and no copies."""
    past, w, e = np.concatenate([np.zeros(taps - 1, x.dtype), x]), np.zeros(taps, x.dtype), np.empty_like(d)
    step, floor = x.dtype.type(mu), x.dtype.type(eps)
    for n in range(x.size):
        x_n = past[n : n + taps]
        e[n] = d[n] - w @ x_n
        w += (step * e[n] / (floor + x_n @ x_n)) * x_n
    return e


def c_loop() -> Implementation:
    """Return a fused C loop, compiled with all optimisations."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        raise FileNotFoundError("no C compiler")
    folder = Path(tempfile.mkdtemp())
    library, source = folder / "nlms.so", Path(__file__).with_name("nlms.c")
    flags = ["-O3", "-march=native", "-ffast-math", "-shared", "-fPIC"]
    subprocess.run([compiler, *flags, "-o", library, source], check=True)
    nlms = ctypes.CDLL(str(library)).nlms
    vector = np.ctypeslib.ndpointer(np.float32, flags="C")
    nlms.argtypes = [vector] * 4 + [ctypes.c_size_t] * 2 + [ctypes.c_float] * 2
    shutil.rmtree(folder)

    def residual(x: NDArray, d: NDArray, taps: int, mu: float, eps: float) -> NDArray:
        past, w, e = (
            np.concatenate([np.zeros(taps - 1, x.dtype), x]),
            np.zeros(taps, x.dtype),
            np.empty_like(d),
        )
        nlms(past, d, e, w, x.size, taps, mu, eps)
        return e

    return Implementation("C loop -O3, fused, float32", residual)


def numba_loop() -> Implementation:
    """Return a fused loop, compiled by numba with fastmath."""

    @importlib.import_module("numba").njit(fastmath=True)
    def loop(past: NDArray, d: NDArray, w: NDArray, mu: float, eps: float) -> NDArray:
        taps, e = w.size, np.empty_like(d)
        for n in range(d.size):
            y, energy = d.dtype.type(0), d.dtype.type(0)
            for k in range(taps):
                y += w[k] * past[n + k]
                energy += past[n + k] * past[n + k]
            e[n] = d[n] - y
            step = mu * e[n] / (eps + energy)
            for k in range(taps):
                w[k] += step * past[n + k]
        return e

    def residual(x: NDArray, d: NDArray, taps: int, mu: float, eps: float) -> NDArray:
        past = np.concatenate([np.zeros(taps - 1, x.dtype), x])
        return loop(past, d, np.zeros(taps, x.dtype), x.dtype.type(mu), x.dtype.type(eps))

    return Implementation("numba loop, float32", residual)


def padasip() -> Implementation:
    """Return padasip's NLMS. It takes windows as rows, here a view that costs no time."""
    package = importlib.import_module("padasip")

    def residual(x: NDArray, d: NDArray, taps: int, mu: float, eps: float) -> NDArray:
        past = np.concatenate([np.zeros(taps - 1), x])
        rows = np.lib.stride_tricks.sliding_window_view(past, taps)[:, ::-1]
        return package.filters.FilterNLMS(taps, mu, eps=eps, w="zeros").run(d, rows)[1]

    return Implementation("padasip FilterNLMS", residual)


def adafilt() -> Implementation:
    """Return adafilt's NLMS."""
    package = importlib.import_module("adafilt")
    return Implementation(
        "adafilt LMSFilter",
        lambda x, d, taps, mu, eps: package.LMSFilter(taps, stepsize=mu, epsilon_power=eps)(x, d)[2],
    )


def adafilt_fast() -> Implementation:
    """Return adafilt's frequency-domain filter with our block length."""
    package = importlib.import_module("adafilt")

    def residual(x: NDArray, d: NDArray, taps: int, mu: float, eps: float) -> NDArray:
        block = min(taps, 512)
        f = package.FastBlockLMSFilter(taps, block, stepsize=mu, power_averaging=0.9, epsilon_power=eps)
        return f(x, d)[2]

    return Implementation("adafilt FastBlockLMSFilter, block 512", residual, same=False)


def pyroomacoustics() -> Implementation:
    """Return pyroomacoustics' NLMS. It has no eps, and the residual is computed before each update."""
    adaptive = importlib.import_module("pyroomacoustics.adaptive")

    def residual(x: NDArray, d: NDArray, taps: int, mu: float, eps: float) -> NDArray:
        f, e = adaptive.NLMS(taps, mu=mu), np.empty(d.size)
        for n in range(d.size):
            e[n] = d[n] - f.w[1:] @ f.x[:-1] - f.w[0] * x[n]
            f.update(x[n], d[n])
        return e

    return Implementation("pyroomacoustics NLMS", residual)


def adaptfilt() -> Implementation:
    """Return adaptfilt's NLMS. It starts at the first full window, so zeros are prepended."""
    package = importlib.import_module("adaptfilt")

    def residual(x: NDArray, d: NDArray, taps: int, mu: float, eps: float) -> NDArray:
        silence = np.zeros(taps - 1)
        return package.nlms(np.concatenate([silence, x]), np.concatenate([silence, d]), taps, mu, eps=eps)[1]

    return Implementation("adaptfilt nlms", residual)


def pydaptivefiltering() -> Implementation:
    """Return pydaptivefiltering's NLMS. Its order is one less than the number of taps."""
    package = importlib.import_module("pydaptivefiltering")

    def residual(x: NDArray, d: NDArray, taps: int, mu: float, eps: float) -> NDArray:
        f = package.NLMS(taps - 1, step_size=mu, gamma=eps)
        return np.asarray(f.optimize(x, d).errors).real

    return Implementation("pydaptivefiltering NLMS", residual)


def pyaec() -> Implementation:
    """Return the 16-bit echo canceller of Speex, another algorithm, without its preprocessor."""
    package = importlib.import_module("pyaec")

    def residual(x: NDArray, d: NDArray, taps: int, mu: float, eps: float) -> NDArray:
        f = package.Aec(512, taps, 48_000, False)
        full_scale = 8000 / max(np.abs(x).max(), np.abs(d).max())
        recorded, played = ((full_scale * part).astype(np.int16) for part in (d, x))
        blocks = range(0, d.size - 511, 512)
        out = [f.cancel_echo(recorded[at : at + 512], played[at : at + 512]) for at in blocks]
        return np.concatenate(out) / full_scale

    return Implementation("pyaec (Speex, int16)", residual, same=False)
