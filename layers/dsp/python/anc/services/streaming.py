"""The live path: one block in, one block out, and the session's state committed in between."""

import time

import msgspec
import numpy as np
from aws_lambda_powertools import Logger

from anc.dsp import FDAF, NLMS, Predictor, attenuation_db, level_dbfs
from anc.ports import Conflict, World
from anc.records import Alarm, Stream
from anc.services import emergencies, hearing
from anc.services.hearing import Heard
from anc.services.identity import Caller
from anc.services.sessions import find
from anc.wire.refusal import Refused, refuse
from anc.wire.websocket import (
    FDAF_BLOCK,
    Audio,
    Cleaned,
    as_float,
    as_int16,
    decode_pcm,
    encode_pcm,
)

logger = Logger(service="streaming")

Filter = NLMS | FDAF | Predictor


def filter_block(block: Audio, caller: Caller, world: World) -> Cleaned:
    """Filter one block of a session and commit its state.

    A block that is sent again gets the stored answer; an older one is `stale_seq`. After a gap the filter's
    history is cleared, its weights kept, and the answer says how many blocks are missing.

    Raises
    ------
    Refused
        `unknown_session`, `stale_seq`, `bad_field`, `too_large`, or `in_flight` when another block of the
        session was being filtered at the same time. Nothing stored has changed.
    """
    begun = time.perf_counter()
    warm = world.warm.get(block.session)
    if warm is not None and warm.group == caller.user and block.seq == warm.seq + 1:
        try:
            return _advance(warm, block, begun, world)
        except Conflict:  # another instance went on with this session
            world.warm.forget(block.session)
    stream = find(block.session, caller, world)
    if block.seq == stream.seq:
        _tell(stream, world)
        world.count("blocks_repeated")
        return msgspec.json.decode(stream.answer, type=Cleaned)
    if block.seq < stream.seq:
        refuse("stale_seq", f"seq: {block.seq}, the session is at {stream.seq}")
    try:
        return _advance(stream, block, begun, world)
    except Conflict:
        refuse("in_flight", f"seq: {block.seq}, another block of this session is being filtered")


def _advance(stream: Stream, block: Audio, begun: float, world: World) -> Cleaned:
    pcm = decode_pcm(block.pcm, stream.channels)
    gap = block.seq - stream.seq - 1
    signals = as_float(pcm)
    x, d = signals[:, 0], signals[:, -1]
    heard = hearing.listen(stream, x, gap > 0, world)
    residual, y, state = _filter(stream, x, d, gap > 0)
    open_to_world = heard.emergency.active or not stream.enabled or stream.mode == "bypass"
    cleaned = d if open_to_world else residual if stream.intensity == 1.0 else d - stream.intensity * y
    answer = Cleaned(
        seq=block.seq,
        pcm=encode_pcm(pcm[:, -1] if open_to_world else as_int16(cleaned)),
        attenuation_db=round(attenuation_db(d, cleaned), 2) if d.any() else None,
        level_dbfs=round(max(level_dbfs(d), -120.0), 2),
        noise=heard.noise,
        emergency=heard.emergency,
        server_ms=round(1e3 * (time.perf_counter() - begun), 3),
        gap=gap,
    )
    stored = world.streams.put(
        stream.but(
            seq=block.seq,
            filter=state,
            hearing=heard.state,
            emergency_until=heard.until,
            untold=_alarm(heard, stream, world) or stream.untold,
            answer=msgspec.json.encode(answer),
            blocks=stream.blocks + 1,
            samples=stream.samples + len(d),
            gaps=stream.gaps + (gap > 0),
            energy_before=stream.energy_before + float(d @ d),
            energy_after=stream.energy_after + float(cleaned @ cleaned),
            expires=world.clock() + world.settings.anc_session_hours * 3600,
        )
    )
    world.warm.keep(_tell(stored, world))
    world.count("blocks_filtered")
    world.counters.time("block", time.perf_counter() - begun)
    return answer


def _alarm(heard: Heard, stream: Stream, world: World) -> Alarm | None:
    """Return the alarm that begins with a block, unless an earlier one still holds the session open."""
    if heard.kind and stream.emergency_until * stream.rate <= stream.samples:
        return Alarm(heard.kind, heard.emergency.score, world.clock())
    return None


def _tell(stream: Stream, world: World) -> Stream:
    try:
        return emergencies.settle(stream, world.streams, world)
    except Exception:  # whatever it was: the block is done, and the next one tells of it
        logger.exception("an alarm was not told")
        return stream


def _filter(stream: Stream, x: np.ndarray, d: np.ndarray, gap: bool) -> tuple[np.ndarray, np.ndarray, bytes]:
    """Return the residual e, what was removed y, and the filter's state after the block."""
    if stream.mode == "bypass":
        return d, np.zeros_like(d), b""
    adaptive = _load(stream) if stream.filter else _new(stream)
    if gap:
        adaptive.clear_history()
    try:
        y, e = adaptive.process(d) if isinstance(adaptive, Predictor) else adaptive.process(x, d)
    except ValueError as fault:
        raise Refused("bad_field", f"pcm: {fault}") from fault
    return e, y, adaptive.state()


def _new(stream: Stream) -> Filter:
    if stream.mode == "predict":
        return Predictor(stream.taps, stream.horizon, stream.mu)
    if stream.algorithm == "fdaf":
        return FDAF(stream.taps, stream.mu, block=FDAF_BLOCK)
    return NLMS(stream.taps, stream.mu)


def _load(stream: Stream) -> Filter:
    if stream.mode == "predict":
        return Predictor.from_state(stream.filter)
    return (FDAF if stream.algorithm == "fdaf" else NLMS).from_state(stream.filter)
