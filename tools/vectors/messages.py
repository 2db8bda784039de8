"""Vectors of every message between headset and platform: the bytes, and what they decode to."""

import json
import struct
import zlib
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from anc.dsp import Statistics
from anc.schemas import path, shadow, snapshot, telemetry
from anc.schemas.asyncapi import TOPICS
from anc.schemas.refusal import Refused, parse_json

TAPS = bytes.fromhex("003c00b80038ffbb")  # 1, -0.5, 0.5 and the float16 before -1
FILTER = shadow.FilterDocument.of(TAPS, seq=7, rate=16_000)
PCM = np.array([[0, 1], [-1, 256], [32767, -32768], [12345, -12345]], np.int16)
STATISTICS = Statistics(
    np.array([4.0, 2.0, 1.0, 0.5]), np.array([1.0, -1.0, 0.25, 0.0]), energy=3.0, samples=950.5, rate=16_000.0
)
SPECTROGRAM = np.tile(np.arange(80, dtype=np.uint8), (10, 1))  # ten columns: a quarter of a second

Decoder = Callable[[bytes], Any]


def decode_snapshot(payload: bytes) -> dict[str, Any]:
    """Return the fields of a snapshot; PCM as rows of x and e or d."""
    parsed = snapshot.Snapshot.parse(payload)
    fields: dict[str, Any] = {
        "seq": parsed.seq,
        "rate": parsed.rate,
        "samples": parsed.samples,
        "filter_id": parsed.filter_id,
        "gain": parsed.gain,
    }
    if parsed.pcm is not None:
        return fields | {"pcm": parsed.pcm.tolist()}
    sums = Statistics.from_bytes(parsed.statistics)
    return fields | {
        "autocorrelation": sums.autocorrelation.tolist(),
        "crosscorrelation": sums.crosscorrelation.tolist(),
        "energy": sums.energy,
        "sum_of_samples": sums.samples,
        "summary": zlib.decompress(parsed.summary).hex(),
    }


def decode_filter(payload: bytes) -> dict[str, Any]:
    """Return the taps of the `filter` of a shadow."""
    document: shadow.FilterDocument = parse_json(payload, shadow.FilterDocument)
    return {"id": document.id, "seq": document.seq, "rate": document.rate, "taps": document.decode().tolist()}


def _json(kind: Any) -> Decoder:
    return lambda payload: msgspec.to_builtins(parse_json(payload, kind))


# How this version decodes each message, by its name in docs/asyncapi.json, and the filter in a shadow. It
# must decode the vectors of every earlier version too.
DECODERS: dict[str, Decoder] = {
    **{topic.name: _json(topic.message) for topic in TOPICS},
    "snapshot": decode_snapshot,
    "filter": decode_filter,
    "telemetry": lambda payload: msgspec.to_builtins(telemetry.parse_reports(payload)),
    "path": lambda payload: msgspec.to_builtins(path.parse_path(payload)),
}


def document() -> bytes:
    """Return the vectors as JSON."""
    vectors = [_vector(message, name, payload) for message, name, payload in _payloads()]
    return one_per_line(vectors)


def one_per_line(vectors: list[dict[str, Any]]) -> bytes:
    """Return JSON in which a difference between versions is a difference between lines."""
    return ("[\n" + ",\n".join(map(json.dumps, vectors)) + "\n]\n").encode()


def _vector(message: str, name: str, payload: bytes) -> dict[str, Any]:
    binary = message == "snapshot"
    vector = {"message": message, "name": name}
    vector |= {"hex": payload.hex()} if binary else {"text": payload.decode()}
    try:
        decoded = DECODERS[message](payload)
    except Refused as refusal:
        return vector | {"refused": refusal.code}
    whole = binary or message == "filter"
    return vector | {"decoded": decoded if whole else _present(decoded, json.loads(payload))}


def _present(decoded: Any, document: Any) -> Any:
    """Return what a message contains, without the defaults of fields that it omits."""
    if isinstance(document, dict):
        return {name: _present(decoded[name], value) for name, value in document.items() if name in decoded}
    if isinstance(document, list) and document and isinstance(document[0], dict):
        return [_present(*pair) for pair in zip(decoded, document, strict=True)]
    return decoded


def _payloads() -> list[tuple[str, str, bytes]]:
    return [*_snapshots(), *_shadows(), *_jobs(), *_reports(), *_claims()]


