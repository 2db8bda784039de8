"""Scenarios of users and headsets, run through the functions on AWS; each is a separate test."""

import json
import os
import time
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from anc.pcm import float_to_int16
from anc.records import SocketConnection, Stream, Watch
from anc.schemas.websocket import FDAF_BLOCK, FRAME_LIMIT, MAX_TAPS, encode_pcm
from tests.factory_claims import claim
from tests.infra import recording_scenarios as recordings
from tests.infra import rollout_scenarios as rollouts
from tests.infra.account import Account, Call, account
from tests.infra.messages import RATE, iot_event, noise, published, siren, snapshot
from tests.recordings import sound_file, two_microphones

Scenario = Callable[[Account], None]
CHANGED = {"kind": "control_changed", "thing": "left"}
HEADSET = {"thing": "left", "secondary": [0.0, 0.5, 0.2], "rate": RATE, "taps": 32}
PASSWORD = "Correct-horse-battery-1"


def an_admin_adds_promotes_and_removes_a_user(aws: Account) -> None:
    """Users are in Cognito. Removing one deletes their keys, sessions and headsets."""
    admin = {"role": "admin", "user": "root", "principalId": "root"}
    body = {"username": "ann@example.com", "password": PASSWORD}
    status, ann = aws.rest("POST", "/api/users", body, **admin)
    assert (status, ann["role"]) == (201, "listener")
    assert aws.rest("POST", "/api/auth/token", body)[1]["token"]
    assert aws.rest("POST", "/api/auth/token", body | {"password": "wrong"})[0] == 401
    assert [each["name"] for each in aws.rest("GET", "/api/users", **admin)[1]["users"]] == [body["username"]]
    user = ann["user"]
    assert aws.rest("GET", "/api/users/{id}", id=user, **admin)[1] == ann
    herself = {"user": user, "principalId": user}
    aws.rest("POST", "/api/users/me/keys", {"name": "k"}, **herself)
    aws.rest("POST", "/api/sessions", {}, **herself)
    aws.rest("POST", "/api/devices", HEADSET, **herself)
    promoted = aws.rest("PATCH", "/api/users/{id}", {"role": "operator"}, id=user, **admin)[1]
    assert promoted["role"] == "operator"
    aws.socket("CONNECT", "hers", **herself)
    assert (
        aws.socket("MESSAGE", "hers", {"action": "watch", "device": "left"}, **herself)["type"] == "watching"
    )
    assert aws.rest("DELETE", "/api/users/{id}", id=user, **admin)[0] == 204
    assert aws.rest("GET", "/api/users/{id}", id=user, **admin)[0] == 404
    assert aws.limits.closed == ["hers"]
    deps = aws.deps
    assert deps.devices.get("left") is None
    assert deps.api_keys.list(user) == deps.streams.list(user) == deps.watches.list("left") == []
    actions = [entry["action"] for entry in aws.rest("GET", "/api/audit", **admin)[1]["entries"]]
    users, devices = ("create", "role", "remove"), ("register", "remove")
    expected = {f"person.{act}" for act in users} | {f"device.{act}" for act in devices} | {"key.create"}
    assert set(actions) == expected


def a_user_signs_in_with_a_second_factor(aws: Account) -> None:
    """The user sets it up with the password, and an admin removes it."""
    admin = {"role": "admin", "user": "root", "principalId": "root"}
    body = {"username": "ann@example.com", "password": PASSWORD}
    user = aws.rest("POST", "/api/users", body, **admin)[1]["user"]
    herself = {"user": user, "principalId": user}
    own = "/api/users/me/second-factor"
    assert aws.rest("POST", own, {"password": PASSWORD}, **herself)[1]["secret"]
    code = {"code": "123456"}  # moto accepts every code
    assert aws.rest("PUT", own, {"password": PASSWORD} | code, **herself)[0] == 204
    assert aws.rest("POST", "/api/auth/token", body)[1]["code"] == "code_required"
    assert aws.rest("POST", "/api/auth/token", body | code)[0] == 200
    assert aws.rest("DELETE", "/api/users/{id}/second-factor", id=user, **admin)[0] == 204
    assert aws.rest("POST", "/api/auth/token", body)[0] == 200


