"""The tables that belong to the service and outlive every generation of its views.

What cannot be made anew from the log alone has its place here. A change needs a migration
(migrations/service).
"""

from typing import Final

from sqlalchemy import Column, MetaData, PrimaryKeyConstraint, Table

from services.projections.view_store.schema import Instant, Whole, Words

metadata = MetaData()

BUILDING: Final = "building"
COMPLETE: Final = "complete"
DROPPED: Final = "dropped"

generation = Table(
    "generation",
    metadata,
    Column("number", Whole, primary_key=True, autoincrement=False),
    Column("stream", Words, nullable=False),
    Column("fold", Words, nullable=False),
    Column("state", Words, nullable=False),
    sqlite_strict=True,
)
"""The newest complete one answers; a building one is newer. A number is never given again."""

sent = Table(
    "sent",
    metadata,
    Column("organisation_id", Words, nullable=False),
    Column("item", Words, nullable=False),
    Column("taken_at", Instant, nullable=False),
    Column("sent_at", Instant),
    PrimaryKeyConstraint("organisation_id", "item"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""What went out by itself, or is being sent since `taken_at`."""
