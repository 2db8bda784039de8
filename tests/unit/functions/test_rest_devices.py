"""Headsets over REST: desired state, telemetry, secondary paths, models; emergencies and totals."""

import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from anc.headset_records import Control, SentFilter
from anc.records import Alarm
from anc.schemas.messages import ControlChanged
from anc.schemas.refusal import Refused
from anc.schemas.snapshot import Snapshot
from anc.services import emergencies
from anc.services.headsets import control, devices, telemetry
from local.mqtt import shadows as local_shadows
from tests.fakes import FakePlatform

Call = Callable[..., tuple[int, Any, str]]
HEADSET = {"thing": "left", "secondary": [0.0, 0.5, 0.2]}


@pytest.fixture
def headset(call: Call) -> None:
    """Register a headset of Alice."""
    assert call("POST", "/api/devices", HEADSET)[0] == 201


@pytest.mark.usefixtures("headset")
def test_a_change_of_the_desired_state_reaches_the_shadow_through_the_queue(
    call: Call, platform: FakePlatform
) -> None:
    wanted = call("PATCH", "/api/devices/left/shadow", {"mode": "bypass", "intensity": 0.5})
    assert wanted[:2] == (200, {"mode": "bypass", "intensity": 0.5})
    assert platform.messages() == [ControlChanged("left")]
    control.deliver("left", platform.deps)
    desired = call("GET", "/api/devices/left/shadow")[1]["state"]["desired"]
    assert (desired["mode"], desired["intensity"]) == ("bypass", 0.5)
    assert call("PATCH", "/api/devices/left/shadow", {})[1] == {"mode": "bypass", "intensity": 0.5}


def test_a_headset_has_a_display_name_that_lists_show_and_new_credentials_keep(call: Call) -> None:
    assert call("POST", "/api/devices", HEADSET)[1]["name"] == ""
    renamed = call("PATCH", "/api/devices/left", {"name": "Ada, linkes Ohr"})
    assert (renamed[0], renamed[1]["thing"], renamed[1]["name"]) == (200, "left", "Ada, linkes Ohr")
    assert call("POST", "/api/devices/left/credentials")[0] == 201
    assert call("GET", "/api/devices/left")[1]["name"] == "Ada, linkes Ohr"
    assert [each["name"] for each in call("GET", "/api/devices")[1]["devices"]] == ["Ada, linkes Ohr"]
    assert call("PATCH", "/api/devices/left", {"name": ""})[1]["name"] == ""


@pytest.mark.usefixtures("headset")
@pytest.mark.parametrize(
    "name", ["x" * 65, " left", "left ", "le\nft", "left\n", "\u202etfel", "\0", None, 7]
)
def test_a_display_name_that_is_too_long_or_would_disturb_a_list_is_refused(
    call: Call, stored: Any, name: Any
) -> None:
    before = stored()
    status, problem, _ = call("PATCH", "/api/devices/left", {"name": name})
    assert (status, problem["code"]) == (400, "bad_field")
    assert problem["detail"].startswith("name: ")
    if isinstance(name, str):
        assert "at most 64 characters" in problem["detail"]
    assert stored() == before


@pytest.mark.usefixtures("headset")
def test_a_headset_is_renamed_by_its_owner_and_operators_only(call: Call) -> None:
    assert call("PATCH", "/api/devices/left", {"name": "mine"}, user="bob")[0] == 404
    assert call("PATCH", "/api/devices/right", {"name": "mine"})[0] == 404
    assert call("PATCH", "/api/devices/left", {})[0] == 400
    by_operator = call("PATCH", "/api/devices/left", {"name": "seat 12"}, user="olga", role="operator")
    assert by_operator[1]["name"] == "seat 12"


FIRMWARE = {"version": "1.4.0", "url": "https://x.example/1.4.0", "sha256": "ab" * 32, "size": 9}


