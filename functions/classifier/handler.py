"""Noise classification: of a sound file in a request, and of queued snapshots with an uncertain label."""

from functools import partial
from typing import Any

import msgspec
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.typing import LambdaContext

from anc.aws.dependencies import aws_dependencies
from anc.aws.events import caller_of, problem_response
from anc.ports import Dependencies, StorageUnavailable
from anc.schemas import messages
from anc.schemas.refusal import Refused
from anc.services.headsets import reclassification
from anc.services.sound import cpu_budget, file_detection
from functions import query_parameters, request_body
from functions.admission import admit
from functions.queue_batch import process_batch
from functions.security_headers import with_security_headers

logger = Logger()
metrics = Metrics()


@metrics.log_metrics
@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext, deps: Dependencies | None = None) -> Any:
    """Answer `POST /api/audio/classify`, or process a batch of reclassification requests."""
    here = deps or aws_dependencies()
    if "Records" not in event:
        return with_security_headers(_answer(event, here))
    return process_batch(event, context, here.tracing, lambda body: _reclassify(body, here))


def _answer(event: dict[str, Any], deps: Dependencies) -> dict[str, Any]:
    try:
        admit(event, deps)
        query_parameters.check(event, ())
        charge = partial(cpu_budget.charge, caller=caller_of(event), deps=deps)
        answer = file_detection.classify_file(request_body.sound(event), deps, charge)
    except Refused as refusal:
        deps.count(f"refused_{refusal.code}")
        return problem_response(refusal)
    except StorageUnavailable as fault:
        logger.error("a request cannot be admitted", fault=str(fault))
        return problem_response(fault.refusal())
    return {
        "statusCode": 200,
        "multiValueHeaders": {"Content-Type": ["application/json"]},
        "body": msgspec.json.encode(answer).decode(),
        "isBase64Encoded": False,
    }


def _reclassify(body: str, deps: Dependencies) -> None:
    reclassification.reclassify(messages.decode(body, messages.ReclassificationRequest), deps)
