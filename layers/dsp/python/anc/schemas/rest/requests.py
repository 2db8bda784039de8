"""Bodies that the REST API takes. Unknown fields are refused, and values that would need converting."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from anc.lifetimes import DEFAULT_API_KEY_DAYS, MAX_API_KEY_DAYS
from anc.patterns import FIRMWARE_URL, ID, SERIAL_PREFIX, SHA256, USER_NAME, VERSION, described
from anc.records import HeadsetMode, Role
from anc.sample_rates import MAX_HEADSET_RATE, MAX_RATE, MIN_RATE
from anc.schemas.telemetry import TelemetryReport
from anc.schemas.websocket import MAX_TAPS, Algorithm, SessionMode, Start

FAMILIES = ("sessions", "audio", "emergency", "devices", "device-models", "audit", "models", "stats")
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
        description="The secondary path S, driver to error microphone, as an impulse response; not silent.",
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
    """What every body has."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


def shown(**body: Any) -> JsonDict:
    """Return what describes a body by an example that runs as it stands."""
    return {"examples": [body]}


class SignIn(Body, json_schema_extra=shown(username="ada", password="correct horse battery staple")):
    """Who signs in."""

    username: Annotated[str, Field(pattern=USER_NAME)]
    password: Annotated[str, Field(min_length=1, max_length=256)]


class NewPerson(
    Body,
    json_schema_extra=shown(username="ada", password="correct horse battery staple", role="listener"),
):
    """Somebody who shall be able to sign in."""

    username: Annotated[str, Field(pattern=USER_NAME)]
    password: Annotated[str, Field(min_length=12, max_length=128)]
    role: Role = "listener"


class NewRole(Body, json_schema_extra=shown(role="operator")):
    """What somebody may do from now on."""

    role: Role


class NewKey(Body, json_schema_extra=shown(name="night run", scopes=["audio", "devices:read"], days=7)):
    """An API key for a machine; it has at most the rights of its owner."""

    name: Annotated[str, Field(min_length=1, max_length=64, description="What it is for.")]
    role: Role = "listener"
    scopes: Annotated[
        list[Scope],
        Field(
            max_length=20,
            description="What it may call below `/api`, as `audio`, or `devices:read` for looking only."
            " Left out, all that its role may.",
        ),
    ] = []
    days: Annotated[float, Field(ge=0.01, le=MAX_API_KEY_DAYS, description="Days until the key expires.")] = (
        DEFAULT_API_KEY_DAYS
    )


class NewSession(Body):
    """A live session. What is left out is the platform's choice."""

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
    rate: Annotated[int, Field(ge=MIN_RATE, le=MAX_RATE, description="Hz.")] | None = None
    channels: Annotated[int, Field(ge=1, le=2)] | None = None
    taps: Annotated[int, Field(ge=1, le=MAX_TAPS)] | None = None
    mu: Annotated[float, Field(gt=0, lt=2, description="Step size.")] = 0.5
    horizon: Annotated[int, Field(ge=1, le=4096, description="Samples ahead, for `predict`.")] | None = None

    def start(self) -> Start:
        """Return what the same request is on a WebSocket."""
        return Start(**self.model_dump())


class SessionChange(Body, json_schema_extra=shown(enabled=True, intensity=0.8)):
    """What shall be different about a live session. What is left out stays."""

    enabled: bool | None = None
    intensity: Intensity | None = None
    algorithm: Algorithm | None = Field(None, description="Another one starts from nothing.")


class ProcessingOptions(Body):
    """What shall be done with a recording; what is left out goes by its channels."""

    mode: Literal["cancel", "predict", "classify"] | None = None
    algorithm: Literal["fdaf", "nlms"] = "fdaf"
    taps: Annotated[int, Field(ge=1, le=MAX_TAPS)] = 512
    mu: Annotated[float, Field(gt=0, lt=2, description="Step size.")] | None = None
    horizon: Annotated[int, Field(ge=1, le=4096, description="Samples ahead, for `predict`.")] = 1


class NewUpload(
    Body, json_schema_extra=shown(size=11_520_044, name="flight.wav", options={"mode": "cancel"})
):
    """A recording that will be uploaded."""

    size: Annotated[int, Field(ge=1, le=MAX_UPLOAD_BYTES, description="Bytes, exactly.")]
    name: Annotated[str, Field(min_length=1, max_length=200)] = "recording"
    options: ProcessingOptions = ProcessingOptions()