@pytest.mark.usefixtures("headset")
def test_configuration_and_firmware_reach_the_shadow_and_omitted_fields_stay(
    call: Call, platform: FakePlatform
) -> None:
    for config in ({"private": True, "snapshot_interval_s": 30}, {"telemetry_interval_s": 600}):
        assert call("PATCH", "/api/devices/left/shadow", {"config": config})[0] == 200
    operator = {"user": "olga", "role": "operator"}
    assert call("PATCH", "/api/devices/left/shadow", {"firmware": FIRMWARE}, **operator)[0] == 200
    control.deliver("left", platform.deps)
    desired = call("GET", "/api/devices/left/shadow")[1]["state"]["desired"]
    assert desired["config"] == {"private": True, "snapshot_interval_s": 30, "telemetry_interval_s": 600}
    assert desired["firmware"] == FIRMWARE


@pytest.mark.usefixtures("headset")
def test_only_operators_set_firmware_and_only_owners_turn_off_private_mode(call: Call, stored: Any) -> None:
    before = stored()
    for change, who in (
        ({"firmware": FIRMWARE}, {}),
        ({"config": {"private": False}}, {"user": "olga", "role": "operator"}),
    ):
        status, problem, _ = call("PATCH", "/api/devices/left/shadow", change, **who)
        assert (status, problem["code"]) == (403, "forbidden")
    assert stored() == before
    assert call("PATCH", "/api/devices/left/shadow", {"config": {"private": False}})[0] == 200


@pytest.mark.usefixtures("headset")
@pytest.mark.parametrize(
    "change",
    [
        {"mode": "loud"},
        {"intensity": 1.01},
        {"intensity": "1"},
        {"filter": {}},
        {"config": {"snapshot_interval_s": 4}},
        {"config": {"telemetry_interval_s": 86_401}},
        {"config": {"private": "yes"}},
        {"config": {"colour": "red"}},
        {"firmware": {**FIRMWARE, "size": 16 * 1024**2 + 1}},
        {"firmware": {**FIRMWARE, "size": 0}},
        {"firmware": {**FIRMWARE, "version": "1.4"}},
        {"firmware": {**FIRMWARE, "url": "http://x.example/1.4.0"}},
        {"firmware": {**FIRMWARE, "url": "file:///etc/passwd"}},
        {"firmware": {**FIRMWARE, "url": "https://user@x.example/1.4.0"}},
        {"firmware": {**FIRMWARE, "url": "https://user:" + "pass@x.example/1.4.0"}},
        {"firmware": {**FIRMWARE, "url": "http://127.0.0.1:" + "80@x.example/1.4.0"}},
        {"firmware": {**FIRMWARE, "url": "http://127.0.0.1:" + "x@x.example/"}},
        {"firmware": {**FIRMWARE, "url": "https://x.example\\@y.example/"}},
        {"firmware": {**FIRMWARE, "url": "https://x.example/1.4.0\n"}},
        {"firmware": {**FIRMWARE, "url": "https://x.example:\u0664\u0664\u0663/"}},
        {"firmware": {**FIRMWARE, "url": "https://\u0445.example/"}},
        {"firmware": {**FIRMWARE, "version": "1.4.\u0660"}},
        {"firmware": {**FIRMWARE, "version": "1.4.0\n"}},
        {"firmware": {**FIRMWARE, "sha256": "ab" * 32 + "\n"}},
        {"firmware": {**FIRMWARE, "sha256": "ab"}},
        {"firmware": {"version": "1.4.0"}},
    ],
)
def test_an_invalid_desired_state_is_refused(call: Call, stored: Any, change: Any) -> None:
    before = stored()
    assert call("PATCH", "/api/devices/left/shadow", change)[0] == 400
    assert stored() == before


