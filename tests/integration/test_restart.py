"""After a kill at any moment and a restart, confirmed changes are still there."""

import base64
import http.client
import io
import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from awscrt import mqtt
from awscrt.exceptions import AwsCrtError
from awsiot import mqtt_connection_builder
from websockets.exceptions import WebSocketException

from anc.dsp import FDAF, NLMS
from anc.headset_records import Control
from anc.pcm import float_to_int16
from anc.records import Job
from anc.schemas.snapshot import Snapshot
from anc.services.sound.job_processing import BLOCK_FRAMES
from anc_client import Client
from local.storage.database import Database
from local.storage.tables import SqliteTable
from tests.processes import PATIENCE_S, Platform
from tests.untrained_models import untrained_model

KILL_AFTER = (20, 120)  # confirmations; more requests may be in flight
RATE, BLOCK, TAPS = 16_000, 1_024, 128
THINGS = ("left", "right", "spare")
CUT_OFF = (OSError, http.client.HTTPException, WebSocketException, AwsCrtError, TimeoutError)


def two_microphones(blocks: int) -> np.ndarray:
    """Noise, and the same through a short path; (blocks, BLOCK, 2) int16."""
    x = 2_000 * np.random.default_rng(11).standard_normal(blocks * BLOCK)
    d = np.convolve(x, [0.0, 0.6, -0.3, 0.2])[: x.size]
    return np.rint(np.stack([x, d], axis=1)).astype("<i2").reshape(blocks, BLOCK, 2)


def residual(pcm: np.ndarray) -> np.ndarray:
    """What the filter leaves of the whole signal at once."""
    x, d = (pcm.reshape(-1, 2) / np.float32(32_768)).astype(np.float32).T
    return NLMS(TAPS, 0.5).process(x, d)[1] * 32_768


def snapshot(seq: int) -> bytes:
    """A quarter of a second of noise that is another one each time."""
    rng = np.random.default_rng(seq)
    x = np.convolve(0.05 * rng.standard_normal(4_000), rng.standard_normal(8), "same")
    e = np.concatenate([np.zeros(3), 0.6 * x[:-3]])
    pcm = np.rint(8_192 * np.clip(np.stack([x, e], axis=1), -1, 1)).astype("<i2")
    return Snapshot(seq, RATE, 4_000, "", pcm=pcm).encode()


class Confirmations:
    """Counts what the platform has confirmed, and lets a test wait for so many more."""

    def __init__(self) -> None:
        self._count = 0
        self._changed = threading.Condition()

    def add(self) -> None:
        with self._changed:
            self._count += 1
            self._changed.notify_all()

    def wait_for(self, more: int) -> None:
        with self._changed:
            target = self._count + more
            assert self._changed.wait_for(lambda: self._count >= target, PATIENCE_S)


class LiveClient:
    """Streams one session, block after block, and remembers every answer."""

    def __init__(self, platform: Platform, confirmed: Confirmations, pcm: np.ndarray) -> None:
        self.platform, self.confirmed, self.pcm = platform, confirmed, pcm
        self.answers: list[dict[str, Any]] = []
        with platform.connect("ann") as socket:
            self.session = socket.ask(action="start", rate=RATE, taps=TAPS, channels=2)["session"]

    def frame(self, seq: int) -> dict[str, Any]:
        pcm = base64.b64encode(self.pcm[seq % len(self.pcm)].tobytes()).decode()
        return {"action": "audio", "session": self.session, "seq": seq, "pcm": pcm}

    def use(self) -> None:
        with self.platform.connect("ann") as socket:
            while True:
                answer = socket.ask(**self.frame(len(self.answers)))
                assert answer["type"] == "audio", answer
                self.answers.append(answer)
                self.confirmed.add()

    def check(self) -> None:
        """The last answered block is the last but one committed, at most; a repeat gets what was stored."""
        _, known = self.platform.request("GET", f"/api/sessions/{self.session}", user="ann")
        unanswered = known["next_seq"] - len(self.answers)
        assert unanswered in (0, 1)
        with self.platform.connect("ann") as socket:
            if self.answers and not unanswered:
                assert socket.ask(**self.frame(len(self.answers) - 1)) == self.answers[-1]
            else:
                self.answers.append(socket.ask(**self.frame(len(self.answers))))
                assert socket.ask(**self.frame(len(self.answers) - 1)) == self.answers[-1]
            if len(self.answers) > 1:
                assert socket.ask(**self.frame(len(self.answers) - 2))["code"] == "stale_seq"


