"""What the models hear: a log-mel picture of sound in whole decibels, 48 columns a second.

One definition serves training, Lambda, headset and endpoint. Columns of 1/24 s are taken at the signal's own
rate, wherever that lies between 8 and 192 kHz: nothing is resampled and a stream needs no filter state. Each
value is one byte, and that byte is what the models see: a picture that travelled is heard like the sound.
"""

import hashlib
import zlib
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anc.pcm import FULL_SCALE, float_to_int16
from anc.sample_rates import MAX_RATE, MIN_RATE

BANDS = 80  # mel bands
LOWEST, HIGHEST = 50.0, 8000.0  # Hz, the outer edges of the bands
COLUMNS_PER_SECOND = 48  # each column spans two periods, so neighbours overlap by half
WINDOW = 48  # columns that are heard as one picture: one second
HOP = 12  # columns between pictures: 0.25 s
ZERO = 140.0  # the byte 0 is -140 dB relative to full scale squared per Hz: below 16-bit rounding noise
RANGE = 70  # dB: what lies further below the loudest cell of a picture is not heard

FEATURE_HASH = hashlib.sha256(
    f"anc-log-mel 1: {BANDS} {LOWEST} {HIGHEST} {COLUMNS_PER_SECOND} {WINDOW} {ZERO} {RANGE}".encode()
).hexdigest()

LogMelSpectrogram = NDArray[np.uint8]  # (columns, BANDS)


def to_pcm(samples: ArrayLike, rate: int) -> NDArray[np.int16]:
    """Check a mono signal and round it to 16 bits, the resolution at which everything here listens.

    Parameters
    ----------
    samples : (n,) array_like of float
        Sound in [-1, 1]; excursions up to 8 are clipped, as a converter would.
    rate : int
        Sampling rate in Hz, 8,000 to 192,000.

    Raises
    ------
    ValueError
        For another shape or type, for values that are not finite or far out of range, for another rate.
    """
    if not MIN_RATE <= rate <= MAX_RATE:
        raise ValueError(f"rate: {rate} Hz, allowed are {MIN_RATE} to {MAX_RATE}")
    x = np.asarray(samples)
    if x.ndim != 1:
        raise ValueError(f"samples: shape {x.shape}, one channel of shape (n,) is needed")
    if x.dtype.kind != "f":
        raise ValueError(f"samples: {x.dtype}, floats in [-1, 1] are needed (divide int16 by 32768)")
    peak = np.max(np.abs(x), initial=0.0)
    if not peak <= 8.0:  # also true of NaN
        raise ValueError(f"samples: peak {peak}, finite values in [-1, 1] are needed")
    return float_to_int16(x)


def column_length(rate: int) -> int:
    """Samples under one column."""
    return 2 * rate // COLUMNS_PER_SECOND


def log_mel(pcm: NDArray[np.int16], rate: int, phase: int = 0) -> LogMelSpectrogram:
    """Every whole column of a signal.

    Column k starts at sample ``(phase + k) * rate // 48 - phase * rate // 48``: no time is lost at 44.1 kHz.

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
        Power density in dB relative to ``-ZERO``; bands that the rate does not reach are 0.
    """
    length = column_length(rate)
    most = len(pcm) * COLUMNS_PER_SECOND // rate + 1
    starts = (phase + np.arange(most)) * rate // COLUMNS_PER_SECOND - phase * rate // COLUMNS_PER_SECOND
    starts = starts[starts + length <= len(pcm)]
    spectrogram = np.empty((len(starts), BANDS), np.uint8)
    if not len(starts):
        return spectrogram
    window, bank = _window_and_bank(rate)
    columns = np.lib.stride_tricks.sliding_window_view(pcm, length)
    for i in range(0, len(starts), 512):  # bounds memory, however long the signal
        spectrum = np.fft.rfft(columns[starts[i : i + 512]] * window)
        spectrum = spectrum[:, : len(bank)]
        power = (spectrum.real**2 + spectrum.imag**2) @ bank
        spectrogram[i : i + 512] = np.rint(np.clip(10 * np.log10(power + 1e-14) + ZERO, 0, 255))
    return spectrogram


