"""Uploads of recordings from the console, in one piece and in parts."""

import re
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Browser, FilePayload, expect

from anc.services.sound.jobs import PART_BYTES
from tests.browser.conftest import RATE, Visit
from tests.compressed import compressed, pink
from tests.processes import Platform
from tests.sounds import encoded, noise
from tools.cli.cancel import cancel_file, write_report

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


def test_a_recording_is_uploaded_processed_shown_and_downloaded(
    visit: Visit, recording: Path, tmp_path: Path
) -> None:
    console = visit("recordings", user="ben")
    console.send(recording).get_by_role("link").click()
    console.until("attenuation", "value > 15")
    with console.page.expect_download() as download:
        console.page.get_by_role("link", name="cleaned").click()
    download.value.save_as(tmp_path / "cleaned.flac")
    before, after = soundfile.read(recording)[0][:, 1], soundfile.read(tmp_path / "cleaned.flac")[0]
    attenuation = 10 * np.log10(np.mean(before**2) / np.mean(after**2))
    assert console.figure("attenuation") == pytest.approx(attenuation, abs=0.2)
    player = console.page.get_by_role("slider", name="Position in the recording")
    player.press("End")
    expect(player).to_have_attribute("aria-valuetext", re.compile(", after"))
    player.press("Home")
    console.button("Play").click()
    console.wait_for("() => document.querySelector('.player-stage').ariaValueNow > 0.5")
    console.button("Switch to before").click()
    console.button("Pause").click()
    position = float(player.get_attribute("aria-valuenow") or 0)
    assert 0.5 < position < len(before) / RATE, "the other sound continues at the same position"
    expect(player).to_have_attribute("aria-valuetext", re.compile(", before"))
    console.check_appearance("recording")


def test_a_report_plays_both_sounds_from_one_file_without_a_network(
    browser: Browser, recording: Path, tmp_path: Path
) -> None:
    write_report(cancel_file(recording, tmp_path / "out.wav"), recording.name, tmp_path / "report.html")
    for path in tmp_path.iterdir():
        if path.name != "report.html":
            path.unlink()
    context = browser.new_context(offline=True)
    page, problems = context.new_page(), []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text))
    page.goto((tmp_path / "report.html").as_uri())
    page.get_by_role("button", name="Play").click()
    moved = "() => document.querySelector('.player-stage').getAttribute('aria-valuenow') > 0.5"
    page.evaluate(f"new Promise((resolve) => setInterval(() => ({moved})() && resolve(), 50))")
    page.get_by_role("button", name="Switch to before").click()
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("slider").press("End")
    expect(page.get_by_role("slider")).to_have_attribute("aria-valuetext", re.compile(", before"))
    assert problems == []
    context.close()


def test_a_file_that_is_not_sound_is_rejected_before_the_upload(visit: Visit, tmp_path: Path) -> None:
    (tmp_path / "letter.wav").write_text("Dear headset, please be quiet.")
    console = visit("recordings", user="cleo")
    console.page.locator("input[type=file]").set_input_files(tmp_path / "letter.wav")
    expect(console.page.get_by_role("alert")).to_contain_text("not a sound file in a supported format")
    expect(console.button("Upload it")).to_have_count(0)


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
    expect(page.get_by_text("Channel 1 (left) is the reference")).to_be_visible()
    assert sent == []
    console.button("Upload it").click()
    row = page.get_by_role("row", name=recording.name)
    expect(row).to_contain_text("Done", timeout=PROCESSING_MS)
    expect(page.get_by_role("status").filter(has_text="uploaded")).to_have_count(0)
    expect(page.get_by_role("alert")).to_have_count(0)
    assert (errors, len(sent), len(completed)) == ([], parts, 1)
    console.check_appearance(f"recordings-sent-{parts}")


def test_a_long_name_that_is_cut_within_an_emoji_is_uploaded(visit: Visit) -> None:
    console = visit("recordings", user="emoji")
    file = FilePayload(name=f"{'a' * 99}🎧.wav", mimeType="audio/wav", buffer=encoded(noise(2.0)))
    console.page.locator("input[type=file]").set_input_files(file)
    console.button("Upload it").click()
    row = console.page.get_by_role("row", name="a" * 99)
    expect(row).to_contain_text("Done", timeout=PROCESSING_MS)


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


def test_several_files_are_explained_and_unusable_ones_rejected_before_the_upload(
    visit: Visit, tmp_path: Path
) -> None:
    (tmp_path / "one.wav").write_bytes(encoded(noise(1.0, 1)))
    (tmp_path / "two.m4a").write_bytes(compressed(pink(1.0, 48_000), 48_000, "ipod", "aac"))
    (tmp_path / "notes.wav").write_text("not a sound")
    console = visit("recordings", user="sender-of-many")
    page = console.page
    page.locator("input[type=file]").set_input_files([*tmp_path.iterdir()])
    expect(page.get_by_text("One channel: noise is classified")).to_be_visible()
    expect(page.get_by_text("MP4 (M4A), 48,000 Hz, 2 channels")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("not a sound file in a supported format")
    console.choose("Cancel")
    expect(
        page.get_by_text("Cancel needs two channels, reference and primary; this file has 1")
    ).to_be_visible()
    expect(console.button("Upload 1 recording")).to_be_visible()
    console.check_appearance("recordings-chosen")
    console.choose("Classify")
    console.button("Upload 2 recordings").click()
    for name in ("one.wav", "two.m4a"):
        expect(page.get_by_role("row", name=name)).to_contain_text("Done", timeout=PROCESSING_MS)
    page.get_by_role("link", name="two.m4a").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("two.m4a")
    page.reload()  # its address is a link to the results
    expect(page.get_by_role("heading", level=1)).to_have_text("two.m4a")
    expect(page.get_by_role("link", name="report.json")).to_be_visible()
    expect(page.get_by_text("2 channels: noise was classified and alarms were")).to_be_visible()
    expect(page.get_by_text("Attenuation")).to_have_count(0)


def test_the_microphone_is_recorded_into_a_job(visit: Visit) -> None:
    console = visit("recordings", user="recorder")
    page = console.page
    page.get_by_role("button", name="Record", exact=True).click()
    expect(console.button("Stop recording")).to_have_text(re.compile(r"[(]0:(0[1-9]|[1-5])"))
    console.button("Stop recording").click()
    expect(page.get_by_text("WebM, 48,000 Hz")).to_be_visible()
    console.button("Upload it").click()
    row = page.get_by_role("row", name="Recording 20")
    expect(row).to_contain_text("Done", timeout=PROCESSING_MS)
    expect(row).not_to_contain_text("incomplete")


def test_an_upload_continues_after_a_lost_connection(visit: Visit, tmp_path: Path) -> None:
    console = visit("recordings", user="traveller")
    page, sent, lost = console.page, [], []

    def lose(route) -> None:
        if len(sent) == 1 and not lost:
            lost.append(route.request.url)
            route.abort("connectionreset")
        else:
            sent.append(route.request.url)
            route.continue_()

    page.route("**/objects/**", lose)
    page.locator("input[type=file]").set_input_files(in_parts(tmp_path))
    console.button("Upload it").click()
    expect(page.get_by_role("row", name="hall.wav")).to_contain_text("Done", timeout=PROCESSING_MS)
    assert (len(sent), len(lost)) == (2, 1)
    assert lost[0].split("&number=")[1][0] == sent[1].split("&number=")[1][0] == "2"
