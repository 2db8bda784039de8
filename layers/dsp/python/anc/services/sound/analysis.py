"""Measure levels, octave bands and clipping of each channel of a short sound file."""

from typing import Any

import msgspec

from anc.audio.reader import BLOCK
from anc.dsp.meter import Meter, power_to_dbfs
from anc.schemas.refusal import refuse
from anc.services.sound.cpu_budget import Charge, estimated_cpu_s, no_charge, open_charged

MAX_CALIBRATION_DB = 200.0


class ChannelLevels(msgspec.Struct, frozen=True):
    """Levels of one channel.

    Levels are in dBFS: a constant 1 is at 0, a full-scale sine at -3, silence at -120. With a calibration
    they are sound pressure levels in dB, and `la_eq` is the LAeq. Without one, `la_eq` is in dBFS(A), which
    only compares recordings of the same microphone.

    Attributes
    ----------
    rms, peak, la_eq : float
        Over the whole file.
    crest_db : float
        Peak above RMS; 3 dB for a sine, 0 for silence.
    dc : float
        Mean, relative to full scale 1.
    clipped_samples : int
        Number of samples at or beyond the end of the 16-bit scale.
    octaves : dict
        Level by nominal centre in Hz.
    """

    rms: float
    peak: float
    la_eq: float
    crest_db: float
    dc: float
    clipped_samples: int
    octaves: dict[str, float]


def analyze(data: bytes, full_scale_db: float | None = None, charge: Charge = no_charge) -> dict[str, Any]:
    """Measure a sound file of up to 10 MB and a minute.

    Parameters
    ----------
    data : bytes
    full_scale_db : float, optional
        Sound pressure level that corresponds to 0 dBFS, from a calibration of the microphone. Levels are then
        in dB SPL.
    charge : callable
        Called with the predicted core-seconds before the work.

    Returns
    -------
    dict
        `seconds`, `rate`, `unit` ("dBFS" or "dB SPL"), `a_weighted_unit`, and `channels`, a list of
        `ChannelLevels` as dicts; `truncated` and `note` if a part of the file could not be decoded.

    Raises
    ------
    Refused
        If the file is invalid, too long, or `full_scale_db` is out of range.
    """
    if full_scale_db is not None and not abs(full_scale_db) <= MAX_CALIBRATION_DB:
        refuse("bad_field", f"full_scale_db: must be between -200 and 200 (got {full_scale_db:g})")
    meters, note = _measure(data, charge)
    offset = full_scale_db or 0.0
    calibrated = full_scale_db is not None
    return {
        "seconds": round(meters[0].samples / meters[0].rate, 3),
        "truncated": bool(note),
        "note": note,
        "rate": meters[0].rate,
        "unit": "dB SPL" if calibrated else "dBFS",
        "a_weighted_unit": "dB(A)" if calibrated else "dBFS(A)",
        "channels": [msgspec.to_builtins(_channel_levels(meter, offset)) for meter in meters],
    }


def _measure(data: bytes, charge: Charge) -> tuple[list[Meter], str]:
    with open_charged(data, charge) as source:
        charge(estimated_cpu_s(source, detects=False))
        meters = [Meter(source.rate) for _ in range(source.channels)]
        while not source.ended:
            block = source.read(BLOCK)
            for meter, channel in zip(meters, block.T if len(block) else (), strict=len(block) > 0):
                meter.add(channel)
        return meters, source.note


def _channel_levels(meter: Meter, offset_db: float) -> ChannelLevels:
    def level(power: float) -> float:
        return round(float(power_to_dbfs(power)) + offset_db, 2)

    return ChannelLevels(
        rms=level(meter.mean_square),
        peak=level(meter.peak**2),
        la_eq=level(meter.a_weighted_power()),
        crest_db=round(float(power_to_dbfs(meter.peak**2) - power_to_dbfs(meter.mean_square)), 2),
        dc=round(meter.mean, 6),
        clipped_samples=meter.clipped,
        octaves={f"{hz:g}": level(power) for hz, power in meter.octaves().items()},
    )
