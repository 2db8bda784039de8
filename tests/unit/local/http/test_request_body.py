"""Request bodies: their size, their time, and how many bytes are held at once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request

from anc.schemas.refusal import Refused
from local.http import request_body
from local.http.request_body import GRACE_S, SLOWEST, ByteBudget, RequestBody, time_for

HOUR_S = 3600.0


def piece(body: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def request(*messages: dict[str, Any], **headers: str) -> Request:
    """Return a request of which these messages arrive, and then nothing more."""
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


def test_a_body_is_read_whole_however_it_is_sent() -> None:
    announced = request(piece(b"ab", more=True), piece(b"c"), content_length="3")
    chunked = request(piece(b"ab", more=True), piece(b"c"), transfer_encoding="chunked")
    for sent in (announced, chunked):
        assert asyncio.run(RequestBody(sent, 3).read()) == b"abc"


def test_a_request_that_announces_no_body_is_not_waited_for() -> None:
    assert asyncio.run(RequestBody(request(), 10).read()) == b""


def test_what_announces_too_much_is_refused_before_a_byte_of_it_is_taken() -> None:
    refusal = refusal_of(RequestBody(request(content_length="11"), 10).read())
    assert (refusal.code, refusal.message) == ("too_large", "body: at most 10 bytes")


def test_what_is_longer_than_announced_ends_at_the_limit() -> None:
    endless = [piece(b"aaaa", more=True)] * 4
    for headers in ({"content_length": "4"}, {"transfer_encoding": "chunked"}, {"content_length": "x"}):
        sent = request(*endless, **(headers | {"transfer_encoding": "chunked"}))
        assert refusal_of(RequestBody(sent, 10).read()).code == "too_large"


def test_a_body_that_stalls_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_body, "GRACE_S", 0.0)
    stalled = request(piece(b"a", more=True), content_length="2")
    assert refusal_of(RequestBody(stalled, 10).read()).code == "too_slow"


def test_a_body_has_an_hour_when_it_is_as_large_as_a_part_of_a_recording() -> None:
    assert time_for(64 * 1024**2) > HOUR_S
    assert time_for(SLOWEST) == GRACE_S + 1
    assert time_for(64 * 1024) < 30


def test_a_client_that_leaves_in_the_middle_is_noticed() -> None:
    left = request(piece(b"a", more=True), {"type": "http.disconnect"}, content_length="2")
    with pytest.raises(ClientDisconnect):
        asyncio.run(RequestBody(left, 10).read())


def test_what_is_left_of_a_refused_body_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_body, "LINGER_S", 0.0)

    async def dropped(sent: Request) -> bool:
        return await RequestBody(sent, 1).discard()

    assert asyncio.run(dropped(request()))
    assert not asyncio.run(dropped(request(piece(b"a", more=True), content_length="2")))
    monkeypatch.setattr(request_body, "LINGER_S", 60.0)
    assert asyncio.run(dropped(request(piece(b"a", more=True), piece(b"b"), content_length="2")))


def holding(budget: ByteBudget, *wanted: tuple[str, int]) -> Callable[[], None]:
    contexts = [budget.hold(caller, size) for caller, size in wanted]
    for context in contexts:
        context.__enter__()

    def release() -> None:
        for context in contexts:
            context.__exit__(None, None, None)

    return release


def test_one_caller_holds_no_more_bytes_than_a_share_and_all_no_more_than_there_are() -> None:
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
