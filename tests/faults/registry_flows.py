"""The flows of registrations, claims and API keys."""

from typing import Any

from anc.schemas.claim import Claim
from anc.schemas.refusal import Refused
from anc.services.access import api_keys, identity
from anc.services.headsets import claims, device_models, devices
from anc.services.headsets.devices import Registration
from tests.factory_claims import claim
from tests.fakes import ALICE
from tests.faults.flow import PATH, RATE, TAPS, unless
from tests.faults.platform import FaultyPlatform


def register_and_remove(here: FaultyPlatform, thing: str) -> None:
    request = Registration(thing, PATH, rate=RATE, taps=TAPS)
    for _ in range(2):
        here.request(lambda deps: _register(request, deps))
        _check_certificates(here, thing)
        here.request(lambda deps: unless("unknown_device", devices.remove, thing, ALICE, deps))
    here.request(lambda deps: _register(request, deps))


def _register(request: Registration, deps: Any) -> None:
    """Register a headset; after a lost answer remove it, since its certificate is lost too."""
    try:
        devices.register(request, ALICE, deps)
    except Refused as refusal:
        if refusal.code != "exists":
            raise
        devices.remove(request.thing, ALICE, deps)
        devices.register(request, ALICE, deps)


def _check_certificates(here: FaultyPlatform, thing: str) -> None:
    device = here.fake.deps.devices.get(thing)
    assert device is not None
    owners = here.fake.things.owners
    active = {each for each in here.fake.things.active if owners.get(each) == thing}
    assert active == {device.certificate}, "another certificate is valid"


def check_registered(here: FaultyPlatform, thing: str) -> None:
    _check_certificates(here, thing)
    usage = here.fake.deps.usages.get("devices#alice")
    assert usage is None or thing in usage.items, "the headset is not counted"


def preregistered(here: FaultyPlatform, serial: str) -> None:
    deps, maker = here.fake.deps, identity.Caller("maker", "operator")
    device_models.describe("model", device_models.ModelDescription(secondary=PATH), deps)
    claims.preregister("model", [serial], maker, deps)


def claim_serial(here: FaultyPlatform, serial: str) -> None:
    for number in (1, 2):  # a headset claims again after its power failed
        event = claim(serial, number=number)
        here.request(lambda deps, event=event: claims.authorize_claim(Claim.of(event), deps))
        here.fake.things.activate(serial, event["certificateId"])  # as AWS IoT does after the hook


def check_claimed(here: FaultyPlatform, serial: str) -> None:
    _check_certificates(here, serial)


def create_and_revoke_key(here: FaultyPlatform, name: str) -> None:
    owner = identity.Caller(f"user-{name}")
    key, secret = here.request(lambda deps: api_keys.create("robot", "listener", 30, owner, deps))
    assert identity.verify(secret, here.fake.deps).user == owner.user
    here.request(lambda deps: unless("unknown_key", api_keys.revoke, key.key, owner, deps))
    try:
        identity.verify(secret, here.fake.deps)
    except Refused:
        return
    raise AssertionError("a revoked key is valid")


def check_keys(here: FaultyPlatform, name: str) -> None:
    """Check that at most one key whose answer was lost is left."""
    left = here.fake.deps.api_keys.list(f"user-{name}")
    assert len(left) <= 1, "a revoked key is left"


def nothing(here: FaultyPlatform, name: str) -> None:
    return None
