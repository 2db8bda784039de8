"""Files of phones, browsers and recorders: the samples are those that were encoded, and none is left out."""

import base64
import builtins
import contextlib
import gzip
import io
import re
import struct
from typing import Any

import av
import numpy as np
import pytest

from anc.audio.ffmpeg import _floats
from anc.audio.reader import AudioReader, open_short
from anc.schemas.refusal import Refused
from tests.compressed import compressed, pink, snr_db, vbr_mp3
from tests.sounds import RATE, encoded, flac_of, noise, wav

RATE_48 = 48_000
FRAGMENTED = {"movflags": "frag_keyframe+empty_moov"}
# Container, codec, options of the muxer, signal-to-noise ratio that the codec keeps at 128 kbit/s.
KINDS: dict[str, tuple[str, str, dict[str, str], float]] = {
    "MP3": ("mp3", "libmp3lame", {}, 20.0),
    "MP3 without a header": ("mp3", "libmp3lame", {"write_xing": "0", "id3v2_version": "0"}, 20.0),
    "MP3 in WAV": ("wav", "mp3", {}, 20.0),
    "M4A, AAC": ("ipod", "aac", {}, 22.0),
    "M4A, Apple Lossless": ("ipod", "alac", {}, 90.0),
    "MP4 in fragments, of Safari": ("mp4", "aac", FRAGMENTED, 22.0),
    "AAC without a container": ("adts", "aac", {}, 22.0),
    "WebM, Opus": ("webm", "libopus", {}, 12.0),
    "WebM, live, of Chrome": ("webm", "libopus", {"live": "1"}, 12.0),
    "Ogg, Opus, of Firefox": ("ogg", "libopus", {}, 12.0),
    "Ogg, FLAC": ("ogg", "flac", {}, 75.0),
    "FLAC": ("flac", "flac", {}, 75.0),
    "WAV, A-law": ("wav", "pcm_alaw", {}, 30.0),
    "WAV, mu-law": ("wav", "pcm_mulaw", {}, 30.0),
    "WAV, MS ADPCM": ("wav", "adpcm_ms", {}, 35.0),
    "WAV, IMA ADPCM": ("wav", "adpcm_ima_wav", {}, 35.0),
}
# Their end does not need an index that is written last.
CUT = sorted(KINDS.keys() - {"M4A, AAC", "M4A, Apple Lossless"})
PADDING = 1152 + 576  # samples that an encoder may add


def made(kind: str, samples: np.ndarray) -> bytes:
    container, codec, muxing, _ = KINDS[kind]
    return compressed(samples, RATE_48, container, codec, muxing)


def decoded(data: bytes) -> tuple[np.ndarray, AudioReader]:
    reader = AudioReader(io.BytesIO(data))
    parts = []
    while not reader.ended:
        parts.append(reader.read(10_000))
    return np.concatenate(parts), reader


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    return pink(1.5, RATE_48)


@pytest.mark.parametrize("kind", KINDS)
def test_the_samples_are_those_that_were_encoded(kind: str, sound: np.ndarray) -> None:
    samples, reader = decoded(made(kind, sound))
    assert (reader.rate, reader.channels, reader.note) == (RATE_48, 2, "")
    assert 0 <= len(samples) - len(sound) <= PADDING
    assert snr_db(samples, sound) > KINDS[kind][3]


@pytest.mark.parametrize("kind", KINDS)
def test_reading_continues_after_a_seek_with_the_same_samples(kind: str, sound: np.ndarray) -> None:
    data = made(kind, sound)
    whole, reader = decoded(data)
    for frame in (40_000, 10_001):
        reader.seek(frame)
        assert np.array_equal(reader.read(10_000), whole[frame : frame + 10_000])
    assert AudioReader(io.BytesIO(data)).frames == len(whole)


