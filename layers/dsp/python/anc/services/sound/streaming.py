"""The live path: one block in, one block out, and the session's state committed in between."""

import time
from typing import NamedTuple

import msgspec
import numpy as np
from aws_lambda_powertools import Logger

from anc.dsp.levels import power_reduction_db, power_to_db
from anc.noise import StreamingClassifier
from anc.pcm import float_to_int16, int16_to_float
from anc.ports import Conflict, Dependencies
from anc.records import Alarm, Stream
from anc.schemas.refusal import Refused, refuse
from anc.schemas.websocket import FDAF_BLOCK, Audio, FilteredBlock, decode_pcm, encode_pcm
from anc.services import emergencies
from anc.services.access.identity import Caller
from anc.services.sound import detection
from anc.services.sound.adaptive_filters import AdaptiveFilter, new_filter, restore_filter
from anc.services.sound.detection import Detection
from anc.services.sound.session_lag import LAG_LIMIT_S, SessionLag
from anc.services.sound.sessions import find

QUIETEST_DBFS = -120.0
ATTEMPTS = 2
LONGEST_WAIT_S = 30.0  # of a frame: API Gateway gives up after 29 s

logger = Logger(service="streaming")


class CachedSession(NamedTuple):
    """A session as it is stored, and what its bytes were made from, which takes time to make again.

    Attributes
    ----------
    stream : Stream
    filter, listener : Filter, Listener or None
        None when they have to be made from the stream's bytes.
    pace : Pace
        How far the answers lag; known to this instance only.
    """

    stream: Stream
    filter: AdaptiveFilter | None = None
    classifier_stream: StreamingClassifier | None = None
    pace: SessionLag = SessionLag()


def filter_block(
    block: Audio, caller: Caller, deps: Dependencies, received: float | None = None
) -> FilteredBlock:
    """Filter one block of a session and commit its state.

    A block that is sent again gets the stored answer; an older one is `stale_seq`. After a gap the filter's
    history is cleared, its weights kept, and the answer says how many blocks are missing. The answer to a
    block that waited in the client for earlier answers says for how long: a live client then skips to its
    newest.

    Parameters
    ----------
    received : float, optional
        When the platform received the block, in seconds since the epoch; now if left out.

    Raises
    ------
    Refused
        `unknown_session`, `stale_seq`, `bad_field`, `too_large`; `in_flight` when another block of the
        session was being filtered at the same time. Nothing stored has changed.
    """
    begun = time.perf_counter()
    now = deps.clock()
    if received is None or not 0 <= now - received <= LONGEST_WAIT_S:  # or by another clock
        received = now
    kept = _cached(block, caller, deps)
    if kept is not None:
        try:
            return _advance(kept, block, begun, received, deps)
        except Conflict:  # another instance went on with this session, or its settings changed
            pass
    for _ in range(ATTEMPTS):
        stream = find(block.session, caller, deps)
        if block.seq == stream.seq:
            _flush_pending_emergency(stream, deps)
            deps.count("blocks_repeated")
            return msgspec.json.decode(stream.answer, type=FilteredBlock)
        if block.seq < stream.seq:
            refuse("stale_seq", f"seq: {block.seq}, the session is at {stream.seq}")
        try:
            return _advance(
                CachedSession(stream, pace=kept.pace if kept else SessionLag()), block, begun, received, deps
            )
        except Conflict:  # this very block may have been done meanwhile, sent over another socket
            continue
    refuse("in_flight", f"seq: {block.seq}, another block of this session is being filtered")


def _cached(block: Audio, caller: Caller, deps: Dependencies) -> CachedSession | None:
    """Return what this instance keeps of the caller's session, if the block goes on from there."""
    kept: CachedSession | None = deps.session_cache.take(block.session)
    if kept is None:
        return None
    if kept.stream.group != caller.user or block.seq <= kept.stream.seq:
        deps.session_cache.keep(block.session, kept)
        return None
    return kept


