"""The views as they were when migrations began."""

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision = "first_views"
down_revision = None

_whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_words = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_IS_MISSED = sa.text("event = 'missed'")
_HAS_CYCLE = sa.text("cycle_id IS NOT NULL")
_SQLITE: Final[dict[str, Any]] = {"sqlite_strict": True, "sqlite_with_rowid": False}


def upgrade() -> None:
    op.create_table(
        "event",
        sa.Column("organisation_id", _words, nullable=False),
        sa.Column("position", _whole, nullable=False),
        sa.Column("kind", _words, nullable=False),
        sa.Column("goal_id", _words, nullable=False),
        sa.Column("cycle_id", _words),
        sa.Column("effective_at", _whole, nullable=False),
        sa.Column("known_at_max", _whole, nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("organisation_id", "position"),
        **_SQLITE,
    )
    op.create_index("event_by_date", "event", ["organisation_id", "known_at_max", "position"])
    op.create_index(
        "event_by_cycle",
        "event",
        ["organisation_id", "cycle_id", "position"],
        sqlite_where=_HAS_CYCLE,
        postgresql_where=_HAS_CYCLE,
    )
    op.create_table(
        "goal",
        sa.Column("organisation_id", _words, nullable=False),
        sa.Column("kind", _words, nullable=False),
        sa.Column("cycle_id", _words, nullable=False),
        sa.Column("objective_id", _words, nullable=False),
        sa.Column("goal_id", _words, nullable=False),
        sa.Column("position", _whole, nullable=False),
        sa.PrimaryKeyConstraint("organisation_id", "kind", "cycle_id", "objective_id", "goal_id"),
        **_SQLITE,
    )
    op.create_index("goal_by_id", "goal", ["organisation_id", "kind", "goal_id"], unique=True)
    op.create_table(
        "goal_version",
        sa.Column("organisation_id", _words, nullable=False),
        sa.Column("kind", _words, nullable=False),
        sa.Column("goal_id", _words, nullable=False),
        sa.Column("position", _whole, nullable=False),
        sa.Column("unit_id", _words),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("organisation_id", "kind", "goal_id", "position"),
        **_SQLITE,
    )
    op.create_table(
        "link",
        sa.Column("organisation_id", _words, nullable=False),
        sa.Column("cycle_id", _words, nullable=False),
        sa.Column("kpi_id", _words, nullable=False),
        sa.Column("position", _whole, nullable=False),
        sa.Column("key_result_id", _words, nullable=False),
        sa.PrimaryKeyConstraint("organisation_id", "cycle_id", "kpi_id", "position"),
        **_SQLITE,
    )
    op.create_table(
        "alignment",
        sa.Column("organisation_id", _words, nullable=False),
        sa.Column("parent", _words, nullable=False),
        sa.Column("position", _whole, nullable=False),
        sa.Column("objective_id", _words, nullable=False),
        sa.PrimaryKeyConstraint("organisation_id", "parent", "position"),
        **_SQLITE,
    )
    op.create_table(
        "check_in",
        sa.Column("organisation_id", _words, nullable=False),
        sa.Column("key_result_id", _words, nullable=False),
        sa.Column("effective_at", _whole, nullable=False),
        sa.Column("first_position", _whole, nullable=False),
        sa.Column("position", _whole, nullable=False),
        sa.Column("check_in_id", _words, nullable=False),
        sa.Column("event", _words, nullable=False),
        sa.Column("value", _words),
        sa.Column("confidence", _whole),
        sa.Column("status", _words),
        sa.Column("note", _words, nullable=False),
        sa.Column("actor", _words, nullable=False),
        sa.Column("known_at", _whole, nullable=False),
        sa.Column("recorded_at", _whole, nullable=False),
        sa.Column("provenance", _words),
        sa.PrimaryKeyConstraint(
            "organisation_id", "key_result_id", "effective_at", "first_position", "position"
        ),
        **_SQLITE,
    )
    op.create_table(
        "reading",
        sa.Column("organisation_id", _words, nullable=False),
        sa.Column("kpi_id", _words, nullable=False),
        sa.Column("effective_at", _whole, nullable=False),
        sa.Column("first_position", _whole, nullable=False),
        sa.Column("position", _whole, nullable=False),
        sa.Column("period", _words, nullable=False),
        sa.Column("source", _words, nullable=False),
        sa.Column("event", _words, nullable=False),
        sa.Column("value", _words),
        sa.Column("value_was", _words),
        sa.Column("corrects", _whole),
        sa.Column("definition_version", _whole),
        sa.Column("numerator", _words),
        sa.Column("denominator", _words),
        sa.Column("actor", _words, nullable=False),
        sa.Column("known_at", _whole, nullable=False),
        sa.Column("recorded_at", _whole, nullable=False),
        sa.Column("reason", _words),
        sa.Column("provenance", _words),
        sa.PrimaryKeyConstraint(
            "organisation_id", "kpi_id", "effective_at", "first_position", "position"
        ),
        **_SQLITE,
    )
    op.create_index(
        "reading_missed",
        "reading",
        ["organisation_id", "kpi_id", "effective_at"],
        sqlite_where=_IS_MISSED,
        postgresql_where=_IS_MISSED,
    )
    op.create_table(
        "change",
        sa.Column("organisation_id", _words, nullable=False),
        sa.Column("kind", _words, nullable=False),
        sa.Column("goal_id", _words, nullable=False),
        sa.Column("position", _whole, nullable=False),
        sa.Column("ordinal", _whole, nullable=False),
        sa.Column("event", _words, nullable=False),
        sa.Column("field", _words, nullable=False),
        sa.Column("was", sa.LargeBinary()),
        sa.Column("now", sa.LargeBinary()),
        sa.Column("actor", _words, nullable=False),
        sa.Column("on_behalf_of", _words),
        sa.Column("recorded_at", _whole, nullable=False),
        sa.Column("known_at", _whole, nullable=False),
        sa.Column("effective_at", _whole, nullable=False),
        sa.Column("reason", _words),
        sa.Column("provenance", _words),
        sa.PrimaryKeyConstraint("organisation_id", "kind", "goal_id", "position", "ordinal"),
        **_SQLITE,
    )
    op.create_table(
        "tracking",
        sa.Column("application", _words, primary_key=True),
        sa.Column("position", _whole, nullable=False),
        **_SQLITE,
    )
