"""All adapters of a Lambda function, from its environment."""

import os
from typing import Any

from anc.aws.alerts import SnsAlerts
from anc.aws.counters import DynamoCounters
from anc.aws.endpoint import SageMakerEndpoint
from anc.aws.fleet_index import IotFleetIndex
from anc.aws.jobs import IotJobs
from anc.aws.objects import S3Objects
from anc.aws.queues import SqsQueue
from anc.aws.rate_limits import DynamoLimits
from anc.aws.shadows import IotShadows
from anc.aws.signing_keys import JwksSigningKeys
from anc.aws.sockets import GatewaySockets
from anc.aws.tables import DynamoFeed, DynamoTable
from anc.aws.things import IotThings
from anc.aws.users import CognitoUsers
from anc.ports import Dependencies
from anc.settings import Settings
from anc.tables import TableSpec, open_tables, variable


def _table(table: TableSpec) -> DynamoTable[Any]:
    adapter = DynamoFeed if table.is_feed else DynamoTable
    return adapter(os.environ.get(variable(table.name), ""), table.record)


def from_environment() -> Dependencies:
    """Return the adapters of this Lambda function.

    The stacks set the names of resources in the environment: one variable per table
    (`anc.tables.variable`), `COUNTERS_TABLE`, `LIMITS_TABLE`, `ALERTS_TOPIC`, `UPDATES_QUEUE_URL`,
    `RECORDINGS_QUEUE_URL`, `RECLASSIFICATIONS_QUEUE_URL`, `PEOPLE_POOL`,
    `PEOPLE_CLIENT`, `OBJECTS_BUCKET`, `THING_POLICY`, `THING_TYPE`, `THINGS_ARN`, `ENVIRONMENT`,
    `SOCKETS_ENDPOINT`, and the settings. A function gets only
    the names of the resources that it may use.

    Raises
    ------
    BadSetting
        If a setting has an invalid value.
    """
    settings = Settings.from_env(os.environ)
    name = os.environ.get
    return Dependencies(
        **open_tables(_table),
        settings=settings,
        updates=SqsQueue(name("UPDATES_QUEUE_URL", "")),
        recordings=SqsQueue(name("RECORDINGS_QUEUE_URL", "")),
        shadows=IotShadows(),
        things=IotThings(name("THING_POLICY", ""), name("THING_TYPE", ""), name("ENVIRONMENT", "")),
        fleet_index=IotFleetIndex(name("THING_TYPE", "")),
        headset_jobs=IotJobs(name("ENVIRONMENT", ""), name("THINGS_ARN", "")),
        sockets=GatewaySockets(name("SOCKETS_ENDPOINT", "")),
        alerts=SnsAlerts(name("ALERTS_TOPIC", "")),
        objects=S3Objects(name("OBJECTS_BUCKET", "")),
        keys=JwksSigningKeys(settings.token_jwks_url),
        users=CognitoUsers(name("PEOPLE_POOL", ""), name("PEOPLE_CLIENT", "")),
        counters=DynamoCounters(name("COUNTERS_TABLE", "")),
        limits=DynamoLimits(name("LIMITS_TABLE", "")),
        reclassifications=SqsQueue(name("RECLASSIFICATIONS_QUEUE_URL", "")),
        endpoint=SageMakerEndpoint(settings.ml_endpoint_name, settings.ml_endpoint_timeout_s),
    )
