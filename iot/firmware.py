"""Firmware that is wanted: fetched beside the sound, checked, and kept for the loader that starts it."""

import hashlib
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from anc.schemas.shadow import Firmware, FirmwareState

logger = logging.getLogger(__name__)
SILENT_S = 30.0  # without a byte, after which a server is given up
LONGEST_S = 1800.0


class InvalidFirmware(Exception):
    """What was fetched is not what was wanted; the message says why."""


class Updater:
    """Fetches one firmware at a time, in a thread of its own. The headset goes on as it was all the while.

    What was checked lies in `firmware.bin`, whole or not at all; nothing that failed ever does.

    Parameters
    ----------
    folder : Path
        The headset's own.
    running : str
        Version of the firmware that runs, three numbers; "" when it has none, and then nothing is fetched.
    changed : callable
        `changed(state)`, from the thread that fetches.
    """

    def __init__(self, folder: Path, running: str, changed: Callable[[FirmwareState], None]) -> None:
        self._kept = folder / "firmware.bin"
        self._running = _numbers(running) if running else ()
        self._changed = changed
        self._wanted: Firmware | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    def want(self, wanted: Firmware, again: bool) -> FirmwareState | None:
        """Begin to fetch a firmware if it is another than was wanted before, or failed and `again` is set.

        Returns
        -------
        FirmwareState or None
            What is to be said of it from now on; None when there is nothing new to say.
        """
        fetching = self._thread is not None and self._thread.is_alive()
        if fetching or not self._running or (wanted == self._wanted and not again):
            return None
        if _numbers(wanted.version) == self._running:
            return None
        self._wanted = wanted
        if _numbers(wanted.version) < self._running:
            runs = ".".join(map(str, self._running))
            return FirmwareState(wanted.version, "refused", f"version: older than {runs}, which runs")
        if _digest(self._kept) == wanted.sha256:
            return FirmwareState(wanted.version, "verified")
        self._thread = threading.Thread(target=self._fetch, args=(wanted,), name="firmware", daemon=True)
        self._thread.start()
        return FirmwareState(wanted.version, "downloading")

    def stop(self) -> None:
        """Give up what is being fetched."""
        self._stopping.set()

    def _fetch(self, wanted: Firmware) -> None:
        half = self._kept.with_suffix(".new")
        try:
            self._download(wanted, half)
            os.replace(half, self._kept)
            state = FirmwareState(wanted.version, "verified")
        except (InvalidFirmware, httpx.HTTPError, httpx.InvalidURL, OSError) as fault:
            half.unlink(missing_ok=True)
            reason = str(fault) if isinstance(fault, InvalidFirmware) else f"cannot be fetched: {fault}"
            logger.warning("firmware %s: %s", wanted.version, reason)
            state = FirmwareState(wanted.version, "refused", reason[:200])
        self._changed(state)

    def _download(self, wanted: Firmware, half: Path) -> None:
        digest, size, begun = hashlib.sha256(), 0, time.monotonic()
        half.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with httpx.stream("GET", wanted.url, timeout=SILENT_S) as answer, half.open("wb") as file:
            if answer.status_code != httpx.codes.OK:
                raise InvalidFirmware(f"cannot be fetched: HTTP {answer.status_code}")
            for part in answer.iter_raw():
                size += len(part)
                if size > wanted.size:
                    raise InvalidFirmware(f"size: more than the {wanted.size:,} bytes that were announced")
                if self._stopping.is_set() or time.monotonic() > begun + LONGEST_S:
                    raise InvalidFirmware(
                        f"cannot be fetched: given up after {size:,} of {wanted.size:,} bytes"
                    )
                digest.update(part)
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        if size < wanted.size:
            raise InvalidFirmware(f"size: {size:,} bytes, announced were {wanted.size:,}")
        if digest.hexdigest() != wanted.sha256:
            raise InvalidFirmware("sha256: not that of what was fetched")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split("."))


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
