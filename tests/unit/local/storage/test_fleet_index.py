"""A fleet index that an earlier version stored."""

from pathlib import Path

from anc.fleet_records import FleetQuery, HeadsetSummary
from local.storage.database import Database
from local.storage.fleet_index import SqliteFleetIndex


def test_an_index_without_display_names_gets_them(tmp_path: Path) -> None:
    database = Database(tmp_path / "index.sqlite")
    SqliteFleetIndex(database).update(HeadsetSummary(thing="left", model="AX2"))
    database.connection.execute("ALTER TABLE fleet_summaries DROP COLUMN name")
    index = SqliteFleetIndex(database)
    assert index.search(FleetQuery()).headsets == [HeadsetSummary(thing="left", model="AX2")]
    index.update(HeadsetSummary(thing="left", name="Ada"))

    assert index.search(FleetQuery()).headsets == [HeadsetSummary(thing="left", name="Ada", model="AX2")]
