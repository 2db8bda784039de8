"""Plot attenuation over time for each noise, and by third octave for each family of heads."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tools.evaluation.control import LIMIT, ORACLE
from tools.evaluation.metrics import STEP_S
from tools.report.figure import (
    GRID_DB,
    MUTED_TEXT,
    Format,
    Margins,
    decibel_axis,
    place_axes,
    render,
    styled_figure,
)

LINES = {
    "own FxNLMS": ("#b08cff", 1.2, "-"),
    "universal filter": ("#8fa3bd", 1.2, "-"),
    "SFANC": ("#ff9d6c", 1.2, "-"),
    "GFANC": ("#f4d35e", 1.2, "-"),
    "platform, no fleet": ("#5aa9ff", 1.2, (0, (5, 3))),
    "platform, private": ("#ff7ab6", 1.2, (0, (1, 2))),
    "platform": ("#34d3b4", 2.4, "-"),
}
BAND_LINES = {
    LIMIT: ("#f4f7fb", 1.6, (0, (5, 3))),
    ORACLE: ("#f4d35e", 1.2, "-"),
    "own FxNLMS": LINES["own FxNLMS"],
    "universal filter": LINES["universal filter"],
    "platform": LINES["platform"],
}
TICKS_HZ = (63, 125, 250, 500, 1000, 2000, 4000)
BAND_HEIGHT = 3.4
COLUMNS = 3
WIDTH, ROW_HEIGHT = 10.2, 2.1
MARGINS = Margins(0.66, 0.3, 1.0, 0.56)


def plot_attenuation(
    noises: Mapping[str, Mapping[str, Sequence[float]]], title: str, file_format: Format = "svg"
) -> bytes:
    """Return a plot with a panel for each noise and a line for each method.

    Parameters
    ----------
    noises : mapping of str to mapping of str to sequence of float
        By noise and method: attenuation in dB every `STEP_S` seconds, from the change of noise on.
    title : str
    file_format : {'svg', 'png'}
    """
    traces = [trace for methods in noises.values() for trace in methods.values()]
    low_db, top_db = _limits([level for trace in traces for level in trace])
    end_s = (max(map(len, traces)) - 1) * STEP_S
    rows = -(-(len(noises) + 1) // COLUMNS)  # one cell at least is left for the legend
    subtitle = "Mean attenuation over the previous 0.25 s, by time since the change of noise"
    with styled_figure(WIDTH, MARGINS.top + MARGINS.bottom + rows * ROW_HEIGHT, title, subtitle) as figure:
        grid = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False)
        place_axes(figure, MARGINS, wspace=0.1, hspace=0.34)
        for axes, (noise, methods) in zip(grid.flat, noises.items(), strict=False):
            for method, (colour, width, style) in LINES.items():
                trace = [min(max(level, low_db), top_db) for level in methods[method]]
                seconds = [k * STEP_S for k in range(len(trace))]
                layer = 3 if style != "-" else 2  # dashed lines stay visible on solid ones
                style_arguments: dict[str, Any] = {
                    "color": colour,
                    "linewidth": width,
                    "linestyle": style,
                    "zorder": layer,
                }
                axes.plot(seconds, trace, label=method, **style_arguments)
            axes.set_title(noise, loc="left", fontsize=10.5, parse_math=False)
            axes.set_xlim(0, end_s)
            decibel_axis(axes, low_db, top_db)
            axes.tick_params(labelbottom=True)
        unused = grid.flat[len(noises) :]
        for axes in unused:
            axes.axis("off")
        unused[0].legend(
            *grid.flat[0].get_legend_handles_labels(), loc="center left", labelcolor="linecolor", fontsize=9.5
        )
        figure.supxlabel(
            "Time since the change (s)", fontsize=9.5, color=MUTED_TEXT, y=0.16 / figure.get_figheight()
        )
        figure.supylabel("Attenuation (dB)", fontsize=9.5, color=MUTED_TEXT, x=0.18 / WIDTH)
        return render(figure, file_format)


def plot_bands(families: Mapping[str, Mapping[str, Any]], title: str, file_format: Format = "svg") -> bytes:
    """Return a plot with a panel for each family of heads and a line for each of `BAND_LINES`.

    Parameters
    ----------
    families : mapping of str to mapping
        By family: `hz`, the third octaves, and `db`, the attenuation of each line, None without sound.
    title : str
    file_format : {'svg', 'png'}
    """
    curves = [family["db"][name] for family in families.values() for name in BAND_LINES]
    low_db, top_db = _limits([level for curve in curves for level in curve if level is not None])
    subtitle = "Mean attenuation in each third octave, from 1.2 s after a change of noise on"
    with styled_figure(WIDTH, BAND_HEIGHT + MARGINS.top, title, subtitle) as figure:
        panels = figure.subplots(1, len(families), sharey=True, squeeze=False)[0]
        place_axes(figure, MARGINS, wspace=0.08)
        for axes, (family, bands) in zip(panels, families.items(), strict=True):
            for name, (colour, width, style) in BAND_LINES.items():
                levels = [np.nan if level is None else max(level, low_db) for level in bands["db"][name]]
                style_arguments: dict[str, Any] = {"color": colour, "linewidth": width, "linestyle": style}
                axes.plot(bands["hz"], levels, label=name, **style_arguments)
            axes.set_title(family, loc="left", fontsize=10.5, parse_math=False)
            axes.set_xscale("log")
            axes.set_xticks(TICKS_HZ, [f"{hz / 1000:g}k" if hz >= 1000 else str(hz) for hz in TICKS_HZ])
            axes.minorticks_off()
            axes.set_xlim(bands["hz"][0], bands["hz"][-1])
            decibel_axis(axes, low_db, top_db)
        panels[-1].legend(loc="upper right", labelcolor="linecolor", fontsize=9.5)
        figure.supxlabel("Frequency (Hz)", fontsize=9.5, color=MUTED_TEXT, y=0.16 / figure.get_figheight())
        figure.supylabel("Attenuation (dB)", fontsize=9.5, color=MUTED_TEXT, x=0.18 / WIDTH)
        return render(figure, file_format)


def _limits(levels: Sequence[float]) -> tuple[int, int]:
    """Return the ends of the decibel axis: whole steps of the grid, the lower one at least -10 dB."""
    top_db = GRID_DB * (int(max(levels)) // GRID_DB + 1)
    return max(GRID_DB * (int(min(levels)) // GRID_DB), -GRID_DB), top_db
