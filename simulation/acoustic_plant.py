"""A simulated head with a headset on it: what its microphones hear and what its driver does.

Sound comes from one side, passes the reference microphone and reaches the ear through and past the cup; a
reflection of it comes from the other side. Every path is an analogue transfer function, and in the
simulation the causal impulse response nearest to it, so that delays of fractions of a sample are what they
are. All that the headset ever gets of them are its two microphones; the true paths stay in here, and the
platform knows the secondary path only as `measured_secondary` measured it.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from iot.fir import Fir, Signal

SPEED_OF_SOUND = 343.0
ABOVE, RIDGE = 1e-3, 1e-6  # weights of the fit: of the band above it, and against large taps
AROUND_THE_CUP_M, AROUND_THE_CUP_HZ = 0.07, 2000.0
MISMATCH_TAPS = (
    8  # of what a path that is astray has on top: half a millisecond at 16 kHz, so smooth over 2 kHz
)
SPEAKER_AHEAD = 0.5  # of the way from the side to the ear
PATH_SECONDS = 0.02  # by when a path's response has died away


class Ear(NamedTuple):
    """One block at the ear, each (n,).

    Attributes
    ----------
    e
        Error microphone, its own noise included: what the headset hears.
    d
        The true noise without control. Only the score looks at it.
    residual
        The true noise with control. Only the score looks at it.
    """

    e: Signal
    d: Signal
    residual: Signal


@dataclass(frozen=True)
class PlantParameters:
    """The measures of one head, headset and fit: a lumped model of a closed, circumaural headset.

    The form of the model (driver on a sealed volume with a leak, cup as a mass on its cushion) is that of
    Avis and Kelly, "Principles of headphone design: a tutorial review", 2006. The ranges are ours, of the
    order that such headsets have; only where a source is named is a number somebody else's.

    Attributes
    ----------
    reference_to_ear_m : float
        Outside of the cup to the ear, 20 to 50 mm: sound from that side is 60 to 150 us ahead.
    driver_to_error_m : float
        10 to 15 mm inside the cup.
    converters_s : float
        Microphone to driver through the codec: 38 us (ADAU1772 data sheet, ADC to DAC at 192 kHz).
    driver_hz, driver_q : float
        Resonance below which the driver rolls off by 12 dB an octave, 50 to 90 Hz.
    driver_top_hz : float
        Where driver and front cavity roll off, 5 to 7 kHz.
    leak : float, 0 to 1
        Of the fit: 0 seals. A leak lets the driver's low frequencies out and up to 8 dB more noise in.
    cup_hz, cup_q : float
        Resonance of cup and cushion, 200 to 400 Hz; above it the cup shuts out 12 dB an octave more.
    bypass_db : float
        What comes in past the cup at all frequencies: -22 to -16 dB when it seals.
    canal_hz, canal_db : float
        Resonance of concha and ear canal under the cup, 2.5 to 3.5 kHz, 6 to 10 dB.
    reflection_db, reflection_s : float
        A wall: 10 dB down and 40 ms late, further back than a control filter reaches. It comes from the other
        side and passes the reference microphone hardly before the ear.
    microphone_dbfs : float
        Own noise of each microphone: 65 dB below 94 dB SPL, with full scale at 105 dB SPL.
    feedback_db : float or None
        Driver to reference microphone around the cup; None: the cup keeps it in.
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
    def drawn(cls, rng: np.random.Generator) -> "PlantParameters":
        """Return some head within the ranges above."""
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
    """A head that wears a headset, block by block.

    Parameters
    ----------
    seed : int
        Which head; the same seed is the same head.
    rate : int
        Hz, at which the control filter runs.
    anatomy : Anatomy, optional
        Instead of one drawn by the seed.
    astray : float
        Share of their response by which both paths of this head differ from what its anatomy makes them, at
        every frequency, smoothly: 0.15 for 15 %.
    """

    def __init__(
        self,
        seed: int = 0,
        rate: int = 16_000,
        parameters: PlantParameters | None = None,
        path_mismatch: float = 0.0,
    ) -> None:
        self._rng = np.random.default_rng(seed)
        self.parameters = parameters or PlantParameters.drawn(self._rng)
        self.rate = rate
        self._floor = 10 ** (self.parameters.microphone_dbfs / 20)
        self._stray(path_mismatch)
        self._secondary_path = self._to_error(self.parameters.leak)
        reflection = 10 ** (self.parameters.reflection_db / 20)
        delay = np.zeros(round(self.parameters.reflection_s * rate))
        self._primary_path = Fir(self._to_ear())
        self._speaking = Fir(_sampled(self._primary(ahead=SPEAKER_AHEAD), rate))
        self._scored = Fir(self._secondary_path)
        self._arriving = Fir(np.concatenate([[1.0], delay[1:], [reflection]]))
        self._driven = Fir(self._secondary_path)
        self._entertaining = Fir(self._secondary_path)
        self._fed_back = Fir(_sampled(self._feedback(), rate, self.feedback_samples)[self.feedback_samples :])
        self._leaking = np.zeros(self.feedback_samples, np.float32)

    @property
    def feedback_samples(self) -> int:
        """Samples until the driver is heard at the reference microphone; no block may be longer. 0: never."""
        return 0 if self.parameters.feedback_db is None else int(self._around_s * self.rate)

    @property
    def _around_s(self) -> float:
        return AROUND_THE_CUP_M / SPEED_OF_SOUND + self.parameters.converters_s

    def refit(self, parameters: PlantParameters, over_s: float, path_mismatch: float | None = None) -> None:
        """Let the headset sit otherwise from the next block on: a jaw that moves, a cup put on anew.

        Parameters
        ----------
        anatomy : Anatomy
            What the paths are then; of the headset itself nothing may differ.
        over_s : float
            Seconds that the change takes.
        astray : float, optional
            Share by which the paths then differ from that, in a new way; as before when left out.
        """
        self.parameters = parameters
        if path_mismatch is not None:
            self._stray(path_mismatch)
        self._secondary_path = self._to_error(parameters.leak)
        samples = max(1, int(over_s * self.rate))
        self._primary_path.become(self._to_ear(), samples)
        self._driven.become(self._secondary_path, samples)
        self._entertaining.become(self._secondary_path, samples)
        self._scored.become(self._secondary_path, samples)

    def measured_secondary(self) -> Signal:
        """Return the secondary path as it was measured at enrolment, (taps,) float32.

        The headset sat a little differently then, and the microphone's noise went into it: 5 to 15 % off
        between 80 Hz and 1 kHz.
        """
        rng = np.random.default_rng(self._secondary_path.size)
        fit = np.clip(self.parameters.leak + rng.choice([-0.1, 0.1]), 0.0, 1.0)
        path = self._to_error(float(fit))
        noise = rng.standard_normal(path.size) * np.linalg.norm(path) * 10 ** (-35 / 20) / np.sqrt(path.size)
        return (path + noise).astype(np.float32)

    def reference(self, noise: Signal) -> Signal:
        """Return x, what the reference microphone hears of a block of noise and of the driver's past."""
        x = self._arriving.process(noise) + self._own_noise(noise.size)
        if self.feedback_samples:
            x += self._leaking[: noise.size]
            self._leaking = self._leaking[noise.size :]
        return x

    def ear(self, noise: Signal, y: Signal, of_noise: Signal | None = None) -> Ear:
        """Return what arrives at the ear of the same block while the driver plays y.

        `of_noise` is what of y stems from the noise, when other sounds that are no noise have a part in it.
        """
        d = self._primary_path.process(noise)
        heard = d - self._driven.process(np.clip(y, -1.0, 1.0))
        residual = heard
        if of_noise is not None:
            residual = d - self._scored.process(np.clip(of_noise, -1.0, 1.0))
        if self.feedback_samples:
            self._leaking = np.concatenate([self._leaking, self._fed_back.process(y)])
        return Ear(heard + self._own_noise(noise.size), d, residual)

    def true_secondary(self) -> Signal:
        """Return the true path; for the score after a run, never for the headset or the platform."""
        return self._secondary_path.astype(np.float32)

    def speech(self, voice: Signal) -> Signal:
        """Return what of a block of somebody's voice reaches the ear; the reference microphone hears it all.

        It comes from in front, so the microphone is less ahead of the ear than with the noise.
        """
        return self._speaking.process(voice)

    def music(self, played: Signal) -> Signal:
        """Return what of a block of music on the driver reaches the error microphone."""
        return self._entertaining.process(played)

    def _stray(self, share: float) -> None:
        kernels = self._rng.standard_normal((2, MISMATCH_TAPS)) if share else np.zeros((2, MISMATCH_TAPS))
        kernels *= share / np.maximum(np.linalg.norm(kernels, axis=1, keepdims=True), 1e-30)
        kernels[:, 0] += 1.0
        self._strayed_primary, self._strayed_secondary = kernels

    def _to_ear(self) -> NDArray[np.float64]:
        delay = round(self.parameters.reflection_s * self.rate)
        near = np.concatenate([_sampled(self._primary(ahead=1.0), self.rate), np.zeros(delay)])
        near[delay:] += 10 ** (self.parameters.reflection_db / 20) * _sampled(
            self._primary(ahead=0.2), self.rate
        )
        return np.convolve(near, self._strayed_primary)[: near.size]

    def _to_error(self, leak: float) -> NDArray[np.float64]:
        path = _sampled(self._secondary(leak), self.rate, first=1)
        return np.convolve(path, self._strayed_secondary)[: path.size]

    def _own_noise(self, n: int) -> Signal:
        return (self._floor * self._rng.standard_normal(n)).astype(np.float32)

    def _primary(self, ahead: float) -> "Response":
        a, s = self.parameters, _s(self.rate)
        through = _low_pass(s, a.cup_hz, a.cup_q)
        past = 10 ** ((a.bypass_db + 8 * a.leak) / 20) * _low_pass(s, a.driver_top_hz, 0.7)
        delay = ahead * a.reference_to_ear_m / SPEED_OF_SOUND
        return (through + past) * _peak(s, a.canal_hz, a.canal_db) * np.exp(-s * delay)

    def _secondary(self, leak: float) -> "Response":
        a, s = self.parameters, _s(self.rate)
        vent = s / (s + 2 * np.pi * (10 + 120 * leak))
        driver = _high_pass(s, a.driver_hz, a.driver_q) * _low_pass(s, a.driver_top_hz, 0.7)
        delay = a.converters_s + a.driver_to_error_m / SPEED_OF_SOUND
        path: Response = vent * driver * _peak(s, a.canal_hz, a.canal_db) * np.exp(-s * delay)
        return path

    def _feedback(self) -> "Response":
        a, s = self.parameters, _s(self.rate)
        driver = _high_pass(s, a.driver_hz, a.driver_q) * _low_pass(s, AROUND_THE_CUP_HZ, 0.7)
        path: Response = 10 ** ((a.feedback_db or 0.0) / 20) * driver * np.exp(-s * self._around_s)
        return path


Response = NDArray[np.complex128]


def _s(rate: int) -> Response:
    """Return jw from 0 to half the rate, finely enough for the longest path."""
    return np.asarray(1j * np.linspace(0.0, np.pi * rate, 8 * int(PATH_SECONDS * rate)), np.complex128)


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


def _sampled(response: Response, rate: int, first: int = 0) -> NDArray[np.float64]:
    """Return the causal impulse response, from tap `first` on, that is nearest to the analogue one.

    Least squares over frequency, up to 0.4 of the rate: fractions of a sample of delay are what they should
    be there, and what lies above, which no control filter of this rate reaches, does not fold back into it.
    """
    n = np.arange(first, int(PATH_SECONDS * rate))
    weight = np.where(np.linspace(0.0, 0.5, response.size) < 0.4, 1.0, ABOVE)
    r = np.fft.irfft(weight)
    matrix = r[np.abs(np.subtract.outer(n, n))]
    matrix.flat[:: n.size + 1] += RIDGE * r[0]
    return np.concatenate([np.zeros(first), np.linalg.solve(matrix, np.fft.irfft(weight * response)[n])])
