"""The Python client against a running platform."""

import io
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner, Result

from anc.settings import Settings
from anc_client import (
    ApiError,
    Client,
    NewDevice,
    NewDeviceModel,
    NewKey,
    NewSession,
    NewTelemetryReport,
    NewUpload,
    NewUser,
    SessionChange,
    ShadowChange,
)
from functions.routes import SECRETS
from local.auth.issuer import Issuer
from tests.processes import PATIENCE_S, Platform, until
from tools.cli.main import app

RATE = 16_000


def recording(seconds: float, channels: int) -> bytes:
    """Return noise, in two channels one the echo of the other."""
    x = 0.1 * np.random.default_rng(1).standard_normal(int(RATE * seconds))
    sound = np.stack([x, np.convolve(x, [0, 0, 0.5, 0.3])[: x.size]], axis=1)[:, -channels:]
    file = io.BytesIO()
    soundfile.write(file, sound, RATE, format="WAV")
    return file.getvalue()


@pytest.fixture(scope="module")
def url(shared_platform: Platform) -> str:
    return f"http://127.0.0.1:{shared_platform.port}"


@pytest.fixture(scope="module")
def admin_token(shared_platform: Platform) -> str:
    return Issuer(shared_platform.data, Settings()).issue("root", "admin")


@pytest.fixture(scope="module")
def root(admin_token: str, url: str) -> Iterator[Client]:
    """Return the client of an admin."""
    with Client(url, admin_token) as client:
        yield client


@pytest.fixture(scope="module")
def ada(root: Client, url: str) -> Iterator[Client]:
    """Return the client of a new user who has signed in."""
    root.create_user(NewUser(username="ada", password="correct horse battery"))
    with Client(url) as client:
        client.sign_in("ada", "correct horse battery")
        yield client


@pytest.mark.usefixtures("ada")
def test_health_metrics_and_counters_are_available(root: Client) -> None:
    assert root.health().ready
    exposed = {family.name for family in text_string_to_metric_families(root.metrics())}
    assert {"anc_sign_ins", "anc_rest_seconds", "anc_block_seconds"} <= exposed
    assert root.models()[0].labels
    assert root.totals()["sign_ins"] == 1
    assert root.performance().rest.count > 0


def test_users_are_created_changed_listed_and_deleted(root: Client) -> None:
    bob = root.create_user(NewUser(username="bob", password="correct horse battery"))
    assert root.change_role(bob.user, "operator").role == "operator"
    assert root.user(bob.user).role == "operator"
    assert (bob.user, "bob") in {(person.user, person.name) for person in root.users()}
    root.delete_user(bob.user)
    acts = [entry.action for entry in root.audit() if bob.user == entry.subject]
    assert acts == ["person.remove", "person.role"], "the newest first"
    with pytest.raises(ApiError) as refusal:
        root.user(bob.user)
    assert (refusal.value.status, refusal.value.code) == (404, "unknown_user")


def test_an_api_key_works_until_it_is_revoked(ada: Client, url: str) -> None:
    made = ada.create_key(NewKey(name="robot"))
    with Client(url, made.key) as robot:
        assert robot.me() == ada.me()
        assert [key.id for key in ada.api_keys()] == [made.id]
        ada.revoke_key(made.id)
        with pytest.raises(ApiError, match="token"):
            robot.me()


def test_sessions_are_opened_changed_and_ended(ada: Client) -> None:
    opened = [ada.open_session(NewSession(rate=RATE)).session for _ in range(3)]
    assert {session.session for session in ada.sessions()} == set(opened)
    assert ada.change_session(opened[0], SessionChange(intensity=0.5)).intensity == 0.5
    assert ada.session(opened[0]).intensity == 0.5
    assert ada.session_summary(opened[0]).blocks == 0
    for session in opened:
        assert ada.end_session(session).blocks == 0
    assert list(ada.sessions()) == []


def test_names_are_quoted_as_one_path_segment(ada: Client) -> None:
    session = ada.open_session(NewSession(rate=RATE)).session
    for name in (f"{session}?x=1", f"{session}#x", f"{session}/", f"../sessions/{session}", "", ".", ".."):
        with pytest.raises(ApiError):
            ada.end_session(name)
    assert ada.end_session(session).blocks == 0, "it was still open"


def test_a_headset_is_registered_controlled_and_deleted(ada: Client) -> None:
    made = ada.register(NewDevice(thing="ada-left", secondary=[0.0, 0.5, 0.2]))
    assert "PRIVATE KEY" in made.credentials.private_key
    assert [device.thing for device in ada.devices()] == ["ada-left"]
    assert ada.rename_device("ada-left", "left ear").name == "left ear"
    assert [device.name for device in ada.devices()] == ["left ear"]
    assert ada.change_shadow("ada-left", ShadowChange(mode="bypass")).mode == "bypass"
    until(lambda: ada.shadow("ada-left").version > 0)
    assert ada.shadow("ada-left").state["desired"]["mode"] == "bypass"
    ada.report_telemetry("ada-left", NewTelemetryReport(battery=0.5))
    assert ada.telemetry("ada-left").battery == 0.5
    assert [report.battery for report in ada.history("ada-left")] == [0.5]
    assert ada.device("ada-left").online is None, "it never connected"
    assert ada.paths("ada-left").secondary == pytest.approx([0.0, 0.5, 0.2])
    ada.remove_device("ada-left")
    assert list(ada.devices()) == []


