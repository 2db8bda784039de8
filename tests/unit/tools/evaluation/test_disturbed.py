"""The control path with disturbances: what is run, and what is reported."""

from simulation.conditions import CONDITIONS
from tools.evaluation import dataset, disturbed
from tools.evaluation.disturbed import EVERYTHING, FIELDS, NONE, DisturbedTrial

MAX_LOUDER_S = 0.25


def test_every_disturbance_is_measured_in_every_sound_field():
    measured = {(one.field, one.disturbance) for one in disturbed.situations()}
    alone = set(CONDITIONS) - {*FIELDS, "moving sources", EVERYTHING}
    assert measured >= {(field, name) for field in FIELDS for name in (NONE, *alone)}
    assert ("moving sources", EVERYTHING) in measured
    for field, name, condition in disturbed.situations():
        assert condition.field == CONDITIONS[field].field, name


def test_test_and_training_side_have_other_heads_and_disturbances():
    assert dataset.DISTURBED_SEED + len(dataset.KINDS) * dataset.MAX_TEST_CLIPS < (
        dataset.DISTURBED_TRAINING_SEED
    )


def test_disturbances_cost_attenuation_and_are_not_louder_than_without_control():
    noises = dataset.built_in()
    some = [
        one
        for one in disturbed.situations()
        if one.field == "one direction" and one.disturbance in (NONE, "cup put on again", "wind")
    ]
    trials = disturbed.evaluate(noises, some, 1, lambda: None)
    assert len(trials) == disturbed.number_of_trials(noises, some) == 3
    rows = {row["disturbance"]: row for row in disturbed.summarise(trials, trials)}
    assert rows[NONE]["lost_db"] == 0
    assert rows[NONE]["attenuation_db"] > 12
    for name in ("cup put on again", "wind"):
        assert rows[name]["lost_db"] > 0.5
        assert rows[name]["louder_s"] == rows[name]["training_louder_s"] <= MAX_LOUDER_S
    assert rows["wind"]["attenuation_db"] < rows["wind"]["limit_db"] < rows[NONE]["limit_db"]


def test_a_row_has_the_mean_and_the_worst_of_its_trials():
    def trial(noise: str, disturbance: str, db: float, louder_s: float) -> DisturbedTrial:
        return DisturbedTrial(
            "one direction", disturbance, noise, 1, db, 2 * db, louder_s, louder_s / 2, reverted=1
        )

    trials = [trial("a", NONE, 10, 0.0), trial("b", NONE, 20, 0.1)]
    trials += [trial("a", "wind", 9, 0.2), trial("b", "wind", 15, 0.1)]
    without, windy = disturbed.summarise(trials, trials[:3])
    assert (without["lost_db"], without["louder_s"], without["training_louder_s"]) == (0, 0.1, 0.1)
    assert windy == {
        "field": "one direction",
        "disturbance": "wind",
        "trials": 2,
        "attenuation_db": 12,
        "limit_db": 24,
        "lost_db": 3,
        "most_lost_db": 5,
        "louder_s": 0.2,
        "noise_louder_s": 0.1,
        "training_louder_s": 0.2,
        "reverted": 2,
    }
