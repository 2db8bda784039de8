"""Input features of the models: a log-mel spectrogram in whole decibels, 48 columns per second.

Training, Lambda, headset and endpoint share this definition. Columns of 1/24 s are computed at the signal's
own rate, 8 to 192 kHz: there is no resampling, and a stream needs no filter state. Each value is one byte, so
a transmitted spectrogram gives the same prediction as the sound.
"""

import hashlib
import zlib
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anc.pcm import FULL_SCALE, float_to_int16
from anc.sample_rates import MAX_RATE, MIN_RATE

BANDS = 80  # mel bands
MIN_HZ, MAX_HZ = 50.0, 8000.0  # Hz, the outer edges of the bands
COLUMNS_PER_SECOND = 48  # each column spans two periods, so neighbours overlap by half
WINDOW = 48  # columns per window: one second
HOP = 12  # columns between windows: 0.25 s
OFFSET_DB = 140.0  # the byte 0 is -140 dB re full scale squared per Hz: below 16-bit rounding noise
RANGE_DB = 70  # values further below the loudest cell of a window are ignored

FEATURE_HASH = hashlib.sha256(
    f"anc-log-mel 1: {BANDS} {MIN_HZ} {MAX_HZ} {COLUMNS_PER_SECOND} {WINDOW} {OFFSET_DB} {RANGE_DB}".encode()
).hexdigest()

LogMelSpectrogram = NDArray[np.uint8]  # (columns, BANDS)


def quantise(samples: ArrayLike, rate: int) -> NDArray[np.int16]:
    """Validate a mono signal and round it to 16 bits, the resolution of all features.

    Parameters
    ----------
    samples : (n,) array_like of float
        Sound in [-1, 1]; values up to 8 are clipped.
    rate : int
        Sampling rate in Hz, 8,000 to 192,000.

    Raises
    ------
    ValueError
        If shape or type is wrong, values are not finite or far out of range, or the rate is out of range.
    """
    if not MIN_RATE <= rate <= MAX_RATE:
        raise ValueError(f"rate: must be {MIN_RATE} to {MAX_RATE} Hz (got {rate})")
    x = np.asarray(samples)
    if x.ndim != 1:
        raise ValueError(f"samples: must be one channel of shape (n,) (got shape {x.shape})")
    if x.dtype.kind != "f":
        raise ValueError(f"samples: must be floats in [-1, 1] (got {x.dtype}); divide int16 by 32768")
    peak = np.max(np.abs(x), initial=0.0)
    if not peak <= 8.0:  # also true of NaN
        raise ValueError(f"samples: must be finite values in [-1, 1] (got a peak of {peak})")
    return float_to_int16(x)


def column_length(rate: int) -> int:
    """Return the number of samples per column."""
    return 2 * rate // COLUMNS_PER_SECOND


def log_mel(pcm: NDArray[np.int16], rate: int, phase: int = 0) -> LogMelSpectrogram:
    """Return the complete columns of the log-mel spectrogram of a signal.

    Column k starts at sample ``(phase + k) * rate // 48 - phase * rate // 48``: no drift at 44.1 kHz.

    Parameters
    ----------
    pcm : (n,) int16
    rate : int
        Hz.
    phase : int
        Number of the first column, modulo 48.

    Returns
    -------
    (columns, BANDS) uint8
        Power density in dB above ``-OFFSET_DB``; 0 for bands above half the rate.
    """
    length = column_length(rate)
    count = len(pcm) * COLUMNS_PER_SECOND // rate + 1
    starts = (phase + np.arange(count)) * rate // COLUMNS_PER_SECOND - phase * rate // COLUMNS_PER_SECOND
    starts = starts[starts + length <= len(pcm)]
    spectrogram = np.empty((len(starts), BANDS), np.uint8)
    if not len(starts):
        return spectrogram
    window, bank = _window_and_bank(rate)
    for i in range(0, len(starts), 512):  # bounds memory
        columns = np.stack([pcm[start : start + length] for start in starts[i : i + 512].tolist()])
        spectrum = np.fft.rfft(columns * window)
        spectrum = spectrum[:, : len(bank)]
        power = (spectrum.real**2 + spectrum.imag**2) @ bank
        spectrogram[i : i + 512] = np.rint(np.clip(10 * np.log10(power + 1e-14) + OFFSET_DB, 0, 255))
    return spectrogram


