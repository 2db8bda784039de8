"""Convert between 16-bit PCM and floating-point samples of full scale 1."""

import numpy as np
from numpy.typing import NDArray

FULL_SCALE = 32_768  # the int16 magnitude that corresponds to 1.0
MAX_INT16 = 32_767


def int16_to_float(pcm: NDArray[np.int16]) -> NDArray[np.float32]:
    """Return int16 samples, any shape, as float32 in [-1, 1). The conversion is exact.

    >>> int16_to_float(np.array([0, 16_384, -32_768], np.int16)).tolist()
    [0.0, 0.5, -1.0]
    """
    return pcm.astype(np.float32) / np.float32(FULL_SCALE)


def float_to_int16(samples: NDArray[np.floating]) -> NDArray[np.int16]:
    """Return samples of full scale 1, any shape, as int16, rounded to nearest and clipped.

    >>> float_to_int16(np.array([0.5, -1.0, 2.0])).tolist()
    [16384, -32768, 32767]
    """
    return np.clip(np.rint(samples * float(FULL_SCALE)), -FULL_SCALE, MAX_INT16).astype(np.int16)


def int16_to_bytes(pcm: NDArray[np.int16]) -> bytes:
    """Return int16 samples, (n,) or (n, channels), as little-endian bytes with channels interleaved.

    >>> int16_to_bytes(np.array([1, -2], np.int16)).hex()
    '0100feff'
    """
    return np.ascontiguousarray(pcm, "<i2").tobytes()


def bytes_to_int16(data: bytes, channels: int) -> NDArray[np.int16]:
    """Return little-endian bytes with channels interleaved as (n, channels) int16.

    Raises
    ------
    ValueError
        If the bytes are no whole number of frames.

    >>> bytes_to_int16(bytes.fromhex("0100feff"), channels=2).tolist()
    [[1, -2]]
    """
    return np.frombuffer(data, "<i2").reshape(-1, channels)
