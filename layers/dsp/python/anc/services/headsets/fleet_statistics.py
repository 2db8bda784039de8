"""What the headsets of one model have learned of a noise, for the next one that meets it.

Of each noise the fleet remembers a few headsets: the statistics through each one's own path, and the filter
that suits them. Whoever meets the noise tries every one of these filters on its own sound and takes from the
headset that is most like it. Nothing is averaged over the fleet, so a broken headset drags nobody: its filter
does badly on everybody else's sound and is passed over.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from anc.dsp import Statistics, peak_gain_db
from anc.filter_taps import decode_taps
from anc.ports import Conflict, Dependencies
from anc.records import Contribution, Device, Fleet, SentFilter

MAX_CONTRIBUTIONS = 16  # of 1024 taps: 164 KB of the 400 KB that DynamoDB takes
KEPT_S = 90 * 24 * 3600.0  # headsets age, and so do cabins
CONTRIBUTION_INTERVAL_S = 600.0  # between two contributions of a headset to the same noise
MIN_SHARED_DB = 6.0  # that a filter must take off a noise to be of use to others
MIN_SHARED_S = 0.5
EQUIVALENT_S = 0.03  # of own sound: what a stranger's head adds to one's own, at any length of snapshot


class Neighbour(NamedTuple):
    """The headset whose filter does best on another's sound.

    Attributes
    ----------
    statistics : Statistics
    w : (taps,) float32 ndarray
    gain_db : float
        That `w` would have given there.
    """

    statistics: Statistics
    w: np.ndarray
    gain_db: float


def fleet_key(device: Device, noise: str) -> str:
    """Return the key of what is known to headsets of this kind of a noise."""
    return f"{device.rate}#{device.taps}#{noise}#{device.model}"


def nearest(device: Device, noise: str, now: Statistics, deps: Dependencies) -> Neighbour | None:
    """Return what the fleet offers a headset for a noise that sounds like `now`, or None."""
    known = deps.fleets.get(fleet_key(device, noise))
    neighbour = [_try(one, now) for one in known.contributions if one.device != device.key] if known else []
    bearable = [one for one in neighbour if one and peak_gain_db(one.w) <= device.max_gain_db]
    return max(bearable, key=lambda one: one.gain_db, default=None)


def contribute(
    device: Device, noise: str, statistics: Statistics, found: SentFilter, deps: Dependencies
) -> bool:
    """Add what a headset learned of a noise; its earlier contribution gives way.

    When the fleet is full, the owner with the most headsets in it gives up the oldest, so that nobody can
    crowd the others out. Of two at the same time one is lost: there will be another.

    Returns
    -------
    bool
        Whether it was added.
    """
    now = deps.clock()
    key = fleet_key(device, noise)
    known = deps.fleets.get(key) or Fleet(key=key, group=device.model)
    others = [one for one in known.contributions if one.device != device.key and one.at > now - KEPT_S]
    own = Contribution(
        device=device.key, owner=device.group, at=now, statistics=statistics.to_bytes(), taps=found.taps
    )
    try:
        deps.fleets.put(
            known.replace(contributions=(*_with_room(others, device.group), own), expires=now + KEPT_S)
        )
    except Conflict:
        deps.count("fleet_conflicts")
        return False
    deps.count("fleet_contributions")
    return True


def _with_room(contributions: Sequence[Contribution], newcomer: str) -> Sequence[Contribution]:
    if len(contributions) < MAX_CONTRIBUTIONS:
        return contributions
    shares = Counter([newcomer, *(one.owner for one in contributions)])
    leaving = min(contributions, key=lambda one: (-shares[one.owner], one.at))
    return [one for one in contributions if one is not leaving]


def _try(one: Contribution, now: Statistics) -> Neighbour | None:
    w = decode_taps(one.taps)
    try:
        return Neighbour(Statistics.from_bytes(one.statistics), w, now.attenuation_db(w))
    except ValueError:  # whatever it is that somebody else left here: it is not this headset's fault
        return None
