"""What the smoke test does: a person, a headset and a browser use the platform, and each gets its answer."""

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
from anc.schemas.websocket import SUBPROTOCOL, decode_pcm, encode_pcm
from anc_client import (
    Client,
    NewDevice,
    NewDeviceModel,
    NewKey,
    NewPath,
    NewPerson,
    NewSerials,
    NewSession,
    NewTelemetryReport,
    SessionChange,
    ShadowChange,
)
from functions.routes import QUEUES, REST, RULES
from tools.smoke.endpoint_coverage import EndpointCoverage
from tools.smoke.sounds import RATE, SECONDARY, attenuation_db, noise, pcm, siren, wav
from tools.smoke.targets import POISONED, Target

TAPS, BLOCK = 128, 1024
PATIENCE_S = 180.0  # within which every answer of the platform is there, or it does not work
T = TypeVar("T")


class StepResult(NamedTuple):
    """What was tried, what was seen, and how long it took."""

    what: str
    found: str
    seconds: float


class Smoke:
    """One walk through a platform. Everything that it makes there is gone afterwards.

    Parameters
    ----------
    place : Place
    """

    def __init__(self, place: Target) -> None:
        self._place = place
        self._walked = EndpointCoverage()
        self._name = f"smoke-{secrets.token_hex(4)}"
        self._leaving = ExitStack()
        self._poison = {"smoke": self._name}

    def run(self) -> Iterator[StepResult]:
        """Do everything, and say what was seen.

        Raises
        ------
        AssertionError
            An answer was wrong.
        TimeoutError
            There was none.
        anc_client.Refusal, httpx.HTTPError, OSError
            The platform refused, or could not be reached.
        """
        with self._leaving as leaving:
            self._admin = self._client(leaving.enter_context(self._place.admin()))
            self._person = self._client("")
            self._raw = leaving.enter_context(httpx.Client(transport=self._walked, timeout=PATIENCE_S))
            if self._place.operated:
                self._place.poison(self._poison)
            for step in (
                self._platform,
                self._people,
                self._headsets,
                self._live,
                self._control,
                self._emergency,
                self._recording,
                self._sounds,
                self._sessions,
            ):
                began = time.monotonic()
                found = step()
                yield StepResult(step.__name__.strip("_"), found, round(time.monotonic() - began, 2))
            if self._place.operated:
                yield self._dead_letter()
        yield self._every_endpoint()

    def _client(self, token: str) -> Client:
        return self._leaving.enter_context(Client(self._place.rest, token, self._walked, PATIENCE_S))

    def _platform(self) -> str:
        health = self._admin.health()
        _same("health", health.status, "ok")
        for path, status in (("/openapi.json", 200), ("/docs", 200), ("/api/devices", 401)):
            _same(f"{path} without a token", self._raw.get(self._place.rest + path).status_code, status)
        self._admin.metrics()
        self._admin.totals()
        self._admin.performance()
        return f"healthy, models {', '.join(model.name for model in self._admin.models())}"

    def _people(self) -> str:
        name, password = f"{self._name}@example.com", secrets.token_urlsafe() + "aA1!"
        added = self._admin.add_person(NewPerson(username=name, password=password))
        self._leaving.callback(self._admin.remove_person, added.user)
        self._person.sign_in(name, password)
        _same("who signed in", self._person.me().user, added.user)
        self._admin.change_role(added.user, "operator")
        _same("the new role", self._admin.person(added.user).role, "operator")
        _same("listed among the people", added.user in {each.user for each in self._admin.people()}, True)
        self._token = self._person.sign_in(name, password).token
        key = self._person.make_key(NewKey(name="smoke"))
        _same("who a key is", self._client(key.key).me().user, added.user)
        self._person.revoke_key(key.id)
        _same("keys left", self._person.api_keys(), [])
        noted = {entry.action for entry in self._admin.audit() if added.user in (entry.subject, entry.user)}
        _same("audited", noted >= {"person.role", "key.create", "key.revoke"}, True)
        return "signed up by an admin, signed in, promoted; an API key made, used and revoked"

    def _headsets(self) -> str:
        person, thing, model = self._person, self._name, f"{self._name}-model"
        path = SECONDARY.tolist()
        person.describe_model(model, NewDeviceModel(secondary=path, rate=RATE, taps=TAPS))
        self._leaving.callback(person.forget_model, model)
        _same("the model", person.device_model(model).taps, TAPS)
        _same("listed", model in {each.model for each in person.device_models()}, True)
        listed = person.expect_headsets(model, NewSerials(serials=[f"{thing}-b"])).listed
        _same("expected with a claim", listed, [f"{thing}-b"])
        person.remove_device(f"{thing}-b")
        made = person.register(NewDevice(thing=thing, model=model, secondary=path))
        self._leaving.callback(person.remove_device, thing)
        self._credentials = Credentials(**asdict(person.rotate_credentials(thing)))
        _same("renewed", self._credentials.certificate_id != made.credentials.certificate_id, True)
        _same("headsets", [device.thing for device in person.devices()], [thing])
        _same("the headset", person.device(thing).refused, 0)
        person.report_telemetry(thing, NewTelemetryReport(battery=0.5))
        _same("its battery", person.telemetry(thing).battery, 0.5)
        _same("its history", len(list(person.history(thing))), 1)
        person.replace_path(thing, NewPath(secondary=path))
        measured = f"{self._place.rest}/api/devices/{thing}/paths"
        bearer = {"Authorization": f"Bearer {self._token}"}
        answer = self._raw.post(measured, json={"secondary": path}, headers=bearer)
        _same("a path measured at enrolment", answer.status_code, 201)
        _same("its path", len(person.paths(thing).secondary), len(path))
        return "a model described, a headset registered, its certificate renewed, its telemetry kept"

    def _live(self) -> str:
        self._socket = self._leaving.enter_context(self._connect())
        _same("watching", self._ask(action="watch", device=self._name)["type"], "watching")
        start = {"action": "start", "mode": "cancel", "rate": RATE, "channels": 2, "taps": TAPS, "mu": 0.5}
        session = self._ask(**start)["session"]
        own, off, took = NLMS(taps=TAPS, mu=0.5), 0, []
        x, d = noise(5 * BLOCK)
        for seq, block in enumerate(np.split(pcm(x, d), 5)):
            began = time.monotonic()
            frame = {"action": "audio", "session": session, "seq": seq, "pcm": encode_pcm(block)}
            answer = self._ask(**frame)
            took.append(time.monotonic() - began)
            _same("the answer to a block", (answer["type"], answer.get("seq")), ("audio", seq))
            signals = int16_to_float(block)
            e = float_to_int16(own.process(signals[:, 0], signals[:, 1])[1]).astype(int)
            off = max(off, int(np.abs(decode_pcm(answer["pcm"], 1)[:, 0] - e).max()))
        _same("int16 steps by which the residual differs from the filter's here", off <= 1, True)
        _same("set", self._ask(action="set", session=session, intensity=0.5)["intensity"], 0.5)
        _same("ping", self._ask(action="ping")["type"], "pong")
        _same("nonsense", self._ask(action="audio", session="never-was", seq=0, pcm="AAAA")["type"], "error")
        _same("stop", self._ask(action="stop", session=session)["summary"]["blocks"], 5)
        return (
            f"5 blocks of {BLOCK} samples answered as the filter does here, {1000 * min(took):.0f} ms at best"
        )

    def _control(self) -> str:
        self._headset = self._leaving.enter_context(self._place.headset(self._name, self._credentials))
        x, d = noise(2 * RATE)
        began = time.monotonic()
        self._publish(1, x[:RATE], d[:RATE])
        arrived = self._wished_filter()
        took = time.monotonic() - began
        heard = int16_to_float(pcm(x[:RATE], d[:RATE]))
        design = design_control_filter(heard[:, 0], heard[:, 1], SECONDARY, TAPS, rate=RATE)
        here = decode_taps(float16(design.taps))
        gains = attenuation_db(arrived.decode(), x, d), attenuation_db(here, x, d)
        _same(
            f"{gains[0]:.1f} dB where the same design gives {gains[1]:.1f} dB",
            gains[0] > gains[1] - 0.5,
            True,
        )
        self._until("the watcher to hear of the filter", lambda news: news.get("filter") == arrived.id)
        self._person.change_shadow(self._name, ShadowChange(intensity=0.5))
        _answers(lambda: self._person.shadow(self._name).state.get("desired", {}).get("intensity") == 0.5)
        return f"snapshot to filter in {took:.1f} s; it takes {gains[0]:.1f} dB off the next second"

    def _emergency(self) -> str:
        began = time.monotonic()
        self._publish(2, *siren(RATE))
        self._until("the watcher to hear of the siren", lambda news: news.get("mode") == "transparency")
        took = time.monotonic() - began
        # The headset is opened first, and what happened is written down afterwards.
        alarms = _answers(lambda: [event.source for event in self._person.emergencies()])
        _same("alarms", alarms, [self._name])
        _same("held open", any(self._is_held_open(seq) for seq in range(3, 8)), True)
        return f"a siren opened the headset, and its watcher knew after {took:.1f} s"

    def _is_held_open(self, seq: int) -> bool:
        """Return whether a siren holds the headset open; if its hold has ended, let another sound."""
        if self._person.emergency_status().active:
            return True
        self._publish(seq, *siren(RATE))
        self._until("the watcher to hear of another siren", lambda news: news.get("mode") == "transparency")
        return False

    def _recording(self) -> str:
        sound = wav(*noise(3 * RATE))
        job = self._person.upload(sound, "smoke")
        _same("completing what was sent whole", self._person.complete_upload(job).job, job)
        done = _answers(lambda: _ended(self._person.job(job)))
        _same("what became of it", (done.state, done.failure), ("done", ""))
        report = httpx.get(done.downloads["report.json"], timeout=PATIENCE_S).raise_for_status().json()
        _same("its length", report["seconds"], 3.0)
        _same("recordings", [each.job for each in self._person.jobs()], [job])
        self._until("its owner to be told", lambda news: news.get("job") == job)
        self._person.remove_job(job)
        fell = report["attenuation_last_half_db"]
        _same(f"{fell:.1f} dB quieter, at least 10", fell > 10, True)
        return f"sent to its link, cleaned by {fell:.1f} dB, its owner told, fetched and forgotten"

    def _sounds(self) -> str:
        sound = wav(*noise(RATE))
        heard = self._person.classify(sound)
        self._person.process(sound)
        self._person.analyze(sound)
        _same("an alarm in noise", self._person.detect_emergency(sound).active, False)
        _same("an alarm in a siren", self._person.detect_emergency(wav(*siren(3 * RATE))).active, True)
        return f"a sound is called {heard.label}, cleaned, measured; a siren is heard"

    def _sessions(self) -> str:
        person = self._person
        session = person.open_session(NewSession(rate=RATE, taps=TAPS)).session
        _same("sessions", [each.session for each in person.sessions()], [session])
        person.change_session(session, SessionChange(intensity=0.5, algorithm=None))
        _same("its intensity", person.session(session).intensity, 0.5)
        _same("its blocks", person.session_summary(session).blocks, 0)
        person.end_session(session)
        return "a session opened, changed and ended over REST"

    def _dead_letter(self) -> StepResult:
        route = next(route for route in QUEUES if route.name == POISONED)
        began = time.monotonic()
        _answers(lambda: self._place.died(self._poison), 1.5 * route.max_receives * route.visibility_s)
        found = f"a poisoned message was tried {route.max_receives} times and laid aside"
        return StepResult("dead letters", found, round(time.monotonic() - began, 2))

    def _every_endpoint(self) -> StepResult:
        missed = {(route.method, route.path) for route in REST} - self._walked.answered
        _same("endpoints that were not seen to answer", missed, set())
        return StepResult("endpoints", f"all {len(REST)} answered", 0.0)

    def _publish(self, seq: int, x: np.ndarray, d: np.ndarray) -> None:
        both = pcm(x, d)
        snapshot = Snapshot(seq=seq, rate=RATE, samples=len(both), filter_id="", pcm=both)
        topic = f"$aws/rules/{RULES[0].name}/{RULES[0].topic.replace('+', self._name)}"
        self._headset.publish(topic, snapshot.encode())

    def _wished_filter(self) -> FilterDocument:
        while not (wanted := self._headset.wish(PATIENCE_S)).filter:
            pass  # the wish of a change by hand, or of an alarm that ends
        return wanted.filter

    def _connect(self) -> ClientConnection:
        offered = [Subprotocol(SUBPROTOCOL), Subprotocol(self._token)]
        opened = connect(
            self._place.sockets,
            subprotocols=offered,
            compression=None,
            open_timeout=PATIENCE_S,
            proxy=None,
        )
        return opened

    def _ask(self, **frame: Any) -> dict[str, Any]:
        self._socket.send(json.dumps(frame))
        return self._until(
            f"an answer to {frame['action']}", lambda news: news["type"] not in ("device", "job")
        )

    def _until(self, what: str, meant: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the first frame that is meant; what was pushed in between is passed over."""
        until = time.monotonic() + PATIENCE_S
        with suppress(TimeoutError):  # it does not say what was waited for
            while (left := until - time.monotonic()) > 0:
                frame: dict[str, Any] = json.loads(self._socket.recv(left))
                if meant(frame):
                    return frame
        raise TimeoutError(f"waited {PATIENCE_S:g} s for {what}")


def _same(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise AssertionError(f"{what}: {found}, expected {expected}")


def _answers(ask: Callable[[], T | None], patience_s: float = PATIENCE_S) -> T:
    """Return the first true answer."""
    until = time.monotonic() + patience_s
    while not (answer := ask()):
        if time.monotonic() > until:
            raise TimeoutError(f"waited {patience_s:g} s for an answer")
        time.sleep(0.1)
    return answer


def _ended(job: Any) -> Any:
    return job if job.state in ("done", "failed") else None
