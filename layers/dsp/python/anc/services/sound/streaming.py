"""Filter live sessions block by block and commit the session state after each block."""

import time
from typing import NamedTuple

import msgspec
import numpy as np
from aws_lambda_powertools import Logger

from anc.dsp.levels import power_reduction_db, power_to_db
from anc.noise import MultichannelClassifier
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

MIN_LEVEL_DBFS = -120.0
ATTEMPTS = 2
MAX_WAIT_S = 30.0  # API Gateway stops waiting for a response after 29 s

logger = Logger(service="streaming")


class CachedSession(NamedTuple):
    """A stored session with its decoded filter and classifier.

    Attributes
    ----------
    stream : Stream
    filter, classifier_stream : AdaptiveFilter, MultichannelClassifier or None
        None if they must be restored from the bytes in `stream`.
    lag : SessionLag
        Lag of the answers; not stored.
    """

    stream: Stream
    filter: AdaptiveFilter | None = None
    classifier_stream: MultichannelClassifier | None = None
    lag: SessionLag = SessionLag()


def filter_block(
    block: Audio, caller: Caller, deps: Dependencies, received: float | None = None
) -> FilteredBlock:
    """Filter one block of a session and commit its state.

    A repeated block gets the stored answer; an older one is `stale_seq`. After a gap the filter's history is
    cleared, its weights are kept, and the answer has the number of missing blocks. If the block waited in the
    client for earlier answers, the answer has the waiting time, so that the client can skip to its newest
    block.

    Parameters
    ----------
    received : float, optional
        When the platform received the block, in seconds since the epoch. Default: now.

    Raises
    ------
    Refused
        `unknown_session`, `stale_seq`, `bad_field`, `too_large`, or `in_flight` if another block of the
        session was filtered at the same time. The stored session is unchanged.
    """
    started = time.perf_counter()
    now = deps.clock()
    if received is None or not 0 <= now - received <= MAX_WAIT_S:  # the clocks differ
        received = now
    cached = _cached(block, caller, deps)
    if cached is not None:
        try:
            return _advance(cached, block, started, received, deps)
        except Conflict:  # another instance committed a block, or the settings changed
            pass
    for _ in range(ATTEMPTS):
        stream = find(block.session, caller, deps)
        if block.seq == stream.seq:
            _flush_pending_emergency(stream, deps)
            deps.count("blocks_repeated")
            return msgspec.json.decode(stream.answer, type=FilteredBlock)
        if block.seq < stream.seq:
            refuse("stale_seq", f"seq: must be greater than {stream.seq} (got {block.seq})")
        try:
            return _advance(
                CachedSession(stream, lag=cached.lag if cached else SessionLag()),
                block,
                started,
                received,
                deps,
            )
        except Conflict:  # the same block may have been committed over another socket
            continue
    refuse("in_flight", f"seq: another block of this session is being filtered; send block {block.seq} again")


def _cached(block: Audio, caller: Caller, deps: Dependencies) -> CachedSession | None:
    """Return the cached session of the caller if the block follows it, else None."""
    cached: CachedSession | None = deps.session_cache.take(block.session)
    if cached is None:
        return None
    if cached.stream.group != caller.user or block.seq <= cached.stream.seq:
        deps.session_cache.put(block.session, cached)
        return None
    return cached


