"""A report as a picture: level over time, spectrum, noise and alarms.

Drawn with Pillow alone: Matplotlib would not fit into the layer beside the rest.
"""

import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from anc.services.sound.report import RecordingReport
from anc.services.sound.timeline import AlarmSpan, NoiseSpan

WIDTH, HEIGHT = 1200, 900
PAPER, INK, GRID = "#ffffff", "#1f2933", "#d9dfe5"
BEFORE, AFTER, ALARM = "#c2410c", "#1d6fa5", "#d90429"
# Okabe and Ito's palette, which people with any colour vision tell apart, and grey.
PALETTE = ("#56b4e9", "#e69f00", "#009e73", "#f0e442", "#0072b2", "#cc79a7", "#999999", "#d55e00", "#000000")
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)


class Box(NamedTuple):
    """Where a diagram lies on the paper, and what its edges mean."""

    left: int
    top: int
    right: int
    bottom: int
    from_x: float
    to_x: float
    from_y: float
    to_y: float

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return the point of the paper where a value lies."""
        across = (x - self.from_x) / (self.to_x - self.from_x)
        up = (y - self.from_y) / (self.to_y - self.from_y)
        return self.left + across * (self.right - self.left), self.bottom - up * (self.bottom - self.top)


def plot_report(report: RecordingReport) -> bytes:
    """Return a PNG of 1200 by 900 that shows a report. In ASCII: Pillow's own font has little more."""
    paper = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    pen = ImageDraw.Draw(paper)
    _text(pen, (60, 36), _headline(report), 22)
    _levels(pen, report)
    _spectrum(pen, report)
    _timeline(pen, report)
    file = io.BytesIO()
    paper.quantize(64).save(file, "PNG", optimize=True)
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


def _levels(pen: ImageDraw.ImageDraw, report: RecordingReport) -> None:
    channels = _channels(report)
    lowest, highest = _range([level.by_second_dbfs for level, _ in channels])
    box = Box(60, 130, 1160, 360, 0.0, max(report.seconds, 1.0), lowest, highest)
    _text(pen, (60, 98), "level, dBFS", 16)
    _rules(pen, box)
    _seconds(pen, box)
    for level, colour in channels:
        heights = np.maximum(_thinned(level.by_second_dbfs, box.right - box.left), lowest)
        seconds = (np.arange(len(heights)) + 0.5) * len(level.by_second_dbfs) / len(heights)
        ends = [*zip(np.minimum(seconds, report.seconds), heights, strict=True)]
        # A recording of one second is a level, not a course: it is drawn from edge to edge.
        ends = [(0.0, heights[0]), *ends, (report.seconds, heights[-1])]
        pen.line([box.at(x, y) for x, y in ends], colour, 2)
    _key(pen, report)


def _spectrum(pen: ImageDraw.ImageDraw, report: RecordingReport) -> None:
    channels = _channels(report)
    lowest, highest = _range([[*level.thirds_dbfs.values()] for level, _ in channels])
    names = [*report.before.thirds_dbfs]
    box = Box(60, 440, 1160, 650, 0, len(names), lowest, highest)
    _text(pen, (60, 408), "third octaves, dBFS over Hz", 16)
    _rules(pen, box)
    for i, name in enumerate(names):
        if i % 3 == 1:
            _text(pen, (box.at(i + 0.5, lowest)[0], box.bottom + 4), name, 13, "mt")
    for level, colour in channels:
        stairs = [
            box.at(i + side, max(value, lowest))
            for i, value in enumerate(level.thirds_dbfs.values())
            for side in (0, 1)
        ]
        pen.line(stairs, colour, 2)


