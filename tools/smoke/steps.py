"""The steps of the smoke test: a user, a headset and a live client use every feature of the platform."""

import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import asdict
from typing import Any, NamedTuple, TypeVar

import httpx
import numpy as np
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from anc.dsp import NLMS, design_control_filter
from anc.filter_taps import decode_taps
from anc.pcm import float_to_int16, int16_to_float
from anc.ports import Credentials
from anc.schemas.shadow import FilterDocument, float16
from anc.schemas.snapshot import Snapshot
from anc.schemas.topics import snapshot_topic
from anc.schemas.websocket import SUBPROTOCOL, decode_pcm, encode_pcm
from anc_client import (
    ApiError,
    Client,
    EmergencyChange,
    HeadsetConfig,
    NewDevice,
    NewDeviceModel,
    NewKey,
    NewPath,
    NewRollout,
    NewSerials,
    NewSession,
    NewTelemetryReport,
    NewUser,
    Rollout,
    RolloutQuery,
    SessionChange,
    ShadowChange,
)
from functions.routes import QUEUES, REST
from local.auth.totp import STEP_S, code_at
from tools.smoke.endpoint_coverage import EndpointCoverage
from tools.smoke.sounds import RATE, SECONDARY, attenuation_db, noise, pcm, siren, wav
from tools.smoke.targets import POISONED_QUEUE, Target

TAPS, BLOCK = 128, 1024
TIMEOUT_S = 180.0  # for every response
INDEX_PAUSE_S = 2.0  # a new headset may be asked for 60 times a minute, and is indexed within seconds
DEAD_LETTER_PATIENCE = 3  # a small account of AWS allows twice the deliveries of the table
T = TypeVar("T")


class StepResult(NamedTuple):
    """Name, result and duration of a step."""

    what: str
    found: str
    seconds: float


