"""Which event reaches which function: the one table that the stacks and the single-machine edition share."""

from typing import NamedTuple


class RestRoute(NamedTuple):
    """A method and path of the REST API, in API Gateway's notation. Public ones need no token."""

    method: str
    path: str
    function: str
    public: bool = False


class Rule(NamedTuple):
    """An IoT rule: what it selects of which topic, and the queue it feeds."""

    name: str
    sql: str
    topic: str
    queue: str


class Arrivals(NamedTuple):
    """Which new files are announced to which queue, as S3's event notifications."""

    prefix: str
    queue: str


class QueueRoute(NamedTuple):
    """A queue, its consumer, and how it is read."""

    name: str
    function: str
    batch: int
    max_receives: int
    visibility_s: int


REST = (
    RestRoute("GET", "/health", "rest_api", public=True),
    RestRoute("GET", "/metrics", "rest_api", public=True),
    RestRoute("GET", "/openapi.json", "rest_api", public=True),
    RestRoute("GET", "/docs", "rest_api", public=True),
    RestRoute("POST", "/api/sessions", "rest_api"),
    RestRoute("GET", "/api/sessions", "rest_api"),
    RestRoute("GET", "/api/sessions/{id}", "rest_api"),
    RestRoute("PATCH", "/api/sessions/{id}", "rest_api"),
    RestRoute("DELETE", "/api/sessions/{id}", "rest_api"),
    RestRoute("GET", "/api/sessions/{id}/stats", "rest_api"),
    RestRoute("POST", "/api/devices", "rest_api"),
    RestRoute("GET", "/api/devices", "rest_api"),
    RestRoute("GET", "/api/devices/{id}", "rest_api"),
    RestRoute("DELETE", "/api/devices/{id}", "rest_api"),
    RestRoute("GET", "/api/devices/{id}/shadow", "rest_api"),
    RestRoute("POST", "/api/audio/classify", "classifier"),
)

SOCKET = {
    "$connect": "ws_connect",
    "$disconnect": "ws_disconnect",
    "$default": "audio_receiver",
    "start": "audio_receiver",
    "audio": "audio_receiver",
    "set": "audio_receiver",
    "stop": "audio_receiver",
    "watch": "audio_receiver",
    "ping": "audio_receiver",
}
SOCKET_ROUTE_SELECTION = "$request.body.action"

RULES = (
    Rule(
        name="anc_snapshot",
        sql="SELECT encode(*, 'base64') AS data, topic(2) AS thing, timestamp() AS at FROM 'anc/+/snapshot'",
        topic="anc/+/snapshot",
        queue="snapshots",
    ),
)

# Files that arrive in the bucket below the prefix are announced to the queue.
ARRIVALS = Arrivals(prefix="uploads/", queue="recordings")

QUEUES = (
    QueueRoute("recordings", "anc_processor", batch=1, max_receives=5, visibility_s=360),
    QueueRoute("snapshots", "anc_processor", batch=10, max_receives=5, visibility_s=60),
    QueueRoute("updates", "audio_sender", batch=10, max_receives=5, visibility_s=60),
)

FUNCTIONS = (
    "audio_receiver",
    "anc_processor",
    "audio_sender",
    "ws_connect",
    "ws_disconnect",
    "classifier",
    "rest_api",
    "authorizer",
)
