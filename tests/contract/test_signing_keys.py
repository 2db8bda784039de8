"""Contract of `anc.ports.SigningKeys`."""

import jwt
import pytest

from anc.aws.signing_keys import JwksSigningKeys


def test_the_key_of_a_token_verifies_it(keys):
    claims = jwt.decode(keys.token, keys.port.key_for(keys.token), ["RS256"], audience="anc")

    assert claims["sub"] == "u"


def test_a_token_signed_by_another_issuer_has_no_key(keys):
    with pytest.raises(LookupError):
        keys.port.key_for(keys.foreign)


def test_a_token_without_a_key_id_has_no_key(keys):
    with pytest.raises(LookupError):
        keys.port.key_for(jwt.encode({"sub": "u"}, "a shared secret of 32 bytes or more", "HS256"))


def test_an_unreachable_issuer_raises_another_error_than_a_bad_token(keys):
    unreachable = JwksSigningKeys("http://127.0.0.1:1/jwks.json")

    with pytest.raises(ConnectionError):
        unreachable.key_for(keys.token)
