"""One-time passwords, with the test vectors of RFC 6238, appendix B."""

import base64

import pytest

from local.auth import totp

SECRET = base64.b32encode(b"12345678901234567890").decode()


@pytest.mark.parametrize(
    ("now", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_codes_are_those_of_the_rfc(now: int, code: str) -> None:
    assert totp.code_at(SECRET, now) == code


def test_a_secret_needs_no_padding() -> None:
    assert totp.code_at("MFRGGZDFMZTWQ2LK".lower(), 59) == totp.code_at("MFRGGZDFMZTWQ2LK", 59)
    assert len(totp.code_at("A" * 52, 59)) == 6


def test_a_code_of_a_clock_that_is_half_a_minute_off_is_accepted() -> None:
    steps = [totp.matching_step(SECRET, totp.code_at(SECRET, 3000 + off_s), 3000) for off_s in (-30, 0, 30)]
    assert steps == [99, 100, 101]
    for off_s in (-60, 60):
        assert totp.matching_step(SECRET, totp.code_at(SECRET, 3000 + off_s), 3000) is None
    assert totp.matching_step(SECRET, "", 3000) is None


def test_secrets_are_random() -> None:
    assert len({totp.new_secret() for _ in range(10)}) == 10
