"""Short sound files in the request: cleaned, measured, named."""

import base64
from typing import Annotated, Literal

from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.openapi.params import Query

from anc.records import Options
from anc.schemas.rest.audio_responses import Analysis, Classification, ProcessedSound, RecordingReport
from anc.services.sound import analysis, detection, recordings
from functions.rest_api.request_context import charge, dependencies, sound

router = Router()
TAGS = ["audio"]

Mode = Annotated[
    Literal["cancel", "predict", "classify"] | None,
    Query(
        description="`cancel` needs reference and primary, `predict` one channel. By channels if left out."
    ),
]
Algorithm = Annotated[Literal["fdaf", "nlms"], Query(description="Filter.")]
Taps = Annotated[int, Query(ge=1, le=4096, description="Of the filter.")]
Mu = Annotated[float | None, Query(gt=0, lt=2, description="Step size; 0.5 if left out, 0.1 for `predict`.")]
Horizon = Annotated[int, Query(ge=1, le=4096, description="Samples ahead, for `predict`.")]

FullScale = Annotated[
    float | None,
    Query(ge=-200, le=200, description="Sound pressure level in dB of 0 dBFS, from a calibration."),
]


@router.post("/api/audio/process", tags=TAGS)
def process_sound(
    mode: Mode = None,
    algorithm: Algorithm = "fdaf",
    taps: Taps = 512,
    mu: Mu = None,
    horizon: Horizon = 1,
) -> ProcessedSound:
    """Clean a recording of up to a minute, and report on it."""
    options = Options(mode=mode, algorithm=algorithm, taps=taps, mu=mu, horizon=horizon)
    result, report = recordings.process_short(sound(), options, dependencies(), charge)
    return ProcessedSound(
        report=RecordingReport.model_validate(report), audio=base64.b64encode(result).decode()
    )


@router.post("/api/audio/classify", tags=TAGS)
def classify_sound() -> Classification:
    """Name the noise in a sound file of a quarter of a second to a minute."""
    # Described here; the table has the function `classifier` answer it, with the same service.
    return Classification.model_validate(detection.classify_file(sound(), dependencies(), charge))


@router.post("/api/audio/analyze", tags=TAGS)
def analyze_sound(full_scale_db: FullScale = None) -> Analysis:
    """Measure a sound file of up to a minute: levels, octaves, clipping, channel by channel."""
    return Analysis.model_validate(analysis.analyze(sound(), full_scale_db, charge))
