"""Fixtures with platforms in separate processes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.processes import Platform
from tests.untrained_models import untrained_model


@pytest.fixture(scope="session")
def shared_platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Return a platform shared by tests that leave it running, without emergency detection."""
    folder = tmp_path_factory.mktemp("platform")
    model = untrained_model(folder / "calm.npz", alarm=False)
    platform = Platform(folder, ML_MODEL_PATH=str(model))
    yield platform
    platform.kill()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Platform]]:
    """Return `start(NAME="value")`, which starts a separate platform with settings."""
    running: list[Platform] = []

    def begin(**environ: str) -> Platform:
        folder = tmp_path / f"platform-{len(running)}"
        folder.mkdir()
        running.append(Platform(folder, **environ))
        return running[-1]

    yield begin
    for platform in running:
        platform.kill()
