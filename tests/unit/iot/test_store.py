"""Persistent storage of the headset."""

from pathlib import Path

import numpy as np
import pytest

from anc.schemas.path import MeasuredPath
from anc.schemas.shadow import FilterDocument, float16
from iot.store import FilterStore, PathStore


def document(seq: int) -> FilterDocument:
    return FilterDocument.of(float16(np.array([0.1 * seq, 0.5])), seq, 16_000)


def test_the_last_saved_filter_survives_a_restart(tmp_path: Path) -> None:
    before = FilterStore(tmp_path / "headset" / "filter.json", "certificate")
    assert before.read() is None
    before.save(document(1))
    before.save(document(2))
    assert FilterStore(tmp_path / "headset" / "filter.json", "certificate").read() == document(2)
    assert (tmp_path / "headset" / "filter.json").stat().st_mode & 0o077 == 0


def test_a_filter_of_another_registration_is_not_returned(tmp_path: Path) -> None:
    FilterStore(tmp_path / "filter.json", "old certificate").save(document(1))
    assert FilterStore(tmp_path / "filter.json", "new certificate").read() is None


@pytest.mark.parametrize("damage", [b"", b"{", b"\0" * 100, b'{"of": "certificate", "filter": {}}'])
def test_a_damaged_file_is_treated_as_missing(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "filter.json").write_bytes(damage)
    store = FilterStore(tmp_path / "filter.json", "certificate")
    assert store.read() is None
    store.save(document(1))
    assert FilterStore(tmp_path / "filter.json", "certificate").read() == document(1)


def test_a_measured_path_survives_a_restart_and_a_damaged_one_is_treated_as_missing(
    tmp_path: Path,
) -> None:
    path = tmp_path / "headset" / "path.json"
    assert PathStore(path).read() is None
    PathStore(path).save(MeasuredPath([0.0, 0.5], 16_000, "music", 20.0))
    PathStore(path).save(MeasuredPath([0.0, 0.4], 16_000, "probe", 21.0, seq=3))
    assert PathStore(path).read() == MeasuredPath([0.0, 0.4], 16_000, "probe", 21.0, seq=3)
    assert path.stat().st_mode & 0o077 == 0
    for damage in (b"", b"{", path.read_bytes()[:-5]):
        path.write_bytes(damage)
        assert PathStore(path).read() is None


def test_only_the_filter_with_the_given_id_is_deleted(tmp_path: Path) -> None:
    store = FilterStore(tmp_path / "filter.json", "certificate")
    store.save(document(1))
    store.delete(document(2).id)
    assert store.read() == document(1)
    store.delete(document(1).id)
    assert store.read() is None