@pytest.mark.usefixtures("headset")
def test_the_latest_telemetry_report_is_returned(call: Call, platform: FakePlatform) -> None:
    silence = call("GET", "/api/devices/left/telemetry")[1]
    assert set(silence.values()) == {None}
    call("POST", "/api/devices/left/telemetry", {"battery": 0.9, "firmware": "1.0"})
    platform.clock.now += 60
    call("POST", "/api/devices/left/telemetry", {"battery": 0.8, "mode": "cancel"})
    stored = call("GET", "/api/devices/left/telemetry")[1]
    assert (stored["battery"], stored["mode"], stored["firmware"]) == (0.8, "cancel", None)
    assert stored["at"] == platform.clock.now


@pytest.mark.usefixtures("headset")
@pytest.mark.parametrize(
    "report", [{"battery": 1.1}, {"firmware": "x" * 65}, {"level_dbfs": 21}, {"location": [1, 2]}]
)
def test_impossible_telemetry_values_are_refused(call: Call, report: Any) -> None:
    assert call("POST", "/api/devices/left/telemetry", report)[0] == 400


@pytest.mark.usefixtures("headset")
def test_a_new_secondary_path_replaces_the_old_one_and_its_statistics(
    call: Call, platform: FakePlatform
) -> None:
    controls = platform.deps.controls
    controls.put(Control(key="left", group="alice", seq=7, memory=b"learned", statistics=b"before"))
    status, paths, _ = call("PUT", "/api/devices/left/paths", {"secondary": [0.25, -0.5]})
    assert (status, paths) == (200, {"rate": 16_000, "secondary": [0.25, -0.5]})
    assert call("GET", "/api/devices/left/paths")[1] == paths
    known = controls.get("left")
    assert known is not None
    assert (known.memory, known.statistics, known.seq) == (b"", b"", 7)


@pytest.mark.usefixtures("headset")
@pytest.mark.parametrize("secondary", [[], [0.0], [1e-7, -1e-7], [1e400], [0.1] * 1025, ["x"], "path"])
def test_an_implausible_secondary_path_is_refused_and_the_old_one_stays(call: Call, secondary: Any) -> None:
    assert call("PUT", "/api/devices/left/paths", {"secondary": secondary})[0] == 400
    assert len(call("GET", "/api/devices/left/paths")[1]["secondary"]) == 3


def test_listeners_have_a_quota_of_headsets_and_operators_have_none(
    call: Call, platform: FakePlatform, stored: Any
) -> None:
    most = platform.deps.settings.quota_devices
    for number in range(most):
        assert call("POST", "/api/devices", HEADSET | {"thing": f"n{number}"})[0] == 201
    before = stored()
    status, problem, _ = call("POST", "/api/devices", HEADSET)
    assert (status, problem["code"]) == (429, "too_many")
    assert problem["detail"] == f"headsets: {most} of {most} in use; remove one"
    assert stored() == before
    assert call("POST", "/api/devices", HEADSET, user="bob")[0] == 201
    for number in range(most + 1):
        made = call("POST", "/api/devices", HEADSET | {"thing": f"o{number}"}, user="olga", role="operator")
        assert made[0] == 201
    assert call("DELETE", "/api/devices/n0")[0] == 204
    assert call("POST", "/api/devices", HEADSET | {"thing": "again"})[0] == 201


def test_a_listener_cannot_register_a_name_with_the_serial_prefix_of_a_model(call: Call, stored: Any) -> None:
    maker = {"user": "maker", "role": "operator"}
    assert call("PUT", "/api/device-models/quiet", MODEL | {"serial_prefix": "QO-"}, **maker)[0] == 200
    assert call("GET", "/api/device-models/quiet")[1]["serial_prefix"] == "QO-"
    before = stored()
    status, problem, _ = call("POST", "/api/devices", HEADSET | {"thing": "QO-000117"})
    assert (status, problem["code"]) == (403, "forbidden")
    assert "names that start with QO- are reserved for the model quiet" in problem["detail"]
    assert stored() == before
    listed = call("POST", "/api/device-models/quiet/serials", {"serials": ["QO-000117"]}, **maker)[1]
    assert listed["listed"] == ["QO-000117"]
    assert call("POST", "/api/devices", HEADSET | {"thing": "qo-1"})[0] == 201
    assert call("POST", "/api/devices", HEADSET | {"thing": "QO-by-hand"}, **maker)[0] == 201


