"""Built-in and recorded scenes."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from anc.noise import Classifier, MultichannelClassifier
from anc.schemas.refusal import Refused
from simulation.scenes import SCENES, Scene, UnusableRecording, cycles, harmonics, strokes, unit_power

RATE = 16_000


def level_dbfs(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(samples))))


@pytest.mark.parametrize("name", SCENES)
def test_a_built_in_scene_is_the_same_every_time_and_at_the_stated_level(name: str):
    samples = Scene.built_in(name, RATE).read(20 * RATE)
    assert level_dbfs(samples) == pytest.approx(-22, abs=1)
    assert np.abs(samples).max() <= 1.0
    np.testing.assert_array_equal(samples, Scene.built_in(name, RATE).read(20 * RATE))


def test_harmonics_and_strokes_follow_a_frequency_that_drifts():
    frequency = 90 + 20 * np.sin(np.arange(RATE) / 3000)
    phase, orders = cycles(frequency, RATE), np.arange(1, 33)
    amplitudes = orders**-0.2
    sines = amplitudes[:, None] * np.sin(orders[:, None] * phase + orders[:, None] ** 2)
    difference = harmonics(frequency, RATE, amplitudes) - unit_power(sines.sum(axis=0))
    assert level_dbfs(difference) < -110
    np.testing.assert_allclose(strokes(frequency, RATE, 4), np.cos(phase / 2) ** 8, atol=1e-6)


NAMES = {  # and in how many single seconds at least: of a cabin, some sound like a road
    "cabin": ({"aircraft"}, 0.9),
    "engine": ({"road", "machine"}, 1.0),
    "street": ({"road"}, 0.75),  # weather, between two cars
}


@pytest.mark.parametrize("name", list(NAMES))
def test_the_classifier_names_a_built_in_scene_as_people_would(name: str):
    """A large AudioSet network does: aircraft; vehicle, motorcycle and engine; vehicle and traffic noise."""
    classifier, (labels, share) = Classifier.load(), NAMES[name]
    sound = Scene.built_in(name, RATE).read(20 * RATE)
    predictions = [classifier.classify(second, RATE) for second in sound.reshape(20, RATE)]
    assert np.mean([prediction.label in labels for prediction in predictions]) >= share
    assert not any(prediction.emergency for prediction in predictions)
    displayed = MultichannelClassifier(classifier, RATE).process(sound)
    assert {prediction.label for prediction in displayed} <= labels


def test_a_scene_repeats_without_a_click():
    t = np.arange(RATE) / RATE
    scene = Scene(np.sin(2 * np.pi * 200 * t), RATE)
    samples = scene.read(4 * RATE)
    assert np.abs(np.diff(samples)).max() < 1.5 * 2 * np.pi * 200 / RATE * np.abs(samples).max()


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (44_100, 2), (96_000, 2)])
def test_a_recording_of_any_format_rate_and_channels_is_a_scene(
    tmp_path: Path, suffix: str, rate: int, channels: int
):
    tone = np.sin(2 * np.pi * 440 * np.arange(2 * rate) / rate)[:, None] * np.full((1, channels), 0.3)
    soundfile.write(tmp_path / f"n.{suffix}", tone, rate)
    samples = Scene.from_file(tmp_path / f"n.{suffix}", RATE).read(RATE)
    loudest = np.argmax(np.abs(np.fft.rfft(samples)))
    assert loudest == pytest.approx(440, abs=2)
    assert level_dbfs(samples) == pytest.approx(-22, abs=0.5)


def test_a_recording_that_breaks_off_is_read_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    path = tmp_path / "cut.wav"
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(2 * RATE), RATE)
    path.write_bytes(path.read_bytes()[: 3 * RATE])
    Scene.from_file(path, RATE)
    (warning,) = caplog.messages
    assert warning.startswith(f"{path}: The file is damaged or breaks off: only 1.499 s of 2 s")


def test_silence_around_a_recording_is_cut_off(tmp_path: Path):
    rng = np.random.default_rng(0)
    samples = np.concatenate([np.zeros(RATE), 0.1 * rng.standard_normal(RATE), np.zeros(3 * RATE)])
    soundfile.write(tmp_path / "n.wav", samples, RATE)
    read = Scene.from_file(tmp_path / "n.wav", RATE).read(5 * RATE)
    quietest = min(np.square(part).mean() for part in np.split(read, 50))
    assert quietest > 1e-3


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros(RATE), "at least half a second of sound"),
        (np.ones(100) * 0.5, "at least half a second of sound"),
    ],
)
def test_a_recording_without_sound_is_refused_by_name(tmp_path: Path, samples: np.ndarray, reason: str):
    soundfile.write(tmp_path / "bad.wav", samples.astype(np.float32), RATE, subtype="FLOAT")
    with pytest.raises(UnusableRecording, match=rf"bad\.wav.*{reason}"):
        Scene.from_file(tmp_path / "bad.wav", RATE)


def test_a_recording_of_more_than_ten_minutes_is_refused_by_name(tmp_path: Path):
    soundfile.write(tmp_path / "long.wav", np.zeros(8000 * 601, np.int16), 8000, subtype="PCM_U8")
    with pytest.raises(Refused, match=r"long\.wav: must be at most 600 s long \(got 601 s\); cut it"):
        Scene.from_file(tmp_path / "long.wav", RATE)


def test_a_file_that_is_not_a_recording_is_refused_by_name(tmp_path: Path):
    (tmp_path / "text.wav").write_text("hello")
    with pytest.raises(Refused, match=r"text\.wav"):
        Scene.from_file(tmp_path / "text.wav", RATE)
    with pytest.raises(Refused, match=r"none\.wav"):
        Scene.from_file(tmp_path / "none.wav", RATE)
