"""The control path in simulated time, with a bad network and disturbed signals."""

from pathlib import Path

import numpy as np
import pytest

from anc.dsp import level_dbfs
from anc.noise import Classifier, MultichannelClassifier
from simulation.acoustic_plant import AcousticPlant, PlantParameters
from simulation.conditions import CONDITIONS
from simulation.disturbances import Disturbances, chewing, music, reseated, speech, wind
from simulation.network import NetworkConditions
from simulation.playback import DelayedNoise
from simulation.scenes import SCENE_S, SCENES, Medley, Scene
from tools.evaluation.metrics import longest_louder_s
from tools.evaluation.simulated_platform import Run, SimulatedHeadset, SimulatedPlatform

RATE = 16_000
SECONDS = 8.0
BAD_NETWORK = NetworkConditions(one_way_s=0.05, loss=0.3, duplicates=0.4, delayed=0.3)


def run(
    folder: Path, disturbances: Disturbances, conditions: NetworkConditions
) -> tuple[SimulatedPlatform, Run]:
    platform, head = SimulatedPlatform(folder), AcousticPlant(1, RATE)
    platform.register("h1", head)
    noise = DelayedNoise(Medley.built_in(RATE, 3.0), RATE)
    return platform, platform.run("h1", head, noise, SECONDS, disturbances, conditions, slow_timer_s=1.0)


def attenuation_db(run: Run, from_s: float) -> float:
    part = slice(int(from_s * RATE), None)
    return level_dbfs(run.d[part]) - level_dbfs(run.residual[part])


def test_a_bad_network_costs_filters_but_not_consistency(tmp_path: Path) -> None:
    platform, result = run(tmp_path, Disturbances(), BAD_NETWORK)
    assert all(reason.startswith("sequence: ") for reason in result.refused), result.refused  # out of order
    assert (
        result.counts["snapshots_processed"] + len(result.refused) >= result.status.snapshots - 2
    )  # in transit
    assert result.counts["snapshots_processed"] <= result.status.snapshots
    assert result.status.refused == ""
    control = platform.deps.controls.get("h1")
    assert control is not None
    assert result.status.filter_id in {sent.id for sent in control.filters}
    assert attenuation_db(result, from_s=SECONDS - 1) > 8


def test_wind_music_speech_chewing_and_a_refitted_cup_are_tolerated(tmp_path: Path) -> None:
    seat = AcousticPlant(1, RATE).parameters
    disturbances = Disturbances(
        wind(RATE, 1, -20),
        wind(RATE, 2, -25),
        speech(RATE, 1, -10),
        music(RATE, 1, -10),
        [*chewing(seat, 2.0, 4.0), *reseated(seat, 5.0, leak=min(seat.leak + 0.2, 1.0))],
    )
    _, result = run(tmp_path, disturbances, NetworkConditions())
    assert result.refused == []
    assert result.status.filters > 1
    assert np.isfinite(result.residual).all()
    assert attenuation_db(result, from_s=SECONDS - 1) > 3


def test_somebody_who_speaks_hardly_costs_attenuation(tmp_path: Path) -> None:
    # 7 dB in the worst quarter of a second without designs of the headset's own.
    platform, plant = SimulatedPlatform(tmp_path), AcousticPlant(3, RATE)
    platform.register("h1", plant)
    noise = DelayedNoise(Scene.built_in("engine", RATE, 3), RATE)
    result = platform.run("h1", plant, noise, 6.0, Disturbances(speech=speech(RATE, 3, -3)))
    starts = range(2 * RATE, result.d.size - RATE // 4, RATE // 4)
    quarters = [slice(start, start + RATE // 4) for start in starts]
    assert min(level_dbfs(result.d[part]) - level_dbfs(result.residual[part]) for part in quarters) > 11


def test_the_headset_attenuates_with_feedback_into_the_reference_microphone(tmp_path: Path) -> None:
    platform = SimulatedPlatform(tmp_path)
    plant = AcousticPlant(0, RATE, PlantParameters(feedback_db=-40.0))
    platform.register("fed-back", plant)
    result = platform.run("fed-back", plant, DelayedNoise(Scene.built_in("cabin", RATE), RATE), 4.0)
    assert attenuation_db(result, from_s=3.0) > 2


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("condition", "min_db"), [("diffuse field", 14), ("moving sources", 14), ("everything", 10)]
)
def test_the_headset_attenuates_in_hard_acoustics(tmp_path: Path, condition: str, min_db: float) -> None:
    platform, plant = SimulatedPlatform(tmp_path), CONDITIONS[condition].plant(1, RATE)
    disturbances = CONDITIONS[condition].disturbances(plant, 1)
    platform.register("h1", plant)
    noise = DelayedNoise(Scene.built_in("cabin", RATE), RATE)
    result = platform.run("h1", plant, noise, 4.0, disturbances)
    assert result.refused == []
    assert attenuation_db(result, from_s=3.0) > min_db
    assert longest_louder_s(*result.heard.T) <= 0.25
    if condition != "everything":  # whose filter plays speech and wind before the noise begins
        assert longest_louder_s(result.d, result.residual) <= 0.25


def test_an_evaluation_can_register_more_headsets_than_one_listener_may_have(tmp_path: Path) -> None:
    platform, plant = SimulatedPlatform(tmp_path), AcousticPlant(0, RATE)
    for number in range(platform.deps.settings.quota_devices + 1):
        platform.register(f"h{number}", plant)


@pytest.mark.thorough
def test_no_built_in_scene_opens_a_headset(tmp_path: Path) -> None:
    """The detector hears the residual, too, which differs from the scene."""
    platform, head = SimulatedPlatform(tmp_path), AcousticPlant(0, RATE)
    platform.register("h1", head)
    detector = MultichannelClassifier(Classifier.load(), RATE, channels=2)
    noise = DelayedNoise(Medley.built_in(RATE, SCENE_S), RATE)
    headset = SimulatedHeadset(platform, "h1", head, noise, emergency_detector=detector)
    opened = []
    while headset.now < len(SCENES) * SCENE_S:
        headset.play_block()
        if detector.holding:
            opened.append(headset.now)
    assert opened == []
