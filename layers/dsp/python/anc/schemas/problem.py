"""Problem documents: the bodies of HTTP error responses.

References
----------
RFC 9457, Problem Details for HTTP APIs.
"""

from http import HTTPStatus

import msgspec

from anc.schemas.refusal import Refused

KIND = "application/problem+json"
STATUS = {
    "unauthorized": HTTPStatus.UNAUTHORIZED,
    "code_required": HTTPStatus.UNAUTHORIZED,
    "forbidden": HTTPStatus.FORBIDDEN,
    "not_found": HTTPStatus.NOT_FOUND,
    "unknown_session": HTTPStatus.NOT_FOUND,
    "unknown_device": HTTPStatus.NOT_FOUND,
    "unknown_model": HTTPStatus.NOT_FOUND,
    "unknown_user": HTTPStatus.NOT_FOUND,
    "unknown_key": HTTPStatus.NOT_FOUND,
    "unknown_job": HTTPStatus.NOT_FOUND,
    "unknown_emergency": HTTPStatus.NOT_FOUND,
    "unknown_rollout": HTTPStatus.NOT_FOUND,
    "method_not_allowed": HTTPStatus.METHOD_NOT_ALLOWED,
    "exists": HTTPStatus.CONFLICT,
    "conflict": HTTPStatus.CONFLICT,
    "not_ready": HTTPStatus.CONFLICT,
    "ended": HTTPStatus.CONFLICT,
    "in_flight": HTTPStatus.CONFLICT,
    "too_slow": HTTPStatus.REQUEST_TIMEOUT,
    "too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "head_too_large": HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "bad_content_type": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "too_many": HTTPStatus.TOO_MANY_REQUESTS,
    "failed": HTTPStatus.INTERNAL_SERVER_ERROR,
    "bad_gateway": HTTPStatus.BAD_GATEWAY,
    "unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    "overloaded": HTTPStatus.SERVICE_UNAVAILABLE,
}


class Problem(msgspec.Struct, frozen=True):
    """A problem document; `code` is for programs, `detail` names the field and what is allowed."""

    type: str
    title: str
    status: int
    code: str
    detail: str

    @classmethod
    def of(cls, refusal: Refused) -> "Problem":
        """Return the problem document for a refusal."""
        status = STATUS.get(refusal.code, HTTPStatus.BAD_REQUEST)
        return cls("about:blank", status.phrase, status.value, refusal.code, refusal.message)

    def encode(self) -> str:
        """Return the document as JSON."""
        return msgspec.json.encode(self).decode()
