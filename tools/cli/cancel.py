"""`anc cancel`: a two-channel recording in, the primary without what the reference explains out."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import soundfile

from anc.audio.reader import open_path
from anc.records import Options
from anc.schemas.refusal import Refused
from anc.services.sound.recordings import RecordingProcessor, classifier, residuals
from anc.services.sound.report import RecordingReport
from anc.services.sound.report_plot import plot_report
from anc.settings import Settings
from tools.report.page import write_page


def cancel_file(
    source: Path,
    target: Path,
    algorithm: Literal["fdaf", "nlms"] = "fdaf",
    taps: int = 512,
    mu: float = 0.5,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> RecordingReport:
    """Clean a recording in constant memory.

    Parameters
    ----------
    source : Path
        Two channels: the reference, and the primary that shall be cleaned; any of `anc.audio.formats`.
    target : Path
        One channel, 16 bit, in the format of its ending.
    algorithm : {'fdaf', 'nlms'}
    taps : int
    mu : float, 0 < mu < 2
    progress : callable
        Called with samples done and samples in all.

    Raises
    ------
    Refused
        When the source is no sound file of two channels, or holds nothing, or values that are not finite, and
        when the target cannot be written.
    """
    options = Options(mode="cancel", algorithm=algorithm, taps=taps, mu=mu)
    part = target.with_stem(f".{target.stem}.part")  # a target that is there stays until the new one is whole
    try:
        with open_path(source) as sound:
            processor = RecordingProcessor(options, sound.rate, sound.channels, classifier(Settings()))
            with _create(part, target, sound.rate) as cleaned:
                for residual in residuals(sound, processor, sound.frames + 1):
                    cleaned.write(residual)
                    progress(processor.frames, sound.frames)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return processor.report()


def write_report(report: RecordingReport, name: str, target: Path) -> None:
    """Draw a report, as a PNG and, when the target ends in .html, as a page with it inside as well."""
    spectrogram = plot_report(report)
    target.with_suffix(".png").write_bytes(spectrogram)
    if target.suffix.lower() != ".png":
        write_page(target, f"{name}, before and after", report.summary(), {"report.png": spectrogram})


def _create(part: Path, target: Path, rate: int) -> soundfile.SoundFile:
    subtype = "VORBIS" if target.suffix.lower() == ".ogg" else "PCM_16"
    try:
        return soundfile.SoundFile(part, "w", rate, 1, subtype)
    except (soundfile.SoundFileError, TypeError, ValueError) as fault:
        raise Refused("bad_field", f"{target}: cannot be written ({fault})") from fault