def _snapshots() -> list[tuple[str, str, bytes]]:
    pcm = snapshot.Snapshot(1, 16_000, 4, "", 0.0, pcm=PCM).encode()
    playing = snapshot.Snapshot(2, 48_000, 4, FILTER.id, 0.75, pcm=PCM).encode()
    summary = b"\x78\x01" + _stored(SPECTROGRAM.tobytes())
    private = snapshot.Snapshot(
        4_294_967_295, 16_000, 4000, FILTER.id, 0.0, statistics=STATISTICS.to_bytes(), summary=summary
    ).encode()
    return [
        ("snapshot", "kind 1, no filter", pcm),
        ("snapshot", "kind 1, e with a filter at a gain of 0.75", playing),
        ("snapshot", "kind 2, d with a filter; summary in one stored block", private),
        ("snapshot", "version 2 is unknown", pcm[:4] + b"\2" + pcm[5:]),
        ("snapshot", "kind 3 is unknown", pcm[:5] + b"\3" + pcm[6:]),
        ("snapshot", "a sample is missing", pcm[:-1]),
        ("snapshot", "a gain of 2", pcm[:28] + struct.pack("<f", 2.0) + pcm[32:]),
    ]


def _stored(data: bytes) -> bytes:
    """Return a zlib stream of one stored block without its header."""
    size = struct.pack("<HH", len(data), len(data) ^ 0xFFFF)
    return b"\x01" + size + data + struct.pack(">I", zlib.adler32(data))


def _shadows() -> list[tuple[str, str, bytes]]:
    desired = {
        "mode": "cancel",
        "intensity": 0.5,
        "filter": msgspec.to_builtins(FILTER),
        "reason": "predicted gain 14.2 dB",
        "noise": {"label": "aircraft", "confidence": 0.93},
        "without_control": 6,
        "config": {"snapshot_interval_s": 30.0, "telemetry_interval_s": 300.0, "private": True},
        "firmware": {
            "version": "1.4.3",
            "url": "https://updates.example/1.4.3.bin",
            "sha256": "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef",
            "size": 812_344,
        },
    }
    result = {"seq": 7, "active_mode": "cancel", "active_filter": FILTER.id, "attenuation_db": 13.1}
    result |= {"reverted": 1, "refused": "", "firmware_version": "1.4.2"}
    update = {"version": "1.4.3", "state": "refused", "reason": "sha256: does not match the download"}
    reported = desired | result | {"update": update}
    former = {"mode": "cancel", "intensity": 0.5, "filter": FILTER.id, "seq": 7, "firmware": "1.4.2"}
    same_length = {"id": FILTER.id, "seq": 8, "data": FILTER.data, "sha256": FILTER.sha256}
    damaged = msgspec.to_builtins(FILTER) | {"data": "AAAAAAAAAAA="}
    infinite = msgspec.to_builtins(shadow.FilterDocument.of(bytes.fromhex("007c"), 1, 16_000))
    state = {"desired": desired, "reported": reported}
    return [
        ("filter", "1, -0.5, 0.5, -0.9995", _text(msgspec.to_builtins(FILTER))),
        ("filter", "the bytes do not match the hash", _text(damaged)),
        ("filter", "a tap is infinite", _text(infinite)),
        ("filter", "fewer bytes than taps", _text(msgspec.to_builtins(FILTER) | {"taps": 5})),
        ("shadowGet", "the whole shadow", b"{}"),
        ("shadowGetAccepted", "desired and reported", _text({"state": state, "version": 12})),
        ("shadowGetAccepted", "nothing was written yet", _text({"state": {}, "version": 1})),
        ("shadowGetRejected", "no shadow yet", _text({"code": 404, "message": "No shadow exists"})),
        ("shadowUpdate", "every field", _text({"state": {"reported": reported}})),
        ("shadowUpdate", "one field, and one that is removed", _text(_report(seq=8, without_control=None))),
        ("shadowUpdate", "as earlier firmware reports", _text({"state": {"reported": former}})),
        ("shadowUpdate", "a mode that does not exist", _text(_report(active_mode="loud"))),
        ("shadowUpdateAccepted", "one field", _text(_report(seq=8) | {"version": 14})),
        ("shadowUpdateRejected", "too large", _text({"code": 413, "message": "The document is too large"})),
        ("shadowDelta", "one field", _text({"state": {"mode": "bypass"}, "version": 13})),
        ("shadowDelta", "every field", _text({"state": desired, "version": 14})),
        (
            "shadowDelta",
            "what differs within a filter",
            _text({"state": {"filter": same_length}, "version": 15}),
        ),
        ("shadowDelta", "a mode that does not exist", _text({"state": {"mode": "loud"}, "version": 16})),
    ]


