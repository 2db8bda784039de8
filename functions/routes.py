"""The table of routes, for the stacks and the local platform: which event invokes which function."""

from typing import Literal, NamedTuple

RequiredRole = Literal["public", "listener", "operator", "admin"]
WorkKind = Literal["quick", "heavy", "secret"]
JSON_BYTES = 64 * 1024
SIGN_IN_BYTES = 8 * 1024  # a name and a password with every character escaped
SOUND_BYTES = 10_000_000


class RestRoute(NamedTuple):
    """A method and path of the REST API, in API Gateway's notation.

    Attributes
    ----------
    role : str
        Minimum role of the caller: each role includes those before it, and `public` needs no token. Which
        records a caller sees also depends on their owner.
    per_minute : int
        Rate limit per caller, or per address for requests without a token.
    body_bytes : int
        Maximum size of the body; checked before it is parsed.
    work : str
        Cost of a request: `quick` takes milliseconds, `heavy` up to seconds of a core, `secret` hashes a
        password. The local platform has a thread pool for each kind.
    """

    method: str
    path: str
    role: RequiredRole
    per_minute: int
    function: str = "rest_api"
    body_bytes: int = JSON_BYTES
    work: WorkKind = "quick"

    @property
    def public(self) -> bool:
        """Whether it can be called without a token."""
        return self.role == "public"

    @property
    def family(self) -> str:
        """First part of the path below `/api`, which is the scope that a scoped API key must have.

        Metrics are the totals of `stats/summary` in another format.
        """
        if self.path == "/metrics":
            return "stats"
        return self.path.removeprefix("/api/").partition("/")[0]

    @property
    def for_every_key(self) -> bool:
        """Whether an API key may call it regardless of its scopes."""
        return self.public or self.path == "/api/users/me"

    @property
    def for_users_only(self) -> bool:
        """Whether it refuses API keys, so that a leaked key cannot create users or keys."""
        return self.family == "users" and not self.for_every_key


class Rule(NamedTuple):
    """An IoT rule: forwards what is published to a topic to a queue, as a `DeviceMessage`.

    Attributes
    ----------
    kind : str
        Tag of the message in `anc.schemas.messages`.
    topic : str
        Topic filter; a `+` stands for the thing.
    thing_level : int
        Level of the topic, counted from 1, that names the thing.
    of_headsets : bool
        Whether headsets publish to it; otherwise AWS IoT itself does.
    """

    name: str
    kind: str
    topic: str
    thing_level: int
    queue: str
    of_headsets: bool = True

    @property
    def sql(self) -> str:
        """Statement in AWS IoT SQL, version 2016-03-23, which allows literals in SELECT."""
        columns = f"'{self.kind}' AS kind, topic({self.thing_level}) AS thing, timestamp() AS at"
        return f"SELECT {columns}, encode(*, 'base64') AS payload FROM '{self.topic}'"  # noqa: S608  constants


class Arrivals(NamedTuple):
    """S3 event notifications: files whose keys have the prefix are announced to the queue."""

    prefix: str
    queue: str


class QueueRoute(NamedTuple):
    """A queue, its consumer, and how it is read.

    Attributes
    ----------
    max_receives : int
        Deliveries after which a message is moved to the dead letters.
    max_concurrency : int
        On AWS, batches processed at the same time, so that no queue uses up the concurrency of another. An
        account with few concurrent executions processes fewer (`infra.concurrency`).
    window_s : int
        On AWS, time to wait for more messages before a call.
    max_per_thing : int
        On the local platform, waiting messages of one headset; another one drops its oldest. 0: no limit.
    """

    name: str
    function: str
    batch: int
    max_receives: int = 5
    max_concurrency: int = 50
    window_s: int = 0
    max_per_thing: int = 0

    @property
    def visibility_s(self) -> int:
        """Seconds for which a delivered message is hidden, as AWS recommends for timeout and window."""
        return TIMEOUTS_PER_VISIBILITY * CONSUMER_TIMEOUTS_S[self.function] + self.window_s


# Requests per minute and caller.
READS = 1200
WRITES = 300
SOUNDS = 60  # each costs up to seconds of a core
BULK = 30  # each changes up to 100 headsets
SECRETS = 20  # limits guessing of passwords and keys

