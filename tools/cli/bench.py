"""`anc bench`: run the benchmarks of `make bench` and write an HTML report."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tools.report.page import embedded_figures, write_page

CHECKOUT = Path(__file__).parents[2]
REQUIRED = ("adafilt", "matplotlib", "numba", "padasip", "pyroomacoustics")
FIGURES = ("dsp-speed.svg", "dsp-delay.svg", "dsp-growth.svg")


class CannotMeasure(RuntimeError):
    """A requirement of the benchmarks is missing, or the run failed."""


def bench(out: Path, sounds: Path | None, quick: bool, show: bool) -> dict[str, Any]:
    """Benchmark the adaptive filters against other libraries and return the results.

    Runs in a separate process: BLAS reads its thread limit when numpy is loaded, which this process has done.

    Parameters
    ----------
    out : Path
        Folder for ``dsp.json``, the figures (SVG and PNG) and ``report.html``.
    sounds : Path, optional
        Folder of recordings; synthetic noise by default.
    quick : bool
        Run fewer rounds.
    show : bool
        Print the tables as they are measured.

    Raises
    ------
    CannotMeasure
    """
    if not (CHECKOUT / "benchmarks").is_dir():
        raise CannotMeasure(
            "the benchmarks are not part of the package; run `anc bench` from a checkout of the repository"
        )
    if missing := [name for name in REQUIRED if find_spec(name) is None]:
        raise CannotMeasure(f"not installed: {', '.join(missing)}; run `make .venv/bench.stamp`")
    command = [sys.executable, "-m", "benchmarks", "--out", str(out.absolute())]
    command += ["--sounds", str(sounds.absolute())] if sounds else []
    command += ["--quick"] if quick else []
    done = subprocess.run(  # noqa: S603  fixed command
        command, cwd=CHECKOUT, check=False, text=True, stdout=None if show else subprocess.DEVNULL
    )
    if done.returncode:
        raise CannotMeasure(f"the benchmarks failed with exit code {done.returncode}")
    results: dict[str, Any] = json.loads((out / "dsp.json").read_text())
    write_page(out / "report.html", "Adaptive filter benchmarks", results, embedded_figures(out, *FIGURES))
    return results
