"""The settings of the platform: type, limits, default and meaning of each.

`docs/settings.md`, `.env.example` and `anc config show` are made from these classes.
"""

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple, Self

import msgspec
from msgspec import Meta, inspect

from anc.patterns import ONE_LINE, described, description
from anc.sample_rates import MAX_RATE, MIN_RATE
from anc.validation_messages import msgspec_sentence

Probability = Annotated[float, Meta(ge=0.0, le=1.0)]
Threshold = Annotated[float, Meta(gt=0.0, lt=1.0)]  # 0 would detect everything, 1 nothing

Count = Annotated[int, Meta(ge=1, le=1000)]
EndpointName = Annotated[
    str,
    Meta(
        pattern=described(
            "^([a-zA-Z0-9](-*[a-zA-Z0-9]){0,62})?$", "1 to 63 letters, digits or hyphens, not at the ends"
        )
        + ONE_LINE
    ),
]
Url = Annotated[
    str,
    Meta(
        pattern=described(
            r"^(https?://[^/?#@\\\s]+([/?]\S*)?)?$", "an http or https URL without user name and password"
        )
        + ONE_LINE
    ),
]


Region = Annotated[
    str,
    Meta(pattern=described("^([a-z]{2,4}(-[a-z]{1,12}){1,3}-[0-9]{1,2})?$", "a region of AWS") + ONE_LINE),
]
SECRET = {"secret": True}
MASK = "********"


class BadSetting(ValueError):
    """A setting has an invalid value. The message names it."""


class Setting(NamedTuple):
    """The description of one setting.

    Attributes
    ----------
    name : str
        Name of the environment variable.
    meaning : str
        One or more sentences, in Markdown.
    allowed : str
        The values that are allowed, such as "16 to 4096".
    default : str
        As in the environment variable.
    secret : bool
        Whether the value must not be shown.
    """

    name: str
    meaning: str
    allowed: str
    default: str
    secret: bool


class EnvironmentSettings(msgspec.Struct, frozen=True, rename="upper"):
    """Base class of settings that are read from environment variables of the same names in capitals."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Return the settings from environment variables; absent or empty ones have their defaults.

        Raises
        ------
        BadSetting
            Names the variable, its value unless it is secret, and what is allowed.
        """
        described_settings = {setting.name: setting for setting in cls.described()}
        given = {name: environ[name] for name in described_settings if environ.get(name)}
        for name, text in given.items():
            try:
                msgspec.convert({name: text}, cls, strict=False)
            except msgspec.ValidationError as fault:
                rule = msgspec_sentence(str(fault), cls).partition(": ")[2].partition(" (got")[0]
                shown = MASK if described_settings[name].secret else text
                raise BadSetting(f"{name}={shown}: {rule}") from fault
        return msgspec.convert(given, cls, strict=False)

    @classmethod
    def described(cls) -> list[Setting]:
        """Return the description of every setting, in the order of the fields."""
        kind = inspect.type_info(cls)
        assert isinstance(kind, inspect.StructType)
        return [_description(field) for field in kind.fields]


