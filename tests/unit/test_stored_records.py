"""Records that an earlier version stored are read by this one, and written under the same field names."""

import inspect
import json

import msgspec
import pytest

from anc import access_records, fleet_records, headset_records, records, rollout_records
from anc.access_records import Account, AuditEntry
from anc.fleet_records import Distribution, FleetDay, FleetGroup, FleetQuery
from anc.headset_records import (
    Contribution,
    Control,
    DesiredConfiguration,
    DesiredFirmware,
    Device,
    DeviceModel,
    Fleet,
    ReceivedReports,
    RecordedRefusal,
    SentFilter,
    Status,
    Telemetry,
)
from anc.records import (
    Alarm,
    ApiKey,
    Emergency,
    Job,
    Options,
    QuotaItem,
    Record,
    SocketConnection,
    Stream,
    Usage,
    Watch,
)
from anc.rollout_records import Rollout, RolloutBatch, Target
from anc.tables import TABLES

KEYS = {"key": "k", "group": "ann", "version": 7, "expires": 1800000000.5}
ALARM = {"kind": "siren", "score": 0.9, "at": 5.5}
CONTRIBUTION = {"device": "d1", "owner": "ann", "at": 5.5, "statistics": "AAE=", "taps": "AgM="}
FIRMWARE = {"version": "1.4.0", "url": "https://x.example/1.4.0", "sha256": "ab", "size": 1024}
QUERY = json.loads(msgspec.json.encode(FleetQuery()))
REFUSAL = {"what": "snapshot", "code": "clipped", "message": "too loud", "at": 5.5}

