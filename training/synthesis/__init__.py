"""Synthetic sirens, horns, alarms and everyday sounds.

All makers return (n,) float64 at `RATE` with a peak of about 1; the generator determines all parameters.
"""

from training.synthesis.alarms import (
    alarm_t3,
    alarm_t4,
    alternating_alarm,
    beeper,
    sweeping_alarm,
)
from training.synthesis.everyday import bells, cabin, chirps, cry, music, speech, whine
from training.synthesis.horns import air_horns, car_horn, fire_truck
from training.synthesis.instruments import ensemble, solo
from training.synthesis.signals import (
    RATE,
    Maker,
    Signal,
    coloured_noise,
    distort_and_reverberate,
    doppler,
)
from training.synthesis.sirens import hi_lo, mechanical, phaser, wail, yelp
from training.synthesis.tonal import (
    brakes,
    inverter,
    kettle,
    keyed_tone,
    lead_synthesiser,
    melody,
    motor_start,
    steady_tone,
    telephone,
    whistled_melody,
)
from training.synthesis.vehicles import street, truck

# The order of the makers is part of the random seed of every synthetic sound.
SIRENS: dict[str, Maker] = {
    "wail": wail,
    "yelp": yelp,
    "phaser": phaser,
    "hi_lo": hi_lo,
    "mechanical": mechanical,
    "fire_truck": fire_truck,
}
HORNS: dict[str, Maker] = {"car_horn": car_horn, "air_horns": air_horns}
ALARMS: dict[str, Maker] = {
    "t3": alarm_t3,
    "t4": alarm_t4,
    "beeper": beeper,
    "alternating": alternating_alarm,
    "sweeping": sweeping_alarm,
}
EVERYDAY: dict[str, Maker] = {
    "speech": speech,
    "crying_baby": cry,
    "music": music,
    "church_bells": bells,
    "chirping_birds": chirps,
    "whine": whine,
    "cabin": cabin,
}
VEHICLES: dict[str, Maker] = {"traffic": street}
TONAL: dict[str, Maker] = {
    "engine": truck,
    "steady_tone": steady_tone,
    "whistled_melody": whistled_melody,
    "kettle": kettle,
    "brakes": brakes,
    "inverter": inverter,
    "motor_start": motor_start,
    "telephone": telephone,
    "lead_synthesiser": lead_synthesiser,
    "melody": melody,
    "keyed_tone": keyed_tone,
    "solo": solo,
    "ensemble": ensemble,
}

__all__ = [
    "ALARMS",
    "EVERYDAY",
    "HORNS",
    "RATE",
    "SIRENS",
    "TONAL",
    "VEHICLES",
    "Maker",
    "Signal",
    "air_horns",
    "alarm_t3",
    "alarm_t4",
    "alternating_alarm",
    "beeper",
    "cabin",
    "car_horn",
    "coloured_noise",
    "distort_and_reverberate",
    "doppler",
    "fire_truck",
    "hi_lo",
    "mechanical",
    "phaser",
    "speech",
    "sweeping_alarm",
    "wail",
    "yelp",
]
