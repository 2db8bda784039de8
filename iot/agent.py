"""The headset agent: publishes snapshots, applies filters from the cloud, opens on emergencies."""

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

from anc.headset_records import HeadsetMode
from anc.ports import Credentials
from anc.schemas.refusal import Refused, refuse
from anc.schemas.shadow import Configuration, Desired, FilterDocument, FirmwareState
from anc.schemas.snapshot import MAX_PCM_SAMPLES
from anc.schemas.topics import path_topic, snapshot_topic, telemetry_topic
from iot.controller import NO_FILTER, ActiveFilter, Block, Controller
from iot.emergency_detector import EmergencyDetector, FailOpenDetector
from iot.filter_monitor import Evaluation, FilterMonitor
from iot.firmware import Updater
from iot.jobs import Job, JobClient, JobRunner
from iot.local_design import COMPUTING_S, LocalDesign
from iot.microphone_check import MicrophoneCheck
from iot.mqtt_transport import MqttTransport
from iot.shadow import ShadowClient
from iot.snapshot_recorder import SnapshotRecorder
from iot.snapshot_scheduler import SnapshotScheduler
from iot.snapshot_sequence import SnapshotSequence
from iot.state_reporter import StateReporter
from iot.status import Status
from iot.store import ConfigurationStore, FilterStore, PathStore
from iot.telemetry_buffer import REPORT_INTERVAL_S, TelemetryBuffer
from iot.transport import Transport

logger = logging.getLogger(__name__)
SNAPSHOT_S = 1.0
SLOW_TIMER_S = 15.0
ATTENUATION_DROP_DB = 5.0  # below the recent attenuation: the noise must have changed
MIN_STORED_ATTENUATION_DB = 3.0  # measured attenuation from which a filter is stored for the next start
ATTENUATION_DECAY_DB = 0.25  # per evaluation, of the recent attenuation
MAX_AMPLITUDE = 1e3  # 60 dB over full scale
FAIL_OPEN_STATUS = "emergency detection failed: {}; the headset stays in transparency mode"

Message = Block | tuple[Desired, int | None] | Refused | FirmwareState | Job


