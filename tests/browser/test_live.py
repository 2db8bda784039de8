"""The Live page: filtered sound, measurements, emergencies and reconnects."""

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from playwright.sync_api import WebSocketRoute, expect

from anc.dsp import FDAF
from anc.noise import Classifier
from anc.noise.classifier import LABELS
from anc.schemas.websocket import FDAF_BLOCK
from anc.settings import Settings
from local.auth.issuer import Issuer
from simulation.scenes import SCENES
from tests.browser.conftest import HUM_DBFS, RATE, Visit
from tests.browser.console import PHONE
from tests.processes import Platform

HOLD_AUDIO = """() => {  // audio opens when `releaseAudio` is called
  const add = AudioWorklet.prototype.addModule;
  const gate = new Promise((open) => { window.releaseAudio = open; });
  AudioWorklet.prototype.addModule = async function (...all) { await gate; return add.apply(this, all); };
}"""
SCENE_AT_THE_EAR = """async ([name, rate]) => {  // float32 in base64
  const { sceneBuffer } = await import(new URL("live/scene.js", document.baseURI));
  const sound = sceneBuffer(new OfflineAudioContext(3, rate, rate), name).getChannelData(1);
  const bytes = new Uint8Array(sound.buffer, sound.byteOffset, sound.byteLength);
  let text = "";
  for (let at = 0; at < bytes.length; at += 32768)
    text += String.fromCharCode(...bytes.subarray(at, at + 32768));
  return btoa(text);
}"""
VOLUME_DB = -1.9  # initial volume of 80 %


def test_the_noise_level_falls_and_a_switch_compares_before_and_after(visit: Visit) -> None:
    console = visit()
    console.play()
    console.until("attenuation", "value > 15")
    console.until_levels("before - after > 6")  # the melody remains
    assert console.figure("median") > 0
    assert console.figure("server") > 0
    console.until("noise", "text && text !== 'not classified yet'")
    assert console.text("noise").lower() in [label.replace("_", " ") for label in LABELS]
    before = console.level("before") + VOLUME_DB
    quieter = f"level < {before} - 6 && level > -80"
    console.until_output(quieter)
    console.choose("Before")
    console.until_output(f"Math.abs(level - {before}) < 2")
    console.choose("After")
    console.until_output(quieter)
    console.check_appearance("live-running")


def test_the_spectrogram_after_is_darker_than_before(visit: Visit) -> None:
    console = visit()
    console.play()
    console.until("attenuation", "value > 15")
    console.until("blocks", "value >= 20")
    console.page.set_viewport_size(PHONE)  # resizing keeps the content
    console.wait_for(f"() => document.querySelector('canvas').width < {2 * PHONE['width']}")
    before, after = console.page.locator("canvas[aria-label^=Spectrogram]").evaluate_all(
        """canvases => canvases.map((canvas) => {
          const columns = canvas.getContext("2d").getImageData(canvas.width - 20, 0, 20, canvas.height).data;
          return columns.reduce((sum, part) => sum + part, 0) / columns.length;
        })"""
    )
    assert after < 0.9 * before


@pytest.mark.thorough
def test_no_scene_sounds_like_an_alarm_at_any_rate(visit: Visit) -> None:
    console, classifier = visit(), Classifier.load()
    for rate in (16_000, 44_100, 48_000):
        for scene in SCENES:
            encoded = console.page.evaluate(SCENE_AT_THE_EAR, [scene, rate])
            sound = np.frombuffer(base64.b64decode(encoded), np.float32)
            prediction = classifier.classify(np.clip(sound, -1, 1), rate)
            assert not prediction.emergency, (scene, rate, prediction.kinds)


def test_a_siren_shows_an_emergency_on_every_page(visit: Visit) -> None:
    console = visit()
    console.play()
    console.until("attenuation", "value > 10")
    console.play_sirens()  # until the checks are done
    emergency = console.page.get_by_role("alert").filter(has_text="Emergency")
    emergency.wait_for()
    expect(console.page.locator("body")).to_have_css("background-color", "rgb(251, 220, 220)")
    expect(console.page).to_have_title("EMERGENCY · ANC Platform")
    console.until("attenuation", "value < 1")
    console.until_levels("Math.abs(after - before) < 1")
    labels = [label.replace("_", " ") for label in LABELS]
    assert console.text("noise").lower() in labels, "the noise around the alarm, as on the command line"
    console.check_appearance("live-alarm")
    console.show("users")  # the session continues
    expect(emergency).to_be_visible()
    console.page.get_by_role("link", name="Go to the Live page").click()
    console.button("Stop").click()
    expect(emergency).to_have_count(0)
    console.show("emergencies")
    expect(console.page.locator("ol.emergencies li")).not_to_have_count(0)


