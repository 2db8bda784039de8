"""Sound files that are small until they are decoded."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from anc.services.sounds import MOST_SAMPLES, decode

from anc.wire.refusal import Refused


def silence(path: Path, hours: float, rate: int, channels: int) -> bytes:
    """Return a flac file of silence: hours of it are a few kilobytes."""
    second = np.zeros((rate, channels), np.int16)
    with soundfile.SoundFile(path, "w", rate, channels, "PCM_16", format="FLAC") as file:
        for _ in range(int(hours * 3600)):
            file.write(second)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("hours", "rate", "channels", "reason"),
    [(1.0, 8_000, 1, "longer than 60 s"), (0.015, 192_000, 8, "more than 12,000,000 samples")],
)
def test_a_small_file_that_expands_to_gigabytes_is_refused_in_bounded_memory(
    tmp_path: Path, hours: float, rate: int, channels: int, reason: str
) -> None:
    data = silence(tmp_path / "bomb.flac", hours, rate, channels)
    assert len(data) < hours * 3600 * rate * channels * 2 / 50
    tracemalloc.start()
    try:
        with pytest.raises(Refused, match=reason):
            decode(data, 60.0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * MOST_SAMPLES + len(data) + 2**20, "the samples once, and little else"


def test_the_longest_file_that_is_taken_is_held_once(tmp_path: Path) -> None:
    data = silence(tmp_path / "long.flac", 59 / 3600, 96_000, 2)
    tracemalloc.start()
    try:
        sound = decode(data, 60.0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(sound.samples) == 59 * 96_000
    assert peak < 1.1 * sound.samples.nbytes + 2**20
