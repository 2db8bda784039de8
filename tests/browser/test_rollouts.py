"""The Rollouts page: create, follow, pause, resume and cancel rollouts, on every size of screen."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from anc.fleet_records import FleetQuery
from anc.headset_records import DesiredConfiguration, DesiredFirmware
from anc.rollout_records import Rollout
from anc.services.headsets.rollouts import GROUP
from local.storage.database import Database
from local.storage.tables import open_tables
from tests.browser.conftest import Visit
from tests.browser.console import MORE_SCREENS, Console
from tests.processes import Platform

SCREENS = {width: MORE_SCREENS[width] for width in ("320", "390", "1440")}
FIRMWARE = DesiredFirmware("1.5.0", "https://x.example/1.5.0.bin", "ab" * 32, 1024)
REASON = "the attenuation of 18 updated headsets changed by -6.1 dB, of others by +0.2 dB (limit 2 dB lower)"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Yield a platform with headsets and one rollout in every state."""
    platform = Platform(tmp_path_factory.mktemp("rollouts"))
    for number in range(4):
        headset = {"thing": f"AX2-{number}", "model": "AX2", "secondary": [0.0, 0.5, 0.2]}
        assert platform.request("POST", "/api/devices", headset, "ada")[0] == 201
    table = open_tables(Database(platform.data / "anc.db"))["rollouts"]
    now = time.time()
    states = {
        "active": {"waiting": 280, "queued": 18, "in_progress": 2, "succeeded": 98, "failed": 2},
        "paused": {"waiting": 380, "queued": 20},
        "done": {"succeeded": 397, "failed": 2, "timed_out": 1},
        "stopped": {"waiting": 380, "succeeded": 18, "cancelled": 2},
        "cancelled": {"waiting": 390, "cancelled": 10},
    }
    for number, (state, counts) in enumerate(states.items()):
        created = now - 3600 * (number + 1)
        table.put(
            Rollout(
                key=f"{int(1000 * created):014d}-{number:08x}",
                group=GROUP,
                name=f"Quieter hinge, {state}",
                firmware=FIRMWARE if number % 2 == 0 else None,
                config=DesiredConfiguration(snapshot_interval_s=60.0, private=True) if number % 2 else None,
                query=FleetQuery(model="AX2", firmware="1.4.2"),
                canary_percent=5.0,
                soak_minutes=60.0,
                per_minute=100,
                max_failed_percent=5.0,
                max_drop_db=2.0,
                state=state,  # type: ignore[arg-type]
                stage="fleet" if state == "active" else "canary",
                reason=REASON if state == "stopped" else "",
                created=created,
                created_by="olga",
                changed=created if state == "active" else created + 600,
                changed_by="" if state in ("done", "stopped") else "olga",
                headsets=400,
                canary=20,
                counts=counts,
                updated_change_db=-6.1 if state == "stopped" else None,
                other_change_db=0.2 if state == "stopped" else None,
                measured=18 if state == "stopped" else 0,
            )
        )
    yield platform
    platform.kill()


def entry(console: Console, name: str) -> Locator:
    """Return the listed rollout of this name."""
    return console.page.locator(".rollouts > li").filter(has_text=name)


def see(visit: Visit, site: Platform) -> Console:
    return visit("rollouts", role="operator", user="olga", on=site)


@pytest.mark.thorough
def test_the_page_fits_every_screen_and_is_accessible(visit: Visit, site: Platform) -> None:
    console = see(visit, site)
    expect(entry(console, "Quieter hinge")).to_have_count(5)
    for opened in (False, True):
        if opened:
            console.page.get_by_role("button", name="New rollout").click()
        console.check_appearance(f"rollouts{'-new' if opened else ''}", SCREENS)


def test_a_rollout_shows_what_how_far_by_whom_and_why_it_stopped(visit: Visit, site: Platform) -> None:
    console = see(visit, site)
    stopped = entry(console, "Quieter hinge, stopped")

    expect(stopped.get_by_role("alert")).to_have_text(f"Stopped: {REASON}.")
    expect(stopped).to_contain_text("18 of 400 updated, 2 cancelled")
    expect(stopped).to_contain_text("Model AX2, running 1.4.2: 5 % first, then 100 a minute")
    expect(stopped).to_contain_text(
        "18 updated headsets changed by \N{MINUS SIGN}6.1 dB, of the others by +0.2 dB"
    )
    expect(stopped).to_contain_text("Created by olga")
    expect(stopped).to_contain_text("stopped by the platform")
    expect(stopped.get_by_role("button")).to_have_count(0)
    expect(entry(console, "Quieter hinge, paused")).to_contain_text("snapshot interval 60 s, private on")


def test_firmware_is_rolled_out_with_the_hash_of_its_image(
    visit: Visit, site: Platform, tmp_path: Path
) -> None:
    image = tmp_path / "image.bin"
    image.write_bytes(b"12345678")
    console = see(visit, site)
    page = console.page
    page.get_by_role("button", name="New rollout").click()
    page.get_by_label("Name", exact=True).fill("New firmware")
    page.get_by_label("Version").fill("1.5.0")
    page.get_by_label("Image, to check downloads").set_input_files(image)
    page.get_by_label("URL of the image").fill("https://x.example/1.5.0.bin")
    page.get_by_label("Model").fill("AX2")
    page.get_by_label("First, % of headsets").fill("50")
    page.get_by_role("button", name="Start rollout").click()

    made = entry(console, "New firmware")
    expect(made).to_contain_text("0 of 4 updated, 2 under way", timeout=20_000)
    expect(made).to_contain_text("Model AX2: 50 % first")
    (stored,) = [
        each
        for each in open_tables(Database(site.data / "anc.db"))["rollouts"].list(GROUP)
        if each.name == "New firmware"
    ]
    assert (stored.firmware.size, stored.firmware.sha256[:8], stored.created_by) == (8, "ef797c81", "olga")
    made.get_by_text("Headsets of New firmware").click()
    expect(made.get_by_role("row", name="job not fetched yet")).to_have_count(2)
    expect(made.get_by_role("row", name="waiting")).to_have_count(2)
    expect(made.get_by_role("link", name="AX2-3")).to_have_attribute("href", "#/headsets/AX2-3")
    console.check_width("rollout-headsets", SCREENS)
    assert console.violations() == []
    made.get_by_role("button", name="Pause").click()
    expect(made.locator(".tag")).to_have_text("paused")
    made.get_by_role("button", name="Resume").click()
    expect(made.locator(".tag")).to_have_text("active")
    made.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Keep it running").click()
    expect(made.locator(".tag")).to_have_text("active")
    made.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel the rollout").click()
    expect(made.locator(".tag")).to_have_text("cancelled")


def test_a_refused_rollout_says_why_and_keeps_what_was_typed(visit: Visit, site: Platform) -> None:
    console = see(visit, site)
    page = console.page
    page.get_by_role("button", name="New rollout").click()
    page.get_by_label("What").select_option("config")
    page.get_by_label("Name", exact=True).fill("Calm")
    page.get_by_label("Model").fill("none")
    page.get_by_label("Snapshot interval (s)").fill("60")
    page.get_by_role("button", name="Start rollout").click()

    expect(page.get_by_role("alert").filter(has_text="no headset matches")).to_be_visible()
    assert page.get_by_label("Model").input_value() == "none"


def test_listeners_have_no_such_page_in_the_navigation(visit: Visit, site: Platform) -> None:
    console = visit("headsets", role="listener", user="ada", on=site)

    expect(console.page.get_by_role("link", name="Rollouts")).to_have_count(0)
