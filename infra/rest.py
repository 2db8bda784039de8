"""The REST API, route by route from the table that the single-machine edition serves too."""

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_wafv2 as wafv2
from constructs import Construct

from anc.schemas.problem import KIND, Problem
from anc.schemas.refusal import Refused
from functions.routes import REST, RestRoute
from functions.security_headers import SECURITY_HEADERS
from infra.acknowledgements import acknowledge
from infra.environment import Environment
from infra.firewall import WebAcl
from infra.functions import LOG_RETENTION

# 1.2 with forward secrecy, or 1.3; left to itself API Gateway takes 1.0. A WebSocket API leaves no choice.
TLS = "SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09"
# What a leaked token or a runaway client can cost; a quota per caller comes before it.
REQUESTS_PER_SECOND = 500
BURST = 1000
# What API Gateway says before a function hears of a request: in the functions' own words.
REFUSALS = {
    apigateway.ResponseType.UNAUTHORIZED: ("unauthorized", "token: missing, expired or not ours"),
    apigateway.ResponseType.MISSING_AUTHENTICATION_TOKEN: (
        "not_found",
        "path: there is nothing here, or nothing that takes this method",
    ),
    apigateway.ResponseType.REQUEST_TOO_LARGE: (
        "too_large",
        "body: more than a function takes, 6 MB with sound as base64, of sound 4.5 MB; upload longer ones",
    ),
    apigateway.ResponseType.THROTTLED: ("too_many", "requests: too many of all callers; come again in 1 s"),
    apigateway.ResponseType.INTEGRATION_TIMEOUT: ("unavailable", "the function did not answer in time"),
    apigateway.ResponseType.DEFAULT_4_XX: ("bad_request", "request: not one that this API takes"),
    apigateway.ResponseType.DEFAULT_5_XX: ("bad_gateway", "the function failed; its log says why"),
}
# Static values stand in quotes themselves, so a policy with quotes in it cannot be sent.
SECURED = {name: f"'{value}'" for name, value in SECURITY_HEADERS.items() if "'" not in value}
ADDED_HEADERS = {"unauthorized": {"WWW-Authenticate": "'Bearer'"}, "too_many": {"Retry-After": "'1'"}}
# Names of routes, never of what is behind them: a path holds session and device ids.
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
    ) -> None:
        super().__init__(scope, id)
        log = logs.LogGroup(self, "log", retention=LOG_RETENTION, removal_policy=environment.removal)
        api = apigateway.RestApi(
            self,
            "api",
            rest_api_name=f"anc-{environment.name}",  # metrics go by it
            endpoint_types=[apigateway.EndpointType.REGIONAL],
            binary_media_types=["audio/*", "application/octet-stream"],
            # API Gateway packs what it sends: a function that did would be sent on as base64 to most clients.
            min_compression_size=cdk.Size.kibibytes(1),
            cloud_watch_role=True,
            cloud_watch_role_removal_policy=environment.removal,
            deploy_options=apigateway.StageOptions(
                stage_name=environment.name,
                throttling_rate_limit=REQUESTS_PER_SECOND,
                throttling_burst_limit=BURST,
                access_log_destination=apigateway.LogGroupLogDestination(log),
                access_log_format=ACCESS_LOG,
                logging_level=apigateway.MethodLoggingLevel.ERROR,
                data_trace_enabled=False,
                metrics_enabled=True,
                tracing_enabled=True,
                method_options={f"{route.path}/{route.method}": _throttle(route) for route in REST},
            ),
        )
        child = api.node.default_child
        assert isinstance(child, apigateway.CfnRestApi)
        child.security_policy = TLS
        child.endpoint_access_mode = "STRICT"  # asked under its own name, by which TLS found it
        _refuse_in_problem_documents(api)
        authorizer = apigateway.RequestAuthorizer(
            self,
            "authorizer",
            handler=functions["authorizer"],
            # A token comes in one header or another, so neither is required; and a key that was revoked is
            # refused at once, so nothing is cached.
            identity_sources=[],
            results_cache_ttl=cdk.Duration.seconds(0),
        )
        integrations = {
            name: apigateway.LambdaIntegration(functions[name], scope_permission_to_method=False)
            for name in dict.fromkeys(route.function for route in REST)  # in the same order each time
        }
        for route in REST:
            method = api.root.resource_for_path(route.path).add_method(
                route.method,
                integrations[route.function],
                authorizer=None if route.public else authorizer,
            )
            if route.public:
                acknowledge(method, "AwsSolutions-APIG4", "Public by intent: says nothing of anybody.")
            acknowledge(method, "AwsSolutions-COG4", "The Lambda authorizer checks the pool's tokens itself.")
        acknowledge(api, "AwsSolutions-APIG2", "Services check every field and say which one is wrong.")
        acknowledge(
            api,
            "AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/"
            "AmazonAPIGatewayPushToCloudWatchLogs]",
            "What API Gateway may do with logs is AWS's to say: the role is the account's, not ours.",
        )
        if environment.guarded:
            acl = WebAcl(self, "acl", environment, "REGIONAL")
            wafv2.CfnWebACLAssociation(
                self,
                "guarded",
                resource_arn=api.deployment_stage.stage_arn,
                web_acl_arn=acl.attr_arn,
            )
        else:
            acknowledge(api.deployment_stage, "AwsSolutions-APIG3", "Throttled; prod has a web ACL.")
        self.url = api.url
        self.api = api
        self.stage = api.deployment_stage


def _throttle(route: RestRoute) -> apigateway.MethodDeploymentOptions:
    """Let all callers together have in a second what one may have in a minute."""
    rate = min(route.per_minute, REQUESTS_PER_SECOND)
    return apigateway.MethodDeploymentOptions(
        throttling_rate_limit=rate,
        throttling_burst_limit=2 * rate,
        logging_level=apigateway.MethodLoggingLevel.ERROR,
        data_trace_enabled=False,
        metrics_enabled=True,
    )


def _refuse_in_problem_documents(api: apigateway.RestApi) -> None:
    for kind, (code, detail) in REFUSALS.items():
        document = Problem.of(Refused(code, detail))
        api.add_gateway_response(
            f"says_{kind.response_type.lower()}",
            type=kind,
            status_code=str(document.status),
            response_headers={"Content-Type": f"'{KIND}'", **SECURED, **ADDED_HEADERS.get(code, {})},
            templates={"application/json": document.encode()},
        )
