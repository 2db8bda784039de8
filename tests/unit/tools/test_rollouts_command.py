"""`anc rollouts`: the table, and what the options of `create` become."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from anc_client import schemas
from tools.cli import rollouts
from tools.cli.main import app

STOPPED = schemas.Rollout(
    id="01796032800000-5f0c2d1e",
    name="hinge",
    firmware=schemas.RolloutFirmware(version="1.5.0", url="https://x.example", sha256="ab" * 32, size=8),
    config=None,
    query=schemas.RolloutConditions(model="AX2"),
    things=[],
    canary_percent=5.0,
    soak_minutes=60.0,
    per_minute=100,
    max_failed_percent=5.0,
    max_drop_db=2.0,
    state="stopped",
    stage="canary",
    reason="3 of 20 headsets failed (15.0 %, limit 5 %)",
    created=1_800_000_000.0,
    created_by="olga",
    changed=1_800_000_060.0,
    changed_by=None,
    headsets=400,
    canary=20,
    counts=schemas.RolloutCounts(succeeded=17, failed=2, timed_out=1, waiting=380),
    updated_change_db=-6.1,
    other_change_db=0.2,
    measured=17,
)


class FakeClient:
    """A client of a platform with one rollout; records what is created and done."""

    def __init__(self) -> None:
        self.created: list[schemas.NewRollout] = []
        self.done: list[tuple[str, str]] = []

    def rollouts(self) -> Iterator[schemas.Rollout]:
        yield STOPPED

    def create_rollout(self, rollout: schemas.NewRollout) -> schemas.Rollout:
        self.created.append(rollout)
        return STOPPED

    def change_rollout(self, id: str, action: str) -> schemas.Rollout:
        self.done.append((id, action))
        return STOPPED


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> FakeClient:
    """Return the client that the commands use."""
    fake = FakeClient()
    monkeypatch.setattr(rollouts, "connected", lambda *_: nullcontext(fake))
    return fake


def anc(*arguments: str, code: int = 0) -> Any:
    result = CliRunner().invoke(app, ["rollouts", *arguments])
    assert result.exit_code == code, result.output
    return result


def test_the_table_shows_what_how_far_by_whom_and_why(client: FakeClient) -> None:
    shown = anc().stdout

    for cell in ("hinge", "1.5.0", "stopped", "17 of 400", "3", "-6.1 (+0.2 others)", "olga", STOPPED.reason):
        assert cell in shown


def test_the_options_become_a_rollout(client: FakeClient, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(b"12345678")
    firmware = ("--firmware", "1.5.0", "--image", str(image), "--image-url", "https://x.example/1")
    stages = ("--canary", "1", "--soak", "5", "--per-minute", "20", "--max-failed", "2", "--max-drop", "1")
    anc("create", "hinge", *firmware, *stages, "--model", "AX2", "--running", "1.4.2")
    anc("create", "calm", "--snapshot-interval", "60", "--private", "--prefix", "AX")
    lately = ("--offline", "--below", "6", "--refused-hours", "12", "--reverted-hours", "24")
    anc("create", "quiet", "--private", "--noise", "engine", *lately)

    first, second, third = client.created
    assert (first.firmware.size, first.config) == (8, None)  # type: ignore[union-attr]
    assert first.query == schemas.RolloutQuery(model="AX2", firmware="1.4.2")
    assert (first.canary_percent, first.soak_minutes, first.per_minute) == (1.0, 5.0, 20)
    assert (first.max_failed_percent, first.max_drop_db) == (2.0, 1.0)
    assert second.config == schemas.HeadsetConfig(snapshot_interval_s=60.0, private=True)
    assert second.query == schemas.RolloutQuery(prefix="AX")
    assert third.query == schemas.RolloutQuery(
        noise="engine", online=False, attenuation_below=6.0, refused_hours=12.0, reverted_hours=24.0
    )


@pytest.mark.parametrize("action", ["pause", "resume", "cancel"])
def test_a_rollout_is_changed_by_its_id(client: FakeClient, action: str) -> None:
    assert "stopped" in anc(action, STOPPED.id).stdout
    assert client.done == [(STOPPED.id, action)]


def test_firmware_without_an_image_is_refused(client: FakeClient) -> None:
    assert "requires --image and --image-url" in anc("create", "x", "--firmware", "1.5.0", code=2).stderr
    assert client.created == []
