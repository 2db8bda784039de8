"""The pages of a platform in use, in both themes, on a phone and a desktop, and the actions on them."""

import json
import re
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Browser, Locator, expect

from anc.noise.classifier import LABELS
from anc.pcm import float_to_int16
from anc.ports import Credentials
from anc.schemas.snapshot import Snapshot
from anc.settings import Settings
from local.auth.issuer import Issuer
from local.auth.login_links import LoginLinks
from local.auth.totp import STEP_S, code_at
from tests.browser.conftest import RATE, Headset, Visit
from tests.browser.console import Console
from tests.integration.mqtt.conftest import Client
from tests.processes import ANC, PATIENCE_S, Platform

HEADSET, KERB = "cabin-12", "at-the-kerb"
PAGES = {  # and a text on each
    "live": "Click Play",
    "headsets": "dB attenuation",
    f"headsets/{HEADSET}": "Frequency response",
    "recordings": "hall 3, night.wav",
    "fleet": "Download CSV",
    "emergencies": "siren",
    "users": "night run",
    "system": "Estimated monthly cost on AWS",
}
PASSWORD = "a long way to the sea"


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a recording of a growing noise, and of the same noise at the ear."""
    rng = np.random.default_rng(11)
    x = np.linspace(0.02, 0.15, 20 * RATE) * rng.standard_normal(20 * RATE)
    d = np.convolve(x, [0.0, 0.5, 0.3, 0.2, 0.1])[: x.size] + 1e-3 * rng.standard_normal(x.size)
    path = tmp_path_factory.mktemp("recordings") / "hall 3, night.wav"
    soundfile.write(path, np.stack([x, d], axis=1), RATE)
    return path


@pytest.fixture(scope="module")
def in_use(browser: Browser, platform: Platform, headset: Headset, siren: Path, recording: Path) -> None:
    """Prepare headsets in noise and near a siren, a live emergency, a recording, a user and a key."""
    headset(HEADSET)
    headset(KERB, siren)
    context = browser.new_context()
    console = Console(context.new_page(), platform)
    console.sign_in("demo", "admin")
    console.play()
    console.button("Play a siren").click()
    console.page.get_by_role("alert").filter(has_text="Emergency").wait_for()
    console.show("recordings")
    send(console, recording)
    make_key(console, "night run")
    console.page.get_by_label("Name", exact=True).last.fill("ann")
    console.page.get_by_label("Password").fill(PASSWORD)
    console.button("Add").click()
    console.page.get_by_role("row", name="ann").wait_for()
    console.show(f"headsets/{HEADSET}")
    console.until("attenuation", "value > 8")
    context.close()


def send(console: Console, recording: Path) -> Locator:
    """Upload a recording and return its row after processing."""
    console.page.locator("input[type=file]").set_input_files(recording)
    console.button("Upload it").click()
    row = console.page.get_by_role("row", name=recording.name).first
    expect(row).to_contain_text("Done")
    return row


def make_key(console: Console, name: str, scopes: str = "") -> str:
    """Create an API key and return it."""
    console.show("users")
    console.page.get_by_label("Name", exact=True).first.fill(name)
    console.page.get_by_label("Scopes").fill(scopes)
    console.button("Create key").click()
    return (
        console.page.get_by_role("status").filter(has_text="displayed only once").locator("code").inner_text()
    )


def test_every_page_is_accessible_and_fits_the_screen(visit: Visit, in_use: None) -> None:
    console = visit()
    for place, text in PAGES.items():
        console.show(place)
        console.page.locator("main").get_by_text(text).first.wait_for()
        console.check_appearance(place.replace(f"/{HEADSET}", "-one"))


def test_every_control_on_every_page_can_be_reached_with_the_tab_key(visit: Visit, in_use: None) -> None:
    console = visit()
    for place, text in PAGES.items():
        console.show(place)
        console.page.locator("main").get_by_text(text).first.wait_for()
        assert console.unreachable_controls() == [], place


def test_a_listener_sees_their_own_objects_and_an_error_for_others(visit: Visit, in_use: None) -> None:
    console = visit("system", user="lea", role="listener")
    expect(console.page.get_by_text("you are signed in as listener")).to_be_visible()
    console.check_appearance("system-listener")
    console.show("headsets")
    expect(console.page.get_by_text("No headsets yet")).to_be_visible()
    console.check_appearance("headsets-none")
    console.show(f"headsets/{HEADSET}")
    expect(console.page.get_by_role("alert")).to_be_visible()
    console.check_appearance("headset-foreign")


def test_a_recording_is_uploaded_processed_shown_and_downloaded(
    visit: Visit, recording: Path, tmp_path: Path
) -> None:
    console = visit("recordings", user="ben")
    send(console, recording).get_by_role("link").click()
    console.until("attenuation", "value > 15")
    with console.page.expect_download() as download:
        console.page.get_by_role("link", name="cleaned").click()
    download.value.save_as(tmp_path / "cleaned.flac")
    before, after = soundfile.read(recording)[0][:, 1], soundfile.read(tmp_path / "cleaned.flac")[0]
    attenuation = 10 * np.log10(np.mean(before**2) / np.mean(after**2))
    assert console.figure("attenuation") == pytest.approx(attenuation, abs=0.2)
    console.check_appearance("recording")


def test_a_file_that_is_not_sound_is_rejected_before_the_upload(visit: Visit, tmp_path: Path) -> None:
    (tmp_path / "letter.wav").write_text("Dear headset, please be quiet.")
    console = visit("recordings", user="cleo")
    console.page.locator("input[type=file]").set_input_files(tmp_path / "letter.wav")
    expect(console.page.get_by_role("alert")).to_contain_text("not a sound file in a supported format")
    expect(console.button("Upload it")).to_have_count(0)


def test_settings_on_the_page_of_a_headset_take_effect(visit: Visit, in_use: None) -> None:
    console = visit(f"headsets/{HEADSET}")
    console.until("attenuation", "value > 8")
    console.choose("Bypass")
    console.until("mode", "text === 'bypass'")
    console.until("attenuation", "Number.isNaN(value)")  # the earlier value is outdated
    console.page.get_by_role("slider", name="Intensity").fill("0.5")
    console.until("intensity", "value === 50")
    console.page.get_by_text("Device shadow, version").click()
    expect(console.page.locator("pre")).to_contain_text('"intensity": 0.5')
    console.choose("Statistics only")
    expect(console.page.locator("pre")).to_contain_text('"config": {')
    expect(console.page.get_by_role("radio", name="Statistics only")).to_be_checked()


def test_a_headset_near_a_siren_shows_an_emergency_on_its_page(visit: Visit, in_use: None) -> None:
    console = visit(f"headsets/{KERB}")
    console.page.get_by_role("alert").filter(has_text="Cancelling is off").first.wait_for()
    expect(console.page.locator("body")).to_have_css("background-color", "rgb(251, 220, 220)")
    console.check_appearance("headset-alarm")
    assert console.text("noise").lower().split()[0] in LABELS, "the noise around the alarm"
    console.show("emergencies")
    console.page.get_by_role("link", name=KERB).first.wait_for()


def test_the_page_of_a_headset_in_new_noise_shows_its_filter(visit: Visit, headset: Headset) -> None:
    headset("newcomer")
    console = visit("headsets")
    console.page.get_by_role("link", name="newcomer").click()
    console.page.get_by_role("listitem").filter(has_text="filter").first.wait_for()
    console.page.get_by_text("impulse response (active)").wait_for()
    console.until("attenuation", "value > 8")


def test_the_page_of_a_headset_shows_its_owner_the_last_rejection_and_its_reason(
    visit: Visit, platform: Platform
) -> None:
    asked = {"thing": "garbled", "secondary": [0.0, 0.5, 0.2]}
    made = platform.request("POST", "/api/devices", asked, "ben")[1]
    client = Client(Credentials(**made["credentials"]), "garbled").connect()
    client.publish("$aws/rules/anc_snapshot/anc/garbled/snapshot", b"ANC1").result(PATIENCE_S)
    client.disconnect()
    console = visit("headsets/garbled", user="ben")
    message = console.page.get_by_role("status").filter(has_text="Rejected snapshot")
    expect(message).to_contain_text("header: must have 32 bytes (got 4)")


def test_a_sign_in_link_opens_the_console_once(visit: Visit, platform: Platform) -> None:
    console = visit(role=None)
    where = ["--port", str(platform.port), "--data", str(platform.data)]
    address = subprocess.run([ANC, "console", *where], capture_output=True, text=True, check=True).stdout
    console.page.goto(address.strip())
    console.play()
    console.until_output("level > -60")
    assert console.page.url == f"{console.url}/#/live"  # the code is removed from the URL and the history
    again = visit(role=None)
    again.page.goto(address.strip())
    expect(again.page.get_by_role("alert")).to_contain_text("already used")
    again.check_appearance("sign-in-refused")


def test_a_user_signs_in_with_a_password_and_a_wrong_one_is_rejected(visit: Visit, in_use: None) -> None:
    console = visit(role=None)
    console.page.goto(console.url)
    console.page.get_by_label("Name").fill("ann")
    console.page.get_by_label("Password").fill("not what it was")
    console.button("Sign in").click()
    expect(console.page.get_by_role("alert")).to_be_visible()
    console.page.get_by_label("Password").fill(PASSWORD)
    console.button("Sign in").click()
    console.page.get_by_role("navigation").wait_for()
    console.button("Sign out").click()
    expect(console.page.get_by_label("Password")).to_be_visible()


def test_a_user_sets_up_a_second_factor_and_signs_in_with_a_code(visit: Visit, platform: Platform) -> None:
    console = visit(role=None)
    page = console.page
    admin = {"Authorization": f"Bearer {Issuer(platform.data, Settings()).issue('root', 'admin')}"}
    bea = {"username": "bea", "password": PASSWORD}
    assert page.request.post(f"{console.url}/api/users", headers=admin, data=bea).ok
    page.goto(console.url)
    page.get_by_label("Name").fill("bea")
    page.get_by_label("Password").fill(PASSWORD)
    console.button("Sign in").click()
    page.get_by_role("navigation").wait_for()
    console.show("users")
    console.button("Set up a second factor").click()
    page.get_by_label("Your password").fill(PASSWORD)
    console.button("Continue").click()
    secret = page.locator("code").filter(has_text=re.compile("^[A-Z2-7]{32}$")).inner_text()
    page.get_by_label("Code", exact=True).fill(code_at(secret, time.time()))
    console.check_appearance("users-second-factor")
    console.button("Confirm").click()
    page.get_by_role("status").filter(has_text="you need a code").wait_for()
    console.button("Sign out").click()
    page.get_by_label("Name").fill("bea")
    page.get_by_label("Password").fill(PASSWORD)
    console.button("Sign in").click()
    page.get_by_label("Code of your authenticator app").fill(code_at(secret, time.time() + STEP_S))
    console.check_appearance("sign-in-code")
    console.button("Sign in").click()
    page.get_by_role("navigation").wait_for()


def test_a_key_is_displayed_once_and_works_until_it_is_revoked(visit: Visit) -> None:
    console = visit(user="cleo")
    key = make_key(console, "short", scopes="devices:read, stats")
    asked = {"headers": {"Authorization": f"Bearer {key}"}}
    assert console.page.request.get(f"{console.url}/api/users/me", **asked).ok
    assert console.page.request.get(f"{console.url}/api/devices", **asked).ok
    assert console.page.request.get(f"{console.url}/api/audio/jobs", **asked).status == 403
    expect(console.page.get_by_role("row", name="short")).to_contain_text("devices:read")
    console.button("Revoke short").click()
    expect(console.page.get_by_text("No keys yet.")).to_be_visible()
    assert console.page.request.get(f"{console.url}/api/users/me", **asked).status == 401
    console.page.reload()
    console.page.get_by_text("No keys yet.").wait_for()
    assert key not in console.page.content()


def test_the_api_page_sends_requests_and_loads_nothing_from_other_origins(visit: Visit) -> None:
    console = visit(role=None)
    page, fetched = console.page, []
    page.on("request", lambda request: fetched.append(request.url))
    page.goto(f"{console.url}/docs")
    page.locator("#operations-platform-check_health").get_by_role("button").first.click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table tbody .response-col_status")).to_contain_text("200")
    paths = ("/docs", "/openapi.json", "/health")
    assert [url for url in fetched if not url.startswith("data:")] == [f"{console.url}{at}" for at in paths]


def test_a_sign_in_link_asks_before_it_replaces_a_session(visit: Visit, platform: Platform) -> None:
    console = visit("recordings", role="listener", user="ann")
    me = console.page.locator(".me")
    for button, name in (("Stay signed in", "ann"), ("End this session and sign in", "root")):
        code = LoginLinks(platform.data, Issuer(platform.data, Settings())).make("root", "admin")
        for in_new_page in (False, True):
            if in_new_page:
                console.page.goto("about:blank")
            console.page.goto(f"{console.url}/#code={code}")
            dialog = console.page.get_by_role("dialog")
            dialog.wait_for()
            assert "code" not in console.page.url
            if not in_new_page:
                dialog.press("Escape")
                dialog.wait_for(state="detached")
                assert me.inner_text().startswith("ann")
        console.button(button).click()
        dialog.wait_for(state="detached")
        me.get_by_text(name).wait_for()


def test_a_new_headset_is_registered_set_up_given_new_credentials_and_removed(visit: Visit) -> None:
    console = visit("headsets", user="cleo")
    page = console.page
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_label("Name", exact=True).fill("bench-1")
    page.get_by_label("Secondary path").fill("0, 0.5, 0.2")
    page.get_by_role("button", name="Register").click()
    with page.expect_download() as saved:
        page.get_by_role("link", name="Save bench-1.json").click()
    registration = json.loads(Path(saved.value.path()).read_text())
    console.check_appearance("register")
    page.get_by_role("link", name="Set up bench-1").click()
    steps = page.get_by_role("region", name="Set up").get_by_role("listitem")
    expect(steps.filter(has_text="waiting")).to_have_count(5)
    client = Client(Credentials(**registration["credentials"]), "bench-1").connect()
    noise = 0.1 * np.random.default_rng(1).standard_normal(16_000)
    pcm = float_to_int16(np.stack([noise, np.convolve(noise, [0, 0, 0, 0.5])[: noise.size]], axis=1))
    snapshot = Snapshot(1, 16_000, noise.size, "", 0.0, pcm=pcm)
    client.publish("$aws/rules/anc_snapshot/anc/bench-1/snapshot", snapshot.encode()).result(PATIENCE_S)
    expect(steps.filter(has_text="waiting")).to_have_count(2)
    console.check_appearance("set-up")
    client.disconnect()
    page.get_by_label("Display name").fill("Left ear")
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Left ear")
    expect(page.get_by_label("Display name")).to_have_value("Left ear")
    console.check_appearance("renamed")
    page.get_by_role("link", name="All headsets").click()
    page.get_by_role("link", name="Left ear").click()
    page.get_by_role("button", name="New credentials").click()
    page.get_by_role("link", name="Save bench-1.json").wait_for()
    page.get_by_role("button", name="Remove headset").click()
    page.get_by_text("No headsets yet").wait_for()
