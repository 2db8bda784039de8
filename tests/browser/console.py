"""The console as a person has it before them: what is on the page, what is in the ear."""

import base64
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import ConsoleMessage, Locator, Page, Response, WebSocket

from anc.services.access.identity import Role
from anc.settings import Settings
from local.auth.issuer import Issuer
from tests.processes import PATIENCE_S, Platform

PICTURES = Path(__file__).parents[2] / "build" / "browser"
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 800}
THEMES: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")
PATIENCE_MS = 1000 * PATIENCE_S
AXE = Axe().axe_script
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

# Whatever is sent to the loudspeakers also goes to an analyser; `heard` measures its last third of a second.
EAR = """
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (to, ...rest) {
  if (to instanceof AudioDestinationNode) {
    window.ear = new AnalyserNode(this.context, { fftSize: 16384 });
    connect.call(this, window.ear);
  }
  return connect.call(this, to, ...rest);
};
window.heard = () => {
  if (!window.ear) return -120;  // as in a page that is silent: the way to the loudspeakers is not open yet
  const samples = new Float32Array(window.ear.fftSize);
  window.ear.getFloatTimeDomainData(samples);
  return 10 * Math.log10(samples.reduce((sum, sample) => sum + sample * sample, 1e-12) / samples.length);
};
"""


