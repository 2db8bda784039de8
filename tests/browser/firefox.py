"""Firefox as its distribution ships it, driven over WebDriver BiDi.

Playwright drives a Firefox of its own, and another one only if it is newer than the extended support release.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from websockets.sync.client import connect

from tests.browser.console import AXE
from tests.processes import PATIENCE_S

FIREFOX = next(filter(None, map(shutil.which, ("firefox-esr", "firefox"))), None)
PREFERENCES = {
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "media.autoplay.default": 0,  # allowed
    "media.navigator.permission.disabled": True,  # the microphone is allowed
    "media.navigator.streams.fake": True,  # and plays a tone
}
LISTENING = re.compile(r"WebDriver BiDi listening on (ws://\S+)")
# Collects violations of the content security policy, and exceptions.
WATCH = """() => {
  window.problems = [];
  const add = (problem) => window.problems.push(problem);
  const note = (type, field) => addEventListener(type, (event) => add(`${type}: ${event[field]}`));
  note("securitypolicyviolation", "blockedURI");
  // What a ResizeObserver did not deliver, it delivers a frame later.
  const late = "ResizeObserver loop";
  addEventListener("error", ({ message }) => message.startsWith(late) || add(`error: ${message}`));
  note("unhandledrejection", "reason");
}"""


class BiDiError(Exception):
    """Firefox refused a command, or a script raised an exception."""


class Firefox:
    """One tab of a headless Firefox with a new profile.

    Parameters
    ----------
    profile : Path
        Folder that does not exist yet.
    """

    def __init__(self, profile: Path) -> None:
        assert FIREFOX, "no Firefox: apt-get install firefox-esr"
        profile.mkdir()
        lines = [
            f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in PREFERENCES.items()
        ]
        (profile / "user.js").write_text("\n".join(lines))
        command = [
            FIREFOX,
            "--headless",
            "--no-remote",
            "--remote-debugging-port",
            "0",
            "--profile",
            str(profile),
        ]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        assert self._process.stderr
        found = next(filter(None, map(LISTENING.search, self._process.stderr)), None)
        assert found, "Firefox did not start"
        self._socket = connect(f"{found[1]}/session", max_size=None, open_timeout=PATIENCE_S)
        self._last = 0
        self.command("session.new", capabilities={})
        self._tab = self.command("browsingContext.getTree")["contexts"][0]["context"]
        self.command("script.addPreloadScript", functionDeclaration=WATCH)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
        self._process.kill()
        self._process.wait()

    def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result."""
        self._last += 1
        self._socket.send(json.dumps({"id": self._last, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(timeout=PATIENCE_S))
            if answer.get("id") == self._last:
                break
        if answer["type"] == "error":
            raise BiDiError(f"{method}: {answer['message']}")
        result: dict[str, Any] = answer["result"]
        return result

    def open(self, url: str) -> None:
        """Load a page in a new document, also if only the fragment differs."""
        for address in ("about:blank", url):
            self.command("browsingContext.navigate", context=self._tab, url=address, wait="complete")

    def resize(self, width: int, height: int) -> None:
        """Set the size of the viewport."""
        self.command(
            "browsingContext.setViewport", context=self._tab, viewport={"width": width, "height": height}
        )

    def run(self, function: str, *arguments: Any) -> Any:
        """Call a JavaScript function, also an asynchronous one, and return its JSON value."""
        done = self.command(
            "script.callFunction",
            functionDeclaration=f"async (all) => JSON.stringify(await ({function})(...JSON.parse(all)) ?? 0)",
            arguments=[{"type": "string", "value": json.dumps(arguments)}],
            awaitPromise=True,
            target={"context": self._tab},
            userActivation=True,
        )
        if done["type"] != "success":
            raise BiDiError(done["exceptionDetails"]["text"])
        return json.loads(done["result"]["value"])

    def until(self, function: str, *arguments: Any) -> None:
        """Wait until a JavaScript function returns a truthy value."""
        self.run(
            f"""async (...all) => {{
              while (!({function})(...all)) await new Promise((resolve) => setTimeout(resolve, 50));
            }}""",
            *arguments,
        )

    def until_text(self, text: str) -> None:
        """Wait until the page shows a text."""
        self.until("(text) => document.body.innerText.includes(text)", text)

    def click(self, label: str) -> None:
        """Click a button, link, label or summary by its text or accessible name."""
        find = """(label) => [...document.querySelectorAll("button, a, label, summary")]
          .find((one) => one.checkVisibility() && (one.ariaLabel ?? one.innerText).trim() === label)"""
        self.until(find, label)
        self.run(f"(label) => ({find})(label).click()", label)

    def choose_file(self, selector: str, file: Path) -> None:
        """Choose a file in an input."""
        found = self.command(
            "script.evaluate",
            expression=f"document.querySelector({json.dumps(selector)})",
            awaitPromise=False,
            target={"context": self._tab},
        )
        element = {"sharedId": found["result"]["sharedId"]}
        self.command("input.setFiles", context=self._tab, element=element, files=[str(file)])

    def violations(self, rules: list[str]) -> list[str]:
        """Return the accessibility violations of the page, by sets of rules."""
        if not self.run("() => 'axe' in window"):
            self.command("script.evaluate", expression=AXE, awaitPromise=False, target={"context": self._tab})
        found: list[str] = self.run(
            """async (rules) => {
              const found = await axe.run({ runOnly: rules, resultTypes: ["violations"] });
              return found.violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
            }""",
            rules,
        )
        return found
