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
    texts = console.page.locator("table.headsets tbody td:nth-child(7)").all_inner_texts()
    return [float(text.split()[0]) for text in texts]


@pytest.mark.thorough
def test_the_page_fits_every_screen_and_is_accessible(visit: Visit, fleet: Platform) -> None:
    console = visit("fleet", role="operator", on=fleet)
    expect(rows(console)).to_have_count(50)
    console.page.get_by_text("Lowest attenuation").first.wait_for()
    console.check_appearance("fleet", MORE_SCREENS)


@pytest.mark.thorough
def test_every_control_can_be_reached_with_the_tab_key(visit: Visit, fleet: Platform) -> None:
    console = visit("fleet?model=AX2-mini", role="operator", on=fleet)
    console.page.get_by_text("Lowest attenuation").first.wait_for()

    assert console.unreachable_controls() == []


def test_filters_and_order_are_in_the_url_and_survive_a_reload(visit: Visit, fleet: Platform) -> None:
    console = visit("fleet", role="operator", on=fleet)
    console.page.locator("input[name=firmware]").fill("1.4.2")
    console.page.get_by_label("Order").select_option("Lowest attenuation")
    console.wait_for("() => location.hash === '#/fleet?firmware=1.4.2&sort=attenuation_db'")
    console.page.reload()

    expect(console.page.locator("input[name=firmware]")).to_have_value("1.4.2")
    expect(console.page.get_by_role("columnheader", name="Attenuation")).to_have_attribute(
        "aria-sort", "ascending"
    )
    found = attenuations(console)
    assert found == sorted(found)
    assert len(found) > 10
    assert set(console.page.locator("table.headsets td:nth-child(5)").all_inner_texts()) == {"1.4.2"}


def test_what_is_typed_before_the_overview_arrives_is_kept(visit: Visit, fleet: Platform) -> None:
    console = visit("fleet?owner=user-0001", role="operator", on=fleet)
    held: list[Route] = []

    def hold(route: Route) -> None:  # Playwright does not accept `held.append`
        held.append(route)

    console.page.route("**/api/fleet/overview*", hold)
    console.page.reload()
    expect(rows(console)).to_have_count(20)
    console.page.locator("input[name=firmware]").press_sequentially("1.4")
    while not held:
        console.page.wait_for_timeout(20)
    for route in held:
        route.continue_()
    console.page.get_by_text("Lowest attenuation").first.wait_for()

    expect(console.page.locator("input[name=firmware]")).to_have_value("1.4")
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

    expect(console.page.locator("input[name=firmware]")).to_have_value(worst)
    assert worst == "1.4.2"
    rows(console).first.get_by_role("link").click()
    expect(console.page.get_by_role("heading", level=1)).to_contain_text("-0")


def test_the_export_has_the_headsets_of_the_view(visit: Visit, fleet: Platform) -> None:
    console = visit("fleet?owner=user-0001", role="operator", on=fleet)
    expect(rows(console)).to_have_count(20)
    with console.page.expect_download() as download:
        console.button("Download CSV").click()

    lines = download.value.path().read_text().splitlines()
    assert lines[0].startswith("thing,name,tags,owner,model,online")
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


def select(console: Console, *numbers: int) -> list[str]:
    """Select rows, and return the names of their headsets."""
    boxes = rows(console).get_by_role("checkbox")
    for number in numbers:
        boxes.nth(number).check()
    names = [boxes.nth(number).get_attribute("aria-label") or "" for number in numbers]
    return [name.removeprefix("Select ") for name in names]


def test_selected_headsets_get_a_tag_which_undo_takes_away(visit: Visit, fleet: Platform) -> None:
    console = visit("fleet?owner=user-0003", role="operator", on=fleet)
    expect(rows(console)).to_have_count(20)
    chosen = select(console, 0, 2)
    bar = console.page.get_by_role("region", name="Selected headsets")
    expect(bar).to_contain_text("2 headsets selected")
    bar.get_by_label("Tag", exact=True).fill("fresh")
    console.check_appearance("fleet-selection")
    bar.get_by_role("button", name="Add tag").click()
    toast = console.page.locator(".toast")
    expect(toast).to_contain_text("Added “fresh” to 2 headsets.")
    console.show("fleet?tag=fresh")
    expect(rows(console)).to_have_count(2)
    assert sorted(select(console, 0, 1)) == sorted(chosen)

    bar.get_by_label("Tag", exact=True).fill("fresh")
    bar.get_by_role("button", name="Remove tag").click()
    expect(toast).to_contain_text("Removed “fresh” from 2 headsets.")
    toast.get_by_role("button", name="Undo").click()
    expect(toast).to_contain_text("Added “fresh” to 2 headsets.")
    console.page.reload()
    expect(rows(console)).to_have_count(2)


def test_rows_are_selected_with_the_keyboard(visit: Visit, fleet: Platform) -> None:
    console = visit("fleet?owner=user-0001", role="operator", on=fleet)
    expect(rows(console)).to_have_count(20)
    bar = console.page.get_by_role("region", name="Selected headsets")
    rows(console).get_by_role("checkbox").first.focus()
    for key in ("Space", "ArrowDown", "Shift+ArrowDown", "Shift+ArrowDown"):
        console.page.keyboard.press(key)
    expect(bar).to_contain_text("4 headsets selected")
    console.page.keyboard.press("Escape")
    expect(bar).to_have_count(0)
    console.page.get_by_label("Select all headsets of this page").focus()
    console.page.keyboard.press("Space")
    expect(bar).to_contain_text("20 headsets selected")


