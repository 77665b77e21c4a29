"""All that an event changed in one row."""

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision = "changes_by_event"
down_revision = "units_and_statistics"

_whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_words = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_SQLITE: Final[dict[str, Any]] = {"sqlite_strict": True, "sqlite_with_rowid": False}

_COMMON: Final = ("organisation_id", "kind", "goal_id", "position")
_SAID: Final = (
    "actor",
    "on_behalf_of",
    "recorded_at",
    "known_at",
    "effective_at",
    "reason",
    "provenance",
)
_FIELDS: Final = {
    "sqlite": "CAST(json_group_array(json_array(field, json(was), json(now))) AS BLOB)",
    "postgresql": (
        "convert_to(json_agg(json_build_array(field, convert_from(was, 'UTF8')::json, "
        "convert_from(now, 'UTF8')::json) ORDER BY ordinal)::text, 'UTF8')"
    ),
}
STATISTICS: Final = "1000000 500000 200000 10 1"
"""See units_and_statistics."""


def upgrade() -> None:
    op.rename_table("change", "change_by_field")
    op.create_table(
        "change",
        sa.Column("organisation_id", _words, nullable=False),
        sa.Column("kind", _words, nullable=False),
        sa.Column("goal_id", _words, nullable=False),
        sa.Column("position", _whole, nullable=False),
        sa.Column("event", _words, nullable=False),
        sa.Column("fields", sa.LargeBinary(), nullable=False),
        sa.Column("actor", _words, nullable=False),
        sa.Column("on_behalf_of", _words),
        sa.Column("recorded_at", _whole, nullable=False),
        sa.Column("known_at", _whole, nullable=False),
        sa.Column("effective_at", _whole, nullable=False),
        sa.Column("reason", _words),
        sa.Column("provenance", _words),
        sa.PrimaryKeyConstraint(*_COMMON),
        **_SQLITE,
    )
    dialect = op.get_context().dialect.name
    said = ", ".join(_SAID)
    of_event = ", ".join((*_COMMON, "event", *_SAID))
    # SQLite takes the rows of a group in the order in which they are handed to it.
    op.execute(
        f"INSERT INTO change SELECT {', '.join(_COMMON)}, event, {_FIELDS[dialect]}, {said} "  # noqa: S608 - our own names
        f"FROM (SELECT * FROM change_by_field ORDER BY {', '.join(_COMMON)}, ordinal) AS each "
        f"GROUP BY {of_event}"
    )
    op.drop_table("change_by_field")
    if dialect == "sqlite":
        op.execute(
            sa.text("UPDATE sqlite_stat1 SET stat = :stat WHERE tbl = 'change'").bindparams(
                stat=STATISTICS
            )
        )
        op.execute("ANALYZE sqlite_schema")
    else:
        op.execute("ALTER INDEX change_pkey1 RENAME TO change_pkey")
