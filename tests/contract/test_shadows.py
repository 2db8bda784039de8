"""Contract of `anc.ports.Shadows`."""

import pytest

from anc.schemas.refusal import Refused

THING = "headset-1"


def test_a_new_headset_has_no_shadow(shadows):
    assert shadows.get(THING) is None


def test_an_update_is_merged_into_the_desired_state(shadows):
    shadows.update(THING, {"mode": "cancel", "intensity": 0.5, "noise": {"label": "rail", "confidence": 0.5}})
    shadows.update(THING, {"intensity": 1.0, "noise": {"label": "road"}})

    assert shadows.get(THING)["state"]["desired"] == {
        "mode": "cancel",
        "intensity": 1.0,
        "noise": {"label": "road", "confidence": 0.5},
    }


def test_every_update_has_a_higher_version(shadows):
    versions = []
    for intensity in (0.1, 0.2, 0.3):
        shadows.update(THING, {"intensity": intensity})
        versions.append(shadows.get(THING)["version"])

    assert versions == sorted(set(versions))


def test_a_key_set_to_none_is_removed(shadows):
    shadows.update(THING, {"mode": "cancel", "reason": "quiet"})
    shadows.update(THING, {"reason": None})

    assert shadows.get(THING)["state"]["desired"] == {"mode": "cancel"}


def test_an_update_beyond_8_kilobytes_is_rejected_and_changes_nothing(shadows):
    shadows.update(THING, {"mode": "cancel", "reason": "r" * 4000})

    with pytest.raises(Refused) as refusal:
        shadows.update(THING, {"mode": "bypass", "filter": "f" * 4200})

    assert refusal.value.code == "too_large"
    assert shadows.get(THING)["state"]["desired"] == {"mode": "cancel", "reason": "r" * 4000}


def test_a_512_tap_filter_fits_beside_everything_else(shadows):
    shadows.update(THING, {"mode": "cancel", "filter": {"data": "A" * 1368, "sha256": "0" * 64}})

    assert len(shadows.get(THING)["state"]["desired"]["filter"]["data"]) == 1368
