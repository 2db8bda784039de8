"""`python -m tests.stored_folder`: store a small data folder of this version, for tests of later versions.

Writes `tests/data/data-folder-N`, where N is the schema version: the database as SQL, the reports of
recordings, and what the REST API answers from them. It stores no keys. Run it once per schema version, at its
release. `data-folder-1-first` is from before tags, rollouts and the history of the fleet.
"""

import base64
import io
import json
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import soundfile

from anc.headset_records import Contribution, Fleet, RecordedRefusal, Status
from anc.lifetimes import DAY_S
from anc.services.headsets import fleet_history
from anc.settings import Settings
from anc_client import Client, NewDevice, NewDeviceModel, NewKey, NewTelemetryReport, NewUser, ShadowChange
from anc_client.schemas import EmergencyChange, HeadsetConfig, NewFirmware, NewRollout, RolloutQuery
from local.auth.issuer import Issuer
from local.storage.database import Database
from local.storage.fleet_index import SqliteFleetIndex
from local.storage.schema_version import SCHEMA
from local.storage.tables import open_tables
from tests.alarms import siren
from tests.processes import PATIENCE_S, Platform

FOLDERS = Path(__file__).parent / "data"
DATABASE = "anc.db"
SQL, FILES, ANSWERS = "anc.sql", "files", "answers.json"
KEPT = "objects/**/*.json"  # sound is large; the files outside of objects hold keys, an address or a lock
OWNER, OTHER_OWNER = "root", "bob"
THING, TAG = "left-7", "hall-3"
ROLLOUTS = "/api/rollouts"
PATHS = (
    "/api/users/me",
    "/api/users",
    "/api/users/me/keys",
    "/api/sessions",
    "/api/devices",
    f"/api/devices/{THING}",
    f"/api/devices/{THING}/telemetry",
    f"/api/devices/{THING}/history",
    f"/api/devices/{THING}/shadow",
    f"/api/devices/{THING}/paths",
    "/api/device-models",
    "/api/emergency/events",
    "/api/emergency/events?all_owners=true",
    f"/api/fleet?tag={TAG}",
    ROLLOUTS,
    "/api/audio/jobs",
    "/api/audit",
)
CENTURY_S = 3.2e9
RATE = 16_000


def answers(platform: Platform) -> dict[str, Any]:
    """Return the answers of a platform to `PATHS`, and the headsets of its rollouts."""
    headers = {"Authorization": f"Bearer {token(platform)}"}
    url = f"http://127.0.0.1:{platform.port}"
    with httpx.Client(base_url=url, headers=headers, timeout=PATIENCE_S) as rest:
        found = {path: rest.get(path).raise_for_status().json() for path in PATHS}
        listed = found[ROLLOUTS]["rollouts"]
        found[ROLLOUTS]["rollouts"] = [
            each for each in listed if each["state"] == "cancelled"
        ]  # does not change
        for rollout in found[ROLLOUTS]["rollouts"]:
            path = f"{ROLLOUTS}/{rollout['id']}/headsets"
            found[path] = rest.get(path).raise_for_status().json()
        return found


def token(platform: Platform) -> str:
    """Return a token of the admin who owns what is stored."""
    return Issuer(platform.data, Settings()).issue(OWNER, "admin")


def restore(stored: Path, data: Path) -> None:
    """Create a data folder without keys from a stored one, in which nothing has expired."""
    shutil.copytree(stored / FILES, data)
    data.chmod(0o700)
    with closing(sqlite3.connect(data / DATABASE)) as connection:
        connection.executescript((stored / SQL).read_text())
        expiring = "SELECT name FROM sqlite_master WHERE sql LIKE '%expires REAL%'"
        for (name,) in connection.execute(expiring).fetchall():
            connection.execute(f"UPDATE {name} SET expires = expires + {CENTURY_S}")
        connection.commit()