class Settings(EnvironmentSettings, frozen=True, rename="upper"):
    """Settings that the functions read, on AWS and on one machine. Each field has its meaning beside it."""

    anc_filter_taps: Annotated[
        int,
        Meta(ge=16, le=4096, description="Default number of filter taps of a live session."),
    ] = 512
    anc_sample_rate: Annotated[
        int,
        Meta(ge=MIN_RATE, le=MAX_RATE, description="Default sample rate of a live session in Hz."),
    ] = 48_000
    anc_block_size: Annotated[
        int,
        Meta(
            ge=1, le=6_000, description="Samples per channel in a block that the platform's own clients send."
        ),
    ] = 1024
    anc_session_hours: Annotated[
        float,
        Meta(gt=0, le=48, description="Hours until a live session expires after its last block."),
    ] = 3.0
    ml_model_path: Annotated[
        str,
        Meta(description="Classifier to load, an `.npz` file of the training. Empty for the built-in one."),
    ] = ""
    ml_confidence_threshold: Annotated[
        Probability,
        Meta(
            description=(
                "Snapshots whose noise class has a lower confidence are reclassified by the larger model "
                "of the endpoint, which does not delay the filter. Snapshots with a possible alarm are "
                "sent to it too. Has no effect without an endpoint."
            )
        ),
    ] = 0.7
    ml_endpoint_name: Annotated[
        EndpointName,
        Meta(description="On AWS: SageMaker endpoint with the classifier of `sagemaker/`. Empty for none."),
    ] = ""
    ml_endpoint_url: Annotated[
        Url,
        Meta(
            description=(
                "On one machine: URL of such an endpoint, for example of `sagemaker/serve.py`. Empty for "
                "none."
            )
        ),
    ] = ""
    ml_endpoint_timeout_s: Annotated[
        float,
        Meta(
            gt=0,
            le=10,
            description=(
                "Timeout of the endpoint in seconds. After it the result of the built-in classifier is used."
            ),
        ),
    ] = 2.0
    emergency_detection_enabled: Annotated[
        bool,
        Meta(description="Whether sirens, horns and alarms switch headsets to transparency mode."),
    ] = True
    emergency_confidence_threshold: Annotated[
        Threshold,
        Meta(description="Score from which a live block or snapshot counts as an emergency."),
    ] = 0.85
    emergency_hold_s: Annotated[
        float,
        Meta(ge=0, le=600, description="Seconds of transparency after the last detection."),
    ] = 10.0
    aws_region: Annotated[Region, Meta(description="Region of the AWS clients.")] = "eu-central-1"
    rate_limit_scale: Annotated[
        float,
        Meta(
            gt=0,
            le=1e6,
            description=(
                "Factor for the rate limits of REST endpoints and for the two budgets for sound. 0.5 "
                "halves them."
            ),
        ),
    ] = 1.0
    sound_seconds_per_minute: Annotated[
        float,
        Meta(
            ge=1,
            le=1e6,
            description=(
                "CPU seconds of sound processing per caller and minute, in requests. They are predicted "
                "from format, size, length, rate, channels and filter."
            ),
        ),
    ] = 30.0
    sound_bytes_per_minute: Annotated[
        int,
        Meta(ge=1_000_000, le=10**12, description="Bytes of sound per caller and minute, in requests."),
    ] = 120_000_000
    headset_messages_per_s: Annotated[
        float,
        Meta(
            ge=1,
            le=100,
            description=(
                "On one machine: messages that a headset may publish per second, with bursts of ten times "
                "as many. A headset that publishes more is delayed, then disconnected. AWS IoT Core "
                "accepts 100 per second and connection."
            ),
        ),
    ] = 10.0
    headset_bytes_per_s: Annotated[
        int,
        Meta(
            ge=131_072,
            le=10**9,
            description="The same for bytes. AWS IoT Core accepts 512 KB per second and connection.",
        ),
    ] = 524_288
    headset_snapshots_per_minute: Annotated[
        int,
        Meta(
            ge=1,
            le=6000,
            description="Snapshots of one headset that are processed per minute. The rest is dropped.",
        ),
    ] = 60
    headset_reports_per_minute: Annotated[
        int,
        Meta(ge=1, le=6000, description="The same for the other messages of a headset."),
    ] = 120
    quota_sessions: Annotated[Count, Meta(description="Maximum live sessions per user.")] = 100
    quota_sockets: Annotated[Count, Meta(description="Maximum open WebSockets per user.")] = 100
    quota_api_keys: Annotated[Count, Meta(description="Maximum API keys per user.")] = 20
    quota_devices: Annotated[
        Count,
        Meta(description="Maximum headsets per listener. Operators, who register lots, have no limit."),
    ] = 100
    quota_recordings: Annotated[Count, Meta(description="Maximum stored recordings per user.")] = 100
    quota_unfinished_recordings: Annotated[
        Count,
        Meta(description="Maximum recordings per user that are not processed yet."),
    ] = 20
    quota_recording_bytes: Annotated[
        int,
        Meta(
            ge=1,
            le=10**15,
            description="Maximum bytes per user of announced and waiting uploads, and of results.",
        ),
    ] = 24 * 1024**3
    trusted_proxies: Annotated[
        str,
        Meta(
            description=(
                "On one machine: addresses or networks of reverse proxies, separated by commas, for "
                "example `127.0.0.1,10.0.0.0/8`. `X-Forwarded-For` is accepted only from them. Empty for "
                "none: the connecting address is the client. List only networks from which nothing but "
                "your proxies can connect."
            )
        ),
    ] = ""
    origin_secret: Annotated[
        str,
        Meta(
            description=(
                "On AWS: what CloudFront adds to a request as proof that it added the viewer's address. "
                "The stacks set it. Empty for none."
            ),
            extra=SECRET,
        ),
    ] = ""
    token_issuer: Annotated[str, Meta(description="Required `iss` of bearer tokens.")] = "anc-local"
    token_audience: Annotated[str, Meta(description="Required `aud` of bearer tokens.")] = "anc"
    token_jwks_url: Annotated[
        Url,
        Meta(
            description="URL of the issuer's public keys. Empty on one machine: the platform is the issuer."
        ),
    ] = ""


def _description(field: inspect.Field) -> Setting:
    kind, about, secret = field.type, "", False
    while isinstance(kind, inspect.Metadata):
        about = (kind.extra_json_schema or {}).get("description", about)
        secret = secret or bool((kind.extra or {}).get("secret"))
        kind = kind.type
    default = str(field.default)
    if isinstance(field.default, bool):
        default = default.lower()
    return Setting(field.encode_name, about, _allowed(kind), default, secret)


def _allowed(kind: Any) -> str:
    if isinstance(kind, inspect.BoolType):
        return "true or false"
    if isinstance(kind, inspect.StrType):
        return description(kind.pattern) if kind.pattern else ""
    if kind.ge is not None and kind.le is not None:
        return f"{_number(kind.ge)} to {_number(kind.le)}"
    low = f"at least {_number(kind.ge)}" if kind.gt is None else f"above {_number(kind.gt)}"
    return f"{low}, at most {_number(kind.le)}" if kind.lt is None else f"{low}, below {_number(kind.lt)}"


def _number(value: float) -> str:
    return f"{value:,}".removesuffix(".0")
