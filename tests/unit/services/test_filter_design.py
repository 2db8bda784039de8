"""Which filter a snapshot gets."""

import numpy as np
import pytest

from anc.dsp import Statistics, design_control_filter
from anc.headset_records import Control
from anc.pcm import float_to_int16
from anc.schemas.snapshot import Snapshot
from anc.services.headsets import filter_design, fleet_statistics
from anc.services.headsets.fleet_statistics import Neighbour
from tests.fakes import FakePlatform
from tests.unit.services.test_fleet_statistics import NOISE, RATE, TAPS, Plant, register


@pytest.mark.parametrize("treble", [0.0, 20.0], ids=["harmless", "amplifies weak bands"])
def test_a_filter_of_the_fleet_that_amplifies_a_weak_band_is_not_sent(
    treble: float, platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant = Plant(1)
    x = plant.process(0.1, seed=1)[0]
    x += 1e-3 * np.random.default_rng(2).standard_normal(x.size)
    d = np.convolve(x, plant.primary)[: x.size]
    good = design_control_filter(x, d, plant.secondary, TAPS, rate=RATE).taps
    of_fleet = good + np.pad(treble * np.array([1, -4, 6, -4, 1]) / 16, (0, TAPS - 5))
    statistics = Statistics.measure(x, d, plant.secondary, TAPS, RATE)
    neighbour = Neighbour(statistics, of_fleet, gain_db=99.0)
    monkeypatch.setattr(fleet_statistics, "nearest", lambda *_: neighbour)
    pcm = float_to_int16(np.stack([x, d], axis=1))
    snapshot = Snapshot(1, RATE, len(pcm), "", pcm=pcm)
    design = filter_design.design_filter(
        snapshot, register("one", plant, platform.deps), Control(key="one"), NOISE, platform.deps
    )
    assert (design.w is of_fleet) == (treble == 0.0)
