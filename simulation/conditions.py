"""Named acoustic conditions, from one direction of sound to everything at once."""

from dataclasses import dataclass, replace

import numpy as np

from simulation.acoustic_plant import AcousticPlant, PlantParameters
from simulation.disturbances import Disturbances, reseated, wind
from simulation.sound_field import DIFFUSE_FIELD, SoundField, SoundFieldPlant, evenly_spread

MOVING_SOURCES = SoundField(evenly_spread(4), period_s=8.0)
FEEDBACK_DB = -40.0
WIND_OUTSIDE_DB, WIND_INSIDE_DB = -20.0, -25.0  # relative to the noise
RESEAT_AT_S, RESEAT_LEAK = 2.0, 0.2


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
        Whether the cup is lifted after 2 s and put back with more leakage.
    """

    field: SoundField | None = None
    feedback: bool = False
    windy: bool = False
    reseated: bool = False

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
        leak = min(plant.parameters.leak + RESEAT_LEAK, 1.0)
        return Disturbances(
            wind(plant.rate, 2 * seed, WIND_OUTSIDE_DB) if self.windy else None,
            wind(plant.rate, 2 * seed + 1, WIND_INSIDE_DB) if self.windy else None,
            refits=reseated(plant.parameters, RESEAT_AT_S, leak) if self.reseated else (),
        )


CONDITIONS = {
    "one direction": Condition(),
    "diffuse field": Condition(DIFFUSE_FIELD),
    "moving sources": Condition(MOVING_SOURCES),
    "feedback": Condition(DIFFUSE_FIELD, feedback=True),
    "wind": Condition(DIFFUSE_FIELD, windy=True),
    "cup put on again": Condition(DIFFUSE_FIELD, reseated=True),
    "everything": Condition(MOVING_SOURCES, feedback=True, windy=True, reseated=True),
}
