"""Kinds of headsets, as their makers describe them: what a headset of the kind need not be told again."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from anc.dsp.design import MAX_GAIN_DB
from anc.ports import Conflict, World
from anc.records import DeviceModel
from anc.services import paths
from anc.services.paths import Secondary
from anc.wire.refusal import refuse

EVERYBODYS = "all"  # what all models are listed under: they are nobody's


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
    rate: Annotated[int, Meta(ge=8_000, le=96_000)] = 16_000
    taps: Annotated[int, Meta(ge=16, le=1024)] = 512
    max_gain_db: Annotated[float, Meta(ge=0.0, le=60.0)] = MAX_GAIN_DB
    serial_prefix: Annotated[str, Meta(pattern=r"^([A-Za-z0-9_-]{3,32})?$(?!\n)", max_length=32)] = ""


def describe(name: str, description: ModelDescription, world: World) -> DeviceModel:
    """Store a kind of headset, or replace it. Headsets registered before keep what they were given.

    Raises
    ------
    Refused
        `bad_field` for a secondary path that cannot be one; `in_flight` when somebody else replaces it.
    """
    secondary = paths.checked(description.secondary)
    known = world.device_models.get(name)
    model = DeviceModel(
        key=name,
        group=EVERYBODYS,
        version=known.version if known else 0,
        secondary=secondary.tobytes(),
        rate=description.rate,
        taps=description.taps,
        max_gain_db=description.max_gain_db,
        serial_prefix=description.serial_prefix,
    )
    try:
        return world.device_models.put(model)
    except Conflict:
        refuse("in_flight", f"model: {name} is being replaced by somebody else; try again")


def find(name: str, world: World) -> DeviceModel:
    """Return a kind of headset. Raises Refused: `unknown_model`."""
    return world.device_models.get(name) or refuse("unknown_model", f"model: {name} was never described")


def list_all(world: World, limit: int = 100, after: str = "") -> Sequence[DeviceModel]:
    """Return kinds of headsets by name."""
    return world.device_models.list(EVERYBODYS, limit, after)


def reserving(thing: str, world: World) -> DeviceModel | None:
    """Return the model whose serial numbers begin as a name does, if there is one."""
    after = ""
    while page := list_all(world, after=after):
        for model in page:
            if model.serial_prefix and thing.startswith(model.serial_prefix):
                return model
        after = page[-1].key
    return None


def forget(name: str, world: World) -> None:
    """Forget a kind of headset; its headsets stay. Raises Refused: `unknown_model`."""
    find(name, world)
    world.device_models.delete(name)


def nominal(model: DeviceModel) -> np.ndarray:
    """Return the nominal secondary path, (m,) float32."""
    return np.frombuffer(model.secondary, "<f4")