class Agent:
    """Run everything on the headset that is not real-time, in one thread; the audio thread calls `process`.

    Parameters
    ----------
    thing : str
    credentials : Credentials
    controller : Controller
        Receives the filters; the audio thread runs it.
    secondary : (m,) array_like
        Model S of the secondary path, measured at enrolment.
    rate : int
        Sample rate of the control filter in Hz.
    folder : Path
        Persistent storage of the headset.
    emergency_detector : EmergencyDetector or None
        None disables the switch to transparency on sirens and alarms.
    slow_timer_s : float
        Interval between snapshots of an unchanging noise.
    private : bool
        Send statistics and a summary instead of audio.
    taps : int
        Length of the registered control filter; statistics are computed for it.
    path : PathStore or None
        Store of the path that the headset measured itself; its content is published to the platform.
    firmware : str
        Running version, three numbers. If empty, no update is downloaded.
    make_transport : callable
        `make_transport(thing, credentials, when_online)` returns the transport to the cloud.
    clock : callable
        Current time in seconds, on the time base of the controller.
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
        self._topic = snapshot_topic(thing, credentials.environment)
        self._telemetry_topic = telemetry_topic(thing, credentials.environment)
        self._path_topic = path_topic(thing, credentials.environment)
        self._path = path
        self._firmware = firmware
        self._transport = (make_transport or MqttTransport)(thing, credentials, self._on_connected)
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
        self._jobs = JobClient(thing, self._transport, self._inbox.put, self._on_refusal)
        self._job_runner = JobRunner(self._jobs, self._updater, firmware, self._change_config)
        self._update: FirmwareState | None = None
        self._config_store = ConfigurationStore(folder / "config.json")
        self._filter_store = FilterStore(folder / "filter.json", credentials.certificate_id)
        self._sequence = SnapshotSequence(folder / "sequence")
        self._thread = threading.Thread(target=self._run, name="headset-agent", daemon=True)
        # Only the agent's thread uses the attributes below.
        self._desired = Desired(mode="cancel", intensity=1.0)
        self._active = NO_FILTER
        self._filter_seq = -1
        self._document: FilterDocument | None = None
        self._rejected_ids: set[str] = set()
        self._published = (-1, "")  # sequence number of the latest snapshot and its filter id
        self._uncontrolled = False
        length = min(int(SNAPSHOT_S * rate), MAX_PCM_SAMPLES)
        self._microphone_check = MicrophoneCheck(rate)
        self._recorder = SnapshotRecorder(length, secondary, taps, rate)
        self._scheduler = SnapshotScheduler(rate, length, slow_timer_s)
        self._local_design = LocalDesign(secondary, rate)
        self._set_back_off()
        self._playing = NO_FILTER
        self._recent_attenuation_db = 0.0
        self._reporter = StateReporter(self._shadow, rate)
        self._config = self._config_store.read()
        self._configure()

    def start(self) -> None:
        """Play the stored filter and connect in the background."""
        self._desired = msgspec.structs.replace(self._desired, filter=self._filter_store.read())
        self._try_install_filter()
        self._update_controller()
        self._thread.start()
        self._transport.start()

    def stop(self) -> None:
        """Process what is queued, then end the thread and disconnect."""
        self._inbox.put(None)
        self._thread.join()
        self._updater.stop()
        self._transport.stop()

    def process(self, block: Block) -> None:
        """Queue a block of audio; returns at once."""
        self._inbox.put(block)

    def _on_connected(self) -> None:
        self._shadow.request()
        self._jobs.request()

    def _on_desired(self, change: Desired, reported_seq: int | None) -> None:
        self._inbox.put((change, reported_seq))

    def _on_refusal(self, refusal: Refused) -> None:
        self._inbox.put(refusal)

    def process_pending(self) -> None:
        """Process all queued messages in the calling thread, for simulations with their own clock."""
        assert not self._thread.is_alive(), "the agent's own thread processes them"
        while not self._inbox.empty():
            message = self._inbox.get()
            if message is not None:
                self._dispatch(message)

    def _run(self) -> None:
        while (message := self._inbox.get()) is not None:
            self._dispatch(message)
        if self._reporter.behind:
            self._report(at_once=True)

    def _dispatch(self, message: Message) -> None:
        if isinstance(message, Block):
            self._process_block(message)
        elif isinstance(message, Refused):
            self._set_refused(message)
        elif isinstance(message, FirmwareState):
            self._update = self._job_runner.on_firmware(message)
        elif isinstance(message, Job):
            self._update = self._job_runner.take(message) or self._update
        else:
            self._apply_desired(*message)
        self._report()

    # Desired state

    def _apply_desired(self, change: Desired, reported_seq: int | None) -> None:
        if reported_seq is not None:
            self._sequence.recover(reported_seq)
            self._reporter.repeat()
            self._publish_path()
        self._desired = self._desired.with_changes(change)
        self._reporter.repeat(change.present())
        if change.without_control is not None:
            self._request_uncontrolled(change.without_control)
        if self._desired.noise:
            noise = self._desired.noise
            self.status = replace(self.status, noise=noise.label, noise_confidence=noise.confidence)
        self._set_back_off()
        if change.config:
            self._change_config(change.config)
        if change.firmware:
            self._update = self._updater.request(change.firmware, reported_seq is not None) or self._update
        if reported_seq is not None:
            self._shadow.mark_applied()
        self._try_install_filter()
        self._update_controller()

    def _set_back_off(self) -> None:
        """Keep the shortest interval while only the cloud detects alarms: without a detector, and during one.

        A `reason` is an alarm that the cloud detected, or that its detection failed.
        """
        self._scheduler.backs_off = self._emergency_detector is not None and not self._desired.reason

    def _change_config(self, change: Configuration) -> None:
        self._config = self._config_store.update(self._config, change)
        self._configure()

    def _configure(self) -> None:
        """Apply the configuration; the constructor's settings are its defaults."""
        config, default = self._config, self._default_config
        self._private = bool(default.private if config.private is None else config.private)
        self._scheduler.slow_timer_s = (
            config.snapshot_interval_s or default.snapshot_interval_s or SLOW_TIMER_S
        )
        self._telemetry.interval_s = (
            config.telemetry_interval_s or default.telemetry_interval_s or REPORT_INTERVAL_S
        )

    def _publish_path(self) -> None:
        """Publish the measured path once per run. Its sequence number is stored, so repeats are detected."""
        measured = self._path.read() if self._path else None
        if self._path and measured:
            if measured.seq is None:
                measured = msgspec.structs.replace(measured, seq=self._sequence.next())
                self._path.save(measured)
            if self._transport.publish(self._path_topic, msgspec.json.encode(measured)):
                self._path = None

    def _request_uncontrolled(self, seq: int) -> None:
        """Mute the filter for the next snapshot if the cloud could not use the latest one, number `seq`."""
        if self._published == (seq, self._active.filter_id) and self._active.filter_id:
            self._uncontrolled = True
            self._scheduler.retry()

    def _try_install_filter(self) -> None:
        try:
            self._install_filter()
        except Refused as refusal:
            self._set_refused(refusal)

    def _install_filter(self) -> None:
        document = self._desired.filter
        if document is None or document.seq <= self._filter_seq or document.id in self._rejected_ids:
            return
        if document.rate != self._rate:
            refuse("bad_field", f"filter.rate must be {self._rate} Hz on this headset (got {document.rate})")
        if document.taps > self._controller.max_taps:
            refuse(
                "too_large",
                f"filter.taps must be at most {self._controller.max_taps} on this headset "
                f"(got {document.taps})",
            )
        w = document.decode()
        self._filter_seq = document.seq
        self._document = document
        self._rejected_ids.clear()
        if document.id != self._active.filter_id:
            if self._controller.adapts:
                w = self._local_design.better(w, self._controller.weights, self._scheduler.noise_age)
            self._active = ActiveFilter(document.id, w, 1.0)
            self._uncontrolled = False
            self._scheduler.mark_answered()
            self.status = replace(self.status, filters=self.status.filters + 1, refused="")

    def _set_refused(self, refusal: Refused) -> None:
        logger.warning("refused: %s", refusal.message)
        self.status = replace(self.status, refused=refusal.message)

    def _update_controller(self) -> None:
        """Give the controller the filter and gain that follow from the desired state and emergencies."""
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
            refused=FAIL_OPEN_STATUS.format(self._emergency_detector.reason)
            if isinstance(self._emergency_detector, FailOpenDetector)
            else self.status.refused,
        )

    # Microphones

    def _process_block(self, block: Block) -> None:
        if not np.abs([block.x, block.e]).max() < MAX_AMPLITUDE:  # also true for NaN
            if not isinstance(self._emergency_detector, FailOpenDetector):
                self._emergency_detector = FailOpenDetector("a microphone delivers invalid samples")
                self._update_controller()
            return
        if dead := self._microphone_check.process(block.x, block.e):
            self._set_refused(dead)
        evaluation = self._monitor.process(block)
        self._recorder.process(block.x, block.e, self._monitor.d)
        self._scheduler.process(block)
        self._refine(block)
        self._telemetry.process(block.e, lambda: self.status.telemetry(self._firmware))
        if evaluation:
            self._handle_evaluation(evaluation, block.active)
        self._detect(block)
        if samples := self._scheduler.due():
            self._publish_snapshot(block.active, samples)

    def _refine(self, block: Block) -> None:
        """Replace the active filter's weights by a design of the headset, when one is due."""
        self._local_design.process(block.x, block.e, self._monitor.d)
        if not (self._controller.adapts and block.active.gain):
            return
        w = self._local_design.design(self._controller.weights, self._scheduler.noise_age)
        if w is not None:
            self._controller.refine(block.active.filter_id, w, self._clock() + COMPUTING_S)

    def _detect(self, block: Block) -> None:
        if self._emergency_detector is None:
            return
        try:
            microphones = np.stack([block.x, block.e], axis=1)
            self._emergency_detector.process(np.clip(microphones, -1.0, 1.0))
        except Exception:  # any failure: without detection the headset must not suppress outside sound
            logger.exception("emergency detection failed")
            self._emergency_detector = FailOpenDetector("the detector raised an error")
        if self._emergency_detector.holding != self.status.emergency:
            self._update_controller()
            self._scheduler.retry()  # the cloud records the alarm from a snapshot of it

    def _handle_evaluation(self, evaluation: Evaluation, active: ActiveFilter) -> None:
        self.status = replace(
            self.status, attenuation_db=round(evaluation.attenuation_db, 1) if active.gain else None
        )
        decayed = self._recent_attenuation_db - ATTENUATION_DECAY_DB
        self._recent_attenuation_db = max(decayed, evaluation.attenuation_db)
        if evaluation.attenuation_db < self._recent_attenuation_db - ATTENUATION_DROP_DB:
            self._scheduler.mark_change()
        if active.filter_id != self._active.filter_id:
            return
        if evaluation.replacement is None:
            self._store_filter(evaluation, active)
            return
        logger.info("filter %s increased the residual; reverted", active.filter_id)
        self._rejected_ids.add(active.filter_id)
        self._filter_store.delete(active.filter_id)
        self._active = evaluation.replacement
        self.status = replace(self.status, reverted=self.status.reverted + 1)
        self._update_controller()

    def _store_filter(self, evaluation: Evaluation, active: ActiveFilter) -> None:
        effective = active.gain == 1.0 and evaluation.attenuation_db >= MIN_STORED_ATTENUATION_DB
        if effective and self._document and self._document.id == active.filter_id:
            self._filter_store.save(self._document)

    def _publish_snapshot(self, active: ActiveFilter, samples: int) -> None:
        online = self._transport.online.is_set()
        if self._uncontrolled:
            if online and active.filter_id:
                return  # the filter has not faded out yet
            self._uncontrolled = False  # resume the filter, whether the snapshot can be sent or not
            self._update_controller()
        if not (online and self._shadow.in_sync()):
            return  # drop it: it would be stale later, and privacy mode may have been turned on meanwhile
        try:
            # The platform has the sound of this noise, unless it is new; statistics take a tenth of it.
            statistics = self._private or not self._scheduler.new_noise
            snapshot = self._recorder.snapshot(self._sequence.next(), active, samples, statistics)
        except Refused as refusal:
            self._set_refused(refusal)
            self._scheduler.mark_sent(samples)
            return
        if not self._transport.publish(self._topic, snapshot.encode()):
            return
        self._published = snapshot.seq, snapshot.filter_id
        self._scheduler.mark_sent(samples)
        self._recent_attenuation_db = 0.0
        self.status = replace(self.status, snapshots=self.status.snapshots + 1)

    # Telemetry and reported state

    def _publish_telemetry(self, payload: bytes) -> bool:
        return self._transport.publish(self._telemetry_topic, payload)

    def _report(self, at_once: bool = False) -> None:
        state = self.status.report(
            self._desired, self._sequence.latest, self._config, self._firmware, self._update
        )
        self._reporter.report(state, self._scheduler.elapsed, at_once)
