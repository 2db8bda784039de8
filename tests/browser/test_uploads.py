"""Recordings sent from the console: in one piece, in parts, and none of it with an error."""

import struct
from pathlib import Path

import pytest
from playwright.sync_api import expect

from anc.services.sound.jobs import MAX_PART_BYTES
from tests.browser.conftest import Visit
from tests.processes import Platform
from tests.sounds import encoded, noise

TREATING_MS = 60_000


def small(folder: Path) -> Path:
    """Write a recording that is sent whole, in a format that browsers do not play."""
    path = folder / "hall.aiff"
    path.write_bytes(encoded(noise(2.0), "AIFF"))
    return path


def in_parts(folder: Path) -> Path:
    """Write a short recording that is large, since padding follows the sound."""
    path = folder / "hall.wav"
    data = encoded(noise(2.0)) + struct.pack("<4sI", b"JUNK", MAX_PART_BYTES)
    riff = struct.pack("<4sI", b"RIFF", len(data) - 8 + MAX_PART_BYTES)
    with path.open("wb") as file:
        file.write(riff + data[8:])
        file.truncate(len(data) + MAX_PART_BYTES)
    return path


@pytest.mark.parametrize(("make", "parts"), [(small, 1), (in_parts, 2)], ids=["whole", "in parts"])
def test_an_upload_is_sent_processed_and_shown_without_an_error(
    visit: Visit, tmp_path: Path, make, parts: int
) -> None:
    recording = make(tmp_path)
    console = visit("recordings", user=f"sender-of-{parts}")
    page, refused, sent, completed = console.page, [], [], []
    page.on("response", lambda answer: answer.status >= 400 and refused.append((answer.url, answer.status)))
    page.on("request", lambda asked: asked.method == "PUT" and sent.append(asked.url))
    page.on(
        "request", lambda asked: "/uploads/" in asked.url and asked.method == "POST" and completed.append(1)
    )
    page.locator("input[type=file]").set_input_files(recording)
    row = page.get_by_role("row", name=recording.name)
    expect(row).to_contain_text("done", timeout=TREATING_MS)
    expect(page.get_by_role("status").filter(has_text="sent")).to_have_count(0)
    expect(page.get_by_role("alert")).to_have_count(0)
    assert (refused, len(sent), len(completed)) == ([], parts, parts - 1)
    console.is_fit_to_be_seen(f"recordings-sent-{parts}")


def test_removing_what_another_tab_has_removed_is_no_error(visit: Visit, platform: Platform) -> None:
    console = visit("recordings", user="dora")
    said = console.page.evaluate(
        """async ([token, path]) => {
          const { Rest } = await import("/lib/rest.js");
          const rest = new Rest("", token);
          return [await rest.remove(path), await rest.get(path).catch(({ code }) => code)];
        }""",
        [platform.token("dora"), "/api/audio/jobs/removed-before"],
    )
    assert said == ["", "unknown_job"]
