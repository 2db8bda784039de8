"""The settings of a platform on one machine: documentation, sources, secrets in files, and warnings."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from anc.settings import MASK, BadSetting, Settings
from local.configuration import (
    BEFORE_DOTENV,
    LISTENING,
    MAX_SECRET_BYTES,
    NAMES,
    OPTIONS,
    SECRETS,
    SETTINGS,
    LaunchSettings,
    configured,
    load_secrets,
    unknown_names,
)
from local.data_folder import default_folder
from tools import settings_page
from tools.cli.main import app

ROOT = Path(__file__).parents[3]
COMMANDS: Any = typer.main.get_command(app)
# Of `anc up`: what it shows and simulates, not how the platform runs
WITHOUT_SETTING = {"--demo", "--simulate-fleet", "--parent", "--json"}


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder, without settings, and restore the variables that a command sets."""
    monkeypatch.chdir(tmp_path)
    for name in (*NAMES, *(f"{secret}_FILE" for secret in SECRETS), "CREDENTIALS_DIRECTORY"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def show(*options: str, **environ: str) -> Result:
    return CliRunner().invoke(app, ["config", "show", *options], env=environ)


def shown(name: str, **environ: str) -> dict[str, Any]:
    """Return what `anc config show --json` prints of a setting."""
    settings = json.loads(show("--json", **environ).stdout)["settings"]
    (found,) = [each for each in settings if each["name"] == name]
    return dict(found)


@pytest.mark.parametrize(
    ("file", "made"),
    [("docs/settings.md", settings_page.page), (".env.example", settings_page.example)],
)
def test_page_and_example_file_are_those_of_the_schema(file: str, made: Any) -> None:
    assert (ROOT / file).read_text() == made()


def test_every_setting_has_one_name_and_a_meaning() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert [setting.name for setting in SETTINGS if not setting.meaning.endswith(".")] == []


def test_every_option_of_the_platform_is_a_setting_with_the_same_default() -> None:
    options = {option.opts[0]: option for option in COMMANDS.commands["up"].params}
    assert set(options) - WITHOUT_SETTING - {"--help"} == set(OPTIONS.values()) - {"--token"}
    for setting in LaunchSettings.described():
        if setting.name in (*LISTENING, "ANC_PORT"):
            option = options[OPTIONS[setting.name]]
            assert option.envvar == setting.name
            assert str(option.default or "") == {"false": ""}.get(setting.default, setting.default)


def test_a_value_is_shown_with_its_source(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ANC_BLOCK_SIZE=512\nANC_FILTER_TAPS=64\n")
    settings = json.loads(show("--json", ANC_FILTER_TAPS="32").stdout)["settings"]
    found = {each["name"]: (each["value"], each["source"], each["default"]) for each in settings}
    assert found["ANC_FILTER_TAPS"] == ("32", "environment", "512")
    assert found["ANC_BLOCK_SIZE"] == ("512", ".env", "1024")
    assert found["QUOTA_DEVICES"] == ("100", "default", "100")
    assert found["ANC_DATA"][0] == str(default_folder())


def test_the_table_has_a_row_for_every_setting() -> None:
    answer = show(ANC_FILTER_TAPS="64")
    assert answer.exit_code == 0
    assert [name for name in NAMES if f" {name} " not in answer.stdout] == []


def test_a_variable_that_is_read_before_dotenv_has_no_effect_there() -> None:
    for name in BEFORE_DOTENV:
        (found,) = [each for each in configured({name: "2"}, ()) if each.setting.name == name]
        assert found.source == "default"


def test_invalid_values_are_shown_and_named_with_the_limit() -> None:
    answer = show(ANC_FILTER_TAPS="5", ANC_PORT="0")
    assert answer.exit_code == 2
    assert answer.stderr.splitlines() == [
        "anc: ANC_PORT=0: must be at least 1",
        "anc: ANC_FILTER_TAPS=5: must be at least 16",
    ]


@pytest.mark.parametrize(
    ("name", "text", "allowed"),
    [
        ("ANC_PORT", "65535", "65534"),
        ("ANC_TLS", "maybe", "boolean"),
        ("POWERTOOLS_LOG_LEVEL", "LOUD", "must be DEBUG, INFO, WARNING, ERROR or CRITICAL"),
        ("OPENBLAS_NUM_THREADS", "0", "must be at least 1"),
        ("ANC_TLS_KEY", "key.pem", "require each other"),
    ],
)
def test_an_invalid_value_prevents_the_start(tmp_path: Path, name: str, text: str, allowed: str) -> None:
    answer = CliRunner().invoke(app, ["up", "--data", "site"], env={name: text, "COLUMNS": "200"})
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert name in answer.stderr or OPTIONS[name] in answer.stderr
    assert allowed in answer.stderr
    assert list(tmp_path.iterdir()) == []


def test_unknown_variables_are_named_with_a_similar_setting() -> None:
    environ = {
        "ANC_FILTER_TAP": "5",
        "ANC_XYZ": "1",
        "ANC_TOKEN_FILE": "token",
        "ANC_DATA_FILE": "x",
        "PATH": "",
    }
    assert unknown_names(environ) == [
        "ANC_DATA_FILE: unknown setting, ignored; did you mean ANC_DATA?",
        "ANC_FILTER_TAP: unknown setting, ignored; did you mean ANC_FILTER_TAPS?",
        "ANC_XYZ: unknown setting, ignored",
    ]


def test_a_start_warns_about_unknown_variables() -> None:
    answer = CliRunner().invoke(app, ["up"], env={"ANC_FILTR_TAPS": "64", "ANC_FILTER_TAPS": "5"})
    assert answer.exit_code == 2
    assert "ANC_FILTR_TAPS: unknown setting, ignored; did you mean ANC_FILTER_TAPS?" in answer.stderr


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_read_from_a_file_and_never_shown(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("swordfish\n")
    environ = {f"{name}_FILE": "secret"}
    load_secrets(environ)
    assert environ[name] == "swordfish"
    for source, given in (("environment", {name: "swordfish"}), ("file secret", {f"{name}_FILE": "secret"})):
        found = shown(name, **given)
        assert (found["value"], found["source"]) == (MASK, source)
        os.environ.pop(name, None)
        assert "swordfish" not in show(**given).output
        os.environ.pop(name, None)


def test_a_secret_is_read_from_a_credential_of_systemd(tmp_path: Path) -> None:
    (tmp_path / "ORIGIN_SECRET").write_text("swordfish")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    load_secrets(environ)
    assert environ["ORIGIN_SECRET"] == "swordfish"
    assert "ANC_TOKEN" not in environ
    assert shown("ORIGIN_SECRET", CREDENTIALS_DIRECTORY=str(tmp_path))["source"] == "credential"
    explicit = {"CREDENTIALS_DIRECTORY": str(tmp_path), "ORIGIN_SECRET": "other"}
    load_secrets(explicit)
    assert explicit["ORIGIN_SECRET"] == "other"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "cannot be read (No such file or directory)"),
        (b"", "one line"),
        (b"a\nb\n", "one line"),
        (b"\xff\xfe", "a text file"),
        (b"a" * (MAX_SECRET_BYTES + 1), "at most 65,536 bytes"),
    ],
    ids=["missing", "empty", "two lines", "binary", "large"],
)
def test_an_unusable_secret_file_is_refused(tmp_path: Path, content: bytes | None, fault: str) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadSetting) as refused:
        load_secrets({"ANC_TOKEN_FILE": str(path)})
    assert str(refused.value).startswith(f"ANC_TOKEN_FILE={path}: ")
    assert fault in str(refused.value)


def test_a_secret_with_two_values_is_refused_without_printing_them(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("swordfish")
    answer = show(ANC_TOKEN="tuna", ANC_TOKEN_FILE="secret")
    assert answer.exit_code == 2
    assert answer.stderr == "anc: ANC_TOKEN and ANC_TOKEN_FILE: must not both be set; remove one of them\n"


def test_an_invalid_secret_is_refused_without_printing_it() -> None:
    names = {setting.name for setting in Settings.described() if setting.secret}
    assert names == {"ORIGIN_SECRET"}, "has no limits, so that no refusal can print it"


def test_the_example_command_prints_the_example_file() -> None:
    answer = CliRunner().invoke(app, ["config", "example"])
    assert answer.stdout == (ROOT / ".env.example").read_text()
    defaults = json.loads(CliRunner().invoke(app, ["config", "example", "--json"]).stdout)
    assert list(defaults) == NAMES
