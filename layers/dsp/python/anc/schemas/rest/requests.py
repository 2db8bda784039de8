"""Request bodies of the REST API. Unknown fields and values of another type are rejected."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from anc.headset_records import HeadsetMode
from anc.lifetimes import DEFAULT_API_KEY_DAYS, MAX_API_KEY_DAYS
from anc.patterns import (
    CODE,
    COMMENT,
    DISPLAY_NAME,
    FIRMWARE_URL,
    ID,
    MODEL,
    SERIAL_PREFIX,
    SHA256,
    USER_NAME,
    VERSION,
    described,
)
from anc.records import Role
from anc.sample_rates import MAX_HEADSET_RATE, MAX_RATE, MIN_RATE
from anc.schemas.telemetry import TelemetryReport
from anc.schemas.websocket import MAX_TAPS, Algorithm, SessionMode, Start

FAMILIES = (
    "sessions",
    "audio",
    "emergency",
    "devices",
    "device-models",
    "device-tags",
    "device-removals",
    "fleet",
    "rollouts",
    "audit",
    "models",
    "stats",
)
MAX_PATH_TAPS = 1024
MAX_UPLOAD_BYTES = 12 * 1024**3
EXAMPLE_PATH = [0.0, 0.0, 0.6, 0.3, -0.1]


HeadsetRate = Annotated[int, Field(ge=MIN_RATE, le=MAX_HEADSET_RATE)]
Intensity = Annotated[float, Field(ge=0, le=1, description="Share of the anti-noise that is played.")]
Secondary = Annotated[
    list[Annotated[float, Field(ge=-1000, le=1000)]],
    Field(
        min_length=1,
        max_length=MAX_PATH_TAPS,
        description="Secondary path S, from driver to error microphone, as an impulse response, tap 0 first."
        " At least one tap must not be zero.",
        json_schema_extra={"contains": {"not": {"exclusiveMinimum": -1e-6, "exclusiveMaximum": 1e-6}}},
        examples=[EXAMPLE_PATH],
    ),
]
Scope = Annotated[
    str,
    Field(
        pattern=described(
            f"^({'|'.join(FAMILIES)})(:read)?$",
            f"one of {', '.join(FAMILIES)}; append :read for read-only access",
        )
    ),
]


class Body(BaseModel):
    """Base class of the request bodies."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


def shown(**body: Any) -> JsonDict:
    """Return the JSON schema extension with an example body, which the tests send."""
    return {"examples": [body]}


class SignIn(Body, json_schema_extra=shown(username="ada", password="correct horse battery staple")):
    """A user name and password, and for users with a second factor the code of their authenticator app."""

    username: Annotated[str, Field(pattern=USER_NAME)]
    password: Annotated[str, Field(min_length=1, max_length=256)]
    code: Annotated[str | None, Field(pattern=CODE)] = None


class Password(Body, json_schema_extra=shown(password="correct horse battery staple")):
    """The caller's password."""

    password: Annotated[str, Field(min_length=1, max_length=256)]


class Confirmation(Password, json_schema_extra=shown(password="correct horse battery staple", code="123456")):
    """The caller's password, and a code of the new second factor."""

    code: Annotated[str, Field(pattern=CODE)]


class NewUser(
    Body,
    json_schema_extra=shown(username="ada", password="correct horse battery staple", role="listener"),
):
    """A user to create."""

    username: Annotated[str, Field(pattern=USER_NAME)]
    password: Annotated[str, Field(min_length=12, max_length=128)]
    role: Role = "listener"


class NewRole(Body, json_schema_extra=shown(role="operator")):
    """The new role of a user."""

    role: Role


class NewKey(Body, json_schema_extra=shown(name="night run", scopes=["audio", "devices:read"], days=7)):
    """An API key to create. It has at most the rights of its owner."""

    name: Annotated[str, Field(min_length=1, max_length=64, description="Purpose of the key.")]
    role: Role = "listener"
    scopes: Annotated[
        list[Scope],
        Field(
            max_length=20,
            description="Families of endpoints that the key may call, such as `audio`, or `devices:read` for"
            " read-only access. Default: all that its role permits.",
        ),
    ] = []
    days: Annotated[float, Field(ge=0.01, le=MAX_API_KEY_DAYS, description="Days until the key expires.")] = (
        DEFAULT_API_KEY_DAYS
    )


