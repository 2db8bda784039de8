"""Sound file formats that the platform reads."""

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
        Matches the first `MAGIC_BYTES` of a file. An ID3 tag may precede formats other than MP3.
    libsndfile : tuple of str
        Names of the format in libsndfile.
    """

    name: str
    media_types: tuple[str, ...]
    suffixes: tuple[str, ...]
    magic: re.Pattern[bytes]
    libsndfile: tuple[str, ...]


MAGIC_BYTES = 12
FORMATS = (
    Format(
        "WAV",
        ("audio/wav", "audio/x-wav", "audio/vnd.wave"),
        (".wav", ".wave"),
        re.compile(rb"(RIFF|RIFX|RF64)....WAVE", re.DOTALL),
        ("WAV", "WAVEX", "RF64"),
    ),
    Format("FLAC", ("audio/flac", "audio/x-flac"), (".flac",), re.compile(b"fLaC"), ("FLAC",)),
    Format("Ogg (Vorbis, Opus)", ("audio/ogg",), (".ogg", ".oga", ".opus"), re.compile(b"OggS"), ("OGG",)),
    Format("MP3", ("audio/mpeg", "audio/mp3"), (".mp3",), re.compile(rb"ID3|\xff[\xe0-\xff]"), ("MP3",)),
    Format(
        "AIFF",
        ("audio/aiff", "audio/x-aiff"),
        (".aiff", ".aif", ".aifc"),
        re.compile(rb"FORM....AIF[FC]", re.DOTALL),
        ("AIFF",),
    ),
    Format("CAF", ("audio/x-caf",), (".caf",), re.compile(b"caff"), ("CAF",)),
)
SUPPORTED = ", ".join(each.name for each in FORMATS)
SUFFIXES = frozenset(suffix for each in FORMATS for suffix in each.suffixes)
LIBSNDFILE = frozenset(name for each in FORMATS for name in each.libsndfile)


def recognise(start: bytes) -> Format | None:
    """Return the format of a file from its first `MAGIC_BYTES`, or None.

    >>> recognise(b"FORM\\x00\\x01\\x02\\x03AIFF").name
    'AIFF'
    >>> recognise(b"RIFF\\x00\\x01\\x02\\x03AVI ") is None
    True
    """
    return next((each for each in FORMATS if each.magic.match(start)), None)
