"""`anc cancel`: remove from a recording's primary channel what its reference channel predicts."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import soundfile

from anc.audio.reader import open_path
from anc.records import Options
from anc.schemas.refusal import Refused
from anc.services.sound.overview import RecordingOverview
from anc.services.sound.recordings import RecordingProcessor, classifier, processed
from anc.services.sound.report import RecordingReport
from anc.services.sound.report_plot import plot_report
from anc.settings import Settings
from tools.report.page import write_page
from tools.report.player import SoundCopy, embedded_player


class CancelledFile(NamedTuple):
    """A filtered recording: its report, and what a player shows of it."""

    report: RecordingReport
    overview: RecordingOverview | None
    sound: SoundCopy


def cancel_file(
    source: Path,
    target: Path,
    algorithm: Literal["fdaf", "nlms"] = "fdaf",
    taps: int = 512,
    mu: float = 0.5,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> CancelledFile:
    """Filter a recording in constant memory and return its report, its pictures and the sound of a short one.

    Parameters
    ----------
    source : Path
        Two channels, reference and primary, in any format of `anc.audio.formats`.
    target : Path
        One channel, 16 bit; the suffix selects the format.
    algorithm : {'fdaf', 'nlms'}
    taps : int
    mu : float, 0 < mu < 2
    progress : callable
        Called with the number of samples done and the total, estimated until the end.

    Raises
    ------
    Refused
        The source is not a two-channel sound file, is empty or holds non-finite values, or the target cannot
        be written.
    """
    options = Options(mode="cancel", algorithm=algorithm, taps=taps, mu=mu)
    part = target.with_stem(f".{target.stem}.part")  # an existing target is replaced only on success
    try:
        with open_path(source) as sound:
            processor = RecordingProcessor(options, sound.rate, sound.channels, classifier(Settings()))
            copy = SoundCopy(sound.rate)
            with _create(part, target, sound.rate) as cleaned:
                for primary, residual in processed(sound, processor):
                    cleaned.write(residual)
                    copy.add(primary, residual)
                    progress(processor.frames, round(processor.frames / sound.progress))
            cancelled = CancelledFile(processor.report(sound.note), processor.overview(), copy)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return cancelled


def write_report(cancelled: CancelledFile, name: str, target: Path) -> None:
    """Plot a report to a PNG file and, if the target is an .html file, write a page with plot and player."""
    report = cancelled.report
    plot = plot_report(report)
    target.with_suffix(".png").write_bytes(plot)
    if target.suffix.lower() != ".png":
        player = embedded_player(*cancelled)
        write_page(target, f"{name}, before and after", report.summary(), {"report.png": plot}, player)


def _create(part: Path, target: Path, rate: int) -> soundfile.SoundFile:
    subtype = "VORBIS" if target.suffix.lower() == ".ogg" else "PCM_16"
    try:
        return soundfile.SoundFile(part, "w", rate, 1, subtype)
    except (soundfile.SoundFileError, TypeError, ValueError) as fault:
        raise Refused("bad_field", f"{target}: cannot write this format ({fault})") from fault