class Console:
    """A page of the console.

    Attributes
    ----------
    complaints : list of str
        What the browser found wrong: exceptions, breaches of the Content-Security-Policy, missing files.
    """

    def __init__(self, page: Page, platform: Platform) -> None:
        self.page = page
        self.url = f"http://127.0.0.1:{platform.port}"
        self._platform = platform
        self.complaints: list[str] = []
        page.context.set_default_timeout(PATIENCE_MS)
        page.add_init_script(EAR)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._console)
        page.on("response", self._response)
        self._sent: list[dict[str, Any]] = []
        self._received: list[dict[str, Any]] = []
        page.on("websocket", self._socket)

    def _socket(self, socket: WebSocket) -> None:
        socket.on("framesent", lambda frame: self._sent.append(json.loads(frame)))
        socket.on("framereceived", lambda frame: self._received.append(json.loads(frame)))

    def _console(self, message: ConsoleMessage) -> None:
        # That the platform refused something is for the page to say, and for `_response` to judge.
        if message.type in ("error", "warning") and not re.match(
            "Failed to load|WebSocket conn", message.text
        ):
            self.complaints.append(message.text)

    def _response(self, response: Response) -> None:
        path = response.url.removeprefix(self.url)
        if response.status >= 400 and not path.startswith(("/api/", "/sign-in")):
            self.complaints.append(f"{path}: {response.status}")

    def sign_in(self, user: str, role: Role) -> None:
        """Open the console with a token, as somebody."""
        token = Issuer(self._platform.data, Settings()).issue(user, role)
        self.page.goto(f"{self.url}/#token={token}")
        self.page.get_by_role("navigation").wait_for()

    def show(self, place: str) -> None:
        """Go to a page."""
        self.page.goto(f"{self.url}/#/{place}")
        self.page.get_by_role("heading", level=1).wait_for()

    def button(self, name: str) -> Locator:
        """Return a button by what it says."""
        return self.page.get_by_role("button", name=name)

    def choose(self, name: str) -> None:
        """Choose one of several."""
        self.page.get_by_role("radio", name=name, exact=True).check()

    def play(self) -> None:
        """Press play, and wait for the first block to come back."""
        self.button("Play").click()
        self.until("blocks", "value >= 1")

    def figure(self, name: str) -> float:
        """Return a number that stands on the page."""
        return float(self.words(name).replace(",", "").split()[0])

    def words(self, name: str) -> str:
        """Return what stands on the page in a figure's place."""
        return self.page.locator(f"[data-figure={name}]").inner_text()

    def level(self, which: str) -> float:
        """Return what a level meter shows, in dBFS."""
        return float(self.page.locator(f".meter.{which} output").inner_text().split()[0])

    def wait_for(self, function: str) -> None:
        """Wait until a function in JavaScript returns something that counts as true.

        It has to be a function. An expression is evaluated anew at each look, which the page's own policy
        refuses from the second look on: only what the browser is told from outside is exempt from it.
        """
        assert function.lstrip().startswith("() =>"), function
        self.page.wait_for_function(function)

    def until(self, name: str, condition: str) -> None:
        """Wait until a figure's value, or its words, fulfil a condition in JavaScript."""
        self.wait_for(
            f"""() => {{
              const words = document.querySelector("[data-figure={name}]")?.textContent ?? "";
              const value = parseFloat(words.replaceAll(",", ""));
              return {condition};
            }}"""
        )

    def until_levels(self, condition: str) -> None:
        """Wait until what the level meters show fulfils a condition in JavaScript."""
        self.wait_for(
            f"""() => {{
              const shown = (which) =>
                parseFloat(document.querySelector(`.meter.${{which}} output`)?.textContent);
              const [before, after] = [shown("before"), shown("after")];
              return {condition};
            }}"""
        )

    def heard(self) -> float:
        """Return the level that goes to the loudspeakers, in dBFS."""
        level: float = self.page.evaluate("heard()")
        return level

    def until_heard(self, condition: str) -> None:
        """Wait until the level that goes to the loudspeakers fulfils a condition in JavaScript."""
        self.wait_for(f"() => {{ const level = window.heard(); return {condition}; }}")

    def carried(self, blocks: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the samples of the first blocks: as sent, channels interleaved, and as they came back.

        One pair between gaps: the page skips blocks when a busy machine is late with its answers.
        """

        def by_number(frames: list[dict[str, Any]]) -> dict[int, bytes]:
            return {frame["seq"]: base64.b64decode(frame["pcm"]) for frame in frames if "pcm" in frame}

        sent, received = by_number(self._sent), by_number(self._received)  # each once, however often it went
        first = sorted(received)[:blocks]
        starts = [at for at, seq in enumerate(first) if at == 0 or seq != first[at - 1] + 1]
        runs = [first[start:stop] for start, stop in pairwise([*starts, len(first)])]

        def samples(pcm: dict[int, bytes], run: list[int]) -> np.ndarray:
            return np.frombuffer(b"".join(pcm[seq] for seq in run), "<i2") / 32768

        return [(samples(sent, run), samples(received, run)) for run in runs]

    def sent(self, action: str) -> list[dict[str, Any]]:
        """Return the frames of a kind that the page has sent."""
        return [frame for frame in self._sent if frame["action"] == action]

    def session(self) -> str:
        """Return how the live session is called."""
        return self.words("session")

    def drop(self, where: str, file: Path) -> None:
        """Drop a file on the first element that a CSS selector finds."""
        given = {"name": file.name, "data": base64.b64encode(file.read_bytes()).decode()}
        transfer = self.page.evaluate_handle(
            """({ name, data }) => {
              const transfer = new DataTransfer();
              const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
              transfer.items.add(new File([bytes], name));
              return transfer;
            }""",
            given,
        )
        for event in ("dragover", "drop"):
            self.page.locator(where).first.dispatch_event(event, {"dataTransfer": transfer})

    def out_of_reach(self) -> list[str]:
        """Press Tab until it comes round; returns what can be used and was not reached.

        A page that asks the platform grows while it is walked through: that round does not count.
        """
        able = "a[href], button:not([disabled]), input:not([disabled]), select:not([disabled]), summary"
        grown = True
        while grown:
            controls = self.page.evaluate(
                """(able) => {
                  window.reached = new Set();
                  window.controls = new Set(document.querySelectorAll(able));
                  addEventListener("focusin", ({ target }) => window.reached.add(target));
                  document.activeElement?.blur();
                  return window.controls.size;
                }""",
                able,
            )
            for _ in range(controls + 2):
                self.page.keyboard.press("Tab")
            grown, missed = self.page.evaluate(
                """(able) => {
                  const { reached, controls } = window;
                  const now = [...document.querySelectorAll(able)];
                  const radios = new Set([...reached].map(({ type, name }) => type === "radio" && name));
                  return [
                    now.some((one) => !controls.has(one)),
                    now
                      .filter((one) => one.checkVisibility() && !reached.has(one) && !radios.has(one.name))
                      .map((one) => one.outerHTML),
                  ];
                }""",
                able,
            )
        return list(missed)

    def violations(self) -> list[str]:
        """Return which rules of accessibility the page breaks, and where."""
        options: dict[str, Any] = {"runOnly": RULES, "resultTypes": ["violations"]}
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE)
        found = self.page.evaluate("(options) => axe.run(options).then((found) => found.violations)", options)
        return [f"{rule['id']}: {node['html']}" for rule in found for node in rule["nodes"]]

    def is_fit_to_be_seen(self, name: str) -> None:
        """Look at it in both themes, on a phone and a desk: accessible, nothing cut off; keep pictures."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        for size, viewport in {"phone": PHONE, "desktop": DESKTOP}.items():
            self.page.set_viewport_size(viewport)
            for theme in THEMES:
                self.page.emulate_media(color_scheme=theme, reduced_motion="reduce")
                seen = f"{name}-{size}-{theme}"
                self.page.screenshot(path=PICTURES / f"{seen}.png", full_page=True)
                assert self.violations() == [], seen
                assert self.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), seen
