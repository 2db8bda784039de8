"""Process recordings block by block in constant memory: filter, measure and classify."""

import struct
from collections.abc import Iterator
from typing import Self

import msgspec
import numpy as np
from aws_lambda_powertools import Logger

from anc.audio.reader import MAX_FRAMES, AudioReader
from anc.dsp import FDAF
from anc.dsp.meter import Meter
from anc.noise import Classifier, ModelError
from anc.pcm import float_to_int16, int16_to_float
from anc.ports import Dependencies
from anc.records import Options
from anc.schemas.refusal import refuse
from anc.services.sound import detection
from anc.services.sound.adaptive_filters import AdaptiveFilter, new_filter, restore_filter
from anc.services.sound.channel_plan import choose_mode
from anc.services.sound.cpu_budget import Charge, estimated_cpu_s, no_charge, open_charged
from anc.services.sound.overview import Overview, RecordingOverview, recording_overview
from anc.services.sound.report import RecordingReport, build_report
from anc.services.sound.timeline import Timeline
from anc.settings import Settings

DEFAULT_MU = {"cancel": 0.5, "predict": 0.1}
BLOCK = 1 << 16  # frames decoded and filtered at a time; a multiple of FDAF_BLOCK
FDAF_BLOCK = 512
SHORT_RESULT_BYTES = 4_000_000  # a Lambda response is limited to 6 MB, in base64
WAV_HEADER_BYTES = 44

logger = Logger(service="recordings")


class _State(msgspec.Struct):
    options: Options
    rate: int
    channels: int
    filter: bytes
    before: bytes
    after: bytes
    timeline: bytes
    overview_before: bytes = b""  # missing in checkpoints of earlier versions
    overview_after: bytes = b""


