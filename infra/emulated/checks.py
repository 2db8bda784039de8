"""A person, a headset and a browser use the emulated deployment, and each gets the right answer."""

import base64
import io
import json
import secrets
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from functools import cached_property
from typing import Any

import boto3
import numpy as np
import soundfile
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from anc.dsp import NLMS, design_control_filter
from anc.wire.shadow import SHADOW, FilterDocument, float16
from anc.wire.snapshot import Snapshot
from anc.wire.websocket import SUBPROTOCOL, as_float, as_int16, encode_pcm
from functions.routes import QUEUES, RULES
from infra.emulated.emulator import REGION, Emulator, wait_for

THING = "headset-1"
RATE, TAPS, SECONDS = 16_000, 128, 1
SECONDARY = np.array([0.0, 0.0, 0.8, 0.3, -0.1], np.float32)
PRIMARY = np.concatenate([np.zeros(6), [0.7, 0.4, -0.2]])  # the sound reaches the ear after the driver can
ANSWER_S = 30.0


class Platform:
    """The deployed platform as it looks from outside.

    Parameters
    ----------
    emulator : Emulator
    say : callable
        Told what was seen.
    """

    def __init__(self, emulator: Emulator, say: Callable[[str], None]) -> None:
        self._emulator = emulator
        self._say = say
        self._outputs = self._stack_outputs()

    def check(self) -> None:
        """Raise AssertionError or TimeoutError, with a sentence that says what is wrong."""
        token = self._sign_in()
        self._registry(token)
        with closing(self._socket(token)) as socket:
            self._control(socket)
            self._live(socket)
        self._recorded(token)
        self._unannounced()
        self._nothing_died()

    def _registry(self, token: str) -> None:
        _expect(self._request("GET", "/health"), 200)
        _expect(self._request("GET", "/api/devices"), 401)
        headset = {"thing": THING, "rate": RATE, "taps": TAPS, "secondary": SECONDARY.tolist()}
        made = _expect(self._request("POST", "/api/devices", token, headset), 201)
        _same("the device's certificate", "BEGIN CERTIFICATE" in made["credentials"]["certificate"], True)
        self._say(f"REST: {THING} is registered and has a certificate; without a token nothing is shown")

    def _control(self, socket: ClientConnection) -> None:
        """One snapshot through rule, queue, processor, queue and sender, to the shadow and the watcher."""
        socket.send(json.dumps({"action": "watch", "device": THING}))
        _same("the answer to watch", _receive(socket)["type"], "watching")
        x, d = _noise(2 * SECONDS * RATE)
        now, next_second = slice(0, SECONDS * RATE), slice(SECONDS * RATE, None)
        pcm = as_int16(np.column_stack([x[now], d[now]]))
        snapshot = Snapshot(seq=1, rate=RATE, samples=len(pcm), filter_id="", pcm=pcm)
        topic = f"$aws/rules/{RULES[0].name}/{RULES[0].topic.replace('+', THING)}"
        began = time.monotonic()
        self._client("iot-data").publish(topic=topic, qos=1, payload=snapshot.encode())
        document = wait_for(self._desired_filter, ANSWER_S, "the filter in the shadow")
        took = time.monotonic() - began
        _same("the filter's sequence", document.seq, 1)
        heard = as_float(pcm)
        design = design_control_filter(heard[:, 0], heard[:, 1], SECONDARY, TAPS, rate=RATE)
        expected = np.frombuffer(float16(design.taps), "<f2").astype(np.float32)
        arrived, here = (_attenuation_db(w, x, d, next_second) for w in (document.decode(), expected))
        if not abs(arrived - here) < 0.1:
            raise AssertionError(f"the filter takes off {arrived:.1f} dB, the same design here {here:.1f} dB")
        news = _receive(socket)
        _same("what the watcher was told", (news["type"], news["filter"]), ("device", document.id))
        self._say(
            f"Control: snapshot -> rule -> queue -> anc_processor -> queue -> audio_sender -> shadow in "
            f"{took:.1f} s, and its watcher knows; the filter takes {arrived:.1f} dB off the next second"
        )

    def _live(self, socket: ClientConnection) -> None:
        """One block through the WebSocket; the answer is what the filter gives in this process."""
        start = {"action": "start", "mode": "cancel", "rate": RATE, "channels": 2, "taps": TAPS, "mu": 0.5}
        socket.send(json.dumps(start))
        session = _receive(socket)["session"]
        x, d = _noise(1024)
        pcm = as_int16(np.column_stack([x, d]))
        block = {"action": "audio", "session": session, "seq": 0, "pcm": encode_pcm(pcm)}
        began = time.monotonic()
        socket.send(json.dumps(block))
        answer = _receive(socket)
        took = time.monotonic() - began
        _same("the answer to a block", (answer["type"], answer.get("seq")), ("audio", 0))
        _same("emergency in plain noise", answer["emergency"]["active"], False)
        signals = as_float(pcm)
        _, e = NLMS(taps=TAPS, mu=0.5).process(signals[:, 0], signals[:, 1])
        got = np.frombuffer(base64.b64decode(answer["pcm"]), "<i2")
        off = np.abs(got.astype(int) - as_int16(e)).max()
        _same("int16 steps by which the residual differs from the filter's", int(off), 0)
        self._say(
            f"Live: a block of {len(pcm)} samples answered just as the filter does, in {took * 1000:.0f} ms"
        )

    def _recorded(self, token: str) -> None:
        """A recording sent to a presigned link, cleaned in the background, and its report fetched by one."""
        x, d = _noise(3 * RATE)
        file = io.BytesIO()
        soundfile.write(file, np.column_stack([x, d]), RATE, format="WAV")
        sound = file.getvalue()
        began = time.monotonic()
        made = _expect(self._request("POST", "/api/audio/uploads", token, {"size": len(sound)}), 201)
        self._transfer("PUT", made["links"][0], sound)

        def ended() -> Any:
            job = _expect(self._request("GET", f"/api/audio/jobs/{made['job']}", token), 200)
            return job if job["state"] in ("done", "failed") else None

        job = wait_for(ended, ANSWER_S, "the recording to be treated")
        took = time.monotonic() - began
        _same("what became of the recording", (job["state"], job["failure"]), ("done", ""))
        report = json.loads(self._transfer("GET", job["downloads"]["report.json"]))
        _same("the recording's length", report["seconds"], 3.0)
        fell = report["attenuation_last_half_db"]
        if not fell > 10:
            raise AssertionError(f"the recording fell by {fell} dB, less than 10")
        _expect(self._request("DELETE", f"/api/audio/jobs/{made['job']}", token), 204)
        self._say(f"Recorded: announced, sent to its link, cleaned by {fell:.1f} dB, fetched; {took:.1f} s")

    def _unannounced(self) -> None:
        """A file that nobody announced is nobody's: S3 tells the queue, and anc_processor removes it."""
        s3, file = self._client("s3"), {"Bucket": self._outputs["ObjectsBucket"], "Key": "uploads/nobodys"}
        s3.put_object(**file, Body=b"sound")
        wait_for(
            lambda: not s3.list_objects_v2(Bucket=file["Bucket"], Prefix=file["Key"])["KeyCount"],
            ANSWER_S,
            "anc_processor to remove a file that nobody announced",
        )
        self._say("Recorded: S3 -> queue -> anc_processor removed a file that nobody announced")

    def _nothing_died(self) -> None:
        sqs = self._client("sqs")
        for route in QUEUES:
            url = self._outputs[f"{route.name}DeadLetters"]
            waiting = sqs.receive_message(QueueUrl=url).get("Messages", [])
            _same(f"the dead letters of {route.name}", waiting, [])

    def _desired_filter(self) -> FilterDocument | None:
        client = self._client("iot-data")
        try:
            answer = client.get_thing_shadow(thingName=THING, shadowName=SHADOW)
        except client.exceptions.ResourceNotFoundException:
            return None
        found = json.loads(answer["payload"].read())["state"]["desired"].get("filter")
        return FilterDocument(**found) if found else None

    def _sign_in(self) -> str:
        cognito = self._client("cognito-idp")
        person = {"UserPoolId": self._outputs["UserPool"], "Username": "ann@example.com"}
        password = secrets.token_urlsafe() + "aA1!"
        cognito.admin_create_user(**person, MessageAction="SUPPRESS")
        cognito.admin_set_user_password(**person, Password=password, Permanent=True)
        asked = {"username": person["Username"], "password": password}
        granted = _expect(self._request("POST", "/api/auth/token", body=asked), 200)
        token: str = granted["token"]
        self._say("REST: signed in, with Cognito behind it")
        return token

    def _socket(self, token: str) -> ClientConnection:
        api, stage = _api_and_stage(self._outputs["SocketUrl"])
        return connect(
            f"wss://{self._emulator.host}/_aws/execute-api/{api}/{stage}",
            subprotocols=[Subprotocol(SUBPROTOCOL), Subprotocol(token)],
            ssl=self._trust,
            open_timeout=ANSWER_S,
        )

    def _request(self, method: str, path: str, token: str = "", body: Any = None) -> tuple[int, Any]:
        api, stage = _api_and_stage(self._outputs["RestUrl"])
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(
            f"https://{self._emulator.host}/restapis/{api}/{stage}/_user_request_{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers=headers,
        )
        try:
            with urllib.request.urlopen(request, context=self._trust, timeout=ANSWER_S) as answer:  # noqa: S310
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()

    def _transfer(self, method: str, link: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(link, method=method, data=body)  # noqa: S310
        with urllib.request.urlopen(request, context=self._trust, timeout=ANSWER_S) as answer:  # noqa: S310
            found: bytes = answer.read()
        return found

    def _stack_outputs(self) -> dict[str, str]:
        stacks = self._client("cloudformation").describe_stacks()["Stacks"]
        return {
            output["OutputKey"]: output["OutputValue"]
            for stack in stacks
            for output in stack.get("Outputs", [])
        }

    def _client(self, service: str) -> Any:
        environment = self._emulator.environment
        return boto3.client(
            service,  # type: ignore[call-overload]
            region_name=REGION,
            endpoint_url=environment["AWS_ENDPOINT_URL"],
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
            verify=str(self._emulator.certificate),
        )

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._emulator.certificate)


