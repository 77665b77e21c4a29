"""Which goals a unit has carried, without a walk through all of them."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "units_and_statistics"
down_revision = "first_views"

_HAS_UNIT = sa.text("unit_id IS NOT NULL")
STATISTICS: Final = {
    ("event", "event"): "1000000 100000 1",
    ("event", "event_by_date"): "1000000 100000 2 1",
    ("event", "event_by_cycle"): "500000 50000 20000 1",
    ("goal", "goal"): "100000 50000 20000 2000 3 1",
    ("goal", "goal_by_id"): "100000 50000 20000 1",
    ("goal_version", "goal_version"): "1000000 500000 200000 10 1",
    ("goal_version", "version_by_unit"): "300000 150000 100000 500 5",
    ("link", "link"): "4000 2000 200 2 1",
    ("alignment", "alignment"): "30000 15000 20 1",
    ("check_in", "check_in"): "1000000 500000 10 1 1 1",
    ("reading", "reading"): "1000000 500000 200 1 1 1",
    ("reading", "reading_missed"): "10000 5000 5 1",
    ("change", "change"): "4000000 2000000 800000 40 3 1",
}
"""How many rows SQLite shall take for granted, table and index, as ANALYZE would write it: all in
all, and for each further column of the index that is known. Without it a list of ids makes it walk
through everything; and with it the ways it takes are the same everywhere. PostgreSQL counts by
itself."""


def upgrade() -> None:
    op.create_index(
        "version_by_unit",
        "goal_version",
        ["organisation_id", "kind", "unit_id", "goal_id"],
        sqlite_where=_HAS_UNIT,
        postgresql_where=_HAS_UNIT,
    )
    if op.get_context().dialect.name == "sqlite":
        op.execute("ANALYZE tracking")  # makes the table for them
        statistics = sa.table("sqlite_stat1", sa.column("tbl"), sa.column("idx"), sa.column("stat"))
        op.bulk_insert(
            statistics,
            [
                {"tbl": table, "idx": index, "stat": rows}
                for (table, index), rows in STATISTICS.items()
            ],
        )
        op.execute("ANALYZE sqlite_schema")  # reads them; whoever connects later does by itself
