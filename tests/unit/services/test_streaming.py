"""Live sessions: blocks in order, repeated, late, missing, of other users and invalid."""

import base64

import numpy as np
import pytest

from anc.dsp import FDAF, NLMS, attenuation_db
from anc.pcm import float_to_int16, int16_to_float
from anc.ports import Dependencies
from anc.schemas.refusal import Refused
from anc.schemas.websocket import FDAF_BLOCK, Audio, FilteredBlock, Set, Start, encode_pcm
from anc.services.sound import sessions
from anc.services.sound.streaming import filter_block
from tests.fakes import ALICE, BOB, FakePlatform, make_dependencies
from training.synthesis import yelp

RATE, BLOCK = 48_000, 1024


def two_microphones(blocks: int, seed: int = 0) -> np.ndarray:
    """Return noise at the reference and its filtered copy at the primary, (blocks, BLOCK, 2) int16."""
    rng = np.random.default_rng(seed)
    x = 0.1 * rng.standard_normal(blocks * BLOCK)
    d = np.convolve(x, [0.0, 0.5, -0.3, 0.1])[: x.size] + 1e-3 * rng.standard_normal(x.size)
    return float_to_int16(np.stack([x, d], axis=1)).reshape(blocks, BLOCK, 2)


def send(deps: Dependencies, session: str, seq: int, pcm: np.ndarray, caller=ALICE) -> FilteredBlock:
    return filter_block(Audio(session=session, seq=seq, pcm=encode_pcm(pcm)), caller, deps)


def samples(answer: FilteredBlock) -> np.ndarray:
    return np.frombuffer(base64.b64decode(answer.pcm), "<i2")


@pytest.fixture
def deaf_ears(tmp_path, clock) -> Dependencies:
    """Return a platform without alarms, for tests of filters."""
    return make_dependencies(tmp_path / "failing", clock, emergency_detection_enabled=False).deps


@pytest.fixture
def session(deps: Dependencies) -> str:
    return sessions.open_session(Start(rate=RATE), ALICE, deps).key


def test_the_answers_are_the_residual_of_one_filter_over_the_whole_signal(
    deps: Dependencies, session: str
) -> None:
    pcm = two_microphones(20)
    answers = [samples(send(deps, session, seq, block)) for seq, block in enumerate(pcm)]
    x, d = int16_to_float(pcm.reshape(-1, 2)).T
    _, e = NLMS(512, 0.5).process(x, d)
    difference = np.concatenate(answers).astype(int) - float_to_int16(e)
    assert np.abs(difference).max() <= 1
    assert np.count_nonzero(difference) < 1e-2 * difference.size


def test_the_frequency_domain_filter_is_used_on_request(deps: Dependencies) -> None:
    session = sessions.open_session(Start(rate=RATE, algorithm="fdaf"), ALICE, deps).key
    pcm = two_microphones(5)
    answers = [samples(send(deps, session, seq, block)) for seq, block in enumerate(pcm)]
    x, d = int16_to_float(pcm.reshape(-1, 2)).T
    _, e = FDAF(512, 0.5, block=FDAF_BLOCK).process(x, d)
    assert np.abs(np.concatenate(answers).astype(int) - float_to_int16(e)).max() <= 1


def test_a_repeated_block_gets_the_stored_answer_and_changes_nothing(
    deps: Dependencies, session: str
) -> None:
    first, second, third = two_microphones(3)
    send(deps, session, 0, first)
    answer = send(deps, session, 1, second)
    before = deps.streams.get(session)
    assert send(deps, session, 1, third) == answer
    assert deps.streams.get(session) == before


def test_an_older_block_is_stale(deps: Dependencies, session: str) -> None:
    for seq, block in enumerate(two_microphones(3)):
        send(deps, session, seq, block)
    before = deps.streams.get(session)
    with pytest.raises(Refused, match="must be greater than 2") as refusal:
        send(deps, session, 1, two_microphones(1)[0])
    assert refusal.value.code == "stale_seq"
    assert deps.streams.get(session) == before


