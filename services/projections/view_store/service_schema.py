"""The tables that belong to the service and outlive every generation of its views.

What cannot be made anew from the log alone has its place here. A change needs a migration
(migrations/service).
"""

from typing import Final

from sqlalchemy import Column, MetaData, Table

from services.projections.view_store.schema import Whole, Words

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
