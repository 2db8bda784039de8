"""The fleet page on simulated headsets: search, order, pages, export, and every size of screen."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Route, expect

from tests.browser.conftest import Visit
from tests.browser.console import MORE_SCREENS, Console
from tests.processes import ANC, Platform

HEADSETS = 120


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Yield a platform with simulated headsets of several owners."""
    folder: Path = tmp_path_factory.mktemp("fleet")
    # In a process of its own: the lock on the folder is held until the process ends.
    command = [ANC, "fleet", "--populate", str(HEADSETS), "--data", folder / "data"]
    subprocess.run(command, check=True, capture_output=True)
    platform = Platform(folder)
    yield platform
    platform.kill()


def rows(console: Console) -> Locator:
    """Return the rows of the table of headsets."""
    return console.page.locator("table.headsets tbody tr")


def attenuations(console: Console) -> list[float]:
    """Return the displayed attenuations, in dB."""
    texts = console.page.locator("table.headsets tbody td:nth-child(6)").all_inner_texts()
    return [float(text.split()[0]) for text in texts]


def test_the_page_fits_every_screen_and_is_accessible(visit: Visit, fleet: Platform) -> None:
    console = visit("fleet", role="operator", on=fleet)
    expect(rows(console)).to_have_count(50)
    console.page.get_by_text("Lowest attenuation").first.wait_for()
    console.check_appearance("fleet", MORE_SCREENS)


def test_every_control_can_be_reached_with_the_tab_key(visit: Visit, fleet: Platform) -> None:
    console = visit("fleet?model=AX2-mini", role="operator", on=fleet)
    console.page.get_by_text("Lowest attenuation").first.wait_for()

    assert console.unreachable_controls() == []


def test_filters_and_order_are_in_the_url_and_survive_a_reload(visit: Visit, fleet: Platform) -> None:
    console = visit("fleet", role="operator", on=fleet)
    console.page.get_by_label("Firmware").fill("1.4.2")
    console.page.get_by_label("Order").select_option("Lowest attenuation")
    console.wait_for("() => location.hash === '#/fleet?firmware=1.4.2&sort=attenuation_db'")
    console.page.reload()

    expect(console.page.get_by_label("Firmware")).to_have_value("1.4.2")
    expect(console.page.get_by_role("columnheader", name="Attenuation")).to_have_attribute(
        "aria-sort", "ascending"
    )
    found = attenuations(console)
    assert found == sorted(found)
    assert len(found) > 10
    assert set(console.page.locator("table.headsets td:nth-child(4)").all_inner_texts()) == {"1.4.2"}


def test_what_is_typed_before_the_overview_arrives_is_kept(visit: Visit, fleet: Platform) -> None:
    console = visit("fleet?owner=user-0001", role="operator", on=fleet)
    held: list[Route] = []

    def hold(route: Route) -> None:  # Playwright does not accept `held.append`
        held.append(route)

    console.page.route("**/api/fleet/overview*", hold)
    console.page.reload()
    expect(rows(console)).to_have_count(20)
    console.page.get_by_label("Firmware").press_sequentially("1.4")
    while not held:
        console.page.wait_for_timeout(20)
    for route in held:
        route.continue_()
    console.page.get_by_text("Lowest attenuation").first.wait_for()

    expect(console.page.get_by_label("Firmware")).to_have_value("1.4")
    expect(console.page.locator("#firmware-values option").first).to_have_attribute("value", re.compile("^1"))


def test_pages_follow_each_other_and_back_returns(visit: Visit, fleet: Platform) -> None:
    console = visit("fleet?sort=-attenuation_db", role="operator", on=fleet)
    expect(rows(console)).to_have_count(50)
    first = attenuations(console)
    console.page.get_by_role("link", name="Next page").click()
    console.page.get_by_role("link", name="First page").wait_for()
    expect(rows(console).first).not_to_contain_text(f"{first[0]:.1f} dB")

    assert max(attenuations(console)) <= min(first)
    console.page.go_back()
    expect(console.page.get_by_role("link", name="First page")).to_have_count(0)


def test_the_overview_leads_to_the_worse_firmware_and_its_headsets(visit: Visit, fleet: Platform) -> None:
    console = visit("fleet", role="operator", on=fleet)
    groups = console.page.get_by_role("table", name="Firmware")
    groups.wait_for()
    medians = {row.split()[0]: float(row.split()[2]) for row in groups.locator("tbody tr").all_inner_texts()}
    worst = min(medians, key=lambda version: medians[version])
    groups.get_by_role("link", name=worst).click()

    expect(console.page.get_by_label("Firmware")).to_have_value(worst)
    assert worst == "1.4.2"
    rows(console).first.get_by_role("link").click()
    expect(console.page.get_by_role("heading", level=1)).to_contain_text("-0")


def test_the_export_has_the_headsets_of_the_view(visit: Visit, fleet: Platform) -> None:
    console = visit("fleet?owner=user-0001", role="operator", on=fleet)
    expect(rows(console)).to_have_count(20)
    with console.page.expect_download() as download:
        console.button("Download CSV").click()

    lines = download.value.path().read_text().splitlines()
    assert lines[0].startswith("thing,name,owner,model,online")
    assert len(lines) == 21


def test_an_invalid_view_shows_what_is_allowed(visit: Visit, fleet: Platform) -> None:
    console = visit("fleet?sort=model", role="operator", on=fleet)

    expect(console.page.get_by_role("alert")).to_contain_text("sort: must be one of attenuation_db")


def test_a_listener_has_no_fleet_page_in_the_navigation(visit: Visit, fleet: Platform) -> None:
    console = visit("headsets", user="user-0002", role="listener", on=fleet)
    console.page.get_by_text("listener").first.wait_for()

    expect(console.page.get_by_role("link", name="Fleet")).to_have_count(0)
    console.show("fleet")
    expect(rows(console)).to_have_count(20)
