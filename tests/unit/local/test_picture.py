"""The picture of a run: well-formed, and lower where it was quieter."""

from xml.etree import ElementTree

from iot.player import Course
from local.picture import draw_course

SPACE = "{http://www.w3.org/2000/svg}"


def lines(course: Course, title: str = "a noise") -> list[list[tuple[float, float]]]:
    drawn = ElementTree.fromstring(draw_course(course, [(1.0, "a filter & more")], title, ""))
    return [
        [(float(x), float(y)) for x, y in (point.split(",") for point in line.get("points", "").split())]
        for line in drawn.iter(f"{SPACE}polyline")
    ]


def test_what_is_ten_decibels_quieter_lies_lower_by_as_much_everywhere() -> None:
    seconds = [0.1, 1.1, 2.1, 3.1]
    before, after = lines(Course(seconds, [-20.0] * 4, [-20.0, -30.0, -40.0, -40.0]))
    falls = [low[1] - high[1] for high, low in zip(before, after, strict=True)]
    assert falls[0] == 0
    assert abs(falls[2] - 2 * falls[1]) < 0.2
    assert falls[1] > 20


def test_silence_before_the_noise_does_not_flatten_the_rest() -> None:
    before, after = lines(Course([0.1, 1.1, 2.1], [-200.0, -20.0, -20.0], [-200.0, -20.0, -40.0]))
    assert after[2][1] - before[2][1] > 80


def test_a_name_cannot_become_part_of_the_picture() -> None:
    assert len(lines(Course([0.0, 1.0], [-20.0, -20.0], [-20.0, -21.0]), "</title><script>")) == 2
