"""The address to which limits apply, with and without CloudFront."""

import pytest

from anc.client_address import SECRET_HEADER, VIEWER_HEADER, client_address

CLOUDFRONT = "130.176.0.1"


def of(viewer: str = "192.0.2.7", proof: str = "shared", secret: str = "shared") -> str:
    headers = {VIEWER_HEADER.title(): viewer, SECRET_HEADER.title(): proof}
    return client_address(headers, CLOUDFRONT, secret)


def test_the_viewer_counts_if_cloudfront_proves_it() -> None:
    assert of() == "192.0.2.7"


@pytest.mark.parametrize(("proof", "secret"), [("guess", "shared"), ("", "shared"), ("", ""), ("x", "")])
def test_without_a_proof_a_client_cannot_choose_its_address(proof: str, secret: str) -> None:
    assert of(proof=proof, secret=secret) == CLOUDFRONT


@pytest.mark.parametrize(
    ("source", "subscriber"),
    [
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("192.0.2.7", "192.0.2.7"),
        ("testclient", "testclient"),
    ],
)
def test_a_subscriber_of_ipv6_is_a_network(source: str, subscriber: str) -> None:
    assert client_address({}, source, "") == subscriber
