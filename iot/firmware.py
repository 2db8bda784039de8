"""Download a firmware update in the background, verify it, and store it for the boot loader."""

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
READ_TIMEOUT_S = 30.0
MAX_DOWNLOAD_S = 1800.0


class InvalidFirmware(Exception):
    """Raised when a download fails or its size or hash differs from the request; the message says why."""


class Updater:
    """Download one firmware at a time in a separate thread; the headset keeps working meanwhile.

    A verified image is moved to `firmware.bin` atomically. A download that failed is deleted.

    Parameters
    ----------
    folder : Path
        Persistent storage of the headset.
    running : str
        Version of the running firmware, three numbers. If empty, nothing is downloaded.
    on_change : callable
        `on_change(state)`, called from the download thread.
    """

    def __init__(self, folder: Path, running: str, on_change: Callable[[FirmwareState], None]) -> None:
        self._image = folder / "firmware.bin"
        self._running = _version(running) if running else ()
        self._on_change = on_change
        self._requested: Firmware | None = None
        self._withdrawn: Firmware | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    def request(self, firmware: Firmware, retry: bool) -> FirmwareState | None:
        """Start a download if this firmware was not requested before, or if it failed and `retry` is set.

        Returns
        -------
        FirmwareState or None
            The state to report from now on; None when it has not changed.
        """
        downloading = self._thread is not None and self._thread.is_alive()
        if downloading or not self._running or (firmware == self._requested and not retry):
            return None
        if _version(firmware.version) == self._running:
            return None
        self._requested, self._withdrawn = firmware, None
        if _version(firmware.version) < self._running:
            running = ".".join(map(str, self._running))
            reason = f"version must be newer than the running version {running}"
            return FirmwareState(firmware.version, "refused", reason)
        if _sha256(self._image) == firmware.sha256:
            return FirmwareState(firmware.version, "verified")
        self._thread = threading.Thread(target=self._run, args=(firmware,), name="firmware", daemon=True)
        self._thread.start()
        return FirmwareState(firmware.version, "downloading")

    def withdraw(self, firmware: Firmware) -> None:
        """Abort the download of this firmware, and delete its image if the boot loader has not taken it."""
        self._withdrawn, self._requested = firmware, None
        if _sha256(self._image) == firmware.sha256:
            self._image.unlink(missing_ok=True)

    def stop(self) -> None:
        """Abort a download in progress."""
        self._stopping.set()

    def _run(self, firmware: Firmware) -> None:
        partial = self._image.with_suffix(".new")
        try:
            self._download(firmware, partial)
            os.replace(partial, self._image)
            state = FirmwareState(firmware.version, "verified")
        except (InvalidFirmware, httpx.HTTPError, httpx.InvalidURL, OSError) as fault:
            partial.unlink(missing_ok=True)
            reason = str(fault) if isinstance(fault, InvalidFirmware) else f"download failed: {fault}"
            logger.warning("firmware %s: %s", firmware.version, reason)
            state = FirmwareState(firmware.version, "refused", reason[:200])
        self._on_change(state)

    def _download(self, firmware: Firmware, partial: Path) -> None:
        digest, size, started = hashlib.sha256(), 0, time.monotonic()
        partial.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (
            httpx.stream("GET", firmware.url, timeout=READ_TIMEOUT_S) as response,
            partial.open("wb") as file,
        ):
            if response.status_code != httpx.codes.OK:
                raise InvalidFirmware(f"download failed: HTTP {response.status_code}")
            for chunk in response.iter_raw():
                size += len(chunk)
                if size > firmware.size:
                    raise InvalidFirmware(f"size: the download exceeds the expected {firmware.size:,} bytes")
                if self._withdrawn == firmware:
                    raise InvalidFirmware("withdrawn while it was downloaded")
                if self._stopping.is_set() or time.monotonic() > started + MAX_DOWNLOAD_S:
                    raise InvalidFirmware(
                        f"download failed: aborted after {size:,} of {firmware.size:,} bytes"
                    )
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        if size < firmware.size:
            raise InvalidFirmware(f"size: expected {firmware.size:,} bytes (got {size:,})")
        if digest.hexdigest() != firmware.sha256:
            raise InvalidFirmware("sha256: does not match the download")


def _version(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split("."))


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
