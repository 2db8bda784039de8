"""The settings of a platform on one machine, where their values come from, and secrets in files.

The settings are those of `anc.settings.Settings` and of `LaunchSettings`. Their values come from, first match
first: an option of the command, an environment variable, `.env` in the working directory, and for secrets a
file that NAME_FILE names or a systemd credential of the same name.
"""

import difflib
import os
from collections.abc import Collection, Mapping, MutableMapping
from pathlib import Path
from typing import Annotated, NamedTuple

from msgspec import Meta

from anc.patterns import ONE_LINE, described
from anc.settings import (
    MASK,
    SECRET,
    BadSetting,
    EnvironmentSettings,
    Probability,
    Setting,
    Settings,
    Url,
)
from local.data_folder import default_folder

PREFIX = "ANC_"
FILE_SUFFIX = "_FILE"
CREDENTIALS = "CREDENTIALS_DIRECTORY"  # set by systemd for LoadCredential= and SetCredential=
MAX_SECRET_BYTES = 65_536
MIN_SIMILARITY = 0.7


class LaunchSettings(EnvironmentSettings, frozen=True, rename="upper"):
    """Settings of the commands: where a platform runs, and how. Most are also options."""

    anc_data: Annotated[
        str,
        Meta(
            description="Data folder of the platform. Empty for one per user, which `anc up` prints;"
            " on Linux `~/.local/share/anc-platform`."
        ),
    ] = ""
    anc_port: Annotated[
        int, Meta(ge=1, le=65_534, description="Port of REST and WebSocket. MQTT uses the next port.")
    ] = 8080
    anc_host: Annotated[
        str, Meta(description="Address to listen on. `0.0.0.0` or `::` for all of this machine.")
    ] = "127.0.0.1"
    anc_name: Annotated[
        str,
        Meta(
            description="Host names and addresses under which headsets and clients reach this machine,"
            " separated by spaces. Credentials of headsets contain the first one."
        ),
    ] = ""
    anc_tls: Annotated[
        bool, Meta(description="Whether REST and WebSocket use TLS, with the platform's own authority.")
    ] = False
    anc_tls_certificate: Annotated[
        str, Meta(description="Certificate chain for TLS, a PEM file. Requires `ANC_TLS_KEY`.")
    ] = ""
    anc_tls_key: Annotated[str, Meta(description="Private key of `ANC_TLS_CERTIFICATE`, a PEM file.")] = ""
    anc_token: Annotated[
        str, Meta(description="Bearer token of commands that call a platform with `--url`.", extra=SECRET)
    ] = ""
    powertools_log_level: Annotated[
        str,
        Meta(
            pattern=described(
                "^(?i:debug|info|warning|error|critical)?$", "DEBUG, INFO, WARNING, ERROR or CRITICAL"
            )
            + ONE_LINE,
            description="Log level. No level logs payloads. Set it in the environment: it is read before"
            " `.env`.",
        ),
    ] = "WARNING"
    otel_exporter_otlp_endpoint: Annotated[
        Url,
        Meta(
            description="URL of an OpenTelemetry collector that takes traces by OTLP over HTTP, such as"
            " `http://127.0.0.1:4318`; `/v1/traces` is appended. Empty for no traces. Requires the extra"
            " `traces`."
        ),
    ] = ""
    otel_exporter_otlp_headers: Annotated[
        str,
        Meta(
            description="Headers of requests to the collector, such as `authorization=Bearer%20TOKEN`,"
            " separated by commas.",
            extra=SECRET,
        ),
    ] = ""
    anc_traced_fraction: Annotated[
        Probability,
        Meta(description="Fraction of live blocks and REST requests that are traced."),
    ] = 0.01
    anc_traced_snapshots: Annotated[
        Probability,
        Meta(description="Fraction of snapshots that are traced, from the queue to the shadow."),
    ] = 0.25
    openblas_num_threads: Annotated[
        int,
        Meta(
            ge=1,
            le=256,
            description="Threads of numpy's linear algebra in each process. With more than one, live blocks"
            " may be delayed by seconds when the machine is busy. Set it in the environment: it is read"
            " before `.env`.",
        ),
    ] = 1


