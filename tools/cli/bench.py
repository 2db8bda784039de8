"""`anc bench`: the measurements of `make bench`, with a page to look at."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tools.report.page import pictures_in, write_page

CHECKOUT = Path(__file__).parents[2]
NEEDS = ("adafilt", "matplotlib", "numba", "padasip", "pyroomacoustics")
PICTURES = ("dsp-speed.svg", "dsp-delay.svg", "dsp-growth.svg")


class CannotMeasure(RuntimeError):
    """What the measurements need is not here; the message says what to do."""


def bench(out: Path, sounds: Path | None, quick: bool, show: bool) -> dict[str, Any]:
    """Measure the adaptive filters against everyone else's, in a process of its own.

    Its own, since numpy's algebra reads how many threads it may use when it is loaded, and this process has
    loaded it.

    Parameters
    ----------
    out : Path
        Folder for ``dsp.json``, the figures (SVG and PNG) and ``report.html``.
    sounds : Path, optional
        Folder of recordings; synthetic noise without.
    quick : bool
        Fewer rounds.
    show : bool
        Print the tables while they come.

    Raises
    ------
    CannotMeasure
    """
    if not (CHECKOUT / "benchmarks").is_dir():
        raise CannotMeasure(
            "the benchmarks are in the repository, not in the package: run a checkout's `anc`"
        )
    if missing := [name for name in NEEDS if find_spec(name) is None]:
        raise CannotMeasure(f"not installed: {', '.join(missing)}; `make .venv/bench.stamp` does it")
    command = [sys.executable, "-m", "benchmarks", "--out", str(out.absolute())]
    command += ["--sounds", str(sounds.absolute())] if sounds else []
    command += ["--quick"] if quick else []
    done = subprocess.run(  # noqa: S603  our own command
        command, cwd=CHECKOUT, check=False, text=True, stdout=None if show else subprocess.DEVNULL
    )
    if done.returncode:
        raise CannotMeasure(f"the measurement ended with exit code {done.returncode}")
    results: dict[str, Any] = json.loads((out / "dsp.json").read_text())
    write_page(out / "report.html", "Adaptive filters, measured", results, pictures_in(out, *PICTURES))
    return results
