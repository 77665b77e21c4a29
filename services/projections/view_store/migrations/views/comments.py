"""Where the comments are, without a look at all else that happened to a goal."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "comments"
down_revision = "changes_by_event"

_IS_COMMENT = sa.text("event = 'CommentAdded'")
STATISTICS: Final = "10000 5000 2000 3 1"
"""See units_and_statistics."""


def upgrade() -> None:
    op.create_index(
        "change_comments",
        "change",
        ["organisation_id", "kind", "goal_id", "position"],
        sqlite_where=_IS_COMMENT,
        postgresql_where=_IS_COMMENT,
    )
    if op.get_context().dialect.name == "sqlite":
        statistics = sa.table("sqlite_stat1", sa.column("tbl"), sa.column("idx"), sa.column("stat"))
        op.bulk_insert(
            statistics, [{"tbl": "change", "idx": "change_comments", "stat": STATISTICS}]
        )
        op.execute("ANALYZE sqlite_schema")
