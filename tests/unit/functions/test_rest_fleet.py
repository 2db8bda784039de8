"""The whole fleet over REST: search, export, overview, and who sees what."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from anc.fleet_records import HeadsetSummary
from anc.headset_records import Control
from anc.schemas.refusal import Refused
from anc.services.headsets import device_status, fleet, fleet_history, telemetry
from functions.rest_api.handler import handler as rest_api
from functions.rollout_manager.handler import handler as rollout_manager
from local.lambda_context import LocalContext
from local.lambda_events import rest_event
from tests.fakes import FakePlatform

Call = Callable[..., tuple[int, Any, str]]
HEADSET = {"thing": "left", "model": "AX2", "secondary": [0.0, 0.5, 0.2]}
OPERATOR = {"user": "olga", "role": "operator"}


@pytest.fixture
def headsets(call: Call) -> None:
    """Register a headset of Alice and one of Bob."""
    assert call("POST", "/api/devices", HEADSET)[0] == 201
    assert call("POST", "/api/devices", {**HEADSET, "thing": "right"}, user="bob")[0] == 201


def names(found: tuple[int, Any, str]) -> list[str]:
    status, page, _ = found
    assert status == 200, page
    return [headset["thing"] for headset in page["headsets"]]


@pytest.mark.usefixtures("headsets")
def test_operators_see_all_headsets_and_listeners_their_own(call: Call) -> None:
    assert names(call("GET", "/api/fleet", **OPERATOR)) == ["left", "right"]
    assert names(call("GET", "/api/fleet", user="root", role="admin")) == ["left", "right"]
    assert names(call("GET", "/api/fleet", owner="bob", **OPERATOR)) == ["right"]
    assert names(call("GET", "/api/fleet")) == ["left"]
    assert names(call("GET", "/api/fleet", owner="alice")) == ["left"]
    assert names(call("GET", "/api/fleet", user="eve")) == []
    assert call("GET", "/api/fleet/overview")[1]["headsets"] == 1
    assert call("GET", "/api/fleet/overview", **OPERATOR)[1]["headsets"] == 2


@pytest.mark.usefixtures("headsets")
def test_the_list_has_the_display_name_after_a_change_and_after_its_removal(call: Call) -> None:
    def shown() -> str:
        name: str = call("GET", "/api/fleet")[1]["headsets"][0]["name"]
        return name

    assert shown() == ""
    call("PATCH", "/api/devices/left", {"name": "Ada, linkes Ohr"})
    assert shown() == "Ada, linkes Ohr"
    call("PATCH", "/api/devices/left", {"name": ""})
    assert shown() == ""


@pytest.mark.usefixtures("headsets")
@pytest.mark.parametrize("path", ["/api/fleet", "/api/fleet/overview", "/api/fleet/csv"])
def test_a_listener_cannot_ask_for_headsets_of_others(call: Call, path: str) -> None:
    status, problem, _ = call("GET", path, owner="bob")

    assert (status, problem["code"]) == (403, "forbidden")
    assert problem["detail"] == "owner: others than you require the role operator (you are listener)"


@pytest.mark.usefixtures("headsets")
def test_the_list_follows_telemetry_connection_and_refusals(call: Call, platform: FakePlatform) -> None:
    report = {"attenuation_db": 17.5, "firmware": "1.4.2", "reverted": 2}
    assert call("POST", "/api/devices/left/telemetry", report)[0] == 200
    event = b'{"clientId": "left", "timestamp": 1800000000000, "eventType": "connected"}'
    device_status.record_presence(event, platform.deps)
    device_status.record_refusal("left", "snapshot", Refused("too_large", "pcm: too long"), platform.deps)

    (left,) = call("GET", "/api/fleet", model="ax2", firmware="1.4.2", online="true")[1]["headsets"]

    now = platform.clock.now
    assert left == {
        "thing": "left",
        "name": "",
        "tags": [],
        "owner": "alice",
        "model": "AX2",
        "online": True,
        "since": now,
        "firmware": "1.4.2",
        "noise": None,
        "attenuation_db": 17.5,
        "reverted": 2,
        "reverted_at": now,
        "refused": 1,
        "refused_at": now,
    }


@pytest.mark.usefixtures("headsets")
def test_noise_is_that_of_the_control_path(call: Call, platform: FakePlatform) -> None:
    platform.deps.controls.put(Control(key="left", group="alice", noise="engine"))
    assert call("POST", "/api/devices/left/telemetry", {"attenuation_db": 1.0})[0] == 200

    assert names(call("GET", "/api/fleet", noise="engine")) == ["left"]


@pytest.mark.usefixtures("headsets")
def test_a_firmware_that_cannot_be_searched_is_left_out(call: Call) -> None:
    call("POST", "/api/devices/left/telemetry", {"firmware": "1.4.2 beta"})

    assert call("GET", "/api/fleet")[1]["headsets"][0]["firmware"] is None


@pytest.mark.usefixtures("headsets")
def test_refused_lately_means_within_the_hours(call: Call, platform: FakePlatform) -> None:
    device_status.record_refusal("left", "snapshot", Refused("too_large", "pcm: too long"), platform.deps)
    platform.clock.now += 3 * 3600

    assert names(call("GET", "/api/fleet", refused_hours="4")) == ["left"]
    assert names(call("GET", "/api/fleet", refused_hours="2")) == []


@pytest.mark.usefixtures("headsets")
def test_a_removed_headset_leaves_the_list(call: Call) -> None:
    assert call("DELETE", "/api/devices/left")[0] == 204

    assert names(call("GET", "/api/fleet", **OPERATOR)) == ["right"]


@pytest.mark.usefixtures("headsets")
def test_a_failed_update_of_the_index_does_not_fail_the_message(
    platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(summary: HeadsetSummary) -> None:
        raise OSError("index")

    monkeypatch.setattr(platform.deps.fleet_index, "update", fail)

    telemetry.store("left", b'{"attenuation_db": 3.0}', platform.clock.now + 1, platform.deps)

    assert platform.deps.telemetry.get("left") is not None


def test_a_headset_is_in_the_list_from_its_claim_on(call: Call, platform: FakePlatform) -> None:
    model = {"secondary": [0.0, 0.5, 0.2]}
    assert call("PUT", "/api/device-models/AX2", model, **OPERATOR)[0] == 200
    assert call("POST", "/api/device-models/AX2/serials", {"serials": ["s-1"]}, **OPERATOR)[0] == 200
    event = b'{"clientId": "s-1", "timestamp": 1800000000000, "eventType": "connected"}'
    device_status.record_presence(event, platform.deps)
    assert names(call("GET", "/api/fleet", **OPERATOR)) == []

    device = platform.deps.devices.get("s-1")
    assert device
    platform.deps.devices.put(device.replace(claimed_by="key"))
    device_status.record_presence(event.replace(b"1800000000000", b"1800000001000"), platform.deps)

    assert names(call("GET", "/api/fleet", **OPERATOR)) == ["s-1"]


@pytest.mark.usefixtures("headsets")
def test_where_updates_cost_money_a_report_updates_the_index_once_in_the_interval(
    call: Call, platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform.deps.fleet_index, "min_interval_s", 3600.0)
    found = []
    for seconds, report in (
        (0, {"attenuation_db": 1.0}),
        (900, {"attenuation_db": 2.0}),
        (1000, {"attenuation_db": 3.0, "reverted": 1}),
        (1100, {"attenuation_db": 4.0, "reverted": 1}),
        (3600, {"attenuation_db": 5.0, "reverted": 1}),
        (3700, {"attenuation_db": 6.0, "reverted": 1, "firmware": "1.4.2"}),
    ):
        payload = json.dumps(report).encode()
        telemetry.store("left", payload, platform.clock.now + 1 + seconds, platform.deps)
        found.append(call("GET", "/api/fleet")[1]["headsets"][0]["attenuation_db"])

    assert found == [1.0, 1.0, 3.0, 3.0, 5.0, 6.0]


def test_pages_follow_each_other_in_the_chosen_order(call: Call, platform: FakePlatform) -> None:
    for number in range(5):
        platform.deps.fleet_index.update(
            HeadsetSummary(thing=f"h{number}", owner="alice", attenuation_db=float(number))
        )
    first = call("GET", "/api/fleet", sort="-attenuation_db", limit="3")
    rest = call("GET", "/api/fleet", sort="-attenuation_db", limit="3", after=first[1]["next"])

    assert names(first) + names(rest) == ["h4", "h3", "h2", "h1", "h0"]
    assert rest[1]["next"] is None
    assert names(call("GET", "/api/fleet", attenuation_below="2")) == ["h0", "h1"]
    assert names(call("GET", "/api/fleet", name="H3")) == ["h3"]


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        (
            {"sort": "model"},
            "sort: must be one of attenuation_db, -attenuation_db, refused_at, -refused_at",
        ),
        ({"limit": "101"}, "limit: must be at most 100"),
        ({"attenuation_below": "101"}, "attenuation_below: must be at most 100"),
        ({"attenuation_below": "nan"}, "attenuation_below: "),
        ({"refused_hours": "0"}, "refused_hours: must be greater than 0"),
        ({"reverted_hours": "721"}, "reverted_hours: must be at most 720"),
        ({"firmware": "A X"}, "firmware: must be 1 to 64 letters, digits or characters of ._+-"),
        ({"model": "x" * 65}, "model: must have at most 64 characters"),
        ({"name": "a*"}, "name: must be 1 to 64 letters, digits, hyphens or underscores"),
        ({"online": "perhaps"}, "online: must be"),
        ({"after": "x", "sort": "refused_at"}, "after: must be `next` of a page in this order"),
        ({"colour": "red"}, "colour: unknown parameter; must be one of after, attenuation_below, firmware,"),
    ],
)
def test_a_refusal_names_the_parameter_and_what_is_allowed(call: Call, query: Any, detail: str) -> None:
    status, problem, _ = call("GET", "/api/fleet", **query)

    assert (status, problem["code"]) == (400, "bad_field")
    assert problem["detail"].startswith(detail)


def exported(platform: FakePlatform, **query: str) -> Any:
    who = {"principalId": "olga", "user": "olga", "role": "operator", "since": str(platform.clock.now)}
    path = "/api/fleet/csv"
    event = rest_event("GET", path, path, {}, query, {}, None, False, who, "127.0.0.1")
    return rest_api(event, LocalContext("rest_api"), platform.deps)


@pytest.mark.usefixtures("headsets")
def test_the_export_has_all_columns_and_all_pages(
    platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "PAGE", 1)

    answer = exported(platform)

    assert answer["multiValueHeaders"]["Content-Type"] == ["text/csv; charset=utf-8"]
    rows = list(csv.DictReader(io.StringIO(answer["body"])))
    assert [(row["thing"], row["owner"], row["noise"]) for row in rows] == [
        ("left", "alice", ""),
        ("right", "bob", ""),
    ]
    assert len(list(csv.reader(io.StringIO(exported(platform, owner="bob")["body"])))) == 2


def test_a_model_is_no_formula_in_the_export(call: Call, platform: FakePlatform) -> None:
    formula = {**HEADSET, "model": '=HYPERLINK("https://x.example","left")'}
    assert call("POST", "/api/devices", formula)[0] == 201

    (row,) = csv.DictReader(io.StringIO(exported(platform)["body"]))

    assert row["model"] == "'" + formula["model"]
    assert names(call("GET", "/api/fleet", model=formula["model"])) == ["left"]


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        " =1+1",
        "\uff1d1+1",
        "\uff0b1",
        "\uff0d1",
        "\uff20x",
    ],
)
def test_no_text_of_an_owner_is_a_formula_in_the_export(platform: FakePlatform, text: str) -> None:
    platform.deps.fleet_index.update(HeadsetSummary(thing="left", name=text, model=text, owner=text))
    (row,) = csv.DictReader(io.StringIO(exported(platform)["body"], newline=""))

    assert (row["name"], row["model"], row["owner"]) == (f"'{text}",) * 3


def test_quotes_commas_and_negative_numbers_are_as_they_were_in_the_export(platform: FakePlatform) -> None:
    name = 'Ada, "left"; ear'
    platform.deps.fleet_index.update(
        HeadsetSummary(thing="left", name=name, tags=("hall-3", "night"), attenuation_db=-3.5)
    )
    (row,) = csv.DictReader(io.StringIO(exported(platform)["body"], newline=""))

    assert (row["name"], row["tags"], row["attenuation_db"]) == (name, "hall-3 night", "-3.5")


@pytest.mark.parametrize("path", ["/api/fleet", "/api/fleet/overview", "/api/fleet/csv"])
def test_a_filter_that_is_given_twice_is_refused(platform: FakePlatform, path: str) -> None:
    """The page would show one value, and the list another."""
    query = {"model": ["AX2", "Studio"]}
    who = {"principalId": "olga", "user": "olga", "role": "operator", "since": str(platform.clock.now)}
    event = rest_event("GET", path, path, {}, query, {}, None, False, who, "127.0.0.1")
    answer = rest_api(event, LocalContext("rest_api"), platform.deps)

    assert answer["statusCode"] == 400
    assert json.loads(answer["body"])["detail"] == "model: must be given once (got 2 values)"


@pytest.mark.usefixtures("headsets")
def test_an_export_of_too_many_headsets_is_refused_with_both_numbers(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "MAX_EXPORTED", 1)

    status, problem, _ = call("GET", "/api/fleet/csv", **OPERATOR)

    assert (status, problem["code"]) == (413, "too_large")
    assert problem["detail"] == "headsets: at most 1 can be exported at once (2 match); add a filter"


def test_the_overview_compares_groups_and_names_the_worst_headsets(
    call: Call, platform: FakePlatform
) -> None:
    now = platform.clock.now
    for number in range(12):
        platform.deps.fleet_index.update(
            HeadsetSummary(
                thing=f"h{number:02}",
                owner="alice",
                online=number < 3,
                firmware="1.0.0" if number < 8 else "1.1.0",
                attenuation_db=float(number),
                refused_at=now - 3600 * number,
                reverted_at=now - 48 * 3600,
            )
        )

    found = call("GET", "/api/fleet/overview", **OPERATOR)[1]

    assert (found["headsets"], found["online"], found["refused"], found["reverted"]) == (12, 3, 12, 0)
    assert found["attenuation"]["median_db"] == 5.5
    assert [(group["value"], group["headsets"]) for group in found["groups"]["firmware"]] == [
        ("1.0.0", 8),
        ("1.1.0", 4),
    ]
    assert found["groups"]["firmware"][0]["attenuation"]["median_db"] == 3.5
    assert [each["thing"] for each in found["worst"]] == [f"h{number:02}" for number in range(10)]


def test_the_fleet_of_each_day_is_recorded_once_and_kept(call: Call, platform: FakePlatform) -> None:
    def record(day: int, attenuation_db: float) -> None:
        platform.clock.now = midnight + 86_400 * day + 60
        summary = HeadsetSummary(thing="left", model="AX2", firmware="1.4.2", attenuation_db=attenuation_db)
        platform.deps.fleet_index.update(summary)
        rollout_manager({}, LocalContext("rollout_manager"), platform.deps)

    midnight = platform.clock.now // 86_400 * 86_400
    record(0, 12.0)
    platform.deps.fleet_index.update(HeadsetSummary(thing="left", attenuation_db=99.0))
    rollout_manager({}, LocalContext("rollout_manager"), platform.deps)
    record(1, 9.0)

    days = call("GET", "/api/fleet/history", by="firmware", **OPERATOR)[1]["days"]
    median = {"p10_db": 12.0, "median_db": 12.0, "p90_db": 12.0}
    assert [each["attenuation"]["median_db"] for each in days] == [12.0, 9.0]
    assert days[0]["groups"] == [{"value": "1.4.2", "headsets": 1, "attenuation": median}]
    assert days[0]["day"] < days[1]["day"]
    assert days[0]["at"] == midnight + 60
    (last,) = call("GET", "/api/fleet/history", days="1", **OPERATOR)[1]["days"]
    assert last == call("GET", "/api/fleet/history", **OPERATOR)[1]["days"][1]
    platform.clock.now += 86_400 * 400
    assert call("GET", "/api/fleet/history", days="366", **OPERATOR)[1]["days"] == []


def test_the_history_of_more_days_than_a_page_is_complete(call: Call, platform: FakePlatform) -> None:
    end = platform.clock.now
    for day in range(150):
        platform.clock.now = end - 86_400 * (149 - day)
        fleet_history.record_day(platform.deps)

    assert len(call("GET", "/api/fleet/history", days="366", **OPERATOR)[1]["days"]) == 150
    assert call("GET", "/api/fleet/history", days="367", **OPERATOR)[0] == 400


def test_a_fleet_that_cannot_be_recorded_does_not_hold_up_rollouts(
    platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> int:
        raise RuntimeError("the index is away")

    monkeypatch.setattr(platform.deps.fleet_index, "count", fail)
    rollout_manager({}, LocalContext("rollout_manager"), platform.deps)

    assert platform.deps.fleet_days.list("days") == []
