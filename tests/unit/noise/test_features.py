"""Log-mel spectrograms at any rate, whole or in blocks."""

import re
import zlib

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from anc.noise import features, summary
from anc.noise.features import (
    BANDS,
    WINDOW,
    band_edges,
    log_mel,
    log_mel_spectrogram,
    pack,
    quantise,
    unpack,
    windows,
)


def noise(seconds: float, rate: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, int(seconds * rate)).astype(np.float32)


def tone(frequency: float, rate: int, seconds: float = 1.1) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000, 96000, 192000])
def test_a_tone_appears_in_its_band_at_every_rate(rate: int) -> None:
    for frequency in (100, 440, 1000, 3000):
        spectrogram = log_mel_spectrogram(tone(frequency, rate), rate)
        loudest = int(np.argmax(spectrogram.mean(axis=0)))
        assert band_edges()[loudest] < frequency < band_edges()[loudest + 2]


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 96000])
def test_a_sound_has_the_same_spectrogram_at_every_rate(rate: int) -> None:
    sound = np.cumsum(noise(2, 48000)) % 0.3
    here = log_mel_spectrogram(soxr.resample(sound, 48000, rate, quality="VHQ"), rate).astype(int)
    there = log_mel_spectrogram(sound, 48000).astype(int)
    reached = band_edges()[2:] < rate * 0.45
    n = min(len(here), len(there))
    assert np.median(np.abs(here[1:n, reached] - there[1:n, reached])) <= 1


def test_bands_beyond_the_rate_are_empty() -> None:
    spectrogram = log_mel_spectrogram(noise(1, 8000), 8000)
    assert not spectrogram[:, band_edges()[2:] > 4001].any()
    assert spectrogram[:, band_edges()[2:] < 4000].min() > 0


@pytest.mark.parametrize("rate", [8000, 44100, 48000])
def test_a_second_has_48_columns_without_drift(rate: int) -> None:
    assert len(log_mel(quantise(noise(60.1, rate), rate), rate)) in (60 * 48 + 3, 60 * 48 + 4)


def test_a_constant_is_silence() -> None:
    assert log_mel_spectrogram(np.full(16000, 0.7), 16000).max() < 60
    assert features.level_dbfs(log_mel_spectrogram(np.full(16000, 0.7), 16000)) < features.level_dbfs(
        log_mel_spectrogram(noise(1, 16000) * 1e-3, 16000)
    )


def test_the_level_of_noise_equals_its_power() -> None:
    level = features.level_dbfs(log_mel_spectrogram(noise(4, 16000), 16000))
    assert level == pytest.approx(20 * np.log10(0.1), abs=0.6)


@given(columns=st.integers(1, 300))
@settings(max_examples=40, deadline=None)
def test_windows_are_a_quarter_second_apart_and_the_last_ends_with_the_sound(columns: int) -> None:
    spectrogram = np.random.default_rng(columns).integers(0, 120, (columns, BANDS)).astype(np.uint8)
    views = windows(spectrogram)
    assert views.shape[1:] == (WINDOW, BANDS)
    if columns >= WINDOW:
        assert len(views) == (columns - WINDOW) // 12 + 1
        assert np.array_equal(views[-1], spectrogram[-WINDOW:])


@given(st.integers(0, 2**32 - 1), st.integers(1, WINDOW))
@settings(max_examples=30, deadline=None)
def test_pack_and_unpack_are_lossless(seed: int, columns: int) -> None:
    spectrogram = np.random.default_rng(seed).integers(0, 256, (columns, BANDS)).astype(np.uint8)
    assert np.array_equal(unpack(pack(spectrogram)), spectrogram)


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_a_summary_of_the_noisiest_second_fits_three_kilobytes(rate: int) -> None:
    rng = np.random.default_rng(1)
    swept = noise(2, rate) * np.exp(rng.normal(0, 2, 2 * rate).cumsum() / 200).clip(0.01, 5)
    for sound in (noise(2, rate), swept, rng.uniform(-1, 1, 2 * rate)):
        assert len(summary(sound, rate)) <= 3072


@given(st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
def test_invalid_summaries_are_refused(junk: bytes) -> None:
    with pytest.raises(ValueError, match="summary"):
        unpack(junk)


@pytest.mark.parametrize(
    ("packed", "says"),
    [
        (b"", "one zlib stream, RFC 1950 (got no end)"),
        (bytes([60]) * 80, "one zlib stream, RFC 1950 (Error"),
        (zlib.compress(bytes(80))[:-1], "one zlib stream, RFC 1950 (got no end)"),
        (zlib.compress(bytes(80)) + b"x", "one zlib stream, RFC 1950 (got more bytes after its end)"),
        (zlib.compress(bytes(81)), "at most 48 columns of 80 bytes (got 81 bytes)"),
        (zlib.compress(bytes(49 * 80)), "at most 48 columns of 80 bytes (got more)"),
    ],
)
def test_the_refusal_of_a_summary_says_what_it_must_be(packed: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        unpack(packed)


def test_a_decompression_bomb_is_refused() -> None:
    bomb = pack(np.zeros((1_000_000, BANDS), np.uint8))
    with pytest.raises(ValueError, match="at most 48 columns"):
        unpack(bomb)


@pytest.mark.parametrize(
    ("samples", "rate", "says"),
    [
        (np.zeros(4000), 7999, "rate"),
        (np.zeros(4000), 192_001, "rate"),
        (np.zeros((2, 4000)), 16000, "one channel"),
        (np.zeros(4000, np.int16), 16000, "divide int16"),
        (np.full(4000, np.nan), 16000, "finite"),
        (np.r_[np.zeros(4000), np.inf], 16000, "finite"),
        (np.full(4000, 3000.0), 16000, r"\[-1, 1\]"),
        (np.zeros(3999), 16000, r"0\.25 s"),
    ],
)
def test_unusable_sound_is_refused_with_the_reason(samples: np.ndarray, rate: int, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        log_mel_spectrogram(samples, rate)
