"""Every setting of the platform, typed, in one place. `.env.example` lists them for people."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from anc.patterns import ONE_LINE, described
from anc.sample_rates import MAX_RATE, MIN_RATE
from anc.validation_messages import msgspec_sentence

Probability = Annotated[float, Meta(ge=0.0, le=1.0)]
Threshold = Annotated[float, Meta(gt=0.0, lt=1.0)]  # at 0 everything would be an alarm, at 1 nothing

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
        How long a live session is kept after its last block.
    ml_model_path : str
        Classifier to load; empty for the one that ships.
    ml_confidence_threshold : float
        Below this the noise of a snapshot is named a second time, by the endpoint's larger model, while the
        filter is on its way already. Without an endpoint it has no effect.
    ml_endpoint_name : str
        SageMaker endpoint that names noises, of `sagemaker/`; empty for none. On AWS.
    ml_endpoint_url : str
        Where such an endpoint answers over HTTP, as `sagemaker/serve.py` does; empty for none. On one
        machine.
    ml_endpoint_timeout_s : float
        Seconds that an answer of the endpoint is waited for; then the model that ships has the word.
    emergency_detection_enabled : bool
        Whether sirens and alarms open the headset.
    emergency_confidence_threshold : float
        Score from which a live block or snapshot counts as an emergency.
    emergency_hold_s : float
        Seconds of transparency after the last detection.
    aws_region : str
        Region of the AWS clients.
    rate_limit_scale : float
        Multiplies how often a caller may call each REST endpoint, and the two budgets for sound.
    sound_seconds_per_minute : float
        Core-seconds of predicted sound processing that one caller may ask for in a minute, in requests.
    sound_bytes_per_minute : int
        Bytes of sound that one caller may send in a minute, in requests.
    quota_sessions, quota_sockets, quota_api_keys : int
        Live sessions, open WebSockets and API keys that one person may have.
    headset_messages_per_s : float
        Messages that a headset may publish in the long run, on one machine; ten seconds' worth may come at
        once. AWS IoT Core takes 100 a second on a connection.
    headset_bytes_per_s : int
        Bytes that it may publish, in the same way. AWS IoT Core takes 512 KB a second on a connection.
    headset_snapshots_per_minute, headset_reports_per_minute : int
        Snapshots, and messages of other kinds, of one headset that are worked on; more are dropped.
    quota_devices : int
        Headsets that a listener may have. Operators, who list whole production lots, may have any number.
    quota_recordings, quota_unfinished_recordings : int
        Recordings that are kept of one person, and those of them that are not done yet.
    quota_recording_bytes : int
        Bytes of one person's uploads and results.
    trusted_proxies : str
        Addresses or networks, separated by commas, of the reverse proxies before the single-machine edition:
        from them alone `X-Forwarded-For` is believed. Empty for none.
    token_issuer, token_audience : str
        What a bearer token must carry as `iss` and `aud`.
    token_jwks_url : str
        Where the issuer publishes its keys; empty in the single-machine edition, which has its own.
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
    token_issuer: str = "anc-local"
    token_audience: str = "anc"
    token_jwks_url: str = ""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Return the settings in environment variables; absent or empty ones have the defaults.

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
