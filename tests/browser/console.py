"""A browser page with the console: its controls, figures, frames and sound."""

import base64
import json
import os
import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import ConsoleMessage, Locator, Page, Response, ViewportSize, WebSocket, expect

from anc.services.access.identity import Role
from anc.settings import Settings
from local.auth.issuer import Issuer
from tests.processes import PATIENCE_S, Platform

SCREENSHOTS = Path(__file__).parents[2] / "build" / "browser"
KEEP_SCREENSHOTS = "SCREENSHOTS" in os.environ  # they take a fifth of the time of the checks beside them
PHONE, DESKTOP = ViewportSize(width=390, height=844), ViewportSize(width=1280, height=800)
SCREENS = {"phone": PHONE, "desktop": DESKTOP}
MORE_SCREENS = {str(width): ViewportSize(width=width, height=900) for width in (320, 390, 768, 1440)}
THEMES: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")
PATIENCE_MS = 1000 * PATIENCE_S
AXE = Axe().axe_script
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RULES_OF_COLOURS = ["color-contrast", "link-in-text-block"]  # of RULES; a theme changes colours only

# Connects an analyser to the audio output; `outputLevel` measures its last third of a second.
ANALYSER = """
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (to, ...rest) {
  if (to instanceof AudioDestinationNode) {
    window.analyser = new AnalyserNode(this.context, { fftSize: 16384 });
    connect.call(this, window.analyser);
  }
  return connect.call(this, to, ...rest);
};
window.outputLevel = () => {
  if (!window.analyser) return -120;  // the audio output is not open yet
  const samples = new Float32Array(window.analyser.fftSize);
  window.analyser.getFloatTimeDomainData(samples);
  return 10 * Math.log10(samples.reduce((sum, sample) => sum + sample * sample, 1e-12) / samples.length);
};
"""

LOOP_SOURCES = """() => {
  const start = AudioBufferSourceNode.prototype.start;
  AudioBufferSourceNode.prototype.start = function () { this.loop = true; start.call(this); };
}"""


