"""Contract of `anc.ports.Things`."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from anc.aws.things import IotThings
from anc.schemas.refusal import Refused


def working(things, thing="headset-1"):
    """Enrol a headset and activate its certificate."""
    given = things.port.create(thing)
    things.port.activate(thing, given.certificate_id)
    assert things.active(thing, given.certificate_id)
    return given


def test_an_enrolled_headset_gets_a_certificate_and_an_endpoint(things):
    given = working(things)

    assert given.endpoint
    assert given.port
    load_pem_private_key(given.private_key.encode(), None)
    assert x509.load_pem_x509_certificates((given.certificate + given.ca).encode())


def test_a_certificate_is_invalid_until_it_is_activated(things):
    given = things.port.create("headset-1")

    assert not things.active("headset-1", given.certificate_id)
    assert list(things.port.certificates("headset-1")) == [given.certificate_id]


def test_every_headset_gets_its_own_certificate(things):
    one, other = working(things, "headset-1"), working(things, "headset-2")

    assert one.certificate_id != other.certificate_id
    assert one.private_key != other.private_key


def test_a_revoked_headset_is_disconnected_and_cannot_reconnect(things):
    given = working(things)
    things.port.revoke("headset-1", [given.certificate_id])

    assert not things.active("headset-1", given.certificate_id)
    assert things.disconnected == ["headset-1"]


def test_a_revoked_certificate_cannot_be_activated(things):
    given = things.port.create("headset-1")
    things.port.revoke("headset-1", [given.certificate_id])
    things.port.activate("headset-1", given.certificate_id)

    assert not things.active("headset-1", given.certificate_id)
    assert list(things.port.certificates("headset-1")) == []


def test_revoking_one_headset_does_not_affect_others(things):
    one, other = working(things, "headset-1"), working(things, "headset-2")
    things.port.revoke("headset-1", [one.certificate_id])

    assert things.active("headset-2", other.certificate_id)
    assert things.disconnected == ["headset-1"]


def test_revoking_no_certificate_disconnects_no_headset(things):
    given = working(things)
    things.port.revoke("headset-1", [])

    assert things.active("headset-1", given.certificate_id)
    assert things.disconnected == []


@pytest.mark.parametrize("times", [2, 3])
def test_removal_is_idempotent(things, times):
    given = working(things)
    for _ in range(times):
        things.port.revoke("headset-1", [given.certificate_id])
        things.port.remove("headset-1")

    assert not things.active("headset-1", given.certificate_id)


def test_a_headset_may_be_enrolled_again_after_its_removal(things):
    old = working(things)
    things.port.revoke("headset-1", [old.certificate_id])
    things.port.remove("headset-1")
    new = working(things)

    assert not things.active("headset-1", old.certificate_id)
    assert list(things.port.certificates("headset-1")) == [new.certificate_id]


def test_revoking_an_old_certificate_again_does_not_affect_the_new_one(things):
    old = working(things)
    new = working(things)
    for _ in range(2):
        things.port.revoke("headset-1", [old.certificate_id])

    assert things.active("headset-1", new.certificate_id)
    assert not things.active("headset-1", old.certificate_id)
    assert set(things.disconnected) == {"headset-1"}


def test_a_claimed_certificate_is_valid_after_adoption_and_provisioning(things):
    certificate = things.sign()
    things.port.attach_certificate("headset-1", certificate)
    assert not things.active("headset-1", certificate)
    for step in things.provision("headset-1", certificate):
        step()

    assert things.active("headset-1", certificate)
    assert list(things.port.certificates("headset-1")) == [certificate]


def test_a_revoked_claimed_certificate_stays_invalid_after_provisioning(things):
    certificate = things.sign()
    things.port.attach_certificate("headset-1", certificate)
    things.port.revoke("headset-1", [certificate])
    for step in things.provision("headset-1", certificate):
        step()

    assert not things.active("headset-1", certificate)


def test_removing_a_missing_thing_does_nothing(things):
    things.port.remove("headset-1")

    assert list(things.port.certificates("headset-1")) == []


def test_a_thing_of_another_deployment_is_left_alone(aws, things):
    if not isinstance(things.port, IotThings):
        pytest.skip("a platform on one machine has a registry of its own")
    iot = aws("iot")
    iot.create_thing(thingName="theirs", thingTypeName="other")
    certificate = iot.create_keys_and_certificate(setAsActive=True)
    iot.attach_thing_principal(thingName="theirs", principal=certificate["certificateArn"])

    for take in (
        lambda: things.port.create("theirs"),
        lambda: things.port.attach_certificate("theirs", things.sign()),
    ):
        with pytest.raises(Refused, match="another deployment") as refusal:
            take()
        assert refusal.value.code == "exists"
    things.port.revoke("theirs", things.port.certificates("theirs"))
    things.port.remove("theirs")

    assert iot.describe_thing(thingName="theirs")["thingTypeName"] == "other"
    assert iot.list_thing_principals(thingName="theirs")["principals"] == [certificate["certificateArn"]]


def test_the_topics_of_a_headset_name_its_environment(things):
    environment = "dev" if isinstance(things.port, IotThings) else ""

    assert things.port.create("headset-1").environment == environment
