"""Decide what the channels of a recording are used for, and explain it."""

from typing import Literal

from anc.records import Options
from anc.schemas.refusal import Refused, refuse

ProcessingMode = Literal["cancel", "predict", "classify"]

MODES: tuple[ProcessingMode, ...] = ("cancel", "predict", "classify")
CANCELS = (
    "Channel 1 (left) is the reference, channel 2 (right) the primary microphone. What the reference "
    "predicts is removed from the primary. Choose classify for a stereo microphone: cancelling would remove "
    "the sound that both channels share."
)
PREDICTS = "One channel: the part of it that can be predicted, such as hum, is removed."
CLASSIFIES_ONE = (
    "One channel: noise is classified and alarms are detected. Nothing is removed, since that takes a second "
    "channel, the reference; choose predict to remove hum."
)
CLASSIFIES = "{} channels: noise is classified and alarms are detected in every channel. Nothing is removed{}"
NEEDS_TWO = ", since that takes two channels, reference and primary."


def choose_mode(options: Options, channels: int) -> ProcessingMode:
    """Return the mode of a recording: the one in the options, or the automatic one.

    Raises
    ------
    Refused
        `bad_field` if the mode needs another number of channels.
    """
    mode: ProcessingMode = options.mode or ("cancel" if channels == 2 else "classify")
    if mode == "cancel" and channels != 2:
        refuse("bad_field", f"file: `cancel` needs 2 channels, reference and primary (got {channels})")
    if mode == "predict" and channels != 1:
        refuse("bad_field", f"file: `predict` needs 1 channel (got {channels})")
    return mode


def describe_mode(mode: ProcessingMode, channels: int) -> str:
    """Return what a mode does with the channels of a recording, as text for the user."""
    if mode == "cancel":
        return CANCELS
    if mode == "predict":
        return PREDICTS
    if channels == 1:
        return CLASSIFIES_ONE
    return CLASSIFIES.format(channels, "." if channels == 2 else NEEDS_TWO)


def possible_modes(channels: int) -> dict[ProcessingMode, str]:
    """Return the modes that a number of channels allows, each with the text of `describe_mode`."""
    return {mode: describe_mode(mode, channels) for mode in MODES if _allows(mode, channels)}


def _allows(mode: ProcessingMode, channels: int) -> bool:
    try:
        choose_mode(Options(mode=mode), channels)
    except Refused:
        return False
    return True