def test_after_a_gap_history_is_cleared_weights_are_kept_and_the_gap_is_stated(
    deps: Dependencies, session: str
) -> None:
    pcm = two_microphones(10)
    for seq in range(5):
        assert send(deps, session, seq, pcm[seq]).gap == 0
    answer = send(deps, session, 8, pcm[8])
    assert answer.gap == 3
    f = NLMS(512, 0.5)
    f.process(*int16_to_float(pcm[:5].reshape(-1, 2)).T)
    f.clear_history()
    _, e = f.process(*int16_to_float(pcm[8]).T)
    assert np.abs(samples(answer).astype(int) - float_to_int16(e)).max() <= 1


def test_an_alarm_is_detected_in_a_session_that_skips_every_other_block(deps: Dependencies) -> None:
    rate, block, seconds = 16_000, 1600, 8
    x = yelp(seconds * rate, np.random.default_rng(0))
    x *= 0.2 / np.abs(x).max()
    pcm = float_to_int16(np.stack([x, x], axis=1)).reshape(-1, block, 2)
    session = sessions.open_session(Start(rate=rate, channels=2, taps=16), ALICE, deps).key
    answers = [send(deps, session, seq, pcm[seq]) for seq in range(0, len(pcm), 2)]
    assert all(answer.gap == 1 for answer in answers[1:])
    assert any(answer.emergency.active for answer in answers)


def test_another_users_session_does_not_exist(deps: Dependencies, session: str) -> None:
    with pytest.raises(Refused) as foreign:
        send(deps, session, 0, two_microphones(1)[0], caller=BOB)
    with pytest.raises(Refused) as absent:
        send(deps, "no-such-session", 0, two_microphones(1)[0], caller=BOB)
    assert (foreign.value.code, foreign.value.message) == (absent.value.code, absent.value.message)


def test_a_cached_session_is_checked_for_its_owner(deps: Dependencies, session: str) -> None:
    send(deps, session, 0, two_microphones(1)[0])
    with pytest.raises(Refused, match="not found"):
        send(deps, session, 1, two_microphones(1)[0], caller=BOB)


def test_a_session_continues_unchanged_after_a_restart(
    platform: FakePlatform, session: str, tmp_path
) -> None:
    pcm = two_microphones(6)
    for seq in range(3):
        send(platform.deps, session, seq, pcm[seq])
    restarted = make_dependencies(tmp_path, platform.clock).deps
    answer = samples(send(restarted, session, 3, pcm[3]))
    x, d = int16_to_float(pcm[:4].reshape(-1, 2)).T
    _, e = NLMS(512, 0.5).process(x, d)
    assert np.abs(answer.astype(int) - float_to_int16(e)[-BLOCK:]).max() <= 1


def test_two_instances_with_cached_state_never_both_commit(
    platform: FakePlatform, session: str, tmp_path
) -> None:
    pcm = two_microphones(4)
    here, there = platform.deps, make_dependencies(tmp_path, platform.clock).deps
    send(here, session, 0, pcm[0])
    send(there, session, 1, pcm[1])
    assert send(here, session, 1, pcm[1]) == send(there, session, 1, pcm[1])  # `here` has block 0 cached
    assert send(here, session, 2, pcm[2]).gap == 0
    stored = here.streams.get(session)
    assert stored is not None
    assert (stored.seq, stored.blocks) == (2, 3)


def test_intensity_leaves_that_share_of_the_noise(deps: Dependencies, session: str) -> None:
    pcm = two_microphones(3)
    for seq in range(2):
        send(deps, session, seq, pcm[seq])
    sessions.change(Set(session=session, intensity=0.5), ALICE, deps)
    answer = samples(send(deps, session, 2, pcm[2])).astype(int)
    x, d = int16_to_float(pcm.reshape(-1, 2)).T
    y, _ = NLMS(512, 0.5).process(x, d)
    assert np.abs(answer - float_to_int16(d - 0.5 * y)[-BLOCK:]).max() <= 1


def test_a_disabled_session_passes_the_primary_unchanged_and_keeps_adapting(
    deps: Dependencies, session: str
) -> None:
    pcm = two_microphones(3)
    send(deps, session, 0, pcm[0])
    sessions.change(Set(session=session, enabled=False), ALICE, deps)
    assert np.array_equal(samples(send(deps, session, 1, pcm[1])), pcm[1][:, 1])
    sessions.change(Set(session=session, enabled=True), ALICE, deps)
    answer = samples(send(deps, session, 2, pcm[2])).astype(int)
    x, d = int16_to_float(pcm.reshape(-1, 2)).T
    _, e = NLMS(512, 0.5).process(x, d)
    assert np.abs(answer - float_to_int16(e)[-BLOCK:]).max() <= 1


