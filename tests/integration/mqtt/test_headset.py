"""A whole headset on a simulated head, over real MQTT; only the cloud behind the broker is a small one."""

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
from simulation.acoustic_plant import AcousticPlant
from simulation.headset import StatusUpdate, run_headset
from simulation.scenes import Scene
from tests.processes import PATIENCE_S, until

RATE = 16_000


class Patient:
    """A noise that stops, and time with it, until the cloud has sent a filter."""

    def __init__(self, noise: Scene, seconds: float, cloud: "SmallCloud") -> None:
        self._noise, self._cloud = noise, cloud
        self._left = int(seconds * RATE)

    def read(self, n: int) -> np.ndarray:
        self._left -= n
        if self._left < 0:
            assert self._cloud.answered.wait(PATIENCE_S)
        return self._noise.read(n)


class SmallCloud(threading.Thread):
    """Designs a filter from each snapshot and puts it into the shadow, and does nothing else."""

    def __init__(self, site: Any, secondary: np.ndarray) -> None:
        super().__init__(daemon=True)
        self.snapshots: list[Snapshot] = []
        self.answered = threading.Event()
        self._site = site
        self._secondary = secondary
        self.sent: dict[str, np.ndarray] = {"": np.zeros(1, np.float32)}
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.is_set():
            try:
                body = self._site.snapshots.kept.get(timeout=0.05)
            except queue.Empty:
                continue
            snapshot = Snapshot.parse(base64.b64decode(body["data"]))
            self.snapshots.append(snapshot)
            x, e = snapshot.pcm.T / 32768.0
            x, d = recover_primary(x, e, self.sent[snapshot.filter_id], self._secondary, snapshot.gain)
            w = design_control_filter(x, d, self._secondary, 512, rate=snapshot.rate).taps
            document = FilterDocument.of(float16(w), snapshot.seq, snapshot.rate)
            self.sent[document.id] = document.decode()
            desired = Desired("cancel", 1.0, document, None, Noise("aircraft", 0.9))
            self._site.shadows.update(body["thing"], msgspec.to_builtins(desired))
            self.answered.set()

    def stop(self) -> None:
        self._ended.set()
        self.join()


@pytest.fixture
def head() -> AcousticPlant:
    return AcousticPlant(0)


@pytest.fixture
def cloud(site: Any, head: AcousticPlant) -> Iterator[SmallCloud]:
    cloud = SmallCloud(site, head.measured_secondary())
    cloud.start()
    yield cloud
    cloud.stop()


def test_a_headset_in_noise_gets_its_filter_and_the_ear_gets_quieter(
    site: Any, head: AcousticPlant, cloud: SmallCloud, tmp_path: Path
):
    updates: list[StatusUpdate] = []
    scene = Patient(Scene.built_in("cabin", RATE), 1.0, cloud)
    result = run_headset(
        "cabin-1", site.create("cabin-1"), head, scene, 4.0, tmp_path, updates.append, alarms=False
    )
    assert result.first_filter_s is not None
    assert result.first_filter_s > SUDDEN_CHANGE_S  # so much of the noise had to be heard first
    assert result.attenuation_db > 3
    assert result.attenuation_db <= result.oracle_db
    assert result.after_dbfs == pytest.approx(result.before_dbfs - result.attenuation_db)
    assert result.filters >= 1
    assert (result.reverted, result.noise, result.refused) == (0, "aircraft", "")
    assert cloud.snapshots[0].filter_id == ""
    assert len(updates) >= 3
    assert updates[0].before_dbfs == updates[0].after_dbfs  # nothing acts before there is anything to hear
    reported = site.shadows.get("cabin-1")["state"]["reported"]
    assert (
        reported["filter"] in cloud.sent
    )  # another one may have been on its way when the headset was put down
    assert reported["seq"] in {snapshot.seq for snapshot in cloud.snapshots}


def test_a_headset_outlives_its_broker_and_gets_what_it_missed(
    own_site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(mqtt_transport, "FIRST_RETRY_S", (1, 1))
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
    """Wait until the headset has reported all of `expected`; its audio goes on meanwhile."""
    silence = np.zeros(320, np.float32)

    def has_reported() -> bool:
        agent.process(Block(silence, silence, silence, NO_FILTER, True))
        reported = (site.shadows.get("h1") or {"state": {}})["state"].get("reported", {})
        return expected.items() <= reported.items()

    until(has_reported)
