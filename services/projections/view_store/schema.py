"""The one schema of the views, for SQLite and PostgreSQL.

Rows are added and never changed, except `tracking`, which holds how far the log has been read. A
decimal is text, so that no digit is lost; an instant is whole microseconds since 1970, which sort
and compare alike everywhere; JSON is kept as the bytes it came in.

A change here needs a migration (migrations/views), which lets the rows that are there be read; what
they say is made anew from the log where the fold has changed (fold, generations).
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    TypeDecorator,
    text,
)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

Whole = BigInteger().with_variant(Integer(), "sqlite")
Words = Text().with_variant(Text(collation="C"), "postgresql")
"""Text in the order of its code points, as SQLite has it: orders and cursors are the same."""


@lru_cache(maxsize=4_096)  # the rows of an event all bear the same ones
def microseconds(at: datetime) -> int:
    """An instant as it is stored."""
    return (at - _EPOCH) // _MICROSECOND


def instant(stored: int) -> datetime:
    """A stored instant, in UTC."""
    return _EPOCH + stored * _MICROSECOND


def instants(stored: Sequence[int | None]) -> list[datetime | None]:
    """A column of them."""
    # Not by `instant`: to call it takes as long as what it does.
    if None in stored:
        return [None if each is None else instant(each) for each in stored]
    return [_EPOCH + each * _MICROSECOND for each in stored if each is not None]


def decimals(stored: Sequence[str | None]) -> list[Decimal | None]:
    """A column of decimals, stored as their digits."""
    return [None if each is None else Decimal(each) for each in stored]


class Instant(TypeDecorator[datetime]):
    """An instant as microseconds since 1970."""

    impl = Whole
    cache_ok = True

    def process_bind_param(
        self, value: datetime | None, _dialect: Dialect | None = None
    ) -> int | None:
        return None if value is None else microseconds(value)

    def process_result_value(self, value: int | None, _dialect: Dialect) -> datetime | None:
        return None if value is None else instant(value)


class Number(TypeDecorator[Decimal]):
    """A decimal as its digits."""

    impl = Words
    cache_ok = True

    def process_bind_param(
        self, value: Decimal | None, _dialect: Dialect | None = None
    ) -> str | None:
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, _dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value)


class Json(TypeDecorator[bytes]):
    """JSON, as the bytes it came in."""

    impl = LargeBinary
    cache_ok = True


IS_MISSED: Final = text("event = 'missed'")
"""Spelt out, as a database takes the index for no other wording of it."""
IS_COMMENT: Final = text("event = 'CommentAdded'")
"""The same."""

metadata = MetaData()
_SQLITE: Final[dict[str, Any]] = {"sqlite_strict": True, "sqlite_with_rowid": False}


def _text(name: str) -> Column[str]:
    return Column(name, Words, nullable=False)


def _text_or_none(name: str) -> Column[str | None]:
    return Column(name, Words)


def _whole(name: str) -> Column[int]:
    return Column(name, Whole, nullable=False)


def _whole_or_none(name: str) -> Column[int | None]:
    return Column(name, Whole)


def _instant(name: str) -> Column[datetime]:
    return Column(name, Instant, nullable=False)


def _number_or_none(name: str) -> Column[Decimal | None]:
    return Column(name, Number)


event = Table(
    "event",
    metadata,
    _text("organisation_id"),
    _whole("position"),
    _text("kind"),
    _text("goal_id"),
    _text_or_none("cycle_id"),
    _instant("effective_at"),
    _instant("known_at_max"),
    Column("payload", Json, nullable=False),
    PrimaryKeyConstraint("organisation_id", "position"),
    Index("event_by_date", "organisation_id", "known_at_max", "position"),
    Index(
        "event_by_cycle",
        "organisation_id",
        "cycle_id",
        "position",
        sqlite_where=text("cycle_id IS NOT NULL"),
        postgresql_where=text("cycle_id IS NOT NULL"),
    ),
    **_SQLITE,
)

goal = Table(
    "goal",
    metadata,
    _text("organisation_id"),
    _text("kind"),
    _text("cycle_id"),
    _text("objective_id"),
    _text("goal_id"),
    _whole("position"),
    PrimaryKeyConstraint("organisation_id", "kind", "cycle_id", "objective_id", "goal_id"),
    Index("goal_by_id", "organisation_id", "kind", "goal_id", unique=True),
    **_SQLITE,
)

goal_version = Table(
    "goal_version",
    metadata,
    _text("organisation_id"),
    _text("kind"),
    _text("goal_id"),
    _whole("position"),
    _text_or_none("unit_id"),
    Column("state", Json, nullable=False),
    PrimaryKeyConstraint("organisation_id", "kind", "goal_id", "position"),
    Index(
        "version_by_unit",
        "organisation_id",
        "kind",
        "unit_id",
        "goal_id",
        sqlite_where=text("unit_id IS NOT NULL"),
        postgresql_where=text("unit_id IS NOT NULL"),
    ),
    **_SQLITE,
)

link = Table(
    "link",
    metadata,
    _text("organisation_id"),
    _text("cycle_id"),
    _text("kpi_id"),
    _whole("position"),
    _text("key_result_id"),
    PrimaryKeyConstraint("organisation_id", "cycle_id", "kpi_id", "position"),
    **_SQLITE,
)

alignment = Table(
    "alignment",
    metadata,
    _text("organisation_id"),
    _text("parent"),
    _whole("position"),
    _text("objective_id"),
    PrimaryKeyConstraint("organisation_id", "parent", "position"),
    **_SQLITE,
)

check_in = Table(
    "check_in",
    metadata,
    _text("organisation_id"),
    _text("key_result_id"),
    _instant("effective_at"),
    _whole("first_position"),
    _whole("position"),
    _text("check_in_id"),
    _text("event"),
    _number_or_none("value"),
    _whole_or_none("confidence"),
    _text_or_none("status"),
    _text("note"),
    _text("actor"),
    _instant("known_at"),
    _instant("recorded_at"),
    _text_or_none("provenance"),
    PrimaryKeyConstraint(
        "organisation_id", "key_result_id", "effective_at", "first_position", "position"
    ),
    **_SQLITE,
)

reading = Table(
    "reading",
    metadata,
    _text("organisation_id"),
    _text("kpi_id"),
    _instant("effective_at"),
    _whole("first_position"),
    _whole("position"),
    _text("period"),
    _text("source"),
    _text("event"),
    _number_or_none("value"),
    _number_or_none("value_was"),
    _whole_or_none("corrects"),
    _whole_or_none("definition_version"),
    _number_or_none("numerator"),
    _number_or_none("denominator"),
    _text("actor"),
    _instant("known_at"),
    _instant("recorded_at"),
    _text_or_none("reason"),
    _text_or_none("provenance"),
    PrimaryKeyConstraint("organisation_id", "kpi_id", "effective_at", "first_position", "position"),
    Index(
        "reading_missed",
        "organisation_id",
        "kpi_id",
        "effective_at",
        sqlite_where=IS_MISSED,
        postgresql_where=IS_MISSED,
    ),
    **_SQLITE,
)

change = Table(
    "change",
    metadata,
    _text("organisation_id"),
    _text("kind"),
    _text("goal_id"),
    _whole("position"),
    _text("event"),
    Column("fields", Json, nullable=False),
    _text("actor"),
    _text_or_none("on_behalf_of"),
    _instant("recorded_at"),
    _instant("known_at"),
    _instant("effective_at"),
    _text_or_none("reason"),
    _text_or_none("provenance"),
    PrimaryKeyConstraint("organisation_id", "kind", "goal_id", "position"),
    Index(
        "change_comments",
        "organisation_id",
        "kind",
        "goal_id",
        "position",
        sqlite_where=IS_COMMENT,
        postgresql_where=IS_COMMENT,
    ),
    **_SQLITE,
)

VIEWS: Final = {str(table.name): table for table in metadata.sorted_tables}
"""What is written from the log, by name; each may be exported."""

tracking = Table(
    "tracking",
    metadata,
    Column("application", Words, primary_key=True),
    _whole("position"),
    **_SQLITE,
)
