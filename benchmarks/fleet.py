"""`python -m benchmarks.fleet`: measure the list of headsets and the console with a large fleet.

Fills a temporary data folder with simulated headsets through the platform's services, starts `anc up` on
it, and calls each endpoint sequentially. The fleet page is opened in Chromium, if it is installed, until its
rows and its overview are shown, and the other pages until their last request is answered. The overview is
cached for a minute, so that each call asks for another one.
"""

import argparse
import asyncio
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, sync_playwright

from anc.settings import Settings
from benchmarks.http import Call, HttpClient, request
from benchmarks.processes import environment, write_to_docs
from local.auth.issuer import Issuer
from local.process import free_port, platform

REPEATS = 30
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
OTHER_PAGES = ("headsets", "rollouts", "emergencies", "recordings", "users", "system")
NETWORK_IDLE_MS = 500.0  # without a request, after which Playwright counts a page as loaded
VIEWS = {
    "first page": "",
    "lowest attenuation": "?sort=attenuation_db",
    "firmware, latest refusal": "?firmware=1.4.2&sort=-refused_at",
    "name begins with": "?name=ax2-mini-00",
    "refused in 24 hours": "?refused_hours=24",
}


def calls(token: str) -> dict[str, list[Call]]:
    """Return the calls of each measurement."""
    found = {
        f"list, {name}": [request("GET /api/fleet", token, path=f"/api/fleet{query}")] * REPEATS
        for name, query in VIEWS.items()
    }
    hours = [f"?reverted_hours={hour}" for hour in range(1, REPEATS + 1)]
    path = "/api/fleet/overview"
    found["overview of all, not cached"] = [
        request("GET /api/fleet/overview", token, path=path + query)
        for query in [f"?attenuation_below={90 + k / 10}" for k in range(REPEATS)]
    ]
    found["overview of the reverted, not cached"] = [
        request("GET /api/fleet/overview", token, path=path + query) for query in hours
    ]
    found["CSV of all"] = [request("GET /api/fleet/csv", token)] * 5
    return found


async def sequential(port: int, each: list[Call]) -> list[float]:
    """Return the milliseconds of sequential calls."""
    connection = await HttpClient.open(port)
    taken = []
    for call in each:
        begun = time.perf_counter()
        await connection.send(call)
        taken.append(1e3 * (time.perf_counter() - begun))
    connection.close()
    return taken


def pages_ms(url: str, token: str) -> dict[str, list[float]]:
    """Return the milliseconds until each page is loaded, by its name; empty without Chromium."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        return {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"{url}/#token={token}")
        page.get_by_role("navigation").first.wait_for()
        taken = {"fleet, rows and overview": [_fleet_ms(page, url, k) for k in range(10)]}
        page.locator("table.headsets tbody a").first.click()
        page.wait_for_url("**/#/headsets/*")
        routes = {name: f"{url}/#/{name}" for name in OTHER_PAGES} | {"a headset": page.url}
        for name, route in routes.items():
            taken[name] = [_loaded_ms(page, route) for _ in range(5)]
        browser.close()
    return taken


def _fleet_ms(page: Page, url: str, k: int) -> float:
    page.goto("about:blank")
    begun = time.perf_counter()
    page.goto(f"{url}/#/fleet?attenuation_below={80 + k}&sort=attenuation_db")
    page.locator("table.headsets tbody tr").nth(49).wait_for()
    page.locator("[data-figure=fleet-median]").wait_for()
    return 1e3 * (time.perf_counter() - begun)


def _loaded_ms(page: Page, route: str) -> float:
    page.goto("about:blank")
    begun = time.perf_counter()
    page.goto(route, wait_until="networkidle")
    taken = 1e3 * (time.perf_counter() - begun) - NETWORK_IDLE_MS
    page.get_by_role("heading", level=1).wait_for()
    if page.get_by_role("alert").count():
        raise RuntimeError(f"{route}: {page.get_by_role('alert').first.inner_text()}")
    return taken


def row(name: str, taken: list[float]) -> str:
    """Return a line with median, p99 and maximum."""
    p50, p99 = np.percentile(taken, [50, 99])
    return f"{name:44}{p50:9.1f}{p99:9.1f}{max(taken):9.1f}"


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__)
    parser.add_argument("--headsets", type=int, default=10_000, help="Number of headsets.")
    parser.add_argument("--docs", action="store_true", help="Write the results into docs/performance.md.")
    chosen = parser.parse_args()
    lines = [environment(), ""]
    with tempfile.TemporaryDirectory() as folder:
        data, port = Path(folder) / "data", free_port()
        begun = time.perf_counter()
        # A process of its own, because the folder stays locked until it ends.
        adding = [sys.executable, "-m", "tools.cli.main", "fleet", "--populate", str(chosen.headsets)]
        subprocess.run([*adding, "--data", str(data)], check=True)
        lines += [f"{chosen.headsets:,} headsets added in {time.perf_counter() - begun:.1f} s", ""]
        lines += [f"{'ms':44}{'p50':>9}{'p99':>9}{'max':>9}"]
        token = Issuer(data, Settings()).issue("operator", "operator")
        with platform(port, data) as running:
            for name, each in calls(token).items():
                lines.append(row(name, asyncio.run(sequential(port, each))))
            for name, taken in pages_ms(running.url, token).items():
                lines.append(row(f"page in Chromium: {name}", taken))
    print("\n".join(lines))
    if chosen.docs:
        write_to_docs("fleet", "```\n" + "\n".join(lines) + "\n```")


if __name__ == "__main__":
    main()
