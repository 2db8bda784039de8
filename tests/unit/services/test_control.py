"""The control path: from snapshots to filters, with repeated, late, foreign and damaged snapshots."""

import dataclasses
import json

import numpy as np
import pytest

from anc.dsp import Statistics, attenuation_db
from anc.pcm import float_to_int16
from anc.ports import Conflict
from anc.records import Watch
from anc.schemas.messages import ControlChanged
from anc.schemas.refusal import Refused
from anc.schemas.shadow import parse_desired
from anc.schemas.snapshot import Snapshot
from anc.services.headsets import control, devices
from anc.services.headsets.devices import Registration
from anc.services.headsets.filter_design import FilterDesign
from anc.services.sound import detection
from tests.fakes import ALICE, FakePlatform, make_dependencies

RATE, SECOND, TAPS = 16_000, 16_000, 256
THING = "headset-1"
PRIMARY = np.concatenate([np.zeros(8), [0.6, 0.3, -0.1, 0.05]])
SECONDARY = np.concatenate([np.zeros(3), [0.5, 0.2, -0.1]])


def noise(seconds: float, seed: int, cutoff: float = 0.1) -> np.ndarray:
    """Return low-pass noise, like that of an engine."""
    white = np.random.default_rng(seed).standard_normal(int(seconds * RATE))
    kernel = np.sinc(cutoff * np.arange(-40, 41)) * np.hamming(81)
    return 0.05 * np.convolve(white, kernel, "same")


def at_the_ear(x: np.ndarray, w: np.ndarray | None = None, gain: float = 1.0) -> np.ndarray:
    """Return the error microphone's signal e = d - s * gain w * x, with the microphone's own noise."""
    d = np.convolve(x, PRIMARY)[: x.size]
    played = np.zeros_like(x) if w is None else np.convolve(gain * x, w)[: x.size]
    hiss = 1e-4 * np.random.default_rng(9).standard_normal(x.size)
    return d - np.convolve(played, SECONDARY)[: x.size] + hiss


def snapshot(
    seq: int, x: np.ndarray, w: np.ndarray | None = None, filter_id: str = "", gain: float = 1.0
) -> bytes:
    pcm = float_to_int16(np.stack([x, at_the_ear(x, w, gain)], axis=1))
    return Snapshot(seq, RATE, x.size, filter_id, gain, pcm=pcm).encode()


@pytest.fixture
def headset(platform: FakePlatform) -> FakePlatform:
    request = Registration(THING, SECONDARY.tolist(), rate=RATE, taps=TAPS)
    devices.register(request, ALICE, platform.deps)
    return platform


def stored_filter(headset: FakePlatform) -> np.ndarray:
    known = headset.deps.controls.get(THING)
    assert known is not None
    return known.filters[0].decode()


def test_a_snapshot_yields_a_filter_that_cancels_the_following_seconds(
    headset: FakePlatform,
) -> None:
    control.process_snapshot(THING, snapshot(1, noise(1, seed=1)), headset.deps)
    later = noise(5, seed=2)
    gained = attenuation_db(at_the_ear(later), at_the_ear(later, stored_filter(headset)))
    known = headset.deps.controls.get(THING)
    assert known is not None
    assert gained > 15
    assert gained > known.filters[0].predicted_gain_db - 1.5, "the prediction is too optimistic"


def test_the_filter_reaches_the_shadow_with_its_hash(headset: FakePlatform) -> None:
    control.process_snapshot(THING, snapshot(1, noise(1, seed=1)), headset.deps)
    assert headset.messages() == [ControlChanged(THING)]
    control.deliver(THING, headset.deps)
    document = headset.deps.shadows.get(THING)
    assert document is not None
    wanted = parse_desired(json.dumps(document["state"]["desired"]))
    assert wanted.filter is not None
    assert np.array_equal(wanted.filter.decode(), stored_filter(headset))
    assert (wanted.filter.seq, wanted.mode) == (1, "cancel")
    assert len(json.dumps(document["state"]["desired"])) < 2048


def test_the_noise_is_recovered_while_a_filter_plays(headset: FakePlatform) -> None:
    control.process_snapshot(THING, snapshot(1, noise(1, seed=1)), headset.deps)
    w = stored_filter(headset)
    known = headset.deps.controls.get(THING)
    assert known is not None
    playing = snapshot(2, noise(1, seed=3), w, known.filters[0].id, gain=0.8)
    control.process_snapshot(THING, playing, headset.deps)
    later = noise(5, seed=4)
    again = attenuation_db(at_the_ear(later), at_the_ear(later, stored_filter(headset)))
    first = attenuation_db(at_the_ear(later), at_the_ear(later, w))
    assert again > 30, f"the first filter gave {first:.1f} dB"


