"""Request bodies: limits on size, time, and bytes held in memory."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request

from anc.schemas.refusal import Refused
from local.http import request_body
from local.http.request_body import (
    MIN_BYTES_PER_S,
    TRANSFER_GRACE_S,
    ByteBudget,
    RequestBody,
    transfer_timeout_s,
)

HOUR_S = 3600.0


def chunk(body: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def request(*messages: dict[str, Any], **headers: str) -> Request:
    """Return a request that receives these messages and then stalls."""
    left = list(messages)

    async def receive() -> dict[str, Any]:
        if left:
            return left.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": raw}, receive)


def refusal_of(reading: Awaitable[bytes]) -> Refused:
    async def read() -> bytes:
        return await reading

    with pytest.raises(Refused) as refusal:
        asyncio.run(read())
    return refusal.value


def test_a_body_is_read_completely_with_any_framing() -> None:
    content_length = request(chunk(b"ab", more=True), chunk(b"c"), content_length="3")
    chunked = request(chunk(b"ab", more=True), chunk(b"c"), transfer_encoding="chunked")
    for sent in (content_length, chunked):
        assert asyncio.run(RequestBody(sent, 3).read()) == b"abc"


def test_a_request_without_a_body_is_not_waited_for() -> None:
    assert asyncio.run(RequestBody(request(), 10).read()) == b""


def test_a_content_length_over_the_limit_is_refused_before_reading() -> None:
    refusal = refusal_of(RequestBody(request(content_length="11"), 10).read())
    assert (refusal.code, refusal.message) == ("too_large", "body must have at most 10 bytes")


def test_a_chunked_body_is_refused_at_the_limit() -> None:
    endless = [chunk(b"aaaa", more=True)] * 4
    for headers in ({"content_length": "4"}, {"transfer_encoding": "chunked"}, {"content_length": "x"}):
        sent = request(*endless, **(headers | {"transfer_encoding": "chunked"}))
        assert refusal_of(RequestBody(sent, 10).read()).code == "too_large"


def test_a_body_that_stalls_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_body, "TRANSFER_GRACE_S", 0.0)
    stalled = request(chunk(b"a", more=True), content_length="2")
    assert refusal_of(RequestBody(stalled, 10).read()).code == "too_slow"


def test_a_part_of_a_recording_may_take_an_hour() -> None:
    assert transfer_timeout_s(64 * 1024**2) > HOUR_S
    assert transfer_timeout_s(MIN_BYTES_PER_S) == TRANSFER_GRACE_S + 1
    assert transfer_timeout_s(64 * 1024) < 30


def test_a_disconnect_during_a_body_is_detected() -> None:
    left = request(chunk(b"a", more=True), {"type": "http.disconnect"}, content_length="2")
    with pytest.raises(ClientDisconnect):
        asyncio.run(RequestBody(left, 10).read())


def test_the_rest_of_a_refused_body_is_discarded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_body, "DISCARD_TIMEOUT_S", 0.0)

    async def dropped(sent: Request) -> bool:
        return await RequestBody(sent, 1).discard()

    assert asyncio.run(dropped(request()))
    assert not asyncio.run(dropped(request(chunk(b"a", more=True), content_length="2")))
    monkeypatch.setattr(request_body, "DISCARD_TIMEOUT_S", 60.0)
    assert asyncio.run(dropped(request(chunk(b"a", more=True), chunk(b"b"), content_length="2")))


def holding(budget: ByteBudget, *wanted: tuple[str, int]) -> Callable[[], None]:
    contexts = [budget.hold(caller, size) for caller, size in wanted]
    for context in contexts:
        context.__enter__()

    def release() -> None:
        for context in contexts:
            context.__exit__(None, None, None)

    return release


def test_the_bytes_held_are_limited_per_caller_and_in_total() -> None:
    budget = ByteBudget(total=100, share=40)
    release = holding(budget, ("ann", 30), ("bob", 40))
    with pytest.raises(Refused) as own, budget.hold("ann", 11):
        pass
    with pytest.raises(Refused) as all_of_them, budget.hold("cid", 31):
        pass
    assert (own.value.code, all_of_them.value.code) == ("too_many", "overloaded")
    assert "30 of 40 bytes" in own.value.message
    assert own.value.wait_s
    assert all_of_them.value.wait_s
    release()
    holding(budget, ("ann", 40), ("bob", 40))()
