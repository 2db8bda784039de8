"""One platform for the whole suite, with small quotas and default rate limits."""

from collections.abc import Iterator

import pytest

from tests.attacks.slow import SlowRequests
from tests.attacks.target import Target
from tests.untrained_models import untrained_model

QUOTA = 4  # sessions, devices, keys, unfinished recordings and sockets of one person


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder = tmp_path_factory.mktemp("target")
    quotas = ("SESSIONS", "SOCKETS", "API_KEYS", "DEVICES", "UNFINISHED_RECORDINGS")
    settings = {f"QUOTA_{name}": str(QUOTA) for name in quotas}
    settings["HEADSET_MESSAGES_PER_S"] = "100"  # or the attacks of one headset wait for their share
    made = Target(folder, ML_MODEL_PATH=str(untrained_model(folder / "calm.npz", alarm=False)), **settings)
    yield made
    made.platform.kill()


@pytest.fixture(scope="session", autouse=True)
def slow_requests(target: Target) -> Iterator[SlowRequests]:
    """Hold unfinished requests open during the other tests, until they time out."""
    with SlowRequests(target) as held:
        yield held


@pytest.fixture(autouse=True)
def platform_stays_up(target: Target) -> Iterator[None]:
    """Check after every attack that the platform still responds to others."""
    yield
    assert target.platform.process.poll() is None
    assert target.call("GET", "/health").status == 200