def lost_permissions_are_denied_by_every_function(aws: Account) -> None:
    """The account decides, not the token or key."""
    admin = {"role": "admin", "user": "root", "principalId": "root"}
    body = {"username": "ann@example.com", "password": PASSWORD, "role": "admin"}
    user = aws.rest("POST", "/api/users", body, **admin)[1]["user"]
    key = aws.rest("POST", "/api/users/me/keys", {"name": "k"}, user=user)[1]
    long = {"user": user, "role": "admin", "since": "1.5"}
    robot = {"user": user, "key": key["id"]}
    aws.socket("CONNECT", "robot", **robot)
    assert aws.socket("MESSAGE", "robot", {"action": "ping"}, **robot)["type"] == "pong"
    assert aws.rest("GET", "/api/users", **long)[0] == 200
    assert aws.rest("POST", "/api/users", body, role="admin", **robot)[0] == 403
    assert aws.rest("PATCH", "/api/users/{id}", {"role": "listener"}, id=user, **admin)[0] == 200
    for method, path in (("GET", "/api/users"), ("GET", "/api/sessions"), ("POST", "/api/users/me/keys")):
        assert aws.rest(method, path, {"name": "heir"}, **long)[0] == 401
    assert aws.rest("POST", "/api/audio/classify", b"sound", **long)[0] == 401
    assert aws.socket("MESSAGE", "hers", {"action": "ping"}, **long)["code"] == "unauthorized"
    newer = long | {"since": "4e9"}
    assert aws.rest("GET", "/api/users", **newer)[0] == 403
    assert aws.rest("POST", "/api/audio/classify", b"nonsense", **robot)[0] == 400
    assert aws.rest("DELETE", "/api/users/me/keys/{id}", id=key["id"], **newer)[0] == 204
    assert aws.limits.closed == ["robot"]
    assert aws.socket("MESSAGE", "robot", {"action": "ping"}, **robot)["code"] == "unauthorized"
    assert aws.rest("POST", "/api/audio/classify", b"sound", **robot)[0] == 401


def a_rejected_password_leaves_no_user_behind(aws: Account) -> None:
    """The pool checks the password after it has created the user."""
    admin = {"role": "admin"}
    weak = {"username": "ann@example.com", "password": "x" * 12}
    assert aws.rest("POST", "/api/users", weak, **admin)[0] == 400
    assert aws.rest("GET", "/api/users", **admin)[1]["users"] == []


def an_api_key_is_valid_until_it_is_revoked(aws: Account) -> None:
    """The authorizer looks up every key."""
    made = aws.rest("POST", "/api/users/me/keys", {"name": "machine"})[1]
    event = {"type": "REQUEST", "methodArn": "arn:aws:execute-api:r:1:api/dev/GET/health"}
    event |= {"headers": {"Authorization": f"Bearer {made['key']}"}}
    assert aws.invoke("authorizer", event)["context"]["user"] == "alice"
    assert len(aws.rest("GET", "/api/users/me/keys")[1]["keys"]) == 1
    assert aws.rest("DELETE", "/api/users/me/keys/{id}", id=made["id"])[0] == 204
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        aws.invoke("authorizer", event)


def a_session_is_managed_over_rest(aws: Account) -> None:
    """Create, read, change, summarize and end it."""
    one = aws.rest("POST", "/api/sessions", {"rate": RATE, "taps": 32})[1]["session"]
    assert [each["session"] for each in aws.rest("GET", "/api/sessions")[1]["sessions"]] == [one]
    assert aws.rest("PATCH", "/api/sessions/{id}", {"intensity": 0.5}, id=one)[1]["intensity"] == 0.5
    assert aws.rest("GET", "/api/sessions/{id}", id=one)[1]["intensity"] == 0.5
    assert aws.rest("GET", "/api/sessions/{id}/stats", id=one)[0] == 200
    assert aws.rest("DELETE", "/api/sessions/{id}", id=one)[0] == 200
    assert aws.rest("GET", "/api/sessions/{id}", id=one)[0] == 404


