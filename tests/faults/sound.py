"""Computations on sound that are the same in every run of a flow: each is computed once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from anc.schemas.snapshot import Snapshot
from anc.services.headsets import filter_design
from anc.services.sound import detection, job_processing, recordings, report_plot

BLOCK = 2048  # frames; a recording of 0.6 s has three blocks of two


@contextmanager
def computed_once() -> Iterator[None]:
    """Compute classifications and statistics of a sound once, and leave out what makes no calls."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            detection, "classify_each", _once(detection.classify_each, lambda _, pcm, rate: pcm.tobytes())
        )
        patch.setattr(filter_design, "_measure", _once(filter_design._measure, _snapshot_key))
        patch.setattr(job_processing, "classifier", lambda settings: None)
        patch.setattr(report_plot, "plot_report", lambda report: b"plot")
        patch.setattr(job_processing, "BLOCK_FRAMES", 2 * BLOCK)
        patch.setattr(job_processing, "MARGIN_S", 1e3)  # one block an invocation
        patch.setattr(recordings, "BLOCK", BLOCK)
        yield


def _snapshot_key(snapshot: Snapshot, *_: Any) -> bytes:
    assert snapshot.pcm is not None
    return snapshot.pcm.tobytes()


def _once(compute: Callable[..., Any], key: Callable[..., bytes]) -> Callable[..., Any]:
    known: dict[bytes, Any] = {}

    def computed(*arguments: Any) -> Any:
        name = key(*arguments)
        if name not in known:
            known[name] = compute(*arguments)
        return known[name]

    return computed
