"""The world on AWS, as the stacks describe it to a function in its environment."""

import os
from functools import cache

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit

from anc.aws.alerts import SnsAlerts
from anc.aws.keys import IssuerKeys
from anc.aws.objects import S3Objects
from anc.aws.queues import SqsQueue
from anc.aws.shadows import IotShadows
from anc.aws.sockets import GatewaySockets
from anc.aws.tables import DynamoTable
from anc.aws.things import IotThings
from anc.ports import World
from anc.records import Connection, Control, Device, Emergency, Stream, Watch
from anc.settings import Settings


@cache
def world() -> World:
    """Return the one world of this function.

    The environment names what the stacks made: `STREAMS_TABLE`, `CONNECTIONS_TABLE`, `WATCHES_TABLE`,
    `DEVICES_TABLE`, `CONTROLS_TABLE`, `EMERGENCIES_TABLE`, `ALERTS_TOPIC`, `UPDATES_QUEUE_URL`,
    `OBJECTS_BUCKET`, `THING_POLICY`, `SOCKETS_ENDPOINT`, and the settings. A function is given the names of what it may use, and no others.

    Raises
    ------
    BadSetting
        When a setting has a value that cannot be meant.
    """
    settings = Settings.from_env(os.environ)
    name = os.environ.get
    return World(
        settings=settings,
        streams=DynamoTable(name("STREAMS_TABLE", ""), Stream),
        connections=DynamoTable(name("CONNECTIONS_TABLE", ""), Connection),
        watches=DynamoTable(name("WATCHES_TABLE", ""), Watch),
        devices=DynamoTable(name("DEVICES_TABLE", ""), Device),
        controls=DynamoTable(name("CONTROLS_TABLE", ""), Control),
        emergencies=DynamoTable(name("EMERGENCIES_TABLE", ""), Emergency),
        updates=SqsQueue(name("UPDATES_QUEUE_URL", "")),
        shadows=IotShadows(),
        things=IotThings(name("THING_POLICY", "")),
        sockets=GatewaySockets(name("SOCKETS_ENDPOINT", "")),
        alerts=SnsAlerts(name("ALERTS_TOPIC", "")),
        objects=S3Objects(name("OBJECTS_BUCKET", "")),
        keys=IssuerKeys(settings.token_jwks_url),
        count=_count,
    )


def _count(event: str) -> None:
    # The handler's `log_metrics` writes what was counted when the invocation ends.
    Metrics().add_metric(name=event, unit=MetricUnit.Count, value=1)