REST = (
    RestRoute("GET", "/health", "public", READS),
    RestRoute("GET", "/metrics", "admin", READS),
    RestRoute("GET", "/openapi.json", "public", WRITES),
    RestRoute("GET", "/docs", "public", SOUNDS),
    RestRoute("POST", "/api/auth/token", "public", SECRETS, body_bytes=SIGN_IN_BYTES, work="secret"),
    RestRoute("GET", "/api/users/me", "listener", READS),
    RestRoute("POST", "/api/users/me/keys", "listener", SECRETS),
    RestRoute("GET", "/api/users/me/keys", "listener", READS),
    RestRoute("DELETE", "/api/users/me/keys/{id}", "listener", WRITES),
    RestRoute("POST", "/api/users/me/second-factor", "listener", SECRETS, work="secret"),
    RestRoute("PUT", "/api/users/me/second-factor", "listener", SECRETS, work="secret"),
    RestRoute("DELETE", "/api/users/{id}/second-factor", "admin", SOUNDS),
    RestRoute("POST", "/api/users", "admin", SOUNDS, work="secret"),
    RestRoute("GET", "/api/users", "admin", SOUNDS),
    RestRoute("GET", "/api/users/{id}", "admin", READS),
    RestRoute("PATCH", "/api/users/{id}", "admin", SOUNDS),
    RestRoute("DELETE", "/api/users/{id}", "admin", SOUNDS),
    RestRoute("POST", "/api/sessions", "listener", WRITES),
    RestRoute("GET", "/api/sessions", "listener", READS),
    RestRoute("GET", "/api/sessions/{id}", "listener", READS),
    RestRoute("PATCH", "/api/sessions/{id}", "listener", WRITES),
    RestRoute("DELETE", "/api/sessions/{id}", "listener", WRITES),
    RestRoute("GET", "/api/sessions/{id}/stats", "listener", READS),
    RestRoute("POST", "/api/audio/classify", "listener", SOUNDS, "classifier", SOUND_BYTES, "heavy"),
    RestRoute("POST", "/api/audio/process", "listener", SOUNDS, body_bytes=SOUND_BYTES, work="heavy"),
    RestRoute("POST", "/api/audio/analyze", "listener", SOUNDS, body_bytes=SOUND_BYTES, work="heavy"),
    RestRoute("GET", "/api/audio/formats", "listener", READS),
    RestRoute("POST", "/api/audio/preview", "listener", WRITES, body_bytes=SOUND_BYTES, work="heavy"),
    RestRoute("POST", "/api/audio/uploads", "listener", SOUNDS),
    RestRoute("POST", "/api/audio/uploads/{id}", "listener", SOUNDS, work="heavy"),  # joins up to gigabytes
    RestRoute("GET", "/api/audio/uploads/{id}", "listener", READS),
    RestRoute("GET", "/api/audio/jobs", "listener", READS),
    RestRoute("GET", "/api/audio/jobs/{id}", "listener", READS),
    RestRoute("DELETE", "/api/audio/jobs/{id}", "listener", WRITES),
    RestRoute("POST", "/api/emergency/detect", "listener", SOUNDS, body_bytes=SOUND_BYTES, work="heavy"),
    RestRoute("GET", "/api/emergency/status", "listener", READS),
    RestRoute("GET", "/api/emergency/events", "listener", READS),
    RestRoute("GET", "/api/emergency/events/{id}", "listener", READS),
    RestRoute("PATCH", "/api/emergency/events/{id}", "listener", WRITES),
    RestRoute("POST", "/api/devices", "listener", WRITES),
    RestRoute("GET", "/api/devices", "listener", READS),
    RestRoute("GET", "/api/devices/{id}", "listener", READS),
    RestRoute("PATCH", "/api/devices/{id}", "listener", WRITES),
    RestRoute("DELETE", "/api/devices/{id}", "listener", WRITES),
    RestRoute("POST", "/api/devices/{id}/credentials", "listener", SECRETS),
    RestRoute("GET", "/api/devices/{id}/shadow", "listener", READS),
    RestRoute("PATCH", "/api/devices/{id}/shadow", "listener", WRITES),
    RestRoute("GET", "/api/devices/{id}/telemetry", "listener", READS),
    RestRoute("POST", "/api/devices/{id}/telemetry", "listener", WRITES),
    RestRoute("GET", "/api/devices/{id}/history", "listener", READS),
    RestRoute("GET", "/api/devices/{id}/trend", "listener", WRITES, work="heavy"),
    RestRoute("GET", "/api/devices/{id}/paths", "listener", READS),
    RestRoute("PUT", "/api/devices/{id}/paths", "listener", WRITES),
    RestRoute("POST", "/api/devices/{id}/paths", "listener", WRITES),
    RestRoute("GET", "/api/device-models", "listener", READS),
    RestRoute("GET", "/api/device-models/{id}", "listener", READS),
    RestRoute("PUT", "/api/device-models/{id}", "operator", WRITES),
    RestRoute("DELETE", "/api/device-models/{id}", "operator", WRITES),
    RestRoute("POST", "/api/device-models/{id}/serials", "operator", WRITES),
    RestRoute("POST", "/api/device-tags", "operator", BULK, work="heavy"),
    RestRoute("POST", "/api/device-removals", "listener", BULK, work="heavy"),
    RestRoute("GET", "/api/fleet", "listener", READS),
    RestRoute("GET", "/api/fleet/csv", "listener", SOUNDS),
    RestRoute("GET", "/api/fleet/overview", "listener", WRITES),
    RestRoute("GET", "/api/fleet/history", "operator", WRITES),
    RestRoute("GET", "/api/rollouts", "operator", READS),
    RestRoute("POST", "/api/rollouts", "operator", SOUNDS),
    RestRoute("GET", "/api/rollouts/{id}", "operator", READS),
    RestRoute("PATCH", "/api/rollouts/{id}", "operator", WRITES),
    RestRoute("GET", "/api/rollouts/{id}/headsets", "operator", READS),
    RestRoute("GET", "/api/audit", "admin", READS),
    RestRoute("GET", "/api/models", "admin", READS),
    RestRoute("GET", "/api/stats/summary", "admin", READS),
    RestRoute("GET", "/api/stats/performance", "admin", READS),
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
    Rule("anc_snapshot", "snapshot", "anc/+/snapshot", thing_level=2, queue="snapshots"),
    Rule("anc_telemetry", "telemetry", "anc/+/telemetry", thing_level=2, queue="reports"),
    Rule("anc_path", "path", "anc/+/path", thing_level=2, queue="reports"),
    Rule(
        "anc_presence",
        "presence",
        "$aws/events/presence/+/+",
        thing_level=5,
        queue="reports",
        of_headsets=False,
    ),
    Rule(
        "anc_shadow_refused",
        "shadow_rejected",
        "$aws/things/+/shadow/name/anc/update/rejected",
        thing_level=3,
        queue="reports",
        of_headsets=False,
    ),
)
HEADSETS_RULES = tuple(rule for rule in RULES if rule.of_headsets)
# What a headset may publish below `anc/{thing}/`; no rule processes `event`, which is reserved.
HEADSET_TOPICS = ("snapshot", "telemetry", "path", "event")

