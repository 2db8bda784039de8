"""Decide which fields of the reported state a headset publishes, and when."""

from collections.abc import Iterable

from anc.schemas.shadow import Reported
from iot.shadow import ShadowClient

REPORT_SETTLED_S = 5.0  # after a new filter or mode, whose attenuation is known then
REPORT_REFRESH_S = 3600.0  # while nothing but the attenuation changes
ALL_FIELDS = frozenset(Reported.__struct_fields__)
REFRESHED = ALL_FIELDS - {"filter", "firmware"}  # these are large; a delta requests them again
PATIENT = frozenset({"filter", "noise", "active_filter"})  # reported with the attenuation, once it is known
RESTLESS = frozenset({"attenuation_db", "seq"})  # change all the time, and are worth no message


class StateReporter:
    """Publish the reported state: at once what the cloud waits for, the rest together and rarely.

    Parameters
    ----------
    shadow : ShadowClient
    rate : int
        Samples per second of the times.
    """

    def __init__(self, shadow: ShadowClient, rate: int) -> None:
        self._shadow = shadow
        self._settled, self._refresh = int(REPORT_SETTLED_S * rate), int(REPORT_REFRESH_S * rate)
        self._due = 0
        self._reported: Reported | None = None
        self._unconfirmed = set(ALL_FIELDS)

    @property
    def behind(self) -> bool:
        """Whether there are fields to report, although they may not have changed."""
        return bool(self._unconfirmed)

    def repeat(self, fields: Iterable[str] = ALL_FIELDS) -> None:
        """Report these fields, although they may not have changed."""
        self._unconfirmed.update(fields)

    def report(self, state: Reported, now: int, at_once: bool = False) -> None:
        """Publish what is due.

        Parameters
        ----------
        state : Reported
        now : int
            Samples since the start.
        at_once : bool
            Do not wait for the attenuation.
        """
        pending = self._unconfirmed | changed_fields(self._reported, state)
        refresh = now >= self._due
        if pending <= PATIENT and not (refresh or at_once):
            if pending:
                self._due = min(self._due, now + self._settled)
            return
        if self._shadow.report(state, pending | (REFRESHED if refresh else set())):
            if self._reported is None or (not refresh and _playing(state) != _playing(self._reported)):
                self._due = now + self._settled
            elif refresh:
                self._due = now + self._refresh
            self._reported = state
            self._unconfirmed.clear()


def changed_fields(known: Reported | None, state: Reported) -> set[str]:
    """Return the fields that differ, without `RESTLESS`; all, if nothing is known."""
    if known is None:
        return set(ALL_FIELDS)
    return {name for name in ALL_FIELDS - RESTLESS if getattr(known, name) != getattr(state, name)}


def _playing(state: Reported) -> tuple[object, ...]:
    return state.active_filter, state.active_mode
