"""The picture of a run: well-formed, lower where it was quieter, and the same as PNG."""

import io
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from simulation.playback import LevelTrace
from tools.report.level_plot import HEIGHT, WIDTH, plot_levels
from tools.report.raster import SCALE, png

SPACE = "{http://www.w3.org/2000/svg}"


def lines(course: LevelTrace, title: str = "a noise") -> list[list[tuple[float, float]]]:
    drawn = ElementTree.fromstring(plot_levels(course, [(1.0, "a filter & more")], title, ""))
    return [
        [(float(x), float(y)) for x, y in (point.split(",") for point in line.get("points", "").split())]
        for line in drawn.iter(f"{SPACE}polyline")
    ]


def test_what_is_ten_decibels_quieter_lies_lower_by_as_much_everywhere() -> None:
    seconds = [0.1, 1.1, 2.1, 3.1]
    before, after = lines(LevelTrace(seconds, [-20.0] * 4, [-20.0, -30.0, -40.0, -40.0]))
    falls = [low[1] - high[1] for high, low in zip(before, after, strict=True)]
    assert falls[0] == 0
    assert abs(falls[2] - 2 * falls[1]) < 0.2
    assert falls[1] > 20


def test_silence_before_the_noise_does_not_flatten_the_rest() -> None:
    before, after = lines(LevelTrace([0.1, 1.1, 2.1], [-200.0, -20.0, -20.0], [-200.0, -20.0, -40.0]))
    assert after[2][1] - before[2][1] > 80


def test_a_name_cannot_become_part_of_the_picture() -> None:
    assert len(lines(LevelTrace([0.0, 1.0], [-20.0, -20.0], [-20.0, -21.0]), "</title><script>")) == 2


def test_as_png_its_lines_run_where_they_run_as_svg() -> None:
    course = LevelTrace([0.0, 1.0, 2.0], [-20.0] * 3, [-20.0, -40.0, -40.0])
    _, after = lines(course)
    picture = Image.open(io.BytesIO(png(plot_levels(course, [], "a noise", ""))))
    assert picture.size == (SCALE * WIDTH, SCALE * HEIGHT)
    teal = np.all(np.abs(np.asarray(picture).astype(int) - [0x34, 0xD3, 0xB4]) < 8, axis=2)
    x, y = (round(SCALE * (start + end) / 2) for start, end in zip(after[1], after[2], strict=True))
    assert teal[y, x]
    assert not teal[y - 20, x]


def test_what_cannot_be_painted_is_not_left_out_in_silence() -> None:
    with pytest.raises(ValueError, match="circle"):
        png('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><circle r="3"/></svg>')
