"""The audit log, for admins."""

from aws_lambda_powertools.event_handler.api_gateway import Router

from anc.schemas.rest.responses import AuditEntries, AuditEntry
from anc.services.access import audit
from functions.rest_api.request_context import After, Limit, dependencies

router = Router()


@router.get("/api/audit", tags=["audit"])
def list_audit_entries(limit: Limit = 100, after: After = "") -> AuditEntries:
    """List changes of users, keys, certificates, privacy and firmware, newest first, page by page.

    An entry is written before the change, so the change may have been refused or interrupted afterwards.
    """
    page = audit.list_all(limit, after, dependencies())
    return AuditEntries(
        entries=[AuditEntry.model_validate(entry) for entry in page],
        next=page[-1].key if len(page) == limit else None,
    )
