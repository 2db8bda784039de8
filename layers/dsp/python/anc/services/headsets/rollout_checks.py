"""Judge a rollout by its failures, and by the attenuation of updated headsets beside that of the others."""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import NamedTuple

from anc.ports import Dependencies
from anc.rollout_records import Rollout, RolloutBatch, Target, counts_of, failed, finished
from anc.services.access import audit
from anc.services.access.identity import Caller
from anc.services.headsets import telemetry

MIN_MEASURED = 5  # headsets before the attenuation counts, unless the canary is smaller
MAX_MEASURED = 200  # headsets of each kind whose latest report is read
PLATFORM = Caller("platform")  # the actor of stopped rollouts in the audit log


class Comparison(NamedTuple):
    """Median change of the attenuation of updated and of other headsets, in dB; None without a report."""

    updated_db: float | None
    other_db: float | None
    measured: int


def judge(rollout: Rollout, batches: Sequence[RolloutBatch], deps: Dependencies) -> Rollout:
    """Return the rollout with the effect on its headsets, stopped if that is bad."""
    found = _compare(rollout, batches, deps)
    rollout = rollout.replace(
        updated_change_db=found.updated_db, other_change_db=found.other_db, measured=found.measured
    )
    reason = _too_many_failures(rollout, counts_of(batches)) or _lower_attenuation(rollout, found)
    if not reason:
        return rollout
    now = deps.clock()
    detail = {"name": rollout.name, "reason": reason}
    audit.write(deps.audit, "rollout.stop", rollout.key, PLATFORM, PLATFORM.user, now, detail)
    with deps.best_effort("", "alert about a stopped rollout"):
        deps.alerts.publish("rollout stopped", f"The rollout {rollout.name} was stopped: {reason}")
    deps.count("rollouts_stopped")
    return rollout.replace(state="stopped", reason=reason, changed=now, changed_by="")


def _too_many_failures(rollout: Rollout, counts: Mapping[str, int]) -> str:
    # Of the canary at least: the first headset to finish must not decide alone.
    of = max(finished(counts), rollout.canary)
    if not of or failed(counts) * 100 <= rollout.max_failed_percent * of:
        return ""
    share = 100 * failed(counts) / of
    limit = f"limit {rollout.max_failed_percent:g} %"
    return f"{failed(counts):,} of {of:,} headsets failed ({share:.1f} %, {limit})"


def _lower_attenuation(rollout: Rollout, found: Comparison) -> str:
    if found.updated_db is None:
        return ""
    drop = (found.other_db or 0.0) - found.updated_db
    if drop <= rollout.max_drop_db:
        return ""
    others = "" if found.other_db is None else f", of others by {found.other_db:+.1f} dB"
    updated = f"{found.measured:,} updated headsets changed by {found.updated_db:+.1f} dB"
    return f"the attenuation of {updated}{others} (limit {rollout.max_drop_db:g} dB lower)"


def _compare(rollout: Rollout, batches: Sequence[RolloutBatch], deps: Dependencies) -> Comparison:
    """Compare the latest reports of headsets with their attenuation before the rollout.

    The others experience the same hours, so that a change of the noise in the fleet does not count.
    """
    targets = [target for batch in batches for target in batch.targets if target.before_db is not None]
    updated = [(target, target.at) for target in targets if target.status == "succeeded"]
    if not updated:
        return Comparison(None, None, 0)
    others = [(each, rollout.created) for each in targets if each.status in ("waiting", "queued")]
    enough = min(MIN_MEASURED, rollout.canary)
    changes, other_changes = (_changes(_sampled(each), deps) for each in (updated, others))
    return Comparison(
        median(changes) if len(changes) >= enough else None,
        median(other_changes) if len(other_changes) >= enough else None,
        len(changes),
    )


def _sampled(targets: Sequence[tuple[Target, float]]) -> Sequence[tuple[Target, float]]:
    return targets[:: max(1, math.ceil(len(targets) / MAX_MEASURED))]


def _changes(targets: Sequence[tuple[Target, float]], deps: Dependencies) -> Sequence[float]:
    """Return the change of the attenuation of those headsets that have reported one since a time."""
    found = []
    for target, since in targets:
        latest = deps.telemetry.get(target.thing)
        if latest and latest.at > since and target.before_db is not None:
            after_db = telemetry.report_of(latest).attenuation_db
            if after_db is not None:
                found.append(after_db - target.before_db)
    return found
