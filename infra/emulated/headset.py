"""Run the headset agent over the emulator's MQTT with mutual TLS, in a noise."""

import json
import secrets
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from infra.emulated.deployment import Deployment, client
from infra.emulated.emulator import MQTT, wait_for

ANC = Path(sys.executable).with_name("anc")
SECONDS = 10
TIMEOUT_S = 300
MIN_ATTENUATION_DB = 3.0  # without a filter it is 0


def run(deployed: Deployment, folder: Path) -> dict[str, Any]:
    """Register a headset, measure its path, run it in a noise in real time, and remove it.

    Returns
    -------
    dict
        The output of `anc headset --json`.

    Raises
    ------
    AssertionError
        The headset received no filter, or the attenuation is too low.
    """
    thing = f"agent-{secrets.token_hex(4)}"
    token = _user_token(deployed)
    secondary = [0.0, 0.0, 0.6, 0.3, -0.1]
    registration = _request(
        deployed, "POST", "/api/devices", token, thing=thing, rate=16_000, secondary=secondary
    )
    # The emulator has its own certificate authority.
    registration["credentials"]["ca"] = _authority(deployed)
    file = folder / "headset.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps(registration))
    _run(deployed, file, thing, "--measure", "probe", "--seconds", "5")
    path = f"/api/devices/{thing}/paths"
    wait_for(
        lambda: _request(deployed, "GET", path, token)["secondary"] != secondary,
        TIMEOUT_S,
        "the measured path",
    )
    result = _run(deployed, file, thing, "--seconds", str(SECONDS))
    if not result["filters"] or (result["attenuation_db"] or 0.0) < MIN_ATTENUATION_DB:
        raise AssertionError(f"the attenuation is too low: {result}")
    _request(deployed, "DELETE", f"/api/devices/{thing}", token)
    return result


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
    name, password = "user@example.com", secrets.token_urlsafe() + "aA1!"
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
