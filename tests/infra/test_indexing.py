"""The configuration of fleet indexing is completed, and what others use of it stays."""

from types import SimpleNamespace

import pytest

from anc.schemas.shadow import INDEXED_FIELDS, SUMMARY_FIELDS
from infra.indexing import enable, with_fleet

OURS = [{"name": SUMMARY_FIELDS + name, "type": kind} for name, kind in INDEXED_FIELDS.items()]


def account(**present):
    """Return an account with a configuration, and `.updates`, the configurations that were written."""
    updates = []
    return SimpleNamespace(
        get_indexing_configuration=lambda: {"thingIndexingConfiguration": present},
        update_indexing_configuration=lambda **configuration: updates.extend(configuration.values()),
        updates=updates,
    )


def test_a_new_account_indexes_registrations_summaries_and_connections_only():
    iot = account(thingIndexingMode="OFF", managedFields=[{"name": "thingName", "type": "String"}])

    assert enable(iot)
    assert iot.updates == [
        {
            "thingIndexingMode": "REGISTRY",
            "thingConnectivityIndexingMode": "STATUS",
            "namedShadowIndexingMode": "ON",
            "filter": {"namedShadowNames": ["fleet"]},
            "customFields": OURS,
        }
    ]


def test_a_complete_configuration_is_not_written_again():
    iot = account(**with_fleet({}))

    assert not enable(iot)
    assert iot.updates == []


def test_what_other_applications_index_stays():
    field = {"name": "attributes.site", "type": "String"}
    present = {
        "thingIndexingMode": "REGISTRY_AND_SHADOW",
        "deviceDefenderIndexingMode": "VIOLATIONS",
        "filter": {"namedShadowNames": ["theirs"], "geoLocations": []},
        "customFields": [field],
    }

    wanted = with_fleet(present, quota=6)

    assert wanted["thingIndexingMode"] == "REGISTRY_AND_SHADOW"
    assert wanted["deviceDefenderIndexingMode"] == "VIOLATIONS"
    assert wanted["filter"] == {"namedShadowNames": ["theirs", "fleet"], "geoLocations": []}
    assert wanted["customFields"] == [field, *OURS]


def test_too_many_custom_fields_are_refused_with_the_quota():
    present = {"customFields": [{"name": "attributes.site", "type": "String"}]}

    with pytest.raises(ValueError, match=r"6 custom fields, 5 of them new, and the quota is 5"):
        with_fleet(present)


def test_a_field_of_another_type_is_refused_by_name():
    present = {"customFields": [{"name": SUMMARY_FIELDS + "attenuation_db", "type": "String"}]}

    with pytest.raises(ValueError, match=r"attenuation_db must be a Number \(it is a String\)"):
        with_fleet(present)
