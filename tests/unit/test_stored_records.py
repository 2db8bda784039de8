"""Records stored by earlier versions stay readable. The texts are literal and must not change."""

import json
from typing import TypeVar

import msgspec
import pytest

from anc.records import Control, DesiredConfiguration, DesiredFirmware, Record

R = TypeVar("R", bound=Record)


def stored(text: str, kind: type[R]) -> R:
    """Read a record as tables do, from MessagePack."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(json.loads(text)), type=kind)


def test_desired_firmware_and_configuration_that_were_stored_as_plain_objects_are_read() -> None:
    control = stored(
        """{"key": "left", "group": "ada", "version": 7, "seq": 12, "noise": "rail", "doubted": "machine",
        "firmware": {"version": "1.4.0", "url": "https://x.example/1.4.0", "sha256": "ab", "size": 1024},
        "config": {"snapshot_interval_s": 30, "private": true},
        "untold": {"kind": "siren", "score": 0.9, "at": 1800000000.0}}""",
        Control,
    )
    assert control.firmware == DesiredFirmware("1.4.0", "https://x.example/1.4.0", "ab", 1024)
    assert control.config == DesiredConfiguration(snapshot_interval_s=30.0, private=True)
    assert (control.reclassified_from, control.seq) == ("machine", 12)
    assert control.pending_emergency is not None


@pytest.mark.parametrize("url", ["https://host/%20 x", "http://127.0.0.1@x.example/1.4.0"])
def test_a_firmware_that_is_no_longer_accepted_does_not_make_its_record_unreadable(url: str) -> None:
    firmware = {"version": "1", "url": url, "sha256": "", "size": 0}
    control = stored(json.dumps({"key": "left", "firmware": firmware}), Control)
    assert control.firmware is not None
    assert control.firmware.url == url


def test_a_control_without_desired_firmware_or_configuration_has_none() -> None:
    control = stored('{"key": "left"}', Control)
    assert (control.firmware, control.config) == (None, DesiredConfiguration())