def _report(**fields: Any) -> dict[str, Any]:
    return {"state": {"reported": fields}}


def _jobs() -> list[tuple[str, str, bytes]]:
    id = "01796032800000-5f0c2d1e-00000"
    started = {"jobId": id, "status": "IN_PROGRESS"}
    firmware = {
        "version": "1.5.0",
        "url": "https://updates.example/1.5.0.bin",
        "sha256": "ab" * 32,
        "size": 4,
    }
    reason = {"reason": "sha256: does not match the download"}
    return [
        ("jobStartNext", "the next job", b"{}"),
        ("jobStartNextAccepted", "none is pending", b"{}"),
        (
            "jobStartNextAccepted",
            "configuration",
            _text({"execution": started | {"jobDocument": {"config": {"snapshot_interval_s": 60.0}}}}),
        ),
        (
            "jobStartNextAccepted",
            "firmware",
            _text({"execution": started | {"jobDocument": {"firmware": firmware}}}),
        ),
        ("jobStartNextRejected", "too many requests", _text({"code": "RequestThrottled", "message": "Wait"})),
        ("jobNotifyNext", "a job waits", _text({"execution": {"jobId": id, "status": "QUEUED"}})),
        ("jobNotifyNext", "none is pending", b"{}"),
        ("jobUpdate", "a step is done", _text(_progress("IN_PROGRESS", {"state": "verified"}))),
        ("jobUpdate", "the firmware runs", _text(_progress("SUCCEEDED", {"firmware": "1.5.0"}))),
        ("jobUpdate", "a wrong download", _text(_progress("FAILED", reason))),
        ("jobUpdate", "a status that does not exist", _text(_progress("DONE", {}))),
    ]


def _progress(status: str, details: dict[str, str]) -> dict[str, Any]:
    return {"status": status, "statusDetails": details}


def _reports() -> list[tuple[str, str, bytes]]:
    report = {"battery": 0.71, "level_dbfs": -31.5, "attenuation_db": 13.1, "mode": "cancel"}
    buffered = report | {"firmware": "1.4.2", "filters": 3, "reverted": 0, "run": 2_769_340_163, "line": 12}
    measured = {"secondary": [0.0, 0.5, -0.25], "rate": 16_000, "played": "music", "fit_db": 21.4, "seq": 12}
    return [
        ("telemetry", "one report", _text(report)),
        ("telemetry", "two reports, one of which waited", _text([buffered | {"age_s": 61.5}, report])),
        ("telemetry", "an unknown field", _text({"volume": 3})),
        ("path", "measured with music", _text(measured)),
        ("path", "without a number", _text({k: v for k, v in measured.items() if k != "seq"})),
        ("path", "a poor fit", _text(measured | {"fit_db": 5.9})),
    ]


def _claims() -> list[tuple[str, str, bytes]]:
    pem = "-----BEGIN CERTIFICATE{}-----\n...\n-----END CERTIFICATE{}-----\n"
    signed = {
        "certificateId": "ab" * 32,
        "certificatePem": pem.format("", ""),
        "certificateOwnershipToken": "eyJ2",
    }
    registration = {"certificateOwnershipToken": "eyJ2", "parameters": {"SerialNumber": "h-000123"}}
    rejected = {"statusCode": 400, "errorCode": "AccessDenied", "errorMessage": "Access Denied"}
    request = {"certificateSigningRequest": pem.format(" REQUEST", " REQUEST")}
    return [
        ("claimSign", "a signing request", _text(request)),
        ("claimSignAccepted", "a certificate", _text(signed)),
        ("claimSignRejected", "denied", _text(rejected)),
        ("claimProvision", "a serial number", _text(registration)),
        ("claimProvisionAccepted", "a thing", _text({"thingName": "h-000123", "deviceConfiguration": {}})),
        ("claimProvisionRejected", "denied", _text(rejected)),
    ]


def _text(value: Any) -> bytes:
    return json.dumps(value).encode()
