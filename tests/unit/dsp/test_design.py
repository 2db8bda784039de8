"""Designed control filters: attenuation, predicted gain and design from statistics."""

import numpy as np
import pytest

from anc.dsp import (
    Statistics,
    attenuation_db,
    design_control_filter,
    design_for_priors,
    design_from_statistics,
    identify_secondary,
    recover_primary,
)

RATE = 16_000


class Head:
    """Noise at a headset with short primary and secondary paths and microphone noise."""

    def __init__(self, seed, seconds=3, microphone_noise=0.03, hum=0.0):
        self.rng = np.random.default_rng(seed)
        n = RATE * seconds
        self.P = self.path(delay=6, decay=12)
        self.S = self.path(delay=2, decay=6)
        tones = sum(np.sin(2 * np.pi * 97 * k * np.arange(n) / RATE + k) for k in range(1, 6))
        noise = np.convolve(self.rng.standard_normal(n), 0.9 ** np.arange(60))[:n] + hum * tones
        self.d = np.convolve(noise, self.P)[:n]
        self.x = noise + microphone_noise * noise.std() * self.rng.standard_normal(n)

    def path(self, delay, decay):
        echo = 0.3 * self.rng.standard_normal(80) * np.exp(-np.arange(80) / decay)
        return np.concatenate([np.zeros(delay), [1.0], echo])

    def second(self, k):
        part = slice(k * RATE, (k + 1) * RATE)
        return self.x[part], self.d[part]

    def attenuation(self, w, k):
        """Return the attenuation of a filter in second k through the true path."""
        e = self.d - np.convolve(np.convolve(self.x, w), self.S)[: self.d.size]
        return attenuation_db(self.second(k)[1], e[k * RATE : (k + 1) * RATE])


def test_the_filter_of_one_second_works_on_the_next_as_predicted():
    for seed in range(5):
        head = Head(seed, hum=0.5)
        r = design_control_filter(*head.second(0), head.S)
        real = head.attenuation(r.taps, 1)
        assert real > 12
        assert abs(r.predicted_gain_db - real) < 2


def test_the_filter_is_within_1_5_db_of_the_optimal_one():
    for seed in range(5):
        head = Head(seed)
        then = design_control_filter(*head.second(0), head.S)
        hindsight = design_control_filter(*head.second(1), head.S)
        assert head.attenuation(then.taps, 1) > head.attenuation(hindsight.taps, 1) - 1.5


def test_no_gain_is_predicted_for_uncorrelated_signals():
    x, d = np.random.default_rng(0).standard_normal((2, RATE))
    r = design_control_filter(x, d, [0.0, 1.0])
    assert -0.5 < r.predicted_gain_db < 0.2


def test_white_noise_cannot_be_cancelled_through_a_longer_secondary_path():
    x = np.random.default_rng(1).standard_normal(RATE)
    late = np.zeros(100)
    late[80] = 1.0  # 5 ms after the noise has passed
    assert abs(design_control_filter(x, x, late).predicted_gain_db) < 0.2


def test_silence_gives_a_filter_of_zeros():
    r = design_control_filter(np.zeros(4000), np.zeros(4000), [1.0])
    assert not np.any(r.taps)
    assert r.predicted_gain_db == 0


def test_recover_primary_removes_the_effect_of_the_playing_filter():
    head = Head(2)
    w, gain = design_control_filter(*head.second(0), head.S).taps, 0.7
    e = head.d - gain * np.convolve(np.convolve(head.x, w), head.S)[: head.d.size]
    cut = slice(RATE, 2 * RATE)  # while the filter plays; earlier samples are unknown
    x, d = recover_primary(head.x[cut], e[cut], w, head.S, gain)
    assert d.size == RATE - w.size - head.S.size + 2
    assert np.allclose(d, head.d[2 * RATE - d.size : 2 * RATE], atol=1e-9)
    assert np.array_equal(x, head.x[2 * RATE - d.size : 2 * RATE])


