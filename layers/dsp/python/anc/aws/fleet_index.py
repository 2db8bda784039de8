"""The fleet index on AWS IoT fleet indexing.

The summary of a headset is a small named shadow of its own. Indexing the shadow `anc` instead would cost an
update of five kilobytes, mostly filter taps, for each of its changes.

References
----------
AWS IoT Core Developer Guide, "Fleet indexing", "Query syntax", "Example thing queries". Restrictions that
shape this module: a query has at most 12 terms, and none for an element of a list, so each tag is a field;
results are not sorted, in pages of at most 100; a hyphen excludes a term, so numbers are stored without sign,
and names of tags without hyphen; aggregations need custom fields, five in an account.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from anc.aws import clients
from anc.fleet_records import (
    PERCENTS,
    SORT_FIELDS,
    Distribution,
    FleetGroup,
    FleetPage,
    FleetQuery,
    GroupField,
    HeadsetSummary,
)
from anc.patterns import ONE_LINE, TAG
from anc.schemas.refusal import Refused, refuse
from anc.schemas.shadow import SUMMARY_FIELDS, SUMMARY_SHADOW

if TYPE_CHECKING:
    from types_boto3_iot_data import IoTDataPlaneClient

OFFSETS = {"attenuation_db": 100.0}  # added to a stored value, to be without sign
LARGEST = {"attenuation_db": 200.0, "refused_at": 4e9}
MAX_RESULTS = 100
SORTED_BATCH = 300  # headsets to read for a sorted page; percentiles are approximate
MAX_SORTED = 3000
_UNSUPPORTED = re.compile(r"[^A-Za-z0-9._+ -]")  # beyond these, terms match differently or not at all
_NUMBER = re.compile(r"[0-9]{1,10}(\.[0-9]{1,6})?")


class IotFleetIndex:
    """`anc.ports.FleetIndex` on AWS IoT.

    Parameters
    ----------
    thing_type : str
        Type of every thing of this deployment. An account and region has one index.
    """

    min_interval_s = 3600.0

    def __init__(
        self,
        thing_type: str,
        client: Callable[[], Any] = clients.iot,
        data: "Callable[[], IoTDataPlaneClient]" = clients.iot_data,
    ) -> None:
        self._thing_type = thing_type
        self._client = client
        self._data = data

    def update(self, summary: HeadsetSummary, removed_tags: Sequence[str] = ()) -> None:
        """See `FleetIndex.update`. Fleet indexing itself knows whether a headset is connected."""
        reported = {
            name: value
            for name in summary.__struct_fields__
            if name not in ("thing", "tags", "online", "since")
            and (value := getattr(summary, name)) is not None
        }
        if summary.online is not None and reported.keys() <= {"name", "owner", "model"}:
            return  # a change of the connection only
        for name, offset in OFFSETS.items():
            if name in reported:
                reported[name] = round(reported[name] + offset, 2)
        tags = dict.fromkeys(removed_tags) | dict.fromkeys(summary.tags or (), True)
        if tags:
            reported["tags"] = {_tag_field(tag): is_set for tag, is_set in tags.items()}  # None removes it
        if not reported:
            return
        payload = json.dumps({"state": {"reported": reported}}).encode()
        self._data().update_thing_shadow(thingName=summary.thing, shadowName=SUMMARY_SHADOW, payload=payload)

    def remove(self, thing: str) -> None:
        """See `FleetIndex.remove`. The thing of this name may belong to another deployment."""
        iot, data = self._client(), self._data()
        try:
            owned = iot.describe_thing(thingName=thing).get("thingTypeName") == self._thing_type
        except iot.exceptions.ResourceNotFoundException:
            return
        if not owned:
            return
        with suppress(data.exceptions.ResourceNotFoundException):
            data.delete_thing_shadow(thingName=thing, shadowName=SUMMARY_SHADOW)

    def search(self, query: FleetQuery, sort: str = "", limit: int = 100, after: str = "") -> FleetPage:
        """See `FleetIndex.search`. Unsorted pages may be shorter than `limit`."""
        text = self._text(query)
        if text is None:
            return FleetPage((), "")
        if sort:
            return self._sorted(text, sort, limit, after)
        token = {"nextToken": after} if after else {}
        try:
            answer = self._ask("search_index", queryString=text, maxResults=limit, **token)
        except self._client().exceptions.InvalidRequestException as fault:
            if not after:
                raise
            raise Refused("bad_field", "after: must be `next` of the previous page") from fault
        return FleetPage([_summary(thing) for thing in answer["things"]], answer.get("nextToken") or "")

    def count(self, query: FleetQuery) -> int:
        """See `FleetIndex.count`."""
        text = self._text(query)
        return self._count(text) if text is not None else 0

    def distribution(self, query: FleetQuery) -> Distribution:
        """See `FleetIndex.distribution`."""
        text = self._text(query)
        return Distribution(*self._percentiles(text, "attenuation_db", PERCENTS)) if text else Distribution()

    def groups(self, query: FleetQuery, field: GroupField, limit: int = 8) -> Sequence[FleetGroup]:
        """See `FleetIndex.groups`."""
        text = self._text(query)
        if text is None:
            return []
        found = self._ask(
            "get_buckets_aggregation",
            queryString=text,
            aggregationField=SUMMARY_FIELDS + field,
            bucketsAggregationType={"termsAggregation": {"maxBuckets": limit}},
        )
        return [
            FleetGroup(bucket["keyValue"], bucket["count"], self._of_group(text, field, bucket["keyValue"]))
            for bucket in found["buckets"]
        ]

    def _of_group(self, text: str, field: str, value: str) -> Distribution:
        if _UNSUPPORTED.search(value):  # owners name models, and the name is part of the query
            return Distribution()
        within = f"{text} AND {_equal(SUMMARY_FIELDS + field, value)}"
        return Distribution(*self._percentiles(within, "attenuation_db", PERCENTS))

    def _text(self, query: FleetQuery) -> str | None:
        """Return a query in the language of fleet indexing, or None when nothing can match."""
        terms = [_equal("thingTypeName", self._thing_type)]
        equal = {name: getattr(query, name) for name in ("owner", "model", "firmware", "noise")}
        if any(_UNSUPPORTED.search(value) for value in (query.prefix, *equal.values())):
            return None
        if query.tag:
            if not re.fullmatch(TAG + ONE_LINE, query.tag):
                return None
            terms.append(f"{SUMMARY_FIELDS}tags.{_tag_field(query.tag)}:true")
        if query.prefix:
            terms.append(f"thingName:{_escaped(query.prefix)}*")
        terms += [_equal(SUMMARY_FIELDS + name, value) for name, value in equal.items() if value]
        if query.online is not None:
            terms.append(f"connectivity.connected:{str(query.online).lower()}")
        if query.attenuation_below is not None:
            terms.append(
                f"{SUMMARY_FIELDS}attenuation_db<{_stored('attenuation_db', query.attenuation_below):g}"
            )
        for name in ("refused", "reverted"):
            since = getattr(query, f"{name}_since")
            if since is not None:
                terms.append(f"{SUMMARY_FIELDS}{name}_at>{int(since)}")
        return " AND ".join(terms)

    def _sorted(self, text: str, sort: str, limit: int, after: str) -> FleetPage:
        """Return a page in the order of a number: the headsets between two percentiles, sorted here."""
        field, descending = sort.removeprefix("-"), sort.startswith("-")
        if field not in SORT_FIELDS:
            refuse("bad_field", f"sort: must be one of {', '.join(SORT_FIELDS)} (got {field})")
        low, high = 0.0, LARGEST[field]
        last: tuple[float, str] | None = None
        if after:
            value, _, thing = after.partition("/")
            if not _NUMBER.fullmatch(value):
                refuse("bad_field", "after: must be `next` of a page in this order")
            last = float(value), thing
            low, high = (low, last[0]) if descending else (last[0], high)
        batch = SORTED_BATCH
        while True:
            begin, end = self._narrowed(text, field, low, high, descending, batch)
            found = [
                (number, thing["thingName"], thing)
                for thing in self._all(f"{text} AND {_between(field, begin, end)}")
                if (number := _number(thing, field)) is not None
            ]
            found.sort(key=lambda each: each[1])
            found.sort(key=lambda each: each[0], reverse=descending)
            if last:
                found = [each for each in found if _follows(each[:2], last, descending)]
            if len(found) > limit or (begin, end) == (low, high):
                break
            batch *= 2
        page = found[:limit]
        following = f"{page[-1][0]:.6f}/{page[-1][1]}" if len(found) > limit else ""
        return FleetPage([_summary(thing) for _, _, thing in page], following)

    def _narrowed(
        self, text: str, field: str, low: float, high: float, descending: bool, batch: int
    ) -> tuple[float, float]:
        """Return the part of a range that holds about `batch` headsets from its beginning in sort order."""
        within = f"{text} AND {_between(field, low, high)}"
        total = self._count(within)
        if total <= batch:
            return low, high
        share = 100.0 * batch / total
        (bound,) = self._percentiles(within, field, [100.0 - share if descending else share], stored=True)
        if bound is None:
            return low, high
        return (max(bound, low), high) if descending else (low, min(bound, high))

    def _all(self, text: str) -> Iterator[dict[str, Any]]:
        token: dict[str, str] = {}
        number = 0
        while True:
            answer = self._ask("search_index", queryString=text, maxResults=MAX_RESULTS, **token)
            yield from answer["things"]
            number += len(answer["things"])
            if not answer.get("nextToken"):
                return
            if number >= MAX_SORTED:
                refuse("too_large", f"sort: more than {MAX_SORTED:,} headsets are equal; narrow the filter")
            token = {"nextToken": answer["nextToken"]}

    def _ask(self, operation: str, **request: Any) -> dict[str, Any]:
        client = self._client()
        absent = (client.exceptions.IndexNotReadyException, client.exceptions.ResourceNotFoundException)
        try:
            found: dict[str, Any] = getattr(client, operation)(**request)
        except absent as fault:
            raise Refused(
                "unavailable", "fleet index: not ready; if that lasts, run python -m infra.indexing"
            ) from fault
        return found

    def _count(self, text: str) -> int:
        return int(self._ask("get_statistics", queryString=text)["statistics"].get("count", 0))

    def _percentiles(
        self, text: str, field: str, percents: Sequence[float], stored: bool = False
    ) -> list[float | None]:
        answer = self._ask(
            "get_percentiles",
            queryString=text,
            aggregationField=SUMMARY_FIELDS + field,
            percents=list(percents),
        )
        found = {each["percent"]: each["value"] for each in answer.get("percentiles", ())}
        offset = 0.0 if stored else OFFSETS.get(field, 0.0)
        return [found[each] - offset if each in found else None for each in percents]


def _equal(field: str, value: str) -> str:
    return f'{field}:"{value}"'


def _tag_field(tag: str) -> str:
    return tag.replace("-", "_")  # a hyphen excludes a term, and no tag contains an underscore


def _escaped(prefix: str) -> str:
    return re.sub(r"([+-])", r"\\\1", prefix)


def _between(field: str, low: float, high: float) -> str:
    return f"{SUMMARY_FIELDS}{field}:[{low:.6f} TO {high:.6f}]"


def _stored(field: str, value: float) -> float:
    return max(value + OFFSETS.get(field, 0.0), 0.0)


def _follows(one: tuple[float, str], last: tuple[float, str], descending: bool) -> bool:
    if one[0] == last[0]:
        return one[1] > last[1]
    return one[0] < last[0] if descending else one[0] > last[0]


def _reported(thing: dict[str, Any]) -> dict[str, Any]:
    shadows = json.loads(thing.get("shadow") or "{}")
    found: dict[str, Any] = shadows.get("name", {}).get(SUMMARY_SHADOW, {}).get("reported", {})
    return found


def _number(thing: dict[str, Any], field: str) -> float | None:
    value = _reported(thing).get(field)
    return float(value) if isinstance(value, int | float) else None


def _summary(thing: dict[str, Any]) -> HeadsetSummary:
    known = {
        name: value for name, value in _reported(thing).items() if name in HeadsetSummary.__struct_fields__
    }
    if "tags" in known:
        known["tags"] = tuple(sorted(field.replace("_", "-") for field in known["tags"]))
    for name, offset in OFFSETS.items():
        if name in known:
            known[name] = round(known[name] - offset, 2)
    connectivity = thing.get("connectivity", {})
    since = connectivity.get("timestamp")
    return HeadsetSummary(
        **{
            **known,
            "thing": thing["thingName"],
            "online": bool(connectivity["connected"]) if since else None,
            "since": since / 1000 if since else None,
        }
    )
