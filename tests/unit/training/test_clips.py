"""Training clips: what is mixed, what each window is labelled, and which folds a clip belongs to."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile

from anc.noise.classifier import KINDS
from anc.noise.features import BANDS
from training.clips.compose import COLUMNS, SAMPLES, TAUGHT, WINDOWS, Composer, excerpt, kind_targets
from training.clips.dataset import Dataset
from training.clips.degradation import band_limit, clip, distance, encode, in_headset, record, reverberate
from training.clips.sources import Source, read_sources, to_pcm
from training.recordings import Recording
from training.synthesis import RATE
from training.teacher import CLASSES, EMERGENCIES, LENGTH

ROOM = [np.array([1.0, 0.0, 0.5])]


def tone(seconds: float, hertz: float = 700.0) -> np.ndarray:
    return to_pcm(np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE))


def source(name: str, fold: int, kinds: tuple[str, ...] | None = (), seconds: float = 4.0) -> Source:
    return Source(tone(seconds, 300.0 + 100 * fold), name, name, kinds, False, fold)


SIREN, CABIN = source("wail", 0, ("siren",)), source("cabin", 0)
SOURCES = [SIREN, CABIN, *(source(name, fold) for name in ("dog", "rain") for fold in (1, 2))]
NOISES = ["cabin", "dog", "rain", "wail"]


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer(SOURCES, NOISES, ROOM, None)


def test_a_clip_is_reproducible_and_has_a_target_for_every_window(composer: Composer) -> None:
    first, again, other = (composer.compose(3, number) for number in (5, 5, 6))
    assert first.spectrogram.shape == (COLUMNS, BANDS)
    assert first.kinds.shape == (WINDOWS, len(KINDS))
    assert np.array_equal(first.spectrogram, again.spectrogram)
    assert not np.array_equal(first.spectrogram, other.spectrogram)


def test_recordings_of_two_folds_are_never_mixed(composer: Composer) -> None:
    drawn: list[set[int]] = []
    mix = composer._mix

    class Watched(Composer):
        def _mix(self, foreground, background, fold, rng):  # type: ignore[no-untyped-def]
            drawn.append({s.fold for s in (foreground, background) if s} - {0})
            assert drawn[-1] <= {fold}
            return mix(foreground, background, fold, rng)

    watched = Watched(SOURCES, NOISES, ROOM, None)
    folds = {watched.compose(0, number).fold for number in range(16)}
    assert {1, 2} <= folds
    assert {1} in drawn
    assert {2} in drawn


def test_only_windows_in_which_the_alarm_sounds_are_positive() -> None:
    front = np.zeros(SAMPLES)
    front[2 * RATE :] = tone(2)[: SAMPLES - 2 * RATE] / 32768
    targets = kind_targets(SIREN, front, np.zeros(SAMPLES))
    assert targets[0].tolist() == [0, 0, 0]
    assert targets[-1].tolist() == [1, 0, 0]
    loud_noise = 100 * np.random.default_rng(0).standard_normal(SAMPLES)
    assert np.isnan(kind_targets(SIREN, front, loud_noise)[-1]).all()


def test_an_undecided_sound_is_neither_an_alarm_nor_none() -> None:
    composer = Composer([SIREN, CABIN, source("alarm_clock", 1, None)], [*NOISES, "alarm_clock"], ROOM, None)
    clips = [composer.compose(0, number) for number in range(12)]
    undecided = [c for c in clips if 4 in c.noise]
    assert undecided
    assert not any((c.kinds == 0).any() for c in undecided)


def test_a_tonal_sound_is_no_alarm() -> None:
    composer = Composer(SOURCES, [*NOISES, "motor", "music", "whistling"], ROOM, None)
    clips = [composer.compose_tonal(1, number) for number in range(4)]
    assert all((clip.kinds == 0).all() for clip in clips)
    assert np.array_equal(clips[0].spectrogram, composer.compose_tonal(1, 0).spectrogram)


def hears_an_alarm(samples: np.ndarray) -> np.ndarray:
    """Return the scores of a teacher that is sure of a siren in any sound."""
    assert samples.shape == (LENGTH,)
    scores = np.zeros(CLASSES, np.float32)
    scores[EMERGENCIES[0]] = 0.9
    return scores


@pytest.mark.parametrize("street", [False, True])
def test_a_street_in_which_the_teacher_hears_an_alarm_is_undecided(street: bool) -> None:
    rain = Source(tone(4), "rain", "rain", (), street, 1)
    composer = Composer([SIREN, rain], ["rain", "wail"], ROOM, hears_an_alarm)  # type: ignore[arg-type]
    clip = composer._mix(rain, None, 1, np.random.default_rng(0))
    assert clip.taught.shape == (len(TAUGHT), CLASSES)
    assert clip.taught[:, EMERGENCIES[0]] == pytest.approx(0.9, abs=1e-3)
    assert np.isnan(clip.kinds).all() == street


@pytest.mark.parametrize(("name", "street"), [("train_pass", True), ("train_interior", False)])
def test_a_passing_train_may_sound_its_horn_unmentioned(tmp_path: Path, name: str, street: bool) -> None:
    file = tmp_path / "1.wav"
    soundfile.write(file, tone(1), RATE)
    recording = Recording(file, name, "1", None, "somewhere")
    with ThreadPoolExecutor(1) as pool:
        (read,) = read_sources([recording], np.array([1]), pool)
    assert read.kinds == ()
    assert read.street == street


def test_recordings_with_a_noise_class_are_drawn_twice_as_often() -> None:
    noise = np.array([[0, -1], [1, -1], [-1, -1], [0, -1]], np.int16)
    arrays = {name: np.zeros(4) for name in ("spectrograms", "share", "kinds", "taught")}
    dataset = Dataset(["dog", "siren"], noise=noise, folds=np.array([1, 1, 1, 0]), **arrays)
    assert dataset.odds.tolist() == [0.4, 0.2, 0.2, 0.2], "sirens learn from their kind; fold 0 is synthetic"


def test_the_prior_is_the_share_of_a_class_in_what_is_drawn() -> None:
    noise = np.array([[0, 1], [1, -1], [1, -1]], np.int16)
    share = np.array([[0.5, 1.0], [1.0, 1.0], [1.0, 1.0]], np.float16)
    arrays = {name: np.zeros(3) for name in ("spectrograms", "kinds", "taught")}
    dataset = Dataset(["dog", "rain", "train"], noise=noise, share=share, folds=np.array([1, 1, 0]), **arrays)
    assert dataset.prior == pytest.approx([2 * 0.75 / 5, (2 * 0.25 + 2 + 1) / 5, 1e-4])


@pytest.mark.parametrize("seconds", [0.2, 2.0, 9.0])
def test_an_excerpt_has_the_length_of_a_clip(seconds: float) -> None:
    for seed in range(6):
        assert excerpt(source("dog", 1, (), seconds), np.random.default_rng(seed)).shape == (SAMPLES,)


@pytest.mark.parametrize("degrade", [band_limit, clip, distance, encode, in_headset, record, reverberate])
def test_a_degraded_sound_keeps_its_length_and_is_finite(degrade) -> None:  # type: ignore[no-untyped-def]
    sound = tone(0.6) / 32768
    for seed in range(4):
        out = degrade(sound, np.random.default_rng(seed))
        assert out.shape == sound.shape
        assert np.isfinite(out).all()
        assert np.max(np.abs(out)) > 1e-5


def test_a_headset_attenuates_low_frequencies_by_control_and_high_ones_by_its_pads() -> None:
    click = np.zeros(RATE)
    click[RATE // 2] = 1.0
    gains = [np.abs(np.fft.rfft(in_headset(click, np.random.default_rng(k)))) for k in range(50)]
    level_db = 20 * np.log10(np.mean(gains, axis=0))
    assert level_db[20] > -1
    assert level_db[250] < -5
    assert level_db[6000] < -10
