"""Put measured figures into the model card: `python -m training.model_card [REPORTS]`.

REPORTS is the folder that `anc train` wrote to; without it, only false alarms and reaction times are updated,
which are read beside the card. With the output of `python -m training.backbone` in ``backbone.json``, its
section is updated, too.
"""

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anc.noise import model_file
from anc.noise.classifier import DEFAULT_MODEL, KINDS
from anc.noise.features import BANDS, WINDOW
from anc.noise.model_file import ModelFile
from training.calibration import MAX_CRIES, MAX_OTHERS
from training.taxonomy import is_negative, kind_of

CARD = Path(__file__).resolve().parents[1] / "docs" / "model-card.md"
Report = dict[str, Any]
ENOUGH = 5  # clips of a class, to say how often it fires
ALL_KINDS = "all kinds"  # a row of the reaction times
NOT_MEASURED = "Not measured with this model yet."
MEASURED_AFTERWARDS = ("false-alarms.json", "alarms.json")  # with the model that ships


def percent(share: float) -> str:
    """Return ``0.934`` as ``93.4 %``."""
    return f"{100 * share:.1f} %"


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def spaced(name: str) -> str:
    """Return the name of a class or collection as it is shown."""
    return name.replace("_", " ")


def model(shipped: ModelFile) -> str:
    """Return what the model was trained on, and its size."""
    about = shipped.about
    rows = [
        ["SHA-256", f"`{shipped.sha256[:12]}`"],
        ["recordings", f"{sum(about['recordings'].values())} of {len(about['recordings'])} collections"],
        ["teacher", str(about.get("teacher") or "none")],
        ["clips, steps, seed", f"{about.get('clips', '-')}, {about.get('steps')}, {about.get('seed')}"],
        ["noise classes", str(len(about["classes"]))],
        ["weights", f"{sum(array.size for array in shipped.arrays.values()):,}"],
        ["multiply-adds of a window", f"{multiply_adds(shipped.arrays) / 1e6:.1f} million"],
        ["threshold, temperature", f"{about['threshold']:.3f}, {about['temperature']:.2f}"],
    ]
    return table(["", ""], rows)


