"""One sound file of every kind that the platform reads, in two channels where the format has them."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tests.compressed import compressed, pink, vbr_mp3
from tests.sounds import RATE, encoded, wav

RATE_48, RATE_8 = 48_000, 8_000
FRAGMENTED = {"movflags": "frag_keyframe+empty_moov"}
WITHOUT_HEADER = {"write_xing": "0", "id3v2_version": "0"}
SPEEX = Path(__file__).parent / "data" / "tone.spx"  # a second of 440 Hz; no library here encodes Speex


class Kind(NamedTuple):
    """A kind of file.

    Attributes
    ----------
    format : str
        Its format in `anc.audio.formats`.
    name : str
    make : callable
        Returns a file of about so many seconds.
    """

    format: str
    name: str
    make: Callable[[float], bytes]


def chunk(name: bytes, data: bytes, padded: bool = True) -> bytes:
    """Return a RIFF chunk, with or without the pad byte of an odd size."""
    return name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2 * padded)


def pcm(seconds: float, channels: int = 2) -> bytes:
    """Return 16-bit samples of noise."""
    return (32_768 * pink(seconds, RATE, channels)).astype("<i2").tobytes()


def with_sizes_of_64_bits(name: bytes, seconds: float) -> bytes:
    """Return an RF64 or BW64 file."""
    data = pcm(seconds)
    fmt = wav(b"", 2)[12:36]
    ds64 = chunk(b"ds64", struct.pack("<QQQI", 0, len(data), 0, 0))
    return name + b"\xff" * 4 + b"WAVE" + ds64 + fmt + b"data" + b"\xff" * 4 + data


def big_endian(seconds: float) -> bytes:
    """Return a RIFX file."""
    data = np.frombuffer(pcm(seconds), "<i2").astype(">i2").tobytes()
    fmt = struct.pack(">IHHIIHH", 16, 1, 2, RATE, 4 * RATE, 4, 16)
    chunks = b"WAVEfmt " + fmt + b"data" + struct.pack(">I", len(data)) + data
    return b"RIFX" + struct.pack(">I", len(chunks)) + chunks


def with_unpadded_chunk(seconds: float) -> bytes:
    """Return a WAV file with a chunk of an odd size that no pad byte follows."""
    plain = wav(pcm(seconds), 2)
    return plain[:36] + chunk(b"PAD ", bytes(7), padded=False) + plain[36:]


def of_unknown_length(data: bytes) -> bytes:
    """Return a FLAC file as a pipe writes it, without its number of samples."""
    return data[:21] + bytes([data[21] & 0xF0]) + bytes(4) + data[26:]


def of_unknown_size(data: bytes) -> bytes:
    """Return a CAF file as a stream is written, with samples of size -1."""
    at = data.index(b"data") + 4
    return data[:at] + b"\xff" * 8 + data[at + 8 :]


def amr_wideband(seconds: float) -> bytes:
    """Return a mono AMR-WB file of 20-ms frames of random bits, since no library here encodes AMR-WB.

    Every bit pattern of a frame is valid speech at 23.85 kbit/s.
    """
    rng = np.random.default_rng(3)
    return b"#!AMR-WB\n" + b"".join(b"\x44" + rng.bytes(60) for _ in range(round(50 * seconds)))


def _soundfile(format: str, subtype: str, rate: int = RATE, channels: int = 2) -> Callable[[float], bytes]:
    return lambda seconds: encoded(pink(seconds, rate, channels), format, subtype, rate)


def _ffmpeg(
    container: str,
    codec: str,
    muxing: dict[str, str] | None = None,
    rate: int = RATE_48,
    channels: int = 2,
    bit_rate: int = 128_000,
) -> Callable[[float], bytes]:
    return lambda seconds: compressed(
        pink(seconds, rate, channels), rate, container, codec, muxing, bit_rate=bit_rate
    )


def _chained(seconds: float) -> bytes:
    parts = (
        compressed(pink(seconds / 2, RATE_48), RATE_48, "ogg", "libopus", {"serial_offset": serial})
        for serial in "12"
    )
    return b"".join(parts)


def _vorbis(seconds: float) -> bytes:
    """Return an Ogg Vorbis file; libsndfile gives its stream a random number."""
    return with_ogg_checksums(_soundfile("OGG", "VORBIS")(seconds), b"anc\0")


def with_ogg_checksums(data: bytes, serial: bytes | None = None) -> bytes:
    """Return an Ogg file with the checksums of its pages corrected, and optionally another stream number."""
    pages, at = [], 0
    while len(data) > at + 27:
        size = 27 + data[at + 26] + sum(data[at + 27 : at + 27 + data[at + 26]])
        page = data[at : at + 14] + (serial or data[at + 14 : at + 18]) + data[at + 18 : at + 22]
        rest = data[at + 26 : at + size]
        checksum = _ogg_checksum(page + bytes(4) + rest).to_bytes(4, "little")
        pages.append(page + checksum + rest)
        at += size
    return b"".join(pages) + data[at:]


def _ogg_checksum(page: bytes) -> int:
    crc = 0
    for byte in page:
        crc = (crc << 8 & 0xFFFFFFFF) ^ _OGG_TABLE[crc >> 24 ^ byte]
    return crc


def _ogg_entry(crc: int) -> int:
    for _ in range(8):
        crc = crc << 1 ^ (0x104C11DB7 if crc >> 31 else 0)
    return crc


_OGG_TABLE = [_ogg_entry(byte << 24) for byte in range(256)]


KINDS = (
    Kind("WAV", "8 bits", _soundfile("WAV", "PCM_U8")),
    Kind("WAV", "16 bits", _soundfile("WAV", "PCM_16")),
    Kind("WAV", "24 bits, extensible", _soundfile("WAVEX", "PCM_24")),
    Kind("WAV", "32 bits", _soundfile("WAV", "PCM_32")),
    Kind("WAV", "floating point", _ffmpeg("wav", "pcm_f32le")),
    Kind("WAV", "double precision", _ffmpeg("wav", "pcm_f64le")),
    Kind("WAV", "A-law", _soundfile("WAV", "ALAW")),
    Kind("WAV", "mu-law", _soundfile("WAV", "ULAW")),
    Kind("WAV", "MS ADPCM", _soundfile("WAV", "MS_ADPCM")),
    Kind("WAV", "IMA ADPCM", _soundfile("WAV", "IMA_ADPCM")),
    Kind("WAV", "GSM, mono", _soundfile("WAV", "GSM610", RATE_8, 1)),
    Kind("WAV", "MP3 in WAV", _ffmpeg("wav", "mp3")),
    Kind("WAV", "RF64", lambda seconds: with_sizes_of_64_bits(b"RF64", seconds)),
    Kind("WAV", "BW64", lambda seconds: with_sizes_of_64_bits(b"BW64", seconds)),
    Kind("WAV", "RIFX", big_endian),
    Kind("WAV", "`data` of size 0, after a crash", lambda seconds: wav(pcm(seconds), 2, data_size=0)),
    Kind(
        "WAV",
        "`data` of size 0xFFFFFFFF, from a pipe",
        lambda seconds: wav(pcm(seconds), 2, data_size=2**32 - 1),
    ),
    Kind("WAV", "a chunk without pad byte", with_unpadded_chunk),
    Kind("FLAC", "FLAC", _ffmpeg("flac", "flac", rate=RATE)),
    Kind(
        "FLAC",
        "unknown length, from a pipe",
        lambda seconds: of_unknown_length(_ffmpeg("flac", "flac", rate=RATE)(seconds)),
    ),
    Kind("Ogg", "Vorbis", _vorbis),
    Kind("Ogg", "Opus, as Firefox records", _ffmpeg("ogg", "libopus")),
    Kind("Ogg", "FLAC", _ffmpeg("ogg", "flac")),
    Kind("Ogg", "Speex, mono", lambda seconds: SPEEX.read_bytes()),
    Kind("Ogg", "two chained Opus streams", _chained),
    Kind("MP3", "constant bit rate, with header", _ffmpeg("mp3", "libmp3lame")),
    Kind("MP3", "constant bit rate, no header", _ffmpeg("mp3", "libmp3lame", WITHOUT_HEADER)),
    Kind(
        "MP3",
        "variable bit rate, with header",
        lambda seconds: vbr_mp3(pink(seconds, RATE_48), RATE_48, True),
    ),
    Kind("MP3", "variable bit rate, no header", lambda seconds: vbr_mp3(pink(seconds, RATE_48), RATE_48)),
    Kind("MP4 (M4A)", "M4A with AAC, of a phone", _ffmpeg("ipod", "aac")),
    Kind("MP4 (M4A)", "M4A with Apple Lossless", _ffmpeg("ipod", "alac")),
    Kind("MP4 (M4A)", "fragmented, as Safari records", _ffmpeg("mp4", "aac", FRAGMENTED)),
    Kind("MP4 (M4A)", "3GP with AMR, mono", _ffmpeg("3gp", "libopencore_amrnb", None, RATE_8, 1, 12_200)),
    Kind("WebM", "Opus", _ffmpeg("webm", "libopus")),
    Kind("WebM", "live, as Chrome records", _ffmpeg("webm", "libopus", {"live": "1"})),
    Kind("AAC", "ADTS", _ffmpeg("adts", "aac")),
    Kind("AMR", "narrowband, mono", _ffmpeg("amr", "libopencore_amrnb", None, RATE_8, 1, 12_200)),
    Kind("AMR", "wideband, mono", amr_wideband),
    Kind("AIFF", "16 bits", _soundfile("AIFF", "PCM_16")),
    Kind("AIFF", "AIFC, floating point", _ffmpeg("aiff", "pcm_f32be")),
    Kind("CAF", "16 bits", _soundfile("CAF", "PCM_16")),
    Kind("CAF", "Apple Lossless", _soundfile("CAF", "ALAC_16")),
    Kind(
        "CAF", "size -1, from a stream", lambda seconds: of_unknown_size(_soundfile("CAF", "PCM_16")(seconds))
    ),
)
