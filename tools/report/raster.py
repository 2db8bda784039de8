"""PNG out of the SVG that our pictures are, with Pillow alone: it brings the font that a machine may lack."""

import io
from collections.abc import Iterator, Mapping
from xml.etree import ElementTree

from PIL import Image, ImageDraw, ImageFont

SCALE = 2  # pixels for one unit of the picture
SMOOTH = 2  # each is the mean of as many again, across and down
ANCHORS = {"start": "ls", "middle": "ms", "end": "rs"}
Attributes = Mapping[str, str]


def png(svg: str) -> bytes:
    """Return a picture as PNG, at two pixels for each of its units.

    Parameters
    ----------
    svg : str
        Of `rect`, `line`, `polyline`, `polygon` and `text`, in groups that are moved and nothing else.

    Raises
    ------
    ValueError
        When it holds anything else.
    """
    root = ElementTree.fromstring(svg)  # noqa: S314  our own
    width, height = (float(number) for number in root.attrib["viewBox"].split()[2:])
    paper = Image.new("RGB", (_fine(width), _fine(height)), "white")
    for name, at, x, y, words in _shapes(root, {}, 0.0, 0.0):
        _paint(paper, name, at, (x, y), words)
    file = io.BytesIO()
    paper.resize((round(width * SCALE), round(height * SCALE)), Image.Resampling.BOX).save(file, "PNG")
    return file.getvalue()


def _shapes(
    parent: ElementTree.Element, inherited: Attributes, x: float, y: float
) -> Iterator[tuple[str, Attributes, float, float, str]]:
    """Yield what is to be painted: its kind, attributes, where it is moved to, and its words."""
    for one in parent:
        name, at = one.tag.rpartition("}")[2], {**inherited, **one.attrib}
        if name == "g":
            moved = at.pop("transform", "translate(0 0)").removeprefix("translate(").rstrip(")").split()
            yield from _shapes(one, at, x + float(moved[0]), y + float(moved[1]))
        elif name != "title":
            yield name, at, x, y, one.text or ""


def _paint(paper: Image.Image, name: str, at: Attributes, moved: tuple[float, float], words: str) -> None:
    def corner(x: str, y: str) -> tuple[float, float]:
        return (_fine(float(at.get(x, 0)) + moved[0]), _fine(float(at.get(y, 0)) + moved[1]))

    pen = ImageDraw.Draw(paper, "RGBA")
    points = [
        (_fine(float(x) + moved[0]), _fine(float(y) + moved[1]))
        for x, y in (pair.split(",") for pair in at.get("points", "").split())
    ]
    opacity = f"{round(255 * float(at.get('opacity', 1))):02x}"
    stroke, fill = (at.get(what, "#000000") + opacity for what in ("stroke", "fill"))
    thick = _fine(float(at.get("stroke-width", 1)))
    if name == "rect":
        left, top = corner("x", "y")
        box = (left, top, left + _fine(float(at["width"])), top + _fine(float(at["height"])))
        pen.rounded_rectangle(box, _fine(float(at.get("rx", 0))), fill)
    elif name == "line":
        pen.line([corner("x1", "y1"), corner("x2", "y2")], stroke, thick)
    elif name == "polyline":
        pen.line(points, stroke, thick, joint="curve")
    elif name == "polygon":
        pen.polygon(points, fill)
    elif name == "text":
        font = ImageFont.load_default(_fine(float(at.get("font-size", 16))))
        pen.text(corner("x", "y"), words, fill, font, ANCHORS[at.get("text-anchor", "start")])
    else:
        raise ValueError(f"{name}: not among what is painted here")


def _fine(units: float) -> int:
    return round(units * SCALE * SMOOTH)