@pytest.mark.parametrize("prefix", ["Q", "QO", "x" * 33, "Q O-", "QO-\n", "Q/-"])
def test_a_serial_prefix_that_is_too_short_or_invalid_is_refused(call: Call, prefix: str) -> None:
    change = MODEL | {"serial_prefix": prefix}
    status, problem, _ = call("PUT", "/api/device-models/quiet", change, role="operator")
    assert (status, problem["code"]) == (400, "bad_field")


@pytest.mark.usefixtures("headset")
@pytest.mark.parametrize("levels", [32, 900])
def test_a_deeply_nested_change_is_refused(call: Call, stored: Any, levels: int) -> None:
    deep: Any = 1
    for _ in range(levels):
        deep = {"a": deep}
    before = stored()
    status, problem, _ = call("PATCH", "/api/devices/left/shadow", {"config": deep})
    assert (status, problem["code"]) == (400, "bad_json")
    assert "nested deeper than 32 levels" in problem["detail"]
    assert stored() == before


LAST_NUMBER = 2**32 - 1


@pytest.mark.usefixtures("headset")
def test_after_a_new_certificate_sequence_numbers_may_start_anew(call: Call, platform: FakePlatform) -> None:
    deps = platform.deps
    sent = SentFilter.of(b"\0\0", LAST_NUMBER, 16_000, 12.0)
    deps.controls.put(Control(key="left", group="alice", seq=LAST_NUMBER, filters=(sent,), noise="road"))
    stored = telemetry.store(
        "left", b'{"battery": 0.5, "run": 1, "line": 4294967295}', platform.clock.now, deps
    )
    assert stored is None
    path = {"rate": 16_000, "played": "probe", "fit_db": 21.0}
    devices.store_measured_path(
        "left", json.dumps(path | {"secondary": [0.1], "seq": LAST_NUMBER}).encode(), deps
    )
    for number in (1, 2):
        with pytest.raises(Refused) as refusal:
            control.process_snapshot("left", snapshot(number), deps)
        assert refusal.value.code == "stale_seq"
    platform.clock.now += 1
    assert call("POST", "/api/devices/left/credentials")[0] == 201
    with pytest.raises(Refused) as refusal:  # published before the new certificate
        control.process_snapshot("left", snapshot(LAST_NUMBER - 1), deps, platform.clock.now - 0.5)
    assert refusal.value.code == "unknown_device"
    control.process_snapshot("left", snapshot(1), deps, platform.clock.now + 1)
    known = deps.controls.get("left")
    assert known is not None
    assert (known.seq, {each.seq for each in known.filters}) == (1, {0, 1})
    devices.store_measured_path("left", json.dumps(path | {"secondary": [0.2], "seq": 1}).encode(), deps)
    assert call("GET", "/api/devices/left/paths")[1]["secondary"] == pytest.approx([0.2])
    platform.clock.now += 60
    telemetry.store("left", b'{"battery": 0.4, "run": 1, "line": 3}', platform.clock.now, deps)
    assert call("GET", "/api/devices/left/telemetry")[1]["battery"] == 0.4


def snapshot(seq: int) -> bytes:
    noise = np.random.default_rng(seq).standard_normal(8_000) * 0.05
    pcm = np.stack([noise, 0.6 * np.roll(noise, 3)], axis=1)
    return Snapshot(seq, 16_000, 8_000, "", pcm=(32768 * pcm).astype(np.int16)).encode()


MODEL = {
    "secondary": [0.0, 0.0, 0.6, 0.3, -0.1],
    "rate": 48_000,
    "taps": 256,
    "max_gain_db": 12.0,
    "lower_limit_hz": 60.0,
}


def describe(call: Call) -> None:
    assert call("PUT", "/api/device-models/quiet-one", MODEL, role="operator")[0] == 200