def test_a_session_survives_the_two_hour_limit_of_the_socket(visit: Visit) -> None:
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
    console.wait_for("() => document.querySelector('.link.open')?.dataset.reconnects >= 1")
    console.until("blocks", f"value > {blocks} + 10")
    assert console.session() == session
    console.until("attenuation", "value > 10")  # the weights are kept


def test_a_session_survives_a_restart_of_the_platform(visit: Visit, tmp_path: Path) -> None:
    platform = Platform(tmp_path)
    try:
        console = visit(on=platform)
        console.play()
        console.until("attenuation", "value > 10")
        session, blocks = console.session(), console.figure("blocks")
        platform.kill()
        expect(console.page.get_by_text("Connection lost")).to_be_visible()
        console.check_appearance("live-offline")
        console.show("headsets")
        expect(console.page.get_by_role("alert")).to_contain_text("does not answer")
        console.check_appearance("headsets-offline")
        console.show("live")
        platform.start()
        console.page.locator(".link.open").wait_for()
        console.until("blocks", f"value > {blocks} + 10")
        assert console.session() == session
    finally:
        platform.kill()


def test_settings_changed_while_audio_opens_take_effect(visit: Visit) -> None:
    console = visit()
    console.page.evaluate(HOLD_AUDIO)
    console.button("Play").click()
    expect(console.page.get_by_text("Opening the audio source")).to_be_visible()
    console.button("Mute").click()
    console.button("Unmute").click()
    expect(console.button("Play a siren")).to_have_count(0)  # the session has not started
    console.page.get_by_role("slider", name="Intensity", exact=True).fill("0.5")
    console.page.evaluate("() => releaseAudio()")
    console.until("attenuation", "value > 4 && value < 8")
    console.until_output("level > -60")


def test_of_two_starts_only_the_later_one_runs(visit: Visit, hum: Path) -> None:
    console = visit()
    console.page.evaluate(HOLD_AUDIO)
    console.button("Play").click()
    expect(console.page.get_by_text("Opening the audio source")).to_be_visible()
    console.drop(".sources", hum)
    console.page.evaluate("() => releaseAudio()")
    expect(console.page.get_by_text("only predictable noise is removed")).to_be_visible()
    console.until("attenuation", "value > 6")
    assert [frame["mode"] for frame in console.sent("start")] == ["predict"]


def test_a_stop_while_audio_opens_is_not_an_error(visit: Visit) -> None:
    console = visit()
    console.page.evaluate(HOLD_AUDIO)
    console.button("Play").click()
    expect(console.page.get_by_text("Opening the audio source")).to_be_visible()
    console.page.locator("main").press("p")
    expect(console.button("Play")).to_be_visible()
    console.page.evaluate("() => releaseAudio()")
    console.play()
    expect(console.page.get_by_role("alert")).to_have_count(0)
    assert len(console.sent("start")) == 1


def test_audio_that_never_starts_is_an_error(visit: Visit) -> None:
    console = visit()
    console.page.clock.install()
    console.page.evaluate(
        "() => Object.defineProperty(BaseAudioContext.prototype, 'state', {get: () => 'suspended'})"
    )
    console.button("Play").click()
    expect(console.button("Stop")).to_be_visible()
    console.until("blocks", "value > 0")
    console.page.clock.fast_forward(15_000)
    expect(console.page.get_by_role("alert")).to_contain_text("does not play sound")
    expect(console.button("Play")).to_be_visible()


