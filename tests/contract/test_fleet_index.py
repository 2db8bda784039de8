"""Contract of `anc.ports.FleetIndex`."""

from functools import partial
from typing import Any

import pytest

from anc.aws import fleet_index as on_aws
from anc.fleet_records import Distribution, FleetQuery, HeadsetSummary
from anc.schemas.refusal import Refused

NOW = 1_800_000_000.0
KNOWN = HeadsetSummary(
    thing="left-1",
    name="Ada, linkes Ohr (1)",
    tags=("hall-3", "night"),
    owner="alice",
    model="Pro-2",
    online=True,
    since=NOW,
    firmware="1.4.2",
    noise="road",
    attenuation_db=18.25,
    reverted=2,
    reverted_at=NOW - 60,
    refused=3,
    refused_at=NOW - 30,
)
OTHER = HeadsetSummary(thing="right-1", owner="bob", model="lite", attenuation_db=-3.5)
NEW = HeadsetSummary(thing="Left-2", owner="bob", model="lite")


def names(page: Any) -> list[str]:
    return [headset.thing for headset in page.headsets]


@pytest.fixture
def three(fleet_index: Any) -> Any:
    for summary in (KNOWN, OTHER, NEW):
        fleet_index.add(summary)
    return fleet_index.port


def test_a_summary_is_returned_as_it_was_stored(fleet_index):
    fleet_index.add(KNOWN)

    assert list(fleet_index.port.search(FleetQuery()).headsets) == [KNOWN]


def test_an_update_leaves_unknown_fields_as_they_are(fleet_index):
    fleet_index.add(KNOWN)
    fleet_index.port.update(HeadsetSummary(thing="left-1", attenuation_db=0.0, refused=4))

    (stored,) = fleet_index.port.search(FleetQuery()).headsets
    assert (stored.attenuation_db, stored.refused, stored.model) == (0.0, 4, "Pro-2")


def test_removed_tags_are_not_found_and_the_others_stay(three):
    changed = HeadsetSummary(thing="left-1", tags=("night", "spare"))
    for _ in range(2):
        three.update(changed, removed_tags=["hall-3"])

    assert names(three.search(FleetQuery(tag="hall-3"))) == []
    (stored,) = three.search(FleetQuery(tag="spare")).headsets
    assert stored.tags == ("night", "spare")
    three.update(HeadsetSummary(thing="left-1", tags=()), removed_tags=["night", "spare"])
    assert three.count(FleetQuery(tag="night")) == 0
    assert not three.search(FleetQuery(prefix="left-1")).headsets[0].tags


def test_an_update_without_tags_keeps_them(three):
    three.update(HeadsetSummary(thing="left-1", attenuation_db=1.0))

    assert names(three.search(FleetQuery(tag="night"))) == ["left-1"]


def test_a_removed_headset_is_not_found_by_its_properties(three):
    three.remove("left-1")
    three.remove("absent")

    assert names(three.search(FleetQuery(model="Pro-2"))) == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (FleetQuery(), {"left-1", "right-1", "Left-2"}),
        (FleetQuery(prefix="left-"), {"left-1", "Left-2"}),
        (FleetQuery(prefix="l%"), set()),
        (FleetQuery(tag="night"), {"left-1"}),
        (FleetQuery(tag="hall-3", owner="alice"), {"left-1"}),
        (FleetQuery(tag="hall"), set()),
        (FleetQuery(tag="3 night"), set()),
        (FleetQuery(tag="night:true OR owner"), set()),
        (FleetQuery(owner="bob"), {"right-1", "Left-2"}),
        (FleetQuery(model="LITE"), {"right-1", "Left-2"}),
        (FleetQuery(model="Pro"), set()),
        (FleetQuery(firmware="1.4.2"), {"left-1"}),
        (FleetQuery(noise="road"), {"left-1"}),
        (FleetQuery(online=True), {"left-1"}),
        (FleetQuery(online=False), {"right-1", "Left-2"}),
        (FleetQuery(attenuation_below=18.25), {"right-1"}),
        (FleetQuery(attenuation_below=18.3), {"left-1", "right-1"}),
        (FleetQuery(refused_since=NOW - 31), {"left-1"}),
        (FleetQuery(refused_since=NOW - 30), set()),
        (FleetQuery(reverted_since=NOW - 61), {"left-1"}),
        (FleetQuery(owner="bob", attenuation_below=10.0), {"right-1"}),
        (FleetQuery(owner="b@b"), set()),
        (FleetQuery(model='x" OR "y'), set()),
    ],
)
def test_a_query_finds_the_headsets_that_meet_all_conditions(three, query, expected):
    assert set(names(three.search(query))) == expected
    assert three.count(query) == len(expected)


def test_pages_in_the_order_of_the_index_contain_every_headset_once(three):
    found, after = [], ""
    while True:
        page = three.search(FleetQuery(), limit=2, after=after)
        found += names(page)
        after = page.next
        if not after:
            break

    assert sorted(found) == ["Left-2", "left-1", "right-1"]


