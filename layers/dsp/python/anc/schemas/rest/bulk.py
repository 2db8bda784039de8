"""Request and response bodies of the endpoints that act on many headsets at once."""

from typing import Annotated

from pydantic import Field

from anc.fleet_records import MAX_BULK, MAX_TAGS
from anc.patterns import ID, TAG
from anc.schemas.rest.requests import Body, shown
from anc.schemas.rest.responses import Response

Tag = Annotated[str, Field(pattern=TAG)]
Things = Annotated[
    list[Annotated[str, Field(pattern=ID)]],
    Field(min_length=1, max_length=MAX_BULK, description="Names of headsets."),
]


class TagChange(Body, json_schema_extra=shown(things=["AX2-000417", "AX2-000418"], add=["hall-3"])):
    """Tags to add to headsets and to remove from them."""

    things: Things
    add: list[Tag] = Field(default=[], max_length=MAX_TAGS)
    remove: list[Tag] = Field(default=[], max_length=MAX_TAGS)


class Removals(Body, json_schema_extra=shown(things=["AX2-000417", "AX2-000418"])):
    """Headsets to remove."""

    things: Things


class DeviceProblem(Response):
    """Why a headset was not changed: a code for programs, and a text for people."""

    code: str
    detail: str


class DeviceOutcome(Response):
    """What a request did to one of its headsets."""

    thing: str
    changed: Annotated[bool, Field(description="False if it was already so.")]
    tags: Annotated[list[str] | None, Field(description="After a change of tags.")] = None
    problem: Annotated[DeviceProblem | None, Field(description="Null: done.")] = None


class DeviceOutcomes(Response):
    """What a request did to each of its headsets."""

    outcomes: list[DeviceOutcome]
