"""Jobs of a headset over MQTT, in the formats of AWS IoT: start the next one, report its progress.

References
----------
AWS IoT Core Developer Guide, "Jobs device MQTT API operations" and "Jobs notifications". Only what a headset
needs: `start-next`, `{job}/update` and `notify-next`.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from anc.patterns import ID, ONE_LINE
from anc.schemas.shadow import Configuration, Firmware

IN_PROGRESS_TIMEOUT_S = 3 * 24 * 3600  # a headset that was to install firmware restarts in this time
MAX_DETAIL_CHARS = 200
MAX_DETAILS = 10
PAYLOAD_LIMIT = 8 * 1024

JobId = Annotated[str, Meta(pattern=ID + ONE_LINE)]
ReportedStatus = Literal["IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED"]
Details = Annotated[
    dict[
        Annotated[str, Meta(min_length=1, max_length=64)],
        Annotated[str, Meta(min_length=1, max_length=MAX_DETAIL_CHARS)],
    ],
    Meta(max_length=MAX_DETAILS),
]


class JobDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a headset is to do: install firmware, or change its configuration."""

    firmware: Firmware | None = None
    config: Configuration | None = None


class JobRequest(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A message of a headset on `start-next`."""

    client_token: Annotated[str, Meta(max_length=64)] | None = None


class ExecutionUpdate(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A message of a headset on `{job}/update`. AWS IoT allows more fields, which no headset here sends.

    Attributes
    ----------
    status : str
        The last three end the job.
    status_details : dict of str to str
        At most `MAX_DETAILS`; each report replaces those before it.
    """

    status: ReportedStatus
    status_details: Details = msgspec.field(default_factory=dict)
    client_token: Annotated[str, Meta(max_length=64)] | None = None


class StartedJob(msgspec.Struct, frozen=True, rename="camel"):
    """The job in a response on `start-next/accepted`: the one in progress, or else the oldest one queued."""

    job_id: JobId
    job_document: msgspec.Raw
    status: Literal["IN_PROGRESS"] = "IN_PROGRESS"


class StartNextResponse(msgspec.Struct, frozen=True, omit_defaults=True):
    """A message on `start-next/accepted`, without `execution` when no job is pending."""

    execution: StartedJob | None = None


class PendingJob(msgspec.Struct, frozen=True, rename="camel"):
    """The job in a notification: its document arrives when the headset starts it."""

    job_id: JobId
    status: Literal["QUEUED", "IN_PROGRESS"] = "QUEUED"


class NextJob(msgspec.Struct, frozen=True, omit_defaults=True):
    """A message on `notify-next`: the next job of the headset is another one. Without `execution`: none."""

    execution: PendingJob | None = None
