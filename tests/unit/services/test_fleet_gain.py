"""The benefit of fleet statistics for a new head, in dB and seconds (`pytest -s` prints it).

Eight headsets contribute statistics of a noise. Four others meet it for the first time, without a filter.
Each sends a first or a long snapshot, and its filter is evaluated at the ear afterwards.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from anc.dsp import attenuation_db
from anc.pcm import float_to_int16
from anc.ports import Dependencies
from anc.schemas.snapshot import Snapshot
from anc.services.headsets import control, devices, fleet_statistics
from anc.services.headsets.devices import Registration
from iot.snapshot_scheduler import FIRST_SNAPSHOT_S, SUDDEN_CHANGE_S
from simulation.acoustic_plant import AcousticPlant, EarSignals
from simulation.scenes import SCENES, Scene
from tests.fakes import ALICE, Clock, make_dependencies
from tests.untrained_models import untrained_model

pytestmark = pytest.mark.thorough

SETTLED_S = 0.5
RATE, TAPS = 16_000, 512
CONTRIBUTING_HEADS, NEW_HEADS = range(8), range(100, 104)
LONG_S = 1.0
QUIET_S = (
    SETTLED_S + FIRST_SNAPSHOT_S - SUDDEN_CHANGE_S
)  # duration of noise in a first snapshot, after silence
NOISE = "aircraft"


class Situation:
    """A head in noise, optionally after silence. The seed determines the head and its noise."""

    def __init__(self, scene: str, seed: int, quiet_s: float = 0.0) -> None:
        self.head = AcousticPlant(seed)
        self._noise = Scene.built_in(scene, RATE, seed)
        self._quiet = int(quiet_s * RATE)
        self.process(SETTLED_S)

    def process(self, seconds: float, w: np.ndarray | None = None) -> tuple[np.ndarray, EarSignals]:
        noise = self._noise.read(int(seconds * RATE)).copy()
        noise[: self._quiet] = 0.0
        self._quiet = max(self._quiet - noise.size, 0)
        x = self.head.reference(noise)
        y = np.zeros_like(x) if w is None else np.convolve(x, w)[: x.size].astype(np.float32)
        return x, self.head.ear(noise, y)

    def snapshot(self, seconds: float) -> bytes:
        x, ear = self.process(seconds)
        pcm = float_to_int16(np.stack([x, ear.e], axis=1))
        return Snapshot(1, RATE, len(pcm), "", pcm=pcm).encode()


class Start(NamedTuple):
    """Predicted and true attenuation of a head's first filter, in dB."""

    predicted_db: float
    true_db: float


def register(name: str, head: AcousticPlant, deps: Dependencies) -> None:
    secondary = head.measured_secondary().tolist()
    devices.register(Registration(name, secondary, "twin", RATE, TAPS), ALICE, deps)


def begin(scene: str, seed: int, seconds: float, deps: Dependencies, quiet_s: float = 0.0) -> Start:
    situation = Situation(scene, seed, quiet_s)
    name = f"new-{scene}-{seed}-{int(100 * seconds)}"
    register(name, situation.head, deps)
    control.process_snapshot(name, situation.snapshot(seconds), deps)
    known = deps.controls.get(name)
    assert known is not None
    w = known.filters[0].decode()
    situation.process(0.1, w)  # skips the transient of the time without a filter
    _, ear = situation.process(2.0, w)
    return Start(known.filters[0].predicted_gain_db, attenuation_db(ear.d, ear.residual))


@pytest.fixture(scope="module")
def starts(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[Start]]:
    """Give the first filter of every head in every scene: `first`, `first, fleet` and `long`."""
    folder = tmp_path_factory.mktemp("fleet")
    model = str(untrained_model(folder / "model.npz", alarm=False, label=NOISE))
    found: dict[str, list[Start]] = {"first": [], "first, fleet": [], "long": []}
    for scene in SCENES:
        with_fleet = contributed(scene, folder / scene, model)
        alone = make_dependencies(folder / f"{scene}-alone", Clock(), ml_model_path=model).deps
        for seed in NEW_HEADS:
            found["first"].append(begin(scene, seed, FIRST_SNAPSHOT_S, alone, QUIET_S))
            found["long"].append(begin(scene, seed, LONG_S, alone))
            found["first, fleet"].append(begin(scene, seed, FIRST_SNAPSHOT_S, with_fleet, QUIET_S))
            fleet = fleet_statistics.fleet_key(devices.find(f"new-{scene}-{seed}-100", ALICE, alone), NOISE)
            alone.fleets.delete(fleet_statistics.slot_key(fleet, 0))
            alone.fleet_cache.invalidate("fleets", fleet)
    return found


def contributed(scene: str, folder: Path, model: str) -> Dependencies:
    platform = make_dependencies(folder, Clock(), ml_model_path=model)
    for seed in CONTRIBUTING_HEADS:
        situation = Situation(scene, seed)
        register(f"contributor-{seed}", situation.head, platform.deps)
        control.process_snapshot(f"contributor-{seed}", situation.snapshot(LONG_S), platform.deps)
    assert platform.counts["fleet_contributions"] == len(CONTRIBUTING_HEADS)
    return platform.deps


def mean(starts: list[Start]) -> float:
    return float(np.mean([start.true_db for start in starts]))


def test_a_first_snapshot_with_fleet_statistics_nearly_matches_a_full_second(
    starts: Mapping[str, list[Start]],
) -> None:
    for name, each in starts.items():
        print(
            f"{name:13} {LONG_S if name == 'long' else SUDDEN_CHANGE_S:.2f} s of sound:"
            f" {mean(each):5.1f} dB, worst {min(start.true_db for start in each):5.1f} dB"
        )
    assert mean(starts["first, fleet"]) > mean(starts["long"]) - 2.0


def test_fleet_statistics_do_not_harm_a_new_headset(starts: Mapping[str, list[Start]]) -> None:
    gained = [
        known.true_db - alone.true_db
        for known, alone in zip(starts["first, fleet"], starts["first"], strict=True)
    ]
    assert np.mean(gained) > -0.05
    assert min(gained) > -0.5


def test_the_predicted_gain_of_a_first_filter_is_realistic(starts: Mapping[str, list[Start]]) -> None:
    assert all(start.predicted_db < start.true_db + 6.0 for start in starts["first, fleet"])