def test_a_headset_takes_omitted_fields_from_its_model(call: Call) -> None:
    describe(call)
    described = call("GET", "/api/device-models/quiet-one")[1]
    assert (described["max_gain_db"], described["lower_limit_hz"]) == (12.0, 60.0)
    made = call("POST", "/api/devices", {"thing": "left", "model": "quiet-one"})[1]
    assert (made["rate"], made["taps"], made["max_gain_db"], made["secondary_taps"]) == (48_000, 256, 12.0, 5)
    assert call("GET", "/api/devices/left/paths")[1]["secondary"] == pytest.approx(MODEL["secondary"])


def test_a_headset_without_a_stored_model_needs_a_path(call: Call) -> None:
    status, problem, _ = call("POST", "/api/devices", {"thing": "left", "model": "quiet-one"})
    assert (status, problem["code"]) == (404, "unknown_model")
    assert "secondary: required, because the model quiet-one does not exist" in problem["detail"]


def test_models_are_listed_replaced_and_deleted_and_their_headsets_stay(call: Call) -> None:
    describe(call)
    call("POST", "/api/devices", {"thing": "left", "model": "quiet-one"})
    call("PUT", "/api/device-models/quiet-one", MODEL | {"taps": 512}, role="operator")
    listed = call("GET", "/api/device-models")[1]["models"]
    assert [(model["model"], model["taps"]) for model in listed] == [("quiet-one", 512)]
    assert call("DELETE", "/api/device-models/quiet-one", role="operator")[0] == 204
    assert call("GET", "/api/device-models/quiet-one")[0] == 404
    assert call("GET", "/api/devices/left")[1]["taps"] == 256


def test_a_path_measured_at_registration_is_stored(call: Call) -> None:
    describe(call)
    call("POST", "/api/devices", {"thing": "left", "model": "quiet-one"})
    measured = {"secondary": [0.0, 0.1, 0.5, 0.3, -0.1], "rate": 48_000}
    assert call("POST", "/api/devices/left/paths", measured)[0] == 201
    assert call("GET", "/api/devices/left/paths")[1]["secondary"] == pytest.approx(measured["secondary"])


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ({"secondary": [0.1] * 1025}, "1024"),
        ({"secondary": [float("nan")]}, "not a JSON document"),
        ({"secondary": [0.0] * 8}, "not all zero"),
        ({"secondary": [0.6] * 128, "rate": 48_000}, "ok"),
        ({"secondary": [1.05**n for n in range(128)]}, "must decay"),
        ({"secondary": [0.0, 0.0, -0.6, -0.3, 0.1]}, "wrong polarity"),
        ({"secondary": [0.0, 0.0, 0.6], "rate": 16_000}, "rate: must be 48000 Hz, as registered (got 16000)"),
    ],
)
def test_a_measured_path_that_does_not_fit_the_model_is_refused(call: Call, path: Any, says: str) -> None:
    describe(call)
    call("POST", "/api/devices", {"thing": "left", "model": "quiet-one"})
    for method in ("POST", "PUT"):
        status, answer, _ = call(method, "/api/devices/left/paths", path)
        if says == "ok":
            assert status in (200, 201)
            continue
        assert status == 400
        assert says in answer["detail"]
        kept = call("GET", "/api/devices/left/paths")[1]["secondary"]
        assert kept == pytest.approx(MODEL["secondary"])


@pytest.mark.usefixtures("headset")
def test_an_emergency_is_active_while_it_holds_the_headset_in_transparency(
    call: Call, platform: FakePlatform
) -> None:
    deps, clock = platform.deps, platform.clock
    assert call("GET", "/api/emergency/status")[1] == {"active": False, "sources": []}
    deps.controls.put(Control(key="left", group="alice", emergency_until=clock.now + 10))
    emergencies.publish("alice", "left", Alarm("siren", 0.97, clock.now), deps)
    status = call("GET", "/api/emergency/status")[1]
    assert (status["active"], status["sources"][0]["source"], status["sources"][0]["kind"]) == (
        True,
        "left",
        "siren",
    )
    assert call("GET", "/api/emergency/status", user="mallory")[1]["active"] is False
    clock.now += 11
    assert call("GET", "/api/emergency/status")[1]["active"] is False
    assert [event["kind"] for event in call("GET", "/api/emergency/events")[1]["events"]] == ["siren"]


