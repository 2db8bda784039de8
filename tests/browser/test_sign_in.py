"""Sign-in links, passwords and second factors in the console, API keys, and the page of the API."""

import re
import subprocess
import time

from playwright.sync_api import expect

from anc.settings import Settings
from local.auth.issuer import Issuer
from local.auth.login_links import LoginLinks
from local.auth.totp import STEP_S, code_at
from tests.browser.conftest import Visit
from tests.browser.console import Console
from tests.processes import ANC, Platform

PASSWORD = "a long way to the sea"


def add_user(console: Console, name: str, platform: Platform) -> None:
    """Create a user with the password."""
    admin = {"Authorization": f"Bearer {Issuer(platform.data, Settings()).issue('root', 'admin')}"}
    user = {"username": name, "password": PASSWORD}
    assert console.page.request.post(f"{console.url}/api/users", headers=admin, data=user).ok


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


def test_a_user_signs_in_with_a_password_and_a_wrong_one_is_rejected(
    visit: Visit, platform: Platform
) -> None:
    console = visit(role=None)
    add_user(console, "eve", platform)
    console.page.goto(console.url)
    console.page.get_by_label("Name").fill("eve")
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
    add_user(console, "bea", platform)
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
    key = console.make_key("short", scopes="devices:read, stats")
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