def test_a_session_stopped_before_its_answer_is_not_confused_with_the_next(visit: Visit, hum: Path) -> None:
    console = visit(role=None)
    actions: list[str] = []
    held: list[str | bytes] = []
    sockets: list[WebSocketRoute] = []

    def hold_the_first_answer(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()
        sockets.append(socket)

        def to_server(frame: str | bytes) -> None:
            actions.append(json.loads(frame)["action"])
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
    expect(console.page.get_by_text("Opening the audio source")).to_be_visible()
    sockets[0].send(held[0])
    console.until("attenuation", "value > 6")
    assert [action for action in actions if action != "audio"] == ["start", "stop", "start"]


def test_a_dropped_file_is_played(visit: Visit, hum: Path) -> None:
    console = visit()
    console.drop(".sources", hum)
    console.until("attenuation", "value > 6")
    expect(console.page.get_by_text("only predictable noise is removed")).to_be_visible()


def test_hum_in_the_microphone_is_removed(visit: Visit) -> None:
    console = visit()
    console.choose("Microphone")
    console.check_appearance("live-microphone-closed")
    console.button("Open microphone").click()
    console.until("attenuation", "value > 6")
    console.until_levels(f"Math.abs(before - {HUM_DBFS}) < 3")
    assert console.output_level() < -60  # muted, because loudspeaker and microphone would feed back
    expect(console.page.get_by_text("Put on headphones")).to_be_visible()
    console.check_appearance("live-microphone")


def test_two_microphones_cancel_noise(visit: Visit) -> None:
    console = visit()
    console.choose("Microphone")
    console.choose("Two")
    console.button("Open microphone").click()
    expect(console.page.get_by_text("of the second microphone")).to_be_visible()
    console.until("attenuation", "value > 6")


def test_a_denied_microphone_shows_how_to_allow_it(visit: Visit) -> None:
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


def test_a_file_is_filtered_as_by_the_library(visit: Visit, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    x = 0.1 * rng.standard_normal(4 * RATE)
    d = np.convolve(x, [0.0, 0.5, -0.3, 0.1])[: x.size] + 1e-2 * rng.standard_normal(x.size)
    soundfile.write(tmp_path / "two.wav", np.stack([x, d], axis=1), RATE)
    console = visit()
    console.choose("File")
    console.page.locator("input[type=file]").set_input_files(tmp_path / "two.wav")
    console.until("blocks", "value >= 30")
    fdaf = FDAF(512, 0.5, block=FDAF_BLOCK)
    runs = console.transmitted(blocks=30)
    for sent, residual in runs:  # at the sample rate of the browser
        fdaf.clear_history()
        _, expected = fdaf.process(*sent.reshape(-1, 2).T)
        np.testing.assert_allclose(residual, expected, atol=1 / 32768)
    primary, e = (np.concatenate(parts) for parts in zip(*runs, strict=True))
    primary = primary.reshape(-1, 2)
    tail = slice(-RATE, None)
    attenuation = 10 * np.log10(np.mean(primary[tail, 1] ** 2) / np.mean(e[tail] ** 2))
    console.until("attenuation", f"Math.abs(value - {attenuation}) < 0.5")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [("song.mp3", b"not a sound", "cannot be decoded by this browser"), ("empty.wav", b"", "empty.wav")],
)
def test_a_file_that_is_not_sound_shows_a_message(
    visit: Visit, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    console = visit()
    console.choose("File")
    console.page.locator("input[type=file]").set_input_files(tmp_path / name)
    expect(console.page.get_by_role("alert")).to_contain_text(message)


def test_the_page_can_be_used_with_the_keyboard(visit: Visit) -> None:
    console = visit()
    page = console.page
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("p")
    console.until("blocks", "value > 0")
    page.keyboard.press("Space")
    expect(page.get_by_role("radio", name="Before")).to_be_checked()
    page.keyboard.press("m")
    console.until_output("level < -60")
    page.keyboard.press("p")
    expect(console.button("Play")).to_be_visible()


def test_the_javascript_of_the_quick_start_runs_in_a_browser(visit: Visit, platform: Platform) -> None:
    console = visit("users")
    page = (Path(__file__).parents[2] / "docs" / "quickstart.md").read_text()
    (example,) = re.findall(r"^```js\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    answer = console.page.evaluate(
        f"async ({{ url, token }}) => {{ {example} return [answer.attenuation_db, cleaned.length]; }}",
        {"url": console.url, "token": Issuer(platform.data, Settings()).issue("web", "listener")},
    )
    assert answer[0] > 20
    assert answer[1] == 1024


def test_intensity_and_switching_off_take_effect(visit: Visit) -> None:
    console = visit()
    console.play()
    console.until("attenuation", "value > 15")
    console.page.get_by_role("slider", name="Intensity", exact=True).fill("0.5")
    console.until("attenuation", "value > 4 && value < 8")  # half of y leaves half of the amplitude: 6 dB
    console.choose("Off")
    console.until("attenuation", "value < 1")
