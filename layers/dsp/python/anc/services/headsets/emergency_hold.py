"""Transparency of a headset after an alarm: it holds, and ends by a delayed message."""

from anc.headset_records import Control
from anc.ports import Conflict, Dependencies
from anc.records import Alarm
from anc.schemas.messages import ControlChanged
from anc.services.sound import detection

MAX_DELAY_S = 900  # of a message; when it arrives too early, the next one is queued
MAX_LATE_S = 600.0  # of an update after the end of its hold: longer than a queue takes to give it up


def held_until(known: Control) -> float:
    """Return when the hold of an earlier alarm ends; a hold because detection failed ends when it works."""
    return 0.0 if known.reason in detection.FAULTS else known.emergency_until


def new_alarm(
    kind: str, score: float, known: Control, deps: Dependencies, received_at: float | None = None
) -> Alarm | None:
    """Return the alarm that begins now; None without a kind, or while an earlier one still holds.

    `received_at` is when the platform received the sound (default: now), in seconds since the epoch.
    """
    if kind and held_until(known) < deps.clock():
        return Alarm(kind, score, deps.clock(), received_at or deps.clock())
    return None


def opened(known: Control, kind: str, score: float, deps: Dependencies, received_at: float) -> Control:
    """Return the control of a headset that is switched to transparency from now on."""
    return known.replace(
        reason=f"{kind} detected",
        emergency_until=max(known.emergency_until, deps.clock() + deps.settings.emergency_hold_s),
        pending_emergency=new_alarm(kind, score, known, deps, received_at) or known.pending_emergency,
    )


def is_covered(published: float, known: Control, deps: Dependencies) -> bool:
    """Return whether an alarm in a snapshot published then has opened the headset, or is too long ago."""
    until = published + deps.settings.emergency_hold_s
    return until <= known.emergency_until or published < deps.clock() - MAX_LATE_S


def extended_if_late(control: Control, deps: Dependencies) -> Control:
    """Store and return a hold that begins now when one ended before the shadow received it.

    A throttled or restarted function may deliver the update of an alarm after its hold. The headset has to
    open all the same.
    """
    late_s = deps.clock() - control.emergency_until
    if control.emergency_until <= control.opened_until or not 0 <= late_s <= MAX_LATE_S:
        return control
    until = deps.clock() + deps.settings.emergency_hold_s
    try:
        extended = deps.controls.put(control.replace(emergency_until=until))
    except Conflict:  # the caller reads the newer one
        return control
    deps.count("emergencies_delivered_late")
    return extended


def recorded_as_received(control: Control, ends: float, deps: Dependencies) -> Control:
    """Queue the end of a hold that the shadow received, then store and return that it did.

    Whoever delivers the beginning queues the end, and queues it again if it is interrupted: a headset that
    opened closes again, whatever became of the function that detected the alarm. `ends` is that of the
    delivered `ControlChanged`.
    """
    remaining_s = control.emergency_until - deps.clock()
    if remaining_s <= 0:
        return control
    is_new = control.opened_until < control.emergency_until
    # The message of the end comes early if the clock was set back. That of a hold extended since is not
    # queued again: each alarm would add a message that returns for as long as alarms last.
    if is_new or ends == control.emergency_until:
        end = ControlChanged(control.key, ends=control.emergency_until)
        deps.updates.send(end, min(int(remaining_s) + 1, MAX_DELAY_S))
    if not is_new:
        return control
    try:
        return deps.controls.put(control.replace(opened_until=control.emergency_until))
    except Conflict:  # the caller reads the newer one
        return control