class NewSession(Body):
    """A live session to open. Omitted fields get the platform's defaults."""

    model_config = ConfigDict(
        json_schema_extra={
            **shown(mode="cancel", rate=16_000, taps=512, mu=0.5),
            "if": {"properties": {"mode": {"const": "predict"}}, "required": ["mode"]},
            "then": {"properties": {"channels": {"enum": [1, None]}}},
            "else": {
                "if": {"properties": {"mode": {"const": "bypass"}}, "required": ["mode"]},
                "else": {"properties": {"channels": {"enum": [2, None]}}},
            },
        }
    )

    mode: SessionMode = "cancel"
    algorithm: Algorithm = "nlms"
    rate: Annotated[int, Field(ge=MIN_RATE, le=MAX_RATE, description="Sample rate in Hz.")] | None = None
    channels: Annotated[int, Field(ge=1, le=2)] | None = None
    taps: Annotated[int, Field(ge=1, le=MAX_TAPS)] | None = None
    mu: Annotated[float, Field(gt=0, lt=2, description="Step size of the adaptive filter.")] = 0.5
    horizon: (
        Annotated[int, Field(ge=1, le=4096, description="Prediction horizon in samples, for `predict`.")]
        | None
    ) = None

    def start(self) -> Start:
        """Return the equivalent WebSocket message."""
        return Start(**self.model_dump())


class SessionChange(Body, json_schema_extra=shown(enabled=True, intensity=0.8)):
    """Changes to a live session. Omitted fields keep their values."""

    enabled: bool | None = None
    intensity: Intensity | None = None
    algorithm: Algorithm | None = Field(None, description="Changing the algorithm resets the filter.")


class ProcessingOptions(Body):
    """How to process a recording. The default mode depends on the number of channels."""

    mode: Literal["cancel", "predict", "classify"] | None = None
    algorithm: Literal["fdaf", "nlms"] = "fdaf"
    taps: Annotated[int, Field(ge=1, le=MAX_TAPS)] = 512
    mu: Annotated[float, Field(gt=0, lt=2, description="Step size of the adaptive filter.")] | None = None
    horizon: Annotated[
        int, Field(ge=1, le=4096, description="Prediction horizon in samples, for `predict`.")
    ] = 1


class NewUpload(
    Body, json_schema_extra=shown(size=11_520_044, name="flight.wav", options={"mode": "cancel"})
):
    """A recording to upload."""

    size: Annotated[int, Field(ge=1, le=MAX_UPLOAD_BYTES, description="Exact size in bytes.")]
    name: Annotated[str, Field(min_length=1, max_length=200)] = "recording"
    options: ProcessingOptions = ProcessingOptions()


class NewDevice(Body, json_schema_extra=shown(thing="left-1", secondary=EXAMPLE_PATH, rate=16_000, taps=512)):
    """A headset to register. Omitted fields are taken from its model."""

    thing: Annotated[str, Field(pattern=ID)]
    secondary: Secondary | None = None
    model: Annotated[str, Field(min_length=1, max_length=64, pattern=MODEL)] = "generic"
    rate: Annotated[HeadsetRate, Field(description="Sample rate of the control filter in Hz.")] | None = None
    taps: Annotated[int, Field(ge=16, le=1024, description="Length of the control filter.")] | None = None


class DeviceChange(Body, json_schema_extra=shown(name="Ada, left ear")):
    """A change of a headset's registration."""

    name: Annotated[
        str,
        Field(
            pattern=DISPLAY_NAME,
            max_length=64,
            description="Display name; an empty one removes it. The name of the thing stays.",
        ),
    ]


class EmergencyChange(Body, json_schema_extra=shown(acknowledged=True, comment="Fire drill, hall 3.")):
    """Changes to an emergency. Omitted fields keep their values."""

    acknowledged: bool | None = None
    comment: (
        Annotated[
            str,
            Field(
                pattern=COMMENT,
                max_length=500,
                description="One line or several, stripped of spaces around it; an empty one removes it.",
            ),
        ]
        | None
    ) = None


