"""The authorizer: valid tokens, and every way in which a token can be invalid."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from anc.services.access.identity import CLOCK_SKEW_S
from functions.authorizer.handler import handler, logger
from local.lambda_context import LocalContext
from local.lambda_events import authorizer_event, handshake_event
from tests.fakes import FakePlatform

BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
Authorize = Callable[[Mapping[str, str]], dict[str, Any]]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of a valid token, with changes; None omits a claim."""
    now = int(time.time())
    good = {"sub": "ann", "role": "listener", "iss": "anc-local", "aud": "anc", "iat": now, "exp": now + 600}
    return {name: value for name, value in (good | changes).items() if value is not None}


def encoded(part: Mapping[str, Any]) -> str:
    return base64url(json.dumps(part).encode())


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(header: Mapping[str, Any], payload: Mapping[str, Any], key: rsa.RSAPrivateKey) -> str:
    """Sign any content; the library refuses to create half of the tokens that an attacker can."""
    text = f"{encoded({'alg': 'RS256', **header})}.{encoded(payload)}"
    signature = key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{text}.{base64url(signature)}"


@pytest.fixture
def authorize(platform: FakePlatform) -> Authorize:
    event = partial(authorizer_event, "GET", "/api/sessions")
    return lambda headers: handler(event(headers), LocalContext("authorizer"), platform.deps)


@pytest.fixture
def authorize_socket(platform: FakePlatform) -> Authorize:
    """Give `authorize_socket(headers)`: the authorizer's result for a WebSocket handshake."""
    return lambda headers: handler(handshake_event(headers), LocalContext("authorizer"), platform.deps)


@pytest.fixture
def kid(platform: FakePlatform) -> str:
    return str(platform.issuer.jwks()["keys"][0]["kid"])


@pytest.fixture
def refused(authorize: Authorize, platform: FakePlatform) -> Callable[[Mapping[str, str]], None]:
    """Give `refused(headers)`: assert that API Gateway gets the text for which it responds with 401."""

    def check(headers: Mapping[str, str]) -> None:
        before = platform.counts["refused_unauthorized"]
        with pytest.raises(Exception) as refusal:  # noqa: PT011  the text is checked to the letter
            authorize(headers)
        assert str(refusal.value) == "Unauthorized"
        assert platform.counts["refused_unauthorized"] == before + 1

    return check


@pytest.mark.parametrize("role", ["listener", "operator", "admin"])
def test_a_valid_token_is_authorized_with_its_user_and_role(
    authorize: Authorize, platform: FakePlatform, role: Any
) -> None:
    token = platform.issuer.issue("ann", role)
    policy = authorize(bearer(token))
    issued = jwt.decode(token, options={"verify_signature": False})["iat"]
    assert policy["principalId"] == "ann"
    assert policy["context"] == {"user": "ann", "role": role, "key": "", "scopes": "", "since": str(issued)}


def test_the_policy_covers_the_whole_stage_because_endpoints_check_roles(
    authorize: Authorize, platform: FakePlatform
) -> None:
    policy = authorize(bearer(platform.issuer.issue("ann", "listener")))
    (statement,) = policy["policyDocument"]["Statement"]
    assert statement["Effect"] == "Allow"
    assert statement["Action"] == "execute-api:Invoke"
    assert statement["Resource"] == "arn:aws:execute-api:local:000000000000:local/local/*"


@pytest.mark.parametrize("header", ["Authorization", "authorization", "AUTHORIZATION"])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_header_and_scheme_are_case_insensitive(
    authorize: Authorize, platform: FakePlatform, header: str, scheme: str
) -> None:
    policy = authorize({header: f"{scheme} {platform.issuer.issue('ann', 'listener')}"})
    assert policy["principalId"] == "ann"


@pytest.mark.parametrize("offer", ["anc.v1, {}", "anc.v1,{}", "{}, anc.v1", "{}"])
def test_a_browser_sends_its_token_as_a_subprotocol(
    authorize_socket: Authorize, platform: FakePlatform, offer: str
) -> None:
    token = platform.issuer.issue("ann", "listener")
    assert authorize_socket({"Sec-WebSocket-Protocol": offer.format(token)})["principalId"] == "ann"