@pytest.mark.parametrize("kind", CUT)
def test_a_file_that_breaks_off_is_read_so_far_and_says_so(kind: str, sound: np.ndarray) -> None:
    sound = np.tile(sound, (3, 1))
    data = made(kind, sound)
    samples, reader = decoded(data[: len(data) * 6 // 10])
    assert 0.3 * len(sound) < len(samples) < 0.65 * len(sound)
    assert reader.truncated
    said = re.search(r"breaks off: only ([\d.]+) s", reader.note)
    assert said
    assert float(said[1]) == pytest.approx(len(samples) / RATE_48, abs=1e-3)


def test_amr_of_a_phone_is_read() -> None:
    rate = 8000
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(2 * rate) / rate)[:, None]
    samples, reader = decoded(compressed(tone, rate, "amr", "libopencore_amrnb", bit_rate=12_200))
    assert (reader.rate, reader.channels, reader.note) == (rate, 1, "")
    assert len(samples) == pytest.approx(len(tone), abs=320)
    spectrum = np.abs(np.fft.rfft(samples[rate:, 0] * np.hanning(len(samples) - rate)))
    assert np.argmax(spectrum) * rate / (len(samples) - rate) == pytest.approx(440, abs=2)


@pytest.mark.parametrize("xing", [False, True])
def test_a_vbr_mp3_that_begins_quietly_is_read_to_its_end(xing: bool) -> None:
    sound = pink(12.0, RATE_48, 1)
    sound[: 9 * RATE_48] *= 1e-4
    samples, reader = decoded(vbr_mp3(sound, RATE_48, xing))
    assert abs(len(samples) - len(sound)) <= PADDING
    assert np.sqrt(np.mean(samples[-2 * RATE_48 :] ** 2)) == pytest.approx(0.1, rel=0.1)
    assert not reader.truncated


def test_an_mp3_with_tags_and_without_its_beginning_is_read(sound: np.ndarray) -> None:
    data = made("MP3 without a header", sound)
    id3 = b"ID3\x03\0\0" + bytes([0, 1, 0, 0]) + bytes(1 << 14)
    for odd in (id3 + data, data[100:], bytes(1500) + data, data + b"TAG" + bytes(125)):
        samples, reader = decoded(odd)
        assert len(sound) - 2 * 1152 < len(samples) <= len(sound) + PADDING
        assert not reader.truncated


@pytest.mark.parametrize("codec", ["libopus", "flac"])
def test_all_parts_of_a_chained_ogg_are_read(codec: str, sound: np.ndarray) -> None:
    one, other = (
        compressed(half, RATE_48, "ogg", codec, {"serial_offset": serial})
        for serial, half in (("1", sound), ("2", sound[::-1]))
    )
    samples, reader = decoded(one + other)
    assert len(samples) == pytest.approx(2 * len(sound), abs=2)
    assert not reader.truncated


def test_all_parts_of_a_chained_vorbis_file_are_read() -> None:
    samples, reader = decoded(encoded(noise(2.0), "OGG", "VORBIS") + encoded(noise(3.0), "OGG", "VORBIS"))
    assert len(samples) == pytest.approx(5 * RATE, abs=512)  # the first block of a part may overlap
    assert not reader.truncated


def test_an_mp4_file_without_its_index_is_refused_with_the_reason(sound: np.ndarray) -> None:
    data = made("M4A, AAC", sound)
    with pytest.raises(Refused, match=r"the index of the MP4 file \(moov\) is missing"):
        open_short(data[: len(data) // 2])


def test_the_length_of_a_flac_file_is_what_it_holds() -> None:
    whole = encoded(noise(), "FLAC")
    expected = decoded(whole)[0]
    samples, reader = decoded(flac_of(0))
    assert np.array_equal(samples, expected)
    assert not reader.truncated
    samples, reader = decoded(flac_of(400 * 3600 * RATE))
    assert np.array_equal(samples, expected)
    assert reader.note.startswith("The file is damaged or breaks off: only 0.6 s of 1,440,000 s")


@pytest.mark.parametrize("size", [0, 0xFFFF_FFFF, 0x7FFF_F000, 0x8000_0000])
@pytest.mark.parametrize("riff_size", [0, 36, 0xFFFF_FFFF])
def test_a_wav_file_without_a_valid_size_is_read_to_its_end(size: int, riff_size: int) -> None:
    pcm = (32_768 * noise()).astype("<i2").tobytes()
    data = bytearray(wav(pcm, 2, data_size=size))
    data[4:8] = struct.pack("<I", riff_size)
    samples, reader = decoded(bytes(data))
    assert np.array_equal(samples, np.frombuffer(pcm, "<i2").reshape(-1, 2) / np.float32(32_768))
    assert not reader.truncated


def test_a_wav_file_that_is_shorter_than_its_header_says_is_truncated() -> None:
    data = wav((32_768 * noise(2.0)).astype("<i2").tobytes(), 2)
    samples, reader = decoded(data[: 44 + 4 * RATE + 3])
    assert len(samples) == RATE
    assert reader.note.startswith("The file is damaged or breaks off: only 1 s of 2 s could be decoded.")


def chunk(name: bytes, data: bytes, padded: bool = True) -> bytes:
    return name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2 * padded)


def odd_wavs() -> dict[str, bytes]:
    plain = wav((32_768 * noise()).astype("<i2").tobytes(), 2)
    fmt, data = plain[12:36], plain[36:]
    ds64 = chunk(b"ds64", struct.pack("<QQQI", 0, len(data) - 8, 0, 0))
    long = data[:4] + b"\xff" * 4 + data[8:]
    tail = chunk(b"LIST", b"INFOISFT" + struct.pack("<I", 3) + b"abc", padded=False)
    big = np.frombuffer(data[8:], "<i2").astype(">i2").tobytes()
    return {
        "BW64": b"BW64" + b"\xff" * 4 + b"WAVE" + ds64 + fmt + long,
        "RF64": b"RF64" + b"\xff" * 4 + b"WAVE" + ds64 + fmt + long,
        "RIFX": b"RIFX\0\0\0\0WAVE"
        + b"fmt "
        + struct.pack(">IHHIIHH", 16, 1, 2, RATE, 4 * RATE, 4, 16)
        + b"data"
        + struct.pack(">I", len(big))
        + big,
        "a chunk without pad byte": plain[:12] + fmt + chunk(b"PAD ", bytes(7), padded=False) + data,
        "a chunk with pad byte": plain[:12] + fmt + chunk(b"bext", bytes(603)) + data,
        "a chunk after the samples": plain + tail,
        "an ID3 tag before": b"ID3\x03\0\0\0\0\0\x0a" + bytes(10) + plain,
        "no block size": plain[:28] + bytes(6) + plain[34:],
    }


@pytest.mark.parametrize("kind", odd_wavs())
def test_wav_files_of_every_layout_have_the_same_samples(kind: str) -> None:
    samples, reader = decoded(odd_wavs()[kind])
    assert samples == pytest.approx(noise(), abs=2 / 32_768)
    assert not reader.truncated


@pytest.mark.parametrize(
    ("data", "advice"),
    [
        (gzip.compress(encoded(noise())), "file: compressed with gzip; decompress it"),
        (base64.b64encode(encoded(noise())), "file: base64 text; decode it"),
        (b"data:audio/wav;base64," + base64.b64encode(encoded(noise())), "file: base64 text; decode it"),
        (b"PK\x03\x04" + bytes(100), "file: a zip archive; unpack it"),
        (b"--x1\r\nContent-Disposition: form-data\r\n\r\nRIFF", "file: a multipart form; send the bytes"),
    ],
)
def test_a_wrapped_sound_file_is_refused_with_what_it_is(data: bytes, advice: str) -> None:
    with pytest.raises(Refused) as refusal:
        open_short(data)
    assert refusal.value.message.startswith(advice)


def test_without_ffmpeg_a_refusal_names_the_formats_that_are_read(
    sound: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, real = made("M4A, AAC", sound), builtins.__import__

    def absent(name: str, *rest: Any) -> Any:
        if name == "av":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(
        Refused, match=r"MP4 \(M4A\) cannot be read here, only WAV, AIFF, CAF; .* or upload it instead"
    ):
        open_short(data)
    assert open_short(encoded(noise())).frames == len(noise())


def test_sample_tables_that_would_fill_the_memory_are_refused(sound: np.ndarray) -> None:
    data = bytearray(made("M4A, AAC", sound))
    at = data.index(b"stsz") + 8
    data[at : at + 8] = struct.pack(">II", 1, 2**31 - 1)
    with pytest.raises(Refused, match="the header is damaged"):
        open_short(bytes(data))


def test_files_of_eight_channels_are_read_and_of_more_refused() -> None:
    sound = pink(0.5, RATE_48, 8)
    samples, reader = decoded(compressed(sound, RATE_48, "ipod", "aac", bit_rate=1_000_000))
    assert (reader.channels, reader.note) == (8, "")
    assert snr_db(samples, sound) > 15
    frame = av.AudioFrame(format="fltp", layout="hexadecagonal", samples=100)
    assert _floats(frame).shape == (1, 16)


def test_sound_that_the_demuxer_discards_is_said(sound: np.ndarray) -> None:
    one = compressed(sound[: RATE_48 // 2], RATE_48, "ogg", "libopus")
    samples, reader = decoded(one + one)  # two streams with one number, in this order not allowed
    assert len(samples) < 0.6 * RATE_48
    assert reader.note.startswith("The file is damaged or breaks off: only 0.514 s could be decoded.")


def test_an_mp3_file_of_a_low_rate_with_padding_is_complete() -> None:
    sound = pink(0.5, 8_000, 1)
    samples, reader = decoded(compressed(sound, 8_000, "mp3", "libmp3lame", bit_rate=16_000))
    assert (len(samples), reader.note) == (len(sound), "")


@pytest.mark.parametrize(("size", "whole"), [(-1, True), (0, True), (10**6, False)])
def test_a_caf_file_with_a_wrong_size_is_read_to_its_end(size: int, whole: bool) -> None:
    data = encoded(noise(), "CAF")
    at = data.index(b"data") + 4
    samples, reader = decoded(data[:at] + struct.pack(">q", size) + data[at + 8 :])
    assert samples == pytest.approx(noise(), abs=2 / 32_768)
    assert reader.truncated is not whole


def test_damaged_sample_tables_are_refused_or_read(sound: np.ndarray) -> None:
    data = bytearray(made("M4A, AAC", sound))
    at = data.index(b"stts") - 4
    data[at : at + 4] = (9).to_bytes(4, "big")  # ends within its own header
    with contextlib.suppress(Refused):
        open_short(bytes(data))


def test_a_wav_header_with_absurd_numbers_is_refused() -> None:
    data = bytearray(wav(bytes(1000), 2))
    data[22:36] = b"\xff" * 10 + bytes(2) + b"\xff" * 2  # channels, rates, no block size, bits
    with pytest.raises(Refused):
        open_short(bytes(data))


def test_a_caf_file_of_apple_lossless_that_breaks_off_has_the_length_of_what_is_there() -> None:
    data = encoded(noise(1.2), "CAF", "ALAC_16")
    reader = AudioReader(io.BytesIO(data[: len(data) * 6 // 10]))
    assert reader.frames == 2 * 4096  # two packets
    assert reader.note.startswith("The file is damaged or breaks off: only 0.512 s could be decoded.")
    assert reader.read_channels() == pytest.approx(noise(1.2)[: 2 * 4096], abs=2 / 32_768)


@pytest.mark.parametrize("size", [0, 2**32 - 1])
def test_the_note_has_no_length_that_equals_what_was_read(size: int) -> None:
    data = wav((32_768 * noise()).astype("<i2").tobytes(), 2, data_size=size)
    _, reader = decoded(data[:-2])  # within a frame
    assert re.search("only [0-9.]+ s could be decoded", reader.note)


def test_an_ogg_file_of_one_page_that_breaks_off_is_refused_with_the_reason() -> None:
    data = compressed(pink(0.5, RATE_48), RATE_48, "ogg", "libopus")
    with pytest.raises(Refused, match="file: breaks off before any sound"):
        open_short(data[: len(data) * 6 // 10])
