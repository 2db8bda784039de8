"""Map the classes of the collections to noise labels and kinds of emergency."""

LABEL_OF = {
    name: label
    for label, names in {
        "aircraft": ("helicopter", "airplane", "cabin"),
        "rail": ("train",),
        "road": ("engine", "car_horn", "siren", "engine_idling", "street"),
        "machine": (
            "chainsaw",
            "vacuum_cleaner",
            "washing_machine",
            "hand_saw",
            "air_conditioner",
            "drilling",
            "jackhammer",
            "whine",
        ),
        "weather": (
            "rain",
            "sea_waves",
            "wind",
            "thunderstorm",
            "pouring_water",
            "toilet_flush",
            "water_drops",
        ),
        "voices": (
            "crying_baby",
            "laughing",
            "sneezing",
            "coughing",
            "breathing",
            "snoring",
            "children_playing",
            "speech",
        ),
        "animal": (
            "dog",
            "dog_bark",
            "rooster",
            "cat",
            "chirping_birds",
            "cow",
            "crickets",
            "crow",
            "frog",
            "hen",
            "insects",
            "insects_flying",
            "pig",
            "sheep",
        ),
        "impulsive": (
            "crackling_fire",
            "clock_tick",
            "door_knock",
            "door_wood_knock",
            "footsteps",
            "clapping",
            "fireworks",
            "glass_breaking",
            "keyboard_typing",
            "mouse_click",
            "can_opening",
            "gun_shot",
        ),
        "music": ("music", "street_music"),
    }.items()
    for name in names
}

KIND_OF = {"siren": "siren", "car_horn": "horn"}
# Excluded from alarm training and evaluation: an alarm clock sounds like a smoke alarm.
UNDECIDED = {"clock_alarm"}


def label_of(name: str) -> str:
    """Return the noise label of a class, ``other`` for unknown classes.

    >>> label_of("rain"), label_of("unicorn")
    ('weather', 'other')
    """
    return LABEL_OF.get(name, name if name in set(LABEL_OF.values()) else "other")
