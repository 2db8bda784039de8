"""Fleet provisioning by claim over MQTT, on a running platform."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from awscrt import mqtt
from awscrt.exceptions import AwsCrtError
from cryptography import x509

from anc.ports import Credentials
from anc.schemas.claim import SIGN_TOPIC, client_id, provision_topic
from anc.settings import Settings
from iot.mqtt_transport import MqttTransport
from iot.provisioning import ClaimFailed, _key_pem, _signing_request, provision
from local.auth.issuer import Issuer
from local.mqtt.claims import MAX_REQUESTS
from tests.factory_claims import key
from tests.integration.mqtt.conftest import PATIENCE_S, Client
from tests.processes import Platform
from tools.cli.remote_headset import issue_claim

MODEL = {"secondary": [0.0, 0.5, 0.2], "taps": 32}
FORBIDDEN_TOPICS = [
    "anc/one/telemetry",
    "$aws/rules/anc_snapshot/anc/one/snapshot",
    "$aws/things/one/shadow/name/anc/update",
    "$aws/certificates/create/json",
    "$aws/provisioning-templates/other/provision/json",
]
PROVISION_TOPIC = provision_topic()
RESPONSES = [(SIGN_TOPIC, "accepted"), (PROVISION_TOPIC, "rejected")]
FORBIDDEN_FILTERS = [
    "#",
    "$aws/#",
    "anc/one/#",
    "$aws/things/one/shadow/name/anc/#",
    f"{SIGN_TOPIC}/+",
    "$aws/certificates/#",
]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    running = Platform(tmp_path_factory.mktemp("platform"))
    yield running
    running.kill()


@pytest.fixture(scope="module")
def claim(platform: Platform) -> Credentials:
    return Credentials(**json.loads(issue_claim(platform.data)))


@pytest.fixture
def maker(platform: Platform) -> Callable[..., tuple[int, Any]]:
    """Return `maker(method, path, body)`, which calls the REST API as the maker of headsets."""

    def request(method: str, path: str, body: Any = None) -> tuple[int, Any]:
        return platform.request(method, path, body, "maker")

    platform.tokens["maker"] = Issuer(platform.data, Settings()).issue("maker", "operator")
    request("PUT", "/api/device-models/twin", MODEL)
    return request


@pytest.fixture
def claiming(claim: Credentials) -> Iterator[Callable[[str], Client]]:
    """Return `claiming(client_id)`, which connects with the claim certificate."""
    clients = []

    def connect(client_id: str) -> Client:
        clients.append(Client(claim, client_id))
        return clients[-1].connect()

    yield connect
    for client in clients:
        client.disconnect()


def preregister(maker: Any, serial: str) -> None:
    assert maker("POST", "/api/device-models/twin/serials", {"serials": [serial]})[1]["listed"] == [serial]


def test_a_claim_names_the_port_at_which_the_platform_was_started(
    platform: Platform, claim: Credentials
) -> None:
    assert claim.port == platform.port + 1
    assert json.loads(issue_claim(platform.data, 9_000))["port"] == 9_001


def test_a_headset_gets_a_certificate_for_its_own_key_and_connects_with_it(
    platform: Platform, maker: Any, claim: Credentials, tmp_path: Path
) -> None:
    preregister(maker, "fresh")
    credentials = provision("fresh", claim, tmp_path)
    assert credentials.private_key == (tmp_path / "headset.key").read_text()
    assert credentials.certificate != claim.certificate
    client = Client(credentials, "fresh").connect()
    client.publish("anc/fresh/telemetry", b'{"battery": 0.5}').result(PATIENCE_S)
    client.disconnect()
    assert maker("GET", "/api/devices/fresh")[1]["taps"] == 32
    folder = [path for path in tmp_path.iterdir() if path.stat().st_mode & 0o077]
    assert folder == [], "only the headset may read its files"


def test_a_headset_stores_its_certificate_and_does_not_claim_again(
    maker: Any, claim: Credentials, tmp_path: Path
) -> None:
    preregister(maker, "keeps")
    credentials = provision("keeps", claim, tmp_path)
    assert provision("keeps", claim._replace(port=1), tmp_path) == credentials._replace(port=1)
    with pytest.raises(ClaimFailed, match="holds the certificate of keeps, not of other"):
        provision("other", claim, tmp_path)


def test_a_headset_that_missed_the_response_claims_again_with_the_same_key(
    platform: Platform, maker: Any, claim: Credentials, tmp_path: Path
) -> None:
    preregister(maker, "again")
    provision("again", claim, tmp_path)
    (tmp_path / "identity.json").unlink()
    credentials = provision("again", claim, tmp_path)
    Client(credentials, "again").connect().disconnect()
    assert maker("GET", "/api/devices/again")[1]["refused"] == 0


def test_a_rejected_claim_is_reported_to_the_headset_and_to_its_owner(
    maker: Any, claim: Credentials, tmp_path: Path
) -> None:
    with pytest.raises(ClaimFailed, match="stranger was rejected: AccessDenied"):
        provision("stranger", claim, tmp_path / "stranger")
    assert maker("GET", "/api/devices/stranger")[0] == 404
    preregister(maker, "taken")
    provision("taken", claim, tmp_path / "first")
    with pytest.raises(ClaimFailed, match="taken was rejected: AccessDenied"):
        provision("taken", claim, tmp_path / "second")
    refusal = maker("GET", "/api/devices/taken")[1]["refusal"]
    assert (refusal["what"], refusal["code"]) == ("claim", "claimed_already")


def test_a_removed_headset_is_disconnected_and_its_certificate_is_revoked(
    maker: Any, claim: Credentials, tmp_path: Path
) -> None:
    preregister(maker, "removed")
    credentials = provision("removed", claim, tmp_path)
    client = Client(credentials, "removed").connect()
    assert maker("DELETE", "/api/devices/removed")[0] == 204
    assert client.lost.wait(PATIENCE_S)
    client.disconnect()
    with pytest.raises(AwsCrtError):
        Client(credentials, "removed").connect()


@pytest.mark.parametrize("name", ["one", "claim.", "claim.a/b", "x"])
def test_a_claim_cannot_connect_with_the_name_of_a_headset(
    claim: Credentials, claiming: Callable[[str], Client], name: str
) -> None:
    with pytest.raises(AwsCrtError):
        claiming(name)


@pytest.mark.parametrize("topic", FORBIDDEN_TOPICS)
def test_a_claim_that_publishes_on_another_topic_is_disconnected(
    claiming: Callable[[str], Client], topic: str
) -> None:
    client = claiming("claim.one")
    client.publish(topic, b"{}")
    assert client.lost.wait(PATIENCE_S)


@pytest.mark.parametrize("topic_filter", FORBIDDEN_FILTERS)
def test_a_claim_can_subscribe_to_its_responses_only(
    claiming: Callable[[str], Client], topic_filter: str
) -> None:
    done, _ = claiming("claim.one").connection.subscribe(topic_filter, mqtt.QoS.AT_LEAST_ONCE)
    with pytest.raises(mqtt.SubscribeError):
        done.result(PATIENCE_S)


def test_a_claiming_headset_can_only_be_disconnected_with_its_random_client_id(
    maker: Any, claim: Credentials, claiming: Callable[[str], Client], tmp_path: Path
) -> None:
    preregister(maker, "sought")
    ids: list[str] = []

    class RecordingTransport(MqttTransport):
        def __init__(self, client_id: str, *rest: Any) -> None:
            ids.append(client_id)
            super().__init__(client_id, *rest)

    provision("sought", claim, tmp_path, make_transport=RecordingTransport)
    again = claiming(ids[0])
    for name in ("claim.sought", client_id("sought"), client_id("sought")):
        assert name != ids[0]
        answers = claiming(name).subscribe(f"{SIGN_TOPIC}/rejected")
        assert answers.empty()
    again.subscribe(f"{SIGN_TOPIC}/rejected")
    assert not again.lost.is_set()


def test_a_claim_can_only_provision_the_serial_number_of_its_client_id(
    maker: Any, claim: Credentials, claiming: Callable[[str], Client]
) -> None:
    preregister(maker, "wanted")
    client = claiming("claim.other")
    signed, refused = (client.subscribe(f"{topic}/{verb}") for topic, verb in RESPONSES)
    request = {"certificateSigningRequest": _signing_request("wanted", key("mine"))}
    client.publish(SIGN_TOPIC, json.dumps(request).encode()).result(PATIENCE_S)
    token = json.loads(signed.get(timeout=PATIENCE_S))["certificateOwnershipToken"]
    registration = {"certificateOwnershipToken": token, "parameters": {"SerialNumber": "wanted"}}
    client.publish(PROVISION_TOPIC, json.dumps(registration).encode()).result(PATIENCE_S)
    assert json.loads(refused.get(timeout=PATIENCE_S))["errorCode"] == "AccessDenied"
    assert maker("GET", "/api/devices/wanted")[1]["claim_refusal"] is None, (
        "another serial number is not affected"
    )


def test_too_many_requests_with_a_claim_end_the_connection(claiming: Callable[[str], Client]) -> None:
    client = claiming("claim.greedy")
    for _ in range(MAX_REQUESTS):
        client.publish(SIGN_TOPIC, b"{}").result(PATIENCE_S)
    assert not client.lost.is_set()
    client.publish(SIGN_TOPIC, b"{}")
    assert client.lost.wait(PATIENCE_S)


def test_a_response_goes_to_the_requesting_connection_only(claiming: Callable[[str], Client]) -> None:
    one, other = claiming("claim.one"), claiming("claim.other")
    overheard = other.subscribe(f"{SIGN_TOPIC}/rejected")
    answered = one.subscribe(f"{SIGN_TOPIC}/rejected")
    one.publish(SIGN_TOPIC, b"{}").result(PATIENCE_S)
    assert json.loads(answered.get(timeout=PATIENCE_S))["errorCode"] == "InvalidPayload"
    assert overheard.empty()


@pytest.mark.parametrize(
    ("topic", "payload", "code"),
    [
        (SIGN_TOPIC, b"", "InvalidPayload"),
        (SIGN_TOPIC, b'{"certificateSigningRequest": 7}', "InvalidPayload"),
        (SIGN_TOPIC, b'{"certificateSigningRequest": "nonsense"}', "InvalidCertificateSigningRequest"),
        (PROVISION_TOPIC, b"[]", "InvalidPayload"),
        (
            PROVISION_TOPIC,
            b'{"certificateOwnershipToken": "forged", "parameters": {"SerialNumber": "one"}}',
            "InvalidCertificateOwnershipToken",
        ),
    ],
)
def test_an_invalid_request_is_rejected_with_the_reason(
    claiming: Callable[[str], Client], topic: str, payload: bytes, code: str
) -> None:
    client = claiming("claim.one")
    answers = client.subscribe(f"{topic}/rejected")
    client.publish(topic, payload).result(PATIENCE_S)
    assert json.loads(answers.get(timeout=PATIENCE_S))["errorCode"] == code


def test_a_signed_certificate_is_useless_before_it_is_provisioned(
    claim: Credentials, claiming: Callable[[str], Client]
) -> None:
    client = claiming("claim.one")
    answers = client.subscribe(f"{SIGN_TOPIC}/accepted")
    client.publish(
        SIGN_TOPIC, json.dumps({"certificateSigningRequest": _signing_request("one", key("mine"))}).encode()
    )
    signed = json.loads(answers.get(timeout=PATIENCE_S))
    assert (
        x509.load_pem_x509_certificate(signed["certificatePem"].encode()).public_key()
        == key("mine").public_key()
    )
    credentials = claim._replace(
        certificate=signed["certificatePem"], private_key=_key_pem(key("mine")).decode()
    )
    for name in ("one", "claim.one"):
        with pytest.raises(AwsCrtError):
            Client(credentials, name).connect()