def _advance(
    cached: CachedSession, block: Audio, started: float, received: float, deps: Dependencies
) -> FilteredBlock:
    """Filter and classify a block, commit the new state, and return the answer."""
    stream = cached.stream
    signals = int16_to_float(decode_pcm(block.pcm, stream.channels))
    x, d = signals[:, 0], signals[:, -1]
    gap = block.seq - stream.seq - 1
    lag = SessionLag() if gap else cached.lag  # a client that skips blocks has none waiting
    lag_s = lag.lag_at(received)
    if lag_s > LAG_LIMIT_S:
        deps.count("blocks_late")
    with deps.tracing.span("detect", seq=block.seq):
        detected = detection.detect_in_block(stream, cached.classifier_stream, signals, deps)
    adaptive = cached.filter or _filter_of(stream)
    with deps.tracing.span("filter"):
        residual, y = _filter(adaptive, x, d, gap > 0)
    cleaned = _output(stream, detected, d, residual, y)
    before, after = _energy(d), _energy(cleaned)
    answer = FilteredBlock(
        seq=block.seq,
        pcm=encode_pcm(float_to_int16(cleaned)),
        attenuation_db=round(power_reduction_db(before / d.size, after / d.size), 2) if before else None,
        level_dbfs=round(max(power_to_db(before / d.size), MIN_LEVEL_DBFS), 2),
        noise=detected.noise,
        emergency=detected.emergency,
        server_ms=round(1e3 * (time.perf_counter() - started), 3),
        gap=gap,
        lag_s=round(lag_s, 1) if lag_s > LAG_LIMIT_S else None,
    )
    alarm = _new_alarm(detected, stream, received, deps)
    following = _next(stream, answer, adaptive, detected, (before, after), d.size, deps)
    with deps.tracing.span("commit"):
        stored = deps.streams.put(following.replace(pending_emergency=alarm or stream.pending_emergency))
    lag = lag.after(received, deps.clock(), d.size / stream.rate)
    deps.session_cache.put(
        stream.key,
        CachedSession(_flush_pending_emergency(stored, deps), adaptive, detected.classifier_stream, lag),
    )
    deps.count("blocks_filtered")
    deps.measure("block", time.perf_counter() - started)
    deps.measure("block_answer", max(0.0, deps.clock() - received))
    return answer


def _output(
    stream: Stream, detected: Detection, d: np.ndarray, residual: np.ndarray, y: np.ndarray
) -> np.ndarray:
    """Return the primary channel in transparency, else d - intensity * y."""
    if detected.emergency.active or not stream.enabled or stream.mode == "bypass":
        return d
    return residual if stream.intensity == 1.0 else d - stream.intensity * y


def _next(
    stream: Stream,
    answer: FilteredBlock,
    adaptive: AdaptiveFilter | None,
    detected: Detection,
    energies: tuple[float, float],
    samples: int,
    deps: Dependencies,
) -> Stream:
    """Return the session after a block whose energies before and after are given."""
    before, after = energies
    return stream.replace(
        seq=answer.seq,
        filter=adaptive.state() if adaptive else b"",
        classifier_state=detected.state,
        emergency_until=detected.until,
        answer=msgspec.json.encode(answer),
        blocks=stream.blocks + 1,
        samples=stream.samples + samples,
        gaps=stream.gaps + (answer.gap > 0),
        filter_resets=adaptive.resets if adaptive else 0,
        energy_before=stream.energy_before + before,
        energy_after=stream.energy_after + after,
        expires=deps.clock() + deps.settings.anc_session_hours * 3600,
    )


def _energy(signal: np.ndarray) -> float:
    double = signal.astype(np.float64)
    return float(double @ double)


def _new_alarm(detected: Detection, stream: Stream, received: float, deps: Dependencies) -> Alarm | None:
    """Return the alarm that starts with a block; None while an earlier one is active."""
    if detected.kind and stream.emergency_until * stream.rate <= stream.samples:
        return Alarm(detected.kind, detected.emergency.score, deps.clock(), received)
    return None


def _flush_pending_emergency(stream: Stream, deps: Dependencies) -> Stream:
    try:
        return emergencies.flush_pending_emergency(stream, deps.streams, deps)
    except Exception:  # the block is committed; the next one retries
        logger.exception("could not publish an emergency")
        return stream


def _filter(
    adaptive: AdaptiveFilter | None, x: np.ndarray, d: np.ndarray, gap: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return the residual e and the filter output y; without a filter, d and zeros."""
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
    """Return the filter of a session: None in `bypass`, a new one before the first block."""
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
