"""Enable fleet indexing for the fleet page: run `python -m infra.indexing` after a deployment.

An account and region has one configuration, which other applications may use too, and CloudFormation has no
resource for it. This adds what is missing and removes nothing.
"""

import argparse
import sys
from collections.abc import Mapping
from typing import Any

import boto3

from anc.schemas.shadow import INDEXED_FIELDS, SUMMARY_FIELDS, SUMMARY_SHADOW
from infra.environment import REGION

MAX_CUSTOM_FIELDS = 5  # default quota of an account


def main() -> None:
    """Enable fleet indexing, or print what is in the way and exit with 1."""
    parser = argparse.ArgumentParser(prog="python -m infra.indexing", description=__doc__)
    parser.add_argument("--region", default=REGION)
    parser.add_argument(
        "--fields", type=int, default=MAX_CUSTOM_FIELDS, help="the account's quota of custom fields"
    )
    arguments = parser.parse_args()
    iot = boto3.client("iot", region_name=arguments.region)
    try:
        changed = enable(iot, arguments.fields)
        print("Fleet indexing was enabled." if changed else "Fleet indexing is already enabled.")
    except ValueError as fault:
        sys.exit(str(fault))


def enable(iot: Any, quota: int = MAX_CUSTOM_FIELDS) -> bool:
    """Add what the fleet index needs to the configuration; return whether anything was missing.

    Raises
    ------
    ValueError
        When the custom fields would exceed the quota, or a field has another type.
    """
    present = iot.get_indexing_configuration().get("thingIndexingConfiguration", {})
    wanted = with_fleet(present, quota)
    if wanted == {name: value for name, value in present.items() if name != "managedFields"}:
        return False
    iot.update_indexing_configuration(thingIndexingConfiguration=wanted)
    return True


def with_fleet(present: Mapping[str, Any], quota: int = MAX_CUSTOM_FIELDS) -> dict[str, Any]:
    """Return a configuration with the summaries of headsets, and the connections of things."""
    shadows = present.get("filter", {}).get("namedShadowNames", [])
    fields = {field["name"]: field["type"] for field in present.get("customFields", ())}
    for name, kind in INDEXED_FIELDS.items():
        field = SUMMARY_FIELDS + name
        if fields.setdefault(field, kind) != kind:
            raise ValueError(f"The custom field {field} must be a {kind} (it is a {fields[field]})")
    added = len(fields) - len(present.get("customFields", ()))
    if added and len(fields) > quota:
        raise ValueError(
            f"Fleet indexing would have {len(fields)} custom fields, {added} of them new, and the quota is"
            f" {quota}: request an increase, and run this with --fields {len(fields)}"
        )
    mode = present.get("thingIndexingMode", "OFF")
    return {
        **{name: value for name, value in present.items() if name != "managedFields"},
        "thingIndexingMode": "REGISTRY" if mode == "OFF" else mode,
        "thingConnectivityIndexingMode": "STATUS",
        "namedShadowIndexingMode": "ON",
        "filter": {
            **present.get("filter", {}),
            "namedShadowNames": [*shadows, *({SUMMARY_SHADOW} - {*shadows})],
        },
        "customFields": [{"name": name, "type": kind} for name, kind in fields.items()],
    }


if __name__ == "__main__":
    main()