class Registrar:
    """Opens and ends sessions, registers and removes headsets, and remembers what was confirmed."""

    def __init__(self, platform: Platform, confirmed: Confirmations, path: str, key: str) -> None:
        self.platform, self.confirmed, self.path, self.key = platform, confirmed, path, key
        self.there: set[str] = set()
        self.gone: set[str] = set()
        self.unsure: set[str] = set()
        self._numbers = itertools.count()

    def use(self) -> None:
        for n in self._numbers:
            body = {"thing": f"h-{n}", "secondary": [0.0, 0.5]} if self.key == "thing" else {}
            self.unsure |= {f"h-{n}"} if body else set()
            status, made = self.platform.request("POST", self.path, body, user="bob")
            assert status == 201, made
            name = made[self.key]
            self.unsure.discard(name)
            self.there.add(name)
            self.confirmed.add()
            if n % 3:
                self.there.remove(name)
                self.unsure.add(name)
                assert self.platform.request("DELETE", f"{self.path}/{name}", user="bob")[0] in (200, 204)
                self.unsure.remove(name)
                self.gone.add(name)
                self.confirmed.add()

    def check(self) -> None:
        """What was confirmed is there, what was removed is gone, and the rest can be done again."""
        status = {
            name: self.platform.request("GET", f"{self.path}/{name}", user="bob")[0]
            for name in self.there | self.gone | self.unsure
        }
        assert {name for name in self.there if status[name] != 200} == set()
        assert {name for name in self.gone if status[name] != 404} == set()
        for name in self.unsure:
            if status[name] == 200:
                assert self.platform.request("DELETE", f"{self.path}/{name}", user="bob")[0] in (200, 204)
            elif self.key == "thing":
                body = {"thing": name, "secondary": [0.0, 0.5]}
                assert self.platform.request("POST", self.path, body, user="bob")[0] == 201
                self.there.add(name)
        self.unsure.clear()


class Headsets:
    """Publish snapshots in turn and remember which were acknowledged."""

    def __init__(self, platform: Platform, confirmed: Confirmations) -> None:
        self.platform, self.confirmed = platform, confirmed
        self.credentials = {}
        for thing in THINGS:
            body = {"thing": thing, "secondary": [0.0, 0.5, 0.1], "rate": RATE, "taps": 32}
            status, registered = platform.request("POST", "/api/devices", body, user="ann")
            assert status == 201
            self.credentials[thing] = registered["credentials"]
        self.acknowledged = dict.fromkeys(THINGS, -1)
        self._numbers = itertools.count()
        self.killed = threading.Event()

    def _connect(self, thing: str) -> mqtt.Connection:
        given = self.credentials[thing]
        connection = mqtt_connection_builder.mtls_from_bytes(
            given["certificate"].encode(),
            given["private_key"].encode(),
            endpoint=given["endpoint"],
            port=given["port"],
            ca_bytes=given["ca"].encode(),
            client_id=thing,
            on_connection_interrupted=lambda **_: self.killed.set(),
        )
        connection.connect().result(PATIENCE_S)
        return connection

    def use(self) -> None:
        self.killed.clear()
        connections = {thing: self._connect(thing) for thing in THINGS}
        try:
            for n in self._numbers:
                thing = THINGS[n % len(THINGS)]
                done, _ = connections[thing].publish(
                    f"$aws/rules/anc_snapshot/anc/{thing}/snapshot", snapshot(n), mqtt.QoS.AT_LEAST_ONCE
                )
                while not (done.done() or self.killed.is_set()):
                    self.killed.wait(
                        0.002
                    )  # of the two events one has no way to be waited for with the other
                if not done.done():
                    return
                done.result()
                self.acknowledged[thing] = n
                self.confirmed.add()
        finally:
            for connection in connections.values():
                connection.disconnect()

    def check(self) -> None:
        """Nobody is online; every acknowledged snapshot is processed, and its filter reaches the shadow."""
        for thing in THINGS:
            assert not self.platform.request("GET", f"/api/devices/{thing}", user="ann")[1]["online"]
        controls = SqliteTable(Database(self.platform.data / "anc.db"), "controls", Control)
        with self.platform.connect("ann") as socket:
            for thing, seq in self.acknowledged.items():
                while seq >= 0:
                    known = controls.get(thing)
                    path = f"/api/devices/{thing}/shadow"
                    desired = self.platform.request("GET", path, user="ann")[1]["state"].get("desired", {})
                    wanted = desired.get("filter", {}).get("id", "")
                    if (
                        known
                        and known.seq >= seq
                        and wanted == (known.filters[0].id if known.filters else "")
                    ):
                        break
                    assert socket.ask(action="ping") == {"type": "pong"}


