"""The player of a recording in an HTML report: the console's module with sound and pictures embedded."""

import base64
import io
import json
from pathlib import Path

import msgspec
import numpy as np
import soundfile

from anc.services.sound.overview import RecordingOverview
from anc.services.sound.report import RecordingReport
from anc.services.sound.timeline import AlarmSpan, NoiseSpan
from local.http.console import WEB
from tools.report.page import EmbeddedPlayer

MAX_SOUND_S = 120.0  # two channels at 48 kHz take up to 30 MB in the page
MODULE, STYLE = "lib/player.js", "lib/player.css"
START = """
const report = JSON.parse(document.getElementById("recording").textContent);
new Player(document.getElementById("player"), report);
"""


class SoundCopy:
    """Copy of the beginning of a recording, before and after filtering, in memory.

    Parameters
    ----------
    rate : int
        Hz.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._frames = 0
        self._pieces: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])

    def add(self, before: np.ndarray, after: np.ndarray) -> None:
        """Add the next samples, both (n,) int16. Samples beyond `MAX_SOUND_S` are not kept."""
        self._frames += len(before)
        if self.is_complete:
            for pieces, samples in zip(self._pieces, (before, after), strict=True):
                pieces.append(samples)

    @property
    def is_complete(self) -> bool:
        """Whether the recording is short enough for a page."""
        return self._frames <= MAX_SOUND_S * self.rate

    def addresses(self) -> dict[str, str]:
        """Return the sounds as `data:` addresses of FLAC files; none if the recording is too long."""
        if not self.is_complete or not self._frames:
            return {}
        return {
            name: _flac(np.concatenate(pieces), self.rate)
            for name, pieces in zip(("before", "after"), self._pieces, strict=True)
        }


def embedded_player(
    report: RecordingReport, overview: RecordingOverview | None, sound: SoundCopy
) -> EmbeddedPlayer:
    """Return the player of a filtered recording."""
    content = {
        "seconds": report.seconds,
        "sounds": sound.addresses(),
        "overview": msgspec.to_builtins(overview),
        "noise": [_mark(span, span.label) for span in report.noise or ()],
        "alarms": [_mark(span, span.kind) for span in report.emergencies or ()],
    }
    note = "" if sound.is_complete else f"Pages hold the sound of recordings of up to {MAX_SOUND_S:.0f} s."
    module = _text(MODULE).replace("export class Player", "class Player")
    return EmbeddedPlayer(_text(STYLE), module + START, json.dumps(content).replace("<", "\\u003c"), note)


def _mark(span: NoiseSpan | AlarmSpan, label: str) -> dict[str, object]:
    return {"from_s": span.from_s, "to_s": span.to_s, "label": label.replace("_", " ")}


def _flac(samples: np.ndarray, rate: int) -> str:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, "PCM_16", format="FLAC")
    return f"data:audio/flac;base64,{base64.b64encode(file.getvalue()).decode()}"


def _text(name: str) -> str:
    return Path(WEB, name).read_text(encoding="utf-8")
