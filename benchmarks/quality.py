"""Measure the attenuation of filters and designs."""

import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anc.dsp import (
    FDAF,
    NLMS,
    Predictor,
    a_weighted_attenuation_db,
    attenuation_db,
    design_control_filter,
)
from anc.dsp.statistics import HIGH_PASS_HZ
from benchmarks import scenes

RATE = 16_000
HORIZONS_MS = (1, 5, 20, 150)
MICROPHONE_NOISE = 0.03  # 30 dB below the noise: sound that the reference does not pick up
PRIMARY_DELAY, SECONDARY_DELAY = 6.6, 5.2  # samples; the difference of 90 us is the available lead time


def fdaf_and_nlms(seconds: int = 10) -> dict:
    """Return the attenuation of cabin noise in the second half, with speech 20 dB below, at 512 taps."""
    rate, rng = 48_000, np.random.default_rng(0)
    n = seconds * rate // 1024 * 1024
    noise, voice = scenes.cabin(rng, n, rate), scenes.speech(rng, n, rate)
    path = rng.standard_normal(200) * np.exp(-np.arange(200) / 30)
    at_ear = np.convolve(noise, path)[:n]
    voice *= 0.1 * at_ear.std()
    filters: dict[str, NLMS | FDAF] = {"NLMS": NLMS(512, 0.5)}
    filters |= {f"FDAF block {block}": FDAF(512, 0.5, block=block) for block in (128, 256, 512, 1024)}
    late = slice(n // 2, n)
    result = {}
    for name, f in filters.items():
        e = f.process(noise, at_ear + voice)[1]
        result[name] = {
            "noise_db": attenuation_db(at_ear[late], (e - voice)[late]),
            "noise_db_a": a_weighted_attenuation_db(at_ear[late], (e - voice)[late], rate),
            "d_over_e_db": attenuation_db((at_ear + voice)[late], e[late]),
        }
    return result


def control_filters(sounds: dict[str, NDArray], heads: int = 5) -> dict:
    """Compare the filter of one second on the next with prediction, optimum and a universal filter.

    The paths of each head differ from the nominal ones by 15 % of their response; the universal filter is
    designed for the nominal paths.
    """
    rows, milliseconds = [], []
    for number, (name, sound) in enumerate(sounds.items()):
        rng = np.random.default_rng(number)
        P, S = scenes.echoes(rng, PRIMARY_DELAY, 12), scenes.echoes(rng, SECONDARY_DELAY, 6)
        x = sound + MICROPHONE_NOISE * sound.std() * rng.standard_normal(sound.size)
        universal = design_control_filter(x[:RATE], np.convolve(sound, P)[:RATE], S).taps
        for _ in range(heads):
            own_p, own_s = scenes.perturbed(rng, P, 0.15), scenes.perturbed(rng, S, 0.15)
            d = np.convolve(sound, own_p)[: sound.size]
            start = time.process_time()
            r = design_control_filter(x[:RATE], d[:RATE], own_s)
            milliseconds.append(1000 * (time.process_time() - start))
            optimal = design_control_filter(x[RATE : 2 * RATE], d[RATE : 2 * RATE], own_s)
            wrong_s = design_control_filter(x[:RATE], d[:RATE], scenes.perturbed(rng, own_s, 0.1))
            got = [
                second_attenuation(x, d, own_s, w) for w in (r.taps, optimal.taps, universal, wrong_s.taps)
            ]
            rows.append([name, r.predicted_gain_db, *got])
    figures = np.array([row[1:] for row in rows], float)
    predicted, own, optimal, universal, wrong = figures.mean(0)
    return {
        "predicted_db": predicted,
        "next_second_db": own,
        "below_oracle_db": optimal - own,
        "over_universal_db": own - universal,
        "with_secondary_path_10_percent_wrong_db": wrong,
        "prediction_error_db_rms": float(np.sqrt(np.mean(np.square(figures[:, 0] - figures[:, 1])))),
        "ms_cpu_median": float(np.median(milliseconds)),
        "by_sound": {name: figures[[row[0] == name for row in rows]].mean(0).tolist() for name in sounds},
    }


def second_attenuation(x: NDArray, d: NDArray, S: NDArray, w: NDArray) -> float:
    """Return the attenuation in the second second, above 20 Hz, through the true path."""
    e = d - np.convolve(np.convolve(x, w), S)[: d.size]
    f = np.fft.rfftfreq(RATE, 1 / RATE)
    parts = [np.fft.irfft((f > HIGH_PASS_HZ) * np.fft.rfft(part[RATE : 2 * RATE])) for part in (d, e)]
    return attenuation_db(*parts)


def design_scenes(folder: Path | None) -> dict[str, NDArray]:
    """Return two synthetic sounds, and recordings if a folder is given."""
    n = 2 * RATE
    made = {"cabin": scenes.cabin(np.random.default_rng(8), n, RATE), "engine": scenes.engine(n, RATE)}
    return made | scenes.recordings(folder, RATE)


def delayed_anti_noise(folder: Path | None, seconds: int = 10) -> dict[str, dict[int, float]]:
    """Return the attenuation with signal and weights delayed, the best of several lengths and steps."""
    n, rng = seconds * RATE, np.random.default_rng(9)
    f = np.fft.rfftfreq(n, 1 / RATE)
    sounds = {
        "white noise": rng.standard_normal(n),
        "noise 50-500 Hz": scenes.coloured(rng, ((f > 50) & (f < 500)).astype(float)),
        "drifting engine": scenes.engine(n, RATE),
        "tone 200 Hz": np.sin(2 * np.pi * 200 * np.arange(n) / RATE),
    }
    recorded = scenes.recordings(folder, RATE)
    sounds |= {name: sound for name, sound in recorded.items() if name.startswith(("Airplane", "Helicopter"))}
    result: dict[str, dict[int, float]] = {}
    for name, sound in sounds.items():
        late = slice(sound.size // 2, sound.size)
        result[name] = {}
        for ms in HORIZONS_MS:
            tries = [
                Predictor(taps, ms * RATE // 1000, mu).process(sound / sound.std())[1]
                for taps in (128, 512)
                for mu in (0.003, 0.03, 0.3)
            ]
            result[name][ms] = max(attenuation_db((sound / sound.std())[late], e[late]) for e in tries)
    return result
