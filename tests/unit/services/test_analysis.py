"""Levels of short files agree with the synthesised sound."""

import io

import numpy as np
import pytest
import soundfile

from anc.schemas.refusal import Refused
from anc.services.sound.analysis import analyze

RATE = 48_000


def sound_file(samples: np.ndarray, rate: int = RATE, subtype: str = "PCM_24") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype=subtype)
    return file.getvalue()


def tone(hz: float = 1000.0, amplitude: float = 0.5, seconds: float = 2.0) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * hz * np.arange(int(RATE * seconds)) / RATE)


def test_a_tone_at_1_khz_has_equal_weighted_and_unweighted_levels():
    report = analyze(sound_file(tone()))
    (channel,) = report["channels"]
    assert (report["seconds"], report["rate"]) == (2.0, RATE)
    assert (report["unit"], report["a_weighted_unit"]) == ("dBFS", "dBFS(A)")
    assert channel["rms"] == channel["octaves"]["1000"] == pytest.approx(-9.03, abs=0.02)
    assert channel["la_eq"] == pytest.approx(-9.03, abs=0.05)
    assert channel["peak"] == pytest.approx(-6.02, abs=0.02)
    assert channel["crest_db"] == pytest.approx(3.01, abs=0.02)
    assert (channel["dc"], channel["clipped_samples"]) == (0.0, 0)


def test_a_calibration_turns_levels_into_sound_pressure():
    relative, absolute = analyze(sound_file(tone())), analyze(sound_file(tone()), full_scale_db=120.0)
    assert (absolute["unit"], absolute["a_weighted_unit"]) == ("dB SPL", "dB(A)")
    for name in ("rms", "peak", "la_eq"):
        expected = relative["channels"][0][name] + 120
        assert absolute["channels"][0][name] == pytest.approx(expected, abs=0.011)
    assert absolute["channels"][0]["crest_db"] == relative["channels"][0]["crest_db"]


def test_every_channel_is_measured_separately():
    samples = np.stack([tone(), 0.1 * tone(), np.full(2 * RATE, 0.25)], axis=1)
    loud, quiet, constant = analyze(sound_file(samples))["channels"]
    assert loud["rms"] - quiet["rms"] == pytest.approx(20, abs=0.02)
    assert (constant["dc"], constant["crest_db"]) == (0.25, 0)
    assert constant["la_eq"] < -45, "a constant pressure only has energy at its start and end"


def test_clipping_is_counted():
    samples = np.clip(tone(amplitude=2.0), -1, 1)
    expected = np.count_nonzero(np.abs(samples) >= 32767 / 32768)
    counted = analyze(sound_file(samples, subtype="FLOAT"))["channels"][0]["clipped_samples"]
    assert counted == expected > RATE


def test_silence_has_the_minimum_level():
    (channel,) = analyze(sound_file(np.zeros(RATE)))["channels"]
    assert channel["rms"] == channel["peak"] == channel["la_eq"] == -120
    assert channel["crest_db"] == 0


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"hello", "not a sound file"),
        (sound_file(np.zeros((10, 9))), "must have at most 8 channels"),
        (sound_file(np.zeros(61 * 8000), 8000, "PCM_U8"), "must be at most 60 s long"),
        (bytes(10_000_001), "must be at most 10,000,000 bytes"),
        (sound_file(np.array([0.0, np.nan]), subtype="FLOAT"), "must be finite"),
    ],
    ids=["empty", "text", "nine channels", "a second too long", "too large", "not a number"],
)
def test_a_file_that_cannot_be_measured_is_refused_with_the_limit(data, says):
    with pytest.raises(Refused, match=says):
        analyze(data)


@pytest.mark.parametrize("level", [201.0, -201.0, np.nan, np.inf])
def test_a_calibration_out_of_range_is_refused(level):
    with pytest.raises(Refused, match="full_scale_db"):
        analyze(sound_file(tone()), level)
