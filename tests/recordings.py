"""Recordings for tests: two microphones in noise, as files, uploaded and processed."""

import io
from typing import Any

import numpy as np
import soundfile

from anc.pcm import float_to_int16
from anc.ports import Dependencies
from anc.records import Job, Options
from anc.services.sound import job_processing, jobs
from anc.services.sound.jobs import UploadRequest
from tests.fakes import ALICE

RATE = 16_000
LONG = 100.0  # seconds; no deadline


def two_microphones(seconds: float = 3.0) -> np.ndarray:
    """Return noise at the reference and its filtered copy at the primary, (n, 2), rounded to 16 bits."""
    rng = np.random.default_rng(1)
    x = 0.1 * rng.standard_normal(int(RATE * seconds))
    d = np.convolve(x, [0.0, 0.5, -0.3, 0.1])[: x.size] + 1e-3 * rng.standard_normal(x.size)
    return float_to_int16(np.stack([x, d], axis=1)) / 32768


def sound_file(samples: np.ndarray, format: str = "WAV", subtype: str = "PCM_16", rate: int = RATE) -> bytes:
    """Encode samples."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=format, subtype=subtype)
    return file.getvalue()


def uploaded(deps: Dependencies, data: bytes, **options: Any) -> str:
    """Create a job for Alice and upload its file; return its id."""
    upload = jobs.create(UploadRequest(len(data), options=Options(**options)), ALICE, deps)
    deps.objects.put(f"uploads/{upload.job}", data)
    return upload.job


def done(deps: Dependencies, job: str) -> Job:
    """Process a job without a deadline."""
    job_processing.process(job, deps, lambda: LONG)
    return jobs.find(job, ALICE, deps)


def result(deps: Dependencies, job: str, name: str = "cleaned.wav") -> bytes:
    """Return a result file of a job."""
    data = deps.objects.get(f"results/{job}/{name}")
    assert data is not None
    return data


def left(deps: Dependencies, job: str) -> list[str]:
    """Return the keys of all stored objects of a job."""
    folder = deps.objects._folder  # type: ignore[attr-defined]
    paths = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    return sorted(path for path in paths if job in path or path.startswith("."))
