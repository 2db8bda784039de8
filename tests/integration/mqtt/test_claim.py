"""A headset fresh from the factory comes with a claim: all of it over MQTT, on a running platform."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from awscrt import mqtt
from awscrt.exceptions import AwsCrtError
from cryptography import x509

from anc.ports import Credentials
from anc.schemas.claim import PROVISION_TOPIC, SIGN_TOPIC, client_id
from anc.settings import Settings
from iot.mqtt_transport import MqttTransport
from iot.provisioning import ClaimFailed, _key_pem, _request, provision
from local.auth.issuer import Issuer
from local.mqtt.claims import MOST_REQUESTS
from tests.factory_claims import key
from tests.integration.mqtt.conftest import PATIENCE_S, Client
from tests.processes import Platform
from tools.cli.remote_headset import claim_of

MODEL = {"secondary": [0.0, 0.5, 0.2], "taps": 32}
OTHERS = [
    "anc/one/telemetry",
    "$aws/rules/anc_snapshot/anc/one/snapshot",
    "$aws/things/one/shadow/name/anc/update",
    "$aws/certificates/create/json",
    "$aws/provisioning-templates/other/provision/json",
]
ANSWERS = [(SIGN_TOPIC, "accepted"), (PROVISION_TOPIC, "rejected")]
WIDER = [
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
    return Credentials(**json.loads(claim_of(platform.data, platform.port)))


@pytest.fixture
def maker(platform: Platform) -> Callable[..., tuple[int, Any]]:
    """Give `maker(method, path, body)`: the REST API as the maker of headsets calls it."""

    def request(method: str, path: str, body: Any = None) -> tuple[int, Any]:
        return platform.request(method, path, body, "maker")

    platform.tokens["maker"] = Issuer(platform.data, Settings()).issue("maker", "operator")
    request("PUT", "/api/device-models/twin", MODEL)
    return request


@pytest.fixture
def claiming(claim: Credentials) -> Iterator[Callable[[str], Client]]:
    """Give `claiming(client_id)`: a bare connection with the claim."""
    clients = []

    def connect(client_id: str) -> Client:
        clients.append(Client(claim, client_id))
        return clients[-1].connect()

    yield connect
    for client in clients:
        client.disconnect()


def expect(maker: Any, serial: str) -> None:
    assert maker("POST", "/api/device-models/twin/serials", {"serials": [serial]})[1]["listed"] == [serial]


def test_a_headset_gets_a_certificate_for_a_key_that_never_left_it_and_speaks_for_itself(
    platform: Platform, maker: Any, claim: Credentials, tmp_path: Path
) -> None:
    expect(maker, "fresh")
    own = provision("fresh", claim, tmp_path)
    assert own.private_key == (tmp_path / "headset.key").read_text()
    assert own.certificate != claim.certificate
    client = Client(own, "fresh").connect()
    client.publish("anc/fresh/telemetry", b'{"battery": 0.5}').result(PATIENCE_S)
    client.disconnect()
    assert maker("GET", "/api/devices/fresh")[1]["taps"] == 32
    folder = [path for path in tmp_path.iterdir() if path.stat().st_mode & 0o077]
    assert folder == [], "what a headset keeps is readable by itself alone"


def test_what_a_headset_got_it_keeps_and_asks_for_no_more(
    maker: Any, claim: Credentials, tmp_path: Path
) -> None:
    expect(maker, "keeps")
    own = provision("keeps", claim, tmp_path)
    assert provision("keeps", claim._replace(port=1), tmp_path) == own._replace(port=1)
    with pytest.raises(ClaimFailed, match="holds the certificate of keeps, not of other"):
        provision("other", claim, tmp_path)


def test_a_headset_that_never_heard_the_answer_comes_again_with_its_key_and_is_let_in(
    platform: Platform, maker: Any, claim: Credentials, tmp_path: Path
) -> None:
    expect(maker, "again")
    provision("again", claim, tmp_path)
    (tmp_path / "identity.json").unlink()
    own = provision("again", claim, tmp_path)
    Client(own, "again").connect().disconnect()
    assert maker("GET", "/api/devices/again")[1]["refused"] == 0


def test_a_claim_that_is_refused_says_so_and_the_headset_s_owner_reads_why(
    maker: Any, claim: Credentials, tmp_path: Path
) -> None:
    with pytest.raises(ClaimFailed, match="stranger was refused: AccessDenied"):
        provision("stranger", claim, tmp_path / "stranger")
    assert maker("GET", "/api/devices/stranger")[0] == 404
    expect(maker, "taken")
    provision("taken", claim, tmp_path / "first")
    with pytest.raises(ClaimFailed, match="taken was refused: AccessDenied"):
        provision("taken", claim, tmp_path / "second")
    refusal = maker("GET", "/api/devices/taken")[1]["refusal"]
    assert (refusal["what"], refusal["code"]) == ("claim", "claimed_already")


def test_a_headset_that_was_removed_is_thrown_out_and_its_certificate_is_useless(
    maker: Any, claim: Credentials, tmp_path: Path
) -> None:
    expect(maker, "removed")
    own = provision("removed", claim, tmp_path)
    client = Client(own, "removed").connect()
    assert maker("DELETE", "/api/devices/removed")[0] == 204
    assert client.lost.wait(PATIENCE_S)
    client.disconnect()
    with pytest.raises(AwsCrtError):
        Client(own, "removed").connect()


@pytest.mark.parametrize("name", ["one", "claim.", "claim.a/b", "x"])
def test_with_a_claim_nobody_connects_under_a_name_that_could_be_a_headset_s(
    claim: Credentials, claiming: Callable[[str], Client], name: str
) -> None:
    with pytest.raises(AwsCrtError):
        claiming(name)


@pytest.mark.parametrize("topic", OTHERS)
def test_a_claim_that_publishes_anything_else_is_cut_off(
    claiming: Callable[[str], Client], topic: str
) -> None:
    client = claiming("claim.one")
    client.publish(topic, b"{}")
    assert client.lost.wait(PATIENCE_S)


@pytest.mark.parametrize("wanted", WIDER)
def test_a_claim_hears_nothing_but_its_own_answers(claiming: Callable[[str], Client], wanted: str) -> None:
    done, _ = claiming("claim.one").connection.subscribe(wanted, mqtt.QoS.AT_LEAST_ONCE)
    with pytest.raises(mqtt.SubscribeError):
        done.result(PATIENCE_S)


def test_a_headset_that_claims_is_thrown_out_by_nobody_who_does_not_know_its_client_id(
    maker: Any, claim: Credentials, claiming: Callable[[str], Client], tmp_path: Path
) -> None:
    expect(maker, "sought")
    ids: list[str] = []

    class Watched(MqttTransport):
        def __init__(self, client_id: str, *rest: Any) -> None:
            ids.append(client_id)
            super().__init__(client_id, *rest)

    provision("sought", claim, tmp_path, make_transport=Watched)
    again = claiming(ids[0])
    for name in ("claim.sought", client_id("sought"), client_id("sought")):
        assert name != ids[0]
        answers = claiming(name).subscribe(f"{SIGN_TOPIC}/rejected")
        assert answers.empty()
    again.subscribe(f"{SIGN_TOPIC}/rejected")
    assert not again.lost.is_set()


def test_a_claim_asks_for_the_serial_number_alone_that_its_connection_is_for(
    maker: Any, claim: Credentials, claiming: Callable[[str], Client]
) -> None:
    expect(maker, "wanted")
    client = claiming("claim.other")
    signed, refused = (client.subscribe(f"{topic}/{verb}") for topic, verb in ANSWERS)
    request = {"certificateSigningRequest": _request("wanted", key("mine"))}
    client.publish(SIGN_TOPIC, json.dumps(request).encode()).result(PATIENCE_S)
    token = json.loads(signed.get(timeout=PATIENCE_S))["certificateOwnershipToken"]
    asked = {"certificateOwnershipToken": token, "parameters": {"SerialNumber": "wanted"}}
    client.publish(PROVISION_TOPIC, json.dumps(asked).encode()).result(PATIENCE_S)
    assert json.loads(refused.get(timeout=PATIENCE_S))["errorCode"] == "AccessDenied"
    assert maker("GET", "/api/devices/wanted")[1]["claim_refusal"] is None, (
        "the other is none of its business"
    )


def test_a_connection_with_a_claim_that_asks_and_asks_is_cut_off(claiming: Callable[[str], Client]) -> None:
    client = claiming("claim.greedy")
    for _ in range(MOST_REQUESTS):
        client.publish(SIGN_TOPIC, b"{}").result(PATIENCE_S)
    assert not client.lost.is_set()
    client.publish(SIGN_TOPIC, b"{}")
    assert client.lost.wait(PATIENCE_S)


def test_an_answer_goes_to_who_asked_and_to_nobody_else(claiming: Callable[[str], Client]) -> None:
    one, other = claiming("claim.one"), claiming("claim.other")
    overheard = other.subscribe(f"{SIGN_TOPIC}/rejected")
    answered = one.subscribe(f"{SIGN_TOPIC}/rejected")
    one.publish(SIGN_TOPIC, b"{}").result(PATIENCE_S)
    assert json.loads(answered.get(timeout=PATIENCE_S))["errorCode"] == "InvalidPayload"
    assert overheard.empty()


@pytest.mark.parametrize(
    ("topic", "asked", "code"),
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
def test_what_makes_no_sense_is_answered_with_what_is_wrong(
    claiming: Callable[[str], Client], topic: str, asked: bytes, code: str
) -> None:
    client = claiming("claim.one")
    answers = client.subscribe(f"{topic}/rejected")
    client.publish(topic, asked).result(PATIENCE_S)
    assert json.loads(answers.get(timeout=PATIENCE_S))["errorCode"] == code


def test_a_certificate_that_was_signed_and_not_claimed_opens_nothing(
    claim: Credentials, claiming: Callable[[str], Client]
) -> None:
    client = claiming("claim.one")
    answers = client.subscribe(f"{SIGN_TOPIC}/accepted")
    client.publish(
        SIGN_TOPIC, json.dumps({"certificateSigningRequest": _request("one", key("mine"))}).encode()
    )
    signed = json.loads(answers.get(timeout=PATIENCE_S))
    assert (
        x509.load_pem_x509_certificate(signed["certificatePem"].encode()).public_key()
        == key("mine").public_key()
    )
    own = claim._replace(certificate=signed["certificatePem"], private_key=_key_pem(key("mine")).decode())
    for name in ("one", "claim.one"):
        with pytest.raises(AwsCrtError):
            Client(own, name).connect()
