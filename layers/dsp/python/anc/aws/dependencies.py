"""The world on AWS, as the stacks describe it to a function in its environment."""

import os
from functools import cache

from anc.access_records import Account, AuditEntry
from anc.aws.alerts import SnsAlerts
from anc.aws.counters import DynamoCounters
from anc.aws.endpoint import SageMakerEndpoint
from anc.aws.objects import S3Objects
from anc.aws.people import CognitoPeople
from anc.aws.queues import SqsQueue
from anc.aws.rate_limits import DynamoLimits
from anc.aws.shadows import IotShadows
from anc.aws.signing_keys import JwksSigningKeys
from anc.aws.sockets import GatewaySockets
from anc.aws.tables import DynamoTable
from anc.aws.things import IotThings
from anc.ports import Dependencies
from anc.records import (
    ApiKey,
    Control,
    Device,
    DeviceModel,
    Emergency,
    Fleet,
    Job,
    SocketConnection,
    Status,
    Stream,
    Telemetry,
    Usage,
    Watch,
)
from anc.settings import Settings


@cache
def aws_dependencies() -> Dependencies:
    """Return the one world of this function.

    The environment names what the stacks made: `STREAMS_TABLE`, `CONNECTIONS_TABLE`, `WATCHES_TABLE`,
    `DEVICES_TABLE`, `DEVICE_MODELS_TABLE`, `CONTROLS_TABLE`, `FLEETS_TABLE`, `EMERGENCIES_TABLE`,
    `JOBS_TABLE`, `API_KEYS_TABLE`, `USAGES_TABLE`, `ACCOUNTS_TABLE`, `AUDIT_TABLE`, `TELEMETRY_TABLE`,
    `HISTORY_TABLE`, `STATUSES_TABLE`, `COUNTERS_TABLE`, `LIMITS_TABLE`, `ALERTS_TOPIC`, `UPDATES_QUEUE_URL`,
    `RECORDINGS_QUEUE_URL`, `OPINIONS_QUEUE_URL`, `PEOPLE_POOL`, `PEOPLE_CLIENT`, `OBJECTS_BUCKET`,
    `THING_POLICY`, `SOCKETS_ENDPOINT`, and the settings.
    A function is given the names of what it may use, and no others.

    Raises
    ------
    BadSetting
        When a setting has a value that cannot be meant.
    """
    settings = Settings.from_env(os.environ)
    name = os.environ.get
    return Dependencies(
        settings=settings,
        streams=DynamoTable(name("STREAMS_TABLE", ""), Stream),
        connections=DynamoTable(name("CONNECTIONS_TABLE", ""), SocketConnection),
        watches=DynamoTable(name("WATCHES_TABLE", ""), Watch),
        devices=DynamoTable(name("DEVICES_TABLE", ""), Device),
        device_models=DynamoTable(name("DEVICE_MODELS_TABLE", ""), DeviceModel),
        controls=DynamoTable(name("CONTROLS_TABLE", ""), Control),
        fleets=DynamoTable(name("FLEETS_TABLE", ""), Fleet),
        emergencies=DynamoTable(name("EMERGENCIES_TABLE", ""), Emergency),
        jobs=DynamoTable(name("JOBS_TABLE", ""), Job),
        updates=SqsQueue(name("UPDATES_QUEUE_URL", "")),
        recordings=SqsQueue(name("RECORDINGS_QUEUE_URL", "")),
        shadows=IotShadows(),
        things=IotThings(name("THING_POLICY", "")),
        sockets=GatewaySockets(name("SOCKETS_ENDPOINT", "")),
        alerts=SnsAlerts(name("ALERTS_TOPIC", "")),
        objects=S3Objects(name("OBJECTS_BUCKET", "")),
        keys=JwksSigningKeys(settings.token_jwks_url),
        people=CognitoPeople(name("PEOPLE_POOL", ""), name("PEOPLE_CLIENT", "")),
        api_keys=DynamoTable(name("API_KEYS_TABLE", ""), ApiKey),
        usages=DynamoTable(name("USAGES_TABLE", ""), Usage),
        accounts=DynamoTable(name("ACCOUNTS_TABLE", ""), Account),
        audit=DynamoTable(name("AUDIT_TABLE", ""), AuditEntry),
        telemetry=DynamoTable(name("TELEMETRY_TABLE", ""), Telemetry),
        history=DynamoTable(name("HISTORY_TABLE", ""), Telemetry),
        statuses=DynamoTable(name("STATUSES_TABLE", ""), Status),
        counters=DynamoCounters(name("COUNTERS_TABLE", "")),
        limits=DynamoLimits(name("LIMITS_TABLE", "")),
        reclassifications=SqsQueue(name("OPINIONS_QUEUE_URL", "")),
        endpoint=SageMakerEndpoint(settings.ml_endpoint_name, settings.ml_endpoint_timeout_s),
    )
