"""The commands that list what a platform knows, on a platform in another process."""

import json
import subprocess
from typing import Any

from anc.settings import Settings
from anc_client import Client
from anc_client.schemas import NewUser
from local.auth.issuer import Issuer
from tests.processes import ANC, Platform


def test_emergencies_jobs_and_users_are_listed(shared_platform: Platform) -> None:
    def listed(*command: str) -> Any:
        place = ["--port", str(shared_platform.port), "--data", str(shared_platform.data), "--json"]
        done = subprocess.run([ANC, *command, *place], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
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