def test_a_filter_designed_while_another_one_plays_is_as_good():
    head = Head(3)
    first = design_control_filter(*head.second(0), head.S).taps
    e = head.d - np.convolve(np.convolve(head.x, first), head.S)[: head.d.size]
    x, d = recover_primary(head.x[RATE : 2 * RATE], e[RATE : 2 * RATE], first, head.S)
    second = design_control_filter(x, d, head.S).taps
    assert head.attenuation(second, 2) > head.attenuation(first, 2) - 0.5


def test_statistics_predict_the_attenuation_of_any_filter():
    head = Head(4)
    statistics = Statistics.measure(*head.second(1), head.S)
    good = design_control_filter(*head.second(0), head.S).taps
    for w in (good, 0.5 * good, good[:100], np.zeros(512), -good):
        assert statistics.attenuation_db(w) == pytest.approx(head.attenuation(w, 1), abs=0.7)


def test_statistics_can_be_added_and_decayed():
    head = Head(5)
    one, two = (Statistics.measure(*head.second(k), head.S, taps=64) for k in (0, 1))
    both = one.decayed(0.5) + two
    w = design_control_filter(*head.second(0), head.S, taps=64).taps
    assert both.residual(w) == pytest.approx(0.5 * one.residual(w) + two.residual(w))
    assert both.samples == pytest.approx(1.5 * two.samples)


def test_statistics_that_do_not_match_are_not_added():
    x = np.ones(400)
    with pytest.raises(ValueError, match="32 taps at 16000 Hz cannot be added"):
        Statistics.measure(x, x, [1.0], 16) + Statistics.measure(x, x, [1.0], 32)


def test_a_prior_improves_the_design_from_a_short_snapshot():
    head = Head(6, microphone_noise=0.1)
    prior = Statistics.measure(*head.second(0), head.S)
    x, d = (part[:1100] for part in head.second(1))
    alone, helped = (design_control_filter(x, d, head.S, prior=p).taps for p in (None, prior))
    assert head.attenuation(helped, 2) > head.attenuation(alone, 2) + 1


def test_a_design_from_statistics_is_as_good_as_from_sound():
    head = Head(7)
    sent = [Statistics.from_bytes(Statistics.measure(*head.second(k), head.S).to_bytes()) for k in (0, 1)]
    from_sound = design_control_filter(*head.second(1), head.S, prior=sent[0])
    with_prior = design_from_statistics([sent[1]], prior=sent[0])
    alone = design_from_statistics([sent[1]])
    best = head.attenuation(from_sound.taps, 2)
    for r in (with_prior, alone):
        assert head.attenuation(r.taps, 2) > best - 0.5
        assert abs(r.predicted_gain_db - head.attenuation(r.taps, 2)) < 2


def test_the_gain_of_a_design_from_little_sound_is_not_overestimated():
    head = Head(8, microphone_noise=0.3)
    x, d = (part[:3000] for part in head.second(0))
    r = design_from_statistics([Statistics.measure(x, d, head.S)])
    assert r.predicted_gain_db < head.attenuation(r.taps, 1) + 1


@pytest.mark.parametrize("error", [0.05, 0.1, 0.15])
def test_an_error_of_the_secondary_path_costs_no_more_than_its_size(error):
    left = []
    for seed in range(8):
        head = Head(seed)
        kernel = head.rng.standard_normal(8)
        wrong = head.S + error * np.convolve(head.S, kernel / np.linalg.norm(kernel))[: head.S.size]
        right = head.attenuation(design_control_filter(*head.second(0), head.S).taps, 1)
        real = head.attenuation(design_control_filter(*head.second(0), wrong).taps, 1)
        # An error of a tenth in amplitude leaves -20 dB of the cancelled sound.
        left.append(10 ** (-real / 10) / (10 ** (-right / 10) + error**2))
    assert np.mean(left) < 1.6  # 2 dB: the wrong path also misleads the design


