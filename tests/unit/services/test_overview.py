"""The picture of a recording: envelope and spectrogram, of bounded size, whatever the blocks."""

import numpy as np
import pytest

from anc.services.sound.overview import (
    BANDS,
    FLOOR_DBFS,
    MAX_COLUMNS,
    STEP_DB,
    Overview,
    RecordingOverview,
    recording_overview,
)

RATE = 16_000


def overview_of(samples: np.ndarray, block: int = 4096, rate: int = RATE) -> RecordingOverview:
    overview = Overview(rate)
    for at in range(0, len(samples), block):
        overview.add(samples[at : at + block])
    return recording_overview(overview, None)


def envelope(found: RecordingOverview) -> tuple[np.ndarray, np.ndarray]:
    low, high = (np.frombuffer(each, "<i2") / 32768 for each in (found.before.low, found.before.high))
    return low, high


def spectrum(found: RecordingOverview) -> np.ndarray:
    levels = np.frombuffer(found.before.spectrum, np.uint8).reshape(-1, BANDS)
    return FLOOR_DBFS + STEP_DB * levels


@pytest.mark.parametrize("seconds", [0.01, 3.0, 100.0])
def test_the_envelope_bounds_every_sample_of_its_column(seconds: float) -> None:
    samples = 0.1 * np.random.default_rng(1).standard_normal(int(RATE * seconds)).astype(np.float32)
    found = overview_of(samples)
    low, high = envelope(found)
    step = round(found.column_s * RATE)
    columns = [samples[at : at + step] for at in range(0, len(samples), step)]
    assert len(low) == len(high) == len(columns) <= MAX_COLUMNS
    assert np.abs([low[k] - min(0, column.min()) for k, column in enumerate(columns)]).max() < 1e-4
    assert np.abs([high[k] - max(0, column.max()) for k, column in enumerate(columns)]).max() < 1e-4
    assert found.seconds == pytest.approx(seconds)


def test_a_long_recording_has_no_more_columns_than_a_short_one() -> None:
    overview = Overview(RATE)
    minute = np.zeros(60 * RATE, np.float32)
    for _ in range(60):
        overview.add(minute)
    found = recording_overview(overview, overview)
    assert MAX_COLUMNS / 2 <= len(found.before.low) / 2 <= MAX_COLUMNS
    assert len(found.before.low) / 2 * found.column_s == pytest.approx(3600, abs=found.column_s)
    assert len(overview.state()) < 400_000


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000, 192_000])
@pytest.mark.parametrize("hz", [120.0, 1000.0, 3000.0])
def test_a_tone_has_its_level_in_the_band_of_its_frequency(rate: int, hz: float) -> None:
    tone = 0.1 * np.sin(2 * np.pi * hz * np.arange(2 * rate) / rate).astype(np.float32)
    found = overview_of(tone, rate=rate)
    column = spectrum(found)[10]
    edges = np.geomspace(found.low_hz, found.high_hz, BANDS + 1)
    assert column.max() == pytest.approx(-23, abs=1.5)
    loudest = int(column.argmax())
    bin_hz = 1 / (2 * found.column_s)  # of a frame of two columns
    assert edges[loudest] - bin_hz <= hz <= edges[loudest + 1] + bin_hz


def test_blocks_and_restarts_do_not_change_the_picture() -> None:
    samples = 0.1 * np.random.default_rng(2).standard_normal(50 * RATE).astype(np.float32)
    whole = overview_of(samples, block=len(samples))
    overview = Overview(RATE)
    for at in range(0, len(samples), 65_537):
        overview = Overview.from_state(overview.state())
        overview.add(samples[at : at + 65_537])
    found = recording_overview(overview, None)
    assert (found.before.low, found.before.high) == (whole.before.low, whole.before.high)
    assert (
        np.abs(spectrum(found) - spectrum(whole)).max() <= STEP_DB
    )  # FFTs of several rows round differently


def test_silence_is_at_the_floor_and_full_scale_is_not_clipped() -> None:
    assert set(spectrum(overview_of(np.zeros(RATE, np.float32))).ravel()) == {FLOOR_DBFS}
    low, high = envelope(overview_of(np.tile(np.float32([1.0, -1.0]), RATE)))
    assert (low.min(), high.max()) == (-1.0, 32767 / 32768)
