"""Recordings: a sound file in, block by block, the cleaned one and a report out, in constant memory."""

import struct
from collections.abc import Iterator
from typing import Literal, Self

import msgspec
import numpy as np
from aws_lambda_powertools import Logger

from anc.audio.reader import AudioReader, open_short
from anc.dsp import FDAF
from anc.dsp.meter import Meter
from anc.noise import Classifier, ModelError
from anc.pcm import float_to_int16, int16_to_float
from anc.ports import Dependencies
from anc.records import Options
from anc.schemas.refusal import refuse
from anc.services.sound import detection
from anc.services.sound.adaptive_filters import AdaptiveFilter, new_filter, restore_filter
from anc.services.sound.cpu_budget import Charge, estimated_cpu_s, no_charge
from anc.services.sound.report import RecordingReport, compare
from anc.services.sound.timeline import Timeline
from anc.settings import Settings

STEP = {"cancel": 0.5, "predict": 0.1}  # mu unless another is asked for
BLOCK = 1 << 16  # frames decoded and filtered at a time; a whole number of the FDAF's own blocks
FDAF_BLOCK = 512
SHORT_RESULT_BYTES = 4_000_000  # Lambda answers with up to 6 MB, in base64
WAV_HEADER_BYTES = 44

ProcessingMode = Literal["cancel", "predict", "classify"]

logger = Logger(service="recordings")


class _State(msgspec.Struct):
    options: Options
    rate: int
    channels: int
    filter: bytes
    before: bytes
    after: bytes
    timeline: bytes


class RecordingProcessor:
    """A recording on its way through filter, meters and hearing.

    Parameters
    ----------
    options : Options
    rate : int
        Hz.
    channels : int
        Reference and primary, or one.
    classifier : Classifier or None
        None when there is none to be had: the report then says nothing of noise and alarms.

    Raises
    ------
    Refused
        `bad_field` when the mode needs another number of channels.
    """

    def __init__(self, options: Options, rate: int, channels: int, classifier: Classifier | None) -> None:
        mode = _mode(options, channels)
        mu = options.mu or STEP.get(mode)
        self.options = msgspec.structs.replace(options, mode=mode, mu=mu)
        self.rate = rate
        self.channels = channels
        self._filter = self._new_filter()
        self._before, self._after = Meter(rate), Meter(rate)
        self._timeline = Timeline(classifier, rate) if classifier else None

    @property
    def frames(self) -> int:
        """Samples per channel so far."""
        return self._before.samples

    def process(self, block: np.ndarray) -> np.ndarray:
        """Treat the next samples.

        Parameters
        ----------
        block : (n, channels) float32
            Full scale 1. With the FDAF every block but the last is a multiple of 512.

        Returns
        -------
        (n,) int16
            What is left of the primary; none, (0,), when the noise is only named.
        """
        x, d = self._signals(block)
        self._before.add(d)
        if self._timeline:
            self._timeline.process(np.clip(x, -1.0, 1.0))
        if self._filter is None:
            return np.zeros(0, np.int16)
        residual = float_to_int16(_residual(self._filter, x, d))
        self._after.add(int16_to_float(residual))
        return residual

    def report(self) -> RecordingReport:
        """Sum up what was treated so far."""
        timeline = self._timeline
        return compare(
            self.options,
            self.channels,
            self._before,
            self._after if self._filter else None,
            self._filter.resets if self._filter else None,
            timeline.noise if timeline else None,
            timeline.alarms if timeline else None,
        )

    def state(self) -> bytes:
        """Everything needed to go on, as bytes: `from_state` continues bit for bit."""
        state = _State(
            options=self.options,
            rate=self.rate,
            channels=self.channels,
            filter=self._filter.state() if self._filter else b"",
            before=self._before.state(),
            after=self._after.state(),
            timeline=self._timeline.state() if self._timeline else b"",
        )
        return msgspec.msgpack.encode(state)

    @classmethod
    def from_state(cls, state: bytes, classifier: Classifier | None) -> Self:
        """Return the treatment that `state` was taken from.

        A timeline that had begun goes on only with a classifier, and never begins in the middle.
        """
        kept = msgspec.msgpack.decode(state, type=_State)
        treatment = cls(kept.options, kept.rate, kept.channels, None)
        if treatment._filter:
            treatment._filter = restore_filter(
                "predict" if kept.options.mode == "predict" else "cancel",
                kept.options.algorithm,
                kept.filter,
                rate=kept.rate,
            )
        treatment._before, treatment._after = Meter.from_state(kept.before), Meter.from_state(kept.after)
        if classifier and kept.timeline:
            treatment._timeline = Timeline.from_state(classifier, kept.rate, kept.timeline)
        return treatment

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
        mono = block.mean(axis=1)
        return mono, mono


