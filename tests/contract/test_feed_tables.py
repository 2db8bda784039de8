"""Contract of `anc.tables.FeedTable`: the records of all groups, in the order of their keys."""

from typing import Any

import pytest

from anc.records import Emergency

NOW = 1_800_000_000.0
KEYS = [f"{int(1000 * NOW) + number:014d}-0000000{number % 10}" for number in range(25)]


def emergency(key: str, group: str, **fields: Any) -> Emergency:
    return Emergency(key=key, group=group, source="left", kind="siren", score=0.9, at=NOW, **fields)


@pytest.fixture
def stored(feed: Any) -> Any:
    """Return the table with emergencies of five owners."""
    for number, key in enumerate(KEYS):
        feed.put(emergency(key, f"owner-{number % 5}"))
    return feed


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("limit", [1, 7, 25, 100])
def test_pages_contain_the_records_of_all_groups_once_in_order(stored, limit, descending):
    found, after = [], ""
    while page := stored.list_all(limit, after, descending):
        assert len(page) <= limit
        found += [record.key for record in page]
        after = found[-1]

    assert found == sorted(KEYS, reverse=descending)


def test_a_page_begins_after_any_key(stored):
    between = KEYS[10][:-1]  # shorter than a key, so before it

    assert [record.key for record in stored.list_all(2, between)] == KEYS[10:12]
    assert [record.key for record in stored.list_all(2, between, descending=True)] == KEYS[9:7:-1]


def test_expired_and_deleted_records_are_not_listed(feed, clock):
    feed.put(emergency(KEYS[0], "ann", expires=clock.now - 1))
    feed.put(emergency(KEYS[1], "ann"))
    feed.put(emergency(KEYS[2], "bob"))
    feed.delete(KEYS[1])

    assert [record.key for record in feed.list_all()] == [KEYS[2]]
    assert feed.list("bob") == feed.list_all()


def test_a_changed_record_is_listed_as_it_is_now(feed):
    first = feed.put(emergency(KEYS[0], "ann"))
    changed = feed.put(first.replace(comment="A drill."))

    assert list(feed.list_all()) == [changed]
