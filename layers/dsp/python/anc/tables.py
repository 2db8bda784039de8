"""The tables of the platform. To add one: write its record, and add a line to `Tables`.

The AWS adapter, the local platform, the test doubles, and the CDK stack take their tables from here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, Protocol, TypeVar, get_args, get_type_hints

from anc.access_records import Account, AuditEntry
from anc.fleet_records import FleetDay
from anc.headset_records import Control, Device, DeviceModel, Fleet, Status, Telemetry
from anc.records import ApiKey, Emergency, Job, Record, SocketConnection, Stream, Usage, Watch
from anc.rollout_records import Rollout, RolloutBatch

R = TypeVar("R", bound=Record)

GROUP_INDEX = "by_group"  # of every table: partition key `group`, sort key `key`
FEED_INDEX = "by_shard"  # of a table that lists all groups: partition key `shard`, sort key `key`
EXPIRY_ATTRIBUTE = "sweep"  # of every table: whole seconds since the epoch


class Table(Protocol[R]):
    """Records of one type. An expired record counts as absent, even before it is deleted."""

    def get(self, key: str) -> R | None:
        """Return the record as last written (a strongly consistent read), or None."""

    def put(self, record: R) -> R:
        """Store the record if the stored version is still `record.version` (0: no record is stored).

        Returns the record as stored: its version is one higher, or random if the record is new. Raises
        Conflict otherwise, and then changes nothing.
        """

    def delete(self, key: str, version: int | None = None) -> None:
        """Delete the record. Deleting an absent record is not an error.

        With `version`, deletes only that version. Raises Conflict if another one is stored.
        """

    def list(self, group: str, limit: int = 100, after: str = "", descending: bool = False) -> Sequence[R]:
        """Return up to `limit` records of the group whose key is greater than `after`, sorted by key.

        With `descending`, from the last key on, or from the one before `after`.
        """


class FeedTable(Table[R], Protocol[R]):
    """Records that can also be listed together, whatever their group."""

    def list_all(self, limit: int = 100, after: str = "", descending: bool = False) -> Sequence[R]:
        """Return up to `limit` records of all groups, as `list` those of one."""


FEED = "feed"  # marks a table whose records can be listed together
EXPIRES = "expires"  # marks a table whose records have an expiry time
Expiring = Annotated[Table[R], EXPIRES]
ExpiringFeed = Annotated[FeedTable[R], EXPIRES, FEED]


@dataclass(frozen=True, kw_only=True)
class Tables:
    """One field per table: its name is the stored name, its type parameter the record."""

    streams: Expiring[Stream]
    connections: Expiring[SocketConnection]
    watches: Expiring[Watch]
    devices: Table[Device]
    device_models: Table[DeviceModel]
    controls: Table[Control]
    fleets: Expiring[Fleet]
    fleet_days: Expiring[FleetDay]
    emergencies: ExpiringFeed[Emergency]
    jobs: Expiring[Job]
    api_keys: Expiring[ApiKey]
    usages: Expiring[Usage]
    accounts: Expiring[Account]
    audit: Expiring[AuditEntry]
    telemetry: Table[Telemetry]
    history: Expiring[Telemetry]
    statuses: Table[Status]
    rollouts: Expiring[Rollout]
    rollout_batches: Expiring[RolloutBatch]


class TableSpec(NamedTuple):
    """Description of a table.

    Attributes
    ----------
    name : str
        Stored name, on AWS also the id of the CDK construct.
    record : type[Record]
    expires : bool
        Whether expired records must be deleted from time to time.
    is_feed : bool
        Whether its records can be listed together (`FeedTable`).
    """

    name: str
    record: type[Record]
    expires: bool
    is_feed: bool


def variable(name: str) -> str:
    """Return the environment variable with the name of a table."""
    return f"{name.upper()}_TABLE"


def open_tables(open_table: Callable[[TableSpec], Table[Any]]) -> dict[str, Any]:
    """Return an adapter for each table, as keyword arguments of `anc.ports.Dependencies`."""
    return {spec.name: open_table(spec) for spec in TABLES}


def _spec(name: str, annotation: Any) -> TableSpec:
    marks = getattr(annotation, "__metadata__", ())
    table = annotation.__origin__ if marks else annotation
    return TableSpec(name, get_args(table)[0], EXPIRES in marks, FEED in marks)


TABLES = tuple(_spec(*field) for field in get_type_hints(Tables, include_extras=True).items())
# On AWS two more tables hold numbers instead of records.
FEEDS = tuple(spec.name for spec in TABLES if spec.is_feed)
TABLE_NAMES = (*(spec.name for spec in TABLES), "counters", "limits")
