"""The evaluation of the control path: who takes how much off which noise, how soon, and at what risk."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from anc.noise.classifier import LABELS
from anc.pcm import float_to_int16
from anc.schemas.snapshot import Snapshot
from anc.services.headsets import fleet_statistics
from simulation.acoustic_plant import AcousticPlant
from simulation.oracle import best_fixed_filter_db
from simulation.playback import QUIET_S, DelayedNoise
from simulation.scenes import Medley
from tools.evaluation import baselines
from tools.evaluation.baselines import Trained
from tools.evaluation.dataset import PART_S, RATE, Clip, Dataset, Family
from tools.evaluation.metrics import DEADLINE_S, Figures, figures, first_filter_s
from tools.evaluation.simulated_platform import MODEL, SimulatedPlatform

CHANGE = int((QUIET_S + PART_S) * RATE)
SECONDS = QUIET_S + 2 * PART_S
WAYS = (
    "own FxNLMS",
    "universal filter",
    "SFANC",
    "GFANC",
    "platform, no fleet",
    "platform, private",
    "platform",
)


class Trial(NamedTuple):
    """One head, on which a noise gives way to another one.

    Attributes
    ----------
    family, kind, noise : str
        `noise` names the recording that is judged.
    head : int
        Its seed.
    best_fixed_db : float
        Attenuation by the fixed filter that is best from `DEADLINE_S` on, known only afterwards.
    ways : mapping of str to Figures
    first_filter_s : mapping of str to float or None
        With and without the fleet: until a new filter played in full after the change.
    onset_s : mapping of str to float or None
        The same after the first noise began.
    fxnlms_step : float
        The step that was best.
    counts : mapping of str to int
        Filters that the platform sent, and those it did not since the one in use was as good; filters that
        the headset gave up, and messages that the platform refused.
    """

    family: str
    kind: str
    noise: str
    head: int
    best_fixed_db: float
    ways: Mapping[str, Figures]
    first_filter_s: Mapping[str, float | None]
    onset_s: Mapping[str, float | None]
    fxnlms_step: float
    counts: Mapping[str, int]


def evaluate(
    sounds: Dataset, families: Sequence[Family], progress: Callable[[int, int], None]
) -> list[Trial]:
    """Judge every way to control noise on every noise and head.

    Parameters
    ----------
    sounds : Material
    families : sequence of Family
    progress : callable
        `progress(done, all)`.
    """
    number = sum(len(sounds.judged) * family.pupils for family in families)
    trials: list[Trial] = []
    for family in families:
        for trial in _of_family(family, sounds):
            trials.append(trial)
            progress(len(trials), number)
    return trials


def _of_family(family: Family, sounds: Dataset) -> Iterator[Trial]:
    trained = baselines.train(sounds.taught, family.teaching_heads())
    with TemporaryDirectory() as folder:
        knowing = SimulatedPlatform(Path(folder) / "knowing")
        _teach(knowing, family, sounds.taught)
        knowing.freeze_fleet(_keys())
        alone = SimulatedPlatform(Path(folder) / "alone")
        alone.freeze_fleet([])
        for k, clip in enumerate(sounds.judged):
            before = sounds.judged[k - len(sounds.judged) // 2]  # of another kind
            for seed in family.pupils_for(k):
                yield _try(family, seed, before, clip, trained, knowing, alone)


def _keys() -> list[str]:
    return [f"{RATE}#{baselines.TAPS}#{noise}#{MODEL}" for noise in LABELS]


def _teach(platform: SimulatedPlatform, family: Family, clips: Sequence[Clip]) -> None:
    """Let the teachers' headsets meet the noises, as headsets in use do."""
    for seed in family.teachers:
        for k, clip in enumerate(clips):
            platform.now += fleet_statistics.CONTRIBUTION_INTERVAL_S
            head, thing = family.head(seed), f"teacher-{seed}-{k}"
            platform.register(thing, head)
            noise = clip.read().read(2 * RATE)
            platform.take(thing, "/snapshot", _snapshot(head, noise))


def _snapshot(head: AcousticPlant, noise: np.ndarray) -> bytes:
    sitting = baselines.baseline_signals(head, noise)
    pcm = float_to_int16(np.stack([sitting.x, sitting.e], axis=1))[-RATE:]
    return Snapshot(1, RATE, len(pcm), "", pcm=pcm).encode()


def _try(
    family: Family,
    seed: int,
    before: Clip,
    clip: Clip,
    trained: Trained,
    knowing: SimulatedPlatform,
    alone: SimulatedPlatform,
) -> Trial:
    def noise() -> DelayedNoise:
        return DelayedNoise(Medley([before.read(), clip.read()], int(PART_S * RATE)), RATE)

    sitting = baselines.baseline_signals(family.head(seed), noise().read(int(SECONDS * RATE)))
    judged = slice(CHANGE, None)
    fxnlms, step = baselines.own_fxnlms(sitting, judged)
    left = {
        "own FxNLMS": fxnlms,
        "universal filter": baselines.universal(sitting, trained),
        "SFANC": baselines.sfanc(sitting, trained),
        "GFANC": baselines.gfanc(sitting, trained),
    }
    ways = {name: figures(sitting.d, residual, CHANGE) for name, residual in left.items()}
    first, onset, runs = {}, {}, []
    for name, platform in zip(WAYS[-3:], (alone, knowing, knowing), strict=True):
        head, private = family.head(seed), name == "platform, private"
        thing = f"pupil-{seed}-{clip.name}" + "-private" * private
        platform.register(thing, head)
        run = platform.run(thing, head, noise(), SECONDS, private=private)
        ways[name] = figures(run.d, run.residual, CHANGE)
        first[name] = first_filter_s(run.played, CHANGE)
        onset[name] = first_filter_s(run.played, int(QUIET_S * RATE))
        runs.append(run)
    span = slice(CHANGE + int(DEADLINE_S * RATE), None)
    return Trial(
        family.name,
        clip.kind,
        clip.name,
        seed,
        best_fixed_filter_db(sitting.x, sitting.d, sitting.path, span),
        {name: ways[name] for name in WAYS},
        first,
        onset,
        step,
        {
            "sent": sum(int(run.counts["filters_sent"]) for run in runs),
            "kept": sum(int(run.counts["filters_kept"]) for run in runs),
            "given up": sum(run.status.reverted for run in runs),
            "refused": sum(len(run.refused) for run in runs),
        },
    )
