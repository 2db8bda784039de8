"""Uploads of recordings from the console, in one piece and in parts."""

import struct
from pathlib import Path

import pytest
from playwright.sync_api import expect

from anc.services.sound.jobs import PART_BYTES
from tests.browser.conftest import Visit
from tests.processes import Platform
from tests.sounds import encoded, noise

PROCESSING_MS = 60_000


def small(folder: Path) -> Path:
    """Write a recording that is uploaded in one piece, in a format that browsers cannot play."""
    path = folder / "hall.aiff"
    path.write_bytes(encoded(noise(2.0), "AIFF"))
    return path


def in_parts(folder: Path) -> Path:
    """Write a short recording that is large because of padding after the sound."""
    path = folder / "hall.wav"
    data = encoded(noise(2.0)) + struct.pack("<4sI", b"JUNK", PART_BYTES)
    riff = struct.pack("<4sI", b"RIFF", len(data) - 8 + PART_BYTES)
    with path.open("wb") as file:
        file.write(riff + data[8:])
        file.truncate(len(data) + PART_BYTES)
    return path


@pytest.mark.parametrize(("make", "parts"), [(small, 1), (in_parts, 2)], ids=["whole", "in parts"])
def test_an_upload_is_processed_without_errors(visit: Visit, tmp_path: Path, make, parts: int) -> None:
    recording = make(tmp_path)
    console = visit("recordings", user=f"sender-of-{parts}")
    page, errors, sent, completed = console.page, [], [], []
    page.on("response", lambda answer: answer.status >= 400 and errors.append((answer.url, answer.status)))
    page.on("request", lambda request: request.method == "PUT" and sent.append(request.url))
    page.on(
        "request",
        lambda request: "/uploads/" in request.url and request.method == "POST" and completed.append(1),
    )
    page.locator("input[type=file]").set_input_files(recording)
    row = page.get_by_role("row", name=recording.name)
    expect(row).to_contain_text("done", timeout=PROCESSING_MS)
    expect(page.get_by_role("status").filter(has_text="uploaded")).to_have_count(0)
    expect(page.get_by_role("alert")).to_have_count(0)
    assert (errors, len(sent), len(completed)) == ([], parts, parts - 1)
    console.check_appearance(f"recordings-sent-{parts}")


def test_removing_a_recording_that_another_tab_removed_is_not_an_error(
    visit: Visit, platform: Platform
) -> None:
    console = visit("recordings", user="dora")
    results = console.page.evaluate(
        """async ([token, path]) => {
          const { Rest } = await import("/lib/rest.js");
          const rest = new Rest("", token);
          return [await rest.remove(path), await rest.get(path).catch(({ code }) => code)];
        }""",
        [platform.token("dora"), "/api/audio/jobs/removed-before"],
    )
    assert results == ["", "unknown_job"]
