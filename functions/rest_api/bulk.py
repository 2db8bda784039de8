"""Endpoints that act on many headsets at once: tags, and removal."""

from collections.abc import Sequence

from aws_lambda_powertools.event_handler.api_gateway import Router

from anc.schemas.refusal import Refused
from anc.schemas.rest.bulk import DeviceOutcome, DeviceOutcomes, DeviceProblem, Removals, TagChange
from anc.services.headsets import bulk
from functions.rest_api.request_context import caller, dependencies

router = Router()
TAGS = ["devices"]


@router.post("/api/device-tags", tags=TAGS)
def change_tags(body: TagChange) -> DeviceOutcomes:
    """Add tags to up to 100 headsets and remove others. Repeating a request changes nothing.

    The answer has an outcome for each headset: one that cannot be changed does not hold up the others. A
    headset has at most ten tags.
    """
    return _outcomes(bulk.change_tags(body.things, body.add, body.remove, caller(), dependencies()))


@router.post("/api/device-removals", tags=TAGS)
def remove_devices(body: Removals) -> DeviceOutcomes:
    """Revoke the certificates of up to 100 headsets and delete all that is stored of them.

    The answer has an outcome for each headset. Repeat the request for those with the code `unavailable` or
    `failed`; one that is already removed has `unknown_device`.
    """
    return _outcomes(bulk.remove(body.things, caller(), dependencies()))


def _problem(refusal: Refused | None) -> DeviceProblem | None:
    return DeviceProblem(code=refusal.code, detail=refusal.message) if refusal else None


def _outcomes(found: Sequence[bulk.Outcome]) -> DeviceOutcomes:
    return DeviceOutcomes(
        outcomes=[
            DeviceOutcome(
                thing=each.thing,
                changed=each.is_changed,
                tags=None if each.tags is None else list(each.tags),
                problem=_problem(each.refusal),
            )
            for each in found
        ]
    )
