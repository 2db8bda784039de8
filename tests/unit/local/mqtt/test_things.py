"""The registry of headset certificates on one machine."""

from pathlib import Path

import pytest

from anc.schemas.refusal import Refused
from local.auth.certificates import Authority
from local.mqtt.things import LocalThings
from local.storage.database import Database


@pytest.fixture
def things(tmp_path: Path) -> LocalThings:
    return LocalThings(Database(tmp_path / "anc.db"), Authority(tmp_path / "ca"), 8883)


@pytest.mark.parametrize("name", ["", "a/b", "+", "#", "a b", "x" * 65, "a\n", "größe"])
def test_a_name_that_is_invalid_in_a_topic_is_refused(things: LocalThings, name: str):
    with pytest.raises(Refused, match="thing must have 1 to 64"):
        things.create(name)


def test_a_revocation_survives_a_restart(things: LocalThings, tmp_path: Path):
    active, revoked = things.create("active"), things.create("revoked")
    for name, credentials in (("active", active), ("revoked", revoked)):
        things.activate(name, credentials.certificate_id)
    things.revoke("revoked", [revoked.certificate_id])
    again = LocalThings(Database(tmp_path / "anc.db"), Authority(tmp_path / "ca"), 8883)
    assert again.owns("active", active.certificate_id)
    assert not again.owns("revoked", revoked.certificate_id)


def test_a_certificate_of_another_thing_is_not_revoked(things: LocalThings):
    other = things.create("other")
    things.activate("other", other.certificate_id)
    things.revoke("mine", [other.certificate_id])
    assert things.owns("other", other.certificate_id)


def test_a_certificate_is_valid_for_its_own_thing_only(things: LocalThings):
    two = things.create("two")
    for name in ("one", "two"):
        things.activate(name, two.certificate_id)
    assert not things.owns("one", two.certificate_id)
    assert things.owns("two", two.certificate_id)


def test_an_active_certificate_cannot_be_attached_to_another_thing(things: LocalThings):
    mine = things.create("mine")
    things.activate("mine", mine.certificate_id)
    things.attach_certificate("other", mine.certificate_id)
    assert things.owns("mine", mine.certificate_id)


def test_certificates_of_older_versions_are_active(tmp_path: Path):
    database = Database(tmp_path / "anc.db")
    database.connection.execute(
        "CREATE TABLE certificates (id TEXT PRIMARY KEY, thing TEXT NOT NULL) WITHOUT ROWID"
    )
    database.connection.execute("INSERT INTO certificates VALUES ('a', 'old')")
    for _ in range(2):
        assert LocalThings(database, Authority(tmp_path / "ca"), 8883).owns("old", "a")