class Console:
    """A page with the console.

    Attributes
    ----------
    problems : list of str
        Exceptions, violations of the content security policy, and missing files.
    """

    def __init__(self, page: Page, platform: Platform) -> None:
        self.page = page
        self.url = f"http://127.0.0.1:{platform.port}"
        self._platform = platform
        self.problems: list[str] = []
        page.context.set_default_timeout(PATIENCE_MS)
        page.add_init_script(ANALYSER)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", self._console)
        page.on("response", self._response)
        self._sent: list[dict[str, Any]] = []
        self._received: list[dict[str, Any]] = []
        page.on("websocket", self._socket)

    def _socket(self, socket: WebSocket) -> None:
        socket.on("framesent", lambda frame: self._sent.append(json.loads(frame)))
        socket.on("framereceived", lambda frame: self._received.append(json.loads(frame)))

    def _console(self, message: ConsoleMessage) -> None:
        # The page shows errors of the platform, and `_response` checks them.
        if message.type in ("error", "warning") and not re.match(
            "Failed to load|WebSocket conn", message.text
        ):
            self.problems.append(message.text)

    def _response(self, response: Response) -> None:
        path = response.url.removeprefix(self.url)
        if response.status >= 400 and not path.startswith(("/api/", "/sign-in")):
            self.problems.append(f"{path}: {response.status}")

    def sign_in(self, user: str, role: Role) -> None:
        """Sign in with a token of a user."""
        token = Issuer(self._platform.data, Settings()).issue(user, role)
        self.page.goto(f"{self.url}/#token={token}")
        self.page.get_by_role("navigation").wait_for()

    def show(self, place: str) -> None:
        """Open a page."""
        self.page.goto(f"{self.url}/#/{place}")
        self.page.get_by_role("heading", level=1).wait_for()

    def button(self, name: str) -> Locator:
        """Return a button by its label."""
        return self.page.get_by_role("button", name=name)

    def choose(self, name: str) -> None:
        """Select a radio button."""
        self.page.get_by_role("radio", name=name, exact=True).check()

    def send(self, recording: Path) -> Locator:
        """Upload a recording and return its row after processing."""
        self.page.locator("input[type=file]").set_input_files(recording)
        self.button("Upload it").click()
        row = self.page.get_by_role("row", name=recording.name).first
        expect(row).to_contain_text("Done")
        return row

    def make_key(self, name: str, scopes: str = "") -> str:
        """Create an API key and return it."""
        self.show("users")
        self.page.get_by_label("Name", exact=True).first.fill(name)
        self.page.get_by_label("Scopes").fill(scopes)
        self.button("Create key").click()
        shown = self.page.get_by_role("status").filter(has_text="displayed only once")
        return shown.locator("code").inner_text()

    def play(self) -> None:
        """Click Play and wait for the first answer."""
        self.button("Play").click()
        self.until("blocks", "value >= 1")

    def play_sirens(self) -> None:
        """Play a siren again and again: a page on a busy machine skips blocks, and may skip all of one."""
        self.page.evaluate(LOOP_SOURCES)
        self.button("Play a siren").click()

    def figure(self, name: str) -> float:
        """Return the number in a figure."""
        return float(self.text(name).replace(",", "").split()[0])

    def text(self, name: str) -> str:
        """Return the text of a figure."""
        return self.page.locator(f"[data-figure={name}]").inner_text()

    def level(self, which: str) -> float:
        """Return the value of a level meter, in dBFS."""
        return float(self.page.locator(f".meter.{which} output").inner_text().split()[0])

    def wait_for(self, function: str) -> None:
        """Wait until a JavaScript function returns a truthy value.

        It must be a function: Playwright re-evaluates expressions at each poll, which the content security
        policy of the page blocks.
        """
        assert function.lstrip().startswith("() =>"), function
        self.page.wait_for_function(function)

    def until(self, name: str, condition: str) -> None:
        """Wait until `value` or `text` of a figure fulfils a JavaScript condition."""
        self.wait_for(
            f"""() => {{
              const text = document.querySelector("[data-figure={name}]")?.textContent ?? "";
              const value = parseFloat(text.replaceAll(",", ""));
              return {condition};
            }}"""
        )

    def until_levels(self, condition: str) -> None:
        """Wait until `before` and `after` of the level meters fulfil a JavaScript condition."""
        self.wait_for(
            f"""() => {{
              const shown = (which) =>
                parseFloat(document.querySelector(`.meter.${{which}} output`)?.textContent);
              const [before, after] = [shown("before"), shown("after")];
              return {condition};
            }}"""
        )

    def output_level(self) -> float:
        """Return the level of the audio output, in dBFS."""
        level: float = self.page.evaluate("outputLevel()")
        return level

    def until_output(self, condition: str) -> None:
        """Wait until the `level` of the audio output fulfils a JavaScript condition."""
        self.wait_for(f"() => {{ const level = window.outputLevel(); return {condition}; }}")

    def transmitted(self, blocks: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the samples of the first blocks: sent (channels interleaved) and received.

        There is one pair per run without gaps: the page skips blocks when a busy machine answers late.
        """

        def by_number(frames: list[dict[str, Any]]) -> dict[int, bytes]:
            return {frame["seq"]: base64.b64decode(frame["pcm"]) for frame in frames if "pcm" in frame}

        sent, received = by_number(self._sent), by_number(self._received)  # repetitions count once
        first = sorted(received)[:blocks]
        starts = [at for at, seq in enumerate(first) if at == 0 or seq != first[at - 1] + 1]
        runs = [first[start:stop] for start, stop in pairwise([*starts, len(first)])]

        def samples(pcm: dict[int, bytes], run: list[int]) -> np.ndarray:
            return np.frombuffer(b"".join(pcm[seq] for seq in run), "<i2") / 32768

        return [(samples(sent, run), samples(received, run)) for run in runs]

    def sent(self, action: str) -> list[dict[str, Any]]:
        """Return the frames of an action that the page has sent."""
        return [frame for frame in self._sent if frame["action"] == action]

    def session(self) -> str:
        """Return the displayed id of the live session."""
        return self.text("session")

    def drop(self, where: str, file: Path) -> None:
        """Drop a file on the first element that matches a CSS selector."""
        given = {"name": file.name, "data": base64.b64encode(file.read_bytes()).decode()}
        transfer = self.page.evaluate_handle(
            """({ name, data }) => {
              const transfer = new DataTransfer();
              const bytes = Uint8Array.from(atob(data), (char) => char.charCodeAt(0));
              transfer.items.add(new File([bytes], name));
              return transfer;
            }""",
            given,
        )
        for event in ("dragover", "drop"):
            self.page.locator(where).first.dispatch_event(event, {"dataTransfer": transfer})

    def unreachable_controls(self) -> list[str]:
        """Press Tab through the page and return the controls that were not focused.

        A round in which the page loaded more controls does not count.
        """
        selector = "a[href], :is(button, input, select, textarea):not([disabled]), summary, [tabindex='0']"
        grown = True
        while grown:
            controls = self.page.evaluate(
                """(selector) => {
                  window.reached = new Set();
                  window.controls = new Set(document.querySelectorAll(selector));
                  addEventListener("focusin", ({ target }) => window.reached.add(target));
                  document.activeElement?.blur();
                  return window.controls.size;
                }""",
                selector,
            )
            for _ in range(controls + 2):
                self.page.keyboard.press("Tab")
            grown, missed = self.page.evaluate(
                """(selector) => {
                  const { reached, controls } = window;
                  const now = [...document.querySelectorAll(selector)];
                  const radios = new Set([...reached].map(({ type, name }) => type === "radio" && name));
                  return [
                    now.some((one) => !controls.has(one)),
                    now
                      .filter((one) => one.checkVisibility() && !reached.has(one) && !radios.has(one.name))
                      .map((one) => one.outerHTML),
                  ];
                }""",
                selector,
            )
        return list(missed)

    def violations(self, rules: list[str] = RULES) -> list[str]:
        """Return the accessibility violations of the page, by rules or sets of rules."""
        options: dict[str, Any] = {"runOnly": rules, "resultTypes": ["violations"]}
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE)
        found = self.page.evaluate("(options) => axe.run(options).then((found) => found.violations)", options)
        return [f"{rule['id']}: {node['html']}" for rule in found for node in rule["nodes"]]

    def check_width(self, name: str, screens: Mapping[str, ViewportSize]) -> None:
        """Check that the page fits the width of every screen."""
        for screen, viewport in screens.items():
            self.page.set_viewport_size(viewport)
            self._check_width(f"{name}-{screen}")

    def check_appearance(self, name: str, screens: Mapping[str, ViewportSize] = SCREENS) -> None:
        """Check accessibility and width on every screen in both themes."""
        for screen, viewport in screens.items():
            self.page.set_viewport_size(viewport)
            for theme, rules in zip(THEMES, (RULES, RULES_OF_COLOURS), strict=True):
                self.page.emulate_media(color_scheme=theme, reduced_motion="reduce")
                case = f"{name}-{screen}-{theme}"
                assert self.violations(rules) == [], case
                self._check_width(case)

    def _check_width(self, case: str) -> None:
        if KEEP_SCREENSHOTS:
            SCREENSHOTS.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=SCREENSHOTS / f"{case}.png", full_page=True)
        assert self.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), case
