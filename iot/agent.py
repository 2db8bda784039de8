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
from anc.schemas.refusal import Refused, refuse
from anc.schemas.shadow import Configuration, Desired, FilterDocument, FirmwareState, HeadsetMode, Reported
from anc.schemas.snapshot import HEADER, MQTT_PAYLOAD_LIMIT
from iot.controller import NO_FILTER, ActiveFilter, Block, Controller
from iot.emergency_detector import EmergencyDetector, FailOpenDetector
from iot.filter_monitor import Evaluation, FilterMonitor
from iot.fir import Signal
from iot.firmware import Updater
from iot.mqtt_transport import MqttTransport
from iot.shadow import ShadowClient
from iot.snapshot_recorder import SnapshotRecorder
from iot.snapshot_scheduler import SnapshotScheduler
from iot.snapshot_sequence import SnapshotSequence
from iot.status import Status
from iot.store import ConfigurationStore, FilterStore, PathStore
from iot.telemetry_buffer import REPORT_INTERVAL_S, TelemetryBuffer
from iot.transport import Transport

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
        emergency_detector: EmergencyDetector | None,
        slow_timer_s: float = SLOW_TIMER_S,
        private: bool = False,
        taps: int = 512,
        path: PathStore | None = None,
        firmware: str = "",
        make_transport: Callable[[str, Credentials, Callable[[], None]], Transport] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.status = Status()
        self._thing = thing
        self._topic = f"$aws/rules/anc_snapshot/anc/{thing}/snapshot"
        self._path = path
        self._firmware = firmware
        self._transport = (make_transport or MqttTransport)(thing, credentials, self._online)
        self._clock = clock
        self._default_config = Configuration(slow_timer_s, REPORT_INTERVAL_S, private)
        self._shadow = ShadowClient(thing, self._transport, self._on_desired, self._on_refusal, clock)
        self._controller = controller
        self._rate = rate
        self._emergency_detector = emergency_detector
        self._monitor = FilterMonitor(secondary, rate)
        self._telemetry = TelemetryBuffer(rate, self._publish_telemetry)
        self._inbox: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._updater = Updater(folder, firmware, self._inbox.put)
        self._update: FirmwareState | None = None
        self._config_store = ConfigurationStore(folder / "config.json")
        self._filter_store = FilterStore(folder / "filter.json", credentials.certificate_id)
        self._sequence = SnapshotSequence(folder / "sequence")
        self._thread = threading.Thread(target=self._run, name="headset-agent", daemon=True)
        # Everything below belongs to that thread.
        self._desired = Desired(mode="cancel", intensity=1.0)
        self._active = NO_FILTER
        self._filter_seq = -1
        self._document: FilterDocument | None = None
        self._given_up: set[str] = set()
        self._published = (-1, "")  # number of the latest snapshot, and the filter that it was taken with
        self._uncontrolled = False
        length = min(int(SNAPSHOT_S * rate), (MQTT_PAYLOAD_LIMIT - HEADER.size) // 4)
        self._recorder = SnapshotRecorder(length, secondary, taps, rate)
        self._scheduler = SnapshotScheduler(rate, length, slow_timer_s)
        self._playing = NO_FILTER
        self._attenuation_db = 0.0
        self._next_report = 0
        self._reported: Reported | None = None
        self._config = self._config_store.read()
        self._configure()

    def start(self) -> None:
        """Begin to listen with the filter that was good last, and to connect."""
        self._desired = msgspec.structs.replace(self._desired, filter=self._filter_store.read())
        self._try_filter()
        self._play()
        self._thread.start()
        self._transport.start()

    def stop(self) -> None:
        """Disconnect and end; what was heard is still worked through."""
        self._inbox.put(None)
        self._thread.join()
        self._updater.stop()
        self._transport.stop()

    def process(self, block: Block) -> None:
        """Take a block of audio; returns at once."""
        self._inbox.put(block)

    def _online(self) -> None:
        self._shadow.ask()

    def _on_desired(self, change: Desired, reported_seq: int | None) -> None:
        self._inbox.put((change, reported_seq))

    def _on_refusal(self, refusal: Refused) -> None:
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
            self._process_block(message)
        elif isinstance(message, Refused):
            self._refuse(message)
        elif isinstance(message, FirmwareState):
            self._update = message
        else:
            self._apply_desired(*message)
        self._report()

    # What the cloud wants

    def _apply_desired(self, change: Desired, reported_seq: int | None) -> None:
        if reported_seq is not None:
            self._sequence.at_least(reported_seq)
            self._reported = None  # a shadow that was asked for is told everything
            self._publish_path()
        wished = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not None}
        self._desired = msgspec.structs.replace(self._desired, **wished)
        if change.without_control is not None:
            self._measure_uncontrolled(change.without_control)
        if self._desired.noise:
            self.status = replace(self.status, noise=self._desired.noise.label)
        if change.config:
            self._config = self._config_store.change(self._config, change.config)
            self._configure()
        if change.firmware:
            self._update = self._updater.want(change.firmware, reported_seq is not None) or self._update
        if reported_seq is not None:
            self._shadow.obeyed()
        self._try_filter()
        self._play()

    def _configure(self) -> None:
        """Go about it as configured, and where that says nothing, as the maker chose."""
        config, choice = self._config, self._default_config
        self._private = bool(choice.private if config.private is None else config.private)
        self._scheduler.slow_timer_s = (
            config.snapshot_interval_s or choice.snapshot_interval_s or SLOW_TIMER_S
        )
        self._telemetry.line_s = (
            config.telemetry_interval_s or choice.telemetry_interval_s or REPORT_INTERVAL_S
        )

    def _publish_path(self) -> None:
        """Tell the platform of the path that was measured last, under a number that it keeps; once a run."""
        measured = self._path.read() if self._path else None
        if self._path and measured:
            if measured.seq is None:
                measured = msgspec.structs.replace(measured, seq=self._sequence.next())
                self._path.keep(measured)
            if self._transport.publish(f"anc/{self._thing}/path", msgspec.json.encode(measured)):
                self._path = None

    def _measure_uncontrolled(self, seq: int) -> None:
        """Fall silent for the next snapshot, if the latest was useless and would be so again."""
        if self._published == (seq, self._active.filter_id) and self._active.filter_id:
            self._uncontrolled = True
            self._scheduler.again()

    def _try_filter(self) -> None:
        try:
            self._take_filter()
        except Refused as refusal:
            self._refuse(refusal)

    def _take_filter(self) -> None:
        document = self._desired.filter
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
        if document.id != self._active.filter_id:
            self._active = ActiveFilter(document.id, w, 1.0)
            self._uncontrolled = False
            self.status = replace(self.status, filters=self.status.filters + 1, refused="")

    def _refuse(self, refusal: Refused) -> None:
        logger.warning("refused: %s", refusal.message)
        self.status = replace(self.status, refused=refusal.message)

    def _play(self) -> None:
        emergency = self._emergency_detector is not None and self._emergency_detector.holding
        mode: HeadsetMode = "transparency" if emergency else self._desired.mode or "cancel"
        intensity = 1.0 if self._desired.intensity is None else self._desired.intensity
        active = NO_FILTER
        if mode == "cancel" and intensity > 0 and self._active.filter_id and not self._uncontrolled:
            active = self._active._replace(gain=intensity)
        if (active.filter_id, active.gain) != (self._playing.filter_id, self._playing.gain):
            self._playing = active
            self._controller.play(active, self._clock())
        self.status = replace(
            self.status,
            mode=mode,
            intensity=intensity,
            filter_id=active.filter_id,
            emergency=emergency,
            refused=DEAF.format(self._emergency_detector.why)
            if isinstance(self._emergency_detector, FailOpenDetector)
            else self.status.refused,
        )

    # What the microphones say

    def _process_block(self, block: Block) -> None:
        if not np.abs([block.x, block.e]).max() < NO_SOUND:  # true of what is no number, too
            if not isinstance(self._emergency_detector, FailOpenDetector):
                self._emergency_detector = FailOpenDetector("a microphone gives what is no sound")
                self._play()
            return
        self._recorder.process(block)
        self._scheduler.process(block)
        self._telemetry.process(block.e, lambda: self.status.line(self._firmware))
        evaluation = self._monitor.process(block)
        if evaluation:
            self._evaluate(evaluation, block.active)
        self._detect(block.x)
        if samples := self._scheduler.due():
            self._publish_snapshot(block.active, samples)

    def _detect(self, x: Signal) -> None:
        if self._emergency_detector is None:
            return
        try:
            self._emergency_detector.process(np.clip(x, -1.0, 1.0))
        except Exception:  # whatever it was: a headset that cannot hear alarms must not shut the world out
            logger.exception("hearing failed")
            self._emergency_detector = FailOpenDetector("the detector failed")
        if self._emergency_detector.holding != self.status.emergency:
            self._play()

    def _evaluate(self, evaluation: Evaluation, active: ActiveFilter) -> None:
        self.status = replace(
            self.status, attenuation_db=round(evaluation.attenuation_db, 1) if active.gain else None
        )
        self._attenuation_db = max(self._attenuation_db - LATELY_DB, evaluation.attenuation_db)
        if evaluation.attenuation_db < self._attenuation_db - FAILING_DB:
            self._scheduler.mark()
        if active.filter_id != self._active.filter_id:
            return
        if evaluation.better is None:
            self._store_filter(evaluation, active)
            return
        logger.info("a filter made things worse")
        self._given_up.add(active.filter_id)
        self._filter_store.drop(active.filter_id)
        self._active = evaluation.better
        self.status = replace(self.status, reverted=self.status.reverted + 1)
        self._play()

    def _store_filter(self, evaluation: Evaluation, active: ActiveFilter) -> None:
        helped = active.gain == 1.0 and evaluation.attenuation_db >= WORTH_KEEPING_DB
        if helped and self._document and self._document.id == active.filter_id:
            self._filter_store.keep(self._document)

    def _publish_snapshot(self, active: ActiveFilter, samples: int) -> None:
        online = self._transport.online.is_set()
        if self._uncontrolled:
            if online and active.filter_id:
                return  # as useless as the one before; silence is on its way
            self._uncontrolled = False  # heard, or in vain: the filter plays on until there is another
            self._play()
        if not (online and self._shadow.in_step()):
            return  # an old snapshot is worth nothing, and sound may not be wanted any more
        try:
            snapshot = self._recorder.snapshot(self._sequence.next(), active, samples, self._private)
        except Refused as refusal:
            self._refuse(refusal)
            self._scheduler.sent(samples)
            return
        if not self._transport.publish(self._topic, snapshot.encode()):
            return
        self._published = snapshot.seq, snapshot.filter_id
        self._scheduler.sent(samples)
        self._attenuation_db = 0.0
        self.status = replace(self.status, snapshots=self.status.snapshots + 1)

    # What the cloud is told

    def _publish_telemetry(self, payload: bytes) -> bool:
        return self._transport.publish(f"anc/{self._thing}/telemetry", payload)

    def _report(self) -> None:
        told = self.status.report(self._sequence.latest, self._config, self._firmware, self._update)
        same = (
            self._reported
            and msgspec.structs.replace(self._reported, attenuation_db=told.attenuation_db) == told
        )
        if same and self._scheduler.heard < self._next_report:
            return
        if self._shadow.report(told):
            self._reported = told
            self._next_report = self._scheduler.heard + int(REPORT_S * self._rate)
