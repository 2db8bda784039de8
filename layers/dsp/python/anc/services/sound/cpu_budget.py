"""Predicted processing time of sound files, refused before the work when it is too much.

The coefficients are upper estimates of what one core of a shared x86_64 machine took for noise at 8-192 kHz.
"""

import math
from collections.abc import Callable
from typing import Protocol

from anc.ports import Dependencies
from anc.records import Options
from anc.schemas.refusal import Refused, refuse
from anc.services.access.identity import Caller

Charge = Callable[[float], None]

REQUEST_S = 10.0  # core-seconds of one request; Lambda stops a function after 25 s
MEASURING = 0.06e-6  # seconds per sample of each channel, decoded and measured
DETECTING = 0.015  # seconds per second of sound
# Seconds per frame without taps, and in addition with 4,096 taps.
FILTERING = {"nlms": (0.4e-6, 0.7e-6), "fdaf": (0.15e-6, 0.1e-6), "predict": (0.5e-6, 1.2e-6)}


class AudioSize(Protocol):
    """What the header of a sound file states: frames, rate in Hz, channels."""

    frames: int
    rate: int
    channels: int


def estimated_cpu_s(file: AudioSize, options: Options | None = None, detects: bool = True) -> float:
    """Return the predicted processing time of a file in core-seconds.

    Parameters
    ----------
    file : Sized
    options : Options, optional
        How it is filtered; None when it is not.
    detects : bool
        Whether noise and alarms are classified.
    """
    seconds = MEASURING * file.frames * file.channels
    if detects:
        seconds += DETECTING * file.frames / file.rate
    if options and options.mode != "classify":
        base, per_4096 = FILTERING["predict" if options.mode == "predict" else options.algorithm]
        seconds += file.frames * (base + per_4096 * options.taps / 4096)
    return seconds


def no_charge(seconds: float) -> None:
    """Charge nobody: for files of the platform's own."""


def charge(seconds: float, caller: Caller, deps: Dependencies) -> None:
    """Take predicted work out of the caller's budget of the minute.

    Raises
    ------
    Refused
        `too_large` for more than `REQUEST_S` at once; `too_many`, with the seconds to wait, when the budget
        `SOUND_SECONDS_PER_MINUTE` is used up.
    """
    if seconds > REQUEST_S:
        said = f"file: takes about {seconds:.1f} s of a core, at most {REQUEST_S:g} s"
        refuse("too_large", f"{said}; use fewer taps, a lower rate or a shorter file, or upload it instead")
    settings = deps.settings
    most = settings.sound_seconds_per_minute * settings.rate_limit_scale
    wait_s = deps.limits.wait_s("sound", f"user {caller.user}", _ms(most), _ms(seconds))
    if wait_s:
        said = f"sound: about {seconds:.1f} s of a core more than your {most:g} s a minute allow"
        raise Refused("too_many", f"{said}; try again in {wait_s} s", wait_s=wait_s)


def _ms(seconds: float) -> int:
    return max(1, math.ceil(1000 * seconds))
