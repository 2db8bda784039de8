"""A simulated head with a headset on it: microphones, driver and the acoustic paths between them.

Sound comes from one side, passes the reference microphone and reaches the ear through and past the cup; a
reflection comes from the other side. (`simulation.sound_field` has sound from many directions.) Each path is
an analogue transfer function, realised as the causal impulse response that approximates it best, so that
fractional delays are accurate. The headset only gets the microphone signals; the platform only gets the
secondary path as `measured_secondary` returns it.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from iot.fir import Fir, Signal

SPEED_OF_SOUND = 343.0
OUT_OF_BAND_WEIGHT, RIDGE = 1e-3, 1e-6  # weights of the impulse response fit
FEEDBACK_DISTANCE_M, FEEDBACK_CUTOFF_HZ = 0.07, 2000.0  # driver to reference microphone, around the cup
MISMATCH_TAPS = 8  # of the random path deviation: half a millisecond at 16 kHz, so smooth over 2 kHz
SPEECH_LEAD = 0.5  # lead of the reference microphone for speech from the front, relative to noise
RESPONSE_S = 0.02  # length of the impulse responses


class EarSignals(NamedTuple):
    """One block at the ear, each (n,).

    Attributes
    ----------
    e
        Error microphone including its own noise. The headset uses only this one.
    d
        Noise at the ear without control, for evaluation only.
    residual
        Noise at the ear with control, for evaluation only.
    anti_noise
        Output of the control filter at the ear, which is subtracted there, for evaluation only.
    """

    e: Signal
    d: Signal
    residual: Signal
    anti_noise: Signal


@dataclass(frozen=True)
class PlantParameters:
    """Parameters of one head, headset and fit: a lumped model of a closed, circumaural headset.

    The form of the model (driver on a sealed volume with a leak, cup as a mass on its cushion) follows Avis
    and Kelly, "Principles of headphone design: a tutorial review", 2006. The ranges are estimates of the
    typical order of magnitude, unless a source is given.

    Attributes
    ----------
    reference_to_ear_m : float
        Outside of the cup to the ear, 20 to 50 mm: a lead of 60 to 150 us for sound from that side.
    driver_to_error_m : float
        10 to 15 mm inside the cup.
    converters_s : float
        Microphone to driver through the codec: 38 us (ADAU1772 data sheet, ADC to DAC at 192 kHz).
    driver_hz, driver_q : float
        Resonance below which the driver rolls off by 12 dB per octave, 50 to 90 Hz.
    driver_top_hz : float
        Cutoff of driver and front cavity, 5 to 7 kHz.
    leak : float, 0 to 1
        Leakage of the fit; 0 is sealed. It attenuates the driver's low frequencies and admits up to 8 dB more
        noise.
    cup_hz, cup_q : float
        Resonance of cup and cushion, 200 to 400 Hz; above it the cup attenuates by 12 dB per octave.
    bypass_db : float
        Broadband transmission past the cup, -22 to -16 dB when it is sealed.
    canal_hz, canal_db : float
        Resonance of concha and ear canal under the cup, 2.5 to 3.5 kHz, 6 to 10 dB.
    reflection_db, reflection_s : float
        Reflection from a wall: -10 dB and 40 ms, longer than a control filter. It comes from the other side,
        so the reference microphone has little lead.
    microphone_dbfs : float
        Self-noise of each microphone: 65 dB below 94 dB SPL, with full scale at 105 dB SPL.
    feedback_db : float or None
        Driver to reference microphone around the cup; None for no feedback.
    """

    reference_to_ear_m: float = 0.035
    driver_to_error_m: float = 0.012
    converters_s: float = 38e-6
    driver_hz: float = 70.0
    driver_q: float = 0.8
    driver_top_hz: float = 6000.0
    leak: float = 0.3
    cup_hz: float = 300.0
    cup_q: float = 0.9
    bypass_db: float = -18.0
    canal_hz: float = 3000.0
    canal_db: float = 8.0
    reflection_db: float = -10.0
    reflection_s: float = 0.040
    microphone_dbfs: float = -76.0
    feedback_db: float | None = None

    @classmethod
    def random(cls, rng: np.random.Generator) -> "PlantParameters":
        """Return random parameters within the ranges above."""
        return cls(
            reference_to_ear_m=rng.uniform(0.020, 0.050),
            driver_to_error_m=rng.uniform(0.010, 0.015),
            driver_hz=rng.uniform(50, 90),
            driver_q=rng.uniform(0.6, 1.0),
            driver_top_hz=rng.uniform(5000, 7000),
            leak=rng.uniform(0.0, 0.7),
            cup_hz=rng.uniform(200, 400),
            cup_q=rng.uniform(0.7, 1.2),
            bypass_db=rng.uniform(-22, -16),
            canal_hz=rng.uniform(2500, 3500),
            canal_db=rng.uniform(6, 10),
        )


class AcousticPlant:
    """Simulate a headset on a head, block by block.

    Parameters
    ----------
    seed : int
        Selects the head; the same seed gives the same head.
    rate : int
        Sample rate of the control filter in Hz.
    parameters : PlantParameters, optional
        Default: random, from `seed`.
    path_mismatch : float
        Relative deviation of both paths from the parametric model, random and smooth over frequency: 0.15 for
        15 %.
    """

    def __init__(
        self,
        seed: int = 0,
        rate: int = 16_000,
        parameters: PlantParameters | None = None,
        path_mismatch: float = 0.0,
    ) -> None:
        self._rng = np.random.default_rng(seed)
        self.parameters = parameters or PlantParameters.random(self._rng)
        self.rate = rate
        self._noise_rms = 10 ** (self.parameters.microphone_dbfs / 20)
        self._draw_mismatch(path_mismatch)
        self._secondary = self._secondary_path(self.parameters.leak)
        reflection = 10 ** (self.parameters.reflection_db / 20)
        delay = np.zeros(round(self.parameters.reflection_s * rate))
        feedback = impulse_response(self._feedback_response(), rate, self.feedback_samples)
        self._primary_fir = Fir(self._primary_path())
        self._speech_fir = Fir(impulse_response(self._primary_response(lead=SPEECH_LEAD), rate))
        self._residual_fir = Fir(self._secondary)
        self._reference_fir = Fir(np.concatenate([[1.0], delay[1:], [reflection]]))
        self._driver_fir = Fir(self._secondary)
        self._music_fir = Fir(self._secondary)
        self._feedback_fir = Fir(feedback[self.feedback_samples :])
        self._feedback = np.zeros(self.feedback_samples, np.float32)

    @property
    def feedback_samples(self) -> int:
        """Delay of the feedback path and so the maximum block length; 0 without feedback."""
        return 0 if self.parameters.feedback_db is None else int(self._feedback_delay_s * self.rate)

    @property
    def _feedback_delay_s(self) -> float:
        return FEEDBACK_DISTANCE_M / SPEED_OF_SOUND + self.parameters.converters_s

    def refit(self, parameters: PlantParameters, over_s: float, path_mismatch: float | None = None) -> None:
        """Change the fit of the headset from the next block on, as by a moving jaw or by putting it on again.

        Parameters
        ----------
        parameters : PlantParameters
            New parameters; those of the headset itself must not change.
        over_s : float
            Duration of the change in seconds.
        path_mismatch : float, optional
            Draws a new deviation of this size; by default the deviation stays the same.
        """
        self.parameters = parameters
        if path_mismatch is not None:
            self._draw_mismatch(path_mismatch)
        self._secondary = self._secondary_path(parameters.leak)
        samples = max(1, int(over_s * self.rate))
        self._fade_primary(samples)
        self._driver_fir.fade_to(self._secondary, samples)
        self._music_fir.fade_to(self._secondary, samples)
        self._residual_fir.fade_to(self._secondary, samples)

    def measured_secondary(self) -> Signal:
        """Return the secondary path as measured at enrolment, (taps,) float32.

        It was measured with a slightly different fit and with microphone noise: an error of 5 to 15 % between
        80 Hz and 1 kHz.
        """
        rng = np.random.default_rng(self._secondary.size)
        leak = np.clip(self.parameters.leak + rng.choice([-0.1, 0.1]), 0.0, 1.0)
        path = self._secondary_path(float(leak))
        noise = rng.standard_normal(path.size) * np.linalg.norm(path) * 10 ** (-35 / 20) / np.sqrt(path.size)
        return (path + noise).astype(np.float32)

    def reference(self, noise: Signal) -> Signal:
        """Return x, the reference microphone signal for a block of noise, with feedback of earlier blocks."""
        x = self._noise_at_reference(noise) + self._microphone_noise(noise.size)
        if self.feedback_samples:
            x += self._feedback[: noise.size]
            self._feedback = self._feedback[noise.size :]
        return x

    def ear(self, noise: Signal, y: Signal, y_noise: Signal | None = None) -> EarSignals:
        """Return the signals at the ear for the same block of noise while the driver plays y.

        `y_noise` is the part of y that does not come from speech, if y contains any.
        """
        d = self._noise_at_ear(noise)
        anti_noise = self._driver_fir.process(np.clip(y, -1.0, 1.0))
        residual = at_ear = d - anti_noise
        if y_noise is not None:
            residual = d - self._residual_fir.process(np.clip(y_noise, -1.0, 1.0))
        if self.feedback_samples:
            self._feedback = np.concatenate([self._feedback, self._feedback_fir.process(y)])
        return EarSignals(at_ear + self._microphone_noise(noise.size), d, residual, anti_noise)

    def true_secondary(self) -> Signal:
        """Return the true secondary path, for evaluation only."""
        return self._secondary.astype(np.float32)

    def speech(self, voice: Signal) -> Signal:
        """Return the speech that reaches the ear; the reference microphone gets `voice` itself.

        Speech comes from the front, so the lead of the reference microphone is shorter than for the noise.
        """
        return self._speech_fir.process(voice)

    def music(self, played: Signal) -> Signal:
        """Return the music that reaches the error microphone while the driver plays `played`."""
        return self._music_fir.process(played)

    def _noise_at_reference(self, noise: Signal) -> Signal:
        return self._reference_fir.process(noise)

    def _noise_at_ear(self, noise: Signal) -> Signal:
        return self._primary_fir.process(noise)

    def _fade_primary(self, samples: int) -> None:
        self._primary_fir.fade_to(self._primary_path(), samples)

    def _draw_mismatch(self, share: float) -> None:
        kernels = self._rng.standard_normal((2, MISMATCH_TAPS)) if share else np.zeros((2, MISMATCH_TAPS))
        kernels *= share / np.maximum(np.linalg.norm(kernels, axis=1, keepdims=True), 1e-30)
        kernels[:, 0] += 1.0
        self._primary_mismatch, self._secondary_mismatch = kernels

    def _primary_path(self) -> NDArray[np.float64]:
        delay = round(self.parameters.reflection_s * self.rate)
        direct = impulse_response(self._primary_response(lead=1.0), self.rate)
        reflected = impulse_response(self._primary_response(lead=0.2), self.rate)
        path = np.concatenate([direct, np.zeros(delay)])
        path[delay:] += 10 ** (self.parameters.reflection_db / 20) * reflected
        return np.convolve(path, self._primary_mismatch)[: path.size]

    def _secondary_path(self, leak: float) -> NDArray[np.float64]:
        path = impulse_response(self._secondary_response(leak), self.rate, first=1)
        return np.convolve(path, self._secondary_mismatch)[: path.size]

    def _microphone_noise(self, n: int) -> Signal:
        return (self._noise_rms * self._rng.standard_normal(n)).astype(np.float32)

    def _primary_response(self, lead: float) -> "Response":
        p, s = self.parameters, jw(self.rate)
        through = _low_pass(s, p.cup_hz, p.cup_q)
        past = 10 ** ((p.bypass_db + 8 * p.leak) / 20) * _low_pass(s, p.driver_top_hz, 0.7)
        delay = lead * p.reference_to_ear_m / SPEED_OF_SOUND
        return (through + past) * _peak(s, p.canal_hz, p.canal_db) * np.exp(-s * delay)

    def _secondary_response(self, leak: float) -> "Response":
        p, s = self.parameters, jw(self.rate)
        vent = s / (s + 2 * np.pi * (10 + 120 * leak))
        driver = _high_pass(s, p.driver_hz, p.driver_q) * _low_pass(s, p.driver_top_hz, 0.7)
        delay = p.converters_s + p.driver_to_error_m / SPEED_OF_SOUND
        path: Response = vent * driver * _peak(s, p.canal_hz, p.canal_db) * np.exp(-s * delay)
        return path

    def _feedback_response(self) -> "Response":
        p, s = self.parameters, jw(self.rate)
        driver = _high_pass(s, p.driver_hz, p.driver_q) * _low_pass(s, FEEDBACK_CUTOFF_HZ, 0.7)
        gain = 10 ** ((p.feedback_db or 0.0) / 20)
        path: Response = gain * driver * np.exp(-s * self._feedback_delay_s)
        return path


Response = NDArray[np.complex128]


def jw(rate: int) -> Response:
    """Return jw from 0 to half the rate, on a grid fine enough for the longest path."""
    return np.asarray(1j * np.linspace(0.0, np.pi * rate, 8 * int(RESPONSE_S * rate)), np.complex128)


def _low_pass(s: Response, hz: float, q: float) -> Response:
    w = 2 * np.pi * hz
    return w**2 / (s**2 + s * w / q + w**2)


def _high_pass(s: Response, hz: float, q: float) -> Response:
    w = 2 * np.pi * hz
    return s**2 / (s**2 + s * w / q + w**2)


def _peak(s: Response, hz: float, db: float, q: float = 3.0) -> Response:
    w, gain = 2 * np.pi * hz, 10 ** (db / 20)
    bell: Response = (s**2 + s * gain * w / q + w**2) / (s**2 + s * w / q + w**2)
    return bell


def impulse_response(response: Response, rate: int, first: int = 0) -> NDArray[np.float64]:
    """Return the causal impulse response, zero before tap `first`, closest to an analogue response.

    A least-squares fit over frequency up to 0.4 of the rate. Fractional delays are accurate there, and the
    band above, where control filters have no effect, does not alias.

    Parameters
    ----------
    response : (..., bins) ndarray
        On the grid of `jw`.
    rate, first : int

    Returns
    -------
    (..., taps) ndarray
    """
    n = np.arange(first, int(RESPONSE_S * rate))
    weight = np.where(np.linspace(0.0, 0.5, response.shape[-1]) < 0.4, 1.0, OUT_OF_BAND_WEIGHT)
    r = np.fft.irfft(weight)
    matrix = r[np.abs(np.subtract.outer(n, n))]
    matrix.flat[:: n.size + 1] += RIDGE * r[0]
    fitted = np.linalg.solve(matrix, np.fft.irfft(weight * response)[..., n].T).T
    return np.concatenate([np.zeros((*fitted.shape[:-1], first)), fitted], axis=-1)
