"""Named acoustic conditions, from one direction of sound to everything at once."""

from dataclasses import dataclass, replace

import numpy as np

from simulation.acoustic_plant import AcousticPlant, PlantParameters
from simulation.disturbances import Disturbances, Refit, chewing, music, reseated, speech, wind
from simulation.sound_field import DIFFUSE_FIELD, SoundField, SoundFieldPlant, evenly_spread

MOVING_SOURCES = SoundField(evenly_spread(4), period_s=8.0)
FEEDBACK_DB = -40.0
WIND_OUTSIDE_DB, WIND_INSIDE_DB = -20.0, -25.0  # relative to the noise
LIFTED_AT_S, LOOSER_LEAK = (2.0, 7.0), 0.2
CHEWING_S = (2.0, 9.0)


@dataclass(frozen=True)
class Condition:
    """Sound field and disturbances of a simulated headset.

    Attributes
    ----------
    field : SoundField or None
        None for sound from one side with one reflection.
    feedback : bool
        Whether the driver reaches the reference microphone, at -40 dB.
    windy : bool
        Whether there is wind at both microphones.
    reseated : bool
        Whether the cup is lifted after 2 s and put back with more leakage, and again after 7 s with as much
        as before.
    chewing : bool
        Whether a jaw moves the cushion between 2 s and 9 s.
    speech_db, music_db : float or None
        Level of the wearer's speech at the reference microphone, and of music on the driver, relative to the
        noise; None without them.
    """

    field: SoundField | None = None
    feedback: bool = False
    windy: bool = False
    reseated: bool = False
    chewing: bool = False
    speech_db: float | None = None
    music_db: float | None = None

    def plant(
        self,
        seed: int,
        rate: int,
        parameters: PlantParameters | None = None,
        path_mismatch: float = 0.0,
    ) -> AcousticPlant:
        """Return a new head; without parameters, random ones from the seed."""
        if self.feedback:
            parameters = parameters or PlantParameters.random(np.random.default_rng(seed))
            parameters = replace(parameters, feedback_db=FEEDBACK_DB)
        if self.field is None:
            return AcousticPlant(seed, rate, parameters, path_mismatch)
        return SoundFieldPlant(seed, rate, parameters, path_mismatch, self.field)

    def disturbances(self, plant: AcousticPlant, seed: int) -> Disturbances:
        """Return new disturbances for a head of this condition."""
        rate = plant.rate
        return Disturbances(
            wind(rate, 2 * seed, WIND_OUTSIDE_DB) if self.windy else None,
            wind(rate, 2 * seed + 1, WIND_INSIDE_DB) if self.windy else None,
            None if self.speech_db is None else speech(rate, seed, self.speech_db),
            None if self.music_db is None else music(rate, seed, self.music_db),
            self._refits(plant.parameters),
        )

    def _refits(self, parameters: PlantParameters) -> list[Refit]:
        refits = chewing(parameters, *CHEWING_S) if self.chewing else []
        if self.reseated:
            leaks = parameters.leak + LOOSER_LEAK, parameters.leak
            refits += [
                r for at, leak in zip(LIFTED_AT_S, leaks, strict=True) for r in reseated(parameters, at, leak)
            ]
        return sorted(refits)


CONDITIONS = {
    "one direction": Condition(),
    "diffuse field": Condition(DIFFUSE_FIELD),
    "moving sources": Condition(MOVING_SOURCES),
    "feedback": Condition(DIFFUSE_FIELD, feedback=True),
    "wind": Condition(DIFFUSE_FIELD, windy=True),
    "speech": Condition(DIFFUSE_FIELD, speech_db=0.0),
    "music": Condition(DIFFUSE_FIELD, music_db=-10.0),
    "chewing": Condition(DIFFUSE_FIELD, chewing=True),
    "cup put on again": Condition(DIFFUSE_FIELD, reseated=True),
    "everything": Condition(
        MOVING_SOURCES, feedback=True, windy=True, reseated=True, speech_db=-10.0, music_db=-10.0
    ),
}
