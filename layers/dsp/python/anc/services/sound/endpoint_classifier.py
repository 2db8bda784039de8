"""What the endpoint's larger model calls a noise: within a time limit, behind a circuit breaker, checked."""

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
from anc.noise import LABELS
from anc.patterns import ONE_LINE, SHA256
from anc.pcm import float_to_int16, int16_to_bytes
from anc.ports import Dependencies, EndpointUnavailable
from anc.schemas.endpoint import EndpointRequest

T = TypeVar("T")
Share = Annotated[float, Meta(ge=0.0, le=1.0)]

RATE = 16_000  # Hz: what lies above half of it, neither model hears
SUM_TOLERANCE = 0.01  # by which rounded probabilities may miss a sum of 1

logger = Logger(service="reclassification")


class EndpointPrediction(msgspec.Struct, frozen=True):
    """What the larger model says, as `sagemaker/inference.py` sends it.

    Attributes
    ----------
    label : str
        One of `anc.noise.LABELS`.
    confidence : float
        Probability of that label.
    probabilities : dict of str to float
        Of every label; 0 for those that the model does not know.
    model, sha256 : str
        Which model it is.
    """

    label: str
    confidence: Share
    probabilities: dict[str, Share]
    model: Annotated[str, Meta(min_length=1, max_length=100)]
    sha256: Annotated[str, Meta(pattern=SHA256 + ONE_LINE)]


def classify(about: EndpointRequest, deps: Dependencies) -> EndpointPrediction | None:
    """Ask the endpoint, which is present, what a noise is; None when it is resting, slow or wrong.

    It costs the caller `ML_ENDPOINT_TIMEOUT_S` at most, and hardly anything while the circuit is open.

    Parameters
    ----------
    about : Question
        Of a quarter of a second to a minute.
    world : World
    """

    def answer() -> EndpointPrediction:
        limit_s = deps.settings.ml_endpoint_timeout_s
        return _validated(_in_time(lambda: deps.endpoint.invoke(msgspec.json.encode(about)), limit_s))

    try:
        opinion = deps.circuit_breaker.call(answer)
    except CircuitOpen:
        deps.count("endpoint_resting")
        return None
    except (EndpointUnavailable, TimeoutError) as fault:
        deps.count("endpoint_failed")
        logger.warning("the endpoint has no word", reason=str(fault) or "no answer in time")
        return None
    deps.count("endpoint_answered")
    return opinion


def endpoint_request(samples: np.ndarray, rate: int) -> EndpointRequest:
    """Return a sound as the endpoint takes it, at 16 kHz at most: under 3 MB for a minute."""
    if rate > RATE:
        samples, rate = soxr.resample(np.asarray(samples, np.float32), rate, RATE), RATE
    return EndpointRequest(rate, base64.b64encode(int16_to_bytes(float_to_int16(samples))).decode())


def _in_time(do: Callable[[], T], limit_s: float) -> T:
    """Return what `do()` returns, or raise TimeoutError and leave it behind.

    The adapters' own limits are for each byte: an answer that trickles would keep to them for hours.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(do())
        except BaseException as fault:  # noqa: BLE001  raised where it is waited for
            future.set_exception(fault)

    threading.Thread(target=run, name="endpoint", daemon=True).start()
    return future.result(limit_s)


def _validated(said: bytes) -> EndpointPrediction:
    try:
        opinion = msgspec.json.decode(said, type=EndpointPrediction)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise EndpointUnavailable(f"its answer makes no sense: {fault}") from fault
    known, named = opinion.probabilities, {opinion.label, *opinion.probabilities}
    if strange := named - set(LABELS):
        raise EndpointUnavailable(f"its answer has {len(strange)} labels that are none of ours")
    if abs(sum(known.values()) - 1) > SUM_TOLERANCE or opinion.confidence != known.get(opinion.label):
        raise EndpointUnavailable("its answer's probabilities contradict each other")
    return msgspec.structs.replace(opinion, probabilities={name: known.get(name, 0.0) for name in LABELS})