class Smoke:
    """The smoke test of a platform. It deletes everything that it creates, except a cancelled rollout.

    Parameters
    ----------
    target : Target
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._coverage = EndpointCoverage()
        self._name = f"smoke-{secrets.token_hex(4)}"
        self._cleanup = ExitStack()
        self._poison = {"smoke": self._name}

    def run(self) -> Iterator[StepResult]:
        """Run all steps and yield their results.

        Raises
        ------
        AssertionError
            A response was wrong.
        TimeoutError
            A response was missing.
        anc_client.ApiError, httpx.HTTPError, OSError
            The platform rejected a request or could not be reached.
        """
        with self._cleanup as cleanup:
            self._admin = self._client(cleanup.enter_context(self._target.admin()))
            self._user = self._client("")
            self._raw = cleanup.enter_context(httpx.Client(transport=self._coverage, timeout=TIMEOUT_S))
            if self._target.queues_accessible:
                self._target.poison(self._poison)
            for step in (
                self._platform,
                self._users,
                self._headsets,
                self._live,
                self._control,
                self._emergency,
                self._recording,
                self._sounds,
                self._sessions,
            ):
                start_s = time.monotonic()
                found = step()
                yield StepResult(step.__name__.strip("_"), found, round(time.monotonic() - start_s, 2))
            if self._target.queues_accessible:
                yield self._dead_letter()
        yield self._check_coverage()

    def _client(self, token: str) -> Client:
        return self._cleanup.enter_context(Client(self._target.rest, token, self._coverage, TIMEOUT_S))

    def _platform(self) -> str:
        health = self._admin.health()
        _expect("health", health.status, "ok")
        for path, status in (("/openapi.json", 200), ("/docs", 200), ("/api/devices", 401)):
            _expect(f"{path} without a token", self._raw.get(self._target.rest + path).status_code, status)
        self._admin.metrics()
        self._admin.totals()
        self._admin.performance()
        return f"healthy, models {', '.join(model.name for model in self._admin.models())}"

    def _users(self) -> str:
        name, password = f"{self._name}@example.com", secrets.token_urlsafe() + "aA1!"
        added = self._admin.create_user(NewUser(username=name, password=password))
        self._cleanup.callback(self._admin.delete_user, added.user)
        self._user.sign_in(name, password)
        _expect("user signed in", self._user.me().user, added.user)
        self._admin.change_role(added.user, "operator")
        _expect("new role", self._admin.user(added.user).role, "operator")
        _expect("user listed", added.user in {each.user for each in self._admin.users()}, True)
        self._second_factor(added.user, name, password)
        self._token = self._user.sign_in(name, password).token
        key = self._user.create_key(NewKey(name="smoke"))
        _expect("user of the API key", self._client(key.key).me().user, added.user)
        self._user.revoke_key(key.id)
        _expect("remaining API keys", self._user.api_keys(), [])
        audited = {entry.action for entry in self._admin.audit() if added.user in (entry.subject, entry.user)}
        _expect("audit entries written", audited >= {"person.role", "key.create", "key.revoke"}, True)
        return "user created, signed in with a second factor and promoted; API key created, used and revoked"

    def _second_factor(self, user: str, name: str, password: str) -> None:
        secret = self._user.begin_second_factor(password).secret
        self._user.confirm_second_factor(password, code_at(secret, time.time()))
        try:
            self._user.sign_in(name, password)
        except ApiError as refusal:
            _expect("sign-in without a code", refusal.code, "code_required")
        else:
            raise AssertionError("a user with a second factor signed in without a code")
        try:  # no code is accepted twice, so that of the next half minute
            self._user.sign_in(name, password, code_at(secret, time.time() + STEP_S))
        except ApiError:  # a platform may not accept it yet
            time.sleep(STEP_S - time.time() % STEP_S)
            self._user.sign_in(name, password, code_at(secret, time.time()))
        self._admin.remove_second_factor(user)

    def _headsets(self) -> str:
        user, thing, model = self._user, self._name, f"{self._name}-model"
        path = SECONDARY.tolist()
        user.put_model(model, NewDeviceModel(secondary=path, rate=RATE, taps=TAPS))
        self._cleanup.callback(user.delete_model, model)
        _expect("device model", user.device_model(model).taps, TAPS)
        _expect("device model listed", model in {each.model for each in user.device_models()}, True)
        listed = user.preregister(model, NewSerials(serials=[f"{thing}-b"])).listed
        _expect("preregistered serials", listed, [f"{thing}-b"])
        _expect("removal of many", [each.changed for each in user.remove_devices([f"{thing}-b"])], [True])
        registered = user.register(NewDevice(thing=thing, model=model, secondary=path))
        self._cleanup.callback(user.remove_device, thing)
        self._credentials = Credentials(**asdict(user.rotate_credentials(thing)))
        previous_id = registered.credentials.certificate_id
        _expect("certificate renewed", self._credentials.certificate_id != previous_id, True)
        _expect("headsets", [device.thing for device in user.devices()], [thing])
        _expect("new name", user.rename_device(thing, "smoke test").name, "smoke test")
        _expect("refused messages", user.device(thing).refused, 0)
        user.report_telemetry(thing, NewTelemetryReport(battery=0.5))
        _expect("battery", user.telemetry(thing).battery, 0.5)
        _expect("telemetry entries", len(list(user.history(thing))), 1)
        _expect("reports of the month", sum(each.reports for each in user.trend(thing).intervals), 1)
        user.fleet_overview()
        user.fleet_history(days=1)
        _expect("columns of the fleet", user.fleet_csv().partition(",")[0], "thing")
        _expect("tags", user.change_tags([thing], add=["smoke"])[0].tags, ["smoke"])
        list(user.fleet(name=thing, tag="smoke"))  # on AWS, a new headset appears within seconds
        self._rollout(thing)
        user.replace_path(thing, NewPath(secondary=path))
        paths_url = f"{self._target.rest}/api/devices/{thing}/paths"
        bearer = {"Authorization": f"Bearer {self._token}"}
        answer = self._raw.post(paths_url, json={"secondary": path}, headers=bearer)
        _expect("path upload status", answer.status_code, 201)
        _expect("path length", len(user.paths(thing).secondary), len(path))
        return "device model created, headset registered, certificate renewed, telemetry stored"

    def _rollout(self, thing: str) -> None:
        """Cancel a rollout before its first headset; on AWS a new headset is in the index within seconds."""
        config = HeadsetConfig(telemetry_interval_s=3600.0)
        request = NewRollout(name=thing, config=config, query=RolloutQuery(prefix=thing))

        def create() -> Rollout | None:
            try:
                return self._user.create_rollout(request)
            except ApiError as fault:
                if fault.code != "bad_field":
                    raise
                return None

        made = _poll(create, pause_s=INDEX_PAUSE_S)
        _expect("rollout", self._user.change_rollout(made.id, "cancel").state, "cancelled")
        _expect("rollout read", self._user.rollout(made.id).name, thing)
        _expect("rollout listed", made.id in {each.id for each in self._user.rollouts()}, True)
        list(self._user.rollout_headsets(made.id))

    def _live(self) -> str:
        self._socket = self._cleanup.enter_context(self._connect())
        _expect("watch", self._request(action="watch", device=self._name)["type"], "watching")
        start = {"action": "start", "mode": "cancel", "rate": RATE, "channels": 2, "taps": TAPS, "mu": 0.5}
        session = self._request(**start)["session"]
        reference, error, durations = NLMS(taps=TAPS, mu=0.5), 0, []
        x, d = noise(5 * BLOCK)
        for seq, block in enumerate(np.split(pcm(x, d), 5)):
            start_s = time.monotonic()
            frame = {"action": "audio", "session": session, "seq": seq, "pcm": encode_pcm(block)}
            answer = self._request(**frame)
            durations.append(time.monotonic() - start_s)
            _expect("response to a block", (answer["type"], answer.get("seq")), ("audio", seq))
            signals = int16_to_float(block)
            e = float_to_int16(reference.process(signals[:, 0], signals[:, 1])[1]).astype(int)
            error = max(error, int(np.abs(decode_pcm(answer["pcm"], 1)[:, 0] - e).max()))
        _expect("residual within one int16 step of the local filter", error <= 1, True)
        _expect(
            "intensity set", self._request(action="set", session=session, intensity=0.5)["intensity"], 0.5
        )
        _expect("ping", self._request(action="ping")["type"], "pong")
        _expect(
            "unknown session",
            self._request(action="audio", session="never-was", seq=0, pcm="AAAA")["type"],
            "error",
        )
        _expect(
            "blocks of the session", self._request(action="stop", session=session)["summary"]["blocks"], 5
        )
        return f"5 blocks of {BLOCK} samples match the local filter, {1000 * min(durations):.0f} ms at best"

    def _control(self) -> str:
        self._headset = self._cleanup.enter_context(self._target.headset(self._name, self._credentials))
        x, d = noise(2 * RATE)
        start_s = time.monotonic()
        self._publish(1, x[:RATE], d[:RATE])
        received = self._next_filter()
        took = time.monotonic() - start_s
        signals = int16_to_float(pcm(x[:RATE], d[:RATE]))
        design = design_control_filter(signals[:, 0], signals[:, 1], SECONDARY, TAPS, rate=RATE)
        expected = decode_taps(float16(design.taps))
        gains = attenuation_db(received.decode(), x, d), attenuation_db(expected, x, d)
        _expect(
            f"{gains[0]:.1f} dB attenuation, at most 0.5 dB below the local design's {gains[1]:.1f} dB",
            gains[0] > gains[1] - 0.5,
            True,
        )
        self._receive("the filter update", lambda message: message.get("filter") == received.id)
        self._user.change_shadow(self._name, ShadowChange(intensity=0.5))
        _poll(lambda: self._user.shadow(self._name).state.get("desired", {}).get("intensity") == 0.5)
        return f"snapshot to filter in {took:.1f} s; {gains[0]:.1f} dB attenuation in the next second"

    def _emergency(self) -> str:
        start_s = time.monotonic()
        self._publish(2, *siren(RATE))
        self._receive("the switch to transparency", lambda message: message.get("mode") == "transparency")
        took = time.monotonic() - start_s
        # The platform switches the headset first and stores the event afterwards.
        events = _poll(lambda: list(self._user.emergencies()))
        _expect("sources of emergencies", [event.source for event in events], [self._name])
        change = EmergencyChange(acknowledged=True, comment="smoke test")
        changed = self._user.change_emergency(events[0].id, change)
        _expect("comment on the emergency", changed.comment, change.comment)
        _expect("changed emergency", self._user.emergency(events[0].id), changed)
        _expect("emergency is held", any(self._is_held(seq) for seq in range(3, 8)), True)
        return f"transparency after a siren, reported after {took:.1f} s"

    def _is_held(self, seq: int) -> bool:
        """Return whether the emergency is still held; if the hold has expired, send another siren."""
        if self._user.emergency_status().active:
            return True
        self._publish(seq, *siren(RATE))
        self._receive("the switch to transparency", lambda message: message.get("mode") == "transparency")
        return False

    def _recording(self) -> str:
        sound = wav(*noise(3 * RATE))
        _expect("channels of a preview", self._user.preview(sound).channels, 2)
        _expect("formats", [each.name for each in self._user.sound_formats().formats][:1], ["WAV"])
        job = self._user.upload(sound, "smoke")
        _expect("parts to send again", self._user.resume_upload(job).missing, [])
        _expect("completing an upload", self._user.complete_upload(job).job, job)
        done = _poll(lambda: _ended(self._user.job(job)))
        _expect("job state", (done.state, done.failure), ("done", ""))
        report = httpx.get(done.downloads["report.json"], timeout=TIMEOUT_S).raise_for_status().json()
        _expect("report duration", report["seconds"], 3.0)
        _expect("jobs", [each.job for each in self._user.jobs()], [job])
        self._receive("the job update", lambda message: message.get("job") == job)
        self._user.remove_job(job)
        attenuation = report["attenuation_last_half_db"]
        _expect(f"{attenuation:.1f} dB attenuation, at least 10", attenuation > 10, True)
        return f"uploaded, cleaned by {attenuation:.1f} dB, downloaded, deleted"

    def _sounds(self) -> str:
        sound = wav(*noise(RATE))
        classified = self._user.classify(sound)
        self._user.process(sound)
        self._user.analyze(sound)
        _expect("emergency in noise", self._user.detect_emergency(sound).active, False)
        _expect("emergency in a siren", self._user.detect_emergency(wav(*siren(3 * RATE))).active, True)
        return f"noise classified as {classified.label}, cleaned and analyzed; siren detected"

    def _sessions(self) -> str:
        user = self._user
        session = user.open_session(NewSession(rate=RATE, taps=TAPS)).session
        _expect("open sessions", [each.session for each in user.sessions()], [session])
        user.change_session(session, SessionChange(intensity=0.5, algorithm=None))
        _expect("session intensity", user.session(session).intensity, 0.5)
        _expect("session blocks", user.session_summary(session).blocks, 0)
        user.end_session(session)
        return "session opened, changed and ended over REST"

    def _dead_letter(self) -> StepResult:
        route = next(route for route in QUEUES if route.name == POISONED_QUEUE)
        start_s = time.monotonic()
        timeout_s = DEAD_LETTER_PATIENCE * route.max_receives * route.visibility_s
        _poll(lambda: self._target.take_dead_letter(self._poison), timeout_s)
        took_s = round(time.monotonic() - start_s, 2)
        return StepResult("dead letters", "invalid message in the dead-letter queue", took_s)

    def _check_coverage(self) -> StepResult:
        missing = {(route.method, route.path) for route in REST} - self._coverage.answered
        _expect("endpoints without a successful response", missing, set())
        return StepResult("endpoints", f"all {len(REST)} answered", 0.0)

    def _publish(self, seq: int, x: np.ndarray, d: np.ndarray) -> None:
        both = pcm(x, d)
        snapshot = Snapshot(seq=seq, rate=RATE, samples=len(both), filter_id="", pcm=both)
        topic = snapshot_topic(self._name, self._credentials.environment)
        self._headset.publish(topic, snapshot.encode())

    def _next_filter(self) -> FilterDocument:
        while not (desired := self._headset.next_desired(TIMEOUT_S)).filter:
            pass  # a change of intensity, or the end of an emergency
        return desired.filter

    def _connect(self) -> ClientConnection:
        offered = [Subprotocol(SUBPROTOCOL), Subprotocol(self._token)]
        opened = connect(
            self._target.sockets,
            subprotocols=offered,
            compression=None,
            open_timeout=TIMEOUT_S,
            proxy=None,
        )
        return opened

    def _request(self, **frame: Any) -> dict[str, Any]:
        self._socket.send(json.dumps(frame))
        return self._receive(
            f"a response to {frame['action']}", lambda message: message["type"] not in ("device", "job")
        )

    def _receive(self, what: str, matches: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the first frame that matches; discard others."""
        deadline = time.monotonic() + TIMEOUT_S
        with suppress(TimeoutError):  # raised below with a message that names the frame
            while (left := deadline - time.monotonic()) > 0:
                frame = _frame(what, self._socket.recv(left))
                if matches(frame):
                    return frame
        raise TimeoutError(f"no response within {TIMEOUT_S:g} s: {what}")


def _expect(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise AssertionError(f"{what}: {found}, expected {expected}")


def _frame(what: str, text: str | bytes) -> dict[str, Any]:
    try:
        frame: dict[str, Any] = json.loads(text)
    except ValueError:  # a gateway's own words, such as a timeout
        raise AssertionError(f"{what}: not JSON: {text[:200]!r}") from None
    return frame


def _poll(call: Callable[[], T | None], timeout_s: float = TIMEOUT_S, pause_s: float = 0.1) -> T:
    """Return the first true result."""
    deadline = time.monotonic() + timeout_s
    while not (answer := call()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"no response within {timeout_s:g} s")
        time.sleep(pause_s)
    return answer


def _ended(job: Any) -> Any:
    return job if job.state in ("done", "failed") else None