def _advance(
    kept: CachedSession, block: Audio, begun: float, received: float, deps: Dependencies
) -> FilteredBlock:
    stream = kept.stream
    pcm = decode_pcm(block.pcm, stream.channels)
    gap = block.seq - stream.seq - 1
    before_it = SessionLag() if gap else kept.pace  # a client that skips blocks is at its newest one
    lag_s = before_it.lag_at(received)
    if lag_s > LAG_LIMIT_S:
        deps.count("blocks_late")
    signals = int16_to_float(pcm)
    x, d = signals[:, 0], signals[:, -1]
    detected = detection.detect_in_block(stream, kept.classifier_stream, x, deps)
    adaptive = kept.filter or _filter_of(stream)
    residual, y = _filter(adaptive, x, d, gap > 0)
    open_to_world = detected.emergency.active or not stream.enabled or stream.mode == "bypass"
    cleaned = d if open_to_world else residual if stream.intensity == 1.0 else d - stream.intensity * y
    before, after = _energy(d), _energy(cleaned)
    answer = FilteredBlock(
        seq=block.seq,
        pcm=encode_pcm(pcm[:, -1] if open_to_world else float_to_int16(cleaned)),
        attenuation_db=round(power_reduction_db(before / d.size, after / d.size), 2) if before else None,
        level_dbfs=round(max(power_to_db(before / d.size), QUIETEST_DBFS), 2),
        noise=detected.noise,
        emergency=detected.emergency,
        server_ms=round(1e3 * (time.perf_counter() - begun), 3),
        gap=gap,
        lag_s=round(lag_s, 1) if lag_s > LAG_LIMIT_S else None,
    )
    stored = deps.streams.put(
        stream.replace(
            seq=block.seq,
            filter=adaptive.state() if adaptive else b"",
            classifier_state=detected.state,
            emergency_until=detected.until,
            pending_emergency=_new_alarm(detected, stream, deps) or stream.pending_emergency,
            answer=msgspec.json.encode(answer),
            blocks=stream.blocks + 1,
            samples=stream.samples + len(d),
            gaps=stream.gaps + (gap > 0),
            filter_resets=adaptive.resets if adaptive else 0,
            energy_before=stream.energy_before + before,
            energy_after=stream.energy_after + after,
            expires=deps.clock() + deps.settings.anc_session_hours * 3600,
        )
    )
    pace = before_it.after(received, deps.clock(), d.size / stream.rate)
    deps.session_cache.keep(
        stream.key,
        CachedSession(_flush_pending_emergency(stored, deps), adaptive, detected.classifier_stream, pace),
    )
    deps.count("blocks_filtered")
    deps.counters.time("block", time.perf_counter() - begun)
    return answer


def _energy(signal: np.ndarray) -> float:
    double = signal.astype(np.float64)
    return float(double @ double)


def _new_alarm(detected: Detection, stream: Stream, deps: Dependencies) -> Alarm | None:
    """Return the alarm that begins with a block, unless an earlier one still holds the session open."""
    if detected.kind and stream.emergency_until * stream.rate <= stream.samples:
        return Alarm(detected.kind, detected.emergency.score, deps.clock())
    return None


def _flush_pending_emergency(stream: Stream, deps: Dependencies) -> Stream:
    try:
        return emergencies.flush_pending_emergency(stream, deps.streams, deps)
    except Exception:  # whatever it was: the block is done, and the next one tells of it
        logger.exception("an alarm was not told")
        return stream


def _filter(
    adaptive: AdaptiveFilter | None, x: np.ndarray, d: np.ndarray, gap: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return the residual e and what was removed y; without a filter nothing is removed."""
    if adaptive is None:
        return d, np.zeros_like(d)
    if gap:
        adaptive.clear_history()
    try:
        y, e = adaptive.process(x, d)
    except ValueError as fault:
        raise Refused("bad_field", f"pcm: {fault}") from fault
    return e, y


def _filter_of(stream: Stream) -> AdaptiveFilter | None:
    """Return a session's filter: None in `bypass`, a new one before the first block."""
    if stream.mode == "bypass":
        return None
    if stream.filter:
        return restore_filter(stream.mode, stream.algorithm, stream.filter, rate=stream.rate)
    return new_filter(
        stream.mode,
        stream.algorithm,
        stream.taps,
        stream.mu,
        rate=stream.rate,
        horizon=stream.horizon,
        fdaf_block=FDAF_BLOCK,
    )
