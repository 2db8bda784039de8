"""The page of a headset: its filter, the reason of a rejection, set-up, new credentials and removal."""

import json
import re
from pathlib import Path

import numpy as np
from playwright.sync_api import expect

from anc.pcm import float_to_int16
from anc.ports import Credentials
from anc.schemas.snapshot import Snapshot
from tests.browser.conftest import Headset, Visit
from tests.integration.mqtt.conftest import Client
from tests.processes import PATIENCE_S, Platform, until


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


def test_the_history_of_a_headset_is_read_compared_and_zoomed(visit: Visit, platform: Platform) -> None:
    made = platform.request("POST", "/api/devices", {"thing": "worn-daily", "secondary": [0.0, 0.5]}, "ben")[
        1
    ]
    client = Client(Credentials(**made["credentials"]), "worn-daily").connect()
    minutes = np.arange(55)
    reports = [{"attenuation_db": 15.0, "battery": 0.5, "age_s": 60.0 * minute} for minute in minutes]
    earlier = [{"attenuation_db": 9.0, "age_s": 60.0 * minute} for minute in minutes + 60]
    for batch in (earlier, reports):
        client.publish("$aws/rules/anc_telemetry/anc/worn-daily/telemetry", json.dumps(batch)).result(
            PATIENCE_S
        )
    trend = "/api/devices/worn-daily/trend"
    until(
        lambda: (
            sum(each["reports"] for each in platform.request("GET", trend, None, "ben")[1]["intervals"])
            == 110
        )
    )
    client.disconnect()
    console = visit("headsets/worn-daily?range=1h", user="ben")
    page = console.page
    console.button("Compare with the period before").click()
    chart = page.get_by_role("img", name="Attenuation, median")
    values = page.locator(".history output").first
    expect(page.get_by_text("previous").first).to_be_visible()
    chart.press("End")
    expect(values).to_contain_text("median 15 dB")
    chart.press("PageDown")
    expect(values).to_contain_text("previous 9 dB")
    console.check_appearance("history")
    box = chart.bounding_box()
    assert box
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 80)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 80, steps=3)
    page.mouse.up()
    page.wait_for_url(re.compile("from=.*to="))
    page.get_by_role("link", name="Reset zoom").click()
    expect(page.get_by_role("link", name="1 h", exact=True)).to_have_attribute("aria-current", "true")
    expect(page.get_by_role("link", name="Reset zoom")).to_have_count(0)


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
