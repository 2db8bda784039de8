"""`anc.ports.Users` on SQLite: passwords hashed with argon2id, tokens from the platform's own issuer."""

import time
import uuid
from collections.abc import Sequence
from functools import cached_property

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from anc.lifetimes import HOUR_S, SIGN_IN_TOKEN_HOURS
from anc.ports import Conflict, Grant
from anc.records import Role, User
from local.auth.issuer import Issuer
from local.storage.database import Database

COLUMNS = "user, name, role, created"


class LocalUsers:
    """The users of the local platform. Use `anc token --role admin` to create the first one.

    `user` is a random id. Users of versions without ids have their name as id.
    """

    def __init__(self, database: Database, issuer: Issuer) -> None:
        self._database = database
        self._issuer = issuer
        self._hasher = PasswordHasher()
        with database.writing() as connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS people (name TEXT PRIMARY KEY, role TEXT NOT NULL,"
                " hash TEXT NOT NULL, created REAL NOT NULL, user TEXT) WITHOUT ROWID"
            )
            columns = [row[1] for row in connection.execute("PRAGMA table_info(people)")]
            if "user" not in columns:
                connection.execute("ALTER TABLE people ADD COLUMN user TEXT")
                connection.execute("UPDATE people SET user = name")
            connection.execute("CREATE UNIQUE INDEX IF NOT EXISTS people_by_user ON people (user)")

    def sign_in(self, name: str, password: str) -> Grant | None:
        """See `anc.ports.Users`. Takes the same time for an unknown name."""
        dummy_hash = self._dummy_hash  # computed for every caller, so that the first call leaks nothing
        sql = "SELECT hash, role, user FROM people WHERE name = ?"
        row = self._database.connection.execute(sql, (name,)).fetchone()
        stored, role, user = row or (dummy_hash, None, "")
        try:
            self._hasher.verify(stored, password)
        except VerifyMismatchError:
            return None
        if role is None:
            return None
        token = self._issuer.issue(user, role, SIGN_IN_TOKEN_HOURS)
        return Grant(token, int(HOUR_S * SIGN_IN_TOKEN_HOURS), role, user)

    @cached_property
    def _dummy_hash(self) -> str:
        return self._hasher.hash("no password")

    def create(self, name: str, password: str, role: Role) -> User:
        """See `anc.ports.Users`."""
        person = User(user=str(uuid.uuid4()), name=name, role=role, created=time.time())
        done = self._database.connection.execute(
            f"INSERT INTO people ({COLUMNS}, hash) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",  # noqa: S608
            (person.user, name, role, person.created, self._hasher.hash(password)),
        )
        if done.rowcount == 0:
            raise Conflict(name)
        return person

    def get(self, user: str) -> User | None:
        """See `anc.ports.Users`."""
        sql = f"SELECT {COLUMNS} FROM people WHERE user = ?"  # noqa: S608
        row = self._database.connection.execute(sql, (user,)).fetchone()
        return _person(*row) if row else None

    def list(self, limit: int = 50, after: str = "") -> tuple[Sequence[User], str]:
        """See `anc.ports.Users`."""
        sql = f"SELECT {COLUMNS} FROM people WHERE name > ? ORDER BY name LIMIT ?"  # noqa: S608
        users = [_person(*row) for row in self._database.connection.execute(sql, (after, limit + 1))]
        page = users[:limit]
        return page, page[-1].name if len(users) > limit else ""

    def set_role(self, user: str, role: Role) -> None:
        """See `anc.ports.Users`."""
        sql = "UPDATE people SET role = ? WHERE user = ?"
        if self._database.connection.execute(sql, (role, user)).rowcount == 0:
            raise LookupError(user)

    def delete(self, user: str) -> None:
        """See `anc.ports.Users`."""
        self._database.connection.execute("DELETE FROM people WHERE user = ?", (user,))


def _person(user: str, name: str, role: Role, created: float) -> User:
    return User(user=user, name=name, role=role, created=created)
