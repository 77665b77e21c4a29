"""Which generations of the views there are."""

import sqlalchemy as sa
from alembic import op

revision = "generations"
down_revision = None

_words = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "generation",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("stream", _words, nullable=False),
        sa.Column("fold", _words, nullable=False),
        sa.Column("state", _words, nullable=False),
        sqlite_strict=True,
    )