class NewDeviceModel(
    Body, json_schema_extra=shown(secondary=EXAMPLE_PATH, rate=16_000, taps=512, max_gain_db=40.0)
):
    """A headset model, as its manufacturer describes it."""

    secondary: Secondary
    rate: Annotated[
        int, Field(ge=MIN_RATE, le=MAX_HEADSET_RATE, description="Sample rate of the control filters in Hz.")
    ] = 16_000
    taps: Annotated[int, Field(ge=16, le=1024, description="Length of the control filters.")] = 512
    max_gain_db: Annotated[
        float, Field(ge=0, le=60, description="Highest gain that a control filter may have, in dB.")
    ] = 40.0
    lower_limit_hz: Annotated[
        float,
        Field(
            ge=10,
            le=500,
            description="Lowest frequency at which the driver works, in Hz.",
        ),
    ] = 20.0
    serial_prefix: Annotated[
        str,
        Field(
            pattern=SERIAL_PREFIX,
            max_length=32,
            description="Prefix of the model's serial numbers; listeners cannot register such names.",
        ),
    ] = ""


class NewSerials(Body, json_schema_extra=shown(serials=["QO-000117", "QO-000118"])):
    """Serial numbers of headsets that will claim their certificates."""

    serials: Annotated[list[Annotated[str, Field(pattern=ID)]], Field(min_length=1, max_length=50)]


class HeadsetConfig(Body):
    """Configuration of a headset. Omitted fields keep their values."""

    snapshot_interval_s: (
        Annotated[float, Field(ge=5, le=3600, description="Seconds between snapshots of an unchanged noise.")]
        | None
    ) = None
    telemetry_interval_s: (
        Annotated[float, Field(ge=60, le=86400, description="Seconds between telemetry reports.")] | None
    ) = None
    private: Annotated[bool | None, Field(description="Send statistics instead of sound.")] = None


class NewFirmware(Body):
    """Firmware for a headset to download, verify and keep for its boot loader."""

    version: Annotated[str, Field(pattern=VERSION)]
    url: Annotated[str, Field(pattern=FIRMWARE_URL, max_length=1024, description="HTTPS URL of the image.")]
    sha256: Annotated[str, Field(pattern=SHA256)]
    size: Annotated[int, Field(ge=1, le=16777216, description="Exact size in bytes.")]


class ShadowChange(Body, json_schema_extra=shown(mode="cancel", intensity=0.8)):
    """Desired state of a headset. Omitted fields keep their values."""

    mode: HeadsetMode | None = None
    intensity: Intensity | None = None
    config: HeadsetConfig | None = None
    firmware: Annotated[NewFirmware | None, Field(description="Requires the role `operator`.")] = None

    def desired(self) -> dict[str, Any]:
        """Return the desired state without the omitted fields."""
        return self.model_dump(exclude_none=True)


class NewPath(Body, json_schema_extra=shown(secondary=EXAMPLE_PATH, rate=16_000)):
    """A measured secondary path, at the sample rate of the headset."""

    secondary: Secondary
    rate: (
        Annotated[HeadsetRate, Field(description="Sample rate in Hz; must be that of the headset.")] | None
    ) = None


class NewTelemetryReport(
    Body,
    json_schema_extra=shown(
        battery=0.8, level_dbfs=-31.5, attenuation_db=17.2, mode="cancel", firmware="1.4.2"
    ),
):
    """A telemetry report of a headset, as over MQTT."""

    battery: Annotated[float, Field(ge=0, le=1)] | None = None
    level_dbfs: Annotated[float, Field(ge=-200, le=20)] | None = None
    attenuation_db: Annotated[float, Field(ge=-100, le=100)] | None = None
    mode: HeadsetMode | None = None
    firmware: Annotated[str, Field(max_length=64)] | None = None
    filters: (
        Annotated[int, Field(ge=0, lt=2**32, description="Control filters played since power-on.")] | None
    ) = None
    reverted: (
        Annotated[
            int, Field(ge=0, lt=2**32, description="Filters reverted because they made the noise louder.")
        ]
        | None
    ) = None
    refused: (
        Annotated[str, Field(max_length=200, description="What the headset rejected last, and why.")] | None
    ) = None
    age_s: Annotated[float, Field(ge=0, le=2592000, description="Age of the report in seconds.")] = 0.0

    def report(self) -> TelemetryReport:
        """Return the equivalent MQTT message."""
        return TelemetryReport(**self.model_dump())
