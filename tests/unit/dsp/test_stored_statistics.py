"""Statistics in records: half the size, without a difference that a filter could show."""

import zlib

import numpy as np
import pytest

from anc.dsp import Statistics, design_from_statistics
from anc.dsp.state import pack
from anc.dsp.statistics import STORED_KIND

RATE, TAPS = 16_000, 512
SECONDARY = [0.0, 0.0, 0.6, 0.3, -0.1]


def low_pass(cutoff: float) -> np.ndarray:
    white = np.random.default_rng(1).standard_normal(RATE)
    kernel = np.sinc(cutoff * np.arange(-100, 101)) * np.hamming(201)
    return np.asarray(0.05 * np.convolve(white, kernel, "same"))


SOUNDS = {
    "low": low_pass(0.02),
    "broad": low_pass(0.4),
    "white": 0.1 * np.random.default_rng(2).standard_normal(RATE),
    "tone": 0.3 * np.sin(2 * np.pi * 97.3 / RATE * np.arange(RATE)),
}


def statistics_of(x: np.ndarray) -> Statistics:
    d = np.convolve(x, np.hanning(40) / 20)[: x.size] + 1e-4 * np.random.default_rng(3).standard_normal(
        x.size
    )
    return Statistics.measure(x, d, SECONDARY, TAPS, RATE)


@pytest.mark.parametrize("sound", SOUNDS)
def test_stored_statistics_are_as_exact_as_float32_at_the_largest_value(sound: str) -> None:
    statistics = statistics_of(SOUNDS[sound])
    stored = statistics.to_stored_bytes()
    again = Statistics.from_stored_bytes(stored)
    for name in ("autocorrelation", "crosscorrelation"):
        before, after = getattr(statistics, name), getattr(again, name)
        assert np.abs(after - before).max() <= 2.0**-24 * 1.01 * np.abs(before).max(), name
    assert (again.energy, again.samples, again.rate) == (statistics.energy, statistics.samples, RATE)
    assert len(stored) < 0.75 * len(statistics.to_bytes())


def test_statistics_of_low_noise_take_half_of_their_size_on_the_wire() -> None:
    statistics = statistics_of(SOUNDS["low"])
    assert len(statistics.to_stored_bytes()) < 0.55 * len(statistics.to_bytes())


@pytest.mark.parametrize("sound", ["low", "broad", "white"])
def test_a_filter_designed_with_stored_statistics_is_as_good(sound: str) -> None:
    statistics = statistics_of(SOUNDS[sound])
    again = Statistics.from_stored_bytes(statistics.to_stored_bytes())
    w, w_again = (design_from_statistics([each]).taps for each in (statistics, again))
    assert statistics.attenuation_db(w_again) == pytest.approx(statistics.attenuation_db(w), abs=0.01)


def test_silence_is_stored() -> None:
    silence = Statistics(np.zeros(4), np.zeros(4), 0.0, 0.0, RATE)
    assert not Statistics.from_stored_bytes(silence.to_stored_bytes()).autocorrelation.any()


def test_records_of_earlier_versions_are_read_and_headsets_cannot_send_stored_statistics() -> None:
    statistics = statistics_of(SOUNDS["low"])
    assert Statistics.from_stored_bytes(statistics.to_bytes()).energy == statistics.energy
    with pytest.raises(ValueError, match="kind must be stats"):
        Statistics.from_bytes(statistics.to_stored_bytes())


@pytest.mark.parametrize(
    ("taps", "packed", "message"),
    [
        (0.0, zlib.compress(b""), "number of taps"),
        (1e9, zlib.compress(b""), "number of taps"),
        (float("nan"), zlib.compress(b""), "number of taps"),
        (4.0, zlib.compress(bytes(31)), "not that of the taps"),
        (4.0, b"not compressed", "cannot be decompressed"),
        (4.0, zlib.compress(bytes([255]) * 32), "inconsistent"),
    ],
)
def test_damaged_stored_statistics_are_refused(taps: float, packed: bytes, message: str) -> None:
    numbers = (1.0, 4.0, RATE, taps, 1.0, 1.0)
    with pytest.raises(ValueError, match=message):
        Statistics.from_stored_bytes(pack(STORED_KIND, numbers, [np.frombuffer(packed, np.uint8)]))


def test_more_values_than_taps_are_not_decompressed() -> None:
    many = np.frombuffer(zlib.compress(bytes(10**8)), np.uint8)
    statistics = Statistics.from_stored_bytes(pack(STORED_KIND, (1.0, 4.0, RATE, 4.0, 1.0, 1.0), [many]))
    assert statistics.taps == 4
