"""Statistics and filters that headsets of one model share, by noise label.

For each noise the fleet stores contributions of a few headsets: the statistics measured through its own path,
and the filter designed on them. A headset that meets the noise evaluates each of these filters on its own
snapshot, and uses the contribution whose filter performs best. Nothing is averaged over the fleet, so a
faulty headset does no harm: its filter performs badly on the snapshots of others and is not chosen.

Each contribution is a record of its own, in one of `MAX_CONTRIBUTIONS` slots, and is read from a cache. A
full fleet replaces a contribution at most every `REPLACEMENT_INTERVAL_S`. So neither the number of writes nor
their size grows with the number of headsets.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from anc.dsp import Statistics, peak_gain_db
from anc.filter_taps import decode_taps
from anc.headset_records import Contribution, Device, Fleet, SentFilter
from anc.ports import Conflict, Dependencies

MAX_CONTRIBUTIONS = 16
CONTRIBUTION_LIFETIME_S = 90 * 24 * 3600.0  # headsets and their surroundings change
CONTRIBUTION_INTERVAL_S = 24 * 3600.0  # minimum, for one headset and noise
REPLACEMENT_INTERVAL_S = 600.0  # minimum age of a contribution that another headset replaces
MIN_SHARED_DB = 6.0  # attenuation of a filter that is worth sharing
MIN_SHARED_S = 0.5
EQUIVALENT_S = 0.03  # weight of another headset's statistics, as a duration of own sound


class Neighbour(NamedTuple):
    """The contribution whose filter performs best on a headset's snapshot.

    Attributes
    ----------
    statistics : Statistics
    w : (taps,) float32 ndarray
        Control filter, tap 0 first.
    gain_db : float
        Attenuation of the snapshot by `w`.
    """

    statistics: Statistics
    w: np.ndarray
    gain_db: float


def fleet_key(device: Device, noise: str) -> str:
    """Return the group of the `Fleet` records for a noise and for headsets of this model, rate and length."""
    return f"{device.rate}#{device.taps}#{noise}#{device.model}"


def slot_key(group: str, number: int) -> str:
    """Return the key of a slot of a fleet."""
    return f"{group}#{number:02d}"


def nearest(device: Device, noise: str, now: Statistics, deps: Dependencies) -> Neighbour | None:
    """Return the contribution whose filter performs best on the statistics `now`, or None.

    Without an answer of the table there is none either: a filter does not depend on the fleet.
    """
    known: Sequence[Fleet] = ()
    with deps.best_effort("fleet_reads_failed", "reading fleet statistics"):
        known = _cached(fleet_key(device, noise), deps)
    contributions = [each for record in known for each in record.contributions if each.device != device.key]
    neighbours = [_evaluate(each, now) for each in contributions]
    usable = [each for each in neighbours if each and peak_gain_db(each.w) <= device.max_gain_db]
    return max(usable, key=lambda each: each.gain_db, default=None)


def contribute(
    device: Device, noise: str, statistics: Statistics, sent: SentFilter, deps: Dependencies
) -> bool:
    """Store a headset's contribution to a noise in its slot, in a free one, or in that of another headset.

    In a full fleet, the oldest contribution of the owner with the most contributions is replaced, so that no
    owner can displace all others, but only if it is old enough. Of two concurrent contributions to a slot one
    is dropped; the headset contributes again later. A failure does not fail the snapshot.

    Returns
    -------
    bool
        Whether the contribution was stored.
    """
    own = Contribution(
        device=device.key,
        owner=device.group,
        at=deps.clock(),
        statistics=statistics.to_stored_bytes(),
        taps=sent.taps,
    )
    group, stored = fleet_key(device, noise), False
    with deps.best_effort("fleet_writes_failed", "writing fleet statistics"):
        stored = _store(own, group, deps)
    if stored:
        deps.count("fleet_contributions")
    return stored


def _store(own: Contribution, group: str, deps: Dependencies) -> bool:
    slot = _slot_for(own, group, _cached(group, deps))
    if slot is None:
        return False
    try:
        deps.fleets.put(slot.replace(contributions=(own,), expires=own.at + CONTRIBUTION_LIFETIME_S))
    except Conflict:
        deps.count("fleet_conflicts")
        return False
    finally:
        deps.fleet_cache.invalidate("fleets", group)
    return True


def _slot_for(own: Contribution, group: str, known: Sequence[Fleet]) -> Fleet | None:
    """Return the record to replace, a new one while slots are free, or None if all are too young."""
    slots = {record.key: record for record in known if record.group == group and record.contributions}
    for record in slots.values():
        if record.contributions[0].device == own.device:
            return record
    for number in range(MAX_CONTRIBUTIONS):
        key = slot_key(group, number)
        if key not in slots:
            return Fleet(key=key, group=group)
    shares = Counter([own.owner, *(record.contributions[0].owner for record in slots.values())])

    def rank(record: Fleet) -> tuple[int, float]:
        (contribution,) = record.contributions
        return -shares[contribution.owner], contribution.at

    leaving = min(slots.values(), key=rank)
    return leaving if leaving.contributions[0].at <= own.at - REPLACEMENT_INTERVAL_S else None


def _cached(group: str, deps: Dependencies) -> Sequence[Fleet]:
    return deps.fleet_cache.read("fleets", group, lambda group: _read(group, deps)) or ()


def _read(group: str, deps: Dependencies) -> Sequence[Fleet]:
    """Return the records of a model and noise, with the one of earlier versions until it expires."""
    former = deps.fleets.get(group)
    return [*deps.fleets.list(group, limit=MAX_CONTRIBUTIONS), *([former] if former else [])]


def _evaluate(contribution: Contribution, now: Statistics) -> Neighbour | None:
    w = decode_taps(contribution.taps)
    try:
        return Neighbour(Statistics.from_stored_bytes(contribution.statistics), w, now.attenuation_db(w))
    except ValueError:  # a faulty contribution of another headset must not fail this one
        return None
