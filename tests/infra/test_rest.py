"""Errors, TLS and throttling of API Gateway."""

import json

import pytest

from functions.routes import REST


def test_errors_of_api_gateway_are_problem_documents(stacks):
    answers = {
        answer["ResponseType"]: answer
        for answer in stacks.of_type("AWS::ApiGateway::GatewayResponse").values()
    }

    assert {"UNAUTHORIZED", "THROTTLED", "REQUEST_TOO_LARGE", "DEFAULT_4XX", "DEFAULT_5XX"} <= set(answers)
    for answer in answers.values():
        (document,) = map(json.loads, answer["ResponseTemplates"].values())
        assert set(document) == {"type", "title", "status", "code", "detail"}
        assert str(document["status"]) == answer["StatusCode"]
        headers = answer["ResponseParameters"]
        assert headers["gatewayresponse.header.Content-Type"] == "'application/problem+json'"
        assert headers["gatewayresponse.header.X-Content-Type-Options"] == "'nosniff'"
        assert headers["gatewayresponse.header.X-Frame-Options"] == "'DENY'"
    assert answers["THROTTLED"]["ResponseParameters"]["gatewayresponse.header.Retry-After"] == "'1'"
    assert "gatewayresponse.header.WWW-Authenticate" in answers["UNAUTHORIZED"]["ResponseParameters"]


@pytest.mark.parametrize("kind", ["AUTHORIZER_FAILURE", "AUTHORIZER_CONFIGURATION_ERROR"])
def test_a_token_that_cannot_be_checked_is_answered_with_a_time_to_wait(stacks, kind):
    """API Gateway chooses these when the authorizer raises anything but `Unauthorized`, or times out."""
    (answer,) = (
        answer
        for answer in stacks.of_type("AWS::ApiGateway::GatewayResponse").values()
        if answer["ResponseType"] == kind
    )

    assert answer["StatusCode"] == "503"
    assert answer["ResponseParameters"]["gatewayresponse.header.Retry-After"] == "'5'"
    assert json.loads(answer["ResponseTemplates"]["application/json"])["code"] == "unavailable"


def test_the_rest_api_requires_tls_1_2_and_its_own_host_name(stacks):
    (api,) = stacks.of_type("AWS::ApiGateway::RestApi").values()

    assert api["SecurityPolicy"].startswith("SecurityPolicy_TLS13_1_2_PFS_")
    assert api["EndpointAccessMode"] == "STRICT"


def test_every_endpoint_has_its_own_throttle(stacks):
    (stage,) = stacks.of_type("AWS::ApiGateway::Stage").values()
    limits = {
        (setting["HttpMethod"], setting["ResourcePath"].replace("~1", "/")): setting
        for setting in stage["MethodSettings"]
    }

    whole = limits.pop(("*", "/*"))["ThrottlingRateLimit"]
    assert set(limits) == {(route.method, "/" + route.path) for route in REST}
    for route in REST:
        limit = limits[route.method, "/" + route.path]
        shared = whole if route.public else min(route.per_minute, whole)  # one client must not use it up
        assert limit["ThrottlingRateLimit"] == shared
        assert limit["LoggingLevel"] == "ERROR"
        assert not limit["MetricsEnabled"]  # of each method: up to 5 billed metrics, used by no alarm


def test_authorizer_results_are_not_cached(stacks):
    """The result depends on several headers, and a revoked key must be rejected at once."""
    (rest,) = stacks.of_type("AWS::ApiGateway::Authorizer").values()
    (socket,) = stacks.of_type("AWS::ApiGatewayV2::Authorizer").values()

    assert rest["AuthorizerResultTtlInSeconds"] == 0
    assert not rest.get("IdentitySource")
    assert not socket.get("AuthorizerResultTtlInSeconds")
    for stage in stacks.of_type("AWS::ApiGateway::Stage").values():
        assert not stage.get("CacheClusterEnabled")
        assert not any(setting.get("CachingEnabled") for setting in stage["MethodSettings"])
