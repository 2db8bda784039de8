"""Evaluate the platform with speech, music, wind, feedback and a cup that moves."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from anc.dsp import attenuation_db
from simulation.coherence import coherence_limit
from simulation.conditions import CONDITIONS, Condition
from simulation.playback import QUIET_S, DelayedNoise
from simulation.scenes import Medley
from tools.evaluation.dataset import NOISE_STEP, PART_S, RATE, SECONDS, Clip, Dataset
from tools.evaluation.metrics import DEADLINE_S, longest_louder_s
from tools.evaluation.simulated_platform import SimulatedPlatform

NONE, EVERYTHING = "none", "everything"
FIELDS = ("one direction", "diffuse field")
DISTURBANCES = ("speech", "music", "wind", "feedback", "chewing", "cup put on again")


class DisturbedTrial(NamedTuple):
    """One head in one condition, and a change from one noise to another.

    Attributes
    ----------
    field, disturbance : str
    noise : str
        The recording after the change.
    head : int
        Seed of the head.
    attenuation_db : float
        Attenuation of the noise from `DEADLINE_S` after the start of the first noise to the end. Wind that
        the driver plays counts as noise, speech does not.
    limit_db : float
        Attenuation that the coherence of the same signals allows, with wind and feedback at the reference
        microphone.
    louder_s : float
        The longest time in which all sounds at the error microphone were louder than without control.
    noise_louder_s : float
        The same of the noise alone, from its start on.
    reverted : int
        Filters that the headset reverted.
    """

    field: str
    disturbance: str
    noise: str
    head: int
    attenuation_db: float
    limit_db: float
    louder_s: float
    noise_louder_s: float
    reverted: int


class Situation(NamedTuple):
    """A sound field, a disturbance, and the condition that they make."""

    field: str
    disturbance: str
    condition: Condition


def situations() -> list[Situation]:
    """Return each sound field without and with each disturbance, and moving sources with all at once."""
    moving = "moving sources"
    return [
        *(
            Situation(field, name, replace(CONDITIONS.get(name, Condition()), field=CONDITIONS[field].field))
            for field in FIELDS
            for name in (NONE, *DISTURBANCES)
        ),
        Situation(moving, NONE, CONDITIONS[moving]),
        Situation(moving, EVERYTHING, CONDITIONS[EVERYTHING]),
    ]


def number_of_trials(noises: Dataset, situations: Sequence[Situation]) -> int:
    """Return how many trials `evaluate` runs."""
    return len(situations) * len(_indices(noises))


def evaluate(
    noises: Dataset, situations: Sequence[Situation], first_seed: int, advance: Callable[[], None]
) -> list[DisturbedTrial]:
    """Run the platform, without fleet statistics, in every situation on every third test noise.

    Parameters
    ----------
    noises : Dataset
    situations : sequence of Situation
    first_seed : int
        Of the heads and disturbances; each noise has a head of its own.
    advance : callable
        Called after every trial.
    """
    trials: list[DisturbedTrial] = []
    for situation in situations:
        for k in _indices(noises):
            trials.append(run_trial(situation, *noises.change_to(k), first_seed + k))
            advance()
    return trials


def _indices(noises: Dataset) -> range:
    return range(0, len(noises.test), NOISE_STEP)


def run_trial(situation: Situation, before: Clip, clip: Clip, seed: int) -> DisturbedTrial:
    """Run the platform on one head, in a change from noise `before` to `clip`."""
    field, disturbance, condition = situation
    head = condition.plant(seed, RATE)
    noise = DelayedNoise(Medley([before.read(), clip.read()], int(PART_S * RATE)), RATE)
    with TemporaryDirectory() as folder:
        platform = SimulatedPlatform(Path(folder) / "platform")
        platform.freeze_fleet([])
        platform.register("headset", head)
        run = platform.run("headset", head, noise, SECONDS, condition.disturbances(head, seed))
    onset, start = int(QUIET_S * RATE), int((QUIET_S + DEADLINE_S) * RATE)
    return DisturbedTrial(
        field,
        disturbance,
        clip.name,
        seed,
        attenuation_db(run.d[start:], run.residual[start:]),
        coherence_limit(run.x[start:], run.d[start:], RATE).broadband_db,
        longest_louder_s(*run.heard.T),
        longest_louder_s(run.d[onset:], run.residual[onset:]),
        run.status.reverted,
    )


def summarise(trials: Sequence[DisturbedTrial], chosen_on: Sequence[DisturbedTrial]) -> list[dict[str, Any]]:
    """Return a row for each condition.

    Parameters
    ----------
    trials : sequence of DisturbedTrial
    chosen_on : sequence of DisturbedTrial
        Trials on training data.
    """
    rows = []
    for field, disturbance in dict.fromkeys((trial.field, trial.disturbance) for trial in trials):
        with_it, without = _by_noise(trials, field, disturbance), _by_noise(trials, field, NONE)
        lost = [without[noise].attenuation_db - trial.attenuation_db for noise, trial in with_it.items()]
        aside = _by_noise(chosen_on, field, disturbance).values()
        rows.append(
            {
                "field": field,
                "disturbance": disturbance,
                "trials": len(lost),
                "attenuation_db": round(fmean(trial.attenuation_db for trial in with_it.values()), 2),
                "limit_db": round(fmean(trial.limit_db for trial in with_it.values()), 2),
                "lost_db": round(fmean(lost), 2),
                "most_lost_db": round(max(lost), 2),
                "louder_s": max(trial.louder_s for trial in with_it.values()),
                "noise_louder_s": max(trial.noise_louder_s for trial in with_it.values()),
                "training_louder_s": max((trial.louder_s for trial in aside), default=None),
                "reverted": sum(trial.reverted for trial in with_it.values()),
            }
        )
    return rows


def _by_noise(trials: Sequence[DisturbedTrial], field: str, disturbance: str) -> dict[str, DisturbedTrial]:
    return {
        trial.noise: trial for trial in trials if (trial.field, trial.disturbance) == (field, disturbance)
    }
