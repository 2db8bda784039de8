"""The headset agent: publishes what it hears, plays what the cloud computes, trusts its own microphones."""

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from anc.ports import Credentials
from anc.wire.refusal import Refused, refuse
from anc.wire.shadow import Configuration, Desired, FilterDocument, FirmwareState, Mode, Reported
from anc.wire.snapshot import HEADER, MQTT_PAYLOAD_LIMIT
from iot.connection import Connection
from iot.controller import SILENCE, Block, Controller, Voice
from iot.diary import LINE_S, Diary
from iot.ears import AlarmEars, Deaf
from iot.fir import Signal
from iot.firmware import Updater
from iot.judge import Judge, Verdict
from iot.kept import KeptConfiguration, KeptPath, LastGood
from iot.line import Line
from iot.lookout import Lookout
from iot.recorder import Recorder
from iot.sequence import Sequence
from iot.shadow_sync import ShadowSync
from iot.status import Status

logger = logging.getLogger(__name__)
SNAPSHOT_S = 1.0
SLOW_TIMER_S = 15.0
REPORT_S = 15.0
FAILING_DB = 5.0  # by which a filter falls short of what it did lately when the noise is another
WORTH_KEEPING_DB = 3.0  # of attenuation, measured, that makes a filter one to start with the next time
LATELY_DB = 0.25  # per verdict, by which what it did is forgotten
NO_SOUND = 1e3  # 60 dB over full scale
DEAF = "no hearing, {}: open to the world"

Message = Block | tuple[Desired, int | None] | Refused | FirmwareState


