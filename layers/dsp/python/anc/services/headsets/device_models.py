"""Headset models: rate, taps, path and driver limit that headsets of a model share."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from anc.dsp.design import MAX_GAIN_DB
from anc.dsp.statistics import HIGH_PASS_HZ
from anc.headset_records import DeviceModel
from anc.patterns import ONE_LINE, SERIAL_PREFIX
from anc.ports import Conflict, Dependencies
from anc.sample_rates import MAX_HEADSET_RATE, MIN_RATE
from anc.schemas.refusal import refuse
from anc.services.headsets import secondary_paths
from anc.services.headsets.secondary_paths import Secondary

SHARED_GROUP = "all"  # group of all models: they have no owner


class ModelDescription(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A headset model.

    Attributes
    ----------
    secondary : list of float
        Nominal secondary path S, driver to error microphone: impulse response at `rate`, tap 0 first.
    rate : int
        Sample rate of the control filters in Hz.
    taps : int
        Length of the control filters.
    max_gain_db : float
        Maximum gain of a control filter at any frequency, limited by the driver.
    lower_limit_hz : float
        Lowest frequency at which the driver works. Below it, filters do not try to cancel noise.
    serial_prefix : str
        Prefix of the serial numbers, or "". Listeners cannot register a name with this prefix, so that no
        serial number is taken before its headset is provisioned.
    """

    secondary: Secondary
    rate: Annotated[int, Meta(ge=MIN_RATE, le=MAX_HEADSET_RATE)] = 16_000
    taps: Annotated[int, Meta(ge=16, le=1024)] = 512
    max_gain_db: Annotated[float, Meta(ge=0.0, le=60.0)] = MAX_GAIN_DB
    lower_limit_hz: Annotated[float, Meta(ge=10.0, le=500.0)] = HIGH_PASS_HZ
    serial_prefix: Annotated[str, Meta(pattern=SERIAL_PREFIX + ONE_LINE, max_length=32)] = ""


def describe(name: str, description: ModelDescription, deps: Dependencies) -> DeviceModel:
    """Store a headset model, or replace it. Registered headsets keep the values that they were given.

    Raises
    ------
    Refused
        `bad_field` for an implausible secondary path; `in_flight` when another writer replaces the model.
    """
    secondary = secondary_paths.validated(description.secondary)
    known = deps.device_models.get(name)
    model = DeviceModel(
        key=name,
        group=SHARED_GROUP,
        version=known.version if known else 0,
        secondary=secondary.tobytes(),
        rate=description.rate,
        taps=description.taps,
        max_gain_db=description.max_gain_db,
        lower_limit_hz=description.lower_limit_hz,
        serial_prefix=description.serial_prefix,
    )
    try:
        return deps.device_models.put(model)
    except Conflict:
        refuse("in_flight", f"model: {name} is being replaced by another request; try again")


def find(name: str, deps: Dependencies) -> DeviceModel:
    """Return a headset model. Raises Refused: `unknown_model`."""
    return deps.device_models.get(name) or refuse("unknown_model", f"model: {name} does not exist")


def list_all(deps: Dependencies, limit: int = 100, after: str = "") -> Sequence[DeviceModel]:
    """Return headset models by name."""
    return deps.device_models.list(SHARED_GROUP, limit, after)


def model_reserving(thing: str, deps: Dependencies) -> DeviceModel | None:
    """Return the model whose serial prefix a name has, or None."""
    after = ""
    while page := list_all(deps, after=after):
        for model in page:
            if model.serial_prefix and thing.startswith(model.serial_prefix):
                return model
        after = page[-1].key
    return None


def delete(name: str, deps: Dependencies) -> None:
    """Delete a headset model; its headsets stay. Raises Refused: `unknown_model`."""
    find(name, deps)
    deps.device_models.delete(name)


def nominal_path(model: DeviceModel) -> np.ndarray:
    """Return the nominal secondary path, (m,) float32."""
    return np.frombuffer(model.secondary, "<f4")
