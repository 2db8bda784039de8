"""The registry of headsets' certificates on one machine."""

from pathlib import Path

import pytest

from anc.wire.refusal import Refused
from local.certificates import Authority
from local.database import Database
from local.things import LocalThings


@pytest.fixture
def things(tmp_path: Path) -> LocalThings:
    return LocalThings(Database(tmp_path / "anc.db"), Authority(tmp_path / "ca"), 8883)


@pytest.mark.parametrize("name", ["", "a/b", "+", "#", "a b", "x" * 65, "a\n", "größe"])
def test_a_name_that_would_mean_something_in_a_topic_is_refused(things: LocalThings, name: str):
    with pytest.raises(Refused, match="thing: 1 to 64"):
        things.enrol(name)


def test_a_revocation_outlives_a_restart(things: LocalThings, tmp_path: Path):
    kept, gone = things.enrol("kept"), things.enrol("gone")
    things.revoke("gone", gone.certificate_id)
    again = LocalThings(Database(tmp_path / "anc.db"), Authority(tmp_path / "ca"), 8883)
    assert again.owns("kept", kept.certificate_id)
    assert not again.owns("gone", gone.certificate_id)


def test_a_certificate_of_another_revokes_nothing(things: LocalThings):
    mine, other = things.enrol("mine"), things.enrol("other")
    told: list[str] = []
    things.when_revoked(told.append)
    things.revoke("mine", other.certificate_id)
    assert things.owns("mine", mine.certificate_id)
    assert things.owns("other", other.certificate_id)
    assert told == []


def test_a_certificate_is_good_for_its_own_thing_only(things: LocalThings):
    things.enrol("one")
    assert not things.owns("one", things.enrol("two").certificate_id)