def test_a_rest_request_is_never_authorised_by_a_subprotocol(
    refused: Callable[..., None], platform: FakePlatform
) -> None:
    token = platform.issuer.issue("ann", "admin")
    refused({"Sec-WebSocket-Protocol": f"anc.v1, {token}"})
    refused({"Sec-WebSocket-Protocol": token, "Authorization": "Bearer "})
    refused({"Sec-WebSocket-Protocol": token, "X-Api-Key": ""})


HEADERS = ("Authorization", "X-Api-Key", "Sec-WebSocket-Protocol")


@pytest.mark.parametrize("first", [*HEADERS, ""])
@pytest.mark.parametrize("second", [*HEADERS, ""])
def test_the_caller_depends_only_on_the_headers_of_the_request(
    authorize: Authorize, authorize_socket: Authorize, platform: FakePlatform, first: str, second: str
) -> None:
    """Independent of earlier requests to either API."""

    def named(call: Authorize, header: str, user: str) -> str:
        token = platform.issuer.issue(user, "listener")
        value = f"Bearer {token}" if header == "Authorization" else token
        try:
            return str(call({header: value} if header else {})["principalId"])
        except Exception as refusal:
            return str(refusal)

    def expected(call: Authorize, header: str, user: str) -> str:
        return user if header in (HEADERS if call is authorize_socket else HEADERS[:2]) else "Unauthorized"

    for before in (authorize, authorize_socket):
        for after in (authorize, authorize_socket):
            assert named(before, first, "ann") == expected(before, first, "ann")
            assert named(after, second, "bob") == expected(after, second, "bob")


def test_an_unknown_role_is_treated_as_listener(
    authorize: Authorize, key: rsa.RSAPrivateKey, kid: str
) -> None:
    token = jwt.encode(claims(role="emperor"), key, "RS256", {"kid": kid})
    assert authorize(bearer(token))["context"]["role"] == "listener"


def test_of_several_groups_the_highest_role_counts(
    authorize: Authorize, key: rsa.RSAPrivateKey, kid: str
) -> None:
    groups = ["listener", "admin", "operator"]
    token = jwt.encode(claims(role=None, **{"cognito:groups": groups}), key, "RS256", {"kid": kid})
    assert authorize(bearer(token))["context"]["role"] == "admin"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic YW5uOnNlY3JldA=="},
        {"Authorization": "Bearer no-token"},
        {"Authorization": "Bearer a.b.c"},
        {"Authorization": "Bearer ä.ö.ü"},
        {"X-Api-Key": ""},
        {"X-Api-Key": " "},
        {"Sec-WebSocket-Protocol": "anc.v1"},
        {"Sec-WebSocket-Protocol": "a.b.c"},
    ],
)
def test_a_request_without_a_token_is_refused(
    refused: Callable[..., None], authorize_socket: Authorize, headers: dict[str, str]
) -> None:
    refused(headers)
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorize_socket(headers)


def test_an_event_without_any_headers_is_refused(platform: FakePlatform) -> None:
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        handler({"methodArn": "", "headers": None}, LocalContext("authorizer"), platform.deps)


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "another-issuer"},
        {"iss": None},
        {"aud": "another-service"},
        {"aud": None},
        {"sub": None},
        {"sub": 7},
        {"exp": None},
        {"exp": "tomorrow"},
        {"iat": None},
        {"nbf": 4_000_000_000},
    ],
    ids=str,
)
def test_a_correctly_signed_token_with_one_wrong_claim_is_refused(
    authorize: Authorize,
    refused: Callable[..., None],
    key: rsa.RSAPrivateKey,
    kid: str,
    wrong: dict[str, Any],
) -> None:
    assert authorize(bearer(signed({"kid": kid}, claims(), key)))["principalId"] == "ann"
    refused(bearer(signed({"kid": kid}, claims(**wrong), key)))


