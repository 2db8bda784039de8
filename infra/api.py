"""The REST API and the WebSocket API with their functions."""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.account import Account
from infra.canary import Canary
from infra.data import Data
from infra.environment import Environment
from infra.functions import (
    ABANDON_PARTS,
    ADD,
    DELETE,
    DELETE_FILE,
    LIST,
    LIST_ALL,
    ONE_CORE_MB,
    READ,
    READ_FILE,
    READ_MANY,
    WRITE,
    WRITE_PARTS,
    PlatformFunction,
)
from infra.identity import Identity
from infra.inference import endpoint_name
from infra.layer import layers
from infra.registry import may_register, may_search_fleet_index
from infra.rest import Rest
from infra.websocket import WebSocket

USER_POOL_ACTIONS = (
    "cognito-idp:AdminInitiateAuth",
    "cognito-idp:AdminRespondToAuthChallenge",
    "cognito-idp:AdminSetUserMFAPreference",
    "cognito-idp:AdminGetUser",
    "cognito-idp:AdminCreateUser",
    "cognito-idp:AdminSetUserPassword",
    "cognito-idp:AdminDeleteUser",
    "cognito-idp:AdminListGroupsForUser",
    "cognito-idp:AdminAddUserToGroup",
    "cognito-idp:AdminRemoveUserFromGroup",
    "cognito-idp:ListUsers",
    "cognito-idp:ListUsersInGroup",
)


class Api(cdk.Stack):
    """The REST and WebSocket APIs.

    Attributes
    ----------
    rest : Rest
    socket : WebSocket
        For functions that push to clients.
    functions : dict of str to PlatformFunction
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        environment: Environment,
        account: Account,
        data: Data,
        identity: Identity,
    ) -> None:
        super().__init__(scope, id, env=environment.target)
        self._environment = environment
        self._data = data
        self._layers = layers(self, environment.layer)
        self.functions = {
            "authorizer": self._authorizer(identity),
            "rest_api": self._rest_api(identity),
            "classifier": self._classifier(),
            "ws_connect": self._ws_connect(),
            "ws_disconnect": self._ws_disconnect(),
            "audio_receiver": self._audio_receiver(),
        }
        self.rest = Rest(self, "rest", self.functions, environment, data.key)
        self.socket = WebSocket(
            self, "socket", {**self.functions, "audio_receiver": self._live()}, environment, data.key
        )
        self.socket.may_close(self.functions["rest_api"])
        cdk.CfnOutput(self, "RestUrl", value=self.rest.url)
        cdk.CfnOutput(self, "SocketUrl", value=self.socket.url)
        # Both stages write logs, which needs the account's role first: this import orders the stacks.
        stage = self.rest.stage.node.default_child
        assert isinstance(stage, apigateway.CfnStage)
        stage.description = f"Logs with the settings of {account.api_gateway.ref}"

    def _function(self, name: str, **options: Any) -> PlatformFunction:
        return PlatformFunction(
            self, name, data=self._data, layers=self._layers, environment=self._environment, **options
        )

    def _authorizer(self, identity: Identity) -> PlatformFunction:
        function = self._function(
            "authorizer",
            variables={
                "TOKEN_ISSUER": identity.issuer,
                "TOKEN_AUDIENCE": identity.audience,
                "TOKEN_JWKS_URL": identity.jwks_url,
            },
        )
        _may_check_access(function)
        return function

    def _classifier(self) -> PlatformFunction:
        function = self._function("classifier", memory_mb=ONE_CORE_MB, decodes=True)
        _may_check_access(function)
        function.may_use("limits", ADD)
        if function.knows_endpoint():
            name = endpoint_name(self._environment)
            endpoint = self.format_arn(service="sagemaker", resource="endpoint", resource_name=name)
            function.may(["sagemaker:InvokeEndpoint"], endpoint)
            function.may_use("controls", READ, WRITE)
            function.may_send("updates")
        function.consume()
        return function

    def _ws_connect(self) -> PlatformFunction:
        function = self._function("ws_connect")
        function.may_use("connections", READ, LIST, WRITE)
        function.may_use("usages", READ, WRITE)
        return function

    def _ws_disconnect(self) -> PlatformFunction:
        function = self._function("ws_disconnect")
        function.may_use("connections", READ, DELETE)
        function.may_use("usages", READ, WRITE)
        function.may_use("watches", DELETE)
        return function

    def _audio_receiver(self) -> PlatformFunction:
        function = self._function("audio_receiver", memory_mb=ONE_CORE_MB)
        function.may_use("streams", READ, LIST, WRITE, DELETE)
        function.may_use("usages", READ, WRITE)
        function.may_use("connections", READ, WRITE)
        function.may_use("watches", LIST, WRITE)
        function.may_use("devices", READ)
        _may_check_access(function)
        function.may_raise_the_alarm()
        return function

    def _live(self) -> lambda_.IFunction:
        """Return the integration target of frames: the alias of a version, which is kept warm in prod."""
        function = self.functions["audio_receiver"]
        return Canary(self, "live", function, self._environment, warm=self._environment.session_cache).alias

    def _rest_api(self, identity: Identity) -> PlatformFunction:
        function = self._function(
            "rest_api",
            memory_mb=ONE_CORE_MB,
            timeout_s=25,
            decodes=True,
            variables={
                "THING_POLICY": identity.thing_policy,
                "THING_TYPE": identity.thing_type,
                "ENVIRONMENT": self._environment.name,
                "PEOPLE_POOL": identity.users.user_pool_id,
                "PEOPLE_CLIENT": identity.audience,
            },
        )
        function.add_environment("ORIGIN_SECRET", self._data.origin_secret)
        function.may_use("streams", READ, LIST, WRITE, DELETE)
        function.may_use("devices", READ, LIST, WRITE, DELETE)
        function.may_use("device_models", READ, LIST, WRITE, DELETE)
        function.may_use("controls", READ, WRITE, DELETE)
        function.may_use("telemetry", READ, WRITE, DELETE)
        function.may_use("history", LIST, WRITE)
        function.may_use("statuses", READ, DELETE)
        function.may_use("api_keys", READ, LIST, WRITE, DELETE)
        function.may_use("usages", READ, WRITE)
        function.may_use("accounts", READ, WRITE)
        function.may_use("audit", LIST, WRITE)
        function.may_use("connections", LIST, DELETE)
        function.may_use("watches", LIST, DELETE)
        function.may_use("emergencies", READ, LIST, LIST_ALL, WRITE)
        function.may_use("jobs", READ, LIST, WRITE, DELETE)
        # Presigned links have the rights of this role: write to `uploads`, read from `results`.
        function.may_use_files("uploads/", READ_FILE, WRITE_PARTS, DELETE_FILE)
        function.may_use_files("results/", READ_FILE, ABANDON_PARTS, DELETE_FILE)
        function.may_use_files("work/", DELETE_FILE)
        function.may_use("rollouts", READ, LIST, WRITE)
        function.may_use("rollout_batches", LIST, WRITE)
        function.may_use("fleet_days", LIST)
        function.may_use("counters", READ_MANY)
        function.may(["cloudwatch:GetMetricData"], "*", "It does not support resources.")
        function.may_use("limits", ADD)
        function.may_send("updates")
        function.may(USER_POOL_ACTIONS, identity.users.user_pool_arn)
        may_register(function)
        may_search_fleet_index(function)
        return function


def _may_check_access(function: PlatformFunction) -> None:
    """Grant a function read access to accounts and API keys."""
    function.may_use("accounts", READ)
    function.may_use("api_keys", READ)
