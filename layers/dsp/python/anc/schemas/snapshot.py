"""The snapshot: one moment of a headset's noise, as a headset publishes it over MQTT.

A fixed little-endian header of 32 bytes, then the payload:

    offset  size  field
    0       4     magic `ANC1`
    4       1     version, 1
    5       1     kind: 1 PCM, 2 statistics
    6       2     channels u16 (PCM: 2, the reference x and the error microphone e; statistics: 0)
    8       4     sequence u32, one higher with every snapshot of this headset
    12      4     rate u32 in Hz, at which the control filter runs
    16      4     sample count u32 per channel (statistics: how many samples they sum up)
    20      8     id of the control filter in use during all of these samples; zeros: none was playing
    28      4     gain f32 at which it was playing, 0..1 (the intensity); 0 beside a filter id: the
                  second channel is d, the noise without control as the headset knows it

Kind 1 is followed by int16 PCM, channels interleaved; kind 2 by a u32 length, that many bytes of sufficient
statistics, and the log-mel summary.
"""

import struct
from dataclasses import dataclass
from typing import Self

import numpy as np

from anc.pcm import MAX_INT16, bytes_to_int16, int16_to_bytes
from anc.sample_rates import MAX_HEADSET_RATE, MIN_RATE
from anc.schemas.refusal import refuse

HEADER = struct.Struct("<4sBBHIII8sf")
MAGIC = b"ANC1"
VERSION = 1
PCM, STATISTICS = 1, 2
MQTT_PAYLOAD_LIMIT = 128 * 1024
MAX_CLIPPED_SHARE = 0.01  # a filter designed on more would cancel the clipping
NO_FILTER = ""
NO_FILTER_BYTES = bytes(8)


@dataclass(frozen=True)
class Snapshot:
    """A parsed snapshot.

    Attributes
    ----------
    seq, rate, samples : int
    filter_id : str
        16 hexadecimal digits, or "" when no control filter was playing.
    gain : float
        At which the filter was playing.
    pcm : (samples, 2) int16 ndarray or None
        Columns are x, the reference microphone, and e, the error microphone. None in privacy mode.
    statistics, summary : bytes
        Privacy mode: sufficient statistics of `anc.dsp` and the log-mel summary of `anc.noise`.
    """

    seq: int
    rate: int
    samples: int
    filter_id: str
    gain: float = 1.0
    pcm: np.ndarray | None = None
    statistics: bytes = b""
    summary: bytes = b""

    def encode(self) -> bytes:
        """Return the MQTT payload. Raises Refused when it would not fit into one."""
        header = HEADER.pack(
            MAGIC,
            VERSION,
            STATISTICS if self.pcm is None else PCM,
            0 if self.pcm is None else 2,
            self.seq,
            self.rate,
            self.samples,
            bytes.fromhex(self.filter_id) if self.filter_id else NO_FILTER_BYTES,
            self.gain,
        )
        if self.pcm is None:
            body = struct.pack("<I", len(self.statistics)) + self.statistics + self.summary
        else:
            body = int16_to_bytes(self.pcm)
        _check_size(len(header) + len(body))
        return header + body

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a payload. Raises Refused, naming the field and the limit."""
        _check_size(len(data))
        if len(data) < HEADER.size:
            refuse("truncated", f"header: {len(data)} bytes, {HEADER.size} needed")
        magic, version, kind, channels, seq, rate, samples, filter_id, gain = HEADER.unpack_from(data)
        if magic != MAGIC:
            refuse("bad_field", "magic: not `ANC1`; this is no snapshot")
        if version != VERSION:
            refuse("bad_field", f"version: {version}, this platform reads {VERSION}")
        if not MIN_RATE <= rate <= MAX_HEADSET_RATE:
            refuse("bad_field", f"rate: {rate} Hz, allowed are {MIN_RATE} to {MAX_HEADSET_RATE}")
        if not 0.0 <= gain <= 1.0:  # false for NaN too
            refuse("bad_field", f"gain: {gain}, allowed are 0 to 1")
        named = NO_FILTER if filter_id == NO_FILTER_BYTES else filter_id.hex()
        body = data[HEADER.size :]
        if kind == PCM:
            pcm = _pcm(body, samples, channels)
            return cls(seq, rate, samples, named, gain, pcm=pcm)
        if kind == STATISTICS:
            statistics, summary = _statistics(body)
            return cls(seq, rate, samples, named, gain, statistics=statistics, summary=summary)
        refuse("bad_field", f"kind: {kind}, known are 1 (PCM) and 2 (statistics)")


def check_clipping(pcm: np.ndarray) -> None:
    """Refuse sound, int16, that no filter should be designed on: Refused `clipped`."""
    clipped = np.mean(np.abs(pcm.astype(np.int32)) >= MAX_INT16)
    if clipped > MAX_CLIPPED_SHARE:
        refuse(
            "clipped",
            f"pcm: {clipped:.1%} of the samples are clipped, at most {MAX_CLIPPED_SHARE:.0%} may be",
        )


def _check_size(size: int) -> None:
    if size > MQTT_PAYLOAD_LIMIT:
        refuse("too_large", f"snapshot: {size:,} bytes, at most {MQTT_PAYLOAD_LIMIT:,}; send a shorter one")


def _pcm(body: bytes, samples: int, channels: int) -> np.ndarray:
    if channels != 2:
        refuse("bad_field", f"channels: {channels}, a PCM snapshot has 2 (reference, error microphone)")
    if samples == 0 or len(body) != samples * 4:
        refuse("truncated", f"pcm: {len(body):,} bytes, the header promises {samples * 4:,}")
    return bytes_to_int16(body, channels)


def _statistics(body: bytes) -> tuple[bytes, bytes]:
    size = struct.unpack_from("<I", body)[0] if len(body) >= 4 else 0
    if size == 0 or 4 + size > len(body):
        refuse("truncated", f"statistics: {len(body):,} bytes do not hold the {size:,} they promise")
    return body[4 : 4 + size], body[4 + size :]