def test_a_rollout_is_started_with_the_filter_or_the_selection(visit: Visit, fleet: Platform) -> None:
    console = visit("fleet?model=AX2&firmware=1.4.2", role="operator", on=fleet)
    console.page.get_by_text("Lowest attenuation").first.wait_for()
    select(console, 0)
    console.page.get_by_role("link", name=re.compile("^Roll out to all [0-9]+ that match")).click()
    # The fleet page also has fields of these labels, which must be gone.
    expect(console.page.get_by_role("heading", name="New rollout")).to_be_visible()
    expect(console.page.get_by_label("Model")).to_have_value("AX2")
    expect(console.page.get_by_label("Running firmware")).to_have_value("1.4.2")
    console.page.go_back()
    chosen = select(console, 1, 2)
    console.page.get_by_role("link", name="Roll out to these").click()
    expect(console.page.get_by_text("To the 2 headsets selected")).to_be_visible()
    console.page.get_by_label("Name", exact=True).fill("Chosen ones")
    console.page.get_by_label("What").select_option("Configuration")
    console.page.get_by_label("Telemetry interval (s)").fill("600")
    console.button("Start rollout").click()

    expect(console.page.get_by_text("2 chosen headsets")).to_be_visible()
    assert len(chosen) == 2


def test_a_rollout_to_all_that_match_has_every_filter_and_no_more_headsets(
    visit: Visit, fleet: Platform
) -> None:
    console = visit("fleet?online=false&attenuation_below=14&model=AX2", role="operator", on=fleet)
    page = console.page
    page.get_by_text("Lowest attenuation").first.wait_for()
    select(console, 0)
    to_all = page.get_by_role("link", name=re.compile("^Roll out to all [0-9]+ that match"))
    matching = int(to_all.inner_text().split()[4])
    to_all.click()
    page.get_by_label("Name", exact=True).fill("Quiet ones")
    page.get_by_label("What").select_option("Configuration")
    page.get_by_label("Telemetry interval (s)").fill("600")
    expect(page.get_by_label("Attenuation below (dB)")).to_have_value("14")
    connection = page.get_by_label("Connection")
    expect(connection).to_have_value("false")
    connection.select_option("Online")
    with page.expect_response(re.compile("/api/rollouts")):
        pass  # the list behind the form is loaded again, which must not reset the form
    expect(connection).to_have_value("true")
    connection.select_option("Not online")
    console.button("Start rollout").click()

    made = page.locator(".rollouts > li").filter(has_text="Quiet ones")
    expect(made).to_contain_text(f"of {matching} updated")
    expect(made).to_contain_text("Model AX2, not online, attenuation below 14 dB")
    assert 1 < matching < HEADSETS / 2


def test_filters_that_the_form_cannot_show_offer_no_rollout_to_all(visit: Visit, fleet: Platform) -> None:
    console = visit("fleet?attenuation_below=1_9", role="operator", on=fleet)
    console.page.get_by_text("Lowest attenuation").first.wait_for()
    select(console, 0)

    expect(console.page.get_by_role("link", name="Roll out to these")).to_be_visible()
    expect(console.page.get_by_role("link", name=re.compile("^Roll out to all"))).to_have_count(0)


def test_headsets_are_removed_after_their_number_is_typed(visit: Visit, fleet: Platform) -> None:
    console = visit("fleet?owner=user-0005", role="operator", on=fleet)
    expect(rows(console)).to_have_count(20)
    chosen = select(console, 0, 1, 2)
    console.button("Remove headsets").click()
    dialog = console.page.get_by_role("dialog")
    confirm = dialog.get_by_role("button", name="Remove 3 headsets")
    expect(confirm).to_be_disabled()
    console.check_appearance("fleet-removal")
    dialog.get_by_label("Type 3 to confirm").fill("3")
    confirm.click()

    expect(console.page.locator(".toast")).to_contain_text("3 headsets removed.")
    expect(rows(console)).to_have_count(17)
    assert fleet.request("GET", f"/api/devices/{chosen[0]}", user="user-0005")[0] == 404


def test_a_listener_selects_own_headsets_only_to_remove_them(visit: Visit, fleet: Platform) -> None:
    console = visit("headsets", user="user-0002", role="listener", on=fleet)
    console.show("fleet")
    expect(rows(console)).to_have_count(20)
    select(console, 0)
    bar = console.page.get_by_role("region", name="Selected headsets")

    expect(bar.get_by_role("button", name="Remove headsets")).to_be_visible()
    expect(bar.get_by_label("Tag", exact=True)).to_have_count(0)
    expect(bar.get_by_role("link")).to_have_count(0)


def test_the_attenuation_of_the_fleet_is_shown_over_days_by_firmware(visit: Visit, fleet: Platform) -> None:
    console = visit("fleet", role="operator", on=fleet)
    history = console.page.get_by_role("region", name="Attenuation over time")
    chart = history.get_by_role("img", name=re.compile("^All headsets"))
    chart.focus()
    console.page.keyboard.press("End")
    expect(history.locator("output").first).to_contain_text("median")
    history.get_by_role("radio", name="Firmware").check()
    history.get_by_role("img", name=re.compile(r"^1\.4\.2")).wait_for()

    expect(history.get_by_role("img")).to_have_count(4)
    console.check_appearance("fleet-history")
