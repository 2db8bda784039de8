"""Map the classes of the collections to noise classes, noise labels and kinds of emergency."""

# Noise labels of the noise classes. A class that is not here has the label ``other``.
LABEL_OF = {
    name: label
    for label, names in {
        "aircraft": ("helicopter", "airplane", "cabin"),
        "rail": ("train",),
        "road": ("engine", "car_horn", "siren", "engine_idling", "street", "traffic"),
        "machine": (
            "chainsaw",
            "vacuum_cleaner",
            "washing_machine",
            "hand_saw",
            "air_conditioner",
            "drilling",
            "jackhammer",
            "construction",
            "motor",
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
            "crowd",
            "scream",
            "human",
            "whistling",
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

# Noise classes of collections that name them otherwise. Names that are not here keep their own.
CLASS_OF = {
    name: noise
    for noise, names in {
        "airplane": ("aircraft",),
        "chirping_birds": ("bird",),
        "crickets": ("insect",),
        "traffic": ("horn_car_street", "reversing_beeper_street", "siren_distant_street", "traffic_street"),
        "train": ("train_interior", "train_pass", "train_brake"),
        "pouring_water": ("water",),
        "scream": ("adult_cry",),
        "crying_baby": ("baby_cry",),
        "dog": ("dog_street",),
        "hen": ("chicken",),
        "animal": ("animal_other",),
        "speech": (
            *(f"speech_{code}" for code in ("de", "en", "es", "fr", "it", "ja", "ko", "pt", "ru")),
            "speech_other",
            "speech_street",
        ),
        "music": (
            "music_brass",
            "music_other",
            "music_synth",
            "music_synth_siren",
            "reversing_beeper_street",
            "siren_distant_street",
            "music_vocal",
            "music_street",
        ),
        "construction": ("construction_street",),
        "drilling": ("drill_tool",),
        "vacuum_cleaner": ("vacuum",),
        "engine": ("engine_bus", "engine_car", "engine_motorbike"),
        "laughing": ("laughter",),
        "human": ("human_other",),
        "church_bells": ("church_bell",),
        "bell": ("bell_other", "bell_bicycle", "level_crossing_bell"),
        "telephone": ("phone_ring", "notification_tone"),
        "siren": (
            "siren_ambulance",
            "siren_emergency",
            "siren_fire_truck",
            "siren_mechanical",
            "siren_mechanical_dive",
            "siren_police",
        ),
        "car_horn": (
            "horn_air",
            "horn_car",
            "horn_fire_truck",
            "horn_ship",
            "horn_train",
            "horn_truck",
        ),
        "alarm": (
            "alarm_buzzer",
            "alarm_car",
            "alarm_electronic",
            "reversing_beeper",
        ),
    }.items()
    for name in names
}

KIND_OF = {"siren": "siren", "car_horn": "horn", "alarm": "alarm"}
# Neither an emergency nor its opposite: an alarm clock sounds like a smoke alarm, and an alarm in a street is
# somewhere in ten seconds of its noise.
UNDECIDED = {
    "alarm_clock",
    "alarm_clock_tone",
    "alarm_other",
    "beep_other",
    "clock_alarm",
    "horn_bicycle",
    "horn_car_street",
    "horn_designed",
    "horn_toy",
    "horn_train_whistle",
    "level_crossing_bell",
    "music_synth_siren",
    "reversing_beeper_street",
    "siren_distant_street",
    "train_signal",
}
# Recordings with more than the class that they are named after: no noise label.
UNNAMED = UNDECIDED | {"ambience", "noise"}
# Outdoor recordings in which a horn or siren may occur unmentioned.
STREET = {
    "ambience",
    "construction",
    "construction_street",
    "crowd",
    "dog_street",
    "music_street",
    "speech_street",
    "traffic",
    "traffic_street",
    "train_brake",
    "train_pass",
}


def noise_class(name: str) -> str:
    """Return the noise class of a class of any collection.

    >>> noise_class("engine_bus"), noise_class("rain")
    ('engine', 'rain')
    """
    return CLASS_OF.get(name, name)


def kind_of(name: str) -> str | None:
    """Return the kind of emergency of a class, None for other sounds.

    >>> kind_of("horn_truck"), kind_of("music_brass")
    ('horn', None)
    """
    return None if name in UNDECIDED else KIND_OF.get(noise_class(name))


def is_negative(name: str) -> bool:
    """Return whether a class is certainly no emergency.

    >>> is_negative("rain"), is_negative("siren"), is_negative("alarm_clock")
    (True, False, False)
    """
    return name not in UNDECIDED and kind_of(name) is None


def label_of(name: str) -> str:
    """Return the noise label of a class, ``other`` for unknown classes.

    >>> label_of("rain"), label_of("traffic_street"), label_of("unicorn")
    ('weather', 'road', 'other')
    """
    name = noise_class(name)
    return LABEL_OF.get(name, name if name in set(LABEL_OF.values()) else "other")
