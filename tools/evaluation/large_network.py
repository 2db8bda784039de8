"""Count how often a large tagging network would open the headset in the hours of `anc evaluate false-alarms`.

`python -m tools.evaluation.large_network yamnet.tflite DIR --write docs` adds the result to the page.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from anc.noise.channels import HOP_S, WINDOW_S
from anc.noise.streaming import HOLD_HOPS
from tools.evaluation import everyday_material, false_alarms_report
from tools.evaluation.everyday_material import HOURS, RATE, Clip
from tools.evaluation.false_alarms import SEED
from training.teacher import EMERGENCIES, LENGTH, Teacher

THRESHOLDS = (0.3, 0.5, 0.7)  # of the largest score of an emergency
MINUTES = 20.0


def scores(teacher: Teacher, sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the network's largest score of an emergency in each window of the headset's detector."""
    ends = range(int(WINDOW_S * RATE), len(sound) + 1, int(HOP_S * RATE))
    return np.array([teacher(sound[end - LENGTH : end])[EMERGENCIES].max() for end in ends], np.float32)


def openings(found: NDArray[np.float32], threshold: float) -> int:
    """Return how often a headset would open, with the vote and the hold of its own detector.

    Examples
    --------
    >>> openings(np.array([0.9, 0.9, 0.0, 0.9]), 0.5), openings(np.array([0.9, 0.0, 0.0, 0.9]), 0.5)
    (1, 0)
    """
    over = np.concatenate([[False, False], found >= threshold]).astype(int)
    detected = over[:-2] + over[1:-1] + over[2:] >= 2
    count = hold = 0
    for yes in detected.tolist():
        count += yes and not hold
        hold = HOLD_HOPS if yes else max(hold - 1, 0)
    return count


def measure(teacher: Teacher, clips: Sequence[Clip], minutes: float) -> dict[str, Any]:
    """Return the openings per hour in the first minutes of each hour, at each of `THRESHOLDS`.

    Parameters
    ----------
    teacher : Teacher
    clips : sequence of Clip
        As `tools.evaluation.false_alarms` plays them: the streams are the same.
    minutes : float
        Of each hour.
    """
    hours = {}
    for index, hour in enumerate(track(HOURS, "Hours", console=Console(stderr=True), transient=True)):
        chosen = everyday_material.of_hour(clips, hour)
        if not chosen:
            continue
        rng = np.random.default_rng([SEED, index])
        stream = everyday_material.stream(chosen, hour, minutes * 60, rng)
        sound = np.concatenate([sound for _, sound in stream])
        found = scores(teacher, sound)
        per_hour = 3600 * RATE / len(sound)
        hours[hour] = [round(openings(found, threshold) * per_hour, 1) for threshold in THRESHOLDS]
    return {"minutes": minutes, "thresholds": list(THRESHOLDS), "hours": hours}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", type=Path, help="YAMNet as a TFLite file.")
    parser.add_argument("data", type=Path, help="Folder of recordings, as for `anc evaluate false-alarms`.")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="Minutes of each hour.")
    parser.add_argument(
        "--write", type=Path, help="Folder with false-alarms.json, to which to add the result."
    )
    arguments = parser.parse_args()
    clips = everyday_material.read_clips(arguments.data)
    result = measure(Teacher(arguments.network), clips, arguments.minutes)
    print(json.dumps(result))
    if arguments.write:
        document = json.loads((arguments.write / "false-alarms.json").read_text(encoding="utf-8"))
        false_alarms_report.write(document | {"large_network": result}, arguments.write)


if __name__ == "__main__":
    main()