def test_a_filter_that_is_no_better_than_the_one_in_use_is_not_sent(headset: FakePlatform) -> None:
    control.process_snapshot(THING, snapshot(1, noise(1, seed=1)), headset.deps)
    known = headset.deps.controls.get(THING)
    assert known is not None
    w, name = stored_filter(headset), known.filters[0].id
    for seq in range(2, 6):
        control.process_snapshot(THING, snapshot(seq, noise(1, seed=seq), w, name), headset.deps)
    assert headset.counts["filters_kept"] >= 3


@pytest.mark.parametrize(
    ("seconds", "gain_db", "improves"),
    [(0.84, 0.4, True), (0.84, 0.2, False), (0.21, 1.0, False), (0.21, 1.3, True), (0.0, 100.0, False)],
)
def test_a_short_snapshot_has_to_promise_more(seconds: float, gain_db: float, improves: bool) -> None:
    nothing = Statistics.measure(np.zeros(SECOND), np.zeros(SECOND), [1.0], TAPS)
    design = FilterDesign(np.zeros(TAPS), 10.0 + gain_db, 10.0, nothing, seconds, of_fleet=False)
    assert design.improves is improves


def test_the_memory_of_an_earlier_version_is_used_and_replaced(headset: FakePlatform) -> None:
    control.process_snapshot(THING, snapshot(1, noise(1, seed=1)), headset.deps)
    known = headset.deps.controls.get(THING)
    assert known is not None
    gains_db = []
    earlier = Statistics.from_stored_bytes(known.memory).to_bytes()
    for former in (known, known.replace(memory=b"", statistics=earlier), known.replace(memory=b"")):
        current = headset.deps.controls.get(THING)
        assert current is not None
        headset.deps.controls.put(former.replace(version=current.version))
        control.process_snapshot(THING, snapshot(2, noise(1, seed=2)), headset.deps)
        after = headset.deps.controls.get(THING)
        assert after is not None
        assert (bool(after.memory), after.statistics) == (True, b"")
        gains_db.append(after.filters[0].predicted_gain_db)
    with_memory, with_earlier, without = gains_db
    assert with_earlier == pytest.approx(with_memory, abs=0.01)
    assert without < with_memory - 0.05


def test_pure_microphone_noise_gets_no_filter(headset: FakePlatform) -> None:
    hiss = 1e-3 * np.random.default_rng(5).standard_normal((SECOND, 2))
    quiet = Snapshot(1, RATE, SECOND, "", pcm=float_to_int16(hiss)).encode()
    control.process_snapshot(THING, quiet, headset.deps)
    known = headset.deps.controls.get(THING)
    assert known is not None
    assert known.filters == ()


def test_a_snapshot_delivered_again_only_repeats_its_updates(headset: FakePlatform) -> None:
    data = snapshot(1, noise(1, seed=1))
    control.process_snapshot(THING, data, headset.deps)
    before = headset.deps.controls.get(THING)
    control.process_snapshot(THING, data, headset.deps)
    assert headset.deps.controls.get(THING) == before
    assert len(headset.messages()) == 2


def test_an_older_snapshot_is_stale(headset: FakePlatform) -> None:
    control.process_snapshot(THING, snapshot(5, noise(1, seed=1)), headset.deps)
    before = headset.deps.controls.get(THING)
    with pytest.raises(Refused, match=r"sequence: must be higher than the latest, 5 \(got 4\)"):
        control.process_snapshot(THING, snapshot(4, noise(1, seed=2)), headset.deps)
    assert headset.deps.controls.get(THING) == before


