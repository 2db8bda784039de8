"""What an evaluation found, as one document: every figure of the page is in it."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tools.evaluation.control import WAYS, Trial
from tools.evaluation.dataset import PATH_MISMATCH, Family

OURS = "platform"
WITHIN_DB, OVER_UNIVERSAL_DB = 1.5, 4.0
FIRST_S, FIRST_KNOWN_S, WORSE_S, PRIVATE_DB = 1.2, 0.3, 0.25, 0.3


def report(
    trials: Sequence[Trial], families: Sequence[Family], sounds: str, learning: str, command: str
) -> dict[str, Any]:
    """Return the document.

    Parameters
    ----------
    trials : sequence of Trial
    families : sequence of Family
    sounds : str
        What was played.
    learning : str
        What else was learned from.
    command : str
        That repeats it.
    """
    return {
        "command": command,
        "sounds": sounds,
        "learning": learning,
        "trials": len(trials),
        "heads": len({(trial.family, trial.head) for trial in trials}),
        "filters": dict(sum((Counter(trial.counts) for trial in trials), Counter())),
        "reach": _reach(trials),
        "families": {
            family.name: {
                "about": family.about,
                "all": _group([one for one in trials if one.family == family.name]),
                "noises": {kind: _group(members) for kind, members in _by_kind(trials, family.name).items()},
            }
            for family in families
        },
        "every_trial": [_row(trial) for trial in trials],
    }


def _by_kind(trials: Sequence[Trial], family: str) -> dict[str, list[Trial]]:
    kinds: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        if trial.family == family:
            kinds[trial.kind].append(trial)
    return kinds


def _group(trials: Sequence[Trial]) -> dict[str, Any]:
    return {
        "trials": len(trials),
        "best_fixed_db": _mean(trial.best_fixed_db for trial in trials),
        "ways": {
            way: {
                "settled_db": _mean(trial.ways[way].settled_db for trial in trials),
                "whole_db": _mean(trial.ways[way].whole_db for trial in trials),
                "to_90_percent_s": _median(trial.ways[way].to_90_percent_s for trial in trials),
                "worse_s": max(trial.ways[way].worse_s for trial in trials),
                "course_db": np.mean([trial.ways[way].course_db for trial in trials], axis=0)
                .round(1)
                .tolist(),
            }
            for way in WAYS
        },
    }


def _reach(trials: Sequence[Trial]) -> dict[str, dict[str, Any]]:
    fits = [trial for trial in trials if trial.family == "fits"]
    over = [trial.ways[OURS].settled_db - trial.ways["universal filter"].settled_db for trial in fits]
    behind = [trial.best_fixed_db - trial.ways[OURS].settled_db for trial in trials]
    without = [trial.onset_s["platform, no fleet"] for trial in trials]
    known = [trial.onset_s[OURS] for trial in trials]
    changed = [trial.first_filter_s[OURS] for trial in trials]
    costs = [trial.ways[OURS].settled_db - trial.ways["platform, private"].settled_db for trial in trials]
    worse = [trial.ways[OURS].worse_s for trial in trials]
    return {
        f"dB over the universal filter, paths changed by {PATH_MISMATCH:.0%}": _target(
            over, _mean, OVER_UNIVERSAL_DB, least=True
        ),
        "dB below the best fixed filter in hindsight": _target(behind, _mean, WITHIN_DB),
        "s to the first filter, out of quiet, without the fleet": _target(without, _median, FIRST_S),
        "s to the first filter, out of quiet, with the fleet": _target(known, _median, FIRST_KNOWN_S),
        "s to the first filter after a change, where the one in use was not kept": _target(
            changed, _median, FIRST_S
        ),
        "dB that privacy mode costs": _target(costs, _mean, PRIVATE_DB),
        "s louder than without control, at a stretch": _target(worse, max, WORSE_S),
    }


def _target(
    values: Sequence[float | None],
    typical: Callable[[Iterable[float]], float | None],
    target: float,
    least: bool = False,
) -> dict[str, Any]:
    known = [value for value in values if value is not None]
    met = [value >= target if least else value <= target for value in known]
    return {
        "target": target,
        "typical": typical(known) if known else None,
        "worst": (round(min(known), 2) if least else round(max(known), 2)) if known else None,
        "met_in": sum(met),
        "of": len(known),
        "none": len(values) - len(known),
    }


def _row(trial: Trial) -> dict[str, Any]:
    return {
        "family": trial.family,
        "head": trial.head,
        "kind": trial.kind,
        "noise": trial.noise,
        "best_fixed_db": round(trial.best_fixed_db, 2),
        "settled_db": {way: round(trial.ways[way].settled_db, 2) for way in WAYS},
        "worse_s": {way: trial.ways[way].worse_s for way in WAYS},
        "first_filter_s": trial.first_filter_s,
        "onset_s": trial.onset_s,
        "fxnlms_step": trial.fxnlms_step,
    }


def _mean(values: Iterable[float]) -> float:
    return round(float(np.mean(list(values))), 2)


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(float(np.median(known)), 2) if known else None
