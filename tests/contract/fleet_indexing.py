"""AWS IoT fleet indexing over the things and shadows of moto, which implements a search for one term only.

It accepts the part of the query language that the documentation shows in examples, and nothing else.

References
----------
AWS IoT Core Developer Guide, "Query syntax", "Example thing queries", "Querying for aggregate data".
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

MAX_TERMS = 12
MAX_QUERY_BYTES = 1000
MAX_RESULTS = 100
NUMBER = r"\d+(?:\.\d+)?"
FIELD = r"(?P<field>[A-Za-z][A-Za-z0-9_.]*)"
TERMS = {
    "phrase": re.compile(rf'{FIELD}:"(?P<value>[A-Za-z0-9._+ -]+)"'),
    "prefix": re.compile(rf"{FIELD}:(?P<value>(?:[A-Za-z0-9._]|\\[+-])+)\*"),
    "flag": re.compile(rf"{FIELD}:(?P<value>true|false)"),
    "less": re.compile(rf"{FIELD}<(?P<value>{NUMBER})"),
    "more": re.compile(rf"{FIELD}>(?P<value>{NUMBER})"),
    "range": re.compile(rf"{FIELD}:\[(?P<value>{NUMBER}) TO (?P<end>{NUMBER})\]"),
}
MANAGED = {"thingName", "thingTypeName", "connectivity.connected"}


class FleetIndexing:
    """The calls of a boto3 client that query the index `AWS_Things`.

    Parameters
    ----------
    aws : callable
        Factory of clients.
    custom_fields : dict of str to str
        Types of the fields that can be aggregated.
    """

    def __init__(self, aws: Any, custom_fields: dict[str, str]) -> None:
        self._iot, self._data = aws("iot"), aws("iot-data")
        self._custom_fields = custom_fields
        self.exceptions = self._iot.exceptions
        self.connectivity: dict[str, dict[str, Any]] = {}
        self.queries: list[str] = []

    def describe_thing(self, thingName: str) -> dict[str, Any]:
        """Return a thing of the registry."""
        found: dict[str, Any] = self._iot.describe_thing(thingName=thingName)
        return found

    def search_index(self, queryString: str, maxResults: int, nextToken: str = "0") -> dict[str, Any]:
        """Return a page of things, in an order of its own."""
        assert 1 <= maxResults <= MAX_RESULTS
        if not re.fullmatch(r"\d+", nextToken):
            raise self._invalid("nextToken")
        found = sorted(self._matching(queryString), key=lambda thing: thing["thingName"][::-1])
        begin = int(nextToken)
        page = {"things": found[begin : begin + maxResults]}
        return page | ({"nextToken": str(begin + maxResults)} if begin + maxResults < len(found) else {})

    def get_statistics(self, queryString: str) -> dict[str, Any]:
        """Count the matching things: the default field is the version of their registration."""
        return {"statistics": {"count": len(list(self._matching(queryString)))}}

    def get_percentiles(
        self, queryString: str, aggregationField: str, percents: list[float]
    ) -> dict[str, Any]:
        """Return percentiles of a number."""
        assert self._custom_fields[aggregationField] == "Number"
        values = [_value(thing, aggregationField) for thing in self._matching(queryString)]
        numbers = [value for value in values if value is not None]
        if not numbers:
            return {"percentiles": []}
        found = np.percentile(numbers, percents)
        return {
            "percentiles": [
                {"percent": percent, "value": float(value)}
                for percent, value in zip(percents, found, strict=True)
            ]
        }

    def get_buckets_aggregation(
        self, queryString: str, aggregationField: str, bucketsAggregationType: dict[str, Any]
    ) -> dict[str, Any]:
        """Return the most frequent values of a text."""
        assert self._custom_fields[aggregationField] == "String"
        values = (_value(thing, aggregationField) for thing in self._matching(queryString))
        most = Counter(value for value in values if value is not None).most_common(
            bucketsAggregationType["termsAggregation"]["maxBuckets"]
        )
        return {"buckets": [{"keyValue": value, "count": count} for value, count in most]}

    def _matching(self, text: str) -> Iterator[dict[str, Any]]:
        self.queries.append(text)
        terms = text.split(" AND ")
        assert len(terms) <= MAX_TERMS
        assert len(text.encode()) <= MAX_QUERY_BYTES
        parsed = [_parsed(term) for term in terms]
        if None in parsed:
            raise self._invalid(f"queryString: {text}")
        for page in self._iot.get_paginator("list_things").paginate():
            for thing in page["things"]:
                document = self._document(thing)
                if all(term and _matches(document, *term) for term in parsed):
                    yield document

    def _invalid(self, what: str) -> Exception:
        error = {"Error": {"Code": "InvalidRequestException", "Message": what}}
        fault: Exception = self.exceptions.InvalidRequestException(error, "SearchIndex")
        return fault

    def _document(self, thing: dict[str, Any]) -> dict[str, Any]:
        name = thing["thingName"]
        document = {"thingName": name, "thingTypeName": thing.get("thingTypeName", "")}
        document["connectivity"] = self.connectivity.get(name, {"connected": False})
        try:
            answer = self._data.get_thing_shadow(thingName=name, shadowName="fleet")
        except self._data.exceptions.ResourceNotFoundException:
            return document
        state = json.loads(answer["payload"].read())["state"]
        return document | {"shadow": json.dumps({"name": {"fleet": {"reported": state["reported"]}}})}


def _parsed(term: str) -> tuple[str, str, str, str] | None:
    for kind, pattern in TERMS.items():
        if found := pattern.fullmatch(term):
            field = found["field"]
            assert field in MANAGED or field.startswith("shadow.name.fleet.reported."), field
            return kind, field, found["value"], found.groupdict().get("end") or ""
    return None


def _matches(thing: dict[str, Any], kind: str, field: str, value: str, end: str) -> bool:
    known = _value(thing, field)
    if known is None:
        return False
    if kind == "phrase":
        return bool(str(known).casefold() == value.casefold())
    if kind == "prefix":
        return str(known).casefold().startswith(value.replace("\\", "").casefold())
    if kind == "flag":
        return bool(known is (value == "true"))
    if kind == "less":
        return bool(known < float(value))
    if kind == "more":
        return bool(known > float(value))
    return float(value) <= known <= float(end)


def _value(thing: dict[str, Any], field: str) -> Any:
    if field == "connectivity.connected":
        return thing["connectivity"]["connected"]
    if field in MANAGED:
        return thing[field]
    reported = json.loads(thing.get("shadow", "{}")).get("name", {}).get("fleet", {}).get("reported", {})
    for name in field.removeprefix("shadow.name.fleet.reported.").split("."):
        reported = reported.get(name, {})
    return None if reported == {} else reported