def test_an_expired_token_is_refused_with_30_seconds_of_clock_tolerance(
    authorize: Authorize, refused: Callable[..., None], key: rsa.RSAPrivateKey, kid: str
) -> None:
    now = int(time.time())
    late = jwt.encode(claims(exp=now - CLOCK_SKEW_S // 2), key, "RS256", {"kid": kid})
    expired = jwt.encode(claims(exp=now - CLOCK_SKEW_S - 1), key, "RS256", {"kid": kid})
    assert authorize(bearer(late))["principalId"] == "ann"
    refused(bearer(expired))


def test_a_token_without_a_signature_is_refused(refused: Callable[..., None], kid: str) -> None:
    for algorithm in ("none", "None", "NONE"):
        unsigned = f"{encoded({'alg': algorithm, 'kid': kid})}.{encoded(claims())}"
        refused(bearer(f"{unsigned}."))
        refused(bearer(f"{unsigned}.AAAA"))


def test_a_token_signed_with_the_public_key_as_secret_is_refused(
    refused: Callable[..., None], key: rsa.RSAPrivateKey, kid: str
) -> None:
    """Algorithm confusion: the issuer's public key used as the secret of HS256."""
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    unsigned = f"{encoded({'alg': 'HS256', 'kid': kid})}.{encoded(claims())}"
    signature = hmac.new(pem, unsigned.encode(), hashlib.sha256).digest()
    refused(bearer(f"{unsigned}.{base64url(signature)}"))


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256"])
def test_only_the_issuers_algorithm_is_accepted(
    refused: Callable[..., None], key: rsa.RSAPrivateKey, kid: str, algorithm: str
) -> None:
    refused(bearer(jwt.encode(claims(), key, algorithm, {"kid": kid})))


def test_a_token_signed_with_another_key_is_refused_under_any_key_id(
    refused: Callable[..., None], kid: str
) -> None:
    own = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for header in ({"kid": kid}, {"kid": "his-own"}, {"kid": 7}, {}):
        refused(bearer(signed(header, claims(role="admin"), own)))


def test_a_key_embedded_in_the_token_is_ignored(refused: Callable[..., None], kid: str) -> None:
    own = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(own.public_key()))
    refused(bearer(jwt.encode(claims(role="admin"), own, "RS256", {"kid": kid, "jwk": jwk})))


def test_the_payload_of_one_token_under_the_signature_of_another_is_refused(
    refused: Callable[..., None], platform: FakePlatform
) -> None:
    classifier_stream = platform.issuer.issue("ann", "listener").split(".")
    admin = platform.issuer.issue("ann", "admin").split(".")
    refused(bearer(".".join([classifier_stream[0], admin[1], classifier_stream[2]])))


@pytest.fixture
def token(platform: FakePlatform) -> str:
    return platform.issuer.issue("ann", "listener")


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_token_with_any_one_character_changed_is_refused(
    refused: Callable[..., None], token: str, data: st.DataObject
) -> None:
    # Some bits of the last character are padding.
    at = data.draw(st.integers(0, len(token) - 2).filter(lambda i: token[i] != "."), label="position")
    other = data.draw(st.sampled_from(BASE64URL.replace(token[at], "")), label="character")
    refused(bearer(token[:at] + other + token[at + 1 :]))


def test_the_log_of_a_refused_token_does_not_contain_it(
    refused: Callable[..., None],
    authorize_socket: Authorize,
    platform: FakePlatform,
    key: rsa.RSAPrivateKey,
    kid: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logged: list[str] = []
    monkeypatch.setattr(logger, "info", lambda *message, **fields: logged.append(f"{message} {fields}"))
    expired = jwt.encode(claims(exp=1), key, "RS256", {"kid": kid})
    forged = platform.issuer.issue("ann", "listener")[:-9] + "forgerist"
    refused(bearer(expired))
    refused({"X-Api-Key": forged})
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorize_socket({"Sec-WebSocket-Protocol": f"anc.v1, {forged}"})
    assert len(logged) == 3
    for part in (*expired.split("."), *forged.split(".")):
        assert part not in "".join(logged)