def a_headset_is_registered_managed_and_removed(aws: Account) -> None:
    """With its thing, certificates, shadow and records."""
    made = aws.rest("POST", "/api/devices", HEADSET)[1]
    assert "BEGIN CERTIFICATE" in made["credentials"]["certificate"]
    assert [each["thing"] for each in aws.rest("GET", "/api/devices")[1]["devices"]] == ["left"]
    assert aws.rest("GET", "/api/devices/{id}", id="left")[1]["refused"] == 0
    assert aws.rest("PATCH", "/api/devices/{id}", {"name": "left ear"}, id="left")[1]["name"] == "left ear"
    wanted = aws.rest("PATCH", "/api/devices/{id}/shadow", {"mode": "bypass"}, id="left")
    assert wanted[0] == 200
    assert changed(aws) == ["left"]
    aws.consume("audio_sender", CHANGED)
    shadow = aws.rest("GET", "/api/devices/{id}/shadow", id="left")[1]
    assert shadow["state"]["desired"]["mode"] == "bypass"
    aws.rest("POST", "/api/devices/{id}/telemetry", {"battery": 0.5}, id="left")
    assert aws.rest("GET", "/api/devices/{id}/telemetry", id="left")[1]["battery"] == 0.5
    assert len(aws.rest("GET", "/api/devices/{id}/history", id="left")[1]["reports"]) == 1
    path = {"secondary": [0.0, 0.4]}
    assert aws.rest("PUT", "/api/devices/{id}/paths", path, id="left")[0] == 200
    assert aws.rest("GET", "/api/devices/{id}/paths", id="left")[0] == 200
    renewed = aws.rest("POST", "/api/devices/{id}/credentials", id="left")[1]
    assert renewed["certificate"] != made["credentials"]["certificate"]
    assert aws.limits.disconnected == ["left"]
    aws.socket("CONNECT")
    assert aws.socket("MESSAGE", frame={"action": "watch", "device": "left"})["type"] == "watching"
    assert aws.rest("DELETE", "/api/devices/{id}", id="left")[0] == 204
    assert aws.deps.watches.list("left") == []
    assert aws.rest("GET", "/api/devices/{id}", id="left")[0] == 404


def an_operator_searches_the_fleet(aws: Account) -> None:
    """With its totals, groups and worst headsets."""
    assert aws.rest("GET", "/api/fleet", role="operator") == (200, {"headsets": [], "next": None})
    assert aws.rest("GET", "/api/fleet/overview", role="operator")[1]["headsets"] == 0


def device_models_are_created_and_deleted(aws: Account) -> None:
    """By operators."""
    operator, one = {"role": "operator"}, "/api/device-models/{id}"
    assert aws.rest("PUT", one, {"secondary": [0.0, 0.5]}, id="m", **operator)[0] == 200
    assert aws.rest("GET", one, id="m")[0] == 200
    assert len(aws.rest("GET", "/api/device-models")[1]["models"]) == 1
    assert aws.rest("DELETE", one, id="m", **operator)[0] == 204


def a_headset_is_provisioned_with_a_claim_and_another_key_is_rejected(aws: Account) -> None:
    """The hook checks the serial number and accepts only the first key."""
    operator, one = {"role": "operator"}, "/api/device-models/{id}"
    aws.rest("PUT", one, {"secondary": [0.0, 0.5]}, id="m", **operator)
    for listed in (["right"], []):
        made = aws.rest("POST", f"{one}/serials", {"serials": ["right"]}, id="m", **operator)
        assert made == (200, {"listed": listed, "known": [] if listed else ["right"]})
    keys = [("ours", 1), ("ours", 1), ("ours", 2), ("theirs", 1)]
    claims = [aws.invoke("provisioner", aws.signed(claim("right", *key))) for key in keys]
    assert [answer["allowProvisioning"] for answer in claims] == [True, True, True, False]
    assert aws.rest("GET", "/api/devices/{id}", id="right", **operator)[1]["claim_refusal"]["what"] == "claim"


