"""A run of a headset as a picture: what arrived at the ear with and without it, and what happened when."""

from collections.abc import Sequence

from jinja2 import Environment

from simulation.playback import LevelTrace

WIDTH, HEIGHT = 960, 400
LEFT, TOP, RIGHT, BOTTOM = 64, 84, 24, 48
GRID_DB = 10
SHOWN_DB = 50  # what is quieter lies on the floor

SVG = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string("""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {{ width }} {{ height }}"
     font-family="system-ui, sans-serif">
<title>{{ title }}</title>
<rect width="{{ width }}" height="{{ height }}" rx="14" fill="#101826"/>
<text x="{{ left }}" y="36" fill="#f4f7fb" font-size="20" font-weight="600">{{ title }}</text>
<text x="{{ left }}" y="60" fill="#9fb0c7" font-size="14">{{ subtitle }}</text>
{% for y, label in levels %}
<line x1="{{ left }}" x2="{{ right }}" y1="{{ y }}" y2="{{ y }}" stroke="#26344a"/>
<text x="{{ left - 10 }}" y="{{ y + 4 }}" fill="#9fb0c7" font-size="12" text-anchor="end">{{ label }}</text>
{% endfor %}
{% for x, label in seconds %}
<text x="{{ x }}" y="{{ bottom + 22 }}" fill="#9fb0c7" font-size="12" text-anchor="middle">{{ label }}</text>
{% endfor %}
<polygon points="{{ between }}" fill="#34d3b4" opacity=".14"/>
<polyline points="{{ before }}" fill="none" stroke="#ff9d6c" stroke-width="2.2" stroke-linejoin="round"/>
<polyline points="{{ after }}" fill="none" stroke="#34d3b4" stroke-width="2.2" stroke-linejoin="round"/>
{% for x, label in events %}
<line x1="{{ x }}" x2="{{ x }}" y1="{{ top }}" y2="{{ bottom }}" stroke="#f4f7fb"
      stroke-dasharray="3 4" opacity=".55"/>
<text x="{{ x + 8 }}" y="{{ bottom - 10 }}" fill="#f4f7fb" font-size="13">{{ label }}</text>
{% endfor %}
<g font-size="14" font-weight="600" text-anchor="end">
<text x="{{ right }}" y="36" fill="#ff9d6c">without control</text>
<text x="{{ right }}" y="60" fill="#34d3b4">with the platform's filter</text>
</g>
</svg>
""")


def plot_levels(course: LevelTrace, events: Sequence[tuple[float, str]], title: str, subtitle: str) -> str:
    """Return an SVG of the levels at the ear.

    Parameters
    ----------
    course : Course
    events : sequence of (second, text)
        What happened when; drawn as lines.
    title, subtitle : str
    """
    t, before, after = course
    top_db = GRID_DB * (max(before + after) // GRID_DB + 1)
    low_db = max(GRID_DB * (min(before + after) // GRID_DB), top_db - SHOWN_DB)
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def x_of(second: float) -> float:
        return round(LEFT + (second - t[0]) / (t[-1] - t[0]) * (right - LEFT), 1)

    def y_of(level: float) -> float:
        return round(TOP + (top_db - max(level, low_db)) / (top_db - low_db) * (bottom - TOP), 1)

    def points(levels: list[float]) -> list[str]:
        return [f"{x_of(second)},{y_of(level)}" for second, level in zip(t, levels, strict=True)]

    grid = range(int(low_db), int(top_db) + 1, GRID_DB)
    step = max(1, round((t[-1] - t[0]) / 10))
    return SVG.render(
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        right=right,
        top=TOP,
        bottom=bottom,
        title=title,
        subtitle=subtitle,
        levels=[(y_of(level), f"{level} dB") for level in grid],
        seconds=[(x_of(second), f"{second} s") for second in range(int(t[0]) + 1, int(t[-1]) + 1, step)],
        before=" ".join(points(before)),
        after=" ".join(points(after)),
        between=" ".join(points(before) + points(after)[::-1]),
        events=[(x_of(second), label) for second, label in events],
    )
