"""Disturbances: their spectra, and which signals they reach."""

from typing import NamedTuple

import numpy as np
import pytest

from anc.dsp import level_dbfs
from iot.controller import NO_FILTER, ActiveFilter, Block, Controller
from iot.fir import Signal
from simulation.acoustic_plant import AcousticPlant, PlantParameters
from simulation.disturbances import NO_DISTURBANCES, Disturbances, chewing, music, reseated, speech, wind
from simulation.playback import BLOCK_S, Simulation
from simulation.scenes import Medley, Noise, Scene

RATE = 16_000
SEAT = PlantParameters(leak=0.2, microphone_dbfs=-300.0)


class Silence:
    def read(self, n: int) -> Signal:
        return np.zeros(n, np.float32)


class BlockRecorder:
    """Records the blocks in place of an agent."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []

    def process(self, block: Block) -> None:
        self.blocks.append(block)

    def signals(self) -> tuple[Signal, Signal]:
        """Return x and e."""
        return np.concatenate([b.x for b in self.blocks]), np.concatenate([b.e for b in self.blocks])


class SimulatedSignals(NamedTuple):
    """Microphone signals, the noise at the ear without and with control, and all sounds of both."""

    x: Signal
    e: Signal
    d: Signal
    residual: Signal
    heard: Signal


def simulate(
    disturbances: Disturbances, seconds: float = 1.0, noise: Noise | None = None, w: ActiveFilter = NO_FILTER
) -> SimulatedSignals:
    """Simulate a headset with one active filter from the start."""
    recorder, controller = BlockRecorder(), Controller(RATE, 8)
    controller.play(w, 0.0)
    simulation = Simulation(
        AcousticPlant(1, RATE, SEAT), noise or Silence(), controller, recorder, disturbances
    )  # type: ignore[arg-type]
    for k in range(int(seconds / BLOCK_S)):
        simulation.process_block(k, start=0.0)
    _, d, residual = simulation.metrics.signals()
    return SimulatedSignals(*recorder.signals(), d, residual, simulation.metrics.heard())


def power_db(samples: Signal, low: float, high: float) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size))) ** 2
    hz = np.fft.rfftfreq(samples.size, 1 / RATE)
    return float(10 * np.log10(spectrum[(hz >= low) & (hz < high)].mean()))


def test_wind_is_low_gusty_and_uncorrelated_between_microphones():
    outside, inside = wind(RATE, 1).read(20 * RATE), wind(RATE, 2).read(20 * RATE)
    assert abs(np.corrcoef(outside, inside)[0, 1]) < 0.1
    assert power_db(outside, 60, 150) > power_db(outside, 500, 1000) + 25
    seconds = [level_dbfs(part) for part in np.split(outside, 40)]
    assert max(seconds) - min(seconds) > 6


def test_wind_reaches_the_microphones_but_not_the_ear():
    signals = simulate(Disturbances(wind_outside=wind(RATE, 1), wind_inside=wind(RATE, 2)))
    assert level_dbfs(signals.x) > -40
    assert level_dbfs(signals.e) > -40
    assert not signals.d.any()
    active = ActiveFilter("w", np.ones(1, np.float32), 1.0)
    filtered = simulate(Disturbances(wind_outside=wind(RATE, 1)), w=active)
    assert level_dbfs(filtered.residual) > -40  # the filter's response to wind reaches the ear


def test_all_sounds_are_heard_as_without_a_filter_and_with_it():
    def everything() -> Disturbances:
        refits = reseated(SEAT, 0.3, leak=0.4)
        return Disturbances(wind(RATE, 1), wind(RATE, 2), speech(RATE, 1), music(RATE, 1), refits)

    clips = ActiveFilter("w", np.full(4, 8.0, np.float32), 1.0)
    without = simulate(everything(), noise=Scene.built_in("cabin", RATE))
    with_it = simulate(everything(), noise=Scene.built_in("cabin", RATE), w=clips)
    np.testing.assert_allclose(with_it.heard, np.stack([without.e, with_it.e], axis=1), atol=1e-5)
    assert level_dbfs(with_it.e) > level_dbfs(without.e) + 3


def test_a_headset_with_feedback_adapts_once_per_block_as_without(monkeypatch: pytest.MonkeyPatch):
    sizes: list[int] = []
    monkeypatch.setattr(Controller, "adapt", lambda self, x, e, y: sizes.append(x.size))
    for feedback_db in (-40.0, -300.0):
        plant = AcousticPlant(1, RATE, PlantParameters(feedback_db=feedback_db))
        simulation = Simulation(plant, Scene.built_in("cabin", RATE), Controller(RATE, 8), BlockRecorder())  # type: ignore[arg-type]
        simulation.process_block(0, start=0.0)
    assert sizes == [int(BLOCK_S * RATE)] * 2


def test_speech_has_its_average_spectrum_and_pauses_between_syllables():
    voice = speech(RATE, 1).read(20 * RATE)
    assert power_db(voice, 250, 600) - power_db(voice, 1800, 2200) == pytest.approx(18, abs=3)
    parts = [level_dbfs(part) for part in np.split(voice, 400)]
    assert np.quantile(parts, 0.95) - np.quantile(parts, 0.05) > 10


def test_speech_reaches_both_microphones_and_is_excluded_from_the_metrics():
    noise = Scene.built_in("cabin", RATE)
    quiet, spoken = simulate(NO_DISTURBANCES, noise=noise), simulate(Disturbances(speech=speech(RATE, 1)))
    assert level_dbfs(spoken.x) > -35
    assert -60 < level_dbfs(spoken.e) < level_dbfs(spoken.x)  # attenuated by the cup
    assert not spoken.d.any()
    assert quiet.d.any()


def test_music_reaches_only_the_error_microphone_less_the_headset_estimate():
    played = music(RATE, 1).read(RATE)
    signals = simulate(Disturbances(music=music(RATE, 1)))
    at_ear = AcousticPlant(1, RATE, SEAT).music(played)
    assert np.abs(signals.x).max() < 1e-9
    assert not signals.residual.any()  # music is not noise
    left = level_dbfs(signals.e) - level_dbfs(at_ear[: signals.e.size])
    assert -45 < left < -10  # limited by the error of the measured path


def test_music_is_made_of_notes():
    spectrum = np.abs(np.fft.rfft(music(RATE, 3).read(20 * RATE))) ** 2
    strongest = np.sort(spectrum)[::-1]
    assert strongest[: strongest.size // 20].sum() > 0.9 * strongest.sum()


def test_chewing_changes_the_leak_without_a_click():
    plant = AcousticPlant(1, RATE, SEAT)
    shut = plant.true_secondary()
    disturbances = Disturbances(refits=chewing(SEAT, 0.1, 2.1))
    leaks = []
    for k in range(int(2.5 / BLOCK_S)):
        disturbances.apply_refits(plant, k * BLOCK_S)
        leaks.append(plant.parameters.leak)
    assert sorted(set(leaks)) == pytest.approx([0.2, 0.35])
    assert np.count_nonzero(np.diff(leaks)) == 6  # three bites in two seconds
    np.testing.assert_array_equal(plant.true_secondary(), shut)
    tone = np.sin(2 * np.pi * 100 * np.arange(5 * RATE) / RATE)
    still, chewed = (
        simulate(disturbances, 2.4, Scene(tone, RATE)).d[RATE // 5 :]
        for disturbances in (NO_DISTURBANCES, Disturbances(refits=chewing(SEAT, 0.1, 2.1)))
    )
    assert np.abs(chewed - still).max() > 0.01 * np.abs(still).max()
    assert np.abs(np.diff(chewed)).max() < 1.5 * np.abs(np.diff(still)).max()


def test_reseating_a_cup_opens_it_briefly_and_changes_the_leak():
    refits = reseated(SEAT, 0.5, leak=0.5)
    assert [move.parameters.leak for move in refits] == [1.0, 0.5]
    unmoved, moved = (
        simulate(disturbances, 1.6, Scene.built_in("street", RATE)).d
        for disturbances in (NO_DISTURBANCES, Disturbances(refits=refits))
    )

    def lets_in_db(from_s: float, until_s: float) -> float:
        part = slice(int(from_s * RATE), int(until_s * RATE))
        return power_db(moved[part], 500, 2000) - power_db(unmoved[part], 500, 2000)

    assert lets_in_db(0.0, 0.5) == 0
    assert lets_in_db(0.6, 0.9) > lets_in_db(1.1, 1.5) + 1 > 1.5


def test_a_medley_continues_each_noise_where_it_stopped():
    whole = Medley.built_in(RATE, 0.25).read(2 * RATE)
    medley = Medley.built_in(RATE, 0.25)
    parts = np.concatenate([medley.read(n) for n in (1, 399, 7600, 15_999, 8001)])
    np.testing.assert_array_equal(parts, whole)
    cabin, engine = Scene.built_in("cabin", RATE).read(8000), Scene.built_in("engine", RATE).read(4000)
    np.testing.assert_array_equal(whole[:4000], cabin[:4000])
    np.testing.assert_array_equal(whole[4000:8000], engine)
    np.testing.assert_array_equal(whole[12_000:16_000], cabin[4000:])


def test_each_seed_gives_different_paths_and_the_same_seed_the_same():
    secondary = [AcousticPlant(seed, RATE).true_secondary() for seed in range(6)]
    far = [np.linalg.norm(a - b) / np.linalg.norm(a) for k, a in enumerate(secondary) for b in secondary[:k]]
    assert min(far) > 0.05
    np.testing.assert_array_equal(AcousticPlant(5, RATE).true_secondary(), secondary[5])
