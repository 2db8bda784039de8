"""Decode compressed sound files with FFmpeg, from a file object: no network, no other files, one thread."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from anc.audio.byte_source import ByteSource
from anc.audio.decoder import MAX_CHANNELS, Damaged
from anc.audio.formats import FLAC, MP3, Format
from anc.audio.mp4 import check_mp4
from anc.audio.mpeg import SEARCH_BYTES, TAIL_BYTES, announced_mp3, ends_within_frame
from anc.audio.webm import is_cut_after

if TYPE_CHECKING:
    import av

CODECS = (
    "aac,aac_latm,alac,mp1float,mp1,mp2float,mp2,mp3float,mp3,opus,vorbis,flac,speex,amrnb,amrwb,gsm,gsm_ms,"
    "pcm_u8,pcm_s8,pcm_s16le,pcm_s16be,pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be,pcm_f32le,pcm_f32be,pcm_f64le,"
    "pcm_f64be,pcm_alaw,pcm_mulaw,adpcm_ms,adpcm_ima_wav,adpcm_ima_qt,adpcm_yamaha,adpcm_g726,adpcm_g722"
)
OPTIONS = {
    "codec_whitelist": CODECS,
    "protocol_whitelist": "none",  # the file object needs none
    "max_streams": "16",
    "probesize": "1000000",
    "analyzeduration": "5000000",
    "use_mfra_for": "0",
}
CUT_EARLY = "file: breaks off before any sound that can be decoded; record or send it again"
MAX_FRAME_SAMPLES = 1 << 20
MAX_IDLE_PACKETS = 20_000  # without a sample
MAX_SKIPPED_PACKETS = 4  # an encoder's padding; more are sound that the demuxer discarded
SLACK_S = 0.1  # encoders pad the start and the end
MAX_OGG_PAGE = 65_307
TYPES = {"u8": "u1", "s16": "i2", "s32": "i4", "s64": "i8", "flt": "f4", "dbl": "f8"}  # of samples


class FFmpegDecoder:
    """Decode the first audio stream of a file.

    Only decoding shows how long a compressed file is. `seek` decodes again from the start, since only then
    are the samples the same bit for bit.

    Parameters
    ----------
    source : ByteSource
    format : Format
    is_cut : bool
        Whether the end of the file is known to be missing.

    Raises
    ------
    ImportError
        If PyAV is not installed.
    Damaged
        If FFmpeg finds no sound that it can decode.
    """

    def __init__(self, source: ByteSource, format: Format, is_cut: bool = False) -> None:
        import av  # noqa: PLC0415  loads 50 MB of libraries; most files do not need it

        self._av = av
        self._source, self._format = source, format
        self.frames: int | None = None
        self.broken = False
        self._cut = is_cut or _is_cut(source, format)
        self._last = (0, 0)  # offset and size of the last packet
        self._header_samples = _announced(source, format)
        self._container: Any = None
        self._blocks: Iterator[np.ndarray] = iter(())
        self._open()

    def read(self, frames: int) -> np.ndarray:
        """Decode up to `frames` more samples per channel, (n, channels) float32; fewer only at the end."""
        blocks, missing = [], frames
        while missing and (block := self._next()) is not None:
            blocks.append(block[:missing])
            self._rest = block[missing:]
            missing -= len(blocks[-1])
        self._at += frames - missing
        if missing:
            slack = 0 if self._format.demuxer == "flac" else SLACK_S * self.rate
            if self._format.demuxer == "matroska":
                self._cut |= is_cut_after(self._source, *self._last)
            self.broken |= self._cut or self._at < self.announced - slack
        return np.concatenate(blocks) if blocks else np.zeros((0, self.channels), np.float32)

    def seek(self, frame: int) -> None:
        """Continue at a frame."""
        if frame < self._at:
            self._open()
        while self._at < frame and len(self.read(min(1 << 16, frame - self._at))):
            pass

    def close(self) -> None:
        """Free the decoder."""
        if self._container is not None:
            self._container.close()
            self._container = None

    def _open(self) -> None:
        self.close()
        self._source.seek(0)
        self._at = 0
        self._has_samples = False
        try:
            self._container = self._av.open(
                self._source, "r", format=self._format.demuxer, options=OPTIONS, metadata_errors="ignore"
            )
            stream = next((each for each in self._container.streams.audio if _is_known(each)), None)
        except (self._av.FFmpegError, ValueError, OSError) as fault:
            self._source.raise_fault()
            raise self._unreadable() from fault
        if stream is None:
            raise self._unreadable()
        self._blocks = self._decoded(stream)
        self._rest = np.zeros((0, 1), np.float32)
        self.rate = self.channels = 0
        first = self._next()
        if first is None:
            self._source.raise_fault()
            raise self._unreadable()
        self._rest = first
        self.announced = self._announced(stream)

    def _unreadable(self) -> Damaged:
        return Damaged(CUT_EARLY if self._cut else "")

    def _next(self) -> np.ndarray | None:
        if len(self._rest):
            rest, self._rest = self._rest, self._rest[:0]
            return rest
        block: np.ndarray | None = next(self._blocks, None)
        self._source.raise_fault()
        return block

    def _decoded(self, stream: "av.AudioStream") -> Iterator[np.ndarray]:
        context = stream.codec_context
        context.thread_type, context.thread_count = "NONE", 1
        context.options = {"max_samples": str(MAX_FRAME_SAMPLES)}
        if self._format.demuxer == "flac":
            context.options = {**context.options, "err_detect": "crccheck+explode"}
        packets, idle = self._container.demux(stream), 0
        while idle < MAX_IDLE_PACKETS:
            try:
                packet = next(packets)
                idle += 1
                self.broken |= packet.is_corrupt
                self._last = (packet.pos, packet.size) if packet.pos else self._last
                frames = packet.decode()
            except (StopIteration, self._av.EOFError):
                self._check_skipped(idle)
                return
            except (self._av.FFmpegError, ValueError, IndexError):  # PyAV's for a stream that begins later
                self.broken |= self.rate > 0  # a stream may start within a frame
                continue  # after an error of the demuxer, `packets` has ended
            for frame in frames:
                if self.rate and (frame.sample_rate, frame.layout.nb_channels) != (self.rate, self.channels):
                    self.broken = True
                    return
                self.rate, self.channels = frame.sample_rate, frame.layout.nb_channels
                if frame.samples:
                    self._check_skipped(idle)
                    idle, self._has_samples = 0, True
                    yield _floats(frame)
        self.broken = True

    def _check_skipped(self, packets: int) -> None:
        self.broken |= self._has_samples and packets > MAX_SKIPPED_PACKETS

    def _announced(self, stream: "av.AudioStream") -> int:
        """Return the length that the file announces, 0 if FFmpeg would only estimate it."""
        demuxer = self._format.demuxer
        if demuxer == "matroska" and not self._container.streams.video and self._container.duration:
            return int(self._container.duration * 1e-6 * self.rate)
        if demuxer in ("mov", "ogg") and stream.duration and stream.time_base:
            return int(stream.duration * stream.time_base * self.rate)
        return self._header_samples


def _is_known(stream: "av.AudioStream") -> bool:
    context = stream.codec_context
    return context is not None and context.name in CODECS.split(",")


def _floats(frame: "av.AudioFrame") -> np.ndarray:
    """Return the samples of a frame, (n, channels) float32.

    Of a frame with too many channels, which `AudioReader` refuses, one sample of silence.
    """
    channels = frame.layout.nb_channels
    if channels > MAX_CHANNELS:
        return np.zeros((1, channels), np.float32)
    kind = np.dtype(TYPES[frame.format.name.removesuffix("p")])
    # `frame.planes` and `frame.to_ndarray` read up to a null pointer, which does not follow eight planes.
    if frame.format.is_planar:
        samples = np.stack([_plane(frame, i, kind, frame.samples) for i in range(channels)], axis=1)
    else:
        samples = _plane(frame, 0, kind, frame.samples * channels).reshape(-1, channels)
    if kind.kind == "f":
        return samples.astype(np.float32)
    scaled: np.ndarray = samples.astype(np.float64) - (128 if kind.kind == "u" else 0)
    return (scaled * 0.5 ** (8 * kind.itemsize - 1)).astype(np.float32)


def _plane(frame: "av.AudioFrame", index: int, kind: np.dtype, count: int) -> np.ndarray:
    from av.audio.plane import AudioPlane  # noqa: PLC0415  as `av`

    return np.frombuffer(cast(memoryview, AudioPlane(frame, index)), kind, count)


def _announced(source: ByteSource, format: Format) -> int:
    """Return the number of samples that a FLAC or Xing header announces, 0 without one."""
    if format is MP3:
        return _xing(source)[0]
    source.seek(18)
    return int.from_bytes(source.read(8), "big") & (1 << 36) - 1 if format is FLAC else 0


def _is_cut(source: ByteSource, format: Format) -> bool:
    """Return whether the end of a file is missing, as far as its structure shows."""
    if format is MP3:
        announced = _xing(source)[1]
        source.seek(max(0, source.size - TAIL_BYTES))
        return source.size < announced or ends_within_frame(source.read())
    if format.demuxer == "mov":
        return check_mp4(source)
    if format.demuxer == "ogg":
        begin = max(0, source.size - 2 * MAX_OGG_PAGE)
        source.seek(begin)
        tail = source.read()
        page = tail[max(0, tail.rfind(b"OggS")) :]
        return len(page) < 27 or len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]])
    return False


def _xing(source: ByteSource) -> tuple[int, int]:
    source.seek(0)
    return announced_mp3(source.read(SEARCH_BYTES))
