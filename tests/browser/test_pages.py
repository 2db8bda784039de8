"""The pages of a platform in use, in both themes, on a phone and a desktop, and the actions on them."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from anc.noise.classifier import LABELS
from tests.browser.conftest import Headset, Visit, running_headsets
from tests.browser.console import Console
from tests.processes import Platform

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


@pytest.fixture(scope="module")
def in_use(
    browser: Browser,
    platform: Platform,
    recording: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[None]:
    """Prepare a headset in noise, a live emergency, a recording, a user and a key."""
    with running_headsets(platform, tmp_path_factory.mktemp("headsets")) as headset:
        headset(HEADSET)
        context = browser.new_context()
        console = Console(context.new_page(), platform)
        console.sign_in("demo", "admin")
        console.play()
        console.play_sirens()
        console.page.get_by_role("alert").filter(has_text="Emergency").wait_for()
        console.button("Stop").click()  # sound in real time takes half a core
        console.show("recordings")
        console.send(recording)
        console.make_key("night run")
        console.page.get_by_label("Name", exact=True).last.fill("ann")
        console.page.get_by_label("Password").fill("a long way to the sea")
        console.button("Add").click()
        console.page.get_by_role("row", name="ann").wait_for()
        console.show(f"headsets/{HEADSET}")
        console.until("attenuation", "value > 8")
        context.close()
        yield


@pytest.mark.thorough
def test_every_page_is_accessible_and_fits_the_screen(visit: Visit, in_use: None) -> None:
    console = visit()
    for place, text in PAGES.items():
        console.show(place)
        console.page.locator("main").get_by_text(text).first.wait_for()
        console.check_appearance(place.replace(f"/{HEADSET}", "-one"))


@pytest.mark.thorough
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


def test_a_headset_near_a_siren_shows_an_emergency_on_its_page(
    visit: Visit, headset: Headset, siren: Path
) -> None:
    headset(KERB, siren)
    console = visit("headsets")
    console.page.get_by_role("link", name=KERB).click()
    console.page.get_by_role("alert").filter(has_text="Cancelling is off").first.wait_for()
    expect(console.page.locator("body")).to_have_css("background-color", "rgb(251, 220, 220)")
    console.check_appearance("headset-alarm")
    assert console.text("noise").lower().split()[0] in LABELS, "the noise around the alarm"
    console.show("emergencies")
    console.page.get_by_role("link", name=KERB).first.wait_for()


def test_the_system_page_keeps_its_series_over_visits(visit: Visit) -> None:
    visit("live").page.context.close()
    console = visit("system?range=1h")  # calls of the visit before, and of earlier tests
    chart = console.page.get_by_role("img", name="REST calls: latency")
    chart.press("End")
    values = console.page.locator("output").filter(has_text="p99")
    expect(values).to_contain_text(re.compile(r"p99 [\d.]+ ms, median [\d.]+ ms"))
    console.page.get_by_role("link", name="7 d").click()
    expect(console.page.get_by_role("link", name="7 d")).to_have_attribute("aria-current", "true")
    assert "range=7d" in console.page.url
