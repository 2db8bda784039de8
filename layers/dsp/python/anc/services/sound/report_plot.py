"""Plot a report as PNG: level over time, spectrum, noise and alarms.

Drawn with Pillow, since Matplotlib does not fit into the Lambda layer.
"""

import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from anc.services.sound.report import RecordingReport
from anc.services.sound.timeline import AlarmSpan, NoiseSpan

WIDTH, HEIGHT = 1200, 900
BACKGROUND, FOREGROUND, GRID = "#ffffff", "#1f2933", "#d9dfe5"
BEFORE, AFTER, ALARM = "#c2410c", "#1d6fa5", "#d90429"
# The colour-blind safe palette of Okabe and Ito, and grey.
PALETTE = ("#56b4e9", "#e69f00", "#009e73", "#f0e442", "#0072b2", "#cc79a7", "#999999", "#d55e00", "#000000")
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)


class Axes(NamedTuple):
    """Position of a diagram in the image, in pixels, and the values at its edges."""

    left: int
    top: int
    right: int
    bottom: int
    from_x: float
    to_x: float
    from_y: float
    to_y: float

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return the pixel position of a value."""
        across = (x - self.from_x) / (self.to_x - self.from_x)
        up = (y - self.from_y) / (self.to_y - self.from_y)
        return self.left + across * (self.right - self.left), self.bottom - up * (self.bottom - self.top)


def plot_report(report: RecordingReport) -> bytes:
    """Return a report as PNG of 1200 by 900 pixels. Texts are ASCII because of Pillow's default font."""
    image = Image.new("RGB", (WIDTH, HEIGHT), BACKGROUND)
    draw = ImageDraw.Draw(image)
    _text(draw, (60, 36), _headline(report), 22)
    _levels(draw, report)
    _spectrum(draw, report)
    _timeline(draw, report)
    file = io.BytesIO()
    image.quantize(64).save(file, "PNG", optimize=True)
    return file.getvalue()


def _headline(report: RecordingReport) -> str:
    parts = [
        f"{report.mode}",
        f"{_duration(report.seconds)} at {report.rate:,} Hz",
        f"{report.level_before_dbfs:.1f} dBFS",
    ]
    if report.after:
        parts[-1] += f" before, {report.level_after_dbfs:.1f} after"
        parts.append(f"attenuation {report.attenuation_db:.1f} dB, {report.attenuation_dba:.1f} dB(A)")
    return "   ".join(parts)


def _levels(draw: ImageDraw.ImageDraw, report: RecordingReport) -> None:
    channels = _channels(report)
    lowest, highest = _level_range([level.by_second_dbfs for level, _ in channels])
    axes = Axes(60, 130, 1160, 360, 0.0, max(report.seconds, 1.0), lowest, highest)
    _text(draw, (60, 98), "Level, dBFS", 16)
    _level_grid(draw, axes)
    _time_grid(draw, axes)
    for level, colour in channels:
        heights = np.maximum(_downsampled(level.by_second_dbfs, axes.right - axes.left), lowest)
        seconds = (np.arange(len(heights)) + 0.5) * len(level.by_second_dbfs) / len(heights)
        points = [*zip(np.minimum(seconds, report.seconds), heights, strict=True)]
        # Extend the line to both edges, so that a recording of one second is visible.
        points = [(0.0, heights[0]), *points, (report.seconds, heights[-1])]
        draw.line([axes.at(x, y) for x, y in points], colour, 2)
    _legend(draw, report)


def _spectrum(draw: ImageDraw.ImageDraw, report: RecordingReport) -> None:
    channels = _channels(report)
    lowest, highest = _level_range([[*level.thirds_dbfs.values()] for level, _ in channels])
    names = [*report.before.thirds_dbfs]
    axes = Axes(60, 440, 1160, 650, 0, len(names), lowest, highest)
    _text(draw, (60, 408), "Third octaves, dBFS over Hz", 16)
    _level_grid(draw, axes)
    for i, name in enumerate(names):
        if i % 3 == 1:
            _text(draw, (axes.at(i + 0.5, lowest)[0], axes.bottom + 4), name, 13, "mt")
    for level, colour in channels:
        stairs = [
            axes.at(i + side, max(value, lowest))
            for i, value in enumerate(level.thirds_dbfs.values())
            for side in (0, 1)
        ]
        draw.line(stairs, colour, 2)


