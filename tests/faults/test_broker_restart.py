"""The broker ends and starts again, while the rest of the platform and the headsets stay.

Sessions end with the broker: subscriptions, and messages to a headset that it has not acknowledged. The
headset therefore subscribes again and asks for its shadow and its jobs, which are stored. The broker refuses
retained messages.
"""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from iot import mqtt_transport
from iot.agent import Agent
from iot.controller import NO_FILTER, Block, Controller
from tests.integration.mqtt.conftest import Client, Site
from tests.integration.mqtt.test_conformance import DELTA, NEVER_S, Headset, headsets_of
from tests.processes import PATIENCE_S, until

RATE = 16_000
SILENCE = np.zeros(320, np.float32)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.close()


@pytest.fixture
def paho(site: Site, tmp_path: Path) -> Iterator[Callable[..., Headset]]:
    yield from headsets_of(site, tmp_path)


def restart(site: Site) -> None:
    site.stop()
    site.start()


def events(site: Site, thing: str, number: int) -> list[Any]:
    """Return the next events and reports of a thing."""
    found: list[Any] = []
    while len(found) < number:
        report = site.reports.messages.get(timeout=PATIENCE_S)
        if report["thing"] == thing:
            document = json.loads(base64.b64decode(report["payload"]))
            found.append(document.get("eventType", document) if isinstance(document, dict) else document)
    return found


def payloads(site: Site) -> set[bytes]:
    """Return the snapshots that were queued."""
    return {base64.b64decode(body["payload"]) for body in site.snapshots.messages.queue}


def reports(site: Site) -> list[bytes]:
    """Return the reports and events that were queued."""
    return [base64.b64decode(body["payload"]) for body in site.reports.messages.queue]


def test_what_is_acknowledged_is_kept_and_what_is_not_is_sent_again(site: Site) -> None:
    client = Client(site.create("left"), "left").connect()
    for number in range(3):
        client.publish("anc/left/snapshot", b"%d" % number).result(PATIENCE_S)
    site.snapshots.failing = True
    pending = client.publish("anc/left/snapshot", b"3")
    site.counts.wait_for("mqtt_not_kept")
    site.stop()
    assert not pending.done()
    assert payloads(site) == {b"0", b"1", b"2"}
    site.snapshots.failing = False
    site.start()
    pending.result(PATIENCE_S)
    assert payloads(site) == {b"0", b"1", b"2", b"3"}
    client.disconnect()


def test_an_alarm_opens_the_headset_although_the_broker_is_down_when_it_is_detected(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt_transport, "INITIAL_RETRY_S", (1, 1))
    controller = Controller(RATE, 512)
    secondary = np.array([0.0, 0.8], np.float32)
    agent = Agent("left", site.create("left"), controller, secondary, RATE, tmp_path, None)

    def is_in(mode: str) -> bool:
        agent.process(Block(SILENCE, SILENCE, SILENCE, NO_FILTER, True))
        shadow = site.shadows.get("left") or {"state": {}}
        reported: dict[str, Any] = shadow["state"].get("reported", {})
        return reported.get("mode") == mode

    agent.start()
    until(lambda: is_in("cancel"))
    site.stop()
    site.shadows.update("left", {"mode": "transparency", "reason": "siren"})
    site.start()
    until(lambda: is_in("transparency"))
    site.shadows.update("left", {"mode": "cancel", "reason": None})  # over the new subscriptions
    until(lambda: is_in("cancel"))
    assert events(site, "left", 3)[:3] == ["connected", "disconnected", "connected"]
    agent.stop()


def test_sessions_end_with_the_broker_and_a_headset_learns_it(
    site: Site, paho: Callable[[str], Headset]
) -> None:
    headset = paho("left")
    headset.connect(clean=False, SessionExpiryInterval=60)
    headset.subscribe(DELTA.format("left"))
    headset.lose_connection()
    site.shadows.update("left", {"mode": "bypass"})
    restart(site)
    assert not headset.connect(clean=False, SessionExpiryInterval=60).session_present
    assert headset.messages.empty()
    assert site.shadows.get("left")["state"]["desired"] == {"mode": "bypass"}  # type: ignore[index]


@pytest.mark.parametrize("delay_s", [0, NEVER_S])
def test_the_wills_of_all_sessions_are_published_when_the_broker_ends(
    site: Site, paho: Callable[[str], Headset], delay_s: int
) -> None:
    connected, lost = paho("left"), paho("right")
    for headset, thing in ((connected, "left"), (lost, "right")):
        headset.set_will(f"anc/{thing}/telemetry", b'{"battery":0.1}', delay_s)
        headset.connect(clean=False, SessionExpiryInterval=NEVER_S)
    lost.lose_connection()
    until(lambda: any(b"disconnected" in report for report in reports(site)))
    site.stop()
    assert reports(site).count(b'{"battery":0.1}') == 2
    site.start()