DEFAULTS = LaunchSettings()
SETTINGS = [*LaunchSettings.described(), *Settings.described()]
NAMES = [setting.name for setting in SETTINGS]
SECRETS = [setting.name for setting in SETTINGS if setting.secret]
BEFORE_DOTENV = ("POWERTOOLS_LOG_LEVEL", "OPENBLAS_NUM_THREADS")
OPTIONS = {
    "ANC_DATA": "--data",
    "ANC_PORT": "--port",
    "ANC_HOST": "--host",
    "ANC_NAME": "--name",
    "ANC_TLS": "--tls",
    "ANC_TLS_CERTIFICATE": "--tls-certificate",
    "ANC_TLS_KEY": "--tls-key",
    "ANC_TOKEN": "--token",
}
LISTENING = ("ANC_HOST", "ANC_NAME", "ANC_TLS", "ANC_TLS_CERTIFICATE", "ANC_TLS_KEY")
GROUPS = {  # by the first setting of each
    "ANC_DATA": "The platform on one machine",
    "ANC_FILTER_TAPS": "Live sessions",
    "ML_MODEL_PATH": "Classifier",
    "EMERGENCY_DETECTION_ENABLED": "Emergencies",
    "AWS_REGION": "AWS",
    "RATE_LIMIT_SCALE": "Limits per caller",
    "HEADSET_MESSAGES_PER_S": "Limits per headset",
    "QUOTA_SESSIONS": "Quotas per user",
    "TRUSTED_PROXIES": "Proxies and tokens",
}


class Configured(NamedTuple):
    """A setting with its value, masked if secret; where the value comes from; and what is wrong with it."""

    setting: Setting
    value: str
    source: str
    fault: str = ""


def load_secrets(environ: MutableMapping[str, str]) -> None:
    """Set the variables of secrets whose values are in files.

    The file is named by NAME_FILE, or it is the systemd credential NAME. A line break at its end is removed.

    Raises
    ------
    BadSetting
        When the file cannot be used, or the variable has another value already.
    """
    for name in SECRETS:
        if path := environ.get(name + FILE_SUFFIX):
            secret = _read_secret(f"{name}{FILE_SUFFIX}={path}", Path(path))
            if environ.get(name, "") not in ("", secret):
                raise BadSetting(f"{name} and {name}{FILE_SUFFIX}: must not both be set; remove one of them")
            environ[name] = secret
        elif (credential := _credential(name, environ)) and not environ.get(name):
            environ[name] = _read_secret(f"{name}: credential {credential}", credential)


def unknown_names(environ: Mapping[str, str]) -> list[str]:
    """Return a warning for each variable that begins with ANC_ and is not a setting."""
    known = {*NAMES, *(name + FILE_SUFFIX for name in SECRETS)}
    warnings = []
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            similar = difflib.get_close_matches(name, known, 1, MIN_SIMILARITY)
            hint = f"; did you mean {similar[0]}?" if similar else ""
            warnings.append(f"{name}: unknown setting, ignored{hint}")
    return warnings


def configured(environ: Mapping[str, str], exported: Collection[str]) -> list[Configured]:
    """Return every setting with its value.

    Parameters
    ----------
    environ : mapping
        Environment variables, with those of `.env` and of secret files.
    exported : collection of str
        Names of the variables that were set before `.env` was read.
    """
    return [_configured(setting, environ, exported) for setting in SETTINGS]


def _configured(setting: Setting, environ: Mapping[str, str], exported: Collection[str]) -> Configured:
    name, text = setting.name, environ.get(setting.name, "")
    # The package `local` sets its defaults of these in the environment.
    early = name in BEFORE_DOTENV and (name not in exported or text == setting.default)
    if not text or early:
        default = str(default_folder()) if name == "ANC_DATA" else setting.default
        return Configured(setting, default, "default")
    fault = ""
    try:
        kind = LaunchSettings if name in LaunchSettings.__struct_encode_fields__ else Settings
        kind.from_env({name: text})
    except BadSetting as invalid:
        fault = str(invalid)
    return Configured(setting, MASK if setting.secret else text, _source(name, environ, exported), fault)


def _source(name: str, environ: Mapping[str, str], exported: Collection[str]) -> str:
    if name in SECRETS and environ.get(name + FILE_SUFFIX):
        return f"file {environ[name + FILE_SUFFIX]}"
    if name in exported:
        return "environment"
    return "credential" if name in SECRETS and _credential(name, environ) else ".env"


def _credential(name: str, environ: Mapping[str, str]) -> Path | None:
    folder = environ.get(CREDENTIALS)
    path = Path(folder, name) if folder else None
    return path if path and path.exists() else None


def _read_secret(what: str, path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SECRET_BYTES + 1)
        secret = content.decode().rstrip("\r\n")
    except OSError as fault:
        raise BadSetting(f"{what}: cannot be read ({os.strerror(fault.errno or 0)})") from fault
    except UnicodeDecodeError as fault:
        raise BadSetting(f"{what}: must be a text file") from fault
    if len(content) > MAX_SECRET_BYTES:
        raise BadSetting(f"{what}: must have at most {MAX_SECRET_BYTES:,} bytes")
    if not secret or not secret.isprintable():
        raise BadSetting(f"{what}: must be one line of text")
    return secret
