"""What outlives the headset's power."""

from pathlib import Path

import numpy as np
import pytest

from anc.schemas.path import MeasuredPath
from anc.schemas.shadow import FilterDocument, float16
from iot.store import FilterStore, PathStore


def document(seq: int) -> FilterDocument:
    return FilterDocument.of(float16(np.array([0.1 * seq, 0.5])), seq, 16_000)


def test_the_last_filter_that_was_good_is_there_after_a_power_cycle(tmp_path: Path) -> None:
    before = FilterStore(tmp_path / "of-mine" / "filter.json", "certificate")
    assert before.read() is None
    before.keep(document(1))
    before.keep(document(2))
    assert FilterStore(tmp_path / "of-mine" / "filter.json", "certificate").read() == document(2)
    assert (tmp_path / "of-mine" / "filter.json").stat().st_mode & 0o077 == 0


def test_a_filter_of_another_registration_is_not_played(tmp_path: Path) -> None:
    FilterStore(tmp_path / "filter.json", "old certificate").keep(document(1))
    assert FilterStore(tmp_path / "filter.json", "new certificate").read() is None


@pytest.mark.parametrize("damage", [b"", b"{", b"\0" * 100, b'{"of": "certificate", "filter": {}}'])
def test_a_damaged_file_is_as_none(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "filter.json").write_bytes(damage)
    kept = FilterStore(tmp_path / "filter.json", "certificate")
    assert kept.read() is None
    kept.keep(document(1))
    assert FilterStore(tmp_path / "filter.json", "certificate").read() == document(1)


def test_a_path_that_was_measured_is_there_after_a_power_cycle_and_a_damaged_one_is_as_none(
    tmp_path: Path,
) -> None:
    path = tmp_path / "of-mine" / "path.json"
    assert PathStore(path).read() is None
    PathStore(path).keep(MeasuredPath([0.0, 0.5], 16_000, "music", 20.0))
    PathStore(path).keep(MeasuredPath([0.0, 0.4], 16_000, "probe", 21.0, seq=3))
    assert PathStore(path).read() == MeasuredPath([0.0, 0.4], 16_000, "probe", 21.0, seq=3)
    assert path.stat().st_mode & 0o077 == 0
    for damage in (b"", b"{", path.read_bytes()[:-5]):
        path.write_bytes(damage)
        assert PathStore(path).read() is None


def test_a_filter_that_turned_out_bad_is_forgotten_and_another_is_not(tmp_path: Path) -> None:
    kept = FilterStore(tmp_path / "filter.json", "certificate")
    kept.keep(document(1))
    kept.drop(document(2).id)
    assert kept.read() == document(1)
    kept.drop(document(1).id)
    assert kept.read() is None
