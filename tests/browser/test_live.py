"""The page Live: sound goes to the platform and comes back quieter, and the page says the truth about it."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from playwright.sync_api import WebSocketRoute, expect

from anc.dsp import FDAF
from anc.noise.classifier import LABELS
from anc.schemas.websocket import FDAF_BLOCK
from anc.settings import Settings
from local.auth.issuer import Issuer
from tests.browser.conftest import HUM_DBFS, RATE, Visit
from tests.browser.console import PHONE
from tests.processes import Platform

AGAIN_AND_AGAIN = """() => {
  const start = AudioBufferSourceNode.prototype.start;
  AudioBufferSourceNode.prototype.start = function () { this.loop = true; start.call(this); };
}"""
HELD = """() => {  // the sound opens when `letIn` is called
  const add = AudioWorklet.prototype.addModule;
  const gate = new Promise((open) => { window.letIn = open; });
  AudioWorklet.prototype.addModule = async function (...all) { await gate; return add.apply(this, all); };
}"""
VOLUME_DB = -1.9  # of the volume of 80 % at the beginning


def test_the_noise_falls_and_one_switch_compares(visit: Visit) -> None:
    console = visit()
    console.play()
    console.until("attenuation", "value > 15")
    console.until_levels("before - after > 6")  # the melody stays, and is loud by then
    assert console.figure("round-trip") > 0
    assert console.figure("server") > 0
    console.until("noise", "words && words !== 'nothing yet'")
    assert console.words("noise").lower() in [label.replace("_", " ") for label in LABELS]
    before = console.level("before") + VOLUME_DB
    quieter = f"level < {before} - 6 && level > -80"
    console.until_heard(quieter)
    console.choose("Before")
    console.until_heard(f"Math.abs(level - {before}) < 2")
    console.choose("After")
    console.until_heard(quieter)
    console.is_fit_to_be_seen("live-running")


def test_what_is_seen_after_is_darker_than_before(visit: Visit) -> None:
    console = visit()
    console.play()
    console.until("attenuation", "value > 15")
    console.until("blocks", "value >= 20")
    console.page.set_viewport_size(PHONE)  # what was drawn stays
    console.wait_for(f"() => document.querySelector('canvas').width < {2 * PHONE['width']}")
    before, after = console.page.locator("canvas[aria-label^=Spectrogram]").evaluate_all(
        """canvases => canvases.map((canvas) => {
          const columns = canvas.getContext("2d").getImageData(canvas.width - 20, 0, 20, canvas.height).data;
          return columns.reduce((sum, part) => sum + part, 0) / columns.length;
        })"""
    )
    assert after < 0.9 * before


def test_a_siren_turns_the_page_to_an_emergency(visit: Visit) -> None:
    console = visit()
    console.play()
    console.until("attenuation", "value > 10")
    console.page.evaluate(AGAIN_AND_AGAIN)  # however long it takes to look at the page
    console.button("Let a siren pass").click()
    alarm = console.page.get_by_role("alert").filter(has_text="Alarm")
    alarm.wait_for()
    expect(console.page.locator("body")).to_have_css("background-color", "rgb(251, 220, 220)")
    expect(console.page).to_have_title("ALARM · ANC Platform")
    console.until("attenuation", "value < 1")
    console.until_levels("Math.abs(after - before) < 1")
    console.is_fit_to_be_seen("live-alarm")
    console.show("people")  # wherever one looks, the sound goes on
    expect(alarm).to_be_visible()
    console.page.get_by_role("link", name="Back to the sound").click()
    console.button("Stop").click()
    expect(alarm).to_have_count(0)
    console.show("emergencies")
    expect(console.page.get_by_role("row")).not_to_have_count(0)


def test_the_cut_after_two_hours_ends_no_session(visit: Visit) -> None:
    sockets: list[WebSocketRoute] = []
    console = visit(role=None)

    def pass_on(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        socket.connect_to_server()

    console.page.route_web_socket("**/ws", pass_on)
    console.sign_in("demo", "admin")
    console.play()
    console.until("attenuation", "value > 10")
    session, blocks = console.session(), console.figure("blocks")
    sockets[0].close(code=1001, reason="open for 2 hours")
    console.wait_for("() => document.querySelector('.link.open')?.dataset.returns >= 1")
    console.until("blocks", f"value > {blocks} + 10")
    assert console.session() == session
    console.until("attenuation", "value > 10")  # the weights are still there


def test_a_platform_that_dies_and_comes_back_finds_its_session_again(visit: Visit, tmp_path: Path) -> None:
    platform = Platform(tmp_path)
    try:
        console = visit(on=platform)
        console.play()
        console.until("attenuation", "value > 10")
        session, blocks = console.session(), console.figure("blocks")
        platform.kill()
        expect(console.page.get_by_text("The connection is gone")).to_be_visible()
        console.is_fit_to_be_seen("live-gone")
        console.show("headsets")
        expect(console.page.get_by_role("alert")).to_contain_text("does not answer")
        console.is_fit_to_be_seen("headsets-gone")
        console.show("live")
        platform.start()
        console.page.locator(".link.open").wait_for()
        console.until("blocks", f"value > {blocks} + 10")
        assert console.session() == session
    finally:
        platform.kill()


def test_what_is_changed_while_the_sound_opens_holds(visit: Visit) -> None:
    console = visit()
    console.page.evaluate(HELD)
    console.button("Play").click()
    expect(console.page.get_by_text("Opening the sound")).to_be_visible()
    console.button("Mute").click()
    console.button("Sound on").click()
    expect(console.button("Let a siren pass")).to_have_count(0)  # there is nothing yet that could hear one
    console.page.get_by_role("slider", name="Intensity", exact=True).fill("0.5")
    console.page.evaluate("() => letIn()")
    console.until("attenuation", "value > 4 && value < 8")
    console.until_heard("level > -60")


def test_of_two_starts_the_later_one_is_heard_and_alone(visit: Visit, hum: Path) -> None:
    console = visit()
    console.page.evaluate(HELD)
    console.button("Play").click()
    expect(console.page.get_by_text("Opening the sound")).to_be_visible()
    console.drop(".sources", hum)
    console.page.evaluate("() => letIn()")
    expect(console.page.get_by_text("only what can be predicted goes")).to_be_visible()
    console.until("attenuation", "value > 6")
    assert [frame["mode"] for frame in console.sent("start")] == ["predict"]


def test_what_is_stopped_while_it_opens_stays_silent_and_is_no_fault(visit: Visit) -> None:
    console = visit()
    console.page.evaluate(HELD)
    console.button("Play").click()
    expect(console.page.get_by_text("Opening the sound")).to_be_visible()
    console.page.locator("main").press("p")
    expect(console.button("Play")).to_be_visible()
    console.page.evaluate("() => letIn()")
    console.play()
    expect(console.page.get_by_role("alert")).to_have_count(0)
    assert len(console.sent("start")) == 1


def test_a_session_that_is_stopped_before_it_is_answered_is_not_taken_for_the_next(
    visit: Visit, hum: Path
) -> None:
    console = visit(role=None)
    asked: list[str] = []
    held: list[str | bytes] = []
    sockets: list[WebSocketRoute] = []

    def hold_the_first_answer(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()
        sockets.append(socket)

        def to_server(frame: str | bytes) -> None:
            asked.append(json.loads(frame)["action"])
            server.send(frame)

        def to_page(frame: str | bytes) -> None:
            if held or json.loads(frame)["type"] != "started":
                socket.send(frame)
            else:
                held.append(frame)

        socket.on_message(to_server)
        server.on_message(to_page)

    console.page.route_web_socket("**/ws", hold_the_first_answer)
    console.sign_in("demo", "admin")
    console.button("Play").click()
    console.button("Stop").click()
    console.drop(".sources", hum)
    expect(console.page.get_by_text("Opening the sound")).to_be_visible()
    sockets[0].send(held[0])
    console.until("attenuation", "value > 6")
    assert [action for action in asked if action != "audio"] == ["start", "stop", "start"]


def test_a_file_that_is_dropped_is_played(visit: Visit, hum: Path) -> None:
    console = visit()
    console.drop(".sources", hum)
    console.until("attenuation", "value > 6")
    expect(console.page.get_by_text("only what can be predicted goes")).to_be_visible()


def test_the_microphone_is_heard_and_its_hum_predicted_away(visit: Visit) -> None:
    console = visit()
    console.choose("Microphone")
    console.is_fit_to_be_seen("live-microphone-closed")
    console.button("Open microphone").click()
    console.until("attenuation", "value > 6")
    console.until_levels(f"Math.abs(before - {HUM_DBFS}) < 3")
    assert console.heard() < -60  # open air from ear to microphone would howl
    expect(console.page.get_by_text("Put on headphones")).to_be_visible()
    console.is_fit_to_be_seen("live-microphone")


def test_two_microphones_cancel_what_one_can_only_predict(visit: Visit) -> None:
    console = visit()
    console.choose("Microphone")
    console.choose("Two")
    console.button("Open microphone").click()
    expect(console.page.get_by_text("of all that the second microphone hears")).to_be_visible()
    console.until("attenuation", "value > 6")


def test_a_microphone_that_is_refused_says_how_to_allow_it(visit: Visit) -> None:
    console = visit()
    console.page.evaluate(
        """() => {
          const refuse = () => Promise.reject(new DOMException("no", "NotAllowedError"));
          navigator.mediaDevices.getUserMedia = refuse;
        }"""
    )
    console.choose("Microphone")
    console.button("Open microphone").click()
    expect(console.page.get_by_role("alert")).to_contain_text("Allow it in the address bar")


def test_a_file_is_cleaned_as_the_library_cleans_it(visit: Visit, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    x = 0.1 * rng.standard_normal(4 * RATE)
    d = np.convolve(x, [0.0, 0.5, -0.3, 0.1])[: x.size] + 1e-2 * rng.standard_normal(x.size)
    soundfile.write(tmp_path / "two.wav", np.stack([x, d], axis=1), RATE)
    console = visit()
    console.choose("File")
    console.page.locator("input[type=file]").set_input_files(tmp_path / "two.wav")
    console.until("blocks", "value >= 30")
    fdaf = FDAF(512, 0.5, block=FDAF_BLOCK)
    runs = console.carried(blocks=30)
    for sent, residual in runs:  # at the rate of the browser's sound card
        fdaf.clear_history()
        _, expected = fdaf.process(*sent.reshape(-1, 2).T)
        np.testing.assert_allclose(residual, expected, atol=1 / 32768)
    heard, e = (np.concatenate(parts) for parts in zip(*runs, strict=True))
    heard = heard.reshape(-1, 2)
    tail = slice(-RATE, None)
    attenuation = 10 * np.log10(np.mean(heard[tail, 1] ** 2) / np.mean(e[tail] ** 2))
    console.until("attenuation", f"Math.abs(value - {attenuation}) < 0.5")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [("song.mp3", b"not a sound", "no sound that this browser can read"), ("empty.wav", b"", "empty.wav")],
)
def test_a_file_that_is_no_sound_is_refused_in_words(
    visit: Visit, tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    console = visit()
    console.choose("File")
    console.page.locator("input[type=file]").set_input_files(tmp_path / name)
    expect(console.page.get_by_role("alert")).to_contain_text(said)


def test_everything_is_reached_by_keyboard(visit: Visit) -> None:
    console = visit()
    page = console.page
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the page")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("p")
    console.until("blocks", "value >= 1")
    page.keyboard.press("Space")
    expect(page.get_by_role("radio", name="Before")).to_be_checked()
    page.keyboard.press("m")
    console.until_heard("level < -60")
    page.keyboard.press("p")
    expect(console.button("Play")).to_be_visible()


def test_the_quick_start_for_the_web_runs_in_a_browser(visit: Visit, platform: Platform) -> None:
    console = visit("people")
    page = (Path(__file__).parents[2] / "docs" / "quickstart.md").read_text()
    (example,) = re.findall(r"^```js\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    answer = console.page.evaluate(
        f"async ({{ url, token }}) => {{ {example} return [answer.attenuation_db, cleaned.length]; }}",
        {"url": console.url, "token": Issuer(platform.data, Settings()).issue("web", "listener")},
    )
    assert answer[0] > 20
    assert answer[1] == 1024


def test_intensity_and_transparency_are_obeyed(visit: Visit) -> None:
    console = visit()
    console.play()
    console.until("attenuation", "value > 15")
    console.page.get_by_role("slider", name="Intensity", exact=True).fill("0.5")
    console.until("attenuation", "value > 4 && value < 8")  # half of y leaves half of the noise: 6 dB
    console.choose("Transparent")
    console.until("attenuation", "value < 1")