def fill(platform: Platform) -> None:
    """Create one of everything that a platform keeps."""
    platform.tokens[OWNER] = token(platform)
    with Client(f"http://127.0.0.1:{platform.port}", platform.tokens[OWNER]) as client:
        client.create_user(NewUser(username="ann", password="correct horse battery", role="operator"))
        client.create_key(NewKey(name="prometheus", role="admin", scopes=["stats:read"]))
        client.put_model("mk1", NewDeviceModel(secondary=[0.0, 0.5, 0.25]))
        client.register(NewDevice(thing=THING, model="mk1"))
        client.rename_device(THING, "Left")
        client.change_shadow(THING, ShadowChange(intensity=0.5))
        client.report_telemetry(THING, NewTelemetryReport(attenuation_db=12.5, battery=0.75))
        job = client.upload(_recording(), "cabin.flac")
        assert [each.state for each in client.follow(job, every_s=0.1)][-1] == "done"
        _hear_a_siren(platform, OWNER)
        _hear_a_siren(platform, OTHER_OWNER)
        (siren,) = client.emergencies()
        client.change_emergency(siren.id, EmergencyChange(acknowledged=True, comment="Fire drill"))
        client.change_tags([THING], add=[TAG])
        _roll_out(client)
    _add_what_headsets_leave(platform)


def _roll_out(client: Client) -> None:
    """Leave one rollout paused while a headset has its job, and another one cancelled."""
    config = HeadsetConfig(telemetry_interval_s=600.0)
    firmware = NewFirmware(version="1.5.0", url="https://x.example/1.5.0.bin", sha256="ab" * 32, size=1024)
    calm = client.create_rollout(NewRollout(name="calm", config=config, query=RolloutQuery(tag=TAG)))
    lately = RolloutQuery(tag=TAG, online=False, attenuation_below=20.0)
    hinge = client.create_rollout(NewRollout(name="hinge", firmware=firmware, query=lately))
    for rollout in (calm, hinge):
        while not client.rollout(rollout.id).counts.queued:
            time.sleep(0.1)
    client.change_rollout(calm.id, "pause")
    client.change_rollout(hinge.id, "cancel")
    while not client.rollout(hinge.id).counts.cancelled:
        time.sleep(0.1)


def _add_what_headsets_leave(platform: Platform) -> None:
    """Add records that take a connected headset, or a day."""
    database, now = Database(platform.data / DATABASE), time.time()
    tables, index = open_tables(database), SqliteFleetIndex(database)
    deps: Any = SimpleNamespace(fleet_index=index)
    refusal = RecordedRefusal("snapshot", "clipped", "reference: clipped", now)
    contribution = Contribution(THING, OWNER, now, statistics=bytes(32), taps=bytes(32))
    for table, record in {
        "fleet_days": fleet_history.snapshot(now - DAY_S, deps),  # today's is from before there were headsets
        "statuses": Status(key=THING, group=OWNER, online=False, since=now, refused=2, refusal=refusal),
        "fleets": Fleet(
            key="mk1/rail/00", group="mk1/rail", expires=now + DAY_S, contributions=(contribution,)
        ),
    }.items():
        tables[table].put(record)


def _recording() -> io.BytesIO:
    noise = 0.1 * np.random.default_rng(1).standard_normal(RATE)
    sound = io.BytesIO()
    soundfile.write(sound, np.stack([noise, 0.5 * noise], axis=1), RATE, format="FLAC")
    sound.seek(0)
    return sound


def _hear_a_siren(platform: Platform, owner: str) -> None:
    pcm = (32_767 * np.repeat(siren(4.0, RATE)[:, None], 2, axis=1)).astype("<i2")
    with platform.connect(owner) as socket:
        session = socket.ask(action="start", rate=RATE, channels=2, taps=16)["session"]
        for seq, block in enumerate(np.split(pcm, 40)):
            sound = base64.b64encode(block.tobytes()).decode()
            answer = socket.ask(action="audio", session=session, seq=seq, pcm=sound)
    assert answer["emergency"]["active"], answer


def store(folder: Path) -> None:
    """Run a platform, fill it, and store its data folder."""
    with TemporaryDirectory() as temporary:
        platform = Platform(Path(temporary))
        try:
            fill(platform)
            found = answers(platform)
        finally:
            platform.stop()
        shutil.rmtree(folder, ignore_errors=True)
        for file in platform.data.glob(KEPT):
            copy = folder / FILES / file.relative_to(platform.data)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copy)
        with closing(sqlite3.connect(platform.data / DATABASE)) as connection:
            lines = [*connection.iterdump(), f"PRAGMA user_version = {SCHEMA};"]
    (folder / SQL).write_text("\n".join(lines) + "\n")
    (folder / ANSWERS).write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    store(FOLDERS / f"data-folder-{SCHEMA}")
