"""One method per endpoint; lists come whole, page after page, and refusals are exceptions."""

import time
from collections.abc import Iterator
from io import SEEK_END, BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel

from anc.records import Role
from anc.wire.rest import answers, requests, sounds

A = TypeVar("A", bound=BaseModel)
P = TypeVar("P", bound=answers.Page)
Sound = bytes | Path | BinaryIO
TIMEOUT_S = 40.0  # the platform itself gives up after 29 s, and before that on who calls after 10
TRANSFER_S = 300.0  # for a part of a file over a slow line
PAGE = 50


class Refusal(Exception):
    """The platform said no.

    Attributes
    ----------
    status : int
        Of HTTP.
    code : str
        For programs: `bad_field`, `unknown_session`, ...
    detail : str
        For people: the field and what is allowed.
    retry_after_s : int or None
        After how many seconds asking again makes sense, when the platform said so.
    """

    def __init__(self, status: int, code: str, detail: str, retry_after_s: int | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.retry_after_s = retry_after_s


class Client:
    """Calls the REST API in somebody's name.

    Parameters
    ----------
    url : str
        Where the platform is, such as `http://127.0.0.1:8080`.
    token : str
        A bearer token or an API key; `sign_in` gets one.
    transport : httpx.BaseTransport, optional
        Instead of the network.
    timeout_s : float

    Raises
    ------
    Refusal
        From every method, when the platform refuses. Removing what is gone already is fine.
    pydantic.ValidationError
        From the bodies, `NewSession` and the others, for what the platform would refuse.
    httpx.TransportError
        From every method, when it does not answer.
    """

    def __init__(
        self,
        url: str,
        token: str = "",
        transport: httpx.BaseTransport | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=url, headers=headers, transport=transport, timeout=timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    # The platform

    def health(self) -> answers.Health:
        """Return whether the platform lives and is ready; a platform that is not is no refusal."""
        return answers.Health.model_validate_json(self._http.get("/health").content)

    def metrics(self) -> str:
        """Return all totals in Prometheus' text format."""
        return self._send("GET", "/metrics").text

    def models(self) -> list[answers.Model]:
        """Return the classifiers in use."""
        return self._ask(answers.Models, "GET", "/api/models").models

    def totals(self) -> dict[str, int]:
        """Return how often everything happened so far."""
        return self._ask(answers.Totals, "GET", "/api/stats/summary").totals

    def performance(self) -> answers.Performance:
        """Return how long blocks, snapshots and requests took on the server."""
        return self._ask(answers.Performance, "GET", "/api/stats/performance")

    # People and keys

    def sign_in(self, username: str, password: str) -> answers.Grant:
        """Get a token, and use it from now on."""
        body = requests.SignIn(username=username, password=password)
        grant = self._ask(answers.Grant, "POST", "/api/auth/token", body)
        self._http.headers["Authorization"] = f"Bearer {grant.token}"
        return grant

    def me(self) -> answers.Me:
        """Return who is calling."""
        return self._ask(answers.Me, "GET", "/api/users/me")

    def add_person(self, person: requests.NewPerson) -> answers.Person:
        """Add somebody who may sign in."""
        return self._ask(answers.Person, "POST", "/api/users", person)

    def people(self) -> Iterator[answers.Person]:
        """Go through the people who may sign in."""
        for page in self._pages(answers.People, "/api/users"):
            yield from page.users

    def person(self, user: str) -> answers.Person:
        """Return somebody who may sign in."""
        return self._ask(answers.Person, "GET", f"/api/users/{named(user)}")

    def change_role(self, user: str, role: Role) -> answers.Person:
        """Let somebody do more or less."""
        return self._ask(answers.Person, "PATCH", f"/api/users/{named(user)}", requests.NewRole(role=role))

    def remove_person(self, user: str) -> None:
        """Remove somebody with their keys, sessions, recordings and headsets."""
        self._remove(f"/api/users/{named(user)}")

    def make_key(self, key: requests.NewKey) -> answers.MadeKey:
        """Make an API key; it is shown this once."""
        return self._ask(answers.MadeKey, "POST", "/api/users/me/keys", key)

    def api_keys(self) -> list[answers.Key]:
        """Return the caller's API keys."""
        return self._ask(answers.Keys, "GET", "/api/users/me/keys").keys

    def revoke_key(self, key: str) -> None:
        """Make an API key useless at once."""
        self._remove(f"/api/users/me/keys/{named(key)}")

    # Live sessions

    def open_session(self, session: requests.NewSession) -> answers.Session:
        """Open a live session; its blocks go over the WebSocket."""
        return self._ask(answers.Session, "POST", "/api/sessions", session)

    def sessions(self) -> Iterator[answers.Session]:
        """Go through the caller's sessions."""
        for page in self._pages(answers.Sessions, "/api/sessions"):
            yield from page.sessions

    def session(self, session: str) -> answers.Session:
        """Return a session."""
        return self._ask(answers.Session, "GET", f"/api/sessions/{named(session)}")

    def change_session(self, session: str, change: requests.SessionChange) -> answers.Session:
        """Switch a session on or off, set its intensity or its algorithm."""
        return self._ask(answers.Session, "PATCH", f"/api/sessions/{named(session)}", change)

    def session_summary(self, session: str) -> answers.SessionSummary:
        """Sum up a session so far."""
        return self._ask(answers.SessionSummary, "GET", f"/api/sessions/{named(session)}/stats")

    def end_session(self, session: str) -> answers.SessionSummary:
        """End a session and sum it up."""
        return self._ask(answers.SessionSummary, "DELETE", f"/api/sessions/{named(session)}")

    # Headsets

    def register(self, device: requests.NewDevice) -> answers.RegisteredDevice:
        """Register a headset; its private key is in the answer and nowhere else."""
        return self._ask(answers.RegisteredDevice, "POST", "/api/devices", device)

    def devices(self, owner: str = "") -> Iterator[answers.Device]:
        """Go through the caller's headsets; an operator names another owner."""
        named = {"owner": owner} if owner else {}
        for page in self._pages(answers.Devices, "/api/devices", **named):
            yield from page.devices

    def device(self, thing: str) -> answers.DeviceNow:
        """Return a headset as it is now."""
        return self._ask(answers.DeviceNow, "GET", f"/api/devices/{named(thing)}")

    def remove_device(self, thing: str) -> None:
        """Revoke a headset's certificate and forget it."""
        self._remove(f"/api/devices/{named(thing)}")

    def rotate_credentials(self, thing: str) -> answers.Credentials:
        """Give a headset a new certificate; the old one is useless at once."""
        return self._ask(answers.Credentials, "POST", f"/api/devices/{named(thing)}/credentials")

    def shadow(self, thing: str) -> answers.Shadow:
        """Return the shadow document of a headset."""
        return self._ask(answers.Shadow, "GET", f"/api/devices/{named(thing)}/shadow")

    def change_shadow(self, thing: str, change: requests.ShadowChange) -> answers.Wanted:
        """Have a headset work in another mode or at another intensity."""
        return self._ask(answers.Wanted, "PATCH", f"/api/devices/{named(thing)}/shadow", change)

    def telemetry(self, thing: str) -> answers.Telemetry:
        """Return what a headset said of itself last."""
        return self._ask(answers.Telemetry, "GET", f"/api/devices/{named(thing)}/telemetry")

    def history(self, thing: str, since: float = 0.0) -> Iterator[answers.Telemetry]:
        """Go through what a headset said of itself within the last month, the oldest first."""
        for page in self._pages(answers.History, f"/api/devices/{named(thing)}/history", since=since):
            yield from page.reports

    def report_telemetry(self, thing: str, report: requests.TelemetryReport) -> answers.Telemetry:
        """Say something of a headset in its stead."""
        return self._ask(answers.Telemetry, "POST", f"/api/devices/{named(thing)}/telemetry", report)

    def paths(self, thing: str) -> answers.Paths:
        """Return a headset's secondary path."""
        return self._ask(answers.Paths, "GET", f"/api/devices/{named(thing)}/paths")

    def device_models(self) -> Iterator[answers.DeviceModel]:
        """Go through the kinds of headsets."""
        for page in self._pages(answers.DeviceModels, "/api/device-models"):
            yield from page.models

    def device_model(self, model: str) -> answers.DeviceModel:
        """Return a kind of headset."""
        return self._ask(answers.DeviceModel, "GET", f"/api/device-models/{named(model)}")

    def describe_model(self, model: str, description: requests.NewDeviceModel) -> answers.DeviceModel:
        """Describe a kind of headset; for operators."""
        return self._ask(answers.DeviceModel, "PUT", f"/api/device-models/{named(model)}", description)

    def forget_model(self, model: str) -> None:
        """Forget a kind of headset; for operators."""
        self._remove(f"/api/device-models/{named(model)}")

    def expect_headsets(self, model: str, serials: requests.NewSerials) -> answers.Serials:
        """List headsets of a kind that will come for their certificate themselves; for operators."""
        return self._ask(answers.Serials, "POST", f"/api/device-models/{named(model)}/serials", serials)

    def replace_path(self, thing: str, path: requests.NewPath) -> answers.Paths:
        """Store a secondary path that was measured anew."""
        return self._ask(answers.Paths, "PUT", f"/api/devices/{named(thing)}/paths", path)

    # Sounds: a file's bytes, its path, or the open file

    def classify(self, sound: Sound) -> sounds.Classification:
        """Name the noise in a sound file."""
        return self._ask(sounds.Classification, "POST", "/api/audio/classify", content(sound))

    def process(self, sound: Sound, **options: str | int | float) -> sounds.Processed:
        """Clean a recording of up to a minute; options are `mode`, `algorithm`, `taps`, `mu`, `horizon`."""
        return self._ask(sounds.Processed, "POST", "/api/audio/process", content(sound), **options)

    def analyze(self, sound: Sound, **options: float) -> sounds.Analysis:
        """Measure a sound file; `full_scale_db` calibrates it."""
        return self._ask(sounds.Analysis, "POST", "/api/audio/analyze", content(sound), **options)

    def detect_emergency(self, sound: Sound) -> sounds.Detection:
        """Tell whether a headset in this sound should be open to the world."""
        return self._ask(sounds.Detection, "POST", "/api/emergency/detect", content(sound))

    def emergency_status(self) -> sounds.EmergencyStatus:
        """Tell whether anything of the caller's is held open by an alarm now."""
        return self._ask(sounds.EmergencyStatus, "GET", "/api/emergency/status")

    def emergencies(self) -> Iterator[sounds.EmergencyEvent]:
        """Go through the alarms of the past, the oldest first."""
        for page in self._pages(sounds.EmergencyEvents, "/api/emergency/events"):
            yield from page.events

    # Recordings

    def announce(self, upload: requests.NewUpload) -> sounds.Upload:
        """Announce a recording, and get the links to send it to."""
        return self._ask(sounds.Upload, "POST", "/api/audio/uploads", upload)

    def upload(self, sound: Sound, name: str = "", **options: Any) -> str:
        """Announce a recording, of any length, and send it part by part; returns its job.

        Without a `name` it is called as its file is. Options are `mode`, `algorithm`, `taps`, `mu` and
        `horizon`, as for `process`. An open file must be seekable.
        """
        if isinstance(sound, Path):
            with sound.open("rb") as opened:
                return self.upload(opened, name or sound.name, **options)
        file = BytesIO(sound) if isinstance(sound, bytes) else sound
        size = file.seek(0, SEEK_END)
        file.seek(0)
        treatment = requests.Treatment(**options)
        made = self.announce(requests.NewUpload(size=size, name=name or "recording", options=treatment))
        for link in made.links:
            # The link is all the permission that is needed: a token would go to whoever keeps the files.
            part = file.read(made.part_bytes)
            httpx.put(link, content=part, timeout=TRANSFER_S).raise_for_status()
        if len(made.links) > 1:
            self.complete_upload(made.job)
        return made.job

    def follow(self, job: str, every_s: float = 1.0) -> Iterator[sounds.Job]:
        """Return how far a recording is, again and again, the last time when it is done or has failed."""
        while (found := self.job(job)).state not in {"done", "failed"}:
            yield found
            time.sleep(every_s)
        yield found

    def fetch(self, job: str, name: str, into: BinaryIO) -> None:
        """Write a result, `cleaned.wav`, `report.json` or `report.png`, into a file as it comes.

        Raises KeyError when there is no such result, as long as the job is not done.
        """
        link = self.job(job).downloads[name]
        with httpx.stream("GET", link, timeout=TRANSFER_S) as answer:
            answer.raise_for_status()
            for piece in answer.iter_bytes():
                into.write(piece)

    def complete_upload(self, job: str) -> sounds.Job:
        """Put a recording together once all its parts were sent. Again is fine, as for one sent whole."""
        return self._ask(sounds.Job, "POST", f"/api/audio/uploads/{named(job)}")

    def jobs(self) -> Iterator[sounds.Job]:
        """Go through the caller's recordings."""
        for page in self._pages(sounds.Jobs, "/api/audio/jobs"):
            yield from page.jobs

    def job(self, job: str) -> sounds.Job:
        """Return how far a recording is, and links to the results when it is done."""
        return self._ask(sounds.Job, "GET", f"/api/audio/jobs/{named(job)}")

    def remove_job(self, job: str) -> None:
        """Forget a recording and everything that was made of it."""
        self._remove(f"/api/audio/jobs/{named(job)}")

    def _pages(self, kind: type[P], path: str, **query: Any) -> Iterator[P]:
        after: str | None = ""
        while after is not None:
            page = self._ask(kind, "GET", path, limit=PAGE, **query, after=after)
            yield page
            after = page.next

    def _ask(
        self, kind: type[A], method: str, path: str, body: BaseModel | bytes | None = None, **query: Any
    ) -> A:
        return kind.model_validate_json(self._send(method, path, body, **query).content)

    def _remove(self, path: str) -> None:
        """Remove what is at a path; of what is gone already, or never was, nothing is left to remove."""
        try:
            self._send("DELETE", path)
        except Refusal as refusal:
            if not refusal.code.startswith("unknown_"):
                raise

    def _send(
        self, method: str, path: str, body: BaseModel | bytes | None = None, **query: Any
    ) -> httpx.Response:
        content, headers = None, {}
        if isinstance(body, bytes):
            content, headers = body, {"Content-Type": "application/octet-stream"}
        elif body is not None:
            content, headers = body.model_dump_json().encode(), {"Content-Type": "application/json"}
        answer = self._http.request(method, path, content=content, headers=headers, params=query)
        if not answer.is_success:
            raise _refusal(answer)
        return answer


def named(name: str) -> str:
    """Return a name as one part of a path, whatever is in it."""
    return quote(name, safe="")


def content(sound: Sound) -> bytes:
    """Return what is in a sound file."""
    if isinstance(sound, bytes):
        return sound
    return sound.read_bytes() if isinstance(sound, Path) else sound.read()


def _refusal(answer: httpx.Response) -> Refusal:
    wait = answer.headers.get("Retry-After", "")
    try:
        problem = answers.Problem.model_validate_json(answer.content)
    except ValueError:  # not ours: a proxy's page
        return Refusal(answer.status_code, "bad_gateway", answer.reason_phrase)
    return Refusal(answer.status_code, problem.code, problem.detail, int(wait) if wait.isdigit() else None)
