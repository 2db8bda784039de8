"""Password hashes, and users in a data folder of a version without user ids."""

from pathlib import Path

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.profiles import RFC_9106_LOW_MEMORY

from anc.settings import Settings
from local.auth.issuer import Issuer
from local.auth.users import LocalUsers
from local.storage.database import Database

PASSWORD = "correct horse battery"


@pytest.fixture
def users(tmp_path: Path) -> LocalUsers:
    """Return the users of an old folder, in which Ada is an operator."""
    database = Database(tmp_path / "anc.db")
    database.connection.execute(
        "CREATE TABLE people (name TEXT PRIMARY KEY, role TEXT NOT NULL,"
        " hash TEXT NOT NULL, created REAL NOT NULL) WITHOUT ROWID"
    )
    row = ("ada", "operator", PasswordHasher(1, 8, 1).hash(PASSWORD), 1.0)
    database.connection.execute("INSERT INTO people VALUES (?, ?, ?, ?)", row)
    LocalUsers(database, Issuer(tmp_path, Settings()))
    return LocalUsers(database, Issuer(tmp_path, Settings()))


def test_a_user_of_an_older_version_has_the_name_as_id(users: LocalUsers) -> None:
    ada = users.get("ada")
    assert ada
    assert (ada.user, ada.name, ada.role) == ("ada", "ada", "operator")
    grant = users.sign_in("ada", PASSWORD)
    assert grant
    assert (grant.user, grant.role) == ("ada", "operator")


def test_a_new_user_with_an_old_name_gets_a_new_id(users: LocalUsers) -> None:
    users.delete("ada")
    again = users.create("ada", PASSWORD, "listener")
    assert again.user != "ada"
    assert users.get("ada") is None
    assert [person.user for person in users.list()[0]] == [again.user]


def test_passwords_are_hashed_with_the_parameters_of_rfc_9106(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local.auth.users.PasswordHasher", PasswordHasher)  # not the quick one of the tests
    database = Database(tmp_path / "anc.db")
    LocalUsers(database, Issuer(tmp_path, Settings())).create("ada", PASSWORD, "listener")
    ((stored,),) = database.connection.execute("SELECT hash FROM people")
    assert extract_parameters(stored) == RFC_9106_LOW_MEMORY