@lru_cache(maxsize=8)
def _window_and_bank(rate: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    length = column_length(rate)
    window = np.hanning(length + 1)[
        :-1
    ]  # periodic: a constant leaks into two bins only, and none of them is heard
    bins = np.arange(int(min(rate / 2, HIGHEST) * length / rate) + 1) * rate / length
    rising = (bins[:, None] - band_edges()[:-2]) / np.diff(band_edges())[:-1]
    falling = (band_edges()[2:] - bins[:, None]) / np.diff(band_edges())[1:]
    bank = np.clip(np.minimum(rising, falling), 0, None)
    bank[:, band_edges()[2:] > rate / 2 + 1] = 0  # half a band would be measured too low
    bank /= np.maximum(bank.sum(axis=0), 1e-9)
    bank *= 2 / (rate * np.sum(window**2))
    return (window / FULL_SCALE).astype(np.float32), bank.astype(np.float32)


@lru_cache(maxsize=1)
def band_edges() -> NDArray[np.float64]:
    """Edges of the mel bands in Hz, (BANDS + 2,): band b rises from edge b to b + 1 and falls to b + 2."""
    lowest, highest = 2595 * np.log10(1 + np.array([LOWEST, HIGHEST]) / 700)
    return 700 * (10 ** (np.linspace(lowest, highest, BANDS + 2) / 2595) - 1)


def level_dbfs(spectrogram: LogMelSpectrogram) -> float:
    """Mean level between 50 Hz and 8 kHz in dB, 0 for a full-scale square wave."""
    widths = (band_edges()[2:] - band_edges()[:-2]) / 2
    density = 10 ** ((spectrogram.astype(np.float64) - ZERO) / 10)
    return float(10 * np.log10(np.mean(density @ widths)))


def windows(spectrogram: LogMelSpectrogram) -> NDArray[np.uint8]:
    """Cut a picture into windows of a second every quarter second; a shorter one is repeated to fill one.

    Parameters
    ----------
    picture : (columns, BANDS) uint8
        At least one column.

    Returns
    -------
    (n, WINDOW, BANDS) uint8
        The last one ends where the picture ends.
    """
    if len(spectrogram) < WINDOW:
        spectrogram = spectrogram[np.arange(WINDOW) % len(spectrogram)]
    first = (len(spectrogram) - WINDOW) % HOP
    view = np.lib.stride_tricks.sliding_window_view(spectrogram, WINDOW, axis=0)[first::HOP]
    return view.transpose(0, 2, 1)


def network_input(spectrograms: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the networks see of pictures: levels without loudness, and what rises above its neighbourhood.

    Parameters
    ----------
    pictures : (n, WINDOW, BANDS) uint8

    Returns
    -------
    (n, BANDS, WINDOW, 2) float32
        Channel 0: level over the picture's mean. Channel 1: level over the mean of the 13 bands around, which
        keeps tones and sweeps and forgets the spectrum they stand in. Both in units of 15 dB.
    """
    x = np.ascontiguousarray(spectrograms.transpose(0, 2, 1), dtype=np.float32)
    x = np.maximum(x, x.max(axis=(1, 2), keepdims=True) - RANGE)
    around = _neighbourhood() @ x
    both = np.stack([x - x.mean(axis=(1, 2), keepdims=True), x - around], axis=-1)
    return (both / 15).astype(np.float32, copy=False)


@lru_cache(maxsize=1)
def _neighbourhood() -> NDArray[np.float32]:
    distance = np.abs(np.subtract.outer(np.arange(BANDS), np.arange(BANDS)))
    near = (distance <= 6).astype(np.float32)
    return near / near.sum(axis=1, keepdims=True)


def pack(spectrogram: LogMelSpectrogram) -> bytes:
    """Compress a picture without loss; about half its size for noise, never over 5/8 of it within `RANGE`."""
    return zlib.compress(np.ascontiguousarray(spectrogram).tobytes(), 6)


def unpack(packed: bytes) -> LogMelSpectrogram:
    """Undo `pack` for a picture of at most one window.

    Raises
    ------
    ValueError
        When the bytes are not a packed picture, or one that is too long.
    """
    most = WINDOW * BANDS
    decoder = zlib.decompressobj()
    try:
        raw = decoder.decompress(packed, most + 1)
    except zlib.error as error:
        raise ValueError(f"summary: damaged ({error})") from None
    if not decoder.eof or decoder.unused_data or len(raw) > most or len(raw) % BANDS:
        raise ValueError(f"summary: not a packed picture of {BANDS} bands and at most {WINDOW} columns")
    return np.frombuffer(raw, np.uint8).reshape(-1, BANDS)


def summary(samples: ArrayLike, rate: int) -> bytes:
    """The last second of a sound as the classifier hears it: no waveform, but speech may be made out from it.

    Parameters
    ----------
    samples : (n,) array_like of float
        Sound in [-1, 1], a quarter of a second or more.
    rate : int
        Hz, 8,000 to 192,000.

    Returns
    -------
    bytes
        About 2 kB for `Classifier.classify_summary`; what lies over 70 dB below the loudest cell is left out.
    """
    spectrogram = log_mel_spectrogram(samples, rate)[-WINDOW:]
    return pack(np.where(spectrogram + np.int16(RANGE) < spectrogram.max(), np.uint8(0), spectrogram))


def log_mel_spectrogram(samples: ArrayLike, rate: int) -> LogMelSpectrogram:
    """`log_mel` of a checked signal of at least a quarter of a second."""
    pcm = to_pcm(samples, rate)
    if len(pcm) < rate // 4:
        raise ValueError(f"samples: {len(pcm) / rate:.3f} s, at least 0.25 s is needed")
    return log_mel(pcm, rate)
