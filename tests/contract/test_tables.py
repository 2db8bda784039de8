"""Contract of `anc.tables.Table`."""

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anc.ports import Conflict
from anc.records import Stream

serial = itertools.count()
# A fixture's table serves all examples of a test: every example uses keys of its own.
properties = settings(max_examples=25, deadline=None)


def stream(key: str, **fields: Any) -> Stream:
    return Stream(
        **{"key": key, "group": "ann", "mode": "cancel", "rate": 48_000, "channels": 2}
        | {"taps": 512, "mu": 0.5, "created": 0.0}
        | fields
    )


def test_a_missing_record_is_absent(streams):
    assert streams.get("missing") is None


def test_a_stored_record_comes_back_one_version_higher(streams):
    stored = streams.put(stream("s1", filter=b"\x00\xff", seq=7))

    assert stored == stream("s1", filter=b"\x00\xff", seq=7, version=stored.version)
    assert streams.put(stored).version == stored.version + 1
    stored = stored.replace(version=stored.version + 1)
    assert streams.get("s1") == stored


@properties
@given(
    key=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40),
    group=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40),
    filter=st.binary(max_size=5000),
    mu=st.floats(allow_nan=False, allow_infinity=False),
    created=st.floats(0, 4e9),
)
def test_bytes_unicode_and_floats_survive_exactly(streams, key, group, filter, mu, created):
    record = stream(f"{key}-{next(serial)}", group=group, filter=filter, mu=mu, created=created)

    stored = streams.put(record)
    assert streams.get(stored.key) == stored == record.replace(version=stored.version)


def test_a_record_of_300_kilobytes_survives(streams):
    streams.put(stream("big", filter=bytes(range(256)) * 1200))

    assert streams.get("big").filter == bytes(range(256)) * 1200


@pytest.mark.parametrize("behind", [-1, 1, None])
def test_a_write_from_another_version_conflicts_and_changes_nothing(streams, behind):
    stored = streams.put(streams.put(stream("s1")).replace(seq=4))
    known = 0 if behind is None else stored.version - behind

    with pytest.raises(Conflict):
        streams.put(stored.replace(version=known, seq=99))

    assert streams.get("s1") == stored


def test_a_write_to_a_record_that_was_deleted_conflicts(streams):
    stored = streams.put(stream("s1"))
    streams.delete("s1")

    with pytest.raises(Conflict):
        streams.put(stored)

    assert streams.get("s1") is None


@properties
@given(writers=st.lists(st.integers(0, 3), min_size=1, max_size=12))
def test_of_concurrent_writers_only_one_succeeds(streams, writers):
    """Run four writers in any order; each reads at its first turn and writes at its second."""
    start = streams.put(stream(f"race-{next(serial)}"))
    read: dict[int, Stream] = {}
    won = []
    for writer in writers:
        if writer not in read:
            read[writer] = streams.get(start.key)
            continue
        was = read.pop(writer)
        try:
            won.append((was.version, streams.put(was.replace(seq=writer)).version))
        except Conflict:
            assert streams.get(start.key).version > was.version

    assert won == [(version, version + 1) for version in range(start.version, start.version + len(won))]


def test_a_write_to_a_recreated_record_conflicts(streams):
    read = streams.put(streams.put(stream("s1")).replace(seq=1))
    streams.delete("s1")
    anew = streams.put(stream("s1", group="bob"))
    for seq in range(3):
        anew = streams.put(anew.replace(seq=seq))
        with pytest.raises(Conflict):
            streams.put(read.replace(seq=99))

    assert streams.get("s1") == anew


def test_a_record_is_deleted_only_at_the_version_read(streams):
    read = streams.put(stream("s1"))
    now = streams.put(read.replace(seq=1))
    with pytest.raises(Conflict):
        streams.delete("s1", read.version)
    assert streams.get("s1") == now

    for _ in range(2):  # again is fine
        streams.delete("s1", now.version)
    assert streams.get("s1") is None


def test_deleting_a_missing_record_does_nothing(streams):
    streams.delete("missing")


def test_an_expired_record_is_absent_before_it_is_deleted(streams, clock):
    streams.put(stream("s1", expires=clock.now + 0.5))
    clock.now += 0.49
    assert streams.get("s1") is not None
    assert [found.key for found in streams.list("ann")] == ["s1"]

    clock.now += 0.01

    assert streams.get("s1") is None
    assert streams.list("ann") == []


def test_a_new_record_replaces_an_expired_one(streams, clock):
    streams.put(stream("s1", expires=clock.now + 0.5, seq=9))
    clock.now += 0.5

    assert streams.put(stream("s1")).seq == -1
    assert streams.get("s1").seq == -1


def test_an_expired_record_cannot_be_updated(streams, clock):
    stored = streams.put(stream("s1", expires=clock.now + 0.5))
    clock.now += 0.5

    with pytest.raises(Conflict):
        streams.put(stored.replace(expires=clock.now + 60))


def test_the_expiry_of_a_record_can_be_extended_or_removed(streams, clock):
    stored = streams.put(stream("s1", expires=clock.now + 1))
    streams.put(stored.replace(expires=None))
    clock.now += 1e6

    assert streams.get("s1") is not None


def test_a_listing_contains_only_its_group_in_key_order(streams):
    for key in ("b", "ä", "a", "Z", "aa"):
        streams.put(stream(key))
    streams.put(stream("c", group="bob"))

    assert [found.key for found in streams.list("ann")] == ["Z", "a", "aa", "b", "ä"]
    assert streams.list("missing") == []


def test_a_listing_shows_records_as_last_written(streams):
    stored = streams.put(stream("s1"))
    moved = streams.put(streams.put(stream("s2")).replace(group="bob"))
    changed = streams.put(stored.replace(seq=3))

    assert streams.list("ann") == [changed]
    assert streams.list("bob") == [moved]


@properties
@given(alive=st.lists(st.booleans(), max_size=12), size=st.integers(1, 5), descending=st.booleans())
def test_the_pages_contain_all_records_except_expired_ones(streams, clock, alive, size, descending):
    group = f"group-{next(serial)}"
    for index, lives in enumerate(alive):
        streams.put(stream(f"{group}-{index:02}", group=group, expires=clock.now + (1 if lives else -1)))
    pages, after = [], ""
    while page := streams.list(group, limit=size, after=after, descending=descending):
        pages.append([found.key for found in page])
        after = page[-1].key

    assert all(len(page) == size for page in pages[:-1])
    expected = [f"{group}-{index:02}" for index, lives in enumerate(alive) if lives]
    assert list(itertools.chain.from_iterable(pages)) == (expected[::-1] if descending else expected)


def test_a_listing_of_more_than_a_hundred_large_records_is_complete(streams):
    for index in range(130):
        streams.put(stream(f"{index:03}", filter=bytes(20_000)))

    found = streams.list("ann", limit=120)

    assert [record.key for record in found] == [f"{index:03}" for index in range(120)]