def multiply_adds(arrays: Mapping[str, NDArray[np.floating]]) -> int:
    """Return the multiply-adds for one window: convolutions, heads and memory."""
    depth = sum(name.startswith("conv") and name.endswith(".weight") for name in arrays)
    rows, columns, total = -(-BANDS // 2), -(-WINDOW // 2), 0
    for i in range(depth):
        total += rows * columns * arrays[f"conv{i}.weight"].size
        if 0 < i < depth - 1:
            rows, columns = rows // 2, columns // 2
    dense = [name for name in arrays if name.endswith(".weight") and not name.startswith("conv")]
    return total + sum(arrays[name].size for name in dense)


def accuracy(report: Report) -> str:
    """Return the accuracy per clip with its interval and per window, in each fold and over all."""
    low, high = report["clip_accuracy_95"]
    rows = [
        [str(f["fold"]), str(f["clips"]), percent(f["clip_accuracy"]), percent(f["window_accuracy"])]
        for f in report["folds"]
    ]
    whole = f"**{percent(report['clip_accuracy'])}** ({percent(low)} to {percent(high)})"
    rows.append(["all", str(report["clips"]), whole, f"**{percent(report['window_accuracy'])}**"])
    error = report["calibration_error"]
    after = f"Calibration error: {percent(error['window'])} in windows, {percent(error['clip'])} in clips."
    return table(["left out", "clips", "clips right", "1-s windows right"], rows) + "\n\n" + after


def recall(report: Report) -> str:
    """Return the share of the clips of each class that is named rightly."""
    sizes = {name: sum(row) for name, row in zip(report["classes"], report["confusion"], strict=True)}
    rows = [[spaced(name), str(sizes[name]), percent(r)] for name, r in report["recall"].items()]
    return table(["class", "clips", "right"], rows)


def sources(noise: Report, alarm: Report) -> str:
    """Return noise types and emergencies by collection."""
    rows = []
    for name, counts in alarm["sources"].items():
        right = noise.get("sources", {}).get(name)
        rows.append(
            [
                spaced(name),
                _of(right) if right else "",
                _of(counts["alarms"]) if counts["alarms"][1] else "",
                _of(counts["others"]) if counts["others"][1] else "",
            ]
        )
    return table(["collection", "noise type right", "emergencies that fire", "other clips that fire"], rows)


def _of(counts: list[int]) -> str:
    return f"{counts[0]} of {counts[1]}"


def alarms(report: Report) -> str:
    """Return what fires, rightly and falsely, and at which thresholds."""
    thresholds = ", ".join(f"{value:.3f}" for value in report["thresholds"].values())
    text = (
        f"The thresholds of the folds were {thresholds}: the lowest at which at most {percent(MAX_CRIES)} of"
        f" the crying babies that are only measured and at most {percent(MAX_OTHERS)} of the clips without an"
        " emergency of the other folds fire.\n\n"
    )
    if len(report["thresholds"]) == 1:
        text += "Only one fold was measured: its threshold was chosen on itself.\n\n"
    if false := report.get("false_alarms"):
        low, high = false["clips_95"]
        text += (
            f"Of {false['negative_clips']} clips without an emergency {percent(false['clips'])}"
            f" ({percent(low)} to {percent(high)}) fire; of their single windows"
            f" {percent(false['windows'])} do.\n\n"
        )
    rows = [
        [spaced(name), kind_of(name) or "", _of(counts)] for name, counts in report["clips_fired"].items()
    ]
    return text + table(["class", "emergency", "clips that fire"], rows)


def operating_points(points: list[Report]) -> str:
    """Return how many emergencies would be missed with more and with fewer false alarms."""
    rows = [
        [percent(p["others"]), f"{p['threshold']:.3f}", *(_of(p[kind]) for kind in KINDS)] for p in points
    ]
    return table(["other clips that fire", "threshold", *(f"missed: {kind}" for kind in KINDS)], rows)


def measured(report: Report) -> str:
    """Return which recordings fire that may only be measured."""
    rows = [[spaced(name), kind_of(name) or "", _of(counts)] for name, counts in report.items()]
    after = "The threshold was chosen on the crying babies: their figure is not independent."
    return table(["class", "emergency", "fire"], rows) + "\n\n" + after


def false_alarms(report: Report | None) -> str:
    """Return false alarms per hour and the CPU time of an hour."""
    if report is None:
        return NOT_MEASURED
    rows = [
        [name, f"{hour['minutes']:.0f}", f"{hour['per_hour']:.1f}", _rate(hour["unseen_per_hour"])]
        for name, hour in report["hours"].items()
    ]
    head = ["sound", "minutes", "false alarms per hour", "in recordings that it was not trained on"]
    fired = f"{report['tonal_fired']} of {sum(one['plays'] for one in report['tonal'].values())}"
    return (
        table(head, rows)
        + f"\n\nOf tonal sounds made by formula, {fired} fire. Searching an hour of sound took"
        + f" {report['cpu_s_per_hour']:.0f} s of one core."
    )


def _rate(per_hour: float | None) -> str:
    return "none" if per_hour is None else f"{per_hour:.1f}"


def delays(report: Report | None) -> str:
    """Return the median reaction time to every kind of alarm in the built-in cabin, and how many react."""
    if report is None:
        return NOT_MEASURED
    kinds = next(iter(report["noises"].values()))["kinds"]
    levels = [str(level) for level in report["levels_db"]]
    rows = [
        [
            kind,
            *(
                f"{'never' if one['median_s'] is None else str(one['median_s']) + ' s'}"
                f" ({_of([one['detected'], one['trials']])})"
                for one in (by_level[level] for level in levels)
            ),
        ]
        for kind, by_level in kinds.items()
    ]
    return table(["alarm", *(f"{level} dB" for level in levels)], rows)


def weaknesses(noise: Report, alarm: Report) -> str:
    """Return what the model misses in recordings: alarms, noise types, and sounds that fire falsely most."""
    fired = alarm["clips_fired"]
    missed = [
        f"{spaced(name)} ({total - n} of {total})"
        for name, (n, total) in fired.items()
        if kind_of(name) and n < total
    ]
    false = sorted(
        (name for name, (n, total) in fired.items() if is_negative(name) and n and total >= ENOUGH),
        key=lambda name: -fired[name][0] / fired[name][1],
    )
    weak = sorted((share, name) for name, share in noise["recall"].items())[:3]
    return "\n".join(
        [
            f"- Emergencies that do not fire: {', '.join(missed) or 'none'}.",
            "- Other sounds that fire most often: "
            + (", ".join(f"{spaced(name)} ({_of(fired[name])})" for name in false[:6]) or "none")
            + ".",
            "- Noise types that are named rightly least often: "
            + ", ".join(f"{spaced(name)} ({percent(share)})" for share, name in weak)
            + ".",
        ]
    )


def missed_alarms(reaction: Report | None) -> str:
    """Return which alarms are missed in cabin noise."""
    if reaction is None:
        return f"- Alarms in cabin noise that are missed: {NOT_MEASURED.lower()}"
    level = str(reaction["target_level_db"])
    kinds = next(iter(reaction["noises"].values()))["kinds"]
    late = [
        f"{kind} ({one['trials'] - one['detected']} of {one['trials']})"
        for kind, one in ((kind, by_level[level]) for kind, by_level in kinds.items())
        if one["detected"] < one["trials"] and kind != ALL_KINDS
    ]
    return f"- Alarms at {level} dB in cabin noise that are missed: {', '.join(late) or 'none'}."


def sections(reports: Path | None, card: Path, shipped: ModelFile) -> dict[str, str]:
    """Return the generated text of each section of the card for which there is a report.

    Raises
    ------
    KeyError
        If `reports` has no report on noise types or alarms.
    """
    hours, reaction = (_measured_afterwards(card.parent / name, shipped) for name in MEASURED_AFTERWARDS)
    generated = {
        "false-alarms": false_alarms(hours),
        "delays": delays(reaction),
        "missed-alarms": missed_alarms(reaction),
    }
    if reports:
        generated |= _of_training(reports, shipped)
    return generated


def _of_training(reports: Path, shipped: ModelFile) -> dict[str, str]:
    found = {path.stem: json.loads(path.read_text()) for path in reports.glob("*.json")}
    noise, alarm = found["noise"], found["alarm"]
    generated = {
        "model": model(shipped),
        "noise": accuracy(noise),
        "noise-classes": recall(noise),
        "alarm": alarms(alarm),
        "sources": sources(noise, alarm),
        "weaknesses": weaknesses(noise, alarm),
    }
    if "esc10" in found:
        generated |= {"esc10": accuracy(found["esc10"]), "esc10-classes": recall(found["esc10"])}
    if "operating_points" in alarm:
        generated["operating-points"] = operating_points(alarm["operating_points"])
    if "measured" in found:
        generated["measured"] = measured(found["measured"])
    if "backbone" in found:
        generated["backbone"] = accuracy(found["backbone"])
    return generated


def _measured_afterwards(path: Path, shipped: ModelFile) -> Report | None:
    """Return a report on the model that ships, None if it is on another model."""
    report = json.loads(path.read_text())
    return report if report["model"] == shipped.sha256 else None


def fill(card: str, generated: Mapping[str, str]) -> str:
    """Replace what stands between ``<!-- name -->`` and ``<!-- end -->`` by what was measured.

    Raises
    ------
    ValueError
        If the card has no place for a section.
    """
    for name, text in generated.items():
        mark = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        card, count = mark.subn(lambda m, text=text: f"{m[1]}\n{text}\n\n{m[2]}", card)  # type: ignore[misc]
        if not count:
            raise ValueError(f"{CARD.name}: no place for {name}")
    return card


if __name__ == "__main__":
    generated = sections(Path(sys.argv[1]) if sys.argv[1:] else None, CARD, model_file.load(DEFAULT_MODEL))
    CARD.write_text(fill(CARD.read_text(encoding="utf-8"), generated), encoding="utf-8")
