"""Collections of recordings in common layouts."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from training.recordings import Recording, assign_folds, load_sound, read_recordings, snake_case
from training.taxonomy import KIND_OF, LABEL_OF, UNDECIDED, kind_of, label_of, noise_class


def write_sound(path: Path, channels: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full((800, channels), 0.25), 8000)


def test_esc50_is_read_with_class_fold_and_source(tmp_path: Path) -> None:
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta" / "esc50.csv").write_text(
        "filename,fold,target,category,esc10,src_file,take\n"
        "1-100032-A-0.wav,1,0,dog,True,100032,A\n"
        "2-1-B-42.wav,2,42,siren,False,1,B\n"
    )
    dog, siren = read_recordings(tmp_path)
    assert (dog.name, dog.fold, dog.source, dog.collection) == ("dog", 1, "100032", "esc10")
    assert (siren.name, siren.collection) == ("siren", "esc50")
    assert siren.path == tmp_path / "audio" / "2-1-B-42.wav"


def test_urbansound8k_is_read_with_class_fold_and_source(tmp_path: Path) -> None:
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "UrbanSound8K.csv").write_text(
        "slice_file_name,fsID,start,end,salience,fold,classID,class\n100032-3-0-0.wav,100032,0,1,1,5,3,dog_bark\n"
    )
    [bark] = read_recordings(tmp_path)
    assert bark.path == tmp_path / "audio" / "fold5" / "100032-3-0-0.wav"
    assert (bark.name, bark.fold, bark.source) == ("dog_bark", 5, "100032")
    assert label_of(bark.name) == "animal"


def test_a_table_with_licences_keeps_the_credits(tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_text(
        "path,dataset,fold,esc10_class,esc50_class,source_id,licence,author,title,source_url\n"
        "esc10/1-7-A.ogg,esc10,1,Baby cry,Crying baby,7,CC-BY,Ann,cry.wav,http://example.org/7\n"
    )
    [cry] = read_recordings(tmp_path)
    assert cry.name == "crying_baby"
    assert cry.credit == ("Ann", "cry.wav", "CC-BY", "http://example.org/7")


def test_one_folder_per_class_is_read(tmp_path: Path) -> None:
    write_sound(tmp_path / "Vacuum cleaner" / "mine.wav", channels=2)
    (tmp_path / "Vacuum cleaner" / "notes.txt").write_text("no sound")
    [recording] = read_recordings(tmp_path)
    assert recording.name == "vacuum_cleaner"
    samples, rate = load_sound(recording.path)
    assert (samples.shape, rate) == ((800,), 8000)
    assert samples == pytest.approx(0.25, abs=1e-3)


MANY = (
    "path,source,original,class,licence,author,url_or_package,seconds,use\n"
    "tones/a.ogg,tones,first,phone_ring,CC0 1.0,Ann,deb:tones,3,train\n"
    "cries/b.ogg,cries,second,baby_cry,ODbL,Bob,github:a/b,3,measure\n"
)
ESC50 = "filename,fold,target,category,esc10,src_file,take\n1-100032-A-0.wav,1,0,dog,True,100032,A\n"


def test_folders_with_tables_are_read_together_and_what_may_only_be_measured_is_marked(
    tmp_path: Path,
) -> None:
    (tmp_path / "many").mkdir()
    (tmp_path / "many" / "clips.csv").write_text(MANY)
    (tmp_path / "esc" / "meta").mkdir(parents=True)
    (tmp_path / "esc" / "meta" / "esc50.csv").write_text(ESC50)
    dog, tone, cry = read_recordings(tmp_path)
    assert (dog.name, dog.collection) == ("dog", "esc10")
    assert (tone.name, tone.collection, tone.source) == ("phone_ring", "tones", "tones/first")
    assert [r.trains for r in (dog, tone, cry)] == [True, True, False]
    assert cry.path == tmp_path / "many" / "cries" / "b.ogg"
    assert read_recordings(tmp_path / "esc", tmp_path / "many", tmp_path / "esc") == [dog, tone, cry]


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        (MANY.replace(",measure", ",sell"), r"row 2: use must be one of train, measure \(got 'sell'\)"),
        (MANY.replace(",baby_cry", ",?!"), r"row 2: class must have a letter or a digit"),
        (MANY.replace(",3,train", ""), r"row 1: must have 9 columns"),
        (MANY.replace(",class,", ",kind,"), r"column class is missing"),
    ],
)
def test_an_invalid_row_of_a_table_is_refused(tmp_path: Path, table: str, fault: str) -> None:
    (tmp_path / "clips.csv").write_text(table)
    with pytest.raises(ValueError, match=r"clips\.csv.*" + fault):
        read_recordings(tmp_path)


@pytest.mark.parametrize("fold", ["0", "one", ""])
def test_an_invalid_fold_is_refused(tmp_path: Path, fold: str) -> None:
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta" / "esc50.csv").write_text(ESC50.replace("wav,1,", f"wav,{fold},"))
    with pytest.raises(ValueError, match=f"fold must be a number from 1 .got '{fold}'"):
        read_recordings(tmp_path)


def test_a_collection_of_many_is_in_one_fold() -> None:
    clips = [
        Recording(Path(f"{collection}{i}"), "dog", f"{collection}/{i}", None, collection, whole=True)
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


def test_every_other_name_of_a_class_leads_to_a_class_and_none_to_two_kinds() -> None:
    assert kind_of("horn_truck") == "horn"
    assert kind_of("siren_police") == "siren"
    assert kind_of("music_brass") is None
    assert label_of("engine_bus") == "road"
    assert not {noise_class(name) for name in UNDECIDED} & set(KIND_OF)
    assert {"horn_car_street", "reversing_beeper_street", "siren_distant_street"} <= UNDECIDED  # weak labels


@pytest.mark.parametrize("folder", ["empty", "missing"])
def test_a_folder_without_recordings_is_refused(tmp_path: Path, folder: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"clips\.csv.*one folder per class"):
        read_recordings(tmp_path / folder)


def test_names_become_snake_case() -> None:
    assert snake_case("Door - wood creaks") == "door_wood_creaks"
    assert snake_case("Insects (flying)") == "insects_flying"


recordings = st.lists(
    st.builds(
        Recording,
        path=st.uuids().map(lambda u: Path(str(u))),
        name=st.sampled_from(["dog", "rain", "siren"]),
        source=st.integers(0, 12).map(str),
        fold=st.just(None),
        collection=st.just("esc50"),
    ),
    min_size=1,
    max_size=40,
)


@given(recordings)
@settings(max_examples=50, deadline=None)
def test_clips_of_one_source_are_in_the_same_fold(clips: list[Recording]) -> None:
    folds = assign_folds(clips)
    assert set(folds) <= {1, 2, 3, 4, 5}
    for source in {clip.source for clip in clips}:
        assert len({f for f, clip in zip(folds, clips, strict=True) if clip.source == source}) == 1


def test_esc10_folds_are_kept_for_all_clips_of_a_source() -> None:
    clips = [
        Recording(Path("a"), "dog", "7", 5, "esc10"),
        Recording(Path("b"), "wind", "7", 4, "esc50"),
    ]
    assert assign_folds(clips).tolist() == [5, 5]


def test_every_known_class_has_a_label_and_others_are_other() -> None:
    assert label_of("helicopter") == "aircraft"
    assert label_of("didgeridoo_repair") == "other"
    assert label_of("rail") == "rail"
    assert len(LABEL_OF) > 50


SOUNDS = os.environ.get("ANC_SOUNDS", "")


@pytest.mark.skipif(not SOUNDS, reason="ANC_SOUNDS names no folder of recordings")
def test_the_local_collection_is_split_without_leakage() -> None:
    clips = read_recordings(Path(SOUNDS))
    folds = assign_folds(clips)
    sides: dict[str, set[int]] = {}
    for clip, fold in zip(clips, folds, strict=True):
        sides.setdefault(clip.source, set()).add(int(fold))
    assert all(len(several) == 1 for several in sides.values())
    assert [c.fold for c in clips if c.collection == "esc10"] == [
        f for c, f in zip(clips, folds, strict=True) if c.collection == "esc10"
    ]
