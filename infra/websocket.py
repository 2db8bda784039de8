"""The WebSocket API: each frame is answered in the route response."""

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_apigatewayv2 as apigatewayv2
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk.aws_apigatewayv2_authorizers import WebSocketLambdaAuthorizer
from aws_cdk.aws_apigatewayv2_integrations import WebSocketLambdaIntegration
from constructs import Construct

from functions.routes import SOCKET, SOCKET_ROUTE_SELECTION
from infra.acknowledgements import acknowledge
from infra.environment import Environment
from infra.functions import PlatformFunction
from infra.logs import LogGroup

WITHOUT_RESPONSE = ("$connect", "$disconnect")
ACCESS_LOG = (
    '{"id":"$context.requestId","at":"$context.requestTimeEpoch","route":"$context.routeKey",'
    '"event":"$context.eventType","status":"$context.status","fault":"$context.error.message"}'
)


class WebSocket(Construct):
    """The API, its authorizer, throttle and log.

    Attributes
    ----------
    url : str
        Where clients connect.
    endpoint : str
        Where `anc.aws.sockets` posts.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        functions: Mapping[str, lambda_.IFunction],
        environment: Environment,
        key: kms.IKey,
    ) -> None:
        super().__init__(scope, id)
        self._stage_name = environment.name
        self._api = apigatewayv2.WebSocketApi(self, "api", route_selection_expression=SOCKET_ROUTE_SELECTION)
        # Browsers send the token as a subprotocol and other clients as a header, so neither can be required.
        # Every request has this header. AWS does not document an empty list for WebSocket APIs.
        authorizer = WebSocketLambdaAuthorizer(
            "authorizer", functions["authorizer"], identity_source=["route.request.header.Host"]
        )
        for selected, name in SOCKET.items():
            route = self._api.add_route(
                selected,
                integration=WebSocketLambdaIntegration(selected, functions[name]),
                authorizer=authorizer if selected == "$connect" else None,
                return_response=selected not in WITHOUT_RESPONSE,
            )
            if selected != "$connect":
                acknowledge(route, "AwsSolutions-APIG4", "Connections are authorized at $connect.")
        log = LogGroup(self, "log", environment, key)
        stage = apigatewayv2.WebSocketStage(
            self,
            "stage",
            web_socket_api=self._api,
            stage_name=environment.name,
            auto_deploy=True,
            detailed_metrics_enabled=False,
            throttle=apigatewayv2.ThrottleSettings(
                rate_limit=environment.frames_per_s, burst_limit=2 * environment.frames_per_s
            ),
        )
        child = stage.node.default_child
        assert isinstance(child, apigatewayv2.CfnStage)
        child.access_log_settings = apigatewayv2.CfnStage.AccessLogSettingsProperty(
            destination_arn=log.log_group_arn, format=ACCESS_LOG
        )
        self.url = stage.url
        self.endpoint = stage.callback_url
        self._stage = stage

    def metric(self, name: str, statistic: str) -> cloudwatch.Metric:
        """Return a metric of the stage, per minute."""
        return self._stage.metric(name, statistic=statistic, period=cdk.Duration.minutes(1))

    def may_post(self, function: PlatformFunction) -> None:
        """Let a function of another stack send frames to connections, and set the endpoint for it."""
        api = cdk.Stack.of(self).export_value(self._api.api_id)
        self._may_manage(function, api, "POST", "Connection ids are not known at deployment.")

    def may_close(self, function: PlatformFunction) -> None:
        """Let a function of this stack close connections, and set the endpoint for it."""
        self._may_manage(function, self._api.api_id, "DELETE", "Connection ids are not known at deployment.")

    def _may_manage(self, function: PlatformFunction, api: str, method: str, wildcard_reason: str) -> None:
        arn = cdk.Stack.of(self).format_arn(
            service="execute-api", resource=api, resource_name=f"{self._stage_name}/{method}/@connections/*"
        )
        function.may(["execute-api:ManageConnections"], arn, wildcard_reason)
        function.add_environment("SOCKETS_ENDPOINT", self.endpoint)
