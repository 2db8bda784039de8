"""What else the twin goes through: each thing is what it is called, and reaches what it would reach."""

from typing import NamedTuple

import numpy as np
import pytest

from anc.dsp import level_dbfs
from iot.controller import NO_FILTER, ActiveFilter, Block, Controller
from iot.fir import Signal
from simulation.acoustic_plant import AcousticPlant, PlantParameters
from simulation.disturbances import NO_DISTURBANCES, Disturbances, chewing, reinserted, talking, tune, wind
from simulation.playback import BLOCK_S, Simulation
from simulation.scenes import Medley, Noise, Scene

RATE = 16_000
SEAT = PlantParameters(leak=0.2, microphone_dbfs=-300.0)


class Silence:
    def read(self, n: int) -> Signal:
        return np.zeros(n, np.float32)


class Listener:
    """Takes the blocks that a headset hears, as its agent does."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []

    def process(self, block: Block) -> None:
        self.blocks.append(block)

    def heard(self) -> tuple[Signal, Signal]:
        """Return x and e."""
        return np.concatenate([b.x for b in self.blocks]), np.concatenate([b.e for b in self.blocks])


class Sat(NamedTuple):
    """What the microphones heard, and what of the noise arrived at the ear, without control and with."""

    x: Signal
    e: Signal
    d: Signal
    residual: Signal


def sit(
    around: Disturbances, seconds: float = 1.0, noise: Noise | None = None, w: ActiveFilter = NO_FILTER
) -> Sat:
    """Wear a headset that plays one filter from the beginning on."""
    classifier_stream, controller = Listener(), Controller(RATE, 8)
    controller.play(w, 0.0)
    sitting = Simulation(
        AcousticPlant(1, RATE, SEAT), noise or Silence(), controller, classifier_stream, around
    )  # type: ignore[arg-type]
    for k in range(int(seconds / BLOCK_S)):
        sitting.sound(k, begun=0.0)
    _, d, residual = sitting.score.signals()
    return Sat(*classifier_stream.heard(), d, residual)


def power_db(samples: Signal, low: float, high: float) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size))) ** 2
    hz = np.fft.rfftfreq(samples.size, 1 / RATE)
    return float(10 * np.log10(spectrum[(hz >= low) & (hz < high)].mean()))


def test_wind_is_low_comes_in_gusts_and_is_another_one_at_each_microphone():
    outside, inside = wind(RATE, 1).read(20 * RATE), wind(RATE, 2).read(20 * RATE)
    assert abs(np.corrcoef(outside, inside)[0, 1]) < 0.1
    assert power_db(outside, 60, 150) > power_db(outside, 500, 1000) + 25
    seconds = [level_dbfs(part) for part in np.split(outside, 40)]
    assert max(seconds) - min(seconds) > 6


def test_wind_is_in_what_the_microphones_hear_and_not_in_what_arrives_at_the_ear():
    sat = sit(Disturbances(wind_outside=wind(RATE, 1), wind_inside=wind(RATE, 2)))
    assert level_dbfs(sat.x) > -40
    assert level_dbfs(sat.e) > -40
    assert not sat.d.any()
    blown = sit(Disturbances(wind_outside=wind(RATE, 1)), w=ActiveFilter("w", np.ones(1, np.float32), 1.0))
    assert level_dbfs(blown.residual) > -40  # what the filter plays of the wind, the ear does hear


def test_speech_has_its_average_spectrum_and_pauses_between_syllables():
    voice = talking(RATE, 1).read(20 * RATE)
    assert power_db(voice, 250, 600) - power_db(voice, 1800, 2200) == pytest.approx(18, abs=3)
    parts = [level_dbfs(part) for part in np.split(voice, 400)]
    assert np.quantile(parts, 0.95) - np.quantile(parts, 0.05) > 10


def test_speech_reaches_both_microphones_and_is_no_noise_that_the_score_would_count():
    noise = Scene.built_in("cabin", RATE)
    quiet, spoken = sit(NO_DISTURBANCES, noise=noise), sit(Disturbances(speech=talking(RATE, 1)))
    assert level_dbfs(spoken.x) > -35
    assert -60 < level_dbfs(spoken.e) < level_dbfs(spoken.x)  # the cup keeps some of it out
    assert not spoken.d.any()
    assert quiet.d.any()


def test_music_is_heard_at_the_error_microphone_alone_less_what_the_headset_knows_of_it():
    played = tune(RATE, 1).read(RATE)
    sat = sit(Disturbances(music=tune(RATE, 1)))
    at_ear = AcousticPlant(1, RATE, SEAT).music(played)
    assert np.abs(sat.x).max() < 1e-9
    assert not sat.residual.any()  # the listener wants to hear it
    left = level_dbfs(sat.e) - level_dbfs(at_ear[: sat.e.size])
    assert -45 < left < -10  # as well as the path was measured at enrolment


def test_music_is_made_of_notes():
    spectrum = np.abs(np.fft.rfft(tune(RATE, 3).read(20 * RATE))) ** 2
    strongest = np.sort(spectrum)[::-1]
    assert strongest[: strongest.size // 20].sum() > 0.9 * strongest.sum()


def test_a_jaw_opens_and_shuts_a_leak_and_the_paths_follow_without_a_click():
    head = AcousticPlant(1, RATE, SEAT)
    shut = head.true_secondary()
    around = Disturbances(moves=chewing(SEAT, 0.1, 2.1))
    leaks = []
    for k in range(int(2.5 / BLOCK_S)):
        around.sit(head, k * BLOCK_S)
        leaks.append(head.parameters.leak)
    assert sorted(set(leaks)) == pytest.approx([0.2, 0.35])
    assert np.count_nonzero(np.diff(leaks)) == 6  # three bites in two seconds
    np.testing.assert_array_equal(head.true_secondary(), shut)
    tone = np.sin(2 * np.pi * 100 * np.arange(5 * RATE) / RATE)
    still, chewed = (
        sit(disturbances, 2.4, Scene(tone, RATE)).d[RATE // 5 :]
        for disturbances in (NO_DISTURBANCES, Disturbances(moves=chewing(SEAT, 0.1, 2.1)))
    )
    assert np.abs(chewed - still).max() > 0.01 * np.abs(still).max()
    assert np.abs(np.diff(chewed)).max() < 1.5 * np.abs(np.diff(still)).max()


def test_a_cup_that_is_put_on_anew_lets_everything_in_for_a_moment_and_then_sits_otherwise():
    moves = reinserted(SEAT, 0.5, leak=0.5)
    assert [move.parameters.leak for move in moves] == [1.0, 0.5]
    sat, moved = (
        sit(around, 1.6, Scene.built_in("street", RATE)).d
        for around in (NO_DISTURBANCES, Disturbances(moves=moves))
    )

    def lets_in_db(from_s: float, until_s: float) -> float:
        part = slice(int(from_s * RATE), int(until_s * RATE))
        return power_db(moved[part], 500, 2000) - power_db(sat[part], 500, 2000)

    assert lets_in_db(0.0, 0.5) == 0
    assert lets_in_db(0.6, 0.9) > lets_in_db(1.1, 1.5) + 1 > 1.5


def test_noises_that_switch_go_on_where_they_were_whatever_the_block_length():
    whole = Medley.built_in(RATE, 0.25).read(2 * RATE)
    medley = Medley.built_in(RATE, 0.25)
    parts = np.concatenate([medley.read(n) for n in (1, 399, 7600, 15_999, 8001)])
    np.testing.assert_array_equal(parts, whole)
    cabin, engine = Scene.built_in("cabin", RATE).read(8000), Scene.built_in("engine", RATE).read(4000)
    np.testing.assert_array_equal(whole[:4000], cabin[:4000])
    np.testing.assert_array_equal(whole[4000:8000], engine)
    np.testing.assert_array_equal(whole[12_000:16_000], cabin[4000:])


def test_no_two_heads_have_the_same_paths_and_the_same_head_has_them_again():
    secondary = [AcousticPlant(seed, RATE).true_secondary() for seed in range(6)]
    far = [np.linalg.norm(a - b) / np.linalg.norm(a) for k, a in enumerate(secondary) for b in secondary[:k]]
    assert min(far) > 0.05
    np.testing.assert_array_equal(AcousticPlant(5, RATE).true_secondary(), secondary[5])
