"""The settings of the platform, with types and limits. `.env.example` describes them for users."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from anc.patterns import ONE_LINE, described
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


class BadSetting(ValueError):
    """A setting has an invalid value. The message names it."""


class Settings(msgspec.Struct, frozen=True, rename="upper"):
    """Settings, read from environment variables of the same names in capitals.

    Attributes
    ----------
    anc_filter_taps : int
        Default filter length of a live session.
    anc_sample_rate : int
        Default sample rate of a live session in Hz.
    anc_block_size : int
        Samples per channel in a block that the platform's own clients send.
    anc_session_hours : float
        Hours until a live session expires after its last block.
    ml_model_path : str
        Classifier to load; empty for the built-in one.
    ml_confidence_threshold : float
        Snapshots whose noise class has a lower confidence are reclassified by the larger model of the
        endpoint, which does not delay the filter. Has no effect without an endpoint.
        Snapshots with a possible alarm are sent to it too.
    ml_endpoint_name : str
        On AWS: SageMaker endpoint with the classifier of `sagemaker/`; empty for none.
    ml_endpoint_url : str
        On one machine: URL of such an endpoint, for example of `sagemaker/serve.py`; empty for none.
    ml_endpoint_timeout_s : float
        Timeout of the endpoint in seconds; after it the result of the built-in classifier is used.
    emergency_detection_enabled : bool
        Whether sirens and alarms switch headsets to transparency mode.
    emergency_confidence_threshold : float
        Score from which a live block or snapshot counts as an emergency.
    emergency_hold_s : float
        Seconds of transparency after the last detection.
    aws_region : str
        Region of the AWS clients.
    rate_limit_scale : float
        Factor for the rate limits of REST endpoints and for the two budgets for sound.
    sound_seconds_per_minute : float
        Predicted CPU seconds of sound processing per caller and minute, in requests.
    sound_bytes_per_minute : int
        Bytes of sound per caller and minute, in requests.
    quota_sessions, quota_sockets, quota_api_keys : int
        Maximum live sessions, open WebSockets and API keys per user.
    headset_messages_per_s : float
        On one machine: messages that a headset may publish per second, with bursts of ten times as many. AWS
        IoT Core accepts 100 per second and connection.
    headset_bytes_per_s : int
        The same for bytes. AWS IoT Core accepts 512 KB per second and connection.
    headset_snapshots_per_minute, headset_reports_per_minute : int
        Snapshots and other messages of one headset that are processed; the rest is dropped.
    quota_devices : int
        Maximum headsets per listener. Operators, who register production lots, have no limit.
    quota_recordings, quota_unfinished_recordings : int
        Maximum stored recordings per user, and those of them that are not processed yet.
    quota_recording_bytes : int
        Maximum bytes of uploads and results per user.
    trusted_proxies : str
        On one machine: addresses or networks, separated by commas, of reverse proxies whose
        `X-Forwarded-For` is accepted. Empty for none.
    origin_secret : str
        On AWS: what CloudFront adds to a request as proof that it added the viewer's address; empty for none.
    token_issuer, token_audience : str
        Required `iss` and `aud` of bearer tokens.
    token_jwks_url : str
        URL of the issuer's public keys; empty on one machine, where the platform issues tokens.
    """

    anc_filter_taps: Annotated[int, Meta(ge=16, le=4096)] = 512
    anc_sample_rate: Annotated[int, Meta(ge=MIN_RATE, le=MAX_RATE)] = 48_000
    anc_block_size: Annotated[int, Meta(ge=1, le=6_000)] = 1024
    anc_session_hours: Annotated[float, Meta(gt=0, le=48)] = 3.0
    ml_model_path: str = ""
    ml_confidence_threshold: Probability = 0.7
    ml_endpoint_name: EndpointName = ""
    ml_endpoint_url: Url = ""
    ml_endpoint_timeout_s: Annotated[float, Meta(gt=0, le=10)] = 2.0
    emergency_detection_enabled: bool = True
    emergency_confidence_threshold: Threshold = 0.85
    emergency_hold_s: Annotated[float, Meta(ge=0, le=600)] = 10.0
    aws_region: str = "eu-central-1"
    rate_limit_scale: Annotated[float, Meta(gt=0, le=1e6)] = 1.0
    sound_seconds_per_minute: Annotated[float, Meta(ge=1, le=1e6)] = 30.0
    sound_bytes_per_minute: Annotated[int, Meta(ge=1_000_000, le=10**12)] = 120_000_000
    headset_messages_per_s: Annotated[float, Meta(ge=1, le=100)] = 10.0
    headset_bytes_per_s: Annotated[int, Meta(ge=131_072, le=10**9)] = 524_288
    headset_snapshots_per_minute: Annotated[int, Meta(ge=1, le=6000)] = 60
    headset_reports_per_minute: Annotated[int, Meta(ge=1, le=6000)] = 120
    quota_sessions: Count = 100
    quota_sockets: Count = 100
    quota_api_keys: Count = 20
    quota_devices: Count = 100
    quota_recordings: Count = 100
    quota_unfinished_recordings: Count = 20
    quota_recording_bytes: Annotated[int, Meta(ge=1, le=10**15)] = 24 * 1024**3
    trusted_proxies: str = ""
    origin_secret: str = ""
    token_issuer: str = "anc-local"
    token_audience: str = "anc"
    token_jwks_url: str = ""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Return the settings from environment variables; absent or empty ones have their defaults.

        Raises
        ------
        BadSetting
            Names the variable, its value and what is allowed.
        """
        names = [field.encode_name for field in msgspec.structs.fields(cls)]
        given = {name: environ[name] for name in names if environ.get(name)}
        for name, text in given.items():
            try:
                msgspec.convert({name: text}, cls, strict=False)
            except msgspec.ValidationError as fault:
                rule = msgspec_sentence(str(fault), cls).partition(": ")[2].partition(" (got")[0]
                raise BadSetting(f"{name}={text}: {rule}") from fault
        return msgspec.convert(given, cls, strict=False)
