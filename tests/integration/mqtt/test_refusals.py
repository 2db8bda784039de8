"""Invalid messages of headsets are refused on a running platform, and the owner can read why."""

import json
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from anc.dsp import Statistics
from anc.noise.features import summary
from anc.ports import Credentials
from anc.schemas.snapshot import Snapshot
from tests.integration.mqtt.conftest import Client
from tests.processes import PATIENCE_S, Platform
from tests.processes import until as until_found

RATE, TAPS = 16_000, 32
SNAPSHOT = "$aws/rules/anc_snapshot/anc/{}/snapshot"
SHADOW = "$aws/things/{}/shadow/name/anc"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    running = Platform(tmp_path_factory.mktemp("platform"))
    yield running
    running.kill()


@pytest.fixture
def headset(platform: Platform) -> Iterator[Callable[[str], Client]]:
    """Return `headset(name)`, which registers a headset for Ann and returns its connected client."""
    clients = []

    def connect(name: str) -> Client:
        body = {"thing": name, "secondary": [0.0, 0.5, 0.2], "rate": RATE, "taps": TAPS}
        status, made = platform.request("POST", "/api/devices", body, "ann")
        assert status == 201
        clients.append(Client(Credentials(**made["credentials"]), name))
        return clients[-1].connect()

    yield connect
    for client in clients:
        client.disconnect()


