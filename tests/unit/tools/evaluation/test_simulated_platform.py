"""The whole control path in simulated time: headset, line and platform, on days that are not fair."""

from pathlib import Path

import numpy as np

from anc.dsp import level_dbfs
from simulation.acoustic_plant import AcousticPlant, PlantParameters
from simulation.disturbances import Disturbances, chewing, music, reseated, speech, wind
from simulation.network import NetworkConditions
from simulation.playback import DelayedNoise
from simulation.scenes import Medley, Scene
from tools.evaluation.simulated_platform import Run, SimulatedPlatform

RATE = 16_000
SECONDS = 8.0
FOUL = NetworkConditions(one_way_s=0.05, loss=0.3, duplicates=0.4, delayed=0.3)


def run(folder: Path, around: Disturbances, conditions: NetworkConditions) -> tuple[SimulatedPlatform, Run]:
    platform, head = SimulatedPlatform(folder), AcousticPlant(1, RATE)
    platform.register("h1", head)
    noise = DelayedNoise(Medley.built_in(RATE, 3.0), RATE)
    return platform, platform.run("h1", head, noise, SECONDS, around, conditions, slow_timer_s=1.0)


def attenuation_db(run: Run, from_s: float) -> float:
    part = slice(int(from_s * RATE), None)
    return level_dbfs(run.d[part]) - level_dbfs(run.residual[part])


def test_a_line_that_loses_repeats_and_delays_costs_filters_and_nothing_else(tmp_path: Path) -> None:
    platform, told = run(tmp_path, Disturbances(), FOUL)
    assert all(reason.startswith("sequence: ") for reason in told.refused), told.refused  # overtaken
    assert told.counts["snapshots_processed"] + len(told.refused) >= told.status.snapshots - 2  # under way
    assert told.counts["snapshots_processed"] <= told.status.snapshots
    assert told.status.refused == ""
    known = platform.deps.controls.get("h1")
    assert known is not None
    assert told.status.filter_id in {sent.id for sent in known.filters}
    assert attenuation_db(told, from_s=SECONDS - 1) > 8


def test_wind_music_talk_a_jaw_and_a_cup_put_on_anew_are_lived_through(tmp_path: Path) -> None:
    seat = AcousticPlant(1, RATE).parameters
    around = Disturbances(
        wind(RATE, 1, -20),
        wind(RATE, 2, -25),
        speech(RATE, 1, -10),
        music(RATE, 1, -10),
        [*chewing(seat, 2.0, 4.0), *reseated(seat, 5.0, leak=min(seat.leak + 0.2, 1.0))],
    )
    _, told = run(tmp_path, around, NetworkConditions())
    assert told.refused == []
    assert told.status.filters > 1
    assert np.isfinite(told.residual).all()
    assert attenuation_db(told, from_s=SECONDS - 1) > 3


def test_with_feedback_into_the_reference_microphone_the_headset_still_helps(tmp_path: Path) -> None:
    platform = SimulatedPlatform(tmp_path)
    plant = AcousticPlant(0, RATE, PlantParameters(feedback_db=-40.0))
    platform.register("fed-back", plant)
    told = platform.run("fed-back", plant, DelayedNoise(Scene.built_in("cabin", RATE), RATE), 4.0)
    assert attenuation_db(told, from_s=3.0) > 2
