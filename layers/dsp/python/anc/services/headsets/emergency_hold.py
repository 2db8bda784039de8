"""Transparency of a headset after an alarm: it holds, and ends by a delayed message."""

from anc.headset_records import Control
from anc.ports import Dependencies
from anc.records import Alarm
from anc.schemas.messages import ControlChanged
from anc.services.sound import detection


def held_until(known: Control) -> float:
    """Return when the hold of an earlier alarm ends; a hold because detection failed ends when it works."""
    return 0.0 if known.reason in detection.FAULTS else known.emergency_until


def new_alarm(kind: str, score: float, known: Control, deps: Dependencies) -> Alarm | None:
    """Return the alarm that begins now; None without a kind, or while an earlier one still holds."""
    if kind and held_until(known) < deps.clock():
        return Alarm(kind, score, deps.clock())
    return None


def opened(known: Control, kind: str, score: float, deps: Dependencies) -> Control:
    """Return the control of a headset that is switched to transparency from now on."""
    return known.replace(
        reason=f"{kind} detected",
        emergency_until=max(known.emergency_until, deps.clock() + deps.settings.emergency_hold_s),
        pending_emergency=new_alarm(kind, score, known, deps) or known.pending_emergency,
    )


def schedule_end(control: Control, deps: Dependencies) -> None:
    """Queue the update with which the hold ends."""
    delay_s = int(control.emergency_until - deps.clock()) + 1
    deps.updates.send(ControlChanged(control.key), delay_s)
