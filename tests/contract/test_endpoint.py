"""The larger model elsewhere: promises of `anc.ports.Endpoint`, of SageMaker as of an address."""

from typing import Any

import pytest

from anc.ports import MAX_RESPONSE_BYTES, EndpointUnavailable
from tests.processes import until


def test_what_is_asked_arrives_and_what_is_answered_comes_back(endpoint: Any) -> None:
    endpoint.server.body = b'{"label": "rail"}'
    assert endpoint.port.configured
    assert endpoint.port.invoke(b'{"rate": 16000}') == b'{"label": "rail"}'
    assert endpoint.server.asked == [("application/json", b'{"rate": 16000}')]


def test_an_absent_endpoint_is_not_configured_and_cannot_be_called(endpoint: Any) -> None:
    assert not endpoint.absent.configured
    with pytest.raises(EndpointUnavailable):
        endpoint.absent.invoke(b"{}")


@pytest.mark.parametrize("status", [400, 424, 500, 503])
def test_a_refusal_is_no_answer_and_it_is_not_asked_again(endpoint: Any, status: int) -> None:
    endpoint.server.status, endpoint.server.body = status, b'{"Message": "what was said: secret"}'
    with pytest.raises(EndpointUnavailable) as fault:
        endpoint.port.invoke(b"{}")
    assert "secret" not in str(fault.value)
    assert len(endpoint.server.asked) == 1


@pytest.mark.parametrize("limit_s", [0.2])
def test_a_slow_one_is_given_up_and_it_is_not_asked_again(endpoint: Any) -> None:
    endpoint.server.let_go.clear()
    with pytest.raises(EndpointUnavailable):
        endpoint.port.invoke(b"{}")
    until(lambda: endpoint.server.asked)
    assert len(endpoint.server.asked) == 1


def test_one_that_nobody_serves_has_no_answer(endpoint: Any) -> None:
    endpoint.server.server_close()
    with pytest.raises(EndpointUnavailable):
        endpoint.port.invoke(b"{}")


@pytest.mark.parametrize(("size", "fits"), [(MAX_RESPONSE_BYTES, True), (MAX_RESPONSE_BYTES + 1, False)])
def test_an_answer_has_a_limit(endpoint: Any, size: int, fits: bool) -> None:
    endpoint.server.body = b" " * size
    if fits:
        assert len(endpoint.port.invoke(b"{}")) == size
    else:
        with pytest.raises(EndpointUnavailable, match="65,536 bytes"):
            endpoint.port.invoke(b"{}")


def test_several_may_ask_one_after_another(endpoint: Any) -> None:
    for _ in range(3):
        endpoint.port.invoke(b"{}")
    assert len(endpoint.server.asked) == 3