# What was stored (bytes in base64), and what the attributes are now.
STORED = [
    (
        {"mode": "predict", "algorithm": "fdaf", "rate": 48000, "channels": 1, "taps": 256, "mu": 0.25}
        | {"horizon": 64, "enabled": False, "intensity": 0.5, "created": 1.5, "seq": 3, "filter": "AAE="}
        | {"hearing": "AgM=", "answer": "BAU=", "emergency_until": 9.5, "untold": ALARM, "blocks": 4}
        | {"samples": 4096, "gaps": 1, "energy_before": 2.5, "energy_after": 0.5},
        Stream(mode="predict", algorithm="fdaf", rate=48000, channels=1, taps=256, mu=0.25, horizon=64,
               enabled=False, intensity=0.5, created=1.5, seq=3, filter=b"\0\1", classifier_state=b"\2\3",
               answer=b"\4\5", emergency_until=9.5, pending_emergency=Alarm("siren", 0.9, 5.5), blocks=4,
               samples=4096, gaps=1, energy_before=2.5, energy_after=0.5, **KEYS),
    ),
    ({"held": {"d1": [12, 5.5]}}, Usage(items={"d1": QuotaItem(12, 5.5)}, **KEYS)),
    (
        {"role": "operator", "api_key": "a1", "watching": ["d1"], "hears_jobs": False},
        SocketConnection(role="operator", api_key="a1", watching=("d1",), notify_jobs=False, **KEYS),
    ),
    ({"connection": "c1", "registered": 2.5}, Watch(connection="c1", registered=2.5, **KEYS)),
    (
        {"model": "quiet", "rate": 16000, "taps": 512, "secondary": "AAE=", "max_gain_db": 30.0}
        | {"certificate": "c2", "replaced": ["c1"], "credentials_at": 3.5, "removed": True}
        | {"claimable": True, "claimed_by": "ff", "path_seq": 8, "created": 1.5},
        Device(model="quiet", rate=16000, taps=512, secondary=b"\0\1", max_gain_db=30.0, certificate="c2",
               replaced=("c1",), credentials_at=3.5, removed=True, claimable=True, claimed_by="ff",
               path_seq=8, created=1.5, **KEYS),
    ),
    (
        {"rate": 16000, "taps": 512, "secondary": "AAE=", "max_gain_db": 30.0, "serial_prefix": "QO-"},
        DeviceModel(rate=16000, taps=512, secondary=b"\0\1", max_gain_db=30.0, serial_prefix="QO-", **KEYS),
    ),
    (
        {"seq": 9, "mode": "transparency", "intensity": 0.5, "statistics": "AAE=", "noise": "cabin"}
        | {"label_evidence": "BAU=", "classified_at": 7.5}
        | {"filters": [{"id": "f1", "seq": 8, "rate": 16000, "taps": "AgM=", "predicted_gain_db": 12.5}]}
        | {"confidence": 0.75, "doubted": "street", "reason": "alarm", "emergency_until": 9.5}
        | {"untold": ALARM, "shared": {"cabin": 4.5}, "without_control": 6}
        | {"firmware": FIRMWARE, "config": {"snapshot_interval_s": 30.0, "private": True}},
        Control(seq=9, mode="transparency", intensity=0.5, statistics=b"\0\1", noise="cabin",
                filters=(SentFilter("f1", 8, 16000, b"\2\3", 12.5),), confidence=0.75,
                label_evidence=b"\4\5", classified_at=7.5, reclassified_from="street", reason="alarm",
                emergency_until=9.5,
                pending_emergency=Alarm("siren", 0.9, 5.5), shared={"cabin": 4.5}, without_control=6,
                firmware=DesiredFirmware(**FIRMWARE),
                config=DesiredConfiguration(snapshot_interval_s=30.0, private=True), **KEYS),
    ),
    (
        {"contributions": [CONTRIBUTION]},
        Fleet(contributions=(Contribution("d1", "ann", 5.5, b"\0\1", b"\2\3"),), **KEYS),
    ),
    (
        {"at": 5.5, "report": "e30=", "lines": {"run": 3, "newest": 17, "seen": 5}},
        Telemetry(at=5.5, report=b"{}", received=ReceivedReports(3, 17, 5), **KEYS),
    ),
    (
        {"online": True, "since": 2.5, "session": "s1", "refused": 2, "refusal": REFUSAL, "claim": REFUSAL},
        Status(online=True, since=2.5, session="s1", refused=2, refusal=RecordedRefusal(**REFUSAL),
               claim=RecordedRefusal(**REFUSAL), **KEYS),
    ),
    (
        {"name": "night run", "role": "operator", "sha256": "AAE=", "created": 1.5, "scopes": ["audio"]}
        | {"revoked": True},
        ApiKey(name="night run", role="operator", sha256=b"\0\1", created=1.5, scopes=("audio",),
               revoked=True, **KEYS),
    ),
    (
        {"source": "d1", "kind": "horn", "score": 0.9, "at": 5.5},
        Emergency(source="d1", kind="horn", score=0.9, at=5.5, **KEYS),
    ),
    (
        {"source": "d1", "kind": "horn", "score": 0.9, "at": 5.5}
        | {"acknowledged_by": "u1", "acknowledged_at": 6.5}
        | {"comment": "a drill", "commented_by": "u2", "commented_at": 7.5},
        Emergency(source="d1", kind="horn", score=0.9, at=5.5, acknowledged_by="u1", acknowledged_at=6.5,
                  comment="a drill", commented_by="u2", commented_at=7.5, **KEYS),
    ),
    (
        {"state": "running", "name": "flight.wav", "size": 44, "created": 1.5, "upload": "u1"}
        | {"options": {"mode": "predict", "algorithm": "nlms", "taps": 64, "mu": 0.1, "horizon": 2}}
        | {"source": "e1", "result": "r1", "before": "b1", "blocks": 2, "frames": 96}
        | {"attempts": 1, "progress": 0.5}
        | {"failure": "broken", "summary": {"seconds": 2.5}},
        Job(state="running", options=Options("predict", "nlms", 64, 0.1, 2), name="flight.wav", size=44,
            created=1.5, upload="u1", source="e1", result="r1", before="b1", blocks=2, frames=96,
            attempts=1, progress=0.5, failure="broken", summary={"seconds": 2.5}, **KEYS),
    ),
    (
        {"name": "ann@example.com", "role": "operator", "valid_from": 3.5, "removed": True},
        Account(name="ann@example.com", role="operator", valid_from=3.5, removed=True, **KEYS),
    ),
    (
        {"at": 5.5, "user": "u1", "name": "ann", "api_key": "a1", "action": "key.create", "subject": "a2"}
        | {"detail": {"role": "operator"}},
        AuditEntry(at=5.5, user="u1", name="ann", api_key="a1", action="key.create", subject="a2",
                   detail={"role": "operator"}, **KEYS),
    ),
    (
        {"name": "hinge", "firmware": FIRMWARE, "canary_percent": 5.0, "soak_minutes": 60.0}
        | {"config": {"private": True}, "query": QUERY | {"model": "AX2"}, "per_minute": 100}
        | {"max_failed_percent": 4.0, "max_drop_db": 2.5, "state": "stopped", "stage": "canary"}
        | {"reason": "worse", "created": 1.5, "created_by": "u1", "changed": 2.5, "changed_by": "u2"}
        | {"is_closing": True}
        | {"steps": 3, "headsets": 40, "canary": 2, "batches": 2, "started": 1, "started_at": 3.5}
        | {"counts": {"waiting": 38}, "soaking_since": 4.5, "updated_change_db": -6.5}
        | {"other_change_db": 0.5, "measured": 2},
        Rollout(name="hinge", firmware=DesiredFirmware(**FIRMWARE), config=DesiredConfiguration(private=True),
                query=FleetQuery(model="AX2"), canary_percent=5.0, soak_minutes=60.0, per_minute=100,
                max_failed_percent=4.0, max_drop_db=2.5, state="stopped", stage="canary", reason="worse",
                created=1.5, created_by="u1", changed=2.5, changed_by="u2", is_closing=True,
                steps=3, headsets=40, canary=2,
                batches=2, started=1, started_at=3.5, counts={"waiting": 38}, soaking_since=4.5,
                updated_change_db=-6.5, other_change_db=0.5, measured=2, **KEYS),
    ),
    (
        {"targets": [["d1", 12.5, "queued", 5.5]], "started": True},
        RolloutBatch(targets=(Target("d1", 12.5, "queued", 5.5),), started=True, **KEYS),
    ),
    (
        {"at": 5.5, "headsets": 3, "attenuation": [1.5, 2.5, 3.5]}
        | {"groups": {"model": [["AX2", 3, [1.5, 2.5, 3.5]]], "firmware": []}
           | {"noise": [["", 1, [None] * 3]]}},
        FleetDay(at=5.5, headsets=3, attenuation=Distribution(1.5, 2.5, 3.5),
                 groups={"model": (FleetGroup("AX2", 3, Distribution(1.5, 2.5, 3.5)),), "firmware": (),
                         "noise": (FleetGroup("", 1, Distribution()),)}, **KEYS),
    ),
]  # fmt: skip
NAMES = [type(record).__name__ for _, record in STORED]