def test_the_latest_of_many_emergencies_is_listed_as_active(call: Call, platform: FakePlatform) -> None:
    deps, clock = platform.deps, platform.clock
    for _ in range(150):
        emergencies.publish("alice", "left", Alarm("horn", 0.9, clock.now), deps)
        clock.now += 1
    deps.controls.put(Control(key="right", group="alice", emergency_until=clock.now + 10))
    emergencies.publish("alice", "right", Alarm("siren", 0.9, clock.now), deps)
    assert [source["source"] for source in call("GET", "/api/emergency/status")[1]["sources"]] == ["right"]


def test_totals_and_durations_are_returned_to_admins(call: Call) -> None:
    for _ in range(3):
        call("POST", "/api/sessions", {})
    totals = call("GET", "/api/stats/summary", role="admin")[1]["totals"]
    assert totals["sessions_opened"] == 3
    rest = call("GET", "/api/stats/performance", role="admin")[1]["rest"]
    assert rest["count"] == 4
    assert 0 < rest["p50_ms"] <= rest["p99_ms"]


def test_another_algorithm_restarts_the_filter_and_keeps_the_session(call: Call) -> None:
    session = call("POST", "/api/sessions", {})[1]["session"]
    changed = call("PATCH", f"/api/sessions/{session}", {"algorithm": "fdaf"})[1]
    assert (changed["algorithm"], changed["next_seq"]) == ("fdaf", 0)


def test_concurrent_callers_each_get_their_own_response(call: Call) -> None:
    def ask(number: int) -> bool:
        opened = call("POST", "/api/sessions", {"taps": 16 + number}, user=f"user-{number}")[1]
        found = call("GET", f"/api/sessions/{opened['session']}", user=f"user-{number}")[1]
        return bool(found == opened and found["taps"] == 16 + number)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # so that requests really overlap
    try:
        with ThreadPoolExecutor(8) as threads:
            assert all(threads.map(ask, range(100)))
    finally:
        sys.setswitchinterval(before)


@pytest.mark.usefixtures("headset")
def test_an_invalid_report_that_aws_stored_is_shown_to_the_owner_once(
    call: Call, platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_shadows, "check_reported", lambda state: None)  # as AWS IoT
    assert platform.deps.shadows.request("left", "update", b'{"state": {"reported": {"mode": "louder"}}}')  # type: ignore[attr-defined]
    for _ in range(2):
        assert call("GET", "/api/devices/left/shadow")[0] == 200
    device = call("GET", "/api/devices/left")[1]
    assert (device["refused"], device["refusal"]["what"]) == (1, "shadow")
    assert device["refusal"]["message"].startswith("reported.mode: must be one of bypass, cancel")


def test_a_long_firmware_url_is_refused_for_a_long_filter_that_shares_the_shadow(call: Call) -> None:
    secondary = [0.0, 0.5, 0.2]
    for name, taps in (("short", 512), ("long", 1024)):
        device = {"thing": name, "secondary": secondary, "taps": taps}
        assert call("POST", "/api/devices", device, user="olga", role="operator")[0] == 201
    change = {"firmware": {**FIRMWARE, "url": "https://x.example/" + "u" * 300}}
    assert call("PATCH", "/api/devices/short/shadow", change, user="olga", role="operator")[0] == 200
    status, problem, _ = call("PATCH", "/api/devices/long/shadow", change, user="olga", role="operator")
    assert (status, problem["code"]) == (413, "too_large")
    assert "firmware.url: must have at most 200 characters" in problem["detail"]
