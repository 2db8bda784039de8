"""`python -m tools.settings_page > docs/settings.md`: every setting, as a page and as `.env.example`.

`python -m tools.settings_page --example > .env.example` writes the file, as `anc config example` prints it.
"""

# ruff: noqa: E501
import sys
from collections.abc import Iterator
from textwrap import fill

from anc.settings import Setting
from local.configuration import BEFORE_DOTENV, GROUPS, MAX_SECRET_BYTES, OPTIONS, SECRETS, SETTINGS

WIDTH = 118
HEADER = f"""# Settings

Made by `python -m tools.settings_page > docs/settings.md` from the classes `Settings` (`layers/dsp/python/anc/settings.py`) and
`LaunchSettings` (`local/configuration.py`). `anc config show` prints the values of this machine and where each comes from;
`anc config example` prints a `.env` file with every setting ([`.env.example`](../.env.example)).

A value comes from the first of these that has one:

1. the option of the command,
2. the environment variable,
3. `.env` in the working directory,
4. for secrets, a file,
5. the default. An empty value means the default, too.

With an invalid value, commands exit with code 2; the error names the setting and what is allowed. A variable that begins with
`ANC_` and is none of these causes a warning. On AWS, the stacks set the variables ([deploy.md](deploy.md)).

**Secrets** ({", ".join(f"`{name}`" for name in SECRETS)}) can be read from a file, so that they are in no environment of a service:
set the variable with `_FILE` appended, such as `ANC_TOKEN_FILE=/run/secrets/anc_token`, or give a unit of systemd the credential,
such as `LoadCredential=ANC_TOKEN:/etc/anc/token`. The file must have one line, at most {MAX_SECRET_BYTES:,} bytes. Setting both the
variable and the file, with different values, is an error. No command prints secrets.
"""
EXAMPLE_HEADER = f"""{
    fill(
        "Settings of the ANC Platform, each with its default. Copy this file to `.env` in the working directory and "
        "change what you need. Options and environment variables override the file; an empty value means the default. "
        "With an invalid value the platform does not start; the error names the setting.",
        WIDTH,
        initial_indent="# ",
        subsequent_indent="# ",
    )
}
"""


def page() -> str:
    """Return the page with all settings."""
    return HEADER + "".join(map(_section, _groups()))


def example() -> str:
    """Return the content of `.env.example`."""
    return "\n".join([EXAMPLE_HEADER, *map(_example, SETTINGS)])


def _groups() -> Iterator[list[Setting]]:
    starts = [k for k, setting in enumerate(SETTINGS) if setting.name in GROUPS]
    for begin, end in zip(starts, [*starts[1:], len(SETTINGS)], strict=True):
        yield SETTINGS[begin:end]


def _section(group: list[Setting]) -> str:
    rows = "".join(map(_row, group))
    return f"\n## {GROUPS[group[0].name]}\n\n| setting | default | allowed | meaning |\n|---|---|---|---|\n{rows}"


def _row(setting: Setting) -> str:
    option = OPTIONS.get(setting.name)
    name = f"`{setting.name}`" + (f", `{option}`" if option else "")
    default = f"`{setting.default}`" if setting.default else ""
    return f"| {name} | {default} | {setting.allowed} | {setting.meaning} |\n"


def _example(setting: Setting) -> str:
    allowed = f" Allowed: {setting.allowed}." if setting.allowed else ""
    text = fill(
        setting.meaning + allowed,
        WIDTH,
        initial_indent="# ",
        subsequent_indent="# ",
        break_on_hyphens=False,
        break_long_words=False,
    )
    line = f"{setting.name}={setting.default}"
    return f"{text}\n{'# ' if setting.name in BEFORE_DOTENV else ''}{line}\n"


if __name__ == "__main__":
    print(example() if sys.argv[1:] == ["--example"] else page(), end="")
