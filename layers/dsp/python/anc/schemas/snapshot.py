"""The snapshot: a short sample of the noise at a headset, in the format published over MQTT.

A fixed little-endian header of 32 bytes, then the payload:

    offset  size  field
    0       4     magic `ANC1`
    4       1     version, 1
    5       1     kind: 1 PCM, 2 statistics
    6       2     channels u16 (PCM: 2, the reference x and the error microphone e; statistics: 0)
    8       4     sequence number u32, incremented with every snapshot of the headset
    12      4     sample rate u32 of the control filter in Hz
    16      4     sample count u32 per channel (statistics: number of samples they summarise)
    20      8     id of the control filter in use during all samples; zeros: none
    28      4     gain f32 of the filter, 0..1 (the intensity); 0 with a filter id: the second
                  channel is d, the noise without control as the headset estimates it

Kind 1 is followed by int16 PCM, channels interleaved; kind 2 by a u32 length, that many bytes of sufficient
statistics, and the log-mel summary.
"""

import struct
from dataclasses import dataclass
from typing import NoReturn, Self

import numpy as np

from anc.pcm import MAX_INT16, bytes_to_int16, int16_to_bytes
from anc.sample_rates import MAX_HEADSET_RATE, MIN_RATE
from anc.schemas.refusal import refuse

HEADER = struct.Struct("<4sBBHIII8sf")
LENGTH = struct.Struct("<I")
MAGIC = b"ANC1"
VERSION = 1
PCM, STATISTICS = 1, 2
MQTT_PAYLOAD_LIMIT = 128 * 1024
MAX_PCM_SAMPLES = (MQTT_PAYLOAD_LIMIT - HEADER.size) // 4
SHORT_S = 0.6  # a full snapshot has a second, or as many samples as fit into a message
FULL_MESSAGE = 0.9  # of the samples that fit: that is a full snapshot
MICROPHONES = ("reference", "error")
MIN_SPREAD = 4  # of int16: a converter's own noise exceeds this
MIN_LEVEL_DBFS = -60.0  # of the other microphone, from which silence is a fault
MAX_CLIPPED_SHARE = 0.01  # with more, the designed filter would cancel the clipping
NO_FILTER = ""
NO_FILTER_BYTES = bytes(8)


@dataclass(frozen=True)
class Snapshot:
    """A parsed snapshot.

    Attributes
    ----------
    seq, rate, samples : int
    filter_id : str
        16 hexadecimal digits, or "" if no control filter was in use.
    gain : float
        Gain of the filter, 0 to 1.
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

    @property
    def is_short(self) -> bool:
        """Whether it is one of the first of a new noise, which a longer one follows within a second."""
        return not self.lasts(SHORT_S)

    def lasts(self, seconds: float) -> bool:
        """Return whether it has so many seconds, or at a high rate all samples that fit into a message."""
        return self.samples >= min(seconds * self.rate, FULL_MESSAGE * MAX_PCM_SAMPLES)

    def encode(self) -> bytes:
        """Return the MQTT payload. Raises Refused if it is too large."""
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
            body = LENGTH.pack(len(self.statistics)) + self.statistics + self.summary
        else:
            body = int16_to_bytes(self.pcm)
        _check_size(len(header) + len(body))
        return header + body

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Parse a payload. Raises Refused, naming the field and the limit."""
        _check_size(len(data))
        if len(data) < HEADER.size:
            refuse("truncated", f"header: must have {HEADER.size} bytes (got {len(data)})")
        magic, version, kind, channels, seq, rate, samples, filter_id, gain = HEADER.unpack_from(data)
        if magic != MAGIC:
            refuse("bad_field", "magic: must be `ANC1`; the message is not a snapshot")
        if version != VERSION:
            refuse("bad_field", f"version: must be {VERSION} (got {version})")
        if not MIN_RATE <= rate <= MAX_HEADSET_RATE:
            refuse("bad_field", f"rate: must be between {MIN_RATE} and {MAX_HEADSET_RATE} Hz (got {rate})")
        if not 0.0 <= gain <= 1.0:  # false for NaN too
            refuse("bad_field", f"gain: must be between 0 and 1 (got {gain})")
        named = NO_FILTER if filter_id == NO_FILTER_BYTES else filter_id.hex()
        body = data[HEADER.size :]
        if kind == PCM:
            pcm = _pcm(body, samples, channels)
            return cls(seq, rate, samples, named, gain, pcm=pcm)
        if kind == STATISTICS:
            statistics, summary = _statistics(body)
            return cls(seq, rate, samples, named, gain, statistics=statistics, summary=summary)
        refuse("bad_field", f"kind: must be 1 (PCM) or 2 (statistics) (got {kind})")


def check_clipping(pcm: np.ndarray) -> None:
    """Raise Refused, `clipped`, for int16 samples with too many at full scale."""
    clipped = np.mean(np.abs(pcm.astype(np.int32)) >= MAX_INT16)
    if clipped > MAX_CLIPPED_SHARE:
        refuse(
            "clipped",
            f"pcm: at most {MAX_CLIPPED_SHARE:.0%} of the samples must be clipped (got {clipped:.1%})",
        )


def check_microphones(signals: np.ndarray) -> None:
    """Raise Refused, `dead_microphone`, if one microphone is constant while the other one hears sound.

    Parameters
    ----------
    signals : (n, 2) ndarray
        Reference and error microphone, full scale 1.
    """
    spread = np.ptp(signals, axis=0) * 32768
    levels = 10 * np.log10(np.var(signals, axis=0) + 1e-20)
    for dead, other in ((0, 1), (1, 0)):
        if spread[dead] < MIN_SPREAD and levels[other] > MIN_LEVEL_DBFS:
            refuse_dead_microphone(MICROPHONES[dead], MICROPHONES[other])


def refuse_dead_microphone(dead: str, other: str) -> NoReturn:
    """Raise Refused, `dead_microphone`. The text has no level, so that a headset reports it once."""
    refuse(
        "dead_microphone",
        f"microphone: the {dead} microphone delivers no sound, the {other} microphone measures more than"
        f" {MIN_LEVEL_DBFS:.0f} dBFS; check its connection",
    )


def _check_size(size: int) -> None:
    if size > MQTT_PAYLOAD_LIMIT:
        refuse(
            "too_large",
            f"snapshot: must have at most {MQTT_PAYLOAD_LIMIT:,} bytes (got {size:,}); send a shorter one",
        )


def _pcm(body: bytes, samples: int, channels: int) -> np.ndarray:
    if channels != 2:
        refuse("bad_field", f"channels: must be 2 (reference, error microphone) for PCM (got {channels})")
    if samples == 0:
        refuse("truncated", "samples: must be at least 1 (got 0)")
    if len(body) != samples * 4:
        refuse(
            "truncated",
            f"pcm: must have {samples * 4:,} bytes, {samples:,} samples of each channel, as the header says"
            f" (got {len(body):,})",
        )
    return bytes_to_int16(body, channels)


def _statistics(body: bytes) -> tuple[bytes, bytes]:
    if len(body) < LENGTH.size:
        refuse("truncated", f"statistics: must start with their length, a u32 (got {len(body)} bytes)")
    (size,) = LENGTH.unpack_from(body)
    rest = body[LENGTH.size :]
    if size == 0:
        refuse("truncated", "statistics: must not be empty (the u32 after the header is 0)")
    if size > len(rest):
        refuse(
            "truncated",
            f"statistics: must have {size:,} bytes, as the u32 after the header says (got {len(rest):,})",
        )
    return rest[:size], rest[size:]
