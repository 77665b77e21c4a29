"""What went out by itself is remembered."""

import sqlalchemy as sa
from alembic import op

revision = "sent"
down_revision = "generations"

_words = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "sent",
        sa.Column("organisation_id", _words, nullable=False),
        sa.Column("item", _words, nullable=False),
        sa.Column("taken_at", _whole, nullable=False),
        sa.Column("sent_at", _whole),
        sa.PrimaryKeyConstraint("organisation_id", "item"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
