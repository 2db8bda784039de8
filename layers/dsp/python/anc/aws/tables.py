"""Store records in DynamoDB, one table per class."""

import secrets
import time
import zlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic

import msgspec

from anc.aws import clients
from anc.ports import Conflict
from anc.tables import EXPIRY_ATTRIBUTE, FEED_INDEX, GROUP_INDEX, R

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

MAX_BATCH_KEYS = 100  # of one BatchGetItem
SHARDS = 8  # of a feed: a partition of its index takes 1,000 new records a second


class DynamoTable(Generic[R]):
    """`anc.ports.Table` on a DynamoDB table.

    An item has the attributes `key`, `group`, `version`, `expires`, `sweep`, `write`, which differs for each
    write, and `body`, the record in MessagePack. Reads use `expires`, which is exact. DynamoDB's TTL uses
    `sweep`, the same time in whole seconds, and may be two days late. The index `by_group` contains keys
    only, so a write that changes neither key nor group does not update it, and a listing reads the records
    consistently. A new record may be listed a second late.

    Parameters
    ----------
    name : str
        Name or ARN of the table.
    kind : type[R]
        Class of the records.
    client : callable
        Returns the DynamoDB client.
    clock : callable
        Returns seconds since the epoch.
    """

    def __init__(
        self,
        name: str,
        kind: type[R],
        client: "Callable[[], DynamoDBClient]" = clients.dynamodb,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._name = name
        self._decoder = msgspec.msgpack.Decoder(kind)
        self._client = client
        self._clock = clock

    def get(self, key: str) -> R | None:
        """See `Table.get`."""
        response = self._client().get_item(
            TableName=self._name,
            Key={"key": {"S": key}},
            ConsistentRead=True,
            ProjectionExpression="body",
        )
        return self._live(response.get("Item"))

    def put(self, record: R) -> R:
        """See `Table.put`. At most 400 KB."""
        stored = record.next_version()
        item = self._item(stored)
        names = {"#expires": "expires"}
        values: dict[str, Any] = {":now": {"N": repr(self._clock())}}
        if record.version:
            condition = "#version = :version AND (attribute_not_exists(#expires) OR #expires > :now)"
            names["#version"] = "version"
            values[":version"] = {"N": str(record.version)}
        else:
            condition = "attribute_not_exists(#key) OR #expires <= :now"
            names["#key"] = "key"
        client = self._client()
        try:
            client.put_item(
                TableName=self._name,
                Item=item,
                ConditionExpression=condition,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except client.exceptions.ConditionalCheckFailedException as fault:
            # boto3 repeats a write without an answer, and then meets what the first attempt has written.
            known: dict[str, Any] = {**fault.response}.get("Item", {})  # type: ignore[assignment]
            if known.get("write") != item["write"]:
                raise Conflict(f"{record.key}: changed since version {record.version}") from fault
        return stored

    def _item(self, stored: R) -> dict[str, Any]:
        item: dict[str, Any] = {
            "key": {"S": stored.key},
            "version": {"N": str(stored.version)},
            "body": {"B": msgspec.msgpack.encode(stored)},
            "write": {"S": secrets.token_hex(8)},
        }
        if stored.group:  # an index key cannot be empty
            item["group"] = {"S": stored.group}
        if stored.expires is not None:
            item["expires"] = {"N": repr(float(stored.expires))}
            item[EXPIRY_ATTRIBUTE] = {"N": str(int(stored.expires) + 1)}
        return item

    def delete(self, key: str, version: int | None = None) -> None:
        """See `Table.delete`."""
        condition: dict[str, Any] = {}
        if version is not None:
            condition = {
                "ConditionExpression": "attribute_not_exists(#key) OR #version = :version",
                "ExpressionAttributeNames": {"#key": "key", "#version": "version"},
                "ExpressionAttributeValues": {":version": {"N": str(version)}},
            }
        client = self._client()
        try:
            client.delete_item(TableName=self._name, Key={"key": {"S": key}}, **condition)
        except client.exceptions.ConditionalCheckFailedException as fault:
            raise Conflict(f"{key}: changed since version {version}") from fault

    def list(self, group: str, limit: int = 100, after: str = "", descending: bool = False) -> Sequence[R]:
        """See `Table.list`. Records of the empty group are not listed."""
        found: list[R] = []
        more = bool(group)
        while more and len(found) < limit:
            size = min(limit - len(found), MAX_BATCH_KEYS)
            keys, more = self._keys(GROUP_INDEX, "group", group, size, after, descending)
            found += [record for record in self._records(keys, descending) if record.group == group]
            after = keys[-1] if keys else after
        return found

    def _keys(
        self, index: str, attribute: str, value: str, limit: int, after: str, descending: bool
    ) -> tuple[Sequence[str], bool]:
        """Return up to `limit` keys of a partition of an index, and whether there may be more."""
        beyond = f" AND #key {'<' if descending else '>'} :after" if after else ""
        condition = f"#partition = :partition{beyond}"
        names = {"#partition": attribute, "#key": "key"}
        values = {":partition": {"S": value}} | ({":after": {"S": after}} if after else {})
        response = self._client().query(
            TableName=self._name,
            IndexName=index,
            KeyConditionExpression=condition,
            ProjectionExpression="#key",
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
            Limit=limit,
            ScanIndexForward=not descending,
        )
        return [item["key"]["S"] for item in response["Items"]], "LastEvaluatedKey" in response

    def _records(self, keys: Sequence[str], descending: bool) -> Sequence[R]:
        request: dict[str, Any] = {
            self._name: {
                "Keys": [{"key": {"S": key}} for key in keys],
                "ConsistentRead": True,
                "ProjectionExpression": "body",
            }
        }
        items = clients.batch_get(self._client(), request)[self._name] if keys else []
        live = (record for record in map(self._live, items) if record)
        return sorted(live, key=lambda record: record.key, reverse=descending)

    def _live(self, item: Any) -> R | None:
        if item is None:
            return None
        record = self._decoder.decode(item["body"]["B"])
        return record if record.expires is None or record.expires > self._clock() else None


class DynamoFeed(DynamoTable[R]):
    """`anc.ports.FeedTable` on a DynamoDB table.

    Items have a further attribute, `shard`, which is the partition key of the index `by_shard`. Each shard
    gives its first keys, which are merged, so a page costs a query of each shard and the reading of its
    records. The shard follows from the key, so only a new record is written to the index.
    """

    def list_all(self, limit: int = 100, after: str = "", descending: bool = False) -> Sequence[R]:
        """See `FeedTable.list_all`."""
        found: list[R] = []
        more = True
        while more and len(found) < limit:
            keys, more = self._merged(min(limit - len(found), MAX_BATCH_KEYS), after, descending)
            found += self._records(keys, descending)
            after = keys[-1] if keys else after
        return found

    def _merged(self, limit: int, after: str, descending: bool) -> tuple[Sequence[str], bool]:
        parts = [
            self._keys(FEED_INDEX, "shard", str(shard), limit, after, descending) for shard in range(SHARDS)
        ]
        keys = sorted((key for part, _ in parts for key in part), reverse=descending)
        return keys[:limit], len(keys) > limit or any(more for _, more in parts)

    def _item(self, stored: R) -> dict[str, Any]:
        shard = zlib.crc32(stored.key.encode()) % SHARDS
        return super()._item(stored) | {"shard": {"S": str(shard)}}
