"""Sound file formats that the platform reads, and names for other contents that it is often sent."""

import re
from typing import NamedTuple


class Format(NamedTuple):
    """A sound file format.

    Attributes
    ----------
    name : str
    media_types : tuple of str
        The first is the preferred one.
    suffixes : tuple of str
    magic : re.Pattern
        Matches the first `MAGIC_BYTES` of a file, after an ID3 tag if there is one.
    libsndfile : tuple of str
        Names of the format in libsndfile, which reads it first; empty if FFmpeg always does.
    demuxer : str
        Name of FFmpeg's demuxer.
    """

    name: str
    media_types: tuple[str, ...]
    suffixes: tuple[str, ...]
    magic: re.Pattern[bytes]
    libsndfile: tuple[str, ...]
    demuxer: str


MAGIC_BYTES = 12
WAV = Format(
    "WAV",
    ("audio/wav", "audio/x-wav", "audio/vnd.wave"),
    (".wav", ".wave"),
    re.compile(rb"(RIFF|RIFX|RF64|BW64)....WAVE", re.DOTALL),
    ("WAV", "WAVEX", "RF64"),
    "wav",
)
FLAC = Format("FLAC", ("audio/flac", "audio/x-flac"), (".flac",), re.compile(b"fLaC"), (), "flac")
OGG = Format(
    "Ogg (Vorbis, Opus, FLAC, Speex)",
    ("audio/ogg",),
    (".ogg", ".oga", ".opus", ".spx"),
    re.compile(b"OggS"),
    (),
    "ogg",
)
AAC = Format("AAC", ("audio/aac",), (".aac",), re.compile(rb"\xff[\xf0\xf1\xf8\xf9]"), (), "aac")
MP3 = Format(
    "MP3",
    ("audio/mpeg", "audio/mp3"),
    (".mp3",),
    re.compile(rb"\xff[\xe2-\xe5\xf2-\xf5\xfa-\xfd]"),
    (),
    "mp3",
)
MP4 = Format(
    "MP4 (M4A)",
    ("audio/mp4", "audio/x-m4a", "video/mp4", "video/quicktime", "video/3gpp"),
    (".m4a", ".mp4", ".mov", ".3gp"),
    re.compile(rb"....(ftyp|styp|moov|mdat|free|wide)", re.DOTALL),
    (),
    "mov",
)
WEBM = Format(
    "WebM", ("audio/webm", "video/webm"), (".webm", ".mka"), re.compile(rb"\x1aE\xdf\xa3"), (), "matroska"
)
AMR = Format(
    "AMR", ("audio/amr", "audio/amr-wb"), (".amr", ".awb"), re.compile(rb"#!AMR(\n|-WB\n)"), (), "amr"
)
AIFF = Format(
    "AIFF",
    ("audio/aiff", "audio/x-aiff"),
    (".aiff", ".aif", ".aifc"),
    re.compile(rb"FORM....AIF[FC]", re.DOTALL),
    ("AIFF",),
    "aiff",
)
CAF = Format("CAF", ("audio/x-caf",), (".caf",), re.compile(b"caff"), ("CAF",), "caf")
FORMATS = (WAV, FLAC, OGG, MP3, MP4, WEBM, AAC, AMR, AIFF, CAF)
SUPPORTED = ", ".join(each.name for each in FORMATS)
SUFFIXES = frozenset(suffix for each in FORMATS for suffix in each.suffixes)
LIBSNDFILE = frozenset(name for each in FORMATS for name in each.libsndfile)
WITHOUT_FFMPEG = ", ".join(each.name for each in FORMATS if each.libsndfile)

_BASE64 = re.compile(rb"\s*(data:[\w/+.;=-]*base64,|[A-Za-z0-9+/\r\n_-]{40})")
_OTHERS = (
    (re.compile(rb"\x1f\x8b"), "compressed with gzip; decompress it and send the sound file itself"),
    (re.compile(rb"PK\x03\x04"), "a zip archive; unpack it and send the sound file itself"),
    (
        re.compile(rb"BZh[1-9]1AY|\xfd7zXZ\0|\x28\xb5\x2f\xfd"),
        "compressed; decompress it and send the sound file itself",
    ),
    (
        re.compile(rb"--[^\r\n]{1,80}\r?\ncontent-", re.IGNORECASE),
        "a multipart form; send the bytes of the file as the body",
    ),
    (_BASE64, "base64 text; decode it and send the bytes of the file"),
)


def recognise(start: bytes) -> Format | None:
    """Return the format of a file from its first `MAGIC_BYTES`, or None.

    >>> recognise(b"FORM\\x00\\x01\\x02\\x03AIFF").name
    'AIFF'
    >>> recognise(b"RIFF\\x00\\x01\\x02\\x03AVI ") is None
    True
    """
    return next((each for each in FORMATS if each.magic.match(start)), None)


def describe_other(start: bytes) -> str:
    """Return what a file is that is not a sound file, and what to do, from its first bytes; "" if unknown.

    >>> describe_other(bytes.fromhex("1f8b0800"))
    'compressed with gzip; decompress it and send the sound file itself'
    """
    return next((text for pattern, text in _OTHERS if pattern.match(start)), "")
