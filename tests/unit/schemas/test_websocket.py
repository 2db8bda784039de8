"""Frames of the live stream: parsed, or refused by the name of their fault."""

import contextlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from anc.pcm import float_to_int16, int16_to_float
from anc.schemas.refusal import Refused
from anc.schemas.websocket import Start, decode_pcm, encode_pcm, parse_request


@given(npst.arrays(np.int16, st.tuples(st.integers(1, 300), st.integers(1, 2))))
def test_pcm_comes_back_as_it_went(pcm: np.ndarray) -> None:
    text = encode_pcm(pcm)
    assert np.array_equal(decode_pcm(text, pcm.shape[1]), pcm)


@given(npst.arrays(np.int16, st.integers(1, 300)))
def test_int16_survives_the_way_through_float(pcm: np.ndarray) -> None:
    assert np.array_equal(float_to_int16(int16_to_float(pcm)), pcm)


def test_signals_are_rounded_to_nearest_and_clipped() -> None:
    signal = np.array([0.6, -0.6, 1e6, -1e6]) / 32768
    signal[2:] = [2.0, -2.0]
    assert float_to_int16(signal).tolist() == [1, -1, 32767, -32768]


def test_a_start_without_wishes_gets_the_platforms_defaults() -> None:
    assert parse_request('{"action":"start"}') == Start()


@pytest.mark.parametrize(
    ("frame", "code", "says"),
    [
        (None, "bad_json", "not a JSON document"),
        ("{", "bad_json", "not a JSON document"),
        ("[" * 10_000, "bad_field", "must be an object"),
        ("[]", "bad_field", "must be an object"),
        ("{}", "bad_field", "action: is required"),
        (
            '{"action":"sing"}',
            "bad_field",
            "action: must be one of start, audio, set",
        ),
        ('{"action":"start","taps":0}', "bad_field", "taps: must be at least 1"),
        ('{"action":"start","mu":"fast"}', "bad_field", "mu: must be a number"),
        ('{"action":"start","mu":NaN}', "bad_json", "not a JSON document"),
        ('{"action":"start","rate":1000000}', "bad_field", "rate: must be at most 192000"),
        ('{"action":"start","colour":"red"}', "bad_field", "colour: unknown field"),
        (
            '{"action":"audio","session":"s","seq":-1,"pcm":""}',
            "bad_field",
            "seq: must be at least 0",
        ),
        (
            '{"action":"audio","session":"s","seq":1.5,"pcm":""}',
            "bad_field",
            "seq: must be an integer",
        ),
        ('{"action":"watch","device":"../x"}', "bad_field", "device: must be 1 to 64 letters"),
        (json.dumps({"action": "ping", "x": "y" * 40_000}), "too_large", "at most 32,768"),
    ],
)
def test_a_bad_frame_is_refused_by_the_name_of_its_fault(frame: str | None, code: str, says: str) -> None:
    with pytest.raises(Refused, match=says) as refusal:
        parse_request(frame)
    assert refusal.value.code == code


@given(st.text(max_size=100))
def test_any_text_is_parsed_or_refused(frame: str) -> None:
    with contextlib.suppress(Refused):  # anything else would fail the test
        parse_request(frame)
