"""Sound files in common formats, and files that are damaged or have wrong headers."""

import io
import struct

import numpy as np
import soundfile

RATE = 16_000


def noise(seconds: float = 0.6, channels: int = 2, rate: int = RATE) -> np.ndarray:
    """Return (n, channels) noise of 0.1 RMS."""
    return 0.1 * np.random.default_rng(0).standard_normal((int(seconds * rate), channels))


def encoded(samples: np.ndarray, format: str = "WAV", subtype: str | None = None, rate: int = RATE) -> bytes:
    """Encode samples with libsndfile."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=format, subtype=subtype)
    return file.getvalue()


def floats(samples: np.ndarray) -> bytes:
    """Encode samples as floating-point WAV."""
    return encoded(samples, subtype="FLOAT")


def wav(samples: bytes, channels: int = 1, rate: int = RATE, data_size: int | None = None) -> bytes:
    """Return a 16-bit WAV file with arbitrary header fields."""
    size = len(samples) if data_size is None else data_size
    frame = (2 * channels) & 0xFFFF
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, rate * frame & 0xFFFFFFFF, frame, 16)
    return (
        struct.pack("<4sI4s", b"RIFF", (36 + size) & 0xFFFFFFFF, b"WAVE")
        + form
        + struct.pack("<4sI", b"data", size)
        + samples
    )


def flac_of(frames: int) -> bytes:
    """Return a FLAC file of 0.6 s whose header claims a number of samples; 0 for unknown."""
    data = bytearray(encoded(noise(), "FLAC"))
    data[21] = (data[21] & 0xF0) | (frames >> 32)
    data[22:26] = (frames & 0xFFFFFFFF).to_bytes(4, "big")
    return bytes(data)


def cut(data: bytes) -> bytes:
    """Return the first half of a file."""
    return data[: len(data) // 2]
