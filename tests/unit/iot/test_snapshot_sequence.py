"""Sequence numbers of snapshots."""

from pathlib import Path

import pytest

from iot.snapshot_sequence import SnapshotSequence


def test_numbers_continue_after_a_restart(tmp_path: Path):
    sequence = SnapshotSequence(tmp_path / "headset" / "sequence")
    assert [sequence.next(), sequence.next()] == [1, 2]
    assert SnapshotSequence(tmp_path / "headset" / "sequence").next() == 3


def test_numbers_continue_after_the_number_in_the_shadow(tmp_path: Path):
    sequence = SnapshotSequence(tmp_path / "sequence")
    sequence.advance_to(40)
    sequence.advance_to(7)
    assert sequence.next() == 41
    assert SnapshotSequence(tmp_path / "sequence").next() == 42


@pytest.mark.parametrize("content", ["", "x", "\0\0", "-3", "9" * 12, "9" * 5000])
def test_a_damaged_file_restarts_the_count(tmp_path: Path, content: str):
    (tmp_path / "sequence").write_text(content)
    assert SnapshotSequence(tmp_path / "sequence").next() == 1