def _timeline(pen: ImageDraw.ImageDraw, report: RecordingReport) -> None:
    box = Box(60, 730, 1160, 790, 0.0, max(report.seconds, 1.0), 0.0, 1.0)
    _text(pen, (60, 698), _said(report), 16)
    _seconds(pen, box, 26)
    labels = sorted({span.label for span in report.noise or ()})
    colours = {label: PALETTE[i % len(PALETTE)] for i, label in enumerate(labels)}
    _spans(pen, box, 0, report.noise or (), [colours[span.label] for span in report.noise or ()])
    _spans(pen, box, 64, report.emergencies or (), [ALARM] * len(report.emergencies or ()))
    x = 60.0
    alarms = ", ".join(sorted({span.kind for span in report.emergencies or ()}))
    for name, colour in [*colours.items(), *([(alarms, ALARM)] if alarms else [])]:
        pen.rectangle((x, 858, x + 14, 872), colour)
        _text(pen, (x + 20, 857), name, 15)
        x += 40 + pen.textlength(name, ImageFont.load_default(15))


def _said(report: RecordingReport) -> str:
    if report.noise is None:
        return "noise: nobody listened"
    return "noise, and alarms below it" if report.noise else "noise: too short a recording to tell"


def _spans(
    pen: ImageDraw.ImageDraw,
    box: Box,
    below: int,
    spans: Sequence[NoiseSpan | AlarmSpan],
    colours: Sequence[str],
) -> None:
    top, bottom = (box.top, box.bottom) if not below else (box.top + below, box.bottom + 22)
    for span, colour in zip(spans, colours, strict=True):
        left, right = box.at(span.from_s, 0)[0], box.at(min(span.to_s, box.to_x), 0)[0]
        pen.rectangle((left, top, max(right - 1, left + 1), bottom), colour)


def _rules(pen: ImageDraw.ImageDraw, box: Box) -> None:
    for level in np.arange(box.from_y, box.to_y + 1, 10):
        y = box.at(0, level)[1]
        pen.line((box.left, y, box.right, y), GRID)
        _text(pen, (box.left - 6, y), f"{level:.0f}", 13, "rm")


def _seconds(pen: ImageDraw.ImageDraw, box: Box, below: int = 0) -> None:
    step = next((step for step in STEPS if box.to_x / step <= 12), STEPS[-1])
    for second in np.arange(0, box.to_x + step / 1e6, step):
        x = box.at(second, 0)[0]
        pen.line((x, box.top, x, box.bottom), GRID)
        _text(pen, (x, box.bottom + below + 10), _clock(second), 13, "mt")


def _key(pen: ImageDraw.ImageDraw, report: RecordingReport) -> None:
    for x, name, colour in ((900, "before", BEFORE), (1040, "after", AFTER))[: 2 if report.after else 1]:
        pen.line((x, 108, x + 30, 108), colour, 3)
        _text(pen, (x + 38, 100), name, 15)


def _channels(report: RecordingReport) -> list[tuple]:
    return [(report.before, BEFORE), *([(report.after, AFTER)] if report.after else [])]


def _range(series: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Whole tens that hold every level; what lies over 100 dB below the top is cut off at the bottom."""
    values = np.concatenate([np.asarray(one) for one in series])
    highest = 10 * np.ceil((values.max() + 1e-9) / 10)
    lowest = 10 * np.floor(max(values.min(), highest - 100) / 10)
    return float(min(lowest, highest - 10)), float(highest)


def _thinned(levels: Sequence[float], most: int) -> np.ndarray:
    """At most so many levels: means of power over neighbours."""
    power = 10 ** (np.asarray(levels) / 10)
    parts = np.array_split(power, min(len(power), most))
    return 10 * np.log10([part.mean() for part in parts])


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{_clock(seconds)} {'min' if seconds < 3600 else 'h'}"


def _clock(second: float) -> str:
    hours, minutes = divmod(int(second) // 60, 60)
    return f"{hours}:{minutes:02d}:{int(second) % 60:02d}" if hours else f"{minutes}:{int(second) % 60:02d}"


def _text(
    pen: ImageDraw.ImageDraw, at: tuple[float, float], text: str, size: int, anchor: str = "lt"
) -> None:
    pen.text(at, text, INK, ImageFont.load_default(size), anchor)
