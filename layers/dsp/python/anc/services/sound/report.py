"""Report on a processed recording: levels before and after, noise and alarms. `report_plot` draws it."""

from typing import Any

import msgspec
import numpy as np

from anc.dsp.meter import Meter, power_to_dbfs
from anc.records import Options
from anc.services.sound.timeline import AlarmSpan, NoiseSpan

SUMMARY_FIELDS = (
    "mode",
    "seconds",
    "truncated",
    "note",
    "rate",
    "level_before_dbfs",
    "level_after_dbfs",
    "attenuation_db",
    "attenuation_dba",
    "attenuation_last_half_db",
)


class Levels(msgspec.Struct, frozen=True):
    """Levels of one channel in dBFS and dBFS(A), overall, per second and per third octave.

    A constant 1 is at 0 dBFS, a full-scale sine at -3, silence at -120. They are not sound pressure levels.
    """

    level_dbfs: float
    level_dbfs_a: float
    peak_dbfs: float
    clipped_samples: int
    by_second_dbfs: list[float]
    thirds_dbfs: dict[str, float]

    @classmethod
    def of(cls, meter: Meter) -> "Levels":
        """Return the levels that a meter has measured."""
        return cls(
            level_dbfs=_round(power_to_dbfs(meter.mean_square)),
            level_dbfs_a=_round(power_to_dbfs(meter.a_weighted_power())),
            peak_dbfs=_round(power_to_dbfs(meter.peak**2)),
            clipped_samples=meter.clipped,
            by_second_dbfs=np.round(meter.dbfs_by_second, 2).tolist(),
            thirds_dbfs={
                f"{hz:g}": _round(power_to_dbfs(power)) for hz, power in meter.third_octaves().items()
            },
        )


class RecordingReport(msgspec.Struct, frozen=True):
    """Settings and results of a processed recording.

    Attenuations are energy ratios in dB, positive when noise falls; `attenuation_dba` is A-weighted. `after`
    and the attenuations are None in mode `classify`; `noise` and `emergencies` are None without a classifier.
    `filter_resets` is the number of times that weights were replaced because they would have amplified the
    noise. `truncated` is True if a part of the file could not be decoded; `note` says how much was. Alarms
    in a recording do not affect headsets.
    """

    mode: str
    algorithm: str
    taps: int
    mu: float
    seconds: float
    rate: int
    channels: int
    before: Levels
    after: Levels | None
    attenuation_db: float | None
    attenuation_dba: float | None
    attenuation_last_half_db: float | None
    attenuation_by_second_db: list[float] | None
    filter_resets: int | None
    noise: list[NoiseSpan] | None
    emergencies: list[AlarmSpan] | None
    truncated: bool = False
    note: str = ""

    @property
    def level_before_dbfs(self) -> float:
        """RMS level of the recording, or of its primary (second) channel if it has several."""
        return self.before.level_dbfs

    @property
    def level_after_dbfs(self) -> float | None:
        """RMS level of the result."""
        return self.after.level_dbfs if self.after else None

    @property
    def clipped_samples(self) -> int:
        """Number of clipped samples in the result, or in the recording if there is no result."""
        return (self.after or self.before).clipped_samples

    def document(self) -> dict[str, Any]:
        """Return the report as a JSON-compatible dict."""
        document: dict[str, Any] = msgspec.to_builtins(self)
        return document

    def summary(self) -> dict[str, Any]:
        """Return the main figures, for a list of recordings."""
        figures: dict[str, Any] = {name: getattr(self, name) for name in SUMMARY_FIELDS}
        figures["emergencies"] = None if self.emergencies is None else len(self.emergencies)
        figures["noise"] = main_noise(self.noise)
        return figures


def build_report(
    options: Options,
    channels: int,
    before: Meter,
    after: Meter | None,
    filter_resets: int | None,
    noise: list[NoiseSpan] | None,
    emergencies: list[AlarmSpan] | None,
    note: str = "",
) -> RecordingReport:
    """Return the report from two meters, noise spans, alarm spans and a sentence on what is missing."""
    total, a_weighted, last_half, by_second = (
        _attenuations(before, after) if after else (None, None, None, None)
    )
    return RecordingReport(
        mode=options.mode or "",
        algorithm=options.algorithm,
        taps=options.taps,
        mu=options.mu or 0.0,
        seconds=round(before.samples / before.rate, 3),
        rate=before.rate,
        channels=channels,
        before=Levels.of(before),
        after=Levels.of(after) if after else None,
        attenuation_db=total,
        attenuation_dba=a_weighted,
        attenuation_last_half_db=last_half,
        attenuation_by_second_db=by_second,
        filter_resets=filter_resets,
        noise=noise,
        emergencies=emergencies,
        truncated=bool(note),
        note=note,
    )


def main_noise(noise: list[NoiseSpan] | None) -> str | None:
    """Return the noise label with the longest total time, None if there is none."""
    total_s: dict[str, float] = {}
    for span in noise or ():
        total_s[span.label] = total_s.get(span.label, 0.0) + span.to_s - span.from_s
    return max(total_s, key=total_s.__getitem__) if total_s else None


def _attenuations(before: Meter, after: Meter) -> tuple[float, float, float, list[float]]:
    d, e = before.energy_by_second, after.energy_by_second
    half = len(d) // 2
    n = (before.samples - half * before.rate) or 1
    by_second = before.dbfs_by_second - after.dbfs_by_second
    return (
        _round(power_to_dbfs(before.mean_square) - power_to_dbfs(after.mean_square)),
        _round(power_to_dbfs(before.a_weighted_power()) - power_to_dbfs(after.a_weighted_power())),
        _round(power_to_dbfs(d[half:].sum() / n) - power_to_dbfs(e[half:].sum() / n)),
        np.round(by_second, 2).tolist(),
    )


def _round(value: Any) -> float:
    return round(float(value), 3)
