"""docs/security.md and the CLI state the lifetimes of `anc.lifetimes`."""

from pathlib import Path

import pytest

from anc import lifetimes

PAGE = (Path(__file__).parents[2] / "docs" / "security.md").read_text()
ROWS = PAGE.partition("## Lifetime of permissions")[2].partition("\n## ")[0].splitlines()


@pytest.mark.parametrize(
    ("start", "lifetime"),
    [
        ("| token of a sign-in", f"| {lifetimes.SIGN_IN_TOKEN_HOURS:g} hour |"),
        ("| token that `anc token`", f"| at most {lifetimes.MAX_TOKEN_HOURS:g} hours |"),
        ("| API key", f"| at most {lifetimes.MAX_API_KEY_DAYS} days |"),
        ("| open WebSocket", f"| at most {lifetimes.SOCKET_HOURS} hours |"),
        ("| link to upload", f"| {lifetimes.UPLOAD_LINK_HOURS} hours |"),
        ("| link to download", f"| {lifetimes.DOWNLOAD_LINK_HOURS} hour |"),
        ("| sign-in link of the console", f"| {lifetimes.LOGIN_LINK_MINUTES} minutes, once |"),
    ],
)
def test_the_security_page_states_every_lifetime(start, lifetime):
    (row,) = [line for line in ROWS if line.startswith(start)]

    assert lifetime in row


def test_the_record_of_a_removed_user_outlives_every_credential():
    longest_days = max(lifetimes.MAX_API_KEY_DAYS, lifetimes.MAX_TOKEN_HOURS / 24)

    assert longest_days < lifetimes.REMOVED_ACCOUNT_DAYS