def a_live_session_cancels_noise_and_detects_an_emergency(aws: Account) -> None:
    """Each frame gets one response."""
    aws.rest("POST", "/api/devices", HEADSET)
    for name in ("socket-1", "socket-2"):
        assert aws.socket("CONNECT", name)["statusCode"] == 200
        frame = {"action": "watch", "device": "left"}
        assert aws.socket("MESSAGE", name, frame)["type"] == "watching"
    aws.socket("MESSAGE", frame={"action": "start"})
    session = aws.socket("MESSAGE", frame={"action": "start", "rate": RATE, "taps": 16})["session"]
    sound, detected = siren(4.0), []
    for seq in range(20):
        x = float_to_int16(sound[seq * 3200 : (seq + 1) * 3200])
        frame = {"action": "audio", "session": session, "seq": seq, "pcm": encode_pcm(np.stack([x, x], 1))}
        detected.append(aws.socket("MESSAGE", frame=frame)["emergency"]["active"])
    assert detected[-1]
    assert not detected[0]
    assert aws.socket("MESSAGE", frame={"action": "set", "session": session, "enabled": False})
    assert aws.rest("GET", "/api/emergency/status")[1]["active"]
    assert aws.socket("MESSAGE", frame={"action": "stop", "session": session})["type"] == "stopped"
    aws.socket("DISCONNECT")
    assert aws.deps.connections.get("socket-1") is None
    assert [watch.connection for watch in aws.deps.watches.list("left")] == ["socket-2"]


def the_largest_session_fits_into_an_item_and_its_largest_response_into_a_frame(aws: Account) -> None:
    """With the maximum of taps, and the largest blocks that fit into a frame."""
    start = {"action": "start", "algorithm": "fdaf", "taps": MAX_TAPS, "rate": 192_000}
    aws.socket("CONNECT")
    session = aws.socket("MESSAGE", frame=start)["session"]
    for seq in range(3):
        x = np.random.default_rng(seq).integers(-(2**15), 2**15, (46 * FDAF_BLOCK, 2))
        frame = {"action": "audio", "session": session, "seq": seq, "pcm": encode_pcm(x.astype(np.int16))}
        assert len(json.dumps(frame)) <= FRAME_LIMIT
        answer = aws.socket("MESSAGE", frame=frame)
        assert answer["type"] == "audio"
        assert len(json.dumps(answer)) <= FRAME_LIMIT
    stored = aws.deps.streams.get(session)
    assert stored is not None
    assert stored.seq == 2


def a_snapshot_updates_the_shadow_and_notifies_watchers(aws: Account) -> None:
    """Watches of closed sockets are removed."""
    aws.rest("POST", "/api/devices", HEADSET)
    deps = aws.deps
    for name in ("open", "closed"):
        deps.watches.put(Watch(key=f"left#{name}", group="left", connection=name, expires=None))
    aws.limits.is_gone = "closed".__eq__
    assert aws.consume("anc_processor", snapshot(1, noise(1))) == []
    assert changed(aws) == ["left"]
    assert aws.consume("audio_sender", CHANGED) == []
    shadow = deps.shadows.get("left")
    assert shadow is not None
    assert shadow["state"]["desired"]["filter"]["seq"] == 1
    assert [watch.connection for watch in deps.watches.list("left")] == ["open"]
    deps.controls.delete("left")  # then the noise is new to it, and it reads what others contributed
    assert aws.consume("anc_processor", snapshot(1, noise(1))) == []