def test_a_filter_for_several_paths_is_better_on_the_worst_of_them():
    head = Head(9)
    fits = np.array([gain * np.roll(head.S, shift) for gain, shift in ((1.0, 0), (0.7, 0), (1.0, 1))])

    def worst(w):
        def residual(S):
            return head.d - np.convolve(np.convolve(head.x, w), S)[: head.d.size]

        return min(attenuation_db(head.d[RATE:], residual(S)[RATE:]) for S in fits)

    for_all = design_control_filter(*head.second(0), fits).taps
    for_one = design_control_filter(*head.second(0), fits[0]).taps
    assert worst(for_all) > worst(for_one) + 1


def test_the_control_effort_stays_below_its_limit():
    head = Head(10)
    quiet_driver = 0.01 * head.S
    w = design_control_filter(*head.second(0), quiet_driver, max_gain_db=12.0).taps
    assert 20 * np.log10(np.abs(np.fft.rfft(w, 4096)).max()) < 12.2


def test_half_precision_costs_less_than_a_tenth_of_a_decibel():
    head = Head(17)
    w = design_control_filter(*head.second(0), head.S).taps
    assert head.attenuation(w.astype(np.float16), 1) > head.attenuation(w, 1) - 0.1


def test_rumble_below_the_range_of_drivers_is_ignored():
    head = Head(11)
    rumble = 50 * np.sin(2 * np.pi * 8 * np.arange(head.d.size) / RATE)
    head.x, head.d = head.x + rumble, head.d + rumble
    w = design_control_filter(*head.second(0), head.S).taps
    high = head.d - rumble, -np.convolve(np.convolve(head.x - rumble, w), head.S)[: head.d.size]
    assert attenuation_db(high[0][RATE:], (high[0] + high[1])[RATE:]) > 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": np.ones(4000), "d": np.ones(3999)}, "same number of samples"),
        ({"x": np.ones(600), "d": np.ones(600)}, r"taps: must be an integer from 1 to 299 \(got 512\)"),
        ({"x": np.full(4000, np.nan), "d": np.ones(4000)}, "x: sample 0 is NaN"),
        ({"x": np.ones(4000), "d": np.ones(4000), "secondary": []}, "secondary: empty"),
    ],
)
def test_invalid_input_of_a_design_is_refused_with_the_reason(arguments, message):
    with pytest.raises(ValueError, match=message):
        design_control_filter(**{"secondary": [1.0], **arguments})


def test_damaged_statistics_are_refused():
    data = Statistics.measure(np.ones(400), np.ones(400), [1.0], 16).to_bytes()
    with pytest.raises(ValueError, match="checksum"):
        Statistics.from_bytes(data[:60] + b"\0\1" + data[62:])


def test_the_secondary_path_is_identified_from_probe_and_music():
    head = Head(13)
    for played in (head.rng.standard_normal(2 * RATE), head.x[: 2 * RATE]):
        recorded = np.convolve(played, head.S)[: played.size] + 0.01 * head.rng.standard_normal(played.size)
        found = identify_secondary(played, recorded, 128)
        missing = found.impulse_response - np.pad(head.S, (0, 128 - head.S.size))
        assert np.linalg.norm(missing) < 0.05 * np.linalg.norm(head.S)
        assert found.fit_db > 20


def test_no_path_is_identified_between_uncorrelated_signals():
    played, recorded = np.random.default_rng(14).standard_normal((2, RATE))
    assert identify_secondary(played, recorded).fit_db < 0.5


def test_below_the_lower_limit_of_the_driver_the_filter_is_quiet():
    rng = np.random.default_rng(12)
    n = 4 * RATE
    rumble = np.sin(2 * np.pi * 40 * np.arange(n) / RATE)
    x = rumble + 0.1 * rng.standard_normal(n)
    S = np.array([0.0, 0.6])

    def low_gain(limit):
        w = design_for_priors([Statistics.measure(x, x, S, rate=RATE, lower_limit_hz=limit)], [None])[0].taps
        return abs(np.exp(-2j * np.pi * 40 / RATE * np.arange(w.size)) @ w)

    assert low_gain(20.0) > 1.0
    assert low_gain(200.0) < 0.1
