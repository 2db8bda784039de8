"""Summaries of headsets for lists of the whole fleet, and the queries on them."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import msgspec

from anc.records import Record

SortField = Literal["attenuation_db", "refused_at"]
GroupField = Literal["model", "firmware", "noise"]
SORT_FIELDS: tuple[str, ...] = get_args(SortField)
GROUP_FIELDS: tuple[GroupField, ...] = get_args(GroupField)
MAX_TAGS = 10  # of a headset: its summary has all of them, and AWS meters that per kilobyte
MAX_BULK = 100  # headsets of a request
MAX_HOURS = 720.0  # that a query looks back
PERCENTS = (10.0, 50.0, 90.0)


class HeadsetSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What the fleet index knows of a headset. None: not known yet.

    Attributes
    ----------
    thing, owner, model : str
    name : str or None
        Display name, "" without one.
    tags : tuple of str or None
        In alphabetical order.
    online : bool or None
    since : float or None
        When `online` last changed, in seconds since the epoch.
    firmware : str or None
    noise : str or None
        Label of the noise at the latest telemetry report.
    attenuation_db : float or None
        Last measured at the error microphone.
    reverted : int or None
        Number of filters that the headset reverted since power-on; `reverted_at` is when it last reported
        one.
    refused : int or None
        Number of its messages that were refused; `refused_at` is the time of the last one.
    """

    thing: str
    name: str | None = None
    tags: tuple[str, ...] | None = None
    owner: str | None = None
    model: str | None = None
    online: bool | None = None
    since: float | None = None
    firmware: str | None = None
    noise: str | None = None
    attenuation_db: float | None = None
    reverted: int | None = None
    reverted_at: float | None = None
    refused: int | None = None
    refused_at: float | None = None


class FleetQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Conditions on headsets, all of which must hold; "" and None are no condition.

    Attributes
    ----------
    prefix : str
        Beginning of the name.
    tag : str
        One of the tags.
    online : bool or None
        False includes headsets that never connected.
    attenuation_below : float or None
        In dB, exclusive. Excludes headsets without a measurement.
    refused_since, reverted_since : float or None
        In seconds since the epoch, exclusive.
    """

    prefix: str = ""
    tag: str = ""
    owner: str = ""
    model: str = ""
    firmware: str = ""
    noise: str = ""
    online: bool | None = None
    attenuation_below: float | None = None
    refused_since: float | None = None
    reverted_since: float | None = None

    @property
    def is_fleeting(self) -> bool:
        """Whether other headsets match from minute to minute, without anybody changing them."""
        return bool(self.noise) or any(
            each is not None
            for each in (self.online, self.attenuation_below, self.refused_since, self.reverted_since)
        )


class FleetPage(NamedTuple):
    """Headsets, and the `after` of the next page, "" on the last one."""

    headsets: Sequence[HeadsetSummary]
    next: str


class Distribution(NamedTuple):
    """Percentiles of the attenuation of headsets in dB: p10, median and p90; None without a measurement."""

    p10_db: float | None = None
    median_db: float | None = None
    p90_db: float | None = None


class FleetGroup(NamedTuple):
    """Headsets with the same value of a field: their number, and the distribution of their attenuation."""

    value: str
    headsets: int
    attenuation: Distribution


class FleetDay(Record, frozen=True, kw_only=True):
    """The fleet at the beginning of a day: key is its date (UTC), such as 2026-11-30.

    Attributes
    ----------
    at : float
        When it was recorded, in seconds since the epoch.
    headsets : int
    attenuation : Distribution
        Of all headsets.
    groups : dict
        The largest groups by `GroupField`.
    """

    at: float
    headsets: int
    attenuation: Distribution
    groups: dict[GroupField, tuple[FleetGroup, ...]]