def a_siren_in_a_snapshot_starts_an_emergency(aws: Account) -> None:
    """Emergencies are stored, published, listed and acknowledged."""
    os.environ["EMERGENCY_HOLD_S"] = "600"  # longer than the test runs
    aws.rest("POST", "/api/devices", HEADSET)
    assert aws.consume("anc_processor", snapshot(1, siren(1.0))) == []
    control = aws.deps.controls.get("left")
    assert control is not None
    assert control.emergency_until > 0
    aws.deps.controls.put(control.replace(emergency_until=aws.deps.clock() - 1))
    assert aws.consume("audio_sender", CHANGED) == []  # late: the hold begins now
    (event,) = aws.rest("GET", "/api/emergency/events")[1]["events"]
    assert event["source"] == "left"
    of_all, operator = {"all_owners": "true"}, {"role": "operator", "user": "olga"}
    assert aws.rest("GET", "/api/emergency/events", query=of_all, **operator)[1]["events"] == [event]
    assert aws.rest("GET", "/api/emergency/status", query=of_all, **operator)[1]["sources"] == [event]
    assert aws.rest("GET", "/api/emergency/status")[1]["active"]
    change = {"acknowledged": True, "comment": "A test."}
    changed = aws.rest("PATCH", "/api/emergency/events/{id}", change, id=event["id"])[1]
    assert (changed["acknowledged_by"], changed["comment"]) == ("alice", "A test.")
    assert aws.rest("GET", "/api/emergency/events/{id}", id=event["id"])[1] == changed


def headset_messages_and_lifecycle_events_are_stored(aws: Account) -> None:
    """Telemetry, lifecycle events and rejected shadow updates."""
    aws.rest("POST", "/api/devices", HEADSET)
    path = iot_event(secondary=[0.0, 0.5, 0.1], rate=16_000, played="probe", fit_db=21.0)
    came = iot_event(clientId="left", timestamp=1, eventType="connected", sessionIdentifier="s")
    failed = aws.consume(
        "anc_processor",
        published("telemetry", iot_event(battery=0.7)),
        published("presence", came),
        published("path", path),
        published("shadow_rejected", iot_event(code=409, message="version conflict")),
        published("snapshot", "bm9uc2Vuc2U="),
    )
    assert failed == []
    now = aws.rest("GET", "/api/devices/{id}", id="left")[1]
    assert (now["online"], now["refused"]) == (True, 2)


def a_sound_is_classified_measured_and_processed_synchronously(aws: Account) -> None:
    """By the functions `classifier` and `rest_api`."""
    sound = sound_file(two_microphones())
    assert aws.rest("POST", "/api/audio/classify", sound)[1]["label"]
    assert aws.rest("POST", "/api/audio/classify", b"nonsense")[0] == 400
    assert aws.rest("POST", "/api/audio/process", sound)[0] == 200
    assert aws.rest("POST", "/api/audio/analyze", sound)[0] == 200
    assert aws.rest("POST", "/api/emergency/detect", sound)[1]["active"] is False


def a_user_has_a_quota_of_sockets_and_sessions(aws: Account) -> None:
    """Items stored before quotas were counted are counted too."""
    os.environ["QUOTA_SOCKETS"] = os.environ["QUOTA_SESSIONS"] = "2"
    deps = aws.deps
    deps.connections.put(SocketConnection(key="socket-0", group="alice", role="listener"))
    session = Stream(key="s", group="alice", mode="bypass", rate=RATE, channels=1, taps=16, mu=0.5, created=0)
    deps.streams.put(session)
    assert aws.socket("CONNECT", "socket-1")["statusCode"] == 200
    assert aws.socket("CONNECT", "socket-2")["code"] == "too_many"
    frame = {"action": "start", "rate": RATE, "taps": 16}
    assert aws.socket("MESSAGE", frame=frame)["type"] == "started"
    assert aws.socket("MESSAGE", frame=frame)["code"] == "too_many"
    aws.socket("DISCONNECT", "socket-1")
    assert aws.socket("CONNECT", "socket-2")["statusCode"] == 200


