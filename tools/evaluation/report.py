"""Summarise the trials of an evaluation in one JSON document, which holds every figure of the docs page."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from anc.noise import model_file
from anc.noise.classifier import DEFAULT_MODEL
from simulation.coherence import THIRD_OCTAVES_HZ
from tools.evaluation.control import LIMIT, METHODS, ORACLE, Trial
from tools.evaluation.dataset import ANATOMIES, MISMATCH, PATH_MISMATCH, Family
from tools.evaluation.disturbed import NONE, DisturbedTrial, summarise

PLATFORM = "platform"
STANDARD = (MISMATCH, ANATOMIES)  # families to which the targets apply
NEW_FILTER = "New filter after a change of noise, if one was sent (s)"
MAX_BELOW_BEST_DB, MIN_ABOVE_UNIVERSAL_DB, MAX_PRIVACY_LOSS_DB = 0.5, 4.0, 0.3
MAX_BAND_RISE_DB = 3.0
MAX_FIRST_FILTER_S, MAX_FIRST_FILTER_WITH_FLEET_S, MAX_LOUDER_S = 1.2, 0.3, 0.25


def report(
    trials: Sequence[Trial],
    chosen_on: Sequence[Trial],
    disturbed: tuple[Sequence[DisturbedTrial], Sequence[DisturbedTrial]],
    families: Sequence[Family],
    sounds: str,
    data_split: str,
    command: str,
) -> dict[str, Any]:
    """Return the document.

    Parameters
    ----------
    trials : sequence of Trial
    chosen_on : sequence of Trial
        Trials on training data, on which thresholds were chosen.
    disturbed : two sequences of DisturbedTrial
        Trials with disturbances, on test and on training data.
    families : sequence of Family
    sounds, data_split : str
        Descriptions of the noises and of the split into training and test data.
    command : str
        Command line that repeats the evaluation.
    """
    targets = _targets(trials, [trial for trial in trials if trial.family in STANDARD], chosen_on)
    for side, name in zip(disturbed, ("test", "training"), strict=True):
        if louder := [trial.louder_s for trial in side if trial.disturbance != NONE]:
            targets[f"Longest time louder, disturbances, {name} data (s)"] = _target(
                louder, max, MAX_LOUDER_S
            )
    return {
        "command": command,
        "model": model_file.load(DEFAULT_MODEL).sha256,
        "sounds": sounds,
        "data_split": data_split,
        "trials": len(trials),
        "heads": len({(trial.family, trial.head) for trial in trials}),
        "filters": dict(sum((Counter(trial.counts) for trial in trials), Counter())),
        "targets": targets,
        "families": {
            family.name: {
                "description": family.description,
                "all": _group([one for one in trials if one.family == family.name]),
                "bands": _bands([one for one in trials if one.family == family.name]),
                "noises": {kind: _group(members) for kind, members in _by_kind(trials, family.name).items()},
            }
            for family in families
        },
        "every_trial": [_row(trial) for trial in trials],
        "disturbed": summarise(*disturbed),
        "every_disturbed_trial": [
            {
                **trial._asdict(),
                "attenuation_db": round(trial.attenuation_db, 2),
                "limit_db": round(trial.limit_db, 2),
            }
            for trial in disturbed[0]
        ],
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
        "coherence_limit_db": _mean(trial.coherence_limit_db for trial in trials),
        "methods": {
            method: {
                "settled_db": _mean(trial.methods[method].settled_db for trial in trials),
                "whole_db": _mean(trial.methods[method].whole_db for trial in trials),
                "to_90_percent_s": _median(trial.methods[method].to_90_percent_s for trial in trials),
                "louder_s": max(trial.methods[method].louder_s for trial in trials),
                "trace_db": np.mean([trial.methods[method].trace_db for trial in trials], axis=0)
                .round(1)
                .tolist(),
            }
            for method in METHODS
        },
    }


def _bands(trials: Sequence[Trial]) -> dict[str, Any]:
    """Return the mean over the trials by third octave; None where the noise of every trial has no sound."""

    def mean(name: str) -> list[float | None]:
        bands = zip(*(trial.bands_db[name] for trial in trials), strict=True)
        known = [[value for value in band if value is not None] for band in bands]
        return [_mean(values) if values else None for values in known]

    return {"hz": list(THIRD_OCTAVES_HZ), "db": {name: mean(name) for name in (*METHODS, ORACLE, LIMIT)}}


def _targets(
    all_trials: Sequence[Trial], trials: Sequence[Trial], chosen_on: Sequence[Trial]
) -> dict[str, dict[str, Any]]:
    """Return the targets: for trials in `STANDARD` families, for all trials, and for `chosen_on`."""

    def settled_db(method: str, of: Sequence[Trial]) -> np.ndarray:
        return np.array([trial.methods[method].settled_db for trial in of])

    mismatched = [trial for trial in trials if trial.family == MISMATCH]
    above = settled_db(PLATFORM, mismatched) - settled_db("universal filter", mismatched)
    below = np.array([trial.best_fixed_db for trial in trials]) - settled_db(PLATFORM, trials)
    loss = settled_db(PLATFORM, trials) - settled_db("platform, private", trials)
    louder = [trial.methods[PLATFORM].louder_s for trial in all_trials]
    band_rise = [-min(band for band in trial.bands_db[PLATFORM] if band is not None) for trial in all_trials]
    from_silence = [trial.onset_s["platform, no fleet"] for trial in trials]
    with_fleet = [trial.onset_s[PLATFORM] for trial in trials]
    after_change = [trial.first_filter_s[PLATFORM] for trial in trials]
    targets = {
        f"Above the universal filter, {PATH_MISMATCH:.0%} path mismatch (dB)": _target(
            above.tolist(), _mean, MIN_ABOVE_UNIVERSAL_DB, at_least=True
        ),
        "Below the oracle (dB)": _target(below.tolist(), _mean, MAX_BELOW_BEST_DB),
        "First filter from silence, no fleet data (s)": _target(from_silence, _median, MAX_FIRST_FILTER_S),
        "First filter from silence, fleet data (s)": _target(
            with_fleet, _median, MAX_FIRST_FILTER_WITH_FLEET_S
        ),
        NEW_FILTER: _target(after_change, _median, MAX_FIRST_FILTER_S),
        "Loss in privacy mode (dB)": _target(loss.tolist(), _mean, MAX_PRIVACY_LOSS_DB),
        "Largest rise of a third octave (dB)": _target(band_rise, max, MAX_BAND_RISE_DB),
        "Longest time louder than without control (s)": _target(louder, max, MAX_LOUDER_S),
    }
    if chosen_on:
        louder = [trial.methods[PLATFORM].louder_s for trial in chosen_on]
        targets["Longest time louder, trials on training data (s)"] = _target(louder, max, MAX_LOUDER_S)
    return targets


def _target(
    values: Sequence[float | None],
    typical: Callable[[Iterable[float]], float | None],
    limit: float,
    at_least: bool = False,
) -> dict[str, Any]:
    known = [value for value in values if value is not None]
    met = [value >= limit if at_least else value <= limit for value in known]
    return {
        "limit": limit,
        "typical": typical(known) if known else None,
        "worst": (round(min(known), 2) if at_least else round(max(known), 2)) if known else None,
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
        "coherence_limit_db": round(trial.coherence_limit_db, 2),
        "redesign_db": {name: round(value, 2) for name, value in trial.redesign_db.items()},
        "settled_db": {method: round(trial.methods[method].settled_db, 2) for method in METHODS},
        "louder_s": {method: trial.methods[method].louder_s for method in METHODS},
        "first_filter_s": trial.first_filter_s,
        "onset_s": trial.onset_s,
        "fxnlms_step": trial.fxnlms_step,
    }


def _mean(values: Iterable[float]) -> float:
    return round(float(np.mean(list(values))), 2)


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(float(np.median(known)), 2) if known else None
