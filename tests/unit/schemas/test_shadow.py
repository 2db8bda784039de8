"""The shadow's filter: intact, or refused."""

import base64
from typing import Any

import msgspec
import numpy as np
import pytest

from anc.schemas.refusal import Refused
from anc.schemas.shadow import (
    DOCUMENT_LIMIT,
    MAX_TAPS,
    Configuration,
    Desired,
    FilterDocument,
    Firmware,
    FirmwareState,
    Noise,
    check_reported,
    float16,
    max_firmware_url_chars,
    parse_desired,
)
from iot.status import Status


def a_filter(taps: int = 512) -> FilterDocument:
    w = np.random.default_rng(1).standard_normal(taps) * 0.1
    return FilterDocument.of(float16(w), seq=3, rate=16_000)


def test_a_filter_of_512_taps_travels_in_1368_characters() -> None:
    document = a_filter()
    assert len(document.data) == 1368
    assert len(msgspec.json.encode(document)) < 1600


@pytest.mark.parametrize("taps", [512, MAX_TAPS])
def test_the_largest_desired_and_reported_state_fit_into_one_shadow(taps: int) -> None:
    url = "https://x/" + "u" * (max_firmware_url_chars(taps) - 10)
    desired = Desired(
        mode="transparency",
        intensity=0.123456789,
        filter=FilterDocument.of(float16(np.full(taps, 1e-3)), 2**32 - 1, 96_000),
        reason="r" * 200,
        noise=Noise("n" * 64, 0.123456789),
        without_control=2**32 - 1,
        firmware=Firmware("99999.99999.99999", url, "0" * 64, 16_777_216),
        config=Configuration(3599.123456, 86_399.123456, False),
    )
    status = Status("transparency", 1.0, "f" * 16, 1, 999, "r" * 200, "", -99.9)
    update = FirmwareState("99999.99999.99999", "downloading", "r" * 200)
    assert desired.config
    reported = status.report(desired, 2**32 - 1, desired.config, "99999.99999.9", update)
    document = msgspec.json.encode({"desired": desired, "reported": reported})
    parse_desired(msgspec.json.encode(desired))
    check_reported(msgspec.to_builtins(reported))
    assert len(document) <= DOCUMENT_LIMIT, len(document)


def test_a_filter_arrives_as_float16_made_of_it() -> None:
    w = np.random.default_rng(2).standard_normal(64)
    assert np.array_equal(FilterDocument.of(float16(w), 1, 16_000).decode(), w.astype("<f2").astype("f4"))


def test_a_damaged_filter_is_refused() -> None:
    whole = a_filter()
    data = bytearray(base64.b64decode(whole.data))
    data[10] ^= 1
    damaged = msgspec.structs.replace(whole, data=base64.b64encode(data).decode())
    with pytest.raises(Refused, match="does not match the data"):
        damaged.decode()


def test_a_filter_of_another_length_than_it_says_is_refused() -> None:
    with pytest.raises(Refused, match="must have 1026 bytes for 513 taps"):
        msgspec.structs.replace(a_filter(), taps=513).decode()


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e6])
def test_a_tap_that_float16_cannot_hold_is_never_sent(value: float) -> None:
    with pytest.raises(Refused, match="does not fit"):
        float16(np.array([0.0, value]))


def test_taps_that_are_not_finite_are_refused_though_their_hash_is_right() -> None:
    poisoned = FilterDocument.of(np.array([np.nan], "<f2").tobytes(), 1, 16_000)
    with pytest.raises(Refused, match="not finite"):
        poisoned.decode()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"mode":"loud"}', "mode: must be one of bypass, cancel, transparency"),
        ('{"intensity":2}', "intensity: must be at most 1"),
        ('{"filter":{"id":"x"}}', "filter.id"),
        ('{"mode":', "not a JSON document"),
        (" " * 9000, "shadow: must have at most 8,192 bytes"),
    ],
)
def test_a_bad_shadow_is_refused_by_the_name_of_its_fault(text: str, says: str) -> None:
    with pytest.raises(Refused, match=says):
        parse_desired(text)


@pytest.mark.parametrize(
    ("reported", "says"),
    [
        ({"mode": "loud"}, "reported.mode: must be one of bypass, cancel, transparency"),
        ({"active_mode": "loud"}, "reported.active_mode: must be one of"),
        ({"intensity": 2}, "reported.intensity: must be at most 1"),
        ({"filter": {"id": "0" * 16}}, "reported.filter"),
        ({"seq": -1}, "reported.seq"),
    ],
)
def test_reported_state_that_cannot_be_is_refused_by_the_name_of_its_fault(
    reported: dict[str, Any], says: str
) -> None:
    with pytest.raises(Refused, match=says):
        check_reported(reported)


def test_a_report_in_the_former_shape_or_with_later_fields_is_accepted() -> None:
    former = {"mode": "cancel", "intensity": 1.0, "filter": "0" * 16, "seq": 7, "attenuation_db": 13.1}
    check_reported(
        {**former, "reverted": 0, "refused": "", "config": {}, "firmware": "1.4.2", "update": None}
    )
    check_reported({"filter": "", "later": {"x": [1]}})
