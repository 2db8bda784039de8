"""Kinds of headsets, as their makers describe them: what a headset of the kind need not be told again."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from anc.dsp.design import MAX_GAIN_DB
from anc.ports import Conflict, Dependencies
from anc.records import DeviceModel
from anc.sample_rates import MAX_HEADSET_RATE, MIN_RATE
from anc.schemas.refusal import refuse
from anc.services.headsets import secondary_paths
from anc.services.headsets.secondary_paths import Secondary

SHARED_GROUP = "all"  # what all models are listed under: they are nobody's


class ModelDescription(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A kind of headset.

    Attributes
    ----------
    secondary : list of float
        Its nominal secondary path S, driver to error microphone, at `rate`, newest sample first.
    rate : int
        Hz, at which its control filters run.
    taps : int
        Of its control filters.
    max_gain_db : float
        The most that a control filter may boost any frequency: what the driver takes.
    serial_prefix : str
        How the serial numbers of its headsets begin, or "". Listeners cannot register such a name by hand, so
        none is taken before its headset comes.
    """

    secondary: Secondary
    rate: Annotated[int, Meta(ge=MIN_RATE, le=MAX_HEADSET_RATE)] = 16_000
    taps: Annotated[int, Meta(ge=16, le=1024)] = 512
    max_gain_db: Annotated[float, Meta(ge=0.0, le=60.0)] = MAX_GAIN_DB
    serial_prefix: Annotated[str, Meta(pattern=r"^([A-Za-z0-9_-]{3,32})?$(?!\n)", max_length=32)] = ""


def describe(name: str, description: ModelDescription, deps: Dependencies) -> DeviceModel:
    """Store a kind of headset, or replace it. Headsets registered before keep what they were given.

    Raises
    ------
    Refused
        `bad_field` for a secondary path that cannot be one; `in_flight` when somebody else replaces it.
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
        serial_prefix=description.serial_prefix,
    )
    try:
        return deps.device_models.put(model)
    except Conflict:
        refuse("in_flight", f"model: {name} is being replaced by somebody else; try again")


def find(name: str, deps: Dependencies) -> DeviceModel:
    """Return a kind of headset. Raises Refused: `unknown_model`."""
    return deps.device_models.get(name) or refuse("unknown_model", f"model: {name} was never described")


def list_all(deps: Dependencies, limit: int = 100, after: str = "") -> Sequence[DeviceModel]:
    """Return kinds of headsets by name."""
    return deps.device_models.list(SHARED_GROUP, limit, after)


def reserving(thing: str, deps: Dependencies) -> DeviceModel | None:
    """Return the model whose serial numbers begin as a name does, if there is one."""
    after = ""
    while page := list_all(deps, after=after):
        for model in page:
            if model.serial_prefix and thing.startswith(model.serial_prefix):
                return model
        after = page[-1].key
    return None


def delete(name: str, deps: Dependencies) -> None:
    """Forget a kind of headset; its headsets stay. Raises Refused: `unknown_model`."""
    find(name, deps)
    deps.device_models.delete(name)


def nominal(model: DeviceModel) -> np.ndarray:
    """Return the nominal secondary path, (m,) float32."""
    return np.frombuffer(model.secondary, "<f4")
