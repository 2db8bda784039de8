"""Attenuation over time, noise by noise, as one picture."""

from collections.abc import Mapping, Sequence

from jinja2 import Environment

from tools.evaluation.metrics import STEP_S

COLOURS = {
    "own FxNLMS": "#b08cff",
    "universal filter": "#8fa3bd",
    "SFANC": "#ff9d6c",
    "GFANC": "#f4d35e",
    "platform, no fleet": "#5aa9ff",
    "platform, private": "#ff7ab6",
    "platform": "#34d3b4",
}
COLUMNS, WIDTH, HEIGHT, GAP = 3, 300, 170, 46
LEFT, TOP = 52, 122
GRID_DB = 10

SVG = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string("""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {{ width }} {{ height }}"
     font-family="system-ui, sans-serif">
<title>{{ title }}</title>
<rect width="{{ width }}" height="{{ height }}" rx="14" fill="#101826"/>
<text x="24" y="36" fill="#f4f7fb" font-size="20" font-weight="600">{{ title }}</text>
<text x="24" y="58" fill="#9fb0c7" font-size="13">dB taken off, over the last quarter second; \
seconds since the noise became this one</text>
{% for x, name, colour in key %}
<text x="{{ x }}" y="82" fill="{{ colour }}" font-size="14" font-weight="600">{{ name }}</text>
{% endfor %}
{% for panel in panels %}
<g transform="translate({{ panel.x }} {{ panel.y }})">
<text y="-8" fill="#f4f7fb" font-size="14">{{ panel.name }}</text>
{% for y, label in panel.levels %}
<line x1="0" x2="{{ w }}" y1="{{ y }}" y2="{{ y }}" stroke="#26344a"/>
<text x="-6" y="{{ y + 4 }}" fill="#9fb0c7" font-size="11" text-anchor="end">{{ label }}</text>
{% endfor %}
{% for x, label in seconds %}
<text x="{{ x }}" y="{{ h + 16 }}" fill="#9fb0c7" font-size="11" text-anchor="middle">{{ label }}</text>
{% endfor %}
{% for colour, points in panel.lines %}
<polyline points="{{ points }}" fill="none" stroke="{{ colour }}" stroke-width="1.8" stroke-linejoin="round"/>
{% endfor %}
</g>
{% endfor %}
</svg>
""")


def plot_levels(noises: Mapping[str, Mapping[str, Sequence[float]]], title: str) -> str:
    """Return an SVG with a panel for each noise.

    Parameters
    ----------
    noises : mapping of str to mapping of str to sequence of float
        By noise and way, attenuation in dB every `STEP_S` seconds from the change on.
    title : str
    """
    courses = [course for ways in noises.values() for course in ways.values()]
    top = GRID_DB * (int(max(map(max, courses))) // GRID_DB + 1)
    low = max(GRID_DB * (int(min(map(min, courses))) // GRID_DB), -GRID_DB)
    seconds = (len(courses[0]) - 1) * STEP_S

    def y_of(level: float) -> float:
        return round((top - min(max(level, low), top)) / (top - low) * HEIGHT, 1)

    def line(course: Sequence[float]) -> str:
        return " ".join(f"{k * STEP_S / seconds * WIDTH:.1f},{y_of(db)}" for k, db in enumerate(course))

    rows = -(-len(noises) // COLUMNS)
    return SVG.render(
        width=LEFT + COLUMNS * (WIDTH + GAP),
        height=TOP + rows * (HEIGHT + GAP) + 8,
        w=WIDTH,
        h=HEIGHT,
        title=title,
        key=_key(),
        seconds=[(round(s / seconds * WIDTH, 1), f"{s} s") for s in range(int(seconds) + 1)],
        panels=[
            {
                "x": LEFT + k % COLUMNS * (WIDTH + GAP),
                "y": TOP + k // COLUMNS * (HEIGHT + GAP),
                "name": name,
                "levels": [(y_of(db), db) for db in range(low, top + 1, GRID_DB)],
                "lines": [(colour, line(ways[way])) for way, colour in COLOURS.items()],
            }
            for k, (name, ways) in enumerate(noises.items())
        ],
    )


def _key() -> list[tuple[int, str, str]]:
    at, key = 24, []
    for name, colour in COLOURS.items():
        key.append((at, name, colour))
        at += 9 * len(name) + 22
    return key
