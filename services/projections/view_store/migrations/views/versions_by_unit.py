"""Goals by the unit that carried them, and how much SQLite takes for granted."""

import sqlalchemy as sa
from alembic import op

from services.projections.view_store import schema

revision = "versions_by_unit"
down_revision = "first_views"

_HAS_UNIT = sa.text("unit_id IS NOT NULL")


def upgrade() -> None:
    op.create_index(
        "version_by_unit",
        "goal_version",
        ["organisation_id", "kind", "unit_id", "goal_id"],
        sqlite_where=_HAS_UNIT,
        postgresql_where=_HAS_UNIT,
    )
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("ANALYZE")  # makes the table for them
        connection.exec_driver_sql(
            "INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (?, ?, ?)",
            [(*names, numbers) for names, numbers in schema.SQLITE_STATISTICS.items()],
        )
        connection.exec_driver_sql("ANALYZE sqlite_schema")  # reads them
