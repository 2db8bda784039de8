"""Contract of `anc.ports.Endpoint`, for SageMaker and HTTP."""

from typing import Any

import pytest

from anc.ports import MAX_RESPONSE_BYTES, EndpointUnavailable
from tests.processes import until


def test_the_request_arrives_and_the_response_is_returned(endpoint: Any) -> None:
    endpoint.server.body = b'{"label": "rail"}'
    assert endpoint.port.configured
    assert endpoint.port.invoke(b'{"rate": 16000}') == b'{"label": "rail"}'
    assert endpoint.server.requests == [("application/json", b'{"rate": 16000}')]


def test_an_absent_endpoint_is_not_configured_and_cannot_be_called(endpoint: Any) -> None:
    assert not endpoint.absent.configured
    with pytest.raises(EndpointUnavailable):
        endpoint.absent.invoke(b"{}")


@pytest.mark.parametrize("status", [400, 424, 500, 503])
def test_an_error_status_raises_and_is_not_retried(endpoint: Any, status: int) -> None:
    endpoint.server.status, endpoint.server.body = status, b'{"Message": "what was said: secret"}'
    with pytest.raises(EndpointUnavailable) as fault:
        endpoint.port.invoke(b"{}")
    assert "secret" not in str(fault.value)
    assert len(endpoint.server.requests) == 1


@pytest.mark.parametrize("limit_s", [0.2])
def test_a_slow_endpoint_times_out_and_is_not_retried(endpoint: Any) -> None:
    endpoint.server.released.clear()
    with pytest.raises(EndpointUnavailable):
        endpoint.port.invoke(b"{}")
    until(lambda: endpoint.server.requests)
    assert len(endpoint.server.requests) == 1


def test_an_unreachable_endpoint_raises(endpoint: Any) -> None:
    endpoint.server.server_close()
    with pytest.raises(EndpointUnavailable):
        endpoint.port.invoke(b"{}")


@pytest.mark.parametrize(("size", "fits"), [(MAX_RESPONSE_BYTES, True), (MAX_RESPONSE_BYTES + 1, False)])
def test_the_size_of_a_response_is_limited(endpoint: Any, size: int, fits: bool) -> None:
    endpoint.server.body = b" " * size
    if fits:
        assert len(endpoint.port.invoke(b"{}")) == size
    else:
        with pytest.raises(EndpointUnavailable, match="65,536 bytes"):
            endpoint.port.invoke(b"{}")


def test_consecutive_requests_succeed(endpoint: Any) -> None:
    for _ in range(3):
        endpoint.port.invoke(b"{}")
    assert len(endpoint.server.requests) == 3
