"""Recognise a sound file and open the decoder for it: libsndfile for what is not compressed, else FFmpeg."""

from typing import BinaryIO

from anc.audio.byte_source import ByteSource
from anc.audio.caf import parse_caf
from anc.audio.decoder import Damaged, Decoder
from anc.audio.ffmpeg import FFmpegDecoder
from anc.audio.formats import AIFF, MP3, SUPPORTED, WAV, WITHOUT_FFMPEG, Format, describe_other, recognise
from anc.audio.libsndfile import LibsndfileDecoder
from anc.audio.mpeg import SEARCH_BYTES, find_mp3, id3_end
from anc.audio.wav import MP3_TAG, UNKNOWN_SIZE, parse_wav
from anc.schemas.refusal import Refused, refuse

START_BYTES = 128
EMPTY = f"file: empty (0 bytes); supported are {SUPPORTED}"
NOT_SOUND = f"file: not a sound file in a supported format; supported are {SUPPORTED}"
UNREADABLE = (
    "file: the header is damaged or incomplete, or the encoding is not supported; save it again, for example "
    "as 16-bit WAV"
)


def open_decoder(file: BinaryIO) -> tuple[ByteSource, Decoder]:
    """Return the bytes that the decoder reads, and the decoder.

    Raises
    ------
    Refused
        `bad_field` if the file is not in one of `anc.audio.formats.FORMATS` or cannot be decoded.
    """
    format, begin = identify(file)
    try:
        if format is WAV:
            return _open_wav(file, begin)
        source, present = ByteSource(file, begin), 1.0
        if not format.libsndfile:
            return source, _ffmpeg(source, format)
        if format is AIFF:
            present = _present(source)
        elif caf := parse_caf(file, begin):
            source, present = ByteSource(file, caf.begin, caf.size, caf.header), caf.present
        try:
            return source, LibsndfileDecoder(source, present)
        except Damaged:
            return source, _ffmpeg(source, format, present < 1)
    except Damaged as fault:
        raise Refused("bad_field", str(fault) or UNREADABLE) from fault


def identify(file: BinaryIO) -> tuple[Format, int]:
    """Return the format of a file and where it begins. Raises Refused, `bad_field`."""
    begin = id3_end(file)
    file.seek(begin)
    start = file.read(START_BYTES)
    if format := recognise(start):
        return format, begin
    if not start and not begin:
        refuse("bad_field", EMPTY)
    if other := describe_other(start):
        refuse("bad_field", f"file: {other}")
    file.seek(begin)
    first = find_mp3(file.read(SEARCH_BYTES))
    if first is None:
        refuse("bad_field", NOT_SOUND)
    return MP3, begin + first


def _open_wav(file: BinaryIO, begin: int) -> tuple[ByteSource, Decoder]:
    wav = parse_wav(file, begin)
    if wav is None:
        raise Damaged
    if wav.tag == MP3_TAG:
        source = ByteSource(file, wav.begin, wav.size)
        return source, _ffmpeg(source, MP3, wav.is_cut)
    source = ByteSource(file, wav.begin, wav.size, wav.header)
    try:
        return source, LibsndfileDecoder(source, wav.size / wav.claimed if wav.claimed else 1.0)
    except Damaged:
        return source, _ffmpeg(source, WAV, wav.is_cut)


def _present(source: ByteSource) -> float:
    """Return the share of an AIFF file that is there, according to its size field."""
    source.seek(4)
    claimed = int.from_bytes(source.read(4), "big") + 8
    source.seek(0)
    return source.size / claimed if source.size < claimed < UNKNOWN_SIZE else 1.0


def _ffmpeg(source: ByteSource, format: Format, is_cut: bool = False) -> FFmpegDecoder:
    try:
        return FFmpegDecoder(source, format, is_cut)
    except ImportError as fault:
        limit = f"file: {format.name} cannot be read here, only {WITHOUT_FFMPEG}"
        raise Refused("bad_field", f"{limit}; send one of these, or upload it instead") from fault
