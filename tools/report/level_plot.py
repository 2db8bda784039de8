"""Plot the levels at the ear over a run, with and without control."""

from collections.abc import Sequence

from matplotlib.ticker import MaxNLocator

from simulation.playback import LevelTrace
from tools.report.figure import (
    AFTER_COLOUR,
    BEFORE_COLOUR,
    GRID_DB,
    TEXT,
    Format,
    Margins,
    decibel_axis,
    place_axes,
    render,
    styled_figure,
)

SIZE_INCHES = (9.6, 4.2)
MAX_RANGE_DB = 50  # lower levels are clipped, so that silence does not flatten the plot


def plot_levels(
    trace: LevelTrace,
    marks: Sequence[tuple[float, str]],
    title: str,
    subtitle: str,
    file_format: Format = "svg",
) -> bytes:
    """Return a plot of the levels at the ear.

    Parameters
    ----------
    trace : LevelTrace
    marks : sequence of (float, str)
        Times in seconds and labels of vertical lines.
    title, subtitle : str
    file_format : {'svg', 'png'}
    """
    seconds, *levels = trace
    top_db = GRID_DB * (max(map(max, levels)) // GRID_DB + 1)
    low_db = max(GRID_DB * (min(map(min, levels)) // GRID_DB), top_db - MAX_RANGE_DB)
    before, after = ([max(level, low_db) for level in curve] for curve in levels)
    with styled_figure(*SIZE_INCHES, title, subtitle) as figure:
        axes = figure.subplots()
        place_axes(figure, Margins(0.72, 0.3, 0.86, 0.56))
        axes.fill_between(seconds, before, after, color=AFTER_COLOUR, alpha=0.14, linewidth=0)
        for curve, colour, label in (
            (before, BEFORE_COLOUR, "without control"),
            (after, AFTER_COLOUR, "with control"),
        ):
            axes.plot(seconds, curve, color=colour, linewidth=2, label=label, gid=label.replace(" ", "-"))
        for second, label in marks:
            axes.axvline(second, color=TEXT, alpha=0.55, linewidth=1, linestyle=(0, (3, 3)))
            axes.annotate(label, (second, low_db), (5, 7), textcoords="offset points", parse_math=False)
        decibel_axis(axes, low_db, top_db)
        axes.set_xlim(seconds[0], seconds[-1])
        axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
        axes.set_xlabel("Time (s)")
        axes.set_ylabel("Level (dBFS)")
        figure.legend(
            *axes.get_legend_handles_labels(),
            loc="upper right",
            bbox_to_anchor=(0.985, 0.965),
            labelcolor="linecolor",
            prop={"weight": "bold", "size": 9.5},
        )
        return render(figure, file_format)
