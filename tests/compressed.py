"""Sound files in compressed formats, encoded with FFmpeg."""

import io
from fractions import Fraction

import av
import numpy as np

BLOCK = 1024


def compressed(
    samples: np.ndarray,
    rate: int,
    container: str,
    codec: str,
    muxing: dict[str, str] | None = None,
    coding: dict[str, str] | None = None,
    bit_rate: int = 128_000,
) -> bytes:
    """Encode (n, channels) samples of one, two or eight channels.

    Parameters
    ----------
    muxing, coding : dict, optional
        Options of FFmpeg's muxer and encoder.
    """
    file = io.BytesIO()
    layout = {1: "mono", 2: "stereo", 8: "7.1"}[samples.shape[1]]
    # Without `bitexact`, files have random numbers in them.
    with av.open(file, "w", format=container, options={"fflags": "+bitexact", **(muxing or {})}) as output:
        stream = output.add_stream(codec, rate=rate, options=coding or {}, layout=layout)
        if not coding:
            stream.bit_rate = bit_rate
        for at in range(0, len(samples), BLOCK):
            block = samples[at : at + BLOCK].astype(np.float32).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(block, format="flt", layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def vbr_mp3(samples: np.ndarray, rate: int, xing: bool = False) -> bytes:
    """Return an MP3 file of variable bit rate, by default without a header that gives its length."""
    quality = {"flags": "+qscale", "global_quality": str(118 * 2)}
    return compressed(
        samples, rate, "mp3", "libmp3lame", {"write_xing": str(int(xing)), "id3v2_version": "0"}, quality
    )


def pink(seconds: float, rate: int, channels: int = 2) -> np.ndarray:
    """Return low-pass noise of 0.1 RMS, (n, channels), which codecs of music and of speech keep."""
    rng = np.random.default_rng(3)
    spectrum = np.fft.rfft(rng.standard_normal((int(seconds * rate), channels)), axis=0)
    f = np.fft.rfftfreq(int(seconds * rate), 1 / rate)[:, None]
    shaped = np.fft.irfft(spectrum / (1 + (f / 300) ** 2), int(seconds * rate), axis=0)
    return 0.1 * shaped / np.sqrt(np.mean(shaped**2))


def snr_db(decoded: np.ndarray, original: np.ndarray, max_delay: int = 4096) -> float:
    """Return the signal-to-noise ratio in dB after removing an encoder's delay."""
    x = original[: 1 << 15, 0]
    y = np.pad(decoded[:, 0], (0, max(0, x.size + max_delay - len(decoded))))[: x.size + max_delay]
    n = 2 * (x.size + max_delay)
    delay = int(np.argmax(np.fft.irfft(np.fft.rfft(y, n) * np.conj(np.fft.rfft(x, n)))[:max_delay]))
    length = min(len(original), len(decoded) - delay)
    error = decoded[delay : delay + length] - original[:length]
    return float(10 * np.log10(np.sum(original[:length] ** 2) / np.sum(error**2)))
