"""The commands that list what a platform knows, on a platform in another process.

They run in this process, because each would take half a second to start.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from anc.settings import Settings
from anc_client import Client
from anc_client.schemas import NewUser
from local.auth.issuer import Issuer
from tests.processes import Platform
from tools.cli.main import app


def test_emergencies_jobs_and_users_are_listed(shared_platform: Platform) -> None:
    def listed(*command: str) -> Any:
        place = ["--port", str(shared_platform.port), "--data", str(shared_platform.data), "--json"]
        done = CliRunner().invoke(app, [*command, *place])
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)

    upload = {"size": 44, "name": "listed.wav"}
    assert shared_platform.request("POST", "/api/audio/uploads", upload, "lister")[0] == 201
    admin = Issuer(shared_platform.data, Settings()).issue("root", "admin")
    with Client(f"http://127.0.0.1:{shared_platform.port}", admin) as root:
        root.create_user(NewUser(username="lister", password="correct horse battery staple"))

    assert listed("emergencies") == {"emergencies": [], "more": False}
    (job,) = listed("jobs", "--user", "lister")["jobs"]
    assert (job["name"], job["state"], job["progress"]) == ("listed.wav", "uploading", 0)
    assert "lister" in [user["name"] for user in listed("users")["users"]]


def test_rollouts_are_created_listed_and_changed(shared_platform: Platform, tmp_path: Path) -> None:
    def rollouts(*command: str, code: int = 0) -> Any:
        place = ["--port", str(shared_platform.port), "--data", str(shared_platform.data)]
        json_option = ["--json"] if command[:1] != ("create",) or code == 0 else []
        done = CliRunner().invoke(app, ["rollouts", *place, *command, *json_option])
        assert done.exit_code == code, done.stderr
        return json.loads(done.stdout) if code == 0 else done.stderr

    headset = {"thing": "rollout-1", "model": "rolled", "secondary": [0.0, 0.5, 0.2]}
    assert shared_platform.request("POST", "/api/devices", headset, "lister")[0] == 201
    image = tmp_path / "firmware.bin"
    image.write_bytes(b"firmware")
    firmware = ("--firmware", "1.5.0", "--image", str(image), "--image-url", "https://x.example/1.5.0.bin")

    made = rollouts("create", "hinge", *firmware, "--model", "rolled", "--canary", "100")
    assert made["firmware"]["sha256"] == hashlib.sha256(b"firmware").hexdigest()
    assert rollouts("pause", made["id"])["state"] == "paused"
    assert rollouts("resume", made["id"])["state"] == "active"
    assert rollouts("cancel", made["id"])["state"] == "cancelled"
    assert made["id"] in [each["id"] for each in rollouts()["rollouts"]]
    assert "no headset matches" in rollouts("create", "x", *firmware, "--model", "none", code=2)
    assert shared_platform.request("DELETE", "/api/devices/rollout-1", None, "lister")[0] == 204


def test_headsets_are_tagged_found_by_the_tag_and_removed(shared_platform: Platform) -> None:
    def devices(*command: str, code: int = 0) -> Any:
        place = ["--port", str(shared_platform.port), "--data", str(shared_platform.data)]
        done = CliRunner().invoke(app, ["devices", *place, *command, "--json"])
        assert done.exit_code == code, done.output
        return json.loads(done.stdout)

    things = ["tagged-1", "tagged-2"]
    for thing in things:
        headset = {"thing": thing, "model": "tagged", "secondary": [0.0, 0.5, 0.2]}
        assert shared_platform.request("POST", "/api/devices", headset, "lister")[0] == 201

    first, second, absent = devices("tag", *things, "absent", "--add", "hall-9", code=1)["outcomes"]
    assert (first["tags"], second["tags"]) == (["hall-9"], ["hall-9"])
    assert absent["problem"]["code"] == "unknown_device"
    assert devices("tag", "tagged-1", "--remove", "hall-9")["outcomes"][0]["tags"] == []
    assert [each["thing"] for each in devices("--tag", "hall-9")["headsets"]] == ["tagged-2"]

    assert [each["changed"] for each in devices("remove", *things, "--yes")["outcomes"]] == [True, True]
    assert devices("--model", "tagged")["headsets"] == []