def test_a_headset_is_renamed_on_the_command_line(ada: Client, shared_platform: Platform) -> None:
    def rename(thing: str, name: str) -> Result:
        place = ["--port", str(shared_platform.port), "--data", str(shared_platform.data)]
        return CliRunner().invoke(app, ["rename", thing, name, *place])

    ada.register(NewDevice(thing="ada-named", secondary=[0.0, 0.5, 0.2]))
    assert rename("ada-named", "left ear").stdout == "ada-named is called left ear now.\n"
    assert ada.device("ada-named").name == "left ear"
    too_long = rename("ada-named", "x" * 65)
    assert (too_long.exit_code, too_long.stdout) == (2, "")
    assert "name: must have at most 64 characters" in too_long.stderr
    assert "never-was is not registered" in rename("never-was", "left ear").stderr
    assert rename("ada-named", "").stdout == "ada-named has no display name now.\n"
    ada.remove_device("ada-named")


def test_a_device_model_is_created_used_and_deleted(root: Client, ada: Client) -> None:
    root.put_model("quiet-one", NewDeviceModel(secondary=[0.0, 0.5, 0.2], taps=256))
    assert [model.model for model in ada.device_models()] == ["quiet-one"]
    assert ada.device_model("quiet-one").taps == 256
    assert ada.register(NewDevice(thing="ada-right", model="quiet-one")).taps == 256
    assert "PRIVATE KEY" in ada.rotate_credentials("ada-right").private_key
    ada.remove_device("ada-right")
    root.delete_model("quiet-one")
    assert list(ada.device_models()) == []


def test_a_short_recording_is_processed_analyzed_and_classified(ada: Client) -> None:
    done = ada.process(recording(5, 2))
    assert done.report.attenuation_last_half_db is not None
    assert done.report.attenuation_last_half_db > 10
    assert ada.analyze(recording(1, 1)).channels[0].rms == pytest.approx(-24.4, abs=3)
    assert ada.classify(recording(1, 1)).model
    assert not ada.detect_emergency(recording(1, 1)).active
    assert not ada.emergency_status().active
    assert list(ada.emergencies()) == []


def test_a_sound_may_be_bytes_a_path_or_an_open_file(ada: Client, tmp_path: Path) -> None:
    path = tmp_path / "two.wav"
    path.write_bytes(recording(1, 2))
    with path.open("rb") as opened:
        measured = [ada.analyze(sound) for sound in (path.read_bytes(), path, opened)]
    assert measured[0] == measured[1] == measured[2]
    assert soundfile.info(io.BytesIO(ada.process(path).wav)).duration == 1
    not_utf_8 = path.rename(os.fsdecode(bytes(tmp_path) + b"/tw\xf6.wav"))
    for file, name in ((path, "two.wav"), (not_utf_8, "tw?.wav")):
        file.write_bytes(recording(1, 2))
        job = ada.upload(file)
        assert ada.job(job).name == name
        ada.remove_job(job)


def test_a_recording_is_uploaded_processed_and_downloaded(ada: Client) -> None:
    job = ada.upload(recording(5, 2), "a test")
    *_, found = ada.follow(job, every_s=0.05)
    assert (found.state, found.failure, found.progress) == ("done", "", 1.0)
    assert [listed.name for listed in ada.jobs()] == ["a test"]
    cleaned, rate = soundfile.read(
        io.BytesIO(httpx.get(found.downloads["cleaned.wav"], timeout=PATIENCE_S).content)
    )
    assert (len(cleaned), rate) == (5 * RATE, RATE)
    ada.remove_job(job)
    assert list(ada.jobs()) == []


def test_completing_an_upload_of_one_part_is_not_an_error(ada: Client) -> None:
    job = ada.upload(recording(1, 2))
    assert ada.complete_upload(job).job == job
    *_, ended = ada.follow(job, every_s=0.05)
    assert ended.state == "done"
    assert ada.complete_upload(job).state == "done"
    ada.remove_job(job)


def test_deleting_missing_resources_is_not_an_error_and_keeps_those_of_others(
    root: Client, ada: Client
) -> None:
    job, key = ada.upload(recording(1, 2)), ada.create_key(NewKey(name="robot")).id
    ada.register(NewDevice(thing="ada-twice", secondary=[0.0, 0.5, 0.2]))
    root.put_model("twice", NewDeviceModel(secondary=[0.0, 0.5, 0.2]))
    root.remove_job(job)
    assert ada.job(job).job == job, "to others it does not exist, and it stays"
    for _ in range(2):
        ada.remove_job(job)
        ada.revoke_key(key)
        ada.remove_device("ada-twice")
        root.delete_model("twice")
        root.delete_user("never-was")
    with pytest.raises(ApiError, match="operator"):
        ada.delete_model("twice")


def test_an_api_error_names_the_field(ada: Client) -> None:
    with pytest.raises(ApiError) as refusal:
        ada.process(b"not a sound")
    assert (refusal.value.status, refusal.value.code) == (400, "bad_field")
    assert "file" in refusal.value.detail
    whole = ada.create_upload(NewUpload(size=10))
    with pytest.raises(ApiError) as refusal:
        ada.complete_upload(whole.job)
    assert refusal.value.status == 409
    ada.remove_job(whole.job)


def test_excess_calls_get_429_with_retry_after(start: Callable[..., Platform]) -> None:
    refusals = []
    with Client(f"http://127.0.0.1:{start(RATE_LIMIT_SCALE='0.1').port}") as stranger:
        for _ in range(SECRETS // 10 + 1):
            with pytest.raises(ApiError) as refusal:
                stranger.sign_in("unknown", "wrong")
            refusals.append(refusal.value)
    assert (refusals[-1].status, refusals[-1].code) == (429, "too_many")
    assert 1 <= (refusals[-1].retry_after_s or 0) <= 60


def test_the_examples_in_the_docs_run(admin_token: str, url: str) -> None:
    page = Path(__file__).parents[2] / "docs" / "api.md"
    examples = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    assert len(examples) == 8
    exec("\n".join(examples), {"url": url, "admin_token": admin_token})
