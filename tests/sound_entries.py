"""The entries of sound files: everything that reads a file of a user, with what it answers."""

import base64
import contextlib
import io
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import typer
from typer.testing import CliRunner

from anc.schemas.refusal import Refused
from functions.classifier.handler import handler as classifier
from functions.rest_api.handler import handler as rest_api
from local.lambda_context import LocalContext
from local.lambda_events import rest_event
from tests.fakes import FakePlatform
from tests.recordings import done, uploaded
from tools.cli.main import app, scene_of
from training.recordings import load_sound

WHO = {"user": "alice", "role": "listener"}
DAMAGED = "The file is damaged or breaks off: only "


class Answer(NamedTuple):
    """What an entry said about a file, without the name of the file.

    Attributes
    ----------
    refusal : str
        "" if the file was read.
    note : str
        What is missing; "" if the file was read whole.
    """

    refusal: str = ""
    note: str = ""


Entry = Callable[[Path, FakePlatform], Answer]


def command(*arguments: str) -> Answer:
    """Run a command of `anc` on a file, its second argument."""
    answer = CliRunner().invoke(app, arguments)
    said = subject_off(answer.stderr.strip().removeprefix("anc: "), arguments[1])
    assert "\n" not in said
    return Answer(note=said) if answer.exit_code == 0 else Answer(said)


def classify_command(path: Path, platform: FakePlatform) -> Answer:
    """Run `anc classify`."""
    return command("classify", str(path))


def cancel_command(path: Path, platform: FakePlatform) -> Answer:
    """Run `anc cancel`."""
    return command("cancel", str(path), str(path.with_suffix(".out.wav")))


def noise_option(path: Path, platform: FakePlatform) -> Answer:
    """Read the scene of `anc demo --noise`, which is that of `anc headset --noise`."""
    printed = io.StringIO()
    with warnings_logged() as logged:
        try:
            with contextlib.redirect_stderr(printed):
                scene_of(str(path), 5.0)
        except typer.Exit:
            return Answer(subject_off(printed.getvalue().strip(), f"anc: --noise {path}"))
    return Answer(note=subject_off("".join(logged), str(path)))


def training(path: Path, platform: FakePlatform) -> Answer:
    """Read a file as `anc train` does."""
    with warnings_logged() as logged:
        try:
            load_sound(path)
        except Refused as refusal:
            return Answer(subject_off(refusal.message, str(path)))
    return Answer(note=subject_off("".join(logged), str(path)))


@contextlib.contextmanager
def warnings_logged() -> Iterator[list[str]]:
    """Yield a list of the warnings that are logged; without a handler, Python prints them to stderr."""
    messages: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    try:
        yield messages
    finally:
        logging.getLogger().removeHandler(handler)


def posted(operation: str, path: Path, platform: FakePlatform, content_type: str = "") -> tuple[int, Any]:
    """Send a file in a request; return the status and the document."""
    where = f"/api/{operation}"
    body = base64.b64encode(path.read_bytes()).decode()
    headers = {"Content-Type": content_type} if content_type else {}
    event = rest_event("POST", where, where, {}, {}, headers, body, True, WHO, "127.0.0.1")
    function = classifier if operation == "audio/classify" else rest_api
    answer = function(event, LocalContext("function"), platform.deps)
    return answer["statusCode"], json.loads(answer["body"])


def rest(operation: str) -> Entry:
    """Return the entry of an endpoint."""

    def answer(path: Path, platform: FakePlatform) -> Answer:
        status, document = posted(operation, path, platform)
        assert status in (200, 400, 413)
        if status != 200:
            return Answer(subject_off(document["detail"], "file"))
        said = document.get("report", document)
        assert said.get("truncated", False) is bool(said.get("note"))
        return Answer(note=said.get("note", ""))

    return answer


def job(path: Path, platform: FakePlatform) -> Answer:
    """Upload a file and process its job, as the console and the client do."""
    ended = done(platform.deps, uploaded(platform.deps, path.read_bytes()))
    if ended.failure:
        return Answer(subject_off(ended.failure, "file"))
    assert ended.summary["truncated"] is bool(ended.summary["note"])
    return Answer(note=ended.summary["note"])


def subject_off(message: str, subject: str) -> str:
    """Return a message without the file that it begins with."""
    assert not message or message.startswith(f"{subject}: ")
    return message.removeprefix(f"{subject}: ")


ENTRIES: dict[str, Entry] = {
    "POST audio/process": rest("audio/process"),
    "POST audio/classify": rest("audio/classify"),
    "POST audio/analyze": rest("audio/analyze"),
    "POST emergency/detect": rest("emergency/detect"),
    "upload": job,
    "anc classify": classify_command,
    "anc cancel": cancel_command,
    "anc demo --noise": noise_option,
    "anc train": training,
}
PREVIEW = "POST audio/preview"
DESCRIBED = {PREVIEW: rest("audio/preview")} | ENTRIES
