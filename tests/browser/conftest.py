"""The console in Chromium, with a microphone that plays a file."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Browser, expect, sync_playwright

from anc.services.access.identity import Role
from tests.browser.console import DESKTOP, PATIENCE_MS, Console
from tests.processes import ANC, Platform

# The first takes the least processor time.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
RATE = 48_000
HUM_DBFS = -20.0
expect.set_options(timeout=PATIENCE_MS)

Visit = Callable[..., Console]
Headset = Callable[..., None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests if Chromium is not installed. CI requires it."""
    if CHROMIUM or os.environ.get("CI"):
        return
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="no Chromium here (apt-get install chromium)"))


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Yield a platform with the included model, which detects the siren."""
    platform = Platform(tmp_path_factory.mktemp("console"))
    yield platform
    platform.kill()


@pytest.fixture(scope="session")
def hum(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the input of the fake microphone: predictable hum and unpredictable hiss."""
    t = np.arange(10 * RATE) / RATE
    tones = sum(np.sin(2 * np.pi * 100 * k * t + k) / k for k in range(1, 9))
    tones *= 10 ** (HUM_DBFS / 20) / np.sqrt(np.mean(tones**2))
    hiss = 1e-3 * np.random.default_rng(3).standard_normal(t.size)
    path = tmp_path_factory.mktemp("sounds") / "hum.wav"
    soundfile.write(path, tones + hiss, RATE)
    return path


@pytest.fixture(scope="session")
def siren(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a wailing siren over hiss."""
    t = np.arange(12 * RATE) / RATE
    hz = 1050 - 450 * np.cos(np.pi * t / 2)
    phase = 2 * np.pi * np.cumsum(hz) / RATE
    wail = sum(np.sin(k * phase) / k for k in range(1, 4))
    path = tmp_path_factory.mktemp("sounds") / "siren.wav"
    soundfile.write(path, 0.1 * wail + 1e-3 * np.random.default_rng(4).standard_normal(t.size), RATE)
    return path


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
def browser(hum: Path) -> Iterator[Browser]:
    """Yield Chromium, per module, because its event loop blocks others."""
    assert CHROMIUM, "no Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            timeout=PATIENCE_MS,
            args=[
                "--no-sandbox",
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-audio-capture={hum}",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser, platform: Platform) -> Iterator[Visit]:
    """Yield `visit(place, ...)`, which opens a console. Fails if the browser reported problems."""
    contexts = []
    consoles = []

    def begin(
        place: str = "live",
        role: Role | None = "admin",
        user: str = "demo",
        on: Platform = platform,
        **options: Any,
    ) -> Console:
        context = browser.new_context(**{"viewport": DESKTOP, "permissions": ["microphone"], **options})
        contexts.append(context)
        console = Console(context.new_page(), on)
        consoles.append(console)
        if role:
            console.sign_in(user, role)
            console.show(place)
        return console

    yield begin
    for context in contexts:
        context.close()
    assert [problem for console in consoles for problem in console.problems] == []


@contextlib.contextmanager
def running_headsets(platform: Platform, folder: Path) -> Iterator[Headset]:
    """Yield `headset(thing, noise)`, which simulates a headset in a noise, by default in three in turn."""
    running = []

    def begin(thing: str, noise: Path | None = None) -> None:
        where = ["--port", str(platform.port), "--data", str(platform.data)]
        log = (folder / f"{thing}.log").open("wb")
        command = [ANC, "headset", "--thing", thing, *where, *(["--noise", str(noise)] if noise else [])]
        running.append(subprocess.Popen(command, stdout=log, stderr=log, env=platform.environ))

    try:
        yield begin
    finally:  # each needs a third of a core
        for process in running:
            process.kill()
            process.wait()


@pytest.fixture
def headset(platform: Platform, tmp_path: Path) -> Iterator[Headset]:
    """Yield what starts a headset for one test."""
    with running_headsets(platform, tmp_path) as begin:
        yield begin
