"""Endpoints for rollouts of firmware and configuration: create, list, pause, resume, cancel."""

from http import HTTPStatus
from typing import Annotated

from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.openapi.params import Path

from anc import rollout_records
from anc.fleet_records import FleetQuery
from anc.headset_records import DesiredConfiguration, DesiredFirmware
from anc.schemas.rest.rollouts import (
    ROLLOUT_ID,
    NewRollout,
    Rollout,
    RolloutChange,
    RolloutConditions,
    RolloutConfig,
    RolloutCounts,
    RolloutFirmware,
    RolloutHeadset,
    RolloutHeadsets,
    RolloutQuery,
    Rollouts,
)
from anc.services.access import accounts
from anc.services.headsets import fleet, rollouts
from functions.rest_api.request_context import After, Limit, caller, dependencies

router = Router()
TAGS = ["rollouts"]
RolloutId = Annotated[str, Path(pattern=ROLLOUT_ID)]


@router.get("/api/rollouts", tags=TAGS)
def list_rollouts(limit: Limit = 50, after: After = "") -> Rollouts:
    """List rollouts of the last year, the newest first, page by page."""
    page = rollouts.list_all(limit, after, dependencies())
    following = page[-1].key if len(page) == limit else None
    return Rollouts(rollouts=[_rollout(each) for each in page], next=following)


@router.post("/api/rollouts", tags=TAGS, status_code=HTTPStatus.CREATED)
def create_rollout(body: NewRollout) -> Rollout:
    """Roll out firmware or configuration: to a share of the headsets first, then to the others at a rate.

    The headsets are those that match now, or those of `things`. Up to 20,000 may match, and up to 2,000 with
    a condition on noise, connection, attenuation, refusals or reverted filters. The rollout stops by itself
    when too many headsets fail, or the attenuation of updated headsets falls below that of the others.
    Headsets that know no jobs stay as they are.
    """
    request = rollouts.RolloutRequest(
        name=body.name,
        firmware=DesiredFirmware(**body.firmware.model_dump()) if body.firmware else None,
        config=DesiredConfiguration(**body.config.model_dump()) if body.config else None,
        query=_query(body.query),
        things=tuple(dict.fromkeys(body.things)),
        canary_percent=body.canary_percent,
        soak_minutes=body.soak_minutes,
        per_minute=body.per_minute,
        max_failed_percent=body.max_failed_percent,
        max_drop_db=body.max_drop_db,
    )
    return _rollout(rollouts.create(request, caller(), dependencies()))


@router.get("/api/rollouts/<id>", tags=TAGS)
def get_rollout(id: RolloutId) -> Rollout:
    """Return a rollout with its progress, which is at most a minute old."""
    return _rollout(rollouts.find(id, dependencies()))


@router.patch("/api/rollouts/<id>", tags=TAGS)
def change_rollout(id: RolloutId, body: RolloutChange) -> Rollout:
    """Pause, resume or cancel a rollout. Repeating a request changes nothing.

    Cancelling ends the jobs of headsets that have not finished; those that have keep what they got.
    """
    return _rollout(rollouts.change(id, body.action, caller(), dependencies()))


@router.get("/api/rollouts/<id>/headsets", tags=TAGS)
def list_rollout_headsets(id: RolloutId, limit: Limit = 1, after: After = "") -> RolloutHeadsets:
    """List the headsets of a rollout, page by page; a page has the headsets of up to `limit` batches."""
    page = rollouts.list_batches(id, limit, after, dependencies())
    headsets = [
        RolloutHeadset(
            thing=target.thing, status=target.status, at=target.at or None, before_db=target.before_db
        )
        for batch in page
        for target in batch.targets
    ]
    return RolloutHeadsets(headsets=headsets, next=page[-1].key if len(page) == limit else None)


def _query(given: RolloutQuery) -> FleetQuery:
    return FleetQuery(
        **given.model_dump(exclude={"refused_hours", "reverted_hours"}),
        refused_since=fleet.since(given.refused_hours, dependencies()),
        reverted_since=fleet.since(given.reverted_hours, dependencies()),
    )


def _rollout(record: rollout_records.Rollout) -> Rollout:
    def name(user: str) -> str | None:
        return accounts.name_of(user, dependencies()) if user else None

    return Rollout(
        id=record.key,
        name=record.name,
        firmware=RolloutFirmware.model_validate(record.firmware) if record.firmware else None,
        config=RolloutConfig.model_validate(record.config) if record.config else None,
        query=RolloutConditions.model_validate(record.query),
        things=list(record.things),
        canary_percent=record.canary_percent,
        soak_minutes=record.soak_minutes,
        per_minute=record.per_minute,
        max_failed_percent=record.max_failed_percent,
        max_drop_db=record.max_drop_db,
        state=record.state,
        stage=record.stage,
        reason=record.reason,
        created=record.created,
        created_by=name(record.created_by) or "",
        changed=record.changed,
        changed_by=name(record.changed_by),
        headsets=record.headsets,
        canary=record.canary,
        counts=RolloutCounts(**record.counts),
        updated_change_db=record.updated_change_db,
        other_change_db=record.other_change_db,
        measured=record.measured,
    )
