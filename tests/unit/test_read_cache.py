"""The cache of accounts and API keys: how long it is believed, and what makes it look again."""

from collections.abc import Callable

import pytest

from anc.read_cache import ReadCache
from tests.fakes import Clock


class Rows:
    """A table of texts that counts how often it is read."""

    def __init__(self) -> None:
        self.rows = {"ada": "operator"}
        self.reads = 0
        self.meanwhile: Callable[[], None] = lambda: None

    def get(self, key: str) -> str | None:
        self.reads += 1
        found = self.rows.get(key)
        self.meanwhile()
        return found


@pytest.fixture
def rows() -> Rows:
    return Rows()


def test_a_record_is_read_again_after_five_seconds(rows: Rows, clock: Clock) -> None:
    recent = ReadCache(clock)
    assert recent.read("accounts", "ada", rows.get) == "operator"
    rows.rows["ada"] = "listener"
    clock.now += ReadCache.TTL_S - 0.1
    assert recent.read("accounts", "ada", rows.get) == "operator"
    clock.now += 0.2
    assert recent.read("accounts", "ada", rows.get) == "listener"
    assert rows.reads == 2


def test_that_there_is_no_record_is_remembered_too(rows: Rows, clock: Clock) -> None:
    recent = ReadCache(clock)
    assert [recent.read("accounts", "bob", rows.get) for _ in range(3)] == [None] * 3
    assert rows.reads == 1


def test_a_write_of_this_process_is_seen_at_once(rows: Rows, clock: Clock) -> None:
    recent = ReadCache(clock)
    recent.read("accounts", "ada", rows.get)
    rows.rows["ada"] = "listener"
    recent.invalidate("accounts", "ada")
    assert recent.read("accounts", "ada", rows.get) == "listener"


def test_what_was_read_before_a_write_is_not_remembered_after_it(rows: Rows, clock: Clock) -> None:
    recent = ReadCache(clock)

    def write() -> None:
        rows.meanwhile = lambda: None
        rows.rows["ada"] = "listener"
        recent.invalidate("accounts", "ada")

    rows.meanwhile = write
    recent.read("accounts", "ada", rows.get)
    assert recent.read("accounts", "ada", rows.get) == "listener"


def test_tables_are_told_apart(rows: Rows, clock: Clock) -> None:
    recent = ReadCache(clock)
    assert recent.read("accounts", "ada", rows.get) == "operator"
    assert recent.read("api_keys", "ada", lambda key: None) is None


def test_it_holds_so_many_records_and_no_more(
    rows: Rows, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ReadCache, "MAX_RECORDS", 3)
    recent = ReadCache(clock)
    for name in "abcdefgh":
        recent.read("accounts", name, rows.get)
    assert len(recent._records) <= 3