def _noise(samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Return x and d: coloured noise, and what of it reaches the ear, with the microphone's own noise."""
    white, microphone = np.random.default_rng(7).standard_normal((2, samples))
    x = 0.1 * np.convolve(white, [1.0, 0.9, 0.6, 0.3])[:samples]
    return x, np.convolve(x, PRIMARY)[:samples] + 0.005 * microphone


def _attenuation_db(w: np.ndarray, x: np.ndarray, d: np.ndarray, when: slice) -> float:
    e = d - np.convolve(np.convolve(x, w), SECONDARY)[: len(d)]
    return float(10 * np.log10(np.mean(d[when] ** 2) / np.mean(e[when] ** 2)))


def _receive(socket: ClientConnection) -> Any:
    return json.loads(socket.recv(timeout=ANSWER_S))


def _api_and_stage(url: str) -> tuple[str, str]:
    """Return what `https://{api}.execute-api.{region}.amazonaws.com/{stage}/` names."""
    host, stage = url.rstrip("/").split("/")[2:4]
    return host.split(".")[0], stage


def _expect(answer: tuple[int, Any], status: int) -> Any:
    if answer[0] != status:
        raise AssertionError(f"REST answered {answer[0]}, not {status}: {answer[1]}")
    return answer[1]


def _same(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise AssertionError(f"{what}: {found}, expected {expected}")
