"""The REST API, built from the same route table as the local platform."""

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_wafv2 as wafv2
from constructs import Construct

from anc.schemas.problem import KIND, Problem
from anc.schemas.refusal import Refused, token_not_checked
from functions.routes import REST, RestRoute
from functions.security_headers import SECURITY_HEADERS
from infra.acknowledgements import acknowledge
from infra.environment import Environment
from infra.firewall import WebAcl
from infra.logs import LogGroup

# TLS 1.2 with forward secrecy, or 1.3. The default is 1.0. WebSocket APIs have no such option.
TLS = "SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09"
# Errors that API Gateway returns without calling a function, in the functions' format. One of the two of the
# authorizer follows when that raises anything but `Unauthorized`, or times out: a table or the issuer did not
# answer.
GATEWAY_ERRORS = {
    apigateway.ResponseType.UNAUTHORIZED: Refused("unauthorized", "token is missing, expired or invalid"),
    apigateway.ResponseType.AUTHORIZER_FAILURE: token_not_checked(),
    apigateway.ResponseType.AUTHORIZER_CONFIGURATION_ERROR: token_not_checked(),
    apigateway.ResponseType.MISSING_AUTHENTICATION_TOKEN: Refused(
        "not_found", "path or method does not exist"
    ),
    apigateway.ResponseType.REQUEST_TOO_LARGE: Refused(
        "too_large",
        "body must be at most 6 MB (4.5 MB of audio before base64); upload longer files",
    ),
    apigateway.ResponseType.THROTTLED: Refused(
        "too_many", "too many requests to the API; retry after 1 s", wait_s=1
    ),
    apigateway.ResponseType.INTEGRATION_TIMEOUT: Refused("unavailable", "the function timed out"),
    apigateway.ResponseType.DEFAULT_4_XX: Refused("bad_request", "invalid request"),
    apigateway.ResponseType.DEFAULT_5_XX: Refused("bad_gateway", "the function failed; see its log"),
}
# Static values are enclosed in single quotes, so values with single quotes are not possible.
SECURED = {name: f"'{value}'" for name, value in SECURITY_HEADERS.items() if "'" not in value}
# Log route patterns instead of paths, which contain session and device ids.
ACCESS_LOG = apigateway.AccessLogFormat.custom(
    '{"id":"$context.requestId","at":"$context.requestTimeEpoch","method":"$context.httpMethod",'
    '"route":"$context.resourcePath","status":"$context.status","ms":"$context.responseLatency",'
    '"bytes":"$context.responseLength","fault":"$context.error.message"}'
)


class Rest(Construct):
    """The API, its authorizer, throttle and logs.

    Attributes
    ----------
    url : str
    api : RestApi
    stage : Stage
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        functions: Mapping[str, lambda_.Function],
        environment: Environment,
        key: kms.IKey,
    ) -> None:
        super().__init__(scope, id)
        log = LogGroup(self, "log", environment, key)
        api = apigateway.RestApi(
            self,
            "api",
            rest_api_name=f"anc-{environment.name}",  # dimension of its metrics
            endpoint_types=[apigateway.EndpointType.REGIONAL],
            binary_media_types=["audio/*", "video/*", "application/octet-stream"],
            # API Gateway compresses; compressed bodies of functions would reach most clients as base64.
            min_compression_size=cdk.Size.kibibytes(1),
            cloud_watch_role=False,  # the account has one for all APIs (`infra.account`)
            deploy_options=apigateway.StageOptions(
                stage_name=environment.name,
                throttling_rate_limit=environment.requests_per_s,
                throttling_burst_limit=2 * environment.requests_per_s,
                access_log_destination=apigateway.LogGroupLogDestination(log),
                access_log_format=ACCESS_LOG,
                logging_level=apigateway.MethodLoggingLevel.ERROR,
                data_trace_enabled=False,
                metrics_enabled=False,
                tracing_enabled=True,
                method_options={
                    f"{route.path}/{route.method}": _throttle(route, environment.requests_per_s)
                    for route in REST
                },
            ),
        )
        # API Gateway would create this group itself, without retention and key; it would outlive the stack.
        errors = f"API-Gateway-Execution-Logs_{api.rest_api_id}/{environment.name}"
        api.deployment_stage.node.add_dependency(
            LogGroup(self, "execution_log", environment, key, name=errors)
        )
        child = api.node.default_child
        assert isinstance(child, apigateway.CfnRestApi)
        child.security_policy = TLS
        child.endpoint_access_mode = "STRICT"  # the Host header must match the TLS server name
        _use_problem_documents(api)
        authorizer = apigateway.RequestAuthorizer(
            self,
            "authorizer",
            handler=functions["authorizer"],
            # The token is in one of two headers, so neither can be required. No caching: revoked keys must be
            # rejected at once.
            identity_sources=[],
            results_cache_ttl=cdk.Duration.seconds(0),
        )
        integrations = {
            name: apigateway.LambdaIntegration(functions[name], scope_permission_to_method=False)
            for name in dict.fromkeys(route.function for route in REST)  # in a fixed order
        }
        for route in REST:
            method = api.root.resource_for_path(route.path).add_method(
                route.method,
                integrations[route.function],
                authorizer=None if route.public else authorizer,
            )
            if route.public:
                acknowledge(method, "AwsSolutions-APIG4", "Public by design; contains no user data.")
            acknowledge(method, "AwsSolutions-COG4", "The authorizer validates the pool's tokens.")
        acknowledge(api, "AwsSolutions-APIG2", "The services validate every field.")
        if environment.guarded:
            acl = WebAcl(self, "acl", environment, "REGIONAL")
            wafv2.CfnWebACLAssociation(
                self,
                "guarded",
                resource_arn=api.deployment_stage.stage_arn,
                web_acl_arn=acl.attr_arn,
            )
        else:
            acknowledge(
                api.deployment_stage, "AwsSolutions-APIG3", "Only prod has a web ACL; dev is throttled."
            )
        self.url = api.url
        self.api = api
        self.stage = api.deployment_stage


def _throttle(route: RestRoute, max_per_s: int) -> apigateway.MethodDeploymentOptions:
    """Return a throttle for all callers per second that equals the limit of one caller per minute.

    Endpoints without a token have that of the whole API: with a lower one, a single client could keep
    everybody from signing in. Their limits per address apply in the function.
    """
    rate = max_per_s if route.public else min(route.per_minute, max_per_s)
    return apigateway.MethodDeploymentOptions(
        throttling_rate_limit=rate,
        throttling_burst_limit=2 * rate,
        logging_level=apigateway.MethodLoggingLevel.ERROR,
        data_trace_enabled=False,
        metrics_enabled=False,
    )


def _use_problem_documents(api: apigateway.RestApi) -> None:
    for kind, refusal in GATEWAY_ERRORS.items():
        document = Problem.of(refusal)
        challenge = {"WWW-Authenticate": "'Bearer'"} if refusal.code == "unauthorized" else {}
        retry = {"Retry-After": f"'{refusal.wait_s}'"} if refusal.wait_s else {}
        api.add_gateway_response(
            f"says_{kind.response_type.lower()}",
            type=kind,
            status_code=str(document.status),
            response_headers={"Content-Type": f"'{KIND}'", **SECURED, **challenge, **retry},
            templates={"application/json": document.encode()},
        )
