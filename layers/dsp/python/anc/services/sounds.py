"""Sound files as people upload them, decoded within bounds."""

import io
from typing import NamedTuple

import numpy as np
import soundfile

from anc.wire.refusal import Refused, refuse

RATES = (8_000, 192_000)
MOST_CHANNELS = 8


class Sound(NamedTuple):
    """A decoded sound: samples (n, channels) float32 of full scale 1, and the rate in Hz."""

    samples: np.ndarray
    rate: int


def decode(data: bytes, longest_s: float) -> Sound:
    """Read a wav, flac, ogg or mp3 file.

    A header that lies about its length costs nothing: at most `longest_s` seconds are ever decoded.

    Raises
    ------
    Refused
        Naming what is wrong with it, and what is allowed.
    """
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            if not RATES[0] <= file.samplerate <= RATES[1]:
                refuse("bad_field", f"rate: {file.samplerate} Hz, allowed are {RATES[0]} to {RATES[1]}")
            if file.channels > MOST_CHANNELS:
                refuse("bad_field", f"channels: {file.channels}, at most {MOST_CHANNELS}")
            most = int(longest_s * file.samplerate)
            samples = file.read(most + 1, dtype="float32", always_2d=True)
            rate = file.samplerate
    except (soundfile.SoundFileError, TypeError, ValueError) as fault:
        raise Refused("bad_field", "file: not a sound file that can be read (wav, flac, ogg, mp3)") from fault
    if len(samples) > most:
        refuse("too_large", f"file: longer than {longest_s:g} s")
    if not len(samples):
        refuse("bad_field", "file: holds no samples")
    if not np.isfinite(samples).all():
        refuse("bad_field", "file: holds samples that are not finite")
    return Sound(np.clip(samples, -1.0, 1.0), rate)