@pytest.mark.parametrize(("stored", "record"), STORED, ids=NAMES)
def test_a_stored_record_is_read_into_todays_attributes(stored, record):
    text = json.dumps(KEYS | stored)

    assert msgspec.json.decode(text, type=type(record)) == record


@pytest.mark.parametrize(("stored", "record"), STORED, ids=NAMES)
def test_a_record_is_written_under_the_stored_field_names(stored, record):
    assert json.loads(msgspec.json.encode(record)) == KEYS | stored


def test_every_record_class_has_an_example():
    classes = [
        kind
        for module in (records, headset_records, access_records, fleet_records, rollout_records)
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Record) and kind is not Record
    ]

    assert {kind.__name__ for kind in classes} == {*NAMES}
    assert {spec.record.__name__ for spec in TABLES} == {*NAMES}


@pytest.mark.parametrize("url", ["https://host/%20 x", "http://127.0.0.1@x.example/1.4.0"])
def test_a_firmware_that_is_no_longer_accepted_does_not_make_its_record_unreadable(url):
    control = msgspec.json.decode(
        json.dumps({"key": "left", "firmware": FIRMWARE | {"url": url}}), type=Control
    )

    assert control.firmware == DesiredFirmware(**FIRMWARE | {"url": url})


def test_a_control_without_desired_firmware_or_configuration_has_none():
    control = msgspec.json.decode('{"key": "left"}', type=Control)

    assert (control.firmware, control.config) == (None, DesiredConfiguration())
