"""A complete headset with a simulated plant over real MQTT, with a minimal cloud behind the broker."""

import base64
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from anc.dsp import design_control_filter, recover_primary
from anc.schemas.shadow import Desired, FilterDocument, Noise, float16
from anc.schemas.snapshot import Snapshot
from iot import mqtt_transport
from iot.agent import Agent
from iot.controller import NO_FILTER, Block, Controller
from iot.snapshot_scheduler import SUDDEN_CHANGE_S
from iot.state_reporter import REPORT_SETTLED_S
from simulation.acoustic_plant import AcousticPlant
from simulation.headset import StatusUpdate, run_headset
from simulation.scenes import Scene
from tests.processes import PATIENCE_S, until

RATE = 16_000


class PausingNoise:
    """A noise that blocks after some seconds until the cloud has sent a filter."""

    def __init__(self, noise: Scene, seconds: float, cloud: "MinimalCloud") -> None:
        self._noise, self._cloud = noise, cloud
        self._left = int(seconds * RATE)

    def read(self, n: int) -> np.ndarray:
        self._left -= n
        if self._left < 0:
            assert self._cloud.filter_sent.wait(PATIENCE_S)
        return self._noise.read(n)


class MinimalCloud(threading.Thread):
    """Designs a filter from each snapshot and writes it to the shadow."""

    def __init__(self, site: Any, secondary: np.ndarray) -> None:
        super().__init__(daemon=True)
        self.snapshots: list[Snapshot] = []
        self.filter_sent = threading.Event()
        self._site = site
        self._secondary = secondary
        self.sent: dict[str, np.ndarray] = {"": np.zeros(1, np.float32)}
        self._stopping = threading.Event()

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                body = self._site.snapshots.messages.get(timeout=0.05)
            except queue.Empty:
                continue
            snapshot = Snapshot.parse(base64.b64decode(body["payload"]))
            self.snapshots.append(snapshot)
            if snapshot.pcm is None:  # statistics of a noise that the headset has sent before
                continue
            x, e = snapshot.pcm.T / 32768.0
            x, d = recover_primary(x, e, self.sent[snapshot.filter_id], self._secondary, snapshot.gain)
            w = design_control_filter(x, d, self._secondary, 512, rate=snapshot.rate).taps
            document = FilterDocument.of(float16(w), snapshot.seq, snapshot.rate)
            self.sent[document.id] = document.decode()
            desired = Desired("cancel", 1.0, document, None, Noise("aircraft", 0.9))
            self._site.shadows.update(body["thing"], msgspec.to_builtins(desired))
            self.filter_sent.set()

    def stop(self) -> None:
        self._stopping.set()
        self.join()


@pytest.fixture
def plant() -> AcousticPlant:
    return AcousticPlant(0)


@pytest.fixture
def cloud(site: Any, plant: AcousticPlant) -> Iterator[MinimalCloud]:
    cloud = MinimalCloud(site, plant.measured_secondary())
    cloud.start()
    yield cloud
    cloud.stop()


def test_a_headset_in_noise_gets_a_filter_that_attenuates_the_noise(
    site: Any, plant: AcousticPlant, cloud: MinimalCloud, tmp_path: Path
):
    updates: list[StatusUpdate] = []
    scene = PausingNoise(Scene.built_in("cabin", RATE), 1.0, cloud)
    result = run_headset(
        "cabin-1",
        site.create("cabin-1"),
        plant,
        scene,
        4.0 + REPORT_SETTLED_S,
        tmp_path,
        updates.append,
        detect_emergencies=False,
    )
    assert result.first_filter_s is not None
    assert result.first_filter_s > SUDDEN_CHANGE_S  # the minimum length of a first snapshot
    assert result.attenuation_db > 3
    assert result.attenuation_db <= result.oracle_db
    assert result.after_dbfs == pytest.approx(result.before_dbfs - result.attenuation_db)
    assert result.filters >= 1
    assert (result.reverted, result.noise, result.refused) == (0, "aircraft", "")
    assert cloud.snapshots[0].filter_id == ""
    assert len(updates) >= 3
    assert updates[0].before_dbfs == updates[0].after_dbfs  # during the initial quiet
    reported = site.shadows.get("cabin-1")["state"]["reported"]
    assert reported["active_filter"] in cloud.sent  # a newer one may have been in flight at the end
    assert reported["seq"] in {snapshot.seq for snapshot in cloud.snapshots}


def test_a_headset_reconnects_to_a_restarted_broker_and_gets_the_missed_state(
    own_site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(mqtt_transport, "INITIAL_RETRY_S", (1, 1))
    controller = Controller(RATE, 512)
    secondary = np.array([0.0, 0.8], np.float32)
    agent = Agent("h1", own_site.create("h1"), controller, secondary, RATE, tmp_path, None)
    agent.start()
    own_site.counts.wait_for("mqtt_connected")
    wait_for(own_site, agent, mode="cancel")
    own_site.stop()
    own_site.shadows.update("h1", {"mode": "bypass"})
    own_site.start()
    own_site.counts.wait_for("mqtt_connected", 2)
    wait_for(own_site, agent, mode="bypass")
    agent.stop()


def wait_for(site: Any, agent: Agent, **expected: Any) -> None:
    """Wait until the headset has reported all of `expected`, while feeding it silent blocks."""
    silence = np.zeros(320, np.float32)

    def has_reported() -> bool:
        agent.process(Block(silence, silence, silence, NO_FILTER, True))
        reported = (site.shadows.get("h1") or {"state": {}})["state"].get("reported", {})
        return expected.items() <= reported.items()

    until(has_reported)
