"""AWS on moto, with limits and calls that moto lacks."""

import io
import json
import threading
from collections import defaultdict
from collections.abc import Callable
from functools import cache, partial, wraps
from typing import Any, NamedTuple

import boto3
import botocore.session
from botocore.config import Config
from botocore.loaders import create_loader
from botocore.response import StreamingBody
from moto.core import responses
from moto.dynamodb.models import DynamoDBBackend

from anc.schemas.refusal import parse_json

REGION = "eu-central-1"
LOADER = create_loader()
# Source: AWS service quotas; moto enforces those of DynamoDB items (400 KB) and SQS messages (1 MB).
SHADOW_LIMIT = 8 * 1024
MESSAGE_LIMIT = 128 * 1024  # over a WebSocket
# Answers of an empty fleet index; `tests.contract.fleet_indexing` is a full one.
EMPTY_INDEX: dict[str, dict[str, Any]] = {
    "SearchIndex": {"things": []},
    "GetStatistics": {"statistics": {"count": 0}},
    "GetPercentiles": {"percentiles": []},
    "GetBucketsAggregation": {"buckets": []},
}
REQUEST_LIMIT = 4 * 1024**2  # to a serverless endpoint


def _one_at_a_time(call: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(call)
    def locked(*args: Any, **kwargs: Any) -> Any:
        with ITEM_LOCK:
            return call(*args, **kwargs)

    return locked


# Every write of an item is atomic on DynamoDB, and reads and writes in two steps on moto.
ITEM_LOCK = threading.RLock()
for _name in ("put_item", "update_item", "delete_item"):
    setattr(DynamoDBBackend, _name, _one_at_a_time(getattr(DynamoDBBackend, _name)))


# moto lists the methods of a class for every request.
responses.method_names_from_class = cache(responses.method_names_from_class)


class AwsLimits:
    """Limits of AWS that moto lacks, and records of calls that moto does not implement.

    Attributes
    ----------
    is_gone : callable
        Returns whether a WebSocket is closed, by connection id.
    sent : dict of lists of str
        Messages sent, by connection id.
    closed : list of str
        WebSockets closed by the platform.
    disconnected : list of str
        MQTT clients disconnected by the platform.
    prediction : dict
        Response of the endpoint to every request.
    requests : list of bytes
        Requests to the endpoint; moto accepts UTF-8 only.
    index : dict of str to dict
        Answers of the fleet index by operation.
    """

    def __init__(self) -> None:
        self.is_gone: Callable[[str], bool] = lambda connection: False
        self.sent: dict[str, list[str]] = defaultdict(list)
        self.closed: list[str] = []
        self.disconnected: list[str] = []
        self.prediction: dict[str, Any] = {}
        self.requests: list[bytes] = []
        self.index = dict(EMPTY_INDEX)

    def session(self) -> boto3.Session:
        """Return a session whose clients enforce AWS's limits."""
        session = session_here()
        on = session.events.register
        on("before-call.apigatewaymanagementapi.PostToConnection", self._post)
        on("before-call.apigatewaymanagementapi.DeleteConnection", self._close)
        on("before-call.iot-data.UpdateThingShadow", _keep_small)
        on("before-call.iot-data.DeleteConnection", self._delete_connection)
        for operation in EMPTY_INDEX:
            on(f"before-call.iot.{operation}", partial(self._search, operation))
        on("before-call.sagemaker-runtime.InvokeEndpoint", self._answer)
        return session

    def _post(self, params: dict[str, Any], **_: Any) -> Any:
        connection = params["url_path"].rpartition("/")[2]
        if self.is_gone(connection) or connection in self.closed:
            return refusal(410, "GoneException")
        if len(params["body"]) > MESSAGE_LIMIT:
            return refusal(413, "PayloadTooLargeException")
        self.sent[connection].append(params["body"].decode())
        return _done()

    def _close(self, params: dict[str, Any], **_: Any) -> Any:
        connection = params["url_path"].rpartition("/")[2]
        if self.is_gone(connection) or connection in self.closed:
            return refusal(410, "GoneException")
        self.closed.append(connection)
        return _done()

    def _delete_connection(self, params: dict[str, Any], **_: Any) -> Any:
        self.disconnected.append(params["url_path"].rpartition("/")[2])
        return _done()

    def _search(self, operation: str, **_: Any) -> Any:
        return _done(**self.index[operation])

    def _answer(self, params: dict[str, Any], **_: Any) -> Any:
        if len(params["body"]) > REQUEST_LIMIT:
            return refusal(413, "ValidationError")
        self.requests.append(params["body"])
        return _done(Body=StreamingBody(io.BytesIO(json.dumps(self.prediction).encode()), None))


def session_here() -> boto3.Session:
    """Return a session with cached service descriptions, whose loading is slow, and a constant user agent."""
    session = botocore.session.Session()
    session.set_default_client_config(Config(user_agent="tests"))  # else built twice for each request
    session.register_component("data_loader", LOADER)
    return boto3.Session(botocore_session=session, region_name=REGION)


def _keep_small(params: dict[str, Any], **_: Any) -> Any:
    """Reject an update that would make a shadow exceed its size limit."""
    thing = params["url_path"].split("/")[2]
    client = session_here().client("iot-data")
    try:
        answer = client.get_thing_shadow(thingName=thing, shadowName=params["query_string"]["name"])
        before = json.loads(answer["payload"].read())["state"]
    except client.exceptions.ResourceNotFoundException:
        before = {}
    change = parse_json(params["body"], dict[str, Any])["state"]
    after = {key: _merged(before.get(key, {}), change.get(key, {})) for key in ("desired", "reported")}
    if len(json.dumps(after, separators=(",", ":")).encode()) > SHADOW_LIMIT:
        return refusal(413, "RequestEntityTooLargeException")
    return None


def _merged(before: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    merged = before | change
    return {key: value for key, value in merged.items() if value is not None}


class _Status(NamedTuple):
    status_code: int


def refusal(status: int, code: str) -> tuple[_Status, dict[str, Any]]:
    return _Status(status), {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {}}


def _done(**answer: Any) -> tuple[_Status, dict[str, Any]]:
    return _Status(200), {"ResponseMetadata": {}, **answer}
