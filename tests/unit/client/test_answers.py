"""Responses that are not from the platform, such as a proxy's page."""

from collections.abc import Callable

import httpx
import pytest

from anc_client import ApiError, Client


@pytest.mark.parametrize("call", [Client.health, Client.me, lambda client: next(client.devices())])
@pytest.mark.parametrize("body", ["", "<html>busy</html>", "Task timed out after 10.00 seconds"])
def test_a_response_that_is_not_json_is_a_bad_gateway(call: Callable[[Client], object], body: str) -> None:
    proxy = httpx.MockTransport(lambda request: httpx.Response(200, text=body))
    with Client("http://platform", transport=proxy) as client, pytest.raises(ApiError) as error:
        call(client)
    assert (error.value.status, error.value.code) == (200, "bad_gateway")
    assert "is not JSON" in error.value.detail


def test_a_response_of_another_kind_is_a_value_error() -> None:
    other = httpx.MockTransport(lambda request: httpx.Response(200, json={"name": "printer"}))
    with Client("http://platform", transport=other) as client, pytest.raises(ValueError, match="user"):
        client.me()
