"""A simulated fleet is written through the services, and is the same for the same seed."""

from anc.fleet_records import FleetQuery
from anc.services.headsets import fleet_history
from tests.fakes import Clock, make_dependencies
from tools import fleet_population


def test_a_fleet_is_the_same_for_the_same_seed():
    once, again, other = (list(fleet_population.states(50, seed)) for seed in (1, 1, 2))

    assert once == again != other


def test_headsets_are_registered_report_and_are_in_the_index(tmp_path):
    deps = make_dependencies(tmp_path, Clock(), emergency_detection_enabled=False).deps
    done = []

    fleet_population.add(deps, 40, seed=3, progress=done.append)

    found = deps.fleet_index.search(FleetQuery()).headsets
    assert done[-1] == len(found) == 40
    assert len(fleet_history.history(30, deps)) == 30
    assert {tag for headset in found for tag in headset.tags or ()} == {*fleet_population.TAGS}
    assert {headset.owner for headset in found} == {"user-0000", "user-0001"}
    assert all(headset.model and headset.firmware and headset.noise for headset in found)
    assert all(deps.devices.get(headset.thing) and deps.telemetry.get(headset.thing) for headset in found)


def test_one_version_attenuates_less(tmp_path):
    deps = make_dependencies(tmp_path, Clock(), emergency_detection_enabled=False).deps
    fleet_population.add(deps, 150, seed=3)

    groups = deps.fleet_index.groups(FleetQuery(), "firmware")

    assert min(groups, key=lambda group: group.attenuation.median_db).value == "1.4.2"


def test_adding_a_fleet_again_adds_no_headsets(tmp_path):
    deps = make_dependencies(tmp_path, Clock(), emergency_detection_enabled=False).deps
    for _ in range(2):
        fleet_population.add(deps, 5, seed=3)

    assert deps.fleet_index.count(FleetQuery()) == 5
