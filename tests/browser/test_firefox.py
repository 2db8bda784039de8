"""The most important flows in Firefox: sign in, live sound, a recording, the fleet, and accessibility."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from anc.services.access.identity import Role
from anc.settings import Settings
from local.auth.issuer import Issuer
from tests.browser.console import DESKTOP, PHONE, RULES
from tests.browser.firefox import FIREFOX, Firefox
from tests.processes import Platform
from tests.sounds import encoded, noise

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(
        not (FIREFOX or os.environ.get("CI")), reason="no Firefox here (apt-get install firefox-esr)"
    ),
]
USER, HEADSET = "fay", "firefox-1"
PAGES = {  # and a text on each
    "live": "Listen to",
    "headsets": HEADSET,
    f"headsets/{HEADSET}": "Set up",
    "fleet": HEADSET,
    "rollouts": "New rollout",
    "recordings": "Choose recordings",
    "emergencies": "Search",
    "users": "Your API keys",
    "system": "Estimated monthly cost on AWS",
}
Show = Callable[..., None]


@pytest.fixture(scope="module")
def firefox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    with Firefox(tmp_path_factory.mktemp("firefox") / "profile") as firefox:
        yield firefox


@pytest.fixture(scope="module", autouse=True)
def headset(platform: Platform) -> None:
    """Register a headset."""
    status, _ = platform.request(
        "POST", "/api/devices", {"thing": HEADSET, "secondary": [0.0, 0.5]}, user=USER
    )
    assert status == 201


@pytest.fixture
def show(firefox: Firefox, platform: Platform) -> Iterator[Show]:
    """Yield `show(page, role)`, which signs in and opens a page. Fails if the browser reported problems."""

    def begin(page: str, role: Role = "admin", user: str = USER) -> None:
        token = Issuer(platform.data, Settings()).issue(user, role)
        firefox.open(f"http://127.0.0.1:{platform.port}/")
        firefox.run("(token) => sessionStorage.setItem('anc-token', token)", token)
        firefox.open(f"http://127.0.0.1:{platform.port}/#/{page}")

    yield begin
    assert firefox.run("() => window.problems") == []


def test_a_user_signs_in_with_name_and_password_and_out(
    firefox: Firefox, platform: Platform, show: Show
) -> None:
    account = {"username": "fiona", "password": "a long way to the sea", "role": "listener"}
    admin = Issuer(platform.data, Settings()).issue("root", "admin")
    platform.tokens["root"] = admin
    assert platform.request("POST", "/api/users", account, user="root")[0] == 201
    firefox.open(f"http://127.0.0.1:{platform.port}/")
    firefox.run("() => sessionStorage.clear()")
    firefox.open(f"http://127.0.0.1:{platform.port}/")
    firefox.until("() => document.querySelector('input[name=username]')")
    firefox.run(
        """({ username, password }) => {
          document.querySelector("input[name=username]").value = username;
          document.querySelector("input[name=password]").value = password;
        }""",
        account,
    )
    assert firefox.violations(RULES) == []
    firefox.click("Sign in")
    firefox.until(
        "() => document.querySelector('.link.open')"
    )  # the WebSocket, with the token as subprotocol
    firefox.until_text("fiona")
    firefox.click("Sign out")
    firefox.until("() => document.querySelector('input[name=username]')")


def test_the_tone_of_a_microphone_is_removed_if_there_is_a_sound_card(firefox: Firefox, show: Show) -> None:
    show("live")
    firefox.click("Microphone")
    firefox.click("Open microphone")
    firefox.until(  # Firefox starts no audio without an output device
        """() => parseFloat(document.querySelector('[data-figure=attenuation]')?.textContent) > 10
          || document.body.innerText.includes("The browser does not play sound")"""
    )


def test_a_recording_is_uploaded_and_its_player_opens(firefox: Firefox, show: Show, tmp_path: Path) -> None:
    recording = tmp_path / "hall.wav"
    recording.write_bytes(encoded(noise(2.0)))
    show("recordings", user="finn")
    firefox.until("() => document.querySelector('input[type=file]')")
    firefox.choose_file("input[type=file]", recording)
    firefox.click("Upload it")
    firefox.until("() => document.querySelector('tbody .tag.good')")
    firefox.click("hall.wav")
    firefox.until("() => document.querySelector('.player-stage canvas')?.height > 100")
    firefox.run(
        """() => document.querySelector(".player-stage").dispatchEvent(
          new KeyboardEvent("keydown", { key: "End", bubbles: true }))"""
    )
    firefox.until("() => parseFloat(document.querySelector('.player-stage').ariaValueNow) > 1.5")
    assert firefox.violations(RULES) == []


def test_the_fleet_is_listed_and_filtered(firefox: Firefox, show: Show) -> None:
    show("fleet", role="operator")
    firefox.until("(thing) => document.querySelector('table.headsets')?.innerText.includes(thing)", HEADSET)
    firefox.run(
        """() => {
          const field = document.querySelector("input[name=name]");
          field.value = "absent";
          field.form.requestSubmit();
        }"""
    )
    firefox.until_text("No headset found")
    assert firefox.run("() => location.hash") == "#/fleet?name=absent"


def test_every_page_is_accessible_and_fits_a_phone(firefox: Firefox, show: Show) -> None:
    for page, text in PAGES.items():
        show(page)
        firefox.until_text(text)
        assert firefox.violations(RULES) == [], page
        firefox.resize(**PHONE)
        assert firefox.run("() => document.documentElement.scrollWidth <= innerWidth"), page
        firefox.resize(**DESKTOP)
        assert firefox.run("() => window.problems") == [], page
