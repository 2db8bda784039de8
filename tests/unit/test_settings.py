"""Settings: defaults, invalid values, and the example file."""

from pathlib import Path

import msgspec
import pytest
from dotenv import dotenv_values
from hypothesis import given
from hypothesis import strategies as st

from anc.settings import BadSetting, Settings

EXAMPLE = Path(__file__).parents[2] / ".env.example"
NAMES = [field.encode_name for field in msgspec.structs.fields(Settings)]


def test_without_environment_variables_the_documented_defaults_apply() -> None:
    s = Settings.from_env({})
    assert (s.anc_filter_taps, s.anc_sample_rate, s.anc_block_size) == (512, 48_000, 1024)
    assert (s.ml_confidence_threshold, s.emergency_confidence_threshold) == (0.7, 0.85)
    assert s.emergency_detection_enabled


def test_the_example_file_lists_every_setting_with_its_default() -> None:
    example = {name: value or "" for name, value in dotenv_values(EXAMPLE).items()}
    assert list(example)[-len(NAMES) :] == NAMES, "after those of the commands"
    example = {name: example[name] for name in NAMES}
    assert Settings.from_env(example) == Settings()
    assert [name for name in NAMES if not example[name]] == [
        field.encode_name for field in msgspec.structs.fields(Settings) if field.default == ""
    ]


def test_the_example_file_explains_every_group_of_settings() -> None:
    for group in EXAMPLE.read_text().strip().split("\n\n"):
        assert group.startswith("# "), group


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("ANC_FILTER_TAPS", "1024", 1024),
        ("ANC_SAMPLE_RATE", "16000", 16_000),
        ("ANC_BLOCK_SIZE", "4800", 4800),
        ("ANC_SESSION_HOURS", "0.5", 0.5),
        ("ML_MODEL_PATH", "other.npz", "other.npz"),
        ("ML_CONFIDENCE_THRESHOLD", "1", 1.0),
        ("ML_ENDPOINT_NAME", "anc-dev-hearing", "anc-dev-hearing"),
        ("ML_ENDPOINT_URL", "http://127.0.0.1:8090", "http://127.0.0.1:8090"),
        ("ML_ENDPOINT_TIMEOUT_S", "0.5", 0.5),
        ("EMERGENCY_DETECTION_ENABLED", "false", False),
        ("EMERGENCY_DETECTION_ENABLED", "0", False),
        ("EMERGENCY_CONFIDENCE_THRESHOLD", "0.9", 0.9),
        ("EMERGENCY_HOLD_S", "0", 0.0),
        ("AWS_REGION", "us-east-1", "us-east-1"),
        ("TOKEN_ISSUER", "https://issuer", "https://issuer"),
        ("TOKEN_AUDIENCE", "headsets", "headsets"),
        ("TOKEN_JWKS_URL", "https://issuer/keys", "https://issuer/keys"),
        ("AWS_REGION", "us-gov-west-1", "us-gov-west-1"),
    ],
)
def test_a_variable_changes_only_its_own_setting(name: str, text: str, value: object) -> None:
    assert Settings.from_env({name: text}) == msgspec.structs.replace(Settings(), **{name.lower(): value})


@pytest.mark.parametrize(
    ("name", "text", "allowed"),
    [
        ("ANC_FILTER_TAPS", "15", "at least 16"),
        ("ANC_FILTER_TAPS", "4097", "at most 4096"),
        ("ANC_FILTER_TAPS", "many", "an integer"),
        ("ANC_FILTER_TAPS", "512.5", "an integer"),
        ("ANC_SAMPLE_RATE", "7999", "at least 8000"),
        ("ANC_SAMPLE_RATE", "48k", "an integer"),
        ("ANC_BLOCK_SIZE", "0", "at least 1"),
        ("ANC_BLOCK_SIZE", "6001", "at most 6000"),
        ("ANC_SESSION_HOURS", "0", "greater than 0"),
        ("ANC_SESSION_HOURS", "inf", "at most 48"),
        ("ANC_SESSION_HOURS", "nan", "greater than 0"),
        ("ML_CONFIDENCE_THRESHOLD", "1.1", "at most 1"),
        ("ML_CONFIDENCE_THRESHOLD", "-0.1", "at least 0"),
        ("ML_ENDPOINT_NAME", "anc/hearing", "letters, digits or hyphens"),
        ("ML_ENDPOINT_NAME", "a" * 64, "1 to 63"),
        ("ML_ENDPOINT_URL", "127.0.0.1:8090", "an http or https URL"),
        ("ML_ENDPOINT_URL", "file:///etc/passwd", "an http or https URL"),
        ("ML_ENDPOINT_TIMEOUT_S", "0", "greater than 0"),
        ("ML_ENDPOINT_TIMEOUT_S", "11", "at most 10"),
        ("EMERGENCY_DETECTION_ENABLED", "maybe", "true or false"),
        ("EMERGENCY_CONFIDENCE_THRESHOLD", "1", "less than 1"),
        ("EMERGENCY_CONFIDENCE_THRESHOLD", "0", "greater than 0"),
        ("EMERGENCY_CONFIDENCE_THRESHOLD", "nan", "greater than 0"),
        ("EMERGENCY_HOLD_S", "-1", "at least 0"),
        ("EMERGENCY_HOLD_S", "601", "at most 600"),
        ("TOKEN_JWKS_URL", "issuer/keys", "an http or https URL"),
        ("AWS_REGION", "eu central", "a region of AWS"),
    ],
)
def test_an_invalid_value_is_rejected_with_name_and_limit(name: str, text: str, allowed: str) -> None:
    with pytest.raises(BadSetting) as fault:
        Settings.from_env({name: text})
    assert str(fault.value).startswith(f"{name}={text}: must be ")
    assert allowed in str(fault.value)


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_variable_keeps_the_default(name: str) -> None:
    assert Settings.from_env({name: ""}) == Settings()


def test_unknown_variables_are_ignored() -> None:
    assert Settings.from_env({"PATH": "/bin", "ANC_FILTER": "7", "anc_filter_taps": "7"}) == Settings()


@given(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=12)))
def test_any_environment_gives_settings_or_a_named_error(environ: dict[str, str]) -> None:
    try:
        settings = Settings.from_env(environ)
    except BadSetting as fault:
        named = str(fault).partition("=")[0]
        assert named in environ
    else:
        assert 16 <= settings.anc_filter_taps <= 4096
        assert 0 < settings.emergency_confidence_threshold < 1
