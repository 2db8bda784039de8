"""Endpoints that process, classify or analyze a short sound file in the request."""

import base64
from typing import Annotated, Literal

from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.openapi.params import Query

from anc.records import Options
from anc.schemas.rest.audio_responses import (
    AcceptedSounds,
    Analysis,
    Classification,
    Preview,
    ProcessedSound,
    RecordingReport,
)
from anc.services.sound import analysis, file_detection, preview, recordings
from anc.services.sound.jobs import MAX_UPLOAD_BYTES
from functions.rest_api.request_context import charge, dependencies, sound
from functions.routes import SOUND_BYTES

router = Router()
TAGS = ["audio"]

Mode = Annotated[
    Literal["cancel", "predict", "classify"] | None,
    Query(
        description="`cancel` needs two channels (reference, primary), `predict` one. Default: by channels."
    ),
]
Algorithm = Annotated[Literal["fdaf", "nlms"], Query(description="Filter algorithm.")]
Taps = Annotated[int, Query(ge=1, le=4096, description="Length of the filter.")]
Mu = Annotated[float | None, Query(gt=0, lt=2, description="Step size. Default: 0.5, or 0.1 for `predict`.")]
Horizon = Annotated[int, Query(ge=1, le=4096, description="Prediction horizon in samples, for `predict`.")]

Head = Annotated[
    int | None,
    Query(ge=0, le=SOUND_BYTES, description="Bytes of the beginning in the body. Default: all."),
]
Size = Annotated[
    int | None,
    Query(ge=1, le=MAX_UPLOAD_BYTES, description="Bytes of the whole file. Default: of the body."),
]

FullScale = Annotated[
    float | None,
    Query(ge=-200, le=200, description="Sound pressure level of 0 dBFS in dB, from a calibration."),
]


@router.get("/api/audio/formats", tags=TAGS)
def list_formats() -> AcceptedSounds:
    """Return the formats and limits of sound files, which all endpoints share."""
    return AcceptedSounds.model_validate(preview.accepted())


@router.post("/api/audio/preview", tags=TAGS)
def preview_sound(head: Head = None, size: Size = None) -> Preview:
    """Describe a file and what each mode would do with its channels, before it is uploaded.

    Of a large file, send the beginning and the end: `head` and `size` say where the end belongs. A quarter of
    a megabyte each is enough, except for an MP4 file whose index (`moov`) is at the end: send all of that.
    """
    return Preview.model_validate(preview.preview(sound(), head, size, charge))


@router.post("/api/audio/process", tags=TAGS)
def process_sound(
    mode: Mode = None,
    algorithm: Algorithm = "fdaf",
    taps: Taps = 512,
    mu: Mu = None,
    horizon: Horizon = 1,
) -> ProcessedSound:
    """Cancel the noise in a recording of up to a minute, and return the result with a report."""
    options = Options(mode=mode, algorithm=algorithm, taps=taps, mu=mu, horizon=horizon)
    result, report = recordings.process_short(sound(), options, dependencies(), charge)
    return ProcessedSound(
        report=RecordingReport.model_validate(report), audio=base64.b64encode(result).decode()
    )


@router.post("/api/audio/classify", tags=TAGS)
def classify_sound() -> Classification:
    """Classify the noise in a sound file of a quarter of a second to a minute."""
    # For the OpenAPI document: by the table of routes the function `classifier` handles this path.
    return Classification.model_validate(file_detection.classify_file(sound(), dependencies(), charge))


@router.post("/api/audio/analyze", tags=TAGS)
def analyze_sound(full_scale_db: FullScale = None) -> Analysis:
    """Measure levels, octave bands and clipping per channel in a sound file of up to a minute."""
    return Analysis.model_validate(analysis.analyze(sound(), full_scale_db, charge))