class Agent:
    """Everything of a headset that may take its time, in one thread; its audio thread only calls `hear`.

    Parameters
    ----------
    thing : str
    credentials : Credentials
    controller : Controller
        Gets the filters; the audio thread runs it.
    secondary : (m,) array_like
        Model S of the secondary path, measured at enrolment.
    rate : int
        Hz, at which the filter runs.
    folder : Path
        The headset's own, for what must outlive its power.
    ears : AlarmEars or None
        None when alarms are not to open the headset.
    slow_timer_s : float
        Between snapshots of an unchanging noise.
    private : bool
        Send statistics and a summary in place of sound.
    taps : int
        Of the control filter, as registered; what statistics are made for.
    path : KeptPath or None
        Where the path is kept that the headset measured itself, for the platform to learn of.
    firmware : str
        The version that runs, three numbers; without one no other is fetched.
    line_to : callable
        `line_to(thing, credentials, when_online)` makes the way to the cloud.
    clock : callable
        Seconds, as the controller is told them.
    """

    def __init__(
        self,
        thing: str,
        credentials: Credentials,
        controller: Controller,
        secondary: ArrayLike,
        rate: int,
        folder: Path,
        ears: AlarmEars | None,
        slow_timer_s: float = SLOW_TIMER_S,
        private: bool = False,
        taps: int = 512,
        path: KeptPath | None = None,
        firmware: str = "",
        line_to: Callable[[str, Credentials, Callable[[], None]], Line] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.status = Status()
        self._thing = thing
        self._topic = f"$aws/rules/anc_snapshot/anc/{thing}/snapshot"
        self._path = path
        self._firmware = firmware
        self._connection = (line_to or Connection)(thing, credentials, self._online)
        self._clock = clock
        self._choice = Configuration(slow_timer_s, LINE_S, private)
        self._shadow = ShadowSync(thing, self._connection, self._wish, self._complain, clock)
        self._controller = controller
        self._rate = rate
        self._ears = ears
        self._judge = Judge(secondary, rate)
        self._diary = Diary(rate, self._publish_telemetry)
        self._inbox: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._updater = Updater(folder, firmware, self._inbox.put)
        self._update: FirmwareState | None = None
        self._kept_config = KeptConfiguration(folder / "config.json")
        self._last_good = LastGood(folder / "filter.json", credentials.certificate_id)
        self._sequence = Sequence(folder / "sequence")
        self._thread = threading.Thread(target=self._run, name="headset-agent", daemon=True)
        # Everything below belongs to that thread.
        self._wished = Desired(mode="cancel", intensity=1.0)
        self._voice = SILENCE
        self._filter_seq = -1
        self._document: FilterDocument | None = None
        self._given_up: set[str] = set()
        self._published = (-1, "")  # number of the latest snapshot, and the filter that it was taken with
        self._bare = False
        length = min(int(SNAPSHOT_S * rate), (MQTT_PAYLOAD_LIMIT - HEADER.size) // 4)
        self._recorder = Recorder(length, secondary, taps, rate)
        self._lookout = Lookout(rate, length, slow_timer_s)
        self._playing = SILENCE
        self._did_db = 0.0
        self._next_report = 0
        self._reported: Reported | None = None
        self._config = self._kept_config.read()
        self._configure()

    def start(self) -> None:
        """Begin to listen with the filter that was good last, and to connect."""
        self._wished = msgspec.structs.replace(self._wished, filter=self._last_good.read())
        self._try_filter()
        self._play()
        self._thread.start()
        self._connection.start()

    def stop(self) -> None:
        """Disconnect and end; what was heard is still worked through."""
        self._inbox.put(None)
        self._thread.join()
        self._updater.stop()
        self._connection.stop()

    def hear(self, block: Block) -> None:
        """Take a block of audio; returns at once."""
        self._inbox.put(block)

    def _online(self) -> None:
        self._shadow.ask()

    def _wish(self, change: Desired, reported_seq: int | None) -> None:
        self._inbox.put((change, reported_seq))

    def _complain(self, refusal: Refused) -> None:
        self._inbox.put(refusal)

    def catch_up(self) -> None:
        """Work through all that waits, in this thread: for a simulation that has a time of its own."""
        while not self._inbox.empty():
            message = self._inbox.get()
            if message is not None:
                self._take(message)

    def _run(self) -> None:
        while (message := self._inbox.get()) is not None:
            self._take(message)

    def _take(self, message: Message) -> None:
        if isinstance(message, Block):
            self._attend(message)
        elif isinstance(message, Refused):
            self._refuse(message)
        elif isinstance(message, FirmwareState):
            self._update = message
        else:
            self._obey(*message)
        self._report()

    # What the cloud wants

    def _obey(self, change: Desired, reported_seq: int | None) -> None:
        if reported_seq is not None:
            self._sequence.at_least(reported_seq)
            self._reported = None  # a shadow that was asked for is told everything
            self._tell_path()
        wished = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not None}
        self._wished = msgspec.structs.replace(self._wished, **wished)
        if change.without_control is not None:
            self._bare_if_wanted(change.without_control)
        if self._wished.noise:
            self.status = replace(self.status, noise=self._wished.noise.label)
        if change.config:
            self._config = self._kept_config.change(self._config, change.config)
            self._configure()
        if change.firmware:
            self._update = self._updater.want(change.firmware, reported_seq is not None) or self._update
        if reported_seq is not None:
            self._shadow.obeyed()
        self._try_filter()
        self._play()

    def _configure(self) -> None:
        """Go about it as configured, and where that says nothing, as the maker chose."""
        config, choice = self._config, self._choice
        self._private = bool(choice.private if config.private is None else config.private)
        self._lookout.slow_timer_s = config.snapshot_interval_s or choice.snapshot_interval_s or SLOW_TIMER_S
        self._diary.line_s = config.telemetry_interval_s or choice.telemetry_interval_s or LINE_S

    def _tell_path(self) -> None:
        """Tell the platform of the path that was measured last, under a number that it keeps; once a run."""
        measured = self._path.read() if self._path else None
        if self._path and measured:
            if measured.seq is None:
                measured = msgspec.structs.replace(measured, seq=self._sequence.next())
                self._path.keep(measured)
            if self._connection.publish(f"anc/{self._thing}/path", msgspec.json.encode(measured)):
                self._path = None

    def _bare_if_wanted(self, seq: int) -> None:
        """Fall silent for the next snapshot, if the latest was useless and would be so again."""
        if self._published == (seq, self._voice.filter_id) and self._voice.filter_id:
            self._bare = True
            self._lookout.again()

    def _try_filter(self) -> None:
        try:
            self._take_filter()
        except Refused as refusal:
            self._refuse(refusal)

    def _take_filter(self) -> None:
        document = self._wished.filter
        if document is None or document.seq <= self._filter_seq or document.id in self._given_up:
            return
        if document.rate != self._rate:
            refuse("bad_field", f"filter.rate: {document.rate} Hz, this headset runs at {self._rate}")
        if document.taps > self._controller.max_taps:
            refuse(
                "too_large", f"filter.taps: {document.taps}, this headset takes {self._controller.max_taps}"
            )
        w = document.decode()
        self._filter_seq = document.seq
        self._document = document
        self._given_up.clear()
        if document.id != self._voice.filter_id:
            self._voice = Voice(document.id, w, 1.0)
            self._bare = False
            self.status = replace(self.status, filters=self.status.filters + 1, refused="")

    def _refuse(self, refusal: Refused) -> None:
        logger.warning("refused: %s", refusal.message)
        self.status = replace(self.status, refused=refusal.message)

    def _play(self) -> None:
        emergency = self._ears is not None and self._ears.holding
        mode: Mode = "transparency" if emergency else self._wished.mode or "cancel"
        intensity = 1.0 if self._wished.intensity is None else self._wished.intensity
        voice = SILENCE
        if mode == "cancel" and intensity > 0 and self._voice.filter_id and not self._bare:
            voice = self._voice._replace(gain=intensity)
        if (voice.filter_id, voice.gain) != (self._playing.filter_id, self._playing.gain):
            self._playing = voice
            self._controller.play(voice, self._clock())
        self.status = replace(
            self.status,
            mode=mode,
            intensity=intensity,
            filter_id=voice.filter_id,
            emergency=emergency,
            refused=DEAF.format(self._ears.why) if isinstance(self._ears, Deaf) else self.status.refused,
        )

    # What the microphones say

    def _attend(self, block: Block) -> None:
        if not np.abs([block.x, block.e]).max() < NO_SOUND:  # true of what is no number, too
            if not isinstance(self._ears, Deaf):
                self._ears = Deaf("a microphone gives what is no sound")
                self._play()
            return
        self._recorder.hear(block)
        self._lookout.hear(block)
        self._diary.hear(block.e, lambda: self.status.line(self._firmware))
        verdict = self._judge.hear(block)
        if verdict:
            self._weigh(verdict, block.voice)
        self._listen(block.x)
        if samples := self._lookout.due():
            self._publish_snapshot(block.voice, samples)

    def _listen(self, x: Signal) -> None:
        if self._ears is None:
            return
        try:
            self._ears.hear(np.clip(x, -1.0, 1.0))
        except Exception:  # whatever it was: a headset that cannot hear alarms must not shut the world out
            logger.exception("hearing failed")
            self._ears = Deaf("the detector failed")
        if self._ears.holding != self.status.emergency:
            self._play()

    def _weigh(self, verdict: Verdict, voice: Voice) -> None:
        self.status = replace(
            self.status, attenuation_db=round(verdict.attenuation_db, 1) if voice.gain else None
        )
        self._did_db = max(self._did_db - LATELY_DB, verdict.attenuation_db)
        if verdict.attenuation_db < self._did_db - FAILING_DB:
            self._lookout.mark()
        if voice.filter_id != self._voice.filter_id:
            return
        if verdict.better is None:
            self._keep(verdict, voice)
            return
        logger.info("a filter made things worse")
        self._given_up.add(voice.filter_id)
        self._last_good.drop(voice.filter_id)
        self._voice = verdict.better
        self.status = replace(self.status, reverted=self.status.reverted + 1)
        self._play()

    def _keep(self, verdict: Verdict, voice: Voice) -> None:
        helped = voice.gain == 1.0 and verdict.attenuation_db >= WORTH_KEEPING_DB
        if helped and self._document and self._document.id == voice.filter_id:
            self._last_good.keep(self._document)

    def _publish_snapshot(self, voice: Voice, samples: int) -> None:
        online = self._connection.online.is_set()
        if self._bare:
            if online and voice.filter_id:
                return  # as useless as the one before; silence is on its way
            self._bare = False  # heard, or in vain: the filter plays on until there is another
            self._play()
        if not (online and self._shadow.in_step()):
            return  # an old snapshot is worth nothing, and sound may not be wanted any more
        try:
            snapshot = self._recorder.snapshot(self._sequence.next(), voice, samples, self._private)
        except Refused as refusal:
            self._refuse(refusal)
            self._lookout.sent(samples)
            return
        if not self._connection.publish(self._topic, snapshot.encode()):
            return
        self._published = snapshot.seq, snapshot.filter_id
        self._lookout.sent(samples)
        self._did_db = 0.0
        self.status = replace(self.status, snapshots=self.status.snapshots + 1)

    # What the cloud is told

    def _publish_telemetry(self, payload: bytes) -> bool:
        return self._connection.publish(f"anc/{self._thing}/telemetry", payload)

    def _report(self) -> None:
        told = self.status.report(self._sequence.latest, self._config, self._firmware, self._update)
        same = (
            self._reported
            and msgspec.structs.replace(self._reported, attenuation_db=told.attenuation_db) == told
        )
        if same and self._lookout.heard < self._next_report:
            return
        if self._shadow.report(told):
            self._reported = told
            self._next_report = self._lookout.heard + int(REPORT_S * self._rate)