@pytest.mark.parametrize("sort", ["attenuation_db", "-attenuation_db"])
@pytest.mark.parametrize("batch", [3, 300])
def test_sorted_pages_contain_every_measured_headset_once_in_order(fleet_index, monkeypatch, sort, batch):
    monkeypatch.setattr(on_aws, "SORTED_BATCH", batch)
    values = {f"h-{n}": float(n * 7 % 5 - 2) for n in range(12)}
    for thing, value in values.items():
        fleet_index.add(HeadsetSummary(thing=thing, model="m", attenuation_db=value))
    fleet_index.add(NEW)
    found, after = [], ""
    for _ in range(6):
        page = fleet_index.port.search(FleetQuery(), sort, limit=3, after=after)
        found += names(page)
        after = page.next
        if not after:
            break

    sign = -1 if sort.startswith("-") else 1
    assert found == sorted(values, key=lambda thing: (sign * values[thing], thing))


def test_the_last_refused_headset_is_first_in_descending_order(three):
    three.update(HeadsetSummary(thing="right-1", refused=1, refused_at=NOW))

    assert names(three.search(FleetQuery(), "-refused_at")) == ["right-1", "left-1"]


@pytest.mark.parametrize("after", ["x", "nan/left-1", "/left-1", "1e400/x"])
def test_a_cursor_of_another_order_is_refused(three, after):
    with pytest.raises(Refused) as refusal:
        three.search(FleetQuery(), "attenuation_db", after=after)

    assert refusal.value.code == "bad_field"
    assert refusal.value.message.startswith("after:")


def test_an_unknown_order_is_refused_with_the_allowed_ones(three):
    with pytest.raises(Refused, match=r"sort: must be one of attenuation_db, refused_at \(got model\)"):
        three.search(FleetQuery(), "-model")


def test_groups_are_the_most_frequent_values_with_their_attenuation(three):
    groups = three.groups(FleetQuery(), "model")

    assert [(group.value, group.headsets) for group in groups] == [("lite", 2), ("Pro-2", 1)]
    assert groups[0].attenuation == Distribution(-3.5, -3.5, -3.5)
    assert [group.value for group in three.groups(FleetQuery(), "model", limit=1)] == ["lite"]
    assert [group.value for group in three.groups(FleetQuery(owner="alice"), "noise")] == ["road"]


def test_any_name_of_a_model_is_a_group(fleet_index):
    fleet_index.add(HeadsetSummary(thing="odd", model='x" OR thingName:*', attenuation_db=1.0))

    (group,) = fleet_index.port.groups(FleetQuery(), "model")
    assert (group.value, group.headsets) == ('x" OR thingName:*', 1)


def test_the_distribution_is_that_of_the_measured_headsets(three):
    found = three.distribution(FleetQuery())

    assert found.median_db == pytest.approx(7.375, abs=0.01)
    assert found.p10_db < found.median_db < found.p90_db
    assert three.distribution(FleetQuery(firmware="9.9.9")) == Distribution()


def test_headsets_of_another_deployment_are_neither_found_nor_removed(fleet_indexing, aws):
    ours, theirs = (
        on_aws.IotFleetIndex(thing_type, lambda: fleet_indexing, partial(aws, "iot-data"))
        for thing_type in ("anc", "other")
    )
    aws("iot").create_thing(thingName="foreign", thingTypeName="other")
    theirs.update(HeadsetSummary(thing="foreign", model="lite"))

    ours.remove("foreign")

    assert names(ours.search(FleetQuery())) == []
    assert names(theirs.search(FleetQuery(model="lite"))) == ["foreign"]


def test_a_change_of_the_connection_only_is_not_written_to_aws(fleet_indexing, aws):
    aws("iot").create_thing(thingName="left-1", thingTypeName="anc")
    port = on_aws.IotFleetIndex("anc", lambda: fleet_indexing, partial(aws, "iot-data"))
    port.update(HeadsetSummary(thing="left-1", owner="alice", model="lite", online=True, since=NOW))

    assert names(port.search(FleetQuery(model="lite"))) == []


def test_a_query_with_all_conditions_keeps_within_the_limits_of_aws(fleet_indexing, aws):
    port = on_aws.IotFleetIndex("anc-production-headset", lambda: fleet_indexing, partial(aws, "iot-data"))
    longest = FleetQuery(
        prefix="p" * 64,
        tag="t" * 32,
        owner="0" * 36,
        model="m" * 64,
        firmware="9" * 64,
        noise="n" * 64,
        online=True,
        attenuation_below=10.25,
        refused_since=NOW,
        reverted_since=NOW,
    )
    port.search(longest, "-attenuation_db", after="100.000000/" + "t" * 64)

    assert max(len(query.split(" AND ")) for query in fleet_indexing.queries) == 12
