"""The cache of accounts and API keys: expiry, invalidation and size."""

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
    cache = ReadCache(clock)
    assert cache.read("accounts", "ada", rows.get) == "operator"
    rows.rows["ada"] = "listener"
    clock.now += ReadCache.TTL_S - 0.1
    assert cache.read("accounts", "ada", rows.get) == "operator"
    clock.now += 0.2
    assert cache.read("accounts", "ada", rows.get) == "listener"
    assert rows.reads == 2


def test_absent_records_are_cached(rows: Rows, clock: Clock) -> None:
    cache = ReadCache(clock)
    assert [cache.read("accounts", "bob", rows.get) for _ in range(3)] == [None] * 3
    assert rows.reads == 1


def test_an_invalidated_record_is_read_again_at_once(rows: Rows, clock: Clock) -> None:
    cache = ReadCache(clock)
    cache.read("accounts", "ada", rows.get)
    rows.rows["ada"] = "listener"
    cache.invalidate("accounts", "ada")
    assert cache.read("accounts", "ada", rows.get) == "listener"


def test_a_read_that_overlaps_a_write_is_not_cached(rows: Rows, clock: Clock) -> None:
    cache = ReadCache(clock)

    def write() -> None:
        rows.meanwhile = lambda: None
        rows.rows["ada"] = "listener"
        cache.invalidate("accounts", "ada")

    rows.meanwhile = write
    cache.read("accounts", "ada", rows.get)
    assert cache.read("accounts", "ada", rows.get) == "listener"


def test_equal_keys_of_different_tables_are_separate(rows: Rows, clock: Clock) -> None:
    cache = ReadCache(clock)
    assert cache.read("accounts", "ada", rows.get) == "operator"
    assert cache.read("api_keys", "ada", lambda key: None) is None


def test_the_number_of_cached_records_is_limited(
    rows: Rows, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ReadCache, "MAX_RECORDS", 3)
    cache = ReadCache(clock)
    for name in "abcdefgh":
        cache.read("accounts", name, rows.get)
    assert len(cache._records) <= 3
