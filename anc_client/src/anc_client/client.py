"""One method per endpoint; lists come whole, page after page, and refusals are exceptions."""

import time
from base64 import b64decode
from collections.abc import Iterator
from io import SEEK_END, BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol, Self, TypeVar
from urllib.parse import quote

import httpx

from anc_client import schemas
from anc_client.codec import decode, encode
from anc_client.refusal import ApiError, api_error


class Page(Protocol):
    """A part of a list."""

    @property
    def next(self) -> str | None:
        """What to ask `after` for the following part; None at the end."""


class Processed(schemas.ProcessedSound):
    """A processed recording and its report."""

    @property
    def wav(self) -> bytes:
        """The wav file; empty if the noise was only classified."""
        return b64decode(self.audio)


A = TypeVar("A")
P = TypeVar("P", bound=Page)
Role = Literal["listener", "operator", "admin"]
Sound = bytes | Path | BinaryIO
TIMEOUT_S = 40.0  # the platform itself gives up after 29 s, and before that on who calls after 10
TRANSFER_S = 300.0  # for a part of a file over a slow line
PAGE = 50


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
    ValueError
        From every method, when the answer does not have the fields that this version of the client expects.
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

    def health(self) -> schemas.Health:
        """Return whether the platform lives and is ready; a platform that is not is no refusal."""
        return decode(schemas.Health, self._http.get("/health").json())

    def metrics(self) -> str:
        """Return all totals in Prometheus' text format."""
        return self._send("GET", "/metrics").text

    def models(self) -> list[schemas.Model]:
        """Return the classifiers in use."""
        return self._ask(schemas.Models, "GET", "/api/models").models

    def totals(self) -> dict[str, int]:
        """Return how often everything happened so far."""
        return self._ask(schemas.Totals, "GET", "/api/stats/summary").totals

    def performance(self) -> schemas.Performance:
        """Return how long blocks, snapshots and requests took on the server."""
        return self._ask(schemas.Performance, "GET", "/api/stats/performance")

    def audit(self) -> Iterator[schemas.AuditEntry]:
        """Go through the audit log, the newest entry first."""
        for page in self._pages(schemas.AuditEntries, "/api/audit"):
            yield from page.entries

    # People and keys

    def sign_in(self, username: str, password: str) -> schemas.Grant:
        """Get a token, and use it from now on."""
        body = schemas.SignIn(username=username, password=password)
        grant = self._ask(schemas.Grant, "POST", "/api/auth/token", body)
        self._http.headers["Authorization"] = f"Bearer {grant.token}"
        return grant

    def me(self) -> schemas.Me:
        """Return who is calling."""
        return self._ask(schemas.Me, "GET", "/api/users/me")

    def add_person(self, person: schemas.NewPerson) -> schemas.Person:
        """Add somebody who may sign in."""
        return self._ask(schemas.Person, "POST", "/api/users", person)

    def people(self) -> Iterator[schemas.Person]:
        """Go through the people who may sign in."""
        for page in self._pages(schemas.People, "/api/users"):
            yield from page.users

    def person(self, user: str) -> schemas.Person:
        """Return somebody who may sign in."""
        return self._ask(schemas.Person, "GET", f"/api/users/{named(user)}")

    def change_role(self, user: str, role: Role) -> schemas.Person:
        """Let somebody do more or less."""
        return self._ask(schemas.Person, "PATCH", f"/api/users/{named(user)}", schemas.NewRole(role=role))

    def remove_person(self, user: str) -> None:
        """Remove somebody with their keys, sessions, recordings and headsets."""
        self._remove(f"/api/users/{named(user)}")

    def make_key(self, key: schemas.NewKey) -> schemas.CreatedKey:
        """Make an API key; it is shown this once."""
        return self._ask(schemas.CreatedKey, "POST", "/api/users/me/keys", key)

    def api_keys(self) -> list[schemas.Key]:
        """Return the caller's API keys."""
        return self._ask(schemas.Keys, "GET", "/api/users/me/keys").keys

    def revoke_key(self, key: str) -> None:
        """Make an API key useless at once."""
        self._remove(f"/api/users/me/keys/{named(key)}")

    # Live sessions

    def open_session(self, session: schemas.NewSession) -> schemas.Session:
        """Open a live session; its blocks go over the WebSocket."""
        return self._ask(schemas.Session, "POST", "/api/sessions", session)

    def sessions(self) -> Iterator[schemas.Session]:
        """Go through the caller's sessions."""
        for page in self._pages(schemas.Sessions, "/api/sessions"):
            yield from page.sessions

    def session(self, session: str) -> schemas.Session:
        """Return a session."""
        return self._ask(schemas.Session, "GET", f"/api/sessions/{named(session)}")

    def change_session(self, session: str, change: schemas.SessionChange) -> schemas.Session:
        """Switch a session on or off, set its intensity or its algorithm."""
        return self._ask(schemas.Session, "PATCH", f"/api/sessions/{named(session)}", change)

    def session_summary(self, session: str) -> schemas.SessionSummary:
        """Sum up a session so far."""
        return self._ask(schemas.SessionSummary, "GET", f"/api/sessions/{named(session)}/stats")

    def end_session(self, session: str) -> schemas.SessionSummary:
        """End a session and sum it up."""
        return self._ask(schemas.SessionSummary, "DELETE", f"/api/sessions/{named(session)}")

    # Headsets

    def register(self, device: schemas.NewDevice) -> schemas.RegisteredDevice:
        """Register a headset; its private key is in the answer and nowhere else."""
        return self._ask(schemas.RegisteredDevice, "POST", "/api/devices", device)

    def devices(self, owner: str = "") -> Iterator[schemas.Device]:
        """Go through the caller's headsets; an operator names another owner."""
        named = {"owner": owner} if owner else {}
        for page in self._pages(schemas.Devices, "/api/devices", **named):
            yield from page.devices

    def device(self, thing: str) -> schemas.DeviceDetails:
        """Return a headset as it is now."""
        return self._ask(schemas.DeviceDetails, "GET", f"/api/devices/{named(thing)}")

    def remove_device(self, thing: str) -> None:
        """Revoke a headset's certificate and forget it."""
        self._remove(f"/api/devices/{named(thing)}")

    def rotate_credentials(self, thing: str) -> schemas.Credentials:
        """Give a headset a new certificate; the old one is useless at once."""
        return self._ask(schemas.Credentials, "POST", f"/api/devices/{named(thing)}/credentials")

    def shadow(self, thing: str) -> schemas.Shadow:
        """Return the shadow document of a headset."""
        return self._ask(schemas.Shadow, "GET", f"/api/devices/{named(thing)}/shadow")

    def change_shadow(self, thing: str, change: schemas.ShadowChange) -> schemas.DesiredState:
        """Have a headset work in another mode or at another intensity."""
        return self._ask(schemas.DesiredState, "PATCH", f"/api/devices/{named(thing)}/shadow", change)

    def telemetry(self, thing: str) -> schemas.Telemetry:
        """Return what a headset said of itself last."""
        return self._ask(schemas.Telemetry, "GET", f"/api/devices/{named(thing)}/telemetry")

    def history(self, thing: str, since: float = 0.0) -> Iterator[schemas.Telemetry]:
        """Go through what a headset said of itself within the last month, the oldest first."""
        for page in self._pages(
            schemas.TelemetryHistory, f"/api/devices/{named(thing)}/history", since=since
        ):
            yield from page.reports

    def report_telemetry(self, thing: str, report: schemas.NewTelemetryReport) -> schemas.Telemetry:
        """Say something of a headset in its stead."""
        return self._ask(schemas.Telemetry, "POST", f"/api/devices/{named(thing)}/telemetry", report)

    def paths(self, thing: str) -> schemas.Paths:
        """Return a headset's secondary path."""
        return self._ask(schemas.Paths, "GET", f"/api/devices/{named(thing)}/paths")

    def device_models(self) -> Iterator[schemas.DeviceModel]:
        """Go through the kinds of headsets."""
        for page in self._pages(schemas.DeviceModels, "/api/device-models"):
            yield from page.models

    def device_model(self, model: str) -> schemas.DeviceModel:
        """Return a kind of headset."""
        return self._ask(schemas.DeviceModel, "GET", f"/api/device-models/{named(model)}")

    def describe_model(self, model: str, description: schemas.NewDeviceModel) -> schemas.DeviceModel:
        """Describe a kind of headset; for operators."""
        return self._ask(schemas.DeviceModel, "PUT", f"/api/device-models/{named(model)}", description)

    def forget_model(self, model: str) -> None:
        """Forget a kind of headset; for operators."""
        self._remove(f"/api/device-models/{named(model)}")

    def expect_headsets(self, model: str, serials: schemas.NewSerials) -> schemas.Serials:
        """List headsets of a kind that will come for their certificate themselves; for operators."""
        return self._ask(schemas.Serials, "POST", f"/api/device-models/{named(model)}/serials", serials)

    def replace_path(self, thing: str, path: schemas.NewPath) -> schemas.Paths:
        """Store a secondary path that was measured anew."""
        return self._ask(schemas.Paths, "PUT", f"/api/devices/{named(thing)}/paths", path)

    # Sounds: a file's bytes, its path, or the open file

    def classify(self, sound: Sound) -> schemas.Classification:
        """Name the noise in a sound file."""
        return self._ask(schemas.Classification, "POST", "/api/audio/classify", content(sound))

    def process(self, sound: Sound, **options: str | int | float) -> Processed:
        """Clean a recording of up to a minute; options are `mode`, `algorithm`, `taps`, `mu`, `horizon`."""
        return self._ask(Processed, "POST", "/api/audio/process", content(sound), **options)

    def analyze(self, sound: Sound, **options: float) -> schemas.Analysis:
        """Measure a sound file; `full_scale_db` calibrates it."""
        return self._ask(schemas.Analysis, "POST", "/api/audio/analyze", content(sound), **options)

    def detect_emergency(self, sound: Sound) -> schemas.EmergencyDetection:
        """Tell whether a headset in this sound should be open to the world."""
        return self._ask(schemas.EmergencyDetection, "POST", "/api/emergency/detect", content(sound))

    def emergency_status(self) -> schemas.EmergencyStatus:
        """Tell whether anything of the caller's is held open by an alarm now."""
        return self._ask(schemas.EmergencyStatus, "GET", "/api/emergency/status")

    def emergencies(self) -> Iterator[schemas.EmergencyEvent]:
        """Go through the alarms of the past, the oldest first."""
        for page in self._pages(schemas.EmergencyEvents, "/api/emergency/events"):
            yield from page.events

    # Recordings

    def announce(self, upload: schemas.NewUpload) -> schemas.Upload:
        """Announce a recording, and get the links to send it to."""
        return self._ask(schemas.Upload, "POST", "/api/audio/uploads", upload)

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
        treatment = schemas.ProcessingOptions(**options)
        made = self.announce(schemas.NewUpload(size=size, name=name or "recording", options=treatment))
        for link in made.links:
            # The link is all the permission that is needed: a token would go to whoever keeps the files.
            part = file.read(made.part_bytes)
            httpx.put(link, content=part, timeout=TRANSFER_S).raise_for_status()
        if len(made.links) > 1:
            self.complete_upload(made.job)
        return made.job

    def follow(self, job: str, every_s: float = 1.0) -> Iterator[schemas.Job]:
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

    def complete_upload(self, job: str) -> schemas.Job:
        """Put a recording together once all its parts were sent. Again is fine, as for one sent whole."""
        return self._ask(schemas.Job, "POST", f"/api/audio/uploads/{named(job)}")

    def jobs(self) -> Iterator[schemas.Job]:
        """Go through the caller's recordings."""
        for page in self._pages(schemas.Jobs, "/api/audio/jobs"):
            yield from page.jobs

    def job(self, job: str) -> schemas.Job:
        """Return how far a recording is, and links to the results when it is done."""
        return self._ask(schemas.Job, "GET", f"/api/audio/jobs/{named(job)}")

    def remove_job(self, job: str) -> None:
        """Forget a recording and everything that was made of it."""
        self._remove(f"/api/audio/jobs/{named(job)}")

    def _pages(self, kind: type[P], path: str, **query: Any) -> Iterator[P]:
        after: str | None = ""
        while after is not None:
            page = self._ask(kind, "GET", path, limit=PAGE, **query, after=after)
            yield page
            after = page.next

    def _ask(self, kind: type[A], method: str, path: str, body: object = None, **query: Any) -> A:
        return decode(kind, self._send(method, path, body, **query).json())

    def _remove(self, path: str) -> None:
        """Remove what is at a path; of what is gone already, or never was, nothing is left to remove."""
        try:
            self._send("DELETE", path)
        except ApiError as refusal:
            if not refusal.code.startswith("unknown_"):
                raise

    def _send(self, method: str, path: str, body: object = None, **query: Any) -> httpx.Response:
        content, headers = None, {}
        if isinstance(body, bytes):
            content, headers = body, {"Content-Type": "application/octet-stream"}
        elif body is not None:
            content, headers = encode(body), {"Content-Type": "application/json"}
        answer = self._http.request(method, path, content=content, headers=headers, params=query)
        if not answer.is_success:
            raise api_error(answer)
        return answer


def named(name: str) -> str:
    """Return a name as one part of a path, whatever is in it."""
    return quote(name, safe="")


def content(sound: Sound) -> bytes:
    """Return what is in a sound file."""
    if isinstance(sound, bytes):
        return sound
    return sound.read_bytes() if isinstance(sound, Path) else sound.read()