@lru_cache(maxsize=8)
def _window_and_bank(rate: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    length = column_length(rate)
    window = np.hanning(length + 1)[:-1]  # periodic: a constant leaks into two bins only, both unused
    bins = np.arange(int(min(rate / 2, MAX_HZ) * length / rate) + 1) * rate / length
    rising = (bins[:, None] - band_edges()[:-2]) / np.diff(band_edges())[:-1]
    falling = (band_edges()[2:] - bins[:, None]) / np.diff(band_edges())[1:]
    bank = np.clip(np.minimum(rising, falling), 0, None)
    bank[:, band_edges()[2:] > rate / 2 + 1] = 0  # the level of a partial band would be too low
    bank /= np.maximum(bank.sum(axis=0), 1e-9)
    bank *= 2 / (rate * np.sum(window**2))
    return (window / FULL_SCALE).astype(np.float32), bank.astype(np.float32)


@lru_cache(maxsize=1)
def band_edges() -> NDArray[np.float64]:
    """Return the mel band edges in Hz, (BANDS + 2,): band b rises from edge b to b + 1 and falls to b + 2."""
    lowest, highest = 2595 * np.log10(1 + np.array([MIN_HZ, MAX_HZ]) / 700)
    return 700 * (10 ** (np.linspace(lowest, highest, BANDS + 2) / 2595) - 1)


def level_dbfs(spectrograms: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the mean level between 50 Hz and 8 kHz in dBFS, (...), of spectrograms, (..., columns, BANDS).

    0 is the level of a full-scale square wave.
    """
    density, widths = _densities_and_widths()
    return np.asarray(10 * np.log10((density[spectrograms] @ widths).mean(axis=-1)))


@lru_cache(maxsize=1)
def _densities_and_widths() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    density = 10 ** ((np.arange(256) - OFFSET_DB) / 10)
    return density, (band_edges()[2:] - band_edges()[:-2]) / 2


def windows(spectrogram: LogMelSpectrogram) -> NDArray[np.uint8]:
    """Split a spectrogram into one-second windows every quarter second; repeat a shorter one to fill one.

    Parameters
    ----------
    spectrogram : (columns, BANDS) uint8
        At least one column.

    Returns
    -------
    (n, WINDOW, BANDS) uint8
        The last window ends with the spectrogram.
    """
    if len(spectrogram) < WINDOW:
        spectrogram = spectrogram[np.arange(WINDOW) % len(spectrogram)]
    first = (len(spectrogram) - WINDOW) % HOP
    view = np.lib.stride_tricks.sliding_window_view(spectrogram, WINDOW, axis=0)[first::HOP]
    return view.transpose(0, 2, 1)


def network_input(spectrograms: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the network input: level relative to the window, and prominence relative to neighbouring bands.

    Parameters
    ----------
    spectrograms : (n, WINDOW, BANDS) uint8

    Returns
    -------
    (n, BANDS, WINDOW, 2) float32
        Channel 0: level over the mean of the window. Channel 1: level over the mean of the 13 surrounding
        bands, which keeps tones and sweeps and removes the spectral envelope. Both in units of 15 dB. In
        memory, each channel is contiguous.
    """
    x = np.ascontiguousarray(spectrograms.transpose(0, 2, 1), dtype=np.float32)
    x = np.maximum(x, x.max(axis=(1, 2), keepdims=True) - RANGE_DB)
    both = np.empty((2, *x.shape), np.float32)
    np.subtract(x, x.mean(axis=(1, 2), keepdims=True), out=both[0])
    np.subtract(x, _neighbourhood() @ x, out=both[1])
    both /= 15
    return both.transpose(1, 2, 3, 0)


@lru_cache(maxsize=1)
def _neighbourhood() -> NDArray[np.float32]:
    distance = np.abs(np.subtract.outer(np.arange(BANDS), np.arange(BANDS)))
    near = (distance <= 6).astype(np.float32)
    return near / near.sum(axis=1, keepdims=True)


def pack(spectrogram: LogMelSpectrogram) -> bytes:
    """Compress a spectrogram without loss: to half its size for noise, at most 5/8 within `RANGE_DB`."""
    return zlib.compress(np.ascontiguousarray(spectrogram).tobytes(), 6)


def unpack(packed: bytes) -> LogMelSpectrogram:
    """Decompress the result of `pack`, for a spectrogram of at most one window.

    Raises
    ------
    ValueError
        If the bytes are not a packed spectrogram, or it is too long.
    """
    max_bytes = WINDOW * BANDS
    decoder = zlib.decompressobj()
    try:
        raw = decoder.decompress(packed, max_bytes + 1)
    except zlib.error as error:
        raise ValueError(f"summary: must be one zlib stream, RFC 1950 ({error})") from None
    stopped = len(raw) > max_bytes  # the rest was not decompressed
    if not stopped and (not decoder.eof or decoder.unused_data):
        end = "more bytes after its end" if decoder.eof else "no end"
        raise ValueError(f"summary: must be one zlib stream, RFC 1950 (got {end})")
    if stopped or len(raw) % BANDS:
        length = "more" if stopped else f"{len(raw):,} bytes"
        raise ValueError(f"summary: must have at most {WINDOW} columns of {BANDS} bytes (got {length})")
    return np.frombuffer(raw, np.uint8).reshape(-1, BANDS)


def summary(samples: ArrayLike, rate: int) -> bytes:
    """Return the spectrogram of the last second of a sound as bytes. Speech may be reconstructed from it.

    Parameters
    ----------
    samples : (n,) array_like of float
        Sound in [-1, 1], at least a quarter of a second.
    rate : int
        Hz, 8,000 to 192,000.

    Returns
    -------
    bytes
        About 2 kB for `Classifier.classify_summary`. Values 70 dB below the loudest cell are set to 0.

    Examples
    --------
    >>> packed = summary(np.zeros(16_000), rate=16_000)
    >>> Classifier.load().classify_summary(packed).label
    'quiet'
    """
    spectrogram = log_mel_spectrogram(samples, rate)[-WINDOW:]
    return pack(np.where(spectrogram + np.int16(RANGE_DB) < spectrogram.max(), np.uint8(0), spectrogram))


def log_mel_spectrogram(samples: ArrayLike, rate: int) -> LogMelSpectrogram:
    """Return `log_mel` of a signal, (n,) float of at least 0.25 s. Raises ValueError for invalid samples."""
    pcm = quantise(samples, rate)
    if len(pcm) < rate // 4:
        raise ValueError(f"samples: must be at least 0.25 s long (got {len(pcm) / rate:.3f} s)")
    return log_mel(pcm, rate)