class NewDevice(Body, json_schema_extra=shown(thing="left-1", secondary=EXAMPLE_PATH, rate=16_000, taps=512)):
    """A headset to be registered. What is left out is as its model was described."""

    thing: Annotated[str, Field(pattern=ID)]
    secondary: Secondary | None = None
    model: Annotated[str, Field(min_length=1, max_length=64)] = "generic"
    rate: Annotated[HeadsetRate, Field(description="Hz of its control filter.")] | None = None
    taps: Annotated[int, Field(ge=16, le=1024, description="Of its control filter.")] | None = None


class NewDeviceModel(
    Body, json_schema_extra=shown(secondary=EXAMPLE_PATH, rate=16_000, taps=512, max_gain_db=40.0)
):
    """A kind of headset, as its maker describes it."""

    secondary: Secondary
    rate: Annotated[
        int, Field(ge=MIN_RATE, le=MAX_HEADSET_RATE, description="Hz of its control filters.")
    ] = 16_000
    taps: Annotated[int, Field(ge=16, le=1024, description="Of its control filters.")] = 512
    max_gain_db: Annotated[float, Field(ge=0, le=60, description="What its driver takes.")] = 40.0
    serial_prefix: Annotated[
        str,
        Field(
            pattern=SERIAL_PREFIX,
            max_length=32,
            description="How serial numbers of the model begin: listeners cannot register such names.",
        ),
    ] = ""


class NewSerials(Body, json_schema_extra=shown(serials=["QO-000117", "QO-000118"])):
    """Serial numbers of headsets that will come for their certificate themselves."""

    serials: Annotated[list[Annotated[str, Field(pattern=ID)]], Field(min_length=1, max_length=50)]


class HeadsetConfig(Body):
    """How a headset is to go about it. What is left out stays."""

    snapshot_interval_s: (
        Annotated[float, Field(ge=5, le=3600, description="Between snapshots of an unchanging noise.")] | None
    ) = None
    telemetry_interval_s: (
        Annotated[float, Field(ge=60, le=86400, description="Between lines of telemetry.")] | None
    ) = None
    private: Annotated[bool | None, Field(description="Send statistics in place of sound.")] = None


class NewFirmware(Body):
    """A firmware that a headset shall fetch, check and keep for its loader."""

    version: Annotated[str, Field(pattern=VERSION)]
    url: Annotated[str, Field(pattern=FIRMWARE_URL, max_length=1024, description="HTTPS.")]
    sha256: Annotated[str, Field(pattern=SHA256)]
    size: Annotated[int, Field(ge=1, le=16777216, description="Bytes, exactly.")]


class ShadowChange(Body, json_schema_extra=shown(mode="cancel", intensity=0.8)):
    """What is wanted of a headset. What is left out stays."""

    mode: HeadsetMode | None = None
    intensity: Intensity | None = None
    config: HeadsetConfig | None = None
    firmware: Annotated[NewFirmware | None, Field(description="For operators.")] = None

    def wish(self) -> dict[str, Any]:
        """Return what is wanted, with nothing that was left out."""
        return self.model_dump(exclude_none=True)


class NewPath(Body, json_schema_extra=shown(secondary=EXAMPLE_PATH, rate=16_000)):
    """A secondary path that was measured, at the device's rate."""

    secondary: Secondary
    rate: Annotated[HeadsetRate, Field(description="Hz; to make sure.")] | None = None


class NewTelemetryReport(
    Body,
    json_schema_extra=shown(
        battery=0.8, level_dbfs=-31.5, attenuation_db=17.2, mode="cancel", firmware="1.4.2"
    ),
):
    """What a headset says of itself; the same as over MQTT."""

    battery: Annotated[float, Field(ge=0, le=1)] | None = None
    level_dbfs: Annotated[float, Field(ge=-200, le=20)] | None = None
    attenuation_db: Annotated[float, Field(ge=-100, le=100)] | None = None
    mode: HeadsetMode | None = None
    firmware: Annotated[str, Field(max_length=64)] | None = None
    filters: Annotated[int, Field(ge=0, lt=2**32, description="Played since it is on.")] | None = None
    reverted: Annotated[int, Field(ge=0, lt=2**32, description="Of these given up.")] | None = None
    refused: Annotated[str, Field(max_length=200, description="What it could not take.")] | None = None
    age_s: Annotated[float, Field(ge=0, le=2592000, description="How long ago this was so.")] = 0.0

    def report(self) -> TelemetryReport:
        """Return what the same report is over MQTT."""
        return TelemetryReport(**self.model_dump())
