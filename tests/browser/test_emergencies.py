"""The Emergencies page: filters in the URL, acknowledging, comments, and links to the moment."""

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, expect

from anc.records import Emergency
from local.storage.database import Database
from local.storage.tables import open_tables
from tests.browser.conftest import Visit
from tests.browser.console import MORE_SCREENS, Console
from tests.processes import Platform

HOUR_S = 3600
KINDS = ("siren", "horn", "alarm")
MANY = 60
SOURCES = ("hall-3", "Kx8vQ2nTg1bYc0Lw3mRz5AbC", "hall-3", "hall-2")  # a live session; a removed headset
COMMENT = "Fire drill in hall 3.\nNobody was at the machine."


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Yield a platform with a headset of `ada` and emergencies, one every two hours."""
    platform = Platform(tmp_path_factory.mktemp("emergencies"))
    headset = {"thing": "hall-3", "secondary": [0.0, 0.5, 0.2]}
    assert platform.request("POST", "/api/devices", headset, "ada")[0] == 201
    assert platform.request("PATCH", "/api/devices/hall-3", {"name": "Hall 3, press"}, "ada")[0] == 200
    table = open_tables(Database(platform.data / "anc.db"))["emergencies"]
    now = time.time()
    for number in range(MANY):
        at = now - 60 - 2 * HOUR_S * number
        source = SOURCES[number % 4]
        key = f"{int(1000 * at):014d}-{number:08x}"
        kind = KINDS[number % len(KINDS)]
        table.put(Emergency(key=key, group="ada", source=source, kind=kind, score=0.97, at=at))
    report = {"attenuation_db": 17.5, "mode": "cancel"}
    assert platform.request("POST", "/api/devices/hall-3/telemetry", report, "ada")[0] == 200
    yield platform
    platform.kill()


def entries(console: Console) -> Locator:
    """Return the listed emergencies."""
    return console.page.locator(".emergencies li")


def see(visit: Visit, site: Platform, place: str = "emergencies") -> Console:
    """Open a page as the owner of the headset."""
    return visit(place, role="listener", user="ada", on=site)


@pytest.mark.thorough
def test_the_pages_fit_every_screen_and_are_accessible(visit: Visit, site: Platform) -> None:
    console = see(visit, site)
    expect(entries(console)).to_have_count(50)
    expect(entries(console).nth(1)).to_contain_text("live session Kx8vQ2nT")
    expect(entries(console).nth(3)).to_contain_text("hall-2 (removed)")
    entries(console).first.get_by_role("button", name="Comment").click()
    for place in ("emergencies", "headsets/hall-3", "moment"):
        if place == "moment":
            console.show("emergencies?source=hall-3")
            entries(console).first.get_by_role("link", name="Hall 3, press").click()
            console.page.get_by_text("Attenuation, in minutes").wait_for()
        elif place != "emergencies":
            console.show(place)
            entries(console).first.wait_for()
        console.check_appearance(place.replace("/", "-"), MORE_SCREENS)


def test_an_emergency_is_acknowledged_and_that_can_be_withdrawn(visit: Visit, site: Platform) -> None:
    console = see(visit, site, "emergencies?kind=horn")
    first = entries(console).first
    first.get_by_role("button", name="Acknowledge").click()
    expect(first.locator(".state small")).to_have_text("ada, just now")
    console.page.reload()
    expect(first.locator(".state small")).to_have_text("ada, just now")
    first.get_by_role("button", name="Undo").click()
    expect(first.get_by_role("button", name="Acknowledge")).to_be_visible()


def test_a_comment_of_several_lines_is_shown_with_its_author(visit: Visit, site: Platform) -> None:
    console = see(visit, site, "emergencies?kind=alarm")
    first = entries(console).first
    first.get_by_role("button", name="Comment").click()
    first.get_by_label("Comment").fill("tab\there")
    first.get_by_role("button", name="Save comment").click()
    expect(first.get_by_role("alert")).to_contain_text("comment: must be text on one line or several")
    first.get_by_label("Comment").fill(COMMENT)
    first.get_by_role("button", name="Save comment").click()
    expect(first.locator(".comment p")).to_have_text(COMMENT)
    expect(first.locator(".comment small")).to_have_text("ada, just now")


def test_filters_are_in_the_url_and_survive_a_reload(visit: Visit, site: Platform) -> None:
    console = see(visit, site)
    console.page.get_by_label("Kind").select_option("Siren")
    console.page.get_by_label("Time").select_option("Last 24 hours")
    console.wait_for("() => location.hash === '#/emergencies?kind=siren&hours=24'")
    expect(entries(console)).to_have_count(4)
    console.page.reload()
    expect(console.page.get_by_label("Kind")).to_have_value("siren")
    console.page.get_by_label("Time").select_option("From … to …")
    console.page.get_by_label("To", exact=True).wait_for()
    console.wait_for("() => /^#.emergencies.kind=siren&since=[0-9]+$/.test(location.hash)")
    expect(entries(console)).to_have_count(4)
    console.page.get_by_role("link", name="Clear").click()
    expect(entries(console)).to_have_count(50)
    console.page.get_by_role("link", name="Next page").click()
    expect(entries(console)).to_have_count(MANY - 50)


def test_an_operator_finds_the_emergencies_of_a_headset_of_another_owner(
    visit: Visit, site: Platform
) -> None:
    console = visit("emergencies", role="operator", user="olga", on=site)
    expect(entries(console)).to_have_count(50)
    console.page.get_by_label("Headset").fill("hall-3")
    console.page.get_by_label("Headset").press("Enter")
    expect(entries(console)).to_have_count(MANY // 2)
    console.page.get_by_label("Owner").fill("ada")
    console.page.get_by_label("Owner").press("Enter")
    entries(console).first.get_by_role("link", name="Hall 3, press").click()
    console.page.get_by_text("Half an hour before and after").wait_for()


@pytest.mark.parametrize("width", [320, 390])
def test_entries_of_the_bottom_bar_do_not_touch_each_other(visit: Visit, site: Platform, width: int) -> None:
    console = visit("users", role="admin", user="root", on=site, viewport={"width": width, "height": 800})
    console.page.get_by_role("link", name="Fleet").wait_for()
    gaps = console.page.evaluate(
        """() => {
          const texts = [...document.querySelectorAll(".rail nav a > span")];
          const boxes = texts.map((one) => one.getBoundingClientRect());
          return boxes.slice(1).map((box, k) => box.left - boxes[k].right);
        }"""
    )
    assert min(gaps) >= 6
    current = console.page.locator(".rail nav a[aria-current]")
    expect(current).to_be_in_viewport(ratio=0.99)


def test_operators_see_the_emergencies_of_all_owners_and_filter_by_one(visit: Visit, site: Platform) -> None:
    table = open_tables(Database(site.data / "anc.db"))["emergencies"]
    at = time.time() - 30
    key = f"{int(1000 * at):014d}-ffffffff"
    table.put(Emergency(key=key, group="bob", source="yard-1", kind="horn", score=0.9, at=at))
    console = visit("emergencies", role="operator", on=site)
    expect(entries(console)).to_have_count(50)
    expect(entries(console).first).to_contain_text("yard-1")
    expect(entries(console).nth(1)).to_contain_text("ada")
    console.check_appearance("emergencies-of-all")
    console.page.get_by_role("link", name="Next page").click()
    expect(entries(console)).to_have_count(MANY - 49)
    console.page.go_back()
    entries(console).first.get_by_role("link", name="bob").click()

    expect(entries(console)).to_have_count(1)
    expect(console.page.get_by_label("Owner")).to_have_value("bob")