def admins_see_totals_and_models_and_everyone_sees_health(aws: Account) -> None:
    """Health, models and statistics."""
    assert aws.rest("GET", "/health")[1]["status"] == "ok"
    assert aws.rest("GET", "/api/models", role="admin")[0] == 200
    assert aws.rest("GET", "/api/stats/summary", role="admin")[0] == 200
    since = str(time.time() - 3600)
    performance = aws.rest("GET", "/api/stats/performance", query={"since": since}, role="admin")
    assert performance[1]["history"]["step_s"] == 60


def changed(aws: Account) -> list[str]:
    """Return the headsets whose changed state waits to be delivered."""
    return [each["thing"] for each in aws.waiting("updates") if each["kind"] == "control_changed"]


def an_uncertain_snapshot_is_reclassified_by_the_endpoint(aws: Account) -> None:
    """While its filter is being delivered."""
    probabilities = {"rail": 0.9, "road": 0.1}
    prediction = {"label": "rail", "confidence": 0.9, "probabilities": probabilities, "sha256": "ab" * 32}
    aws.with_endpoint(model="large", **prediction)
    os.environ["ML_CONFIDENCE_THRESHOLD"] = "1"
    aws.rest("POST", "/api/devices", HEADSET)
    assert aws.consume("anc_processor", snapshot(1, np.tile(noise(1), 4))) == []
    (request,) = aws.waiting("reclassifications")
    aws.waiting("updates")
    assert aws.consume("classifier", request) == []
    control = aws.deps.controls.get("left")
    assert control is not None
    assert (control.noise, control.confidence) == ("rail", 0.9)
    assert changed(aws) == ["left"]


ENDPOINT_SCENARIOS: tuple[Scenario, ...] = (an_uncertain_snapshot_is_reclassified_by_the_endpoint,)
SCENARIOS: tuple[Scenario, ...] = (
    an_admin_adds_promotes_and_removes_a_user,
    a_rejected_password_leaves_no_user_behind,
    a_user_signs_in_with_a_second_factor,
    lost_permissions_are_denied_by_every_function,
    an_api_key_is_valid_until_it_is_revoked,
    a_session_is_managed_over_rest,
    a_headset_is_registered_managed_and_removed,
    an_operator_searches_the_fleet,
    rollouts.a_rollout_reaches_a_headset_and_becomes_its_desired_state,
    rollouts.a_rollout_that_fails_is_stopped_and_announced,
    rollouts.a_rollout_is_paused_and_cancelled,
    rollouts.a_rollout_to_headsets_that_are_offline_is_selected_by_the_request,
    device_models_are_created_and_deleted,
    a_headset_is_provisioned_with_a_claim_and_another_key_is_rejected,
    a_live_session_cancels_noise_and_detects_an_emergency,
    the_largest_session_fits_into_an_item_and_its_largest_response_into_a_frame,
    a_snapshot_updates_the_shadow_and_notifies_watchers,
    a_siren_in_a_snapshot_starts_an_emergency,
    headset_messages_and_lifecycle_events_are_stored,
    recordings.a_recording_is_uploaded_processed_and_deleted,
    recordings.a_large_recording_is_uploaded_in_parts,
    recordings.a_long_recording_continues_where_the_last_worker_stopped,
    recordings.a_recording_with_invalid_samples_fails_with_a_reason,
    recordings.an_unannounced_upload_is_removed,
    a_sound_is_classified_measured_and_processed_synchronously,
    a_user_has_a_quota_of_sockets_and_sessions,
    admins_see_totals_and_models_and_everyone_sees_health,
)


@cache
def run(scenario: Scenario) -> tuple[dict[str, set[Call]], Exception | None]:
    """Run a scenario and return the recorded calls of each function, and the failure, if any."""
    with account() as aws:
        try:
            scenario(aws)
        except Exception as fault:
            return aws.calls, fault
        return aws.calls, None
