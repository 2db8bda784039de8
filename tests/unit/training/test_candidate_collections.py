"""What the candidate is trained on: many collections, their classes, synthetic sounds, the threshold."""

from pathlib import Path

import numpy as np
import pytest

from training.candidate.__main__ import main
from training.candidate.classes import KIND_OF, UNDECIDED, kind_of, label_of, noise_class
from training.candidate.collections import Collected, assign_folds, read_recordings, trains
from training.candidate.sources import MAKERS
from training.candidate.thresholds import LOWEST, MAX_CRIES, MAX_OTHERS, peak, threshold_of
from training.everyday import EVERYDAY
from training.synthesis import ALARMS, HORNS, RATE, SIRENS

MANY = (
    "path,source,original,class,licence,author,url_or_package,seconds,use\n"
    "tones/a.ogg,tones,first,phone_ring,CC0 1.0,Ann,deb:tones,3,train\n"
    "cries/b.ogg,cries,second,baby_cry,ODbL,Bob,github:a/b,3,measure\n"
)


def test_folders_with_tables_are_read_together_and_what_may_only_be_measured_is_marked(
    tmp_path: Path,
) -> None:
    (tmp_path / "many").mkdir()
    (tmp_path / "many" / "clips.csv").write_text(MANY)
    (tmp_path / "esc" / "meta").mkdir(parents=True)
    (tmp_path / "esc" / "meta" / "esc50.csv").write_text(
        "filename,fold,target,category,esc10,src_file,take\n1-100032-A-0.wav,1,0,dog,True,100032,A\n"
    )
    dog, tone, cry = read_recordings(tmp_path)
    assert (dog.name, dog.collection) == ("dog", "esc10")
    assert (tone.name, tone.collection, tone.source) == ("phone_ring", "tones", "tones/first")
    assert trains(dog)
    assert trains(tone)
    assert not trains(cry)
    assert cry.path == tmp_path / "many" / "cries" / "b.ogg"


def test_a_collection_of_many_is_in_one_fold() -> None:
    clips = [
        Collected(Path(f"{collection}{i}"), "dog", f"{collection}/{i}", None, collection)
        for collection, size in (("large", 9), ("middle", 4), ("small", 3))
        for i in range(size)
    ]
    folds = assign_folds(clips, folds=2)
    assert {c.collection: int(f) for c, f in zip(clips, folds, strict=True)} == {
        "large": 1,
        "middle": 2,
        "small": 2,
    }
    assert np.bincount(folds).tolist() == [0, 9, 7]


def test_one_folder_per_class_is_read_as_by_todays_program(tmp_path: Path) -> None:
    (tmp_path / "Rain").mkdir()
    (tmp_path / "Rain" / "a.wav").touch()
    assert [(r.name, r.collection) for r in read_recordings(tmp_path)] == [("rain", "folders")]


def test_every_other_name_of_a_class_leads_to_a_class_and_none_to_two_kinds() -> None:
    assert kind_of("horn_truck") == "horn"
    assert kind_of("siren_police") == "siren"
    assert kind_of("music_brass") is None
    assert label_of("engine_bus") == "road"
    assert not {noise_class(name) for name in UNDECIDED} & set(KIND_OF)


OLD = {**SIRENS, **HORNS, **ALARMS, **EVERYDAY}
NEW = [name for name, (maker, _, _) in MAKERS.items() if OLD.get(name) is not maker]


@pytest.mark.parametrize("name", NEW)
def test_a_synthetic_sound_has_its_length_is_finite_and_reproducible(name: str) -> None:
    maker = MAKERS[name][0]
    first, again, other = (maker(RATE, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.shape == (RATE,)
    assert np.isfinite(first).all()
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_threshold_keeps_the_shares_of_cries_and_of_other_sounds_that_may_fire() -> None:
    rng = np.random.default_rng(0)
    cries, others = rng.beta(2, 5, 400).tolist(), rng.beta(1, 8, 2000).tolist()
    threshold = threshold_of(cries, others)
    assert np.mean(np.array(cries) >= threshold) == pytest.approx(MAX_CRIES, abs=0.003)
    assert np.mean(np.array(others) >= threshold) <= MAX_OTHERS
    assert threshold_of([], [0.0] * 50) == LOWEST


def test_a_recording_fires_where_two_of_three_windows_do() -> None:
    assert peak(np.array([[0.1, 0, 0], [0.9, 0, 0], [0.2, 0.5, 0], [0, 0.6, 0]])) == 0.5


def test_the_help_says_what_the_program_trains(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    assert "the candidate that may replace the shipped model" in capsys.readouterr().out