@pytest.fixture
def platform(start: Callable[..., Platform], tmp_path: Path) -> Platform:
    model = untrained_model(tmp_path / "calm.npz", alarm=False)
    return start(ML_MODEL_PATH=str(model), EMERGENCY_DETECTION_ENABLED="false")


def until_cut_off(work: Callable[[], None]) -> None:
    try:
        work()
    except CUT_OFF:
        return


def test_confirmed_changes_survive_kills(platform: Platform) -> None:
    confirmed = Confirmations()
    live_client = LiveClient(platform, confirmed, two_microphones(600))
    users: list[LiveClient | Registrar | Headsets] = [
        live_client,
        Registrar(platform, confirmed, "/api/sessions", "session"),
        Registrar(platform, confirmed, "/api/devices", "thing"),
        Headsets(platform, confirmed),
    ]
    for confirmations in KILL_AFTER:
        with ThreadPoolExecutor(len(users)) as busy:
            doing = [busy.submit(until_cut_off, user.use) for user in users]
            confirmed.wait_for(confirmations)
            platform.kill()
            for done in doing:
                done.result(PATIENCE_S)
        platform.start()
        for user in users:
            user.check()

    answered = [np.frombuffer(base64.b64decode(answer["pcm"]), "<i2") for answer in live_client.answers]
    assert len(answered) > len(KILL_AFTER)
    expected = residual(live_client.pcm[: len(answered)])
    assert np.abs(np.concatenate(answered) - expected).max() < 1.0, "as if it had never been killed"
    dead = Database(platform.data / "anc.db").connection.execute("SELECT count(*) FROM dead_letters")
    assert dead.fetchone() == (0,)


@pytest.mark.thorough
def test_a_recording_resumes_after_a_kill_without_repeating_blocks(platform: Platform) -> None:
    rate, blocks = 192_000, 3
    x = 0.1 * np.random.default_rng(3).standard_normal(BLOCK_FRAMES * (blocks - 1) + rate)
    sound = np.stack([x, np.convolve(x, [0.0, 0.5, 0.3])[: x.size]], axis=1)
    file = io.BytesIO()
    soundfile.write(file, sound, rate, format="WAV", subtype="PCM_16")
    url, stored = f"http://127.0.0.1:{platform.port}", platform.data / "anc.db"
    killed = None
    while killed is None or killed.blocks == blocks:  # until it is killed between two blocks
        file.seek(0)
        with Client(url, platform.token("ann")) as client:
            job = client.upload(file)
            next(found for found in client.follow(job, 0.01) if found.progress > 0)
        platform.kill()
        killed = SqliteTable(Database(stored), "jobs", Job).get(job)
        assert killed is not None
        assert killed.blocks >= 1
        platform.start()
    result = io.BytesIO()
    with Client(url, platform.token("ann")) as client:
        *followed, done = client.follow(job, 0.05)
        client.fetch(job, "cleaned.wav", result)
    assert done.state == "done"
    assert all(found.progress >= killed.progress for found in followed)
    after = SqliteTable(Database(stored), "jobs", Job).get(job)
    assert after is not None
    writes = after.version - killed.version
    paused, odd = divmod(
        writes - (1 + (blocks - killed.blocks) + 1), 2
    )  # on a busy machine: laid down, taken up
    assert (paused >= 0, odd) == (True, 0), "taken on once, one write a block, and done"
    file.seek(0)
    x, d = soundfile.read(file, dtype="float32")[0].T
    whole = len(x) // 512 * 512
    _, e = FDAF(512, 0.5, block=512).process(x[:whole], d[:whole])
    cleaned = np.frombuffer(result.getvalue()[44:], "<i2")
    assert cleaned.size == len(x)
    assert np.abs(cleaned[:whole].astype(int) - float_to_int16(e)).max() <= 1, (
        "as if it had never been killed"
    )
