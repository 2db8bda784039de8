"""Level plots: correct curves, clipped silence, text as text, and the same bytes for the same run."""

import io
import re
from xml.etree import ElementTree

import pytest
from PIL import Image

from simulation.playback import LevelTrace
from tools.report.figure import PNG_DPI
from tools.report.level_plot import SIZE_INCHES, plot_levels

SVG = "{http://www.w3.org/2000/svg}"


def curves(trace: LevelTrace) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Return the points of both curves, in points from the top left."""
    root = ElementTree.fromstring(plot_levels(trace, [(1.0, "first filter")], "a noise", ""))

    def points(name: str) -> list[tuple[float, float]]:
        path = root.find(f".//{SVG}g[@id='{name}']/{SVG}path")
        assert path is not None
        return [(float(x), float(y)) for x, y in re.findall(r"[ML] (\S+) (\S+)", path.attrib["d"])]

    return points("without-control"), points("with-control")


def test_ten_decibels_have_the_same_height_everywhere() -> None:
    before, after = curves(LevelTrace([0.1, 1.1, 2.1, 3.1], [-20.0] * 4, [-20.0, -30.0, -40.0, -45.0]))
    top = before[0][1]
    heights = [y - top for _, y in after]
    assert heights[0] == 0
    assert heights[1] > 20
    assert heights[2] == pytest.approx(2 * heights[1], abs=0.1)


def test_silence_before_the_noise_does_not_flatten_the_plot() -> None:
    before, after = curves(LevelTrace([0.1, 1.1, 2.1], [-200.0, -20.0, -22.0], [-200.0, -20.0, -40.0]))
    assert after[2][1] - before[2][1] > 60


def test_text_is_escaped_and_stays_text() -> None:
    trace = LevelTrace([0.0, 1.0], [-20.0, -20.0], [-20.0, -21.0])
    svg = plot_levels(trace, [], "</title><script> $x$", "Level & more")
    texts = [text.text for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]
    assert {"</title><script> $x$", "Level & more", "without control", "with control"} <= set(texts)
    assert b"<script>" not in svg


def test_equal_runs_give_equal_files() -> None:
    trace = LevelTrace([0.0, 1.0, 2.0], [-20.0] * 3, [-20.0, -40.0, -40.0])
    for file_format in ("svg", "png"):
        assert plot_levels(trace, [], "a", "b", file_format) == plot_levels(trace, [], "a", "b", file_format)


def test_a_png_has_twice_the_resolution_of_the_screen() -> None:
    trace = LevelTrace([0.0, 1.0], [-20.0, -20.0], [-20.0, -21.0])
    picture = Image.open(io.BytesIO(plot_levels(trace, [], "a noise", "", "png")))
    assert picture.size == tuple(round(PNG_DPI * inches) for inches in SIZE_INCHES)
