"""Figures of reports: a dark style, and reproducible SVG or PNG output.

Only `tools.report.level_plot` and `tools.evaluation.control_plot` import this module, and only when a command
draws: matplotlib takes half a second to import.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import MultipleLocator

BACKGROUND, GRID, TEXT, MUTED_TEXT = "#101826", "#26344a", "#f4f7fb", "#9fb0c7"
BEFORE_COLOUR, AFTER_COLOUR = "#ff9d6c", "#34d3b4"
GRID_DB = 10
PNG_DPI = 200
CORNER_INCHES = 0.14
STYLE: Any = {
    "svg.hashsalt": "anc",  # fixed element ids
    "svg.fonttype": "none",  # text stays text
    "font.sans-serif": ["DejaVu Sans"],  # matplotlib's own, so that PNG files do not depend on the machine
    "font.size": 9,
    "text.color": TEXT,
    "axes.facecolor": "none",
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED_TEXT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "grid.color": GRID,
    "xtick.color": MUTED_TEXT,
    "ytick.color": MUTED_TEXT,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
}

Format = Literal["svg", "png"]


class Margins(NamedTuple):
    """Distances between the edges of a figure and its axes, in inches."""

    left: float
    right: float
    top: float
    bottom: float


@contextmanager
def styled_figure(width: float, height: float, title: str, subtitle: str) -> Iterator[Figure]:
    """Yield a figure of that size in inches, with a title and a subtitle at its top left."""
    with rc_context(STYLE):
        figure = Figure((width, height), facecolor="none")
        corners = f"round,pad=0,rounding_size={CORNER_INCHES}"
        box: dict[str, Any] = {
            "boxstyle": corners,
            "facecolor": BACKGROUND,
            "edgecolor": "none",
            "zorder": -1,
        }
        figure.add_artist(FancyBboxPatch((0, 0), width, height, transform=figure.dpi_scale_trans, **box))
        left = 0.24 / width
        figure.text(left, 1 - 0.36 / height, title, fontsize=13, fontweight="bold", parse_math=False)
        figure.text(left, 1 - 0.62 / height, subtitle, fontsize=9.5, color=MUTED_TEXT, parse_math=False)
        yield figure


def place_axes(figure: Figure, margins: Margins, **spacing: float) -> None:
    """Set the margins around the axes of a figure; `spacing` is passed to `subplots_adjust`."""
    width, height = figure.get_size_inches()
    figure.subplots_adjust(
        left=margins.left / width,
        right=1 - margins.right / width,
        top=1 - margins.top / height,
        bottom=margins.bottom / height,
        **spacing,
    )


def decibel_axis(axes: Axes, low_db: float, top_db: float) -> None:
    """Show horizontal grid lines every 10 dB, and no vertical ones."""
    axes.set_ylim(low_db, top_db)
    axes.yaxis.set_major_locator(MultipleLocator(GRID_DB))
    axes.grid(visible=False, axis="x")
    axes.set_axisbelow(True)


def render(figure: Figure, file_format: Format) -> bytes:
    """Return a figure as SVG or PNG. Equal figures give equal bytes."""
    file = io.BytesIO()
    metadata = {"Date": None, "Creator": None} if file_format == "svg" else {"Software": None}
    with rc_context(STYLE):
        figure.savefig(file, format=file_format, dpi=PNG_DPI, metadata=metadata)
    return file.getvalue()
