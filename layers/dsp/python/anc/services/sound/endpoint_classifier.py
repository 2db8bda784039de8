"""Classify noise with the larger model of the SageMaker endpoint, with timeout and circuit breaker."""

import base64
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Annotated, TypeVar

import msgspec
import numpy as np
import soxr
from aws_lambda_powertools import Logger
from msgspec import Meta

from anc.circuit_breaker import CircuitOpen
from anc.noise import KINDS, LABELS
from anc.patterns import ONE_LINE, SHA256
from anc.pcm import float_to_int16, int16_to_bytes
from anc.ports import Dependencies, EndpointUnavailable
from anc.schemas.endpoint import EndpointRequest
from anc.schemas.refusal import Refused, parse_json

T = TypeVar("T")
Probability = Annotated[float, Meta(ge=0.0, le=1.0)]

RATE = 16_000  # Hz; neither model uses frequencies above 8 kHz
SUM_TOLERANCE = 0.01  # of the sum of rounded probabilities

logger = Logger(service="reclassification")


class EndpointPrediction(msgspec.Struct, frozen=True):
    """Response of `sagemaker/inference.py`.

    Attributes
    ----------
    label : str
        One of `anc.noise.LABELS`.
    confidence : float
        Probability of that label.
    probabilities : dict of str to float
        By label; 0 for labels that the model does not have.
    model, sha256 : str
        Name and hash of the model.
    emergency : bool
        Whether a siren, horn or alarm was detected. It can only add to what the layer's model detects.
    kinds : dict of str to float
        Scores of ``siren``, ``horn`` and ``alarm``; empty in answers of earlier versions.
    """

    label: str
    confidence: Probability
    probabilities: dict[str, Probability]
    model: Annotated[str, Meta(min_length=1, max_length=100)]
    sha256: Annotated[str, Meta(pattern=SHA256 + ONE_LINE)]
    emergency: bool = False
    kinds: dict[str, Probability] = {}

    @property
    def kind(self) -> str:
        """The kind with the largest score; ``alarm`` without scores."""
        return max(self.kinds, key=self.kinds.__getitem__, default="alarm")

    @property
    def emergency_score(self) -> float:
        """The largest score."""
        return max(self.kinds.values(), default=1.0 if self.emergency else 0.0)


def classify(request: EndpointRequest, deps: Dependencies) -> EndpointPrediction | None:
    """Return the endpoint's prediction, or None if the circuit is open, it is too slow or its answer invalid.

    It takes at most `ML_ENDPOINT_TIMEOUT_S`. An endpoint must be configured.

    Parameters
    ----------
    request : EndpointRequest
        A sound of a quarter of a second to a minute.
    """

    def invoke() -> EndpointPrediction:
        limit_s = deps.settings.ml_endpoint_timeout_s
        return _validated(_in_time(lambda: deps.endpoint.invoke(msgspec.json.encode(request)), limit_s))

    try:
        prediction = deps.circuit_breaker.call(invoke)
    except CircuitOpen:
        deps.count("endpoint_circuit_open")
        return None
    except (EndpointUnavailable, TimeoutError) as fault:
        deps.count("endpoint_failed")
        logger.warning("endpoint failed", reason=str(fault) or "timeout")
        return None
    deps.count("endpoint_answered")
    return prediction


def endpoint_request(samples: np.ndarray, rate: int) -> EndpointRequest:
    """Return the endpoint request for a sound, (n,), resampled to at most 16 kHz: under 3 MB per minute."""
    if rate > RATE:
        samples, rate = soxr.resample(np.asarray(samples, np.float32), rate, RATE), RATE
    return EndpointRequest(rate, base64.b64encode(int16_to_bytes(float_to_int16(samples))).decode())


def _in_time(do: Callable[[], T], limit_s: float) -> T:
    """Return the result of `do()`. After `limit_s` raise TimeoutError and abandon the call.

    The timeouts of the adapters apply to each read, so a slow response could take hours.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(do())
        except BaseException as fault:  # noqa: BLE001  raised again by future.result
            future.set_exception(fault)

    threading.Thread(target=run, name="endpoint", daemon=True).start()
    return future.result(limit_s)


def _validated(response: bytes) -> EndpointPrediction:
    try:
        prediction: EndpointPrediction = parse_json(response, EndpointPrediction)
    except Refused as fault:
        raise EndpointUnavailable(f"the endpoint returned an invalid response: {fault}") from fault
    known, named = prediction.probabilities, {prediction.label, *prediction.probabilities}
    if unknown := named - set(LABELS):
        raise EndpointUnavailable(f"the endpoint returned {len(unknown)} unknown labels")
    if unknown := prediction.kinds.keys() - set(KINDS):
        raise EndpointUnavailable(f"the endpoint returned {len(unknown)} unknown kinds of emergency")
    if abs(sum(known.values()) - 1) > SUM_TOLERANCE or prediction.confidence != known.get(prediction.label):
        raise EndpointUnavailable("the endpoint returned inconsistent probabilities")
    return msgspec.structs.replace(prediction, probabilities={name: known.get(name, 0.0) for name in LABELS})