ARRIVALS = Arrivals(prefix="uploads/", queue="recordings")

# Source: AWS Lambda Developer Guide, "Creating and configuring an Amazon SQS event source mapping".
TIMEOUTS_PER_VISIBILITY = 6
# Most of the time is for retries of calls of AWS. A recording takes as many invocations as it needs.
CONSUMER_TIMEOUTS_S = {
    "anc_processor": 20,
    "recording_processor": 300,
    "audio_sender": 10,
    "classifier": 25,  # less than the 29 s of API Gateway
}
QUEUES = (
    QueueRoute("recordings", "recording_processor", batch=1, max_concurrency=10),
    QueueRoute("snapshots", "anc_processor", batch=10, max_per_thing=8),
    QueueRoute("reports", "anc_processor", batch=10, max_concurrency=10, window_s=5, max_per_thing=300),
    QueueRoute("reclassifications", "classifier", batch=5, max_receives=3, max_concurrency=10),
    QueueRoute("updates", "audio_sender", batch=10),
)

FUNCTIONS = (
    "audio_receiver",
    "anc_processor",
    "recording_processor",
    "audio_sender",
    "rollout_manager",
    "ws_connect",
    "ws_disconnect",
    "classifier",
    "rest_api",
    "authorizer",
    "provisioner",
)
