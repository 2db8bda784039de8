"""Evaluate the control path: attenuation, reaction time and side effects of each method on each noise."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from anc.dsp import attenuation_db
from anc.noise.classifier import LABELS
from anc.pcm import float_to_int16
from anc.schemas.snapshot import Snapshot
from anc.services.headsets import fleet_statistics
from simulation.acoustic_plant import AcousticPlant
from simulation.coherence import coherence_limit, third_octave_limits_db
from simulation.oracle import best_fixed_filter_residual
from simulation.playback import QUIET_S, DelayedNoise
from simulation.scenes import Medley
from tools.evaluation import baselines
from tools.evaluation.baselines import TrainedBaselines
from tools.evaluation.dataset import PART_S, RATE, SECONDS, Clip, Dataset, Family
from tools.evaluation.metrics import (
    DEADLINE_S,
    Metrics,
    band_attenuation_db,
    first_filter_s,
    measure,
    where_audible,
)
from tools.evaluation.redesign import redesign_db
from tools.evaluation.simulated_platform import MODEL, SimulatedPlatform

CHANGE = int((QUIET_S + PART_S) * RATE)
METHODS = (
    "own FxNLMS",
    "universal filter",
    "SFANC",
    "GFANC",
    "platform, no fleet",
    "platform, private",
    "platform",
)
ORACLE, LIMIT = "oracle", "coherence limit"


class Trial(NamedTuple):
    """One head, and a change from one noise to another.

    Attributes
    ----------
    family, kind, noise : str
        `noise` names the test recording, which follows the change.
    head : int
        Seed of the head.
    best_fixed_db : float
        Attenuation of the best fixed filter for the signals from `DEADLINE_S` on (oracle).
    coherence_limit_db : float
        Attenuation that the coherence of the same signals allows.
    redesign_db : mapping of str to float
        Attenuation of the same signals by designs without delay and errors of measurement; see
        `tools.evaluation.redesign`.
    bands_db : mapping of str to list of float or None
        Attenuation of the same signals by third octave, for each method, `ORACLE` and `LIMIT`; None where the
        noise has no sound.
    methods : mapping of str to Metrics
    first_filter_s : mapping of str to float or None
        By platform variant: time from the change until a new filter is faded in.
    onset_s : mapping of str to float or None
        The same from the start of the first noise.
    fxnlms_step : float
        Best step size of the FxNLMS baseline.
    counts : mapping of str to int
        Filters sent, filters kept in use, filters reverted by the headset, messages refused by the platform.
    """

    family: str
    kind: str
    noise: str
    head: int
    best_fixed_db: float
    coherence_limit_db: float
    redesign_db: Mapping[str, float]
    bands_db: Mapping[str, list[float | None]]
    methods: Mapping[str, Metrics]
    first_filter_s: Mapping[str, float | None]
    onset_s: Mapping[str, float | None]
    fxnlms_step: float
    counts: Mapping[str, int]


def evaluate(noises: Dataset, families: Sequence[Family], advance: Callable[[], None]) -> list[Trial]:
    """Run every method on every noise and head.

    Parameters
    ----------
    noises : Dataset
    families : sequence of Family
    advance : callable
        Called after every trial.
    """
    trials: list[Trial] = []
    for family in families:
        for trial in _family_trials(family, noises):
            trials.append(trial)
            advance()
    return trials


def _family_trials(family: Family, noises: Dataset) -> Iterator[Trial]:
    trained = baselines.train(noises.training, family.laboratory_heads())
    with TemporaryDirectory() as folder:
        with_fleet = SimulatedPlatform(Path(folder) / "with-fleet")
        _contribute(with_fleet, family, noises.training)
        with_fleet.freeze_fleet(_fleet_keys())
        without_fleet = SimulatedPlatform(Path(folder) / "without-fleet")
        without_fleet.freeze_fleet([])
        for k in family.test_noises(noises):
            before, clip = noises.change_to(k)
            for seed in family.test_seeds(k):
                yield _run_trial(family, seed, before, clip, trained, with_fleet, without_fleet)


def _fleet_keys() -> list[str]:
    return [f"{RATE}#{baselines.TAPS}#{noise}#{MODEL}" for noise in LABELS]


def _contribute(platform: SimulatedPlatform, family: Family, clips: Sequence[Clip]) -> None:
    """Have the headsets of the training heads contribute to the fleet statistics."""
    for seed in family.training_heads:
        for k, clip in enumerate(clips):
            platform.now += fleet_statistics.CONTRIBUTION_INTERVAL_S
            head, thing = family.head(seed), f"training-{seed}-{k}"
            platform.register(thing, head)
            noise = clip.read().read(2 * RATE)
            platform.receive(thing, "/snapshot", _snapshot(head, noise))


def _snapshot(head: AcousticPlant, noise: np.ndarray) -> bytes:
    signals = baselines.baseline_signals(head, noise)
    pcm = float_to_int16(np.stack([signals.x, signals.e], axis=1))[-RATE:]
    return Snapshot(1, RATE, len(pcm), "", pcm=pcm).encode()


def _run_trial(
    family: Family,
    seed: int,
    before: Clip,
    clip: Clip,
    trained: TrainedBaselines,
    with_fleet: SimulatedPlatform,
    without_fleet: SimulatedPlatform,
) -> Trial:
    def noise() -> DelayedNoise:
        return DelayedNoise(Medley([before.read(), clip.read()], int(PART_S * RATE)), RATE)

    signals = baselines.baseline_signals(family.head(seed), noise().read(int(SECONDS * RATE)))
    fxnlms, step = baselines.own_fxnlms(signals, slice(CHANGE, None))
    residuals = {
        "own FxNLMS": fxnlms,
        "universal filter": baselines.universal(signals, trained),
        "SFANC": baselines.sfanc(signals, trained),
        "GFANC": baselines.gfanc(signals, trained),
    }
    methods = {name: measure(signals.d, residual, CHANGE) for name, residual in residuals.items()}
    first, onset, runs = {}, {}, []
    for name, platform in zip(METHODS[-3:], (without_fleet, with_fleet, with_fleet), strict=True):
        head, private = family.head(seed), name == "platform, private"
        thing = f"test-{seed}-{clip.name}" + "-private" * private
        platform.register(thing, head)
        run = platform.run(thing, head, noise(), SECONDS, private=private)
        methods[name] = measure(run.d, run.residual, CHANGE)
        residuals[name] = run.residual
        first[name] = first_filter_s(run.played, CHANGE)
        onset[name] = first_filter_s(run.played, int(QUIET_S * RATE))
        runs.append(run)
    span = slice(CHANGE + int(DEADLINE_S * RATE), None)
    x, d = signals.x[span], signals.d[span]
    oracle = best_fixed_filter_residual(signals.x, signals.d, signals.path, span)
    return Trial(
        family.name,
        clip.kind,
        clip.name,
        seed,
        attenuation_db(d, oracle),
        coherence_limit(x, d, RATE).broadband_db,
        redesign_db(signals, CHANGE, span.start),
        {
            **{name: band_attenuation_db(d, residual[span]) for name, residual in residuals.items()},
            ORACLE: band_attenuation_db(d, oracle),
            LIMIT: where_audible(d, third_octave_limits_db(x, d, RATE)),
        },
        {name: methods[name] for name in METHODS},
        first,
        onset,
        step,
        {
            "sent": sum(int(run.counts["filters_sent"]) for run in runs),
            "kept": sum(int(run.counts["filters_kept"]) for run in runs),
            "reverted": sum(run.status.reverted for run in runs),
            "refused": sum(len(run.refused) for run in runs),
        },
    )
