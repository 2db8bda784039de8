"""Run the headset agent and the headset in C over the emulator's MQTT with mutual TLS, in a noise."""

import json
import secrets
import shutil
import ssl
import subprocess
import sys
import urllib.request
from array import array
from pathlib import Path
from typing import Any

from infra.emulated.deployment import Deployment, client
from infra.emulated.emulator import MQTT, wait_for

ROOT = Path(__file__).parents[2]
KIT = ROOT / "iot" / "c"
VECTORS = ROOT / "docs" / "vectors" / "1"
ANC = Path(sys.executable).with_name("anc")
SECONDS = (10, 30, 90)  # of the runs in turn: on a busy machine, functions take long to start
TIMEOUT_S = 300
MIN_ATTENUATION_DB = 3.0  # without a filter it is 0


def run(deployed: Deployment, folder: Path) -> dict[str, Any]:
    """Register a headset, measure its path, run it in a noise in real time, and remove it.

    Returns
    -------
    dict
        The output of `anc headset --json`, and the `seconds` that it ran.

    Raises
    ------
    AssertionError
        The headset received no filter, or the attenuation is too low.
    """
    thing = f"agent-{secrets.token_hex(4)}"
    token = _user_token(deployed)
    secondary = [0.0, 0.0, 0.6, 0.3, -0.1]
    file = _register(deployed, folder, token, thing=thing, secondary=secondary)
    _run(deployed, file, thing, "--measure", "probe", "--seconds", "5")
    path = f"/api/devices/{thing}/paths"
    wait_for(
        lambda: _request(deployed, "GET", path, token)["secondary"] != secondary,
        TIMEOUT_S,
        "the measured path",
    )
    for seconds in SECONDS:
        result = _run(deployed, file, thing, "--seconds", str(seconds))
        if result["filters"] and (result["attenuation_db"] or 0.0) >= MIN_ATTENUATION_DB:
            _request(deployed, "DELETE", f"/api/devices/{thing}", token)
            return result | {"seconds": seconds}
    raise AssertionError(f"the attenuation is too low: {result}")


def run_in_c(deployed: Deployment, folder: Path) -> dict[int, float] | None:
    """Build the headset in C, and run it with each kind of snapshot.

    Returns
    -------
    dict of int to float or None
        Attenuation in dB by kind of snapshot; None if this machine has no compiler.

    Raises
    ------
    AssertionError
        The headset received no filter.
    """
    if not (shutil.which("cc") and shutil.which("make")):
        return None
    build = folder / "kit"
    _check(["make", "-s", "-C", str(KIT), "all", f"BUILD={build}"], folder)
    token = _user_token(deployed)
    secondary = array("f", (VECTORS / "secondary.f32").read_bytes()).tolist()
    attenuation = {}
    for kind in (1, 2):
        thing = f"kit-{secrets.token_hex(4)}"
        file = _register(deployed, folder, token, thing=thing, secondary=secondary, taps=64)
        device = f"/api/devices/{thing}"
        _request(deployed, "PATCH", f"{device}/shadow", token, config={"private": kind == 2})
        inputs = [str(VECTORS / name) for name in ("signal.s16", "secondary.f32")]
        state = folder / thing
        state.mkdir(mode=0o700)
        printed = _check([str(build / "headset"), str(file), str(state), *inputs], folder)
        events = [json.loads(line) for line in printed.splitlines()]
        kinds = {each["kind"] for each in events if each["event"] == "snapshot"}
        if kinds != {kind}:
            raise AssertionError(f"the headset in C sent snapshots of kind {kinds}, not {kind}")
        attenuation[kind] = events[-1]["attenuation_db"]
        _request(deployed, "DELETE", device, token)
    return attenuation


def _register(deployed: Deployment, folder: Path, token: str, **body: Any) -> Path:
    """Register a headset and return the file with its credentials for the emulator."""
    registration = _request(deployed, "POST", "/api/devices", token, rate=16_000, **body)
    host, _, port = MQTT.partition(":")
    # The emulator has its own certificate authority.
    registration["credentials"] |= {"ca": _authority(deployed), "endpoint": host, "port": int(port)}
    file = folder / "headset.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps(registration))
    return file


def _check(command: list[str], folder: Path) -> str:
    """Run a command and return its output. Raises AssertionError if it fails."""
    done = subprocess.run(  # noqa: S603
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=TIMEOUT_S
    )
    if done.returncode:
        raise AssertionError(f"{command[0]} exited with code {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def register(deployed: Deployment, thing: str) -> None:
    """Register a headset and leave it registered."""
    token = _user_token(deployed)
    _request(deployed, "POST", "/api/devices", token, thing=thing, rate=16_000, secondary=[0.0, 0.6])


def _run(deployed: Deployment, file: Path, thing: str, *options: str) -> dict[str, Any]:
    command = [str(ANC), "headset", "--credentials", str(file), "--endpoint", MQTT, "--thing", thing]
    command += ["--noise", "engine", "--json", *options]
    done = subprocess.run(  # noqa: S603
        command,
        cwd=file.parent,
        env=deployed.emulator.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise AssertionError(
            f"the headset agent exited with code {done.returncode}: {done.stdout}{done.stderr}"
        )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _user_token(deployed: Deployment) -> str:
    """Create a user, sign in, and return the token."""
    cognito = client(deployed.emulator, "cognito-idp")
    name, password = f"user-{secrets.token_hex(4)}@example.com", secrets.token_urlsafe() + "aA1!"
    cognito.admin_create_user(UserPoolId=deployed.pool, Username=name, MessageAction="SUPPRESS")
    cognito.admin_set_user_password(
        UserPoolId=deployed.pool, Username=name, Password=password, Permanent=True
    )
    cognito.admin_add_user_to_group(UserPoolId=deployed.pool, Username=name, GroupName="listener")
    signed_in = _request(deployed, "POST", "/api/auth/token", username=name, password=password)
    return str(signed_in["token"])


def _authority(deployed: Deployment) -> str:
    answer = _open(
        deployed, urllib.request.Request(f"https://{deployed.emulator.host}/_ministack/iot/ca.pem")
    )
    return answer.decode()


def _request(deployed: Deployment, method: str, path: str, token: str = "", **body: Any) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(f"{deployed.rest}{path}", data, headers, method=method)  # noqa: S310
    answer: dict[str, Any] = json.loads(_open(deployed, request) or b"{}")
    return answer


def _open(deployed: Deployment, request: urllib.request.Request) -> bytes:
    trust = ssl.create_default_context(cafile=str(deployed.emulator.certificate))
    with urllib.request.urlopen(request, context=trust, timeout=TIMEOUT_S) as answer:  # noqa: S310
        return bytes(answer.read())
