"""What the registry of headsets promises, whoever keeps it."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key


def test_an_enrolled_headset_gets_a_working_certificate_and_where_to_connect(things):
    given = things.port.enrol("headset-1")

    assert things.active("headset-1", given.certificate_id)
    assert given.endpoint
    assert given.port
    load_pem_private_key(given.private_key.encode(), None)
    assert x509.load_pem_x509_certificates((given.certificate + given.ca).encode())


def test_every_headset_gets_a_certificate_of_its_own(things):
    one, other = things.port.enrol("headset-1"), things.port.enrol("headset-2")

    assert one.certificate_id != other.certificate_id
    assert one.private_key != other.private_key


def test_a_revoked_headset_is_thrown_out_and_cannot_come_back(things):
    given = things.port.enrol("headset-1")
    things.port.revoke("headset-1", given.certificate_id)

    assert not things.active("headset-1", given.certificate_id)
    assert things.cut == ["headset-1"]


def test_revoking_one_headset_leaves_the_others_alone(things):
    one, other = things.port.enrol("headset-1"), things.port.enrol("headset-2")
    things.port.revoke("headset-1", one.certificate_id)

    assert things.active("headset-2", other.certificate_id)
    assert things.cut == ["headset-1"]


@pytest.mark.parametrize("times", [2, 3])
def test_a_revocation_may_be_repeated(things, times):
    given = things.port.enrol("headset-1")
    for _ in range(times):
        things.port.revoke("headset-1", given.certificate_id)

    assert not things.active("headset-1", given.certificate_id)


def test_a_headset_may_be_enrolled_again_after_its_revocation(things):
    old = things.port.enrol("headset-1")
    things.port.revoke("headset-1", old.certificate_id)
    new = things.port.enrol("headset-1")

    assert things.active("headset-1", new.certificate_id)
    assert not things.active("headset-1", old.certificate_id)


def test_revoking_an_old_certificate_leaves_a_headset_enrolled_anew_alone(things):
    old = things.port.enrol("headset-1")
    things.port.revoke("headset-1", old.certificate_id)
    new = things.port.enrol("headset-1")
    things.port.revoke("headset-1", old.certificate_id)

    assert things.active("headset-1", new.certificate_id)
    assert things.cut == ["headset-1"]


def test_with_a_headset_go_all_its_certificates(things):
    one, other = things.port.enrol("headset-1"), things.port.enrol("headset-1")
    things.port.revoke("headset-1", one.certificate_id)

    assert not things.active("headset-1", one.certificate_id)
    assert not things.active("headset-1", other.certificate_id)


def test_with_a_new_certificate_the_old_one_is_useless_at_once_and_the_connection_cut(things):
    old, other = things.port.enrol("headset-1"), things.port.enrol("headset-2")
    new = things.port.enrol("headset-1")
    for _ in range(2):  # again changes nothing
        things.port.retire("headset-1", new.certificate_id)

    assert things.active("headset-1", new.certificate_id)
    assert not things.active("headset-1", old.certificate_id)
    assert things.active("headset-2", other.certificate_id)
    assert set(things.cut) == {"headset-1"}


def test_a_headset_whose_certificate_was_rotated_can_be_revoked(things):
    things.port.enrol("headset-1")
    new = things.port.enrol("headset-1")
    things.port.retire("headset-1", new.certificate_id)
    things.port.revoke("headset-1", new.certificate_id)

    assert not things.active("headset-1", new.certificate_id)