def test_bypass_passes_the_primary_unchanged(deps: Dependencies) -> None:
    session = sessions.open_session(Start(mode="bypass", rate=RATE), ALICE, deps).key
    block = two_microphones(1)[0]
    assert np.array_equal(samples(send(deps, session, 0, block)), block[:, 1])


@pytest.mark.parametrize(
    ("pcm", "says"),
    [
        ("!!!", "pcm: not base64"),
        ("", "pcm: 0 bytes"),
        (base64.b64encode(b"\0" * 6).decode(), "pcm: 6 bytes, must be a multiple of 4"),
        (base64.b64encode(b"\0" * 24_004).decode(), "pcm: 24,004 bytes, at most 24,000"),
        ("A" * 40_000, "at most 24,000"),
    ],
)
def test_an_invalid_block_is_refused_and_changes_nothing(
    deps: Dependencies, session: str, pcm: str, says: str
) -> None:
    before = deps.streams.get(session)
    with pytest.raises(Refused, match=says):
        filter_block(Audio(session=session, seq=0, pcm=pcm), ALICE, deps)
    assert deps.streams.get(session) == before


def test_a_block_of_invalid_length_for_fdaf_is_refused(deps: Dependencies) -> None:
    session = sessions.open_session(Start(rate=RATE, algorithm="fdaf"), ALICE, deps).key
    with pytest.raises(Refused, match="must be a multiple of the block"):
        send(deps, session, 0, two_microphones(1)[0][:1000])


def test_an_expired_session_is_unknown(platform: FakePlatform, session: str) -> None:
    platform.clock.now += platform.deps.settings.anc_session_hours * 3600 + 1
    with pytest.raises(Refused, match="not found"):
        send(platform.deps, session, 0, two_microphones(1)[0])


def test_a_failure_of_detection_passes_the_sound_through_with_a_reason(tmp_path, clock) -> None:
    failing = make_dependencies(tmp_path, clock, ml_model_path=str(tmp_path / "nothing.npz"))
    session = sessions.open_session(Start(rate=RATE), ALICE, failing.deps).key
    block = two_microphones(1)[0]
    answer = send(failing.deps, session, 0, block)
    assert answer.emergency.active
    assert "cannot be loaded" in answer.emergency.reason
    assert np.array_equal(samples(answer), block[:, 1])
    assert failing.counts["classification_failed"] == 1


def test_the_summary_counts_what_was_sent(deps: Dependencies, session: str) -> None:
    for seq, block in enumerate(two_microphones(10)):
        send(deps, session, seq, block)
    summary = sessions.end(session, ALICE, deps)
    assert (summary.blocks, summary.gaps) == (10, 0)
    assert summary.seconds == pytest.approx(10 * BLOCK / RATE)
    assert summary.attenuation_db is not None
    assert summary.attenuation_db > 10
    assert deps.streams.get(session) is None


def predicted_db(deps: Dependencies, noise: np.ndarray, horizon: int) -> float:
    """Return the attenuation of a `predict` session over the second half of a signal."""
    session = sessions.open_session(
        Start(mode="predict", rate=RATE, horizon=horizon, taps=128, mu=0.1), ALICE, deps
    ).key
    blocks = float_to_int16(noise).reshape(-1, BLOCK, 1)
    left = np.concatenate([samples(send(deps, session, seq, pcm)) for seq, pcm in enumerate(blocks)])
    half = noise.size // 2
    return attenuation_db(noise[half:], int16_to_float(left)[half:])


def test_white_noise_cannot_be_predicted_over_five_milliseconds(deaf_ears: Dependencies) -> None:
    noise = 0.1 * np.random.default_rng(3).standard_normal(60 * BLOCK)
    assert predicted_db(deaf_ears, noise, horizon=RATE * 5 // 1000) == pytest.approx(0.0, abs=0.2)


def test_a_tone_is_predicted_over_five_milliseconds(deaf_ears: Dependencies) -> None:
    tone = 0.3 * np.sin(2 * np.pi * 440 / RATE * np.arange(60 * BLOCK))
    assert predicted_db(deaf_ears, tone, horizon=RATE * 5 // 1000) > 20
