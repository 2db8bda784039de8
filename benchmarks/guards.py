"""`python -m benchmarks --guard`: check ratios of processor time that a change must not make much worse.

Each subject is compared with plain work of numpy or the standard library on the same data, in turns; the
smallest time of each counts, because other processes can only add to it. The limits are two to three times
what was found, so that another processor or another release of numpy stays within them.
"""

import base64
import json
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import local  # noqa: F401  one BLAS thread, as in the platform; numpy is imported after it
from anc.dsp import FDAF, NLMS, design_control_filter
from anc.noise import Classifier, MultichannelClassifier
from anc.schemas import websocket
from anc.schemas.snapshot import Snapshot
from benchmarks.implementations import numpy_loop, run_in_blocks, without_kernel

ROUNDS = 12
RATE, TAPS, MU, EPS = 16_000, 512, 0.5, 1e-6
SAMPLES = 2048


class Guard(NamedTuple):
    """A subject, the plain work that it is compared with, and the largest ratio of their times."""

    name: str
    reference: str
    subject: Callable[[], object]
    plain: Callable[[], object]
    limit: float


def guards() -> list[Guard]:
    """Return all guards; making them loads the classifier."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(SAMPLES).astype(np.float32)
    d = np.convolve(x, 0.9 ** np.arange(40))[:SAMPLES].astype(np.float32)
    ours = run_in_blocks
    return [
        Guard(
            "NLMS",
            "loop of numpy",
            lambda: ours(NLMS(TAPS, MU, EPS), x, d),
            lambda: numpy_loop(x, d, TAPS, MU, EPS),
            0.25,
        ),
        Guard(
            "NLMS without its kernel",
            "loop of numpy",
            lambda: without_kernel(x, d, TAPS, MU, EPS),
            lambda: numpy_loop(x, d, TAPS, MU, EPS),
            0.7,
        ),
        Guard(
            "FDAF",
            "FFTs of two blocks",
            lambda: ours(FDAF(TAPS, MU, EPS), x, d),
            lambda: _transforms(x),
            3.0,
        ),
        _design(),
        _hearing(),
        _block(),
        _snapshot(),
    ]


def _transforms(x: np.ndarray) -> None:
    """Do the transforms that a filter of the frequency domain cannot do without, for each block."""
    for at in range(0, SAMPLES, TAPS):
        part = np.concatenate([x[at : at + TAPS], x[at : at + TAPS]])
        for _ in range(5):
            np.fft.irfft(np.fft.rfft(part))


def _design() -> Guard:
    rng = np.random.default_rng(1)
    x = np.convolve(rng.standard_normal(RATE), [1.0, 0.8, 0.3], "same")
    d, secondary = np.convolve(x, [0.0] * 9 + [0.6])[:RATE], np.array([0.0, 0.6, 0.3])
    matrix = np.eye(TAPS) + 1e-3 * rng.standard_normal((TAPS, TAPS))
    return Guard(
        "control filter",
        "solution of 512 equations",
        lambda: design_control_filter(x, d, secondary, TAPS, rate=RATE),
        lambda: np.linalg.solve(matrix, matrix[0]),
        9.0,
    )


def _hearing() -> Guard:
    stream = MultichannelClassifier(Classifier.load(), RATE, 2)
    rng = np.random.default_rng(2)
    block = (0.1 * rng.standard_normal((RATE // 4, 2))).astype(np.float32)
    left, right = rng.standard_normal((2, 256, 256)).astype(np.float32)
    for _ in range(8):  # the memory of the stream is full
        stream.process(block)
    return Guard(
        "hearing, 0.25 s of two channels",
        "product of two matrices",
        lambda: stream.process(block),
        lambda: left @ right,
        18.0,
    )


def _block() -> Guard:
    pcm = np.random.default_rng(3).integers(-9000, 9000, (1600, 2)).astype("<i2").tobytes()
    text = json.dumps(
        {"action": "audio", "session": "s" * 24, "seq": 7, "pcm": base64.b64encode(pcm).decode()}
    )

    def subject() -> object:
        request = websocket.parse_request(text)
        assert isinstance(request, websocket.Audio)
        return websocket.decode_pcm(request.pcm, 2)

    return Guard(
        "frame of a live block",
        "json and base64",
        _times(100, subject),
        _times(100, lambda: base64.b64decode(json.loads(text)["pcm"])),
        3.0,
    )


def _snapshot() -> Guard:
    pcm = np.random.default_rng(4).integers(-9000, 9000, (1600, 2)).astype(np.int16)
    data = Snapshot(1, RATE, len(pcm), "", pcm=pcm).encode()
    text = json.dumps({"pcm": base64.b64encode(pcm.tobytes()).decode()})
    return Guard(
        "snapshot",
        "json and base64",
        _times(100, lambda: Snapshot.parse(data)),
        _times(100, lambda: base64.b64decode(json.loads(text)["pcm"])),
        0.4,
    )


def _times(number: int, do: Callable[[], object]) -> Callable[[], None]:
    """Return a function that calls another so many times, since one call is too short for the clock."""

    def repeat() -> None:
        for _ in range(number):
            do()

    return repeat


def ratio(guard: Guard, rounds: int = ROUNDS) -> float:
    """Return the smallest processor time of the subject, as a multiple of that of the plain work."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for spent, do in zip(times, (guard.subject, guard.plain), strict=True):
            begun = time.thread_time()
            do()
            spent.append(time.thread_time() - begun)
    return min(times[0]) / min(times[1])


def check(known: list[Guard]) -> int:
    """Print all ratios, and return the number of those above their limits."""
    above = 0
    for guard in known:
        found = ratio(guard)
        if found > guard.limit:  # once more, for the case that the machine was busy all the time
            found = min(found, ratio(guard, 3 * ROUNDS))
        above += found > guard.limit
        verdict = "above" if found > guard.limit else "within"
        print(f"{guard.name:32}{found:8.3f} of a {guard.reference:28} {verdict} {guard.limit:g}", flush=True)
    return above