def residuals(source: AudioReader, treatment: RecordingProcessor, frames: int) -> Iterator[np.ndarray]:
    """Treat `frames` more of a file, rounded up to whole blocks; yield their residuals, (n,) int16.

    Raises
    ------
    Refused
        As `AudioReader.read`.
    """
    for _ in range(0, frames, BLOCK):
        block = source.read(BLOCK)
        if len(block):
            yield treatment.process(block)
        if len(block) < BLOCK:
            return


def process_short(
    data: bytes, options: Options, deps: Dependencies, charge: Charge = no_charge
) -> tuple[bytes, RecordingReport]:
    """Treat a file of up to 10 MB and a minute; return the result as a wav file, and the report.

    There is no result, b"", when the noise is only named. `charge` gets the predicted core-seconds first.

    Raises
    ------
    Refused
        Naming what is wrong with it, and what is allowed; before any work for a result of more than 4 MB.
    """
    with open_short(data) as source:
        treatment = RecordingProcessor(options, source.rate, source.channels, classifier(deps.settings))
        size = WAV_HEADER_BYTES + 2 * source.frames
        if treatment.options.mode != "classify" and size > SHORT_RESULT_BYTES:
            refuse("too_large", f"result: {size:,} bytes, at most {SHORT_RESULT_BYTES:,}; upload it instead")
        charge(estimated_cpu_s(source, treatment.options))
        parts = [part.tobytes() for part in residuals(source, treatment, source.frames + 1)]
    pcm = b"".join(parts)
    deps.count("recordings_processed")
    return wav_header(len(pcm), source.rate) + pcm if pcm else b"", treatment.report()


def classifier(settings: Settings) -> Classifier | None:
    """Return the classifier, or None when it cannot be loaded: a recording can be cleaned without."""
    try:
        return detection.load_classifier(settings)
    except ModelError as fault:
        logger.error("no classifier: reports say nothing of noise and alarms", fault=str(fault))
        return None


def wav_header(data_bytes: int, rate: int) -> bytes:
    """Return what stands before the samples in a mono 16-bit wav file."""
    form = struct.pack("<4sI4s", b"RIFF", 36 + data_bytes, b"WAVE")
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    return form + fmt + struct.pack("<4sI", b"data", data_bytes)


def _mode(options: Options, channels: int) -> ProcessingMode:
    has = f"file: {channels} channel{'' if channels == 1 else 's'}"
    if options.mode is None and channels not in (1, 2):
        refuse("bad_field", f"{has}, 2 (reference, primary) or 1 are needed")
    mode: ProcessingMode = options.mode or ("cancel" if channels == 2 else "classify")
    if mode == "cancel" and channels != 2:
        refuse("bad_field", f"{has}, 2 are needed to cancel (reference, primary)")
    if mode == "predict" and channels != 1:
        refuse("bad_field", f"{has}, 1 is needed to predict")
    return mode


def _residual(adaptive: AdaptiveFilter, x: np.ndarray, d: np.ndarray) -> np.ndarray:
    n = d.size
    # The last block of a file is seldom whole: silence fills it up, and is cut off again.
    missing = -n % FDAF_BLOCK if isinstance(adaptive.bare, FDAF) else 0
    _, e = adaptive.process(np.pad(x, (0, missing)), np.pad(d, (0, missing)))
    return e[:n]
