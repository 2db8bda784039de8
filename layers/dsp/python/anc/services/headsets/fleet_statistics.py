"""Statistics and filters that headsets of one model share, by noise label.

For each noise the fleet stores contributions of a few headsets: the statistics measured through its own path,
and the filter designed on them. A headset that meets the noise evaluates each of these filters on its own
snapshot, and uses the contribution whose filter performs best. Nothing is averaged over the fleet, so a
faulty headset does no harm: its filter performs badly on the snapshots of others and is not chosen.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from anc.dsp import Statistics, peak_gain_db
from anc.filter_taps import decode_taps
from anc.headset_records import Contribution, Device, Fleet, SentFilter
from anc.ports import Conflict, Dependencies

MAX_CONTRIBUTIONS = 16  # of 1024 taps: 164 KB of the 400 KB that DynamoDB takes
CONTRIBUTION_LIFETIME_S = 90 * 24 * 3600.0  # headsets and their surroundings change
CONTRIBUTION_INTERVAL_S = 600.0  # minimum, for one headset and noise
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
    """Return the key of the `Fleet` record for a noise and for headsets of this model, rate and length."""
    return f"{device.rate}#{device.taps}#{noise}#{device.model}"


def nearest(device: Device, noise: str, now: Statistics, deps: Dependencies) -> Neighbour | None:
    """Return the contribution whose filter performs best on the statistics `now`, or None."""
    known = deps.fleets.get(fleet_key(device, noise))
    others = [each for each in known.contributions if each.device != device.key] if known else []
    neighbours = [_evaluate(each, now) for each in others]
    usable = [each for each in neighbours if each and peak_gain_db(each.w) <= device.max_gain_db]
    return max(usable, key=lambda each: each.gain_db, default=None)


def contribute(
    device: Device, noise: str, statistics: Statistics, sent: SentFilter, deps: Dependencies
) -> bool:
    """Store a headset's contribution to a noise, in place of its earlier one.

    When the fleet is full, the oldest contribution of the owner with the most contributions is removed, so
    that no owner can displace all others. Of two concurrent contributions one is dropped; the headset
    contributes again later.

    Returns
    -------
    bool
        Whether the contribution was stored.
    """
    now = deps.clock()
    key = fleet_key(device, noise)
    known = deps.fleets.get(key) or Fleet(key=key, group=device.model)
    others = [
        one
        for one in known.contributions
        if one.device != device.key and one.at > now - CONTRIBUTION_LIFETIME_S
    ]
    own = Contribution(
        device=device.key, owner=device.group, at=now, statistics=statistics.to_bytes(), taps=sent.taps
    )
    try:
        deps.fleets.put(
            known.replace(
                contributions=(*_with_room(others, device.group), own), expires=now + CONTRIBUTION_LIFETIME_S
            )
        )
    except Conflict:
        deps.count("fleet_conflicts")
        return False
    deps.count("fleet_contributions")
    return True


def _with_room(contributions: Sequence[Contribution], new_owner: str) -> Sequence[Contribution]:
    if len(contributions) < MAX_CONTRIBUTIONS:
        return contributions
    shares = Counter([new_owner, *(one.owner for one in contributions)])
    leaving = min(contributions, key=lambda one: (-shares[one.owner], one.at))
    return [one for one in contributions if one is not leaving]


def _evaluate(contribution: Contribution, now: Statistics) -> Neighbour | None:
    w = decode_taps(contribution.taps)
    try:
        return Neighbour(Statistics.from_bytes(contribution.statistics), w, now.attenuation_db(w))
    except ValueError:  # a faulty contribution of another headset must not fail this one
        return None
