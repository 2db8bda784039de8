"""The benchmark of a live block: its parts are measured, and do not exceed the whole."""

import pytest

from benchmarks.block import COMMIT, PARTS, measure, table
from benchmarks.live import LARGE


def test_every_part_of_a_block_is_measured() -> None:
    found = measure(LARGE, 20)
    parts = {name: ms for name, ms in found.items() if name != "total"}
    assert set(parts) == {*PARTS, COMMIT}
    assert all(ms > 0 for ms in parts.values())
    assert sum(parts.values()) <= 1.1 * found["total"]


def test_the_table_has_the_largest_part_first_and_what_is_left() -> None:
    text = table({LARGE: {"total": 4.0, "hearing": 1.0, "JSON and base64: answer": 0.5, "commit": 2.0}})
    rows = [line.split("  ")[0] for line in text.splitlines()[2:]]
    assert rows[1:] == ["whole block", "commit", "hearing", "JSON and base64", "everything else"]
    assert text.splitlines()[-1].split() == pytest.approx(["everything", "else", "0.500", "ms", "12%"])
