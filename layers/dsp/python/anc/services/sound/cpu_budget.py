"""Predict the processing time of sound files and charge it to the caller before the work.

The coefficients are upper bounds measured on one core of a shared x86_64 machine, for noise at 8-192 kHz.
"""

import io
import math
from collections.abc import Callable
from typing import Protocol

from anc.audio.backends import identify
from anc.audio.formats import OGG, WEBM
from anc.audio.reader import AudioReader, check_size, open_short
from anc.ports import Dependencies
from anc.records import Options
from anc.schemas.refusal import Refused, refuse
from anc.services.access.identity import Caller

Charge = Callable[[float], None]

REQUEST_S = 10.0  # maximum core-seconds per request; Lambda stops a function after 25 s
MEASURE_S = 0.06e-6  # per sample of each channel, to decode and measure
PREVIEWED = 1 << 15  # samples
# Per byte, to open a damaged file, in which the demuxer searches for the next part several times.
OPEN_S = {WEBM: 1.0e-6, OGG: 0.6e-6}
OPEN_OTHER_S = 0.2e-6
CLASSIFY_S = 0.015  # per second of each channel
# Per frame: base time, and additional time for 4,096 taps.
FILTER_S = {"nlms": (0.4e-6, 0.7e-6), "fdaf": (0.15e-6, 0.1e-6), "predict": (0.5e-6, 1.2e-6)}


class AudioSize(Protocol):
    """Frames, rate in Hz and channels of a sound file."""

    rate: int
    channels: int

    @property
    def frames(self) -> int:
        """Samples per channel."""


def estimated_cpu_s(file: AudioSize, options: Options | None = None, detects: bool = True) -> float:
    """Return the predicted processing time of a file in core-seconds.

    Parameters
    ----------
    file : AudioSize
    options : Options, optional
        How the file is filtered; None if it is not.
    detects : bool
        Whether noise and alarms are classified.
    """
    seconds = MEASURE_S * file.frames * file.channels
    if detects:
        seconds += CLASSIFY_S * file.channels * file.frames / file.rate
    if options and options.mode != "classify":
        base, per_4096 = FILTER_S["predict" if options.mode == "predict" else options.algorithm]
        seconds += file.frames * (base + per_4096 * options.taps / 4096)
    return seconds


def opening_cpu_s(data: bytes) -> float:
    """Return the longest time that it takes to open a file and to find its length.

    Raises
    ------
    Refused
        `bad_field` if the file is in no supported format.
    """
    format, _ = identify(io.BytesIO(data))
    if format.libsndfile:  # the header tells where the samples are
        return 0.0
    return OPEN_S.get(format, OPEN_OTHER_S) * len(data)


def open_charged(data: bytes, charge: Charge) -> AudioReader:
    """Open a file from a request as `open_short` does; charge for that first. Raises Refused."""
    check_size(len(data))
    charge(opening_cpu_s(data))
    return open_short(data)


def preview_cpu_s(data: bytes) -> float:
    """Return the predicted time to open a file, and to decode its first samples. See `opening_cpu_s`."""
    return opening_cpu_s(data) + MEASURE_S * PREVIEWED


def no_charge(seconds: float) -> None:
    """Charge nothing, for files of the platform itself."""


def charge(seconds: float, caller: Caller, deps: Dependencies) -> None:
    """Charge predicted core-seconds to the caller's budget per minute.

    Raises
    ------
    Refused
        `too_large` if the request exceeds `REQUEST_S`; `too_many`, with the seconds to wait, if the budget
        `SOUND_SECONDS_PER_MINUTE` is used up.
    """
    if seconds > REQUEST_S:
        limit = f"file: must take at most {REQUEST_S:g} core-seconds (about {seconds:.1f} predicted)"
        refuse("too_large", f"{limit}; use fewer taps, a lower rate or a shorter file, or upload it instead")
    settings = deps.settings
    budget_s = settings.sound_seconds_per_minute * settings.rate_limit_scale
    wait_s = deps.limits.wait_s("sound", f"user {caller.user}", _ms(budget_s), _ms(seconds))
    if wait_s:
        limit = f"sound: the budget is {budget_s:g} core-seconds per minute (about {seconds:.1f} more needed)"
        raise Refused("too_many", f"{limit}; try again in {wait_s} s", wait_s=wait_s)


def _ms(seconds: float) -> int:
    return max(1, math.ceil(1000 * seconds))