class RecordingProcessor:
    """Filter, meters, classifier and pictures of one recording.

    Parameters
    ----------
    options : Options
    rate : int
        Hz.
    channels : int
        2 (reference, primary) to cancel, 1 to predict, any number to classify.
    classifier : Classifier or None
        Without one, the report has no noise classes and alarms.

    Raises
    ------
    Refused
        `bad_field` if the mode needs another number of channels.
    """

    def __init__(self, options: Options, rate: int, channels: int, classifier: Classifier | None) -> None:
        mode = choose_mode(options, channels)
        mu = options.mu or DEFAULT_MU.get(mode)
        self.options = msgspec.structs.replace(options, mode=mode, mu=mu)
        self.rate = rate
        self.channels = channels
        self._filter = self._new_filter()
        self._before, self._after = Meter(rate), Meter(rate)
        self._pictures: tuple[Overview, Overview] | None = (Overview(rate), Overview(rate))
        self._timeline = Timeline(classifier, rate, channels) if classifier else None

    @property
    def frames(self) -> int:
        """Number of samples per channel processed so far."""
        return self._before.samples

    def process(self, block: np.ndarray) -> np.ndarray:
        """Process the next samples.

        Parameters
        ----------
        block : (n, channels) float32
            Full scale 1. With the FDAF, n must be a multiple of 512 except in the last block.

        Returns
        -------
        (n,) int16
            Residual of the primary channel; empty in mode `classify`.
        """
        return self.process_both(block)[1]

    def process_both(self, block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As `process`, but return the primary channel, (n,) int16, and its residual."""
        x, d = self._signals(block)
        primary = float_to_int16(d)
        self._before.add(d)
        if self._pictures:
            self._pictures[0].add(d)
        if self._timeline:
            self._timeline.process(np.clip(block, -1.0, 1.0))
        if self._filter is None:
            return primary, np.zeros(0, np.int16)
        residual = float_to_int16(_residual(self._filter, x, d))
        heard = int16_to_float(residual)
        self._after.add(heard)
        if self._pictures:
            self._pictures[1].add(heard)
        return primary, residual

    def report(self, note: str = "") -> RecordingReport:
        """Return the report of the sound processed so far; `note` says what of the file is missing."""
        timeline = self._timeline
        return build_report(
            self.options,
            self.channels,
            self._before,
            self._after if self._filter else None,
            self._filter.resets if self._filter else None,
            timeline.noise if timeline else None,
            timeline.alarms if timeline else None,
            note,
        )

    def overview(self) -> RecordingOverview | None:
        """Return the pictures of the sound so far; None if an earlier version processed its beginning."""
        if not self._pictures:
            return None
        before, after = self._pictures
        return recording_overview(before, after if self._filter else None)

    def state(self) -> bytes:
        """Return the complete state as bytes; `from_state` continues bit for bit."""
        pictures = [each.state() for each in self._pictures] if self._pictures else [b"", b""]
        state = _State(
            options=self.options,
            rate=self.rate,
            channels=self.channels,
            filter=self._filter.state() if self._filter else b"",
            before=self._before.state(),
            after=self._after.state(),
            timeline=self._timeline.state() if self._timeline else b"",
            overview_before=pictures[0],
            overview_after=pictures[1],
        )
        return msgspec.msgpack.encode(state)

    @classmethod
    def from_state(cls, state: bytes, classifier: Classifier | None) -> Self:
        """Restore a processor from `state()`.

        Classification continues only if it was running and a classifier is given.
        """
        kept = msgspec.msgpack.decode(state, type=_State)
        processor = cls(kept.options, kept.rate, kept.channels, None)
        if processor._filter:
            processor._filter = restore_filter(
                "predict" if kept.options.mode == "predict" else "cancel",
                kept.options.algorithm,
                kept.filter,
                rate=kept.rate,
            )
        processor._before, processor._after = Meter.from_state(kept.before), Meter.from_state(kept.after)
        processor._pictures = None
        if kept.overview_before and kept.overview_after:
            before, after = kept.overview_before, kept.overview_after
            processor._pictures = Overview.from_state(before), Overview.from_state(after)
        if classifier and kept.timeline:
            processor._timeline = Timeline.from_state(classifier, kept.rate, kept.channels, kept.timeline)
        return processor

    def _new_filter(self) -> AdaptiveFilter | None:
        options = self.options
        if options.mode is None or options.mode == "classify":
            return None
        return new_filter(
            options.mode,
            options.algorithm,
            options.taps,
            options.mu or 0.0,
            rate=self.rate,
            horizon=options.horizon,
            fdaf_block=FDAF_BLOCK,
        )

    def _signals(self, block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self.options.mode == "cancel":
            return block[:, 0], block[:, 1]
        primary = block[:, min(1, self.channels - 1)]  # not the mean, in which channels may cancel
        return primary, primary


def processed(
    source: AudioReader, processor: RecordingProcessor, frames: int = MAX_FRAMES
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Process the next `frames` of a file, rounded up to whole blocks; yield primary and residual, int16.

    Raises
    ------
    Refused
        As `AudioReader.read`.
    """
    for _ in range(0, frames, BLOCK):
        if source.ended:
            return
        block = source.read(BLOCK)
        if len(block):
            yield processor.process_both(block)


def residuals(source: AudioReader, processor: RecordingProcessor) -> Iterator[np.ndarray]:
    """Process a file; yield residuals, (n,) int16. Raises as `processed`."""
    return (residual for _, residual in processed(source, processor))


def process_short(
    data: bytes, options: Options, deps: Dependencies, charge: Charge = no_charge
) -> tuple[bytes, RecordingReport]:
    """Process a file of up to 10 MB and a minute; return the result as a WAV file, and the report.

    In mode `classify` the result is b"". `charge` is called with the predicted core-seconds first.

    Raises
    ------
    Refused
        If the file is invalid, or the result would exceed 4 MB.
    """
    with open_charged(data, charge) as source:
        processor = RecordingProcessor(options, source.rate, source.channels, classifier(deps.settings))
        size = WAV_HEADER_BYTES + 2 * source.frames
        if processor.options.mode != "classify" and size > SHORT_RESULT_BYTES:
            refuse(
                "too_large",
                f"result: must be at most {SHORT_RESULT_BYTES:,} bytes (got {size:,}); upload it instead",
            )
        charge(estimated_cpu_s(source, processor.options))
        parts = [part.tobytes() for part in residuals(source, processor)]
        report = processor.report(source.note)
    pcm = b"".join(parts)
    deps.count("recordings_processed")
    return wav_header(len(pcm), source.rate) + pcm if pcm else b"", report


def classifier(settings: Settings) -> Classifier | None:
    """Return the classifier, or None if it cannot be loaded: filtering works without it."""
    try:
        return detection.load_classifier(settings)
    except ModelError as fault:
        logger.error("classifier not available; reports have no noise classes and alarms", fault=str(fault))
        return None


def wav_header(data_bytes: int, rate: int) -> bytes:
    """Return the header of a mono 16-bit WAV file."""
    form = struct.pack("<4sI4s", b"RIFF", 36 + data_bytes, b"WAVE")
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    return form + fmt + struct.pack("<4sI", b"data", data_bytes)


def _residual(adaptive: AdaptiveFilter, x: np.ndarray, d: np.ndarray) -> np.ndarray:
    n = d.size
    # Zeros pad the last block of a file to a multiple of the FDAF's block; they are removed afterwards.
    missing = -n % FDAF_BLOCK if isinstance(adaptive.bare, FDAF) else 0
    _, e = adaptive.process(np.pad(x, (0, missing)), np.pad(d, (0, missing)))
    return e[:n]