def test_of_two_concurrent_snapshots_one_raises_conflict(
    headset: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    control.process_snapshot(THING, snapshot(1, noise(1, seed=1)), headset.deps)
    read = headset.deps.controls.get

    def read_and_be_overtaken(key: str):
        monkeypatch.undo()
        old = read(key)
        control.process_snapshot(THING, snapshot(3, noise(1, seed=3)), headset.deps)
        return old

    monkeypatch.setattr(headset.deps.controls, "get", read_and_be_overtaken)
    with pytest.raises(Conflict):
        control.process_snapshot(THING, snapshot(2, noise(1, seed=2)), headset.deps)
    latest = headset.deps.controls.get(THING)
    assert latest is not None
    assert latest.seq == 3
    counts = headset.counts
    assert counts["filters_sent"] + counts["filters_kept"] == counts["snapshots_processed"] == 2


def test_the_last_shadow_update_is_never_outdated(
    headset: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    control.process_snapshot(THING, snapshot(1, noise(1, seed=1)), headset.deps)
    send = headset.deps.shadows.update

    def send_late(thing: str, desired: dict) -> None:
        monkeypatch.undo()
        control.process_snapshot(THING, snapshot(2, noise(1, seed=8, cutoff=0.4)), headset.deps)
        control.deliver(THING, headset.deps)  # delivers the newer state first
        send(thing, desired)

    monkeypatch.setattr(headset.deps.shadows, "update", send_late)
    control.deliver(THING, headset.deps)
    document = headset.deps.shadows.get(THING)
    assert document is not None
    wanted = parse_desired(json.dumps(document["state"]["desired"]))
    assert wanted.filter is not None
    assert np.array_equal(wanted.filter.decode(), stored_filter(headset))


def test_watchers_are_notified_and_closed_ones_deleted(headset: FakePlatform) -> None:
    for name in ("here", "gone"):
        headset.deps.watches.put(Watch(key=f"{THING}#{name}", group=THING, connection=name))
    headset.sockets.gone.add("gone")
    control.process_snapshot(THING, snapshot(1, noise(1, seed=1)), headset.deps)
    control.deliver(THING, headset.deps)
    ((connection, frame),) = headset.sockets.posted
    news = json.loads(frame)
    assert connection == "here"
    assert (news["type"], news["device"], news["mode"]) == ("device", THING, "cancel")
    assert [watch.connection for watch in headset.deps.watches.list(THING)] == ["here"]


def test_a_filter_of_another_headset_is_unknown(headset: FakePlatform) -> None:
    data = snapshot(1, noise(1, seed=1), filter_id="00112233445566ff")
    with pytest.raises(Refused, match="00112233445566ff was not sent"):
        control.process_snapshot(THING, data, headset.deps)
    asked = headset.deps.controls.get(THING)
    assert asked is not None
    assert (asked.seq, asked.filters, asked.without_control) == (-1, (), 1)


def test_a_headset_that_is_not_registered_is_refused(headset: FakePlatform) -> None:
    with pytest.raises(Refused, match="stranger is not registered"):
        control.process_snapshot("stranger", snapshot(1, noise(1, seed=1)), headset.deps)


def test_a_snapshot_at_another_rate_is_refused(headset: FakePlatform) -> None:
    parsed = Snapshot.parse(snapshot(1, noise(1, seed=1)))
    with pytest.raises(Refused, match=r"rate: must be 16000 Hz, as registered \(got 48000\)"):
        control.process_snapshot(THING, dataclasses.replace(parsed, rate=48_000).encode(), headset.deps)


def test_a_snapshot_that_is_too_short_for_the_filter_is_refused(headset: FakePlatform) -> None:
    with pytest.raises(Refused, match="snapshot"):
        control.process_snapshot(THING, snapshot(1, noise(0.01, seed=1)), headset.deps)
    assert headset.deps.controls.get(THING) is None


def test_failed_detection_holds_the_headset_in_transparency_for_a_limited_time(tmp_path, clock) -> None:
    without_model = make_dependencies(tmp_path, clock, ml_model_path=str(tmp_path / "nothing.npz"))
    devices.register(Registration(THING, SECONDARY.tolist(), rate=RATE, taps=TAPS), ALICE, without_model.deps)
    control.process_snapshot(THING, snapshot(1, noise(1, seed=1)), without_model.deps)

    def shown_mode() -> str:
        control.deliver(THING, without_model.deps)
        document = without_model.deps.shadows.get(THING)
        assert document is not None
        return document["state"]["desired"]["mode"]

    assert shown_mode() == "transparency"
    assert len(without_model.messages()) == 1
    clock.now += detection.FAIL_OPEN_HOLD_S + 2
    assert len(without_model.messages()) == 2, "the first one, not acknowledged, and the end of the hold"
    assert shown_mode() == "cancel"


def test_a_second_registration_of_a_name_does_not_affect_the_first(headset: FakePlatform) -> None:
    first = headset.deps.devices.get(THING)
    request = Registration(THING, [0.0, 1.0], rate=RATE, taps=TAPS)
    stale = dataclasses.replace(headset.deps, devices=BlindOnce(headset.deps.devices))
    with pytest.raises(Refused, match="by another request meanwhile"):
        devices.register(request, ALICE, stale)
    assert headset.deps.devices.get(THING) == first
    assert headset.things.revoked == []


class BlindOnce:
    """A table whose first read misses the other writer's record."""

    def __init__(self, table) -> None:
        self._table = table

    def get(self, key: str) -> None:
        return None

    def list(self, group: str, limit: int = 100, after: str = "") -> tuple[()]:
        return ()

    def put(self, record):
        return self._table.put(record)
