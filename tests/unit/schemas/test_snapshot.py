"""The snapshot format: what goes in comes out, and nothing else gets in."""

import contextlib
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from anc.schemas.refusal import Refused
from anc.schemas.snapshot import HEADER, MAX_PCM_SAMPLES, MQTT_PAYLOAD_LIMIT, Snapshot

u32 = st.integers(0, 2**32 - 1)
ids = st.binary(min_size=8, max_size=8).map(bytes.hex).filter(lambda name: name != "0" * 16) | st.just("")
gains = st.floats(0, 1, width=32)
rates = st.integers(8_000, 96_000)


@given(u32, rates, ids, gains, npst.arrays(np.int16, st.tuples(st.integers(1, 500), st.just(2))))
def test_sound_comes_back_as_it_went(seq, rate, name, gain, pcm) -> None:
    sent = Snapshot(seq, rate, len(pcm), name, gain, pcm=pcm)
    got = Snapshot.parse(sent.encode())
    assert np.array_equal(got.pcm, pcm)
    assert (got.seq, got.rate, got.samples, got.filter_id, got.gain) == (seq, rate, len(pcm), name, gain)


@given(u32, rates, ids, gains, st.binary(min_size=1, max_size=5000), st.binary(max_size=3000))
def test_statistics_come_back_as_they_went(seq, rate, name, gain, statistics, summary) -> None:
    sent = Snapshot(seq, rate, 16_000, name, gain, statistics=statistics, summary=summary)
    assert Snapshot.parse(sent.encode()) == sent


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_refused(data: bytes) -> None:
    with contextlib.suppress(Refused):  # anything else would fail the test
        Snapshot.parse(data)


def a_snapshot(**fields) -> bytes:
    values = {
        "magic": b"ANC1",
        "version": 1,
        "kind": 1,
        "channels": 2,
        "seq": 7,
        "rate": 16_000,
        "samples": 4,
    }
    values |= {"id": bytes(8), "gain": 1.0, "body": bytes(16)} | fields
    body = values.pop("body")
    return HEADER.pack(*values.values()) + body


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "header: must have 32 bytes"),
        (a_snapshot()[:31], "header: must have 32 bytes"),
        (a_snapshot(magic=b"RIFF"), "magic"),
        (a_snapshot(version=2), "version: must be 1"),
        (a_snapshot(kind=9), "kind: must be 1"),
        (a_snapshot(channels=1), "channels: must be 2"),
        (a_snapshot(rate=4_000), "rate: must be between 8000 and 96000 Hz"),
        (a_snapshot(gain=float("nan")), "gain: must be between 0 and 1"),
        (a_snapshot(gain=1.5), "gain: must be between 0 and 1"),
        (a_snapshot(samples=5), r"pcm: must have 20 bytes, 5 samples of each channel, .* \(got 16\)"),
        (a_snapshot(samples=0, body=b""), "samples: must be at least 1"),
        (a_snapshot(samples=2**32 - 1), "must have 17,179,869,180 bytes"),
        (a_snapshot(kind=2, body=b""), r"must start with their length, a u32 \(got 0 bytes\)"),
        (a_snapshot(kind=2, body=bytes(9)), "statistics: must not be empty"),
        (a_snapshot(kind=2, body=struct.pack("<I", 100)), r"must have 100 bytes, .* \(got 0\)"),
        (a_snapshot() + bytes(MQTT_PAYLOAD_LIMIT), "at most 131,072"),
    ],
)
def test_a_bad_snapshot_is_refused_by_the_name_of_its_fault(data: bytes, says: str) -> None:
    with pytest.raises(Refused, match=says):
        Snapshot.parse(data)


@pytest.mark.parametrize(
    ("rate", "samples", "short"),
    [(16_000, 8_000, True), (16_000, 16_000, False), (48_000, 24_000, True), (96_000, 24_000, True)]
    + [(rate, MAX_PCM_SAMPLES, False) for rate in (48_000, 96_000)],
)
def test_only_the_first_snapshots_of_a_new_noise_are_short(rate: int, samples: int, short: bool) -> None:
    assert Snapshot(1, rate, samples, "").is_short == short


def test_a_second_at_48_khz_does_not_fit_and_says_so() -> None:
    with pytest.raises(Refused, match="send a shorter one"):
        Snapshot(1, 48_000, 48_000, "", pcm=np.zeros((48_000, 2), np.int16)).encode()
