"""The client: one method per endpoint. Lists are iterated over all pages; errors raise ApiError."""

import time
from base64 import b64decode
from collections.abc import Iterator, Sequence
from io import SEEK_END, BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Literal

import httpx

from anc_client import schemas
from anc_client.base_client import BaseClient, path_segment
from anc_client.refusal import decode_answer


class Processed(schemas.ProcessedSound):
    """A processed recording and its report."""

    @property
    def wav(self) -> bytes:
        """The wav file; empty if the noise was only classified."""
        return b64decode(self.audio)


Role = Literal["listener", "operator", "admin"]
Sound = bytes | Path | BinaryIO
TRANSFER_TIMEOUT_S = 300.0  # for one part of a file
RETRY_S = 1.0


class Client(BaseClient):
    """A client of the REST API.

    Parameters
    ----------
    url : str
        Base URL of the platform, such as `http://127.0.0.1:8080`.
    token : str
        Bearer token or API key; see also `sign_in`.
    transport : httpx.BaseTransport, optional
        Replaces the default HTTP transport.
    timeout_s : float

    Raises
    ------
    ApiError
        By every method, if the platform rejects the request. Deleting a missing resource is not an error.
    ValueError
        By every method, if the response does not match this version of the client.
    httpx.TransportError
        By every method, if the platform cannot be reached.
    """

    # The platform

    def health(self) -> schemas.Health:
        """Return the health of the platform; does not raise ApiError if it is unhealthy."""
        return decode_answer(schemas.Health, self._http.get("/health"))

    def metrics(self) -> str:
        """Return all counters in Prometheus text format."""
        return self._send("GET", "/metrics").text

    def models(self) -> list[schemas.Model]:
        """Return the classifiers in use."""
        return self._request(schemas.Models, "GET", "/api/models").models

    def totals(self) -> dict[str, int]:
        """Return the values of all counters."""
        return self._request(schemas.Totals, "GET", "/api/stats/summary").totals

    def performance(
        self, since: float | None = None, until: float | None = None, intervals: int = 180
    ) -> schemas.Performance:
        """Return processing times of blocks, snapshots and requests; with `since`, also over time."""
        given = {name: value for name, value in (("since", since), ("until", until)) if value is not None}
        path = "/api/stats/performance"
        return self._request(schemas.Performance, "GET", path, intervals=intervals, **given)

    def audit(self) -> Iterator[schemas.AuditEntry]:
        """Iterate over the audit log, newest entry first."""
        for page in self._pages(schemas.AuditEntries, "/api/audit"):
            yield from page.entries

    # Users and keys

    def sign_in(self, username: str, password: str, code: str | None = None) -> schemas.Grant:
        """Get a token and use it for all further requests.

        `code` is that of an authenticator app. Without one, a user with a second factor gets an ApiError
        with the code `code_required`.
        """
        body = schemas.SignIn(username=username, password=password, code=code)
        grant = self._request(schemas.Grant, "POST", "/api/auth/token", body)
        self._http.headers["Authorization"] = f"Bearer {grant.token}"
        return grant

    def me(self) -> schemas.Me:
        """Return the caller's user and role."""
        return self._request(schemas.Me, "GET", "/api/users/me")

    def begin_second_factor(self, password: str) -> schemas.SecondFactor:
        """Create the secret of a second factor for an authenticator app."""
        body = schemas.Password(password=password)
        return self._request(schemas.SecondFactor, "POST", "/api/users/me/second-factor", body)

    def confirm_second_factor(self, password: str, code: str) -> None:
        """Require a code at every sign-in from now on; `code` is one of the new second factor."""
        body = schemas.Confirmation(password=password, code=code)
        self._send("PUT", "/api/users/me/second-factor", body)

    def remove_second_factor(self, user: str) -> None:
        """Remove the second factor of a user, as an admin."""
        self._remove(f"/api/users/{path_segment(user)}/second-factor")

    def create_user(self, user: schemas.NewUser) -> schemas.User:
        """Create a user."""
        return self._request(schemas.User, "POST", "/api/users", user)

    def users(self) -> Iterator[schemas.User]:
        """Iterate over all users."""
        for page in self._pages(schemas.Users, "/api/users"):
            yield from page.users

    def user(self, user: str) -> schemas.User:
        """Return a user."""
        return self._request(schemas.User, "GET", f"/api/users/{path_segment(user)}")

    def change_role(self, user: str, role: Role) -> schemas.User:
        """Change the role of a user."""
        return self._request(
            schemas.User, "PATCH", f"/api/users/{path_segment(user)}", schemas.NewRole(role=role)
        )

    def delete_user(self, user: str) -> None:
        """Delete a user with their keys, sessions, recordings and headsets."""
        self._remove(f"/api/users/{path_segment(user)}")

    def create_key(self, key: schemas.NewKey) -> schemas.CreatedKey:
        """Create an API key; only this response contains it."""
        return self._request(schemas.CreatedKey, "POST", "/api/users/me/keys", key)

    def api_keys(self) -> list[schemas.Key]:
        """Return the caller's API keys."""
        return self._request(schemas.Keys, "GET", "/api/users/me/keys").keys

    def revoke_key(self, key: str) -> None:
        """Revoke an API key, with immediate effect."""
        self._remove(f"/api/users/me/keys/{path_segment(key)}")

    # Live sessions

    def open_session(self, session: schemas.NewSession) -> schemas.Session:
        """Open a live session; its audio is sent over the WebSocket."""
        return self._request(schemas.Session, "POST", "/api/sessions", session)

    def sessions(self) -> Iterator[schemas.Session]:
        """Iterate over the caller's sessions."""
        for page in self._pages(schemas.Sessions, "/api/sessions"):
            yield from page.sessions

    def session(self, session: str) -> schemas.Session:
        """Return a session."""
        return self._request(schemas.Session, "GET", f"/api/sessions/{path_segment(session)}")

    def change_session(self, session: str, change: schemas.SessionChange) -> schemas.Session:
        """Change a session's state, intensity or algorithm."""
        return self._request(schemas.Session, "PATCH", f"/api/sessions/{path_segment(session)}", change)

    def session_summary(self, session: str) -> schemas.SessionSummary:
        """Return the statistics of a session."""
        return self._request(schemas.SessionSummary, "GET", f"/api/sessions/{path_segment(session)}/stats")

    def end_session(self, session: str) -> schemas.SessionSummary:
        """End a session and return its statistics."""
        return self._request(schemas.SessionSummary, "DELETE", f"/api/sessions/{path_segment(session)}")

    # Headsets

    def register(self, device: schemas.NewDevice) -> schemas.RegisteredDevice:
        """Register a headset; only this response contains its private key."""
        return self._request(schemas.RegisteredDevice, "POST", "/api/devices", device)

    def devices(self, owner: str = "") -> Iterator[schemas.Device]:
        """Iterate over the caller's headsets, or for operators those of another owner."""
        query = {"owner": owner} if owner else {}
        for page in self._pages(schemas.Devices, "/api/devices", **query):
            yield from page.devices

    def fleet(self, **conditions: Any) -> Iterator[schemas.FleetHeadset]:
        """Iterate over headsets of all owners for operators, and over the caller's own otherwise.

        `conditions` are query parameters of the endpoint, for example `model="AX2", attenuation_below=6.0`.
        """
        for page in self._pages(schemas.FleetHeadsets, "/api/fleet", **conditions):
            yield from page.headsets

    def fleet_overview(self, **conditions: Any) -> schemas.FleetOverview:
        """Return totals of the matching headsets, their attenuation in groups, and the worst."""
        return self._request(schemas.FleetOverview, "GET", "/api/fleet/overview", **conditions)

    def fleet_history(
        self, by: Literal["model", "firmware", "noise"] = "model", days: int = 90
    ) -> Sequence[schemas.FleetDay]:
        """Return the attenuation of the whole fleet on each of the last days, also in groups."""
        return self._request(schemas.FleetHistory, "GET", "/api/fleet/history", by=by, days=days).days

    def fleet_csv(self, **conditions: Any) -> str:
        """Return the matching headsets as CSV."""
        return self._send("GET", "/api/fleet/csv", **conditions).text

    def device(self, thing: str) -> schemas.DeviceDetails:
        """Return a headset with its current state."""
        return self._request(schemas.DeviceDetails, "GET", f"/api/devices/{path_segment(thing)}")

    def rename_device(self, thing: str, name: str) -> schemas.Device:
        """Change the display name of a headset; an empty name removes it."""
        return self._request(
            schemas.Device, "PATCH", f"/api/devices/{path_segment(thing)}", schemas.DeviceChange(name=name)
        )

    def change_tags(
        self, things: Sequence[str], add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> Sequence[schemas.DeviceOutcome]:
        """Add tags to up to 100 headsets and remove others; return the outcome for each headset."""
        change = schemas.TagChange(things=[*things], add=[*add], remove=[*remove])
        return self._request(schemas.DeviceOutcomes, "POST", "/api/device-tags", change).outcomes

    def remove_devices(self, things: Sequence[str]) -> Sequence[schemas.DeviceOutcome]:
        """Remove up to 100 headsets; return the outcome for each.

        Repeat the request for those with the code `unavailable` or `failed`.
        """
        removals = schemas.Removals(things=[*things])
        return self._request(schemas.DeviceOutcomes, "POST", "/api/device-removals", removals).outcomes

    def remove_device(self, thing: str) -> None:
        """Revoke a headset's certificate and delete the headset."""
        self._remove(f"/api/devices/{path_segment(thing)}")

    def rotate_credentials(self, thing: str) -> schemas.Credentials:
        """Issue a new certificate for a headset and revoke the old one."""
        return self._request(schemas.Credentials, "POST", f"/api/devices/{path_segment(thing)}/credentials")

    def shadow(self, thing: str) -> schemas.Shadow:
        """Return the shadow document of a headset."""
        return self._request(schemas.Shadow, "GET", f"/api/devices/{path_segment(thing)}/shadow")

    def change_shadow(self, thing: str, change: schemas.ShadowChange) -> schemas.DesiredState:
        """Set the desired mode or intensity of a headset."""
        return self._request(
            schemas.DesiredState, "PATCH", f"/api/devices/{path_segment(thing)}/shadow", change
        )

    def telemetry(self, thing: str) -> schemas.Telemetry:
        """Return the latest telemetry of a headset."""
        return self._request(schemas.Telemetry, "GET", f"/api/devices/{path_segment(thing)}/telemetry")

    def history(self, thing: str, since: float = 0.0) -> Iterator[schemas.Telemetry]:
        """Iterate over a headset's telemetry of the last month, oldest first."""
        for page in self._pages(
            schemas.TelemetryHistory, f"/api/devices/{path_segment(thing)}/history", since=since
        ):
            yield from page.reports

    def trend(
        self, thing: str, since: float = 0.0, until: float | None = None, intervals: int = 200
    ) -> schemas.TelemetryTrend:
        """Return a headset's telemetry of the last month in intervals, with percentiles of each."""
        until_given = {} if until is None else {"until": until}
        path = f"/api/devices/{path_segment(thing)}/trend"
        return self._request(
            schemas.TelemetryTrend, "GET", path, since=since, intervals=intervals, **until_given
        )

    def report_telemetry(self, thing: str, report: schemas.NewTelemetryReport) -> schemas.Telemetry:
        """Report telemetry on behalf of a headset."""
        return self._request(
            schemas.Telemetry, "POST", f"/api/devices/{path_segment(thing)}/telemetry", report
        )

    def paths(self, thing: str) -> schemas.Paths:
        """Return a headset's secondary path."""
        return self._request(schemas.Paths, "GET", f"/api/devices/{path_segment(thing)}/paths")

    def device_models(self) -> Iterator[schemas.DeviceModel]:
        """Iterate over the device models."""
        for page in self._pages(schemas.DeviceModels, "/api/device-models"):
            yield from page.models

    def device_model(self, model: str) -> schemas.DeviceModel:
        """Return a device model."""
        return self._request(schemas.DeviceModel, "GET", f"/api/device-models/{path_segment(model)}")

    def put_model(self, model: str, description: schemas.NewDeviceModel) -> schemas.DeviceModel:
        """Create or replace a device model (operators)."""
        return self._request(
            schemas.DeviceModel, "PUT", f"/api/device-models/{path_segment(model)}", description
        )

    def delete_model(self, model: str) -> None:
        """Delete a device model (operators)."""
        self._remove(f"/api/device-models/{path_segment(model)}")

    def preregister(self, model: str, serials: schemas.NewSerials) -> schemas.Serials:
        """Preregister headsets of a model by serial number, for provisioning with a claim (operators)."""
        return self._request(
            schemas.Serials, "POST", f"/api/device-models/{path_segment(model)}/serials", serials
        )

    def replace_path(self, thing: str, path: schemas.NewPath) -> schemas.Paths:
        """Replace the secondary path of a headset."""
        return self._request(schemas.Paths, "PUT", f"/api/devices/{path_segment(thing)}/paths", path)

    # Sounds: the bytes of a file, its path, or an open file

    def classify(self, sound: Sound) -> schemas.Classification:
        """Classify the noise in a sound file."""
        return self._request(schemas.Classification, "POST", "/api/audio/classify", content(sound))

    def sound_formats(self) -> schemas.AcceptedSounds:
        """Return the formats and limits of sound files."""
        return self._request(schemas.AcceptedSounds, "GET", "/api/audio/formats")

    def preview(self, sound: Sound, **places: int) -> schemas.Preview:
        """Describe a file of up to 10 MB and what each mode would do with its channels.

        For a larger file, pass its beginning and end, with `head`, the bytes of the beginning, and `size`.
        """
        return self._request(schemas.Preview, "POST", "/api/audio/preview", content(sound), **places)

    def process(self, sound: Sound, **options: str | int | float) -> Processed:
        """Filter a recording of up to a minute; options are `mode`, `algorithm`, `taps`, `mu`, `horizon`."""
        return self._request(Processed, "POST", "/api/audio/process", content(sound), **options)

    def analyze(self, sound: Sound, **options: float) -> schemas.Analysis:
        """Measure the levels of a sound file; `full_scale_db` calibrates them."""
        return self._request(schemas.Analysis, "POST", "/api/audio/analyze", content(sound), **options)

    def detect_emergency(self, sound: Sound) -> schemas.EmergencyDetection:
        """Return whether a sound contains an emergency signal."""
        return self._request(schemas.EmergencyDetection, "POST", "/api/emergency/detect", content(sound))

    def emergency_status(self, **conditions: str) -> schemas.EmergencyStatus:
        """Return whether an emergency is active for the caller's sessions or headsets.

        `conditions` are `source`, a headset or session, and for operators `owner` or `all_owners`.
        """
        return self._request(schemas.EmergencyStatus, "GET", "/api/emergency/status", **conditions)

    def emergencies(self, **conditions: Any) -> Iterator[schemas.EmergencyEvent]:
        """Iterate over past emergencies, oldest first.

        `conditions` are query parameters of the endpoint, for example `kind="siren", sort="-at"`. Operators
        see those of all owners with `all_owners="true"`.
        """
        for page in self._pages(schemas.EmergencyEvents, "/api/emergency/events", **conditions):
            yield from page.events

    def emergency(self, id: str) -> schemas.EmergencyEvent:
        """Return an emergency."""
        return self._request(schemas.EmergencyEvent, "GET", f"/api/emergency/events/{path_segment(id)}")

    def change_emergency(self, id: str, change: schemas.EmergencyChange) -> schemas.EmergencyEvent:
        """Acknowledge an emergency, or comment on it."""
        return self._request(
            schemas.EmergencyEvent, "PATCH", f"/api/emergency/events/{path_segment(id)}", change
        )

    # Rollouts

    def create_rollout(self, rollout: schemas.NewRollout) -> schemas.Rollout:
        """Roll out firmware or configuration in stages."""
        return self._request(schemas.Rollout, "POST", "/api/rollouts", rollout)

    def rollouts(self) -> Iterator[schemas.Rollout]:
        """Iterate over rollouts, newest first."""
        for page in self._pages(schemas.Rollouts, "/api/rollouts"):
            yield from page.rollouts

    def rollout(self, id: str) -> schemas.Rollout:
        """Return a rollout."""
        return self._request(schemas.Rollout, "GET", f"/api/rollouts/{path_segment(id)}")

    def change_rollout(self, id: str, action: Literal["pause", "resume", "cancel"]) -> schemas.Rollout:
        """Pause, resume or cancel a rollout."""
        change = schemas.RolloutChange(action=action)
        return self._request(schemas.Rollout, "PATCH", f"/api/rollouts/{path_segment(id)}", change)

    def rollout_headsets(self, id: str) -> Iterator[schemas.RolloutHeadset]:
        """Iterate over the headsets of a rollout, the canary first."""
        for page in self._pages(schemas.RolloutHeadsets, f"/api/rollouts/{path_segment(id)}/headsets"):
            yield from page.headsets

    # Recordings

    def create_upload(self, upload: schemas.NewUpload) -> schemas.Upload:
        """Create an upload and return the links for its parts."""
        return self._request(schemas.Upload, "POST", "/api/audio/uploads", upload)

    def upload(self, sound: Sound, name: str = "", **options: Any) -> str:
        """Upload a recording of any length and return the id of its job.

        `name` defaults to the file name. Options are `mode`, `algorithm`, `taps`, `mu` and `horizon`, as for
        `process`. An open file must be seekable.
        """
        if isinstance(sound, Path):
            with sound.open("rb") as opened:
                readable = sound.name.encode(errors="replace").decode()  # it need not be UTF-8
                return self.upload(opened, name or readable, **options)
        file = BytesIO(sound) if isinstance(sound, bytes) else sound
        size = file.seek(0, SEEK_END)
        processing = schemas.ProcessingOptions(**options)
        upload = self.create_upload(
            schemas.NewUpload(size=size, name=name or "recording", options=processing)
        )
        try:
            for number, link in enumerate(upload.links):
                self._send_part(link, file, number * upload.part_bytes, upload.part_bytes)
        except httpx.TransportError:  # the connection was lost
            self.resume(file, upload.job)
        if len(upload.links) > 1:
            self.complete_upload(upload.job)
        return upload.job

    def resume(self, sound: Sound, job: str, attempts: int = 5) -> None:
        """Send the parts of an interrupted upload that have not arrived, and complete it.

        Continues up to `attempts` times if the connection is lost, each time after twice the pause.
        """
        file = BytesIO(content(sound)) if isinstance(sound, bytes | Path) else sound
        for attempt in range(attempts):
            try:
                upload = self.resume_upload(job)
                for part in upload.missing:
                    begin = (part.number - 1) * upload.part_bytes
                    self._send_part(part.link, file, begin, upload.part_bytes)
                self.complete_upload(job)
                return
            except httpx.TransportError:
                if attempt == attempts - 1:
                    raise
                time.sleep(RETRY_S * 2**attempt)

    def resume_upload(self, job: str) -> schemas.UnfinishedUpload:
        """Return the parts of an upload that have not arrived, with new links."""
        return self._request(schemas.UnfinishedUpload, "GET", f"/api/audio/uploads/{path_segment(job)}")

    @staticmethod
    def _send_part(link: str, file: BinaryIO, begin: int, size: int) -> None:
        # Presigned links need no token, and it must not be sent to the storage service.
        file.seek(begin)
        httpx.put(link, content=file.read(size), timeout=TRANSFER_TIMEOUT_S).raise_for_status()

    def follow(self, job: str, every_s: float = 1.0) -> Iterator[schemas.Job]:
        """Poll a job and yield its state, until it is done or failed."""
        while (found := self.job(job)).state not in {"done", "failed"}:
            yield found
            time.sleep(every_s)
        yield found

    def fetch(self, job: str, name: str, into: BinaryIO) -> None:
        """Download a result (`cleaned.wav`, `before.wav` or another name in `downloads`) to a file.

        Raises KeyError if the job is not done or has no such result.
        """
        link = self.job(job).downloads[name]
        with httpx.stream("GET", link, timeout=TRANSFER_TIMEOUT_S) as answer:
            answer.raise_for_status()
            for piece in answer.iter_bytes():
                into.write(piece)

    def complete_upload(self, job: str) -> schemas.Job:
        """Complete an upload after all parts were sent. Idempotent; optional for uploads of one part."""
        return self._request(schemas.Job, "POST", f"/api/audio/uploads/{path_segment(job)}")

    def jobs(self) -> Iterator[schemas.Job]:
        """Iterate over the caller's recordings."""
        for page in self._pages(schemas.Jobs, "/api/audio/jobs"):
            yield from page.jobs

    def job(self, job: str) -> schemas.Job:
        """Return the state of a job, with links to the results when it is done."""
        return self._request(schemas.Job, "GET", f"/api/audio/jobs/{path_segment(job)}")

    def remove_job(self, job: str) -> None:
        """Delete a recording and its results."""
        self._remove(f"/api/audio/jobs/{path_segment(job)}")


def content(sound: Sound) -> bytes:
    """Return the content of a sound file."""
    if isinstance(sound, bytes):
        return sound
    return sound.read_bytes() if isinstance(sound, Path) else sound.read()
