"""The decoder: bounded resources for any file, and the same samples in any block lengths."""

import io
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from anc.audio.formats import FORMATS, SUPPORTED, recognise
from anc.audio.reader import BLOCK, AudioReader, open_path, open_short
from anc.schemas.refusal import Refused
from tests.compressed import compressed, pink
from tests.sounds import RATE, encoded, floats, noise

ROOT = Path(__file__).parents[3]


def silence(path: Path, seconds: float, rate: int, channels: int) -> bytes:
    """Return a FLAC file of silence, a few kilobytes per hour."""
    second = np.zeros((rate, channels), np.int16)
    with soundfile.SoundFile(path, "w", rate, channels, "PCM_16", format="FLAC") as file:
        for _ in range(int(seconds)):
            file.write(second)
    return path.read_bytes()


@pytest.fixture
def peak(monkeypatch: pytest.MonkeyPatch):
    """Return a function that gives the peak Python memory since the test began."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()


def test_a_small_file_that_expands_to_an_hour_is_refused_in_bounded_memory(tmp_path: Path, peak) -> None:
    data = silence(tmp_path / "bomb.flac", 3600, 8_000, 1)
    open_short(encoded(noise(), "FLAC"))
    tracemalloc.reset_peak()
    held = tracemalloc.get_traced_memory()[0]
    with pytest.raises(Refused, match=r"must be at most 60 s long \(got 3,600 s\); upload it instead"):
        open_short(data)
    assert peak() - held < 3 * 4 * BLOCK + 2**20


def test_a_minute_of_eight_channels_is_decoded_in_bounded_memory(tmp_path: Path, peak) -> None:
    data = silence(tmp_path / "wide.flac", 59, 96_000, 8)
    tracemalloc.reset_peak()
    held = tracemalloc.get_traced_memory()[0]
    loudest = open_short(data).read_loudest()
    assert len(loudest) == 59 * 96_000
    assert peak() - held < 2 * loudest.nbytes + 3 * 4 * 8 * BLOCK + 2**20, "a channel, and a few blocks"


@pytest.mark.parametrize("frames", [1, 1000, BLOCK, 10**9])
def test_channels_are_the_same_in_parts_and_at_once(frames: int) -> None:
    data = encoded(noise(1.0, 3))
    whole = open_short(data).read_channels()
    reader = open_short(data)
    joined = np.concatenate([reader.read_channels(frames) for _ in range(min(5, -(-RATE // frames)))])
    assert np.array_equal(joined, whole[: len(joined)])
    assert whole == pytest.approx(soundfile.read(io.BytesIO(data))[0], abs=1e-6)


def test_channels_are_clipped() -> None:
    samples = np.array([[1.5, 1.5], [1.5, 0.1], [-3.0, -1.25], [0.0, 0.0]])
    assert open_short(floats(samples)).read_channels() == pytest.approx(np.clip(samples, -1, 1))
    assert open_short(floats(samples)).read(4) == pytest.approx(samples)


@pytest.mark.parametrize("format", ["WAV", "MP3"])
def test_the_loudest_channel_is_read_where_the_channels_cancel(format: str) -> None:
    quiet, loud = noise(1.0, 2).T * [[0.3], [1.0]]
    data = encoded(
        np.stack([quiet, loud, -0.9 * loud] if format == "WAV" else [quiet - loud, loud], axis=1), format
    )
    reader = open_short(data)
    expected = reader.read_channels()[:, 1 if format == "WAV" else 0]
    assert np.array_equal(open_short(data).read_loudest(), expected)


def test_a_full_scale_square_wave_is_not_mistaken_for_integers() -> None:
    square = np.sign(noise())
    assert np.array_equal(open_short(floats(square)).read(len(square)), square)


def test_reading_continues_after_a_seek() -> None:
    with open_short(encoded(noise())) as reader:
        whole = reader.read(reader.frames)
        assert len(reader.read(1)) == 0
        reader.seek(9_000)
        assert np.array_equal(reader.read(10**6), whole[9_000:])


def test_a_storage_error_is_not_reported_as_a_damaged_file() -> None:
    class Lost(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 100_000:
                raise ConnectionError("the store is gone")
            return super().read(size)

    with AudioReader(Lost(encoded(noise(10.0)))) as reader, pytest.raises(ConnectionError):
        reader.read(10 * RATE)


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_header_with_a_negative_offset_is_refused_and_prints_nothing() -> None:
    with pytest.raises(Refused, match="the header is damaged"):
        open_short(encoded(noise(), "AIFF").replace(b"SSND", b"SSSS", 1))


def test_only_errors_of_the_file_get_its_path(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(encoded(noise()))
    with pytest.raises(Refused, match=r"^out\.doc: cannot be written$"), open_path(path):
        raise Refused("bad_field", "out.doc: cannot be written")
    with pytest.raises(Refused, match=r"a\.wav: 1 channel"), open_path(path):
        raise Refused("bad_field", "file: 1 channel")
    with pytest.raises(Refused, match=f"^{tmp_path}: not a regular file"), open_path(tmp_path):
        pass
    with pytest.raises(Refused, match=r"none\.wav: does not exist$"), open_path(tmp_path / "none.wav"):
        pass


STARTS = {
    "WAV": [
        b"RIFF\0\0\0\0WAVE",
        b"RIFX\0\0\0\0WAVE",
        b"RF64\xff\xff\xff\xffWAVE",
        b"BW64\xff\xff\xff\xffWAVE",
    ],
    "FLAC": [b"fLaC"],
    "Ogg (Vorbis, Opus, FLAC, Speex)": [b"OggS"],
    "MP3": [b"\xff\xfb\x90", b"\xff\xf3\x40", b"\xff\xe3\x18"],
    "MP4 (M4A)": [b"\0\0\0\x1cftypM4A "],
    "WebM": [b"\x1aE\xdf\xa3"],
    "AAC": [b"\xff\xf1\x50", b"\xff\xf9\x50"],
    "AMR": [b"#!AMR\n", b"#!AMR-WB\n"],
    "AIFF": [b"FORM\0\0\0\0AIFF", b"FORM\0\0\0\0AIFC"],
    "CAF": [b"caff"],
    "": [b"RIFF\0\0\0\0AVI ", b"\xff\xfeh\0i\0", b"hello"],
}


@pytest.mark.parametrize("name", STARTS)
def test_a_format_is_recognised_by_its_magic_bytes(name: str) -> None:
    assert {each.name for each in FORMATS} | {""} == STARTS.keys()
    for start in STARTS[name]:
        form = recognise(start)
        assert (form.name if form else "") == name


def test_the_documentation_names_all_formats() -> None:
    assert SUPPORTED in (ROOT / "docs/api.md").read_text(encoding="utf-8")


def test_what_is_missing_is_the_same_before_and_after_reading() -> None:
    data = compressed(pink(1.0, 48_000), 48_000, "webm", "libopus", {"live": "1"})
    with AudioReader(io.BytesIO(data[: len(data) * 6 // 10])) as reader:
        assert reader.frames
        measured = reader.note
        reader.read_channels()
        assert measured == reader.note
        assert "only 0.594 s" in measured


def test_a_length_that_is_known_is_not_the_one_that_the_header_claims() -> None:
    data = encoded(noise(1.0))
    with AudioReader(io.BytesIO(data[: len(data) // 2])) as reader:
        assert reader.announced_s == pytest.approx(0.5, abs=0.01)
