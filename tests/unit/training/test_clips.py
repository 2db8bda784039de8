"""Training clips: what is mixed, what each window is labelled, and which folds a clip belongs to."""

import numpy as np
import pytest

from anc.noise.classifier import KINDS
from anc.noise.features import BANDS
from training.clips.compose import COLUMNS, SAMPLES, WINDOWS, Composer, excerpt, kind_targets
from training.clips.degradation import band_limit, clip, distance, encode, record, reverberate
from training.clips.sources import Source, to_pcm
from training.synthesis import RATE

ROOM = [np.array([1.0, 0.0, 0.5])]


def tone(seconds: float, hertz: float = 700.0) -> np.ndarray:
    return to_pcm(np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE))


def source(name: str, fold: int, kinds: tuple[str, ...] | None = (), seconds: float = 4.0) -> Source:
    return Source(tone(seconds, 300.0 + 100 * fold), name, name, kinds, False, fold)


SIREN, CABIN = source("wail", 0, ("siren",)), source("cabin", 0)
SOURCES = [SIREN, CABIN, *(source(name, fold) for name in ("dog", "rain") for fold in (1, 2))]
CLASSES = ["cabin", "dog", "rain", "wail"]


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer(SOURCES, CLASSES, ROOM, None)


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

    watched = Watched(SOURCES, CLASSES, ROOM, None)
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
    composer = Composer([SIREN, CABIN, source("alarm_clock", 1, None)], [*CLASSES, "alarm_clock"], ROOM, None)
    clips = [composer.compose(0, number) for number in range(12)]
    undecided = [c for c in clips if 4 in c.noise]
    assert undecided
    assert not any((c.kinds == 0).any() for c in undecided)


@pytest.mark.parametrize("seconds", [0.2, 2.0, 9.0])
def test_an_excerpt_has_the_length_of_a_clip(seconds: float) -> None:
    for seed in range(6):
        assert excerpt(source("dog", 1, (), seconds), np.random.default_rng(seed)).shape == (SAMPLES,)


@pytest.mark.parametrize("degrade", [band_limit, clip, distance, encode, record, reverberate])
def test_a_degraded_sound_keeps_its_length_and_is_finite(degrade) -> None:  # type: ignore[no-untyped-def]
    sound = tone(0.6) / 32768
    for seed in range(4):
        out = degrade(sound, np.random.default_rng(seed))
        assert out.shape == sound.shape
        assert np.isfinite(out).all()
        assert np.max(np.abs(out)) > 1e-5