def until(platform: Platform, name: str, seen: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Return the headset as its owner sees it, once `seen` accepts it."""

    def matching_device() -> dict[str, Any] | None:
        device = platform.request("GET", f"/api/devices/{name}", user="ann")[1]
        return device if seen(device) else None

    return until_found(matching_device)


def snapshot(**changes: Any) -> Snapshot:
    x = 0.05 * np.random.default_rng(0).standard_normal((RATE, 2))
    fields = {"seq": 1, "rate": RATE, "samples": RATE, "filter_id": ""}
    return Snapshot(**{**fields, "pcm": (32768 * x).astype(np.int16), **changes})


def clipped() -> bytes:
    loud = 32768 * np.random.default_rng(0).standard_normal((RATE, 2))
    return snapshot(pcm=np.clip(loud, -32768, 32767).astype(np.int16)).encode()


def truncated() -> bytes:
    data = bytearray(snapshot().encode())
    struct.pack_into("<I", data, 16, 2**31)  # more samples than the message contains
    return bytes(data)


def not_numbers() -> bytes:
    """Return a snapshot in privacy mode with statistics that are not finite but have a valid checksum."""
    noise = np.random.default_rng(1).standard_normal(RATE)
    good = Statistics.measure(noise, noise, [1.0], TAPS, RATE)
    r = np.where(np.arange(TAPS) == 5, np.nan, good.autocorrelation)
    bad = Statistics(r, good.crosscorrelation, good.energy, good.samples, RATE)
    noise_summary = summary(0.1 * noise, RATE)
    return snapshot(pcm=None, statistics=bad.to_bytes(), summary=noise_summary).encode()


INVALID = {
    "truncated": (truncated, "pcm: must have 8,589,934,592 bytes"),
    "clipped": (clipped, "at most 1% of the samples must be clipped"),
    "nan-gain": (lambda: snapshot(gain=float("nan")).encode(), "gain: must be between 0 and 1 (got nan)"),
    "nan-statistics": (not_numbers, "finite"),
    "of-another": (lambda: snapshot(filter_id="00112233445566ff").encode(), "was not sent to this headset"),
}


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_snapshot_is_refused_with_a_reason(
    platform: Platform, headset: Callable[[str], Client], name: str
) -> None:
    make, reason = INVALID[name]
    start = int(time.time())
    client = headset(name)
    client.publish(SNAPSHOT.format(name), make()).result(PATIENCE_S)
    device = until(platform, name, lambda device: device["refused"] > 0)
    assert device["refused"] == 1
    assert device["refusal"]["what"] == "snapshot"
    assert reason in device["refusal"]["message"]
    assert start <= device["refusal"]["at"] <= time.time() + 1  # a clock may be set back
    shadow = platform.request("GET", f"/api/devices/{name}/shadow", user="ann")[1]
    wanted = {"without_control"} if name == "of-another" else set()
    assert set(shadow["state"].get("desired", {})) - {"mode", "intensity", "reason"} <= wanted
    assert platform.request("GET", f"/api/devices/{name}", user="bob")[0] == 404


def test_a_snapshot_on_the_topic_of_another_headset_ends_the_connection_and_is_dropped(
    platform: Platform, headset: Callable[[str], Client]
) -> None:
    victim, forger = headset("victim"), headset("forger")
    forger.publish(SNAPSHOT.format("victim"), snapshot().encode())
    assert forger.lost.wait(PATIENCE_S)
    assert not victim.lost.is_set()
    device = until(platform, "victim", lambda device: device["refused"] > 0 or device["online"])
    assert (device["refused"], device["online"]) == (0, True)
    assert platform.request("GET", "/api/devices/victim/shadow", user="ann")[1]["version"] == 0
    refusal = until(platform, "forger", lambda device: device["refused"] > 0)["refusal"]
    assert (refusal["what"], refusal["code"]) == ("connection", "auth_error")
    assert "the headset may not publish on " in refusal["message"]


def test_a_shadow_update_with_a_wrong_version_is_refused_with_a_reason(
    platform: Platform, headset: Callable[[str], Client]
) -> None:
    client = headset("prophet")
    rejected = client.subscribe(SHADOW.format("prophet") + "/update/rejected")
    update = {"state": {"reported": {"mode": "cancel"}}, "version": 999}
    client.publish(SHADOW.format("prophet") + "/update", json.dumps(update).encode()).result(PATIENCE_S)
    assert json.loads(rejected.get(timeout=PATIENCE_S))["code"] == 409
    refusal = until(platform, "prophet", lambda device: device["refused"] > 0)["refusal"]
    assert (refusal["what"], refusal["code"]) == ("shadow", "http_409")
    assert "999" in refusal["message"]


def test_a_headset_is_online_while_connected_and_reports_telemetry(
    platform: Platform, headset: Callable[[str], Client]
) -> None:
    client = headset("present")
    assert until(platform, "present", lambda device: device["online"])["online"]
    client.publish("anc/present/telemetry", b'{"battery": 0.5}').result(PATIENCE_S)
    client.publish("anc/present/telemetry", b'{"battery": 5}').result(PATIENCE_S)
    assert "battery" in until(platform, "present", lambda device: device["refused"] > 0)["refusal"]["message"]
    reports = platform.request("GET", "/api/devices/present/history", user="ann")[1]["reports"]
    assert [report["battery"] for report in reports] == [0.5]
    client.disconnect()
    assert until(platform, "present", lambda device: not device["online"])["online"] is False


def test_a_rotated_certificate_is_revoked_at_once_and_the_new_one_works(
    platform: Platform, headset: Callable[[str], Client]
) -> None:
    client = headset("rotated")
    status, made = platform.request("POST", "/api/devices/rotated/credentials", user="ann")
    assert status == 201
    assert client.lost.wait(PATIENCE_S)
    again = Client(Credentials(**made), "rotated").connect()
    again.publish("anc/rotated/telemetry", b'{"battery": 0.5}').result(PATIENCE_S)
    again.disconnect()
    assert platform.request("POST", "/api/devices/rotated/credentials", user="bob")[0] == 404


def test_a_measured_path_is_applied_and_a_poor_measurement_refused(
    platform: Platform, headset: Callable[[str], Client]
) -> None:
    client = headset("measured")
    path = {"secondary": [0.0, 0.5, 0.2, 0.1], "rate": RATE, "played": "music", "fit_db": 20.0}
    client.publish("anc/measured/path", json.dumps(path).encode()).result(PATIENCE_S)
    assert until(platform, "measured", lambda device: device["secondary_taps"] == 4)["refused"] == 0
    poor = path | {"secondary": [0.0, 0.9], "fit_db": 2.5}
    client.publish("anc/measured/path", json.dumps(poor).encode()).result(PATIENCE_S)
    device = until(platform, "measured", lambda device: device["refused"] > 0)
    assert (device["secondary_taps"], device["refusal"]["what"]) == (4, "path")
    assert "fit_db: must be at least 6 (got 2.5)" in device["refusal"]["message"]
