"""Platforms that run as processes of their own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.processes import Platform
from tests.untrained_models import untrained_model


@pytest.fixture(scope="session")
def shared_platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Give one platform for all tests that leave it running; it hears no alarm in anything."""
    folder = tmp_path_factory.mktemp("platform")
    model = untrained_model(folder / "calm.npz", alarm=False)
    platform = Platform(folder, ML_MODEL_PATH=str(model))
    yield platform
    platform.kill()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Platform]]:
    """Give `start(NAME="value")`: a platform of the test's own, with settings."""
    running: list[Platform] = []

    def begin(**environ: str) -> Platform:
        folder = tmp_path / f"platform-{len(running)}"
        folder.mkdir()
        running.append(Platform(folder, **environ))
        return running[-1]

    yield begin
    for platform in running:
        platform.kill()
