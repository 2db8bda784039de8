"""`anc.ports.People` on SQLite: passwords hashed with argon2id, tokens from the edition's own issuer."""

import time
from collections.abc import Sequence
from functools import cached_property

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from anc.ports import Conflict, Grant
from anc.records import Person, Role
from local.database import Database
from local.issuer import Issuer

TOKEN_HOURS = 1.0


class LocalPeople:
    """The people of one machine. `anc token --role admin` is how the first of them is let in."""

    def __init__(self, database: Database, issuer: Issuer) -> None:
        self._database = database
        self._issuer = issuer
        self._hasher = PasswordHasher()
        database.connection.execute(
            "CREATE TABLE IF NOT EXISTS people (name TEXT PRIMARY KEY, role TEXT NOT NULL,"
            " hash TEXT NOT NULL, created REAL NOT NULL) WITHOUT ROWID"
        )

    def sign_in(self, name: str, password: str) -> Grant | None:
        """See `anc.ports.People`. Takes as long for a name that nobody has."""
        nobody = self._nobody  # the first time it takes as long again, whoever it is
        sql = "SELECT hash, role FROM people WHERE name = ?"
        stored, role = self._database.connection.execute(sql, (name,)).fetchone() or (nobody, None)
        try:
            self._hasher.verify(stored, password)
        except VerifyMismatchError:
            return None
        if role is None:
            return None
        return Grant(self._issuer.issue(name, role, TOKEN_HOURS), int(3600 * TOKEN_HOURS), role)

    @cached_property
    def _nobody(self) -> str:
        return self._hasher.hash("nobody signs in with this")

    def create(self, name: str, password: str, role: Role) -> Person:
        """See `anc.ports.People`."""
        person = Person(user=name, name=name, role=role, created=time.time())
        done = self._database.connection.execute(
            "INSERT INTO people VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (name, role, self._hasher.hash(password), person.created),
        )
        if done.rowcount == 0:
            raise Conflict(name)
        return person

    def get(self, user: str) -> Person | None:
        """See `anc.ports.People`."""
        sql = "SELECT name, role, created FROM people WHERE name = ?"
        row = self._database.connection.execute(sql, (user,)).fetchone()
        return _person(*row) if row else None

    def list(self, limit: int = 50, after: str = "") -> tuple[Sequence[Person], str]:
        """See `anc.ports.People`."""
        sql = "SELECT name, role, created FROM people WHERE name > ? ORDER BY name LIMIT ?"
        people = [_person(*row) for row in self._database.connection.execute(sql, (after, limit + 1))]
        page = people[:limit]
        return page, page[-1].name if len(people) > limit else ""

    def set_role(self, user: str, role: Role) -> None:
        """See `anc.ports.People`."""
        sql = "UPDATE people SET role = ? WHERE name = ?"
        if self._database.connection.execute(sql, (role, user)).rowcount == 0:
            raise LookupError(user)

    def delete(self, user: str) -> None:
        """See `anc.ports.People`."""
        self._database.connection.execute("DELETE FROM people WHERE name = ?", (user,))


def _person(name: str, role: Role, created: float) -> Person:
    return Person(user=name, name=name, role=role, created=created)