def _timeline(draw: ImageDraw.ImageDraw, report: RecordingReport) -> None:
    axes = Axes(60, 730, 1160, 790, 0.0, max(report.seconds, 1.0), 0.0, 1.0)
    _text(draw, (60, 698), _timeline_title(report), 16)
    _time_grid(draw, axes, 26)
    labels = sorted({span.label for span in report.noise or ()})
    colours = {label: PALETTE[i % len(PALETTE)] for i, label in enumerate(labels)}
    _spans(draw, axes, 0, report.noise or (), [colours[span.label] for span in report.noise or ()])
    _spans(draw, axes, 64, report.emergencies or (), [ALARM] * len(report.emergencies or ()))
    x = 60.0
    alarms = ", ".join(sorted({span.kind for span in report.emergencies or ()}))
    for name, colour in [*colours.items(), *([(alarms, ALARM)] if alarms else [])]:
        draw.rectangle((x, 858, x + 14, 872), colour)
        _text(draw, (x + 20, 857), name, 15)
        x += 40 + draw.textlength(name, ImageFont.load_default(15))


def _timeline_title(report: RecordingReport) -> str:
    if report.noise is None:
        return "Noise: not classified"
    return "Noise, and alarms below" if report.noise else "Noise: recording too short to classify"


def _spans(
    draw: ImageDraw.ImageDraw,
    axes: Axes,
    below: int,
    spans: Sequence[NoiseSpan | AlarmSpan],
    colours: Sequence[str],
) -> None:
    top, bottom = (axes.top, axes.bottom) if not below else (axes.top + below, axes.bottom + 22)
    for span, colour in zip(spans, colours, strict=True):
        left, right = axes.at(span.from_s, 0)[0], axes.at(min(span.to_s, axes.to_x), 0)[0]
        draw.rectangle((left, top, max(right - 1, left + 1), bottom), colour)


def _level_grid(draw: ImageDraw.ImageDraw, axes: Axes) -> None:
    for level in np.arange(axes.from_y, axes.to_y + 1, 10):
        y = axes.at(0, level)[1]
        draw.line((axes.left, y, axes.right, y), GRID)
        _text(draw, (axes.left - 6, y), f"{level:.0f}", 13, "rm")


def _time_grid(draw: ImageDraw.ImageDraw, axes: Axes, below: int = 0) -> None:
    step = next((step for step in STEPS if axes.to_x / step <= 12), STEPS[-1])
    for second in np.arange(0, axes.to_x + step / 1e6, step):
        x = axes.at(second, 0)[0]
        draw.line((x, axes.top, x, axes.bottom), GRID)
        _text(draw, (x, axes.bottom + below + 10), _clock_time(second), 13, "mt")


def _legend(draw: ImageDraw.ImageDraw, report: RecordingReport) -> None:
    for x, name, colour in ((900, "before", BEFORE), (1040, "after", AFTER))[: 2 if report.after else 1]:
        draw.line((x, 108, x + 30, 108), colour, 3)
        _text(draw, (x + 38, 100), name, 15)


def _channels(report: RecordingReport) -> list[tuple]:
    return [(report.before, BEFORE), *([(report.after, AFTER)] if report.after else [])]


def _level_range(series: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Return axis limits in multiples of 10 dB that contain all levels, at most 100 dB apart."""
    values = np.concatenate([np.asarray(one) for one in series])
    highest = 10 * np.ceil((values.max() + 1e-9) / 10)
    lowest = 10 * np.floor(max(values.min(), highest - 100) / 10)
    return float(min(lowest, highest - 10)), float(highest)


def _downsampled(levels: Sequence[float], count: int) -> np.ndarray:
    """Return at most `count` levels, averaged in power over neighbours."""
    power = 10 ** (np.asarray(levels) / 10)
    parts = np.array_split(power, min(len(power), count))
    return 10 * np.log10([part.mean() for part in parts])


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{_clock_time(seconds)} {'min' if seconds < 3600 else 'h'}"


def _clock_time(second: float) -> str:
    hours, minutes = divmod(int(second) // 60, 60)
    return f"{hours}:{minutes:02d}:{int(second) % 60:02d}" if hours else f"{minutes}:{int(second) % 60:02d}"


def _text(
    draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, size: int, anchor: str = "lt"
) -> None:
    draw.text(at, text, FOREGROUND, ImageFont.load_default(size), anchor)
