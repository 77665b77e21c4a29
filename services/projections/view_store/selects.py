"""What a reader of the views asks a database, each time bounded by a position (see reader)."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    FromClause,
    Select,
    Text,
    and_,
    bindparam,
    case,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy import tuple_ as row_of

from services.projections.view_store import kept, schema
from services.projections.view_store.statements import (
    IsListed,
    ListStatement,
    Statement,
    TableStatement,
)

KEY: Final = (schema.goal.c.cycle_id, schema.goal.c.objective_id, schema.goal.c.goal_id)
_VERSION_KEY: Final = (schema.goal.c.kind, *KEY)
_ORGANISATION: Final[BindParameter[str]] = bindparam("organisation_id")
_KIND: Final[BindParameter[str]] = bindparam("kind")
_KNOWN: Final[BindParameter[int]] = bindparam("known")
_STRUCTURE: Final[BindParameter[int]] = bindparam("structure")
_AS_OF: Final[BindParameter[datetime]] = bindparam("as_of")
_LIMIT: Final[BindParameter[int]] = bindparam("limit")
_LAST: Final = schema.goal_version.alias().c
"""Of a thing's versions the last one up to a position."""
_ONE: Final[ColumnElement[Any]] = literal_column("1")
"""As a limit: told with the text, so that a database can count on it."""


_POSITION_KNOWN_AT: Final = (
    select(schema.event.c.position)
    .where(
        schema.event.c.organisation_id == _ORGANISATION,
        schema.event.c.known_at_max <= bindparam("known_at"),
    )
    .order_by(schema.event.c.known_at_max.desc(), schema.event.c.position.desc())
    .limit(_ONE)
)
"""The greatest position whose running maximum of `known_at` is not after a date."""
_AT: Final = _POSITION_KNOWN_AT.subquery("moment")
_MOMENT: Final = _AT.c
"""The same, for a statement that asks from there."""


def _of_goal(version: Any) -> tuple[ColumnElement[bool], ...]:  # noqa: ANN401  # columns of a table
    goal = schema.goal.c
    return (
        version.organisation_id == goal.organisation_id,
        version.kind == goal.kind,
        version.goal_id == goal.goal_id,
    )


def stood(
    organisation_id: ColumnElement[str],
    kind: ColumnElement[str],
    structure: ColumnElement[int],
) -> Select[*tuple[Any, ...]]:
    """Each thing of a kind with its state after its last version up to a position."""
    goal = schema.goal.c
    return select(*KEY, _last_state(structure, *_of_goal(_LAST))).where(
        goal.organisation_id == organisation_id,
        goal.kind == kind,
        goal.position <= structure,
    )


def _last_state(at_most: ColumnElement[int], *where: ColumnElement[bool]) -> ColumnElement[bytes]:
    return _of_last_version(_LAST.state, at_most, *where)


def _of_last_version(
    column: ColumnElement[Any], at_most: ColumnElement[int], *where: ColumnElement[bool]
) -> ColumnElement[Any]:
    # Asked for like this it is one look at the index.
    return (
        select(column)
        .where(*where, _LAST.position <= at_most)
        .order_by(_LAST.position.desc())
        .limit(_ONE)
        .correlate(schema.goal, _AT)
        .scalar_subquery()
        .label(None)
    )


def of_units(unit_ids: Collection[str]) -> ColumnElement[bool]:
    """For events: units themselves, and what belonged to one of them when it happened."""
    event, goal, version = schema.event.c, schema.goal.c, schema.goal_version.c
    owner_kind = case((event.kind == "key_result", "objective"), else_=event.kind)
    owner_id = case((event.kind == "key_result", goal.objective_id), else_=event.goal_id)
    unit_id = (
        select(version.unit_id)
        .select_from(schema.goal)
        .join(
            schema.goal_version,
            and_(
                version.organisation_id == event.organisation_id,
                version.kind == owner_kind,
                version.goal_id == owner_id,
                version.position <= event.position,
            ),
        )
        .where(
            goal.organisation_id == event.organisation_id,
            goal.kind == event.kind,
            goal.goal_id == event.goal_id,
        )
        .order_by(version.position.desc())
        .limit(1)
        .correlate(schema.event)
        .scalar_subquery()
    )
    return or_(and_(event.kind == "unit", event.goal_id.in_(unit_ids)), unit_id.in_(unit_ids))


def _kpis_stood() -> Select[*tuple[Any, ...]]:
    """Each KPI as it stood, or as it was first defined, and its newest version that was known.

    The latter is NULL where both are looked for up to the same position, as mostly.
    """
    return _of_kpis(schema.goal.c.goal_id, *_of_versions_of_kpis(_LAST.state))


def _of_versions_of_kpis(column: ColumnElement[Any]) -> tuple[ColumnElement[Any], ...]:
    goal = schema.goal.c
    begun = case((goal.position > _STRUCTURE, goal.position), else_=_STRUCTURE)
    of_goal = _of_goal(_LAST)
    newest = case((begun < _KNOWN, _of_last_version(column, _KNOWN, *of_goal)), else_=None)
    return _of_last_version(column, begun, *of_goal), newest


def _of_kpis(*columns: ColumnElement[Any]) -> Select[*tuple[Any, ...]]:
    goal = schema.goal.c
    return select(*columns).where(
        goal.organisation_id == _ORGANISATION,
        goal.kind == "kpi",
        goal.position <= _KNOWN,
    )


def _after_kpi(kpis: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    goal = schema.goal.c
    return (
        kpis.where(goal.cycle_id == "", goal.objective_id == "", goal.goal_id > bindparam("after"))
        .order_by(goal.goal_id)
        .limit(_LIMIT)
    )


def _kpi_marks() -> Select[*tuple[Any, ...]]:
    row, other = schema.reading.alias().c, schema.reading.alias().c
    of_kpi = [
        (each.organisation_id == _ORGANISATION, each.kpi_id == schema.goal.c.goal_id)
        for each in (row, other)
    ]
    last = (
        select(other.effective_at)
        .where(
            *of_kpi[1],
            other.position <= _KNOWN,
            other.effective_at <= _AS_OF,
            _is_said(other.event),
        )
        .order_by(other.effective_at.desc())
        .limit(_ONE)
        .correlate(schema.goal)
        .scalar_subquery()
    )
    said = (
        select(func.max(row.position))
        .where(*of_kpi[0], row.position <= _KNOWN, row.effective_at == last)
        .correlate(schema.goal)
        .scalar_subquery()
    )
    versions = _of_versions_of_kpis(_LAST.position)
    return _of_kpis(schema.goal.c.goal_id, *versions, said)


def _is_said(event: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether somebody said a value."""
    return event.in_([literal_column("'recorded'"), literal_column("'corrected'")])


def _last_check_ins(listed: FromClause) -> Select[*tuple[Any, ...]]:
    """What was said of each listed key result at the last date of which anything was said."""
    row, other = schema.check_in.c, schema.check_in.alias().c
    last = (
        select(other.effective_at)
        .where(
            other.organisation_id == _ORGANISATION,
            other.key_result_id == listed.c.key_result_id,
            other.position <= _KNOWN,
            other.effective_at <= _AS_OF,
        )
        .order_by(other.effective_at.desc())
        .limit(_ONE)
        .correlate(listed)
        .scalar_subquery()
    )
    return (
        select(schema.check_in)
        .select_from(listed)
        .join(
            schema.check_in,
            and_(row.key_result_id == listed.c.key_result_id, row.effective_at == last),
        )
        .where(row.organisation_id == _ORGANISATION, row.position <= _KNOWN)
    )


def _last_check_in(listed: FromClause) -> Select[*tuple[Any, ...]]:
    """Only what comes last of it, in one look at the index."""
    row = schema.check_in.c
    last = (
        select(schema.check_in)
        .where(
            row.organisation_id == _ORGANISATION,
            row.key_result_id == listed.c.key_result_id,
            row.position <= _KNOWN,
            row.effective_at <= _AS_OF,
        )
        .order_by(row.effective_at.desc(), row.first_position.desc(), row.position.desc())
        .limit(_ONE)
        .lateral()
    )
    return select(last).select_from(listed).join(last, true())


def _readings(known: ColumnElement[int]) -> Select[*tuple[Any, ...]]:
    """What was said of a KPI."""
    column = schema.reading.c
    return select(schema.reading).where(
        column.organisation_id == _ORGANISATION,
        column.kpi_id == bindparam("kpi_id"),
        column.position <= known,
        column.effective_at <= _AS_OF,
    )


def _last_said(listed: FromClause) -> Select[*tuple[Any, ...]]:
    """What was said of the last period in each listed span, with the span."""
    other = schema.reading.alias().c
    within = other.effective_at >= listed.c.since, other.effective_at <= listed.c.until
    return _last_period(listed, other, within, listed.c.kpi_id, listed.c.since, listed.c.until)


def _last_readings(listed: FromClause) -> Select[*tuple[Any, ...]]:
    """What was said of the last period of each listed KPI."""
    other = schema.reading.alias().c
    return _last_period(listed, other, (other.effective_at <= _AS_OF,))


def _last_period(
    listed: FromClause,
    other: Any,  # noqa: ANN401  # columns of readings
    within: tuple[ColumnElement[bool], ...],
    *told: ColumnElement[Any],
) -> Select[*tuple[Any, ...]]:
    row = schema.reading.c
    last = (
        select(other.effective_at)
        .where(
            other.organisation_id == _ORGANISATION,
            other.kpi_id == listed.c.kpi_id,
            other.position <= _KNOWN,
            *within,
            _is_said(other.event),
        )
        .order_by(other.effective_at.desc())
        .limit(_ONE)
        .correlate(listed)
        .scalar_subquery()
    )
    return (
        select(*told, schema.reading)
        .select_from(listed)
        .join(schema.reading, and_(row.kpi_id == listed.c.kpi_id, row.effective_at == last))
        .where(row.organisation_id == _ORGANISATION, row.position <= _KNOWN)
    )


def _done_late(listed: FromClause) -> Select[*tuple[Any, ...]]:
    """Where something happened in each listed cycle after a position."""
    column = schema.event.c
    return (
        select(listed.c.cycle_id, column.position)
        .select_from(listed)
        .join(
            schema.event,
            and_(column.cycle_id == listed.c.cycle_id, column.position > listed.c.after),
        )
        .where(column.organisation_id == _ORGANISATION, column.position <= _KNOWN)
    )


def _said_late(listed: FromClause) -> Select[*tuple[Any, ...]]:
    """Where, after a position, something was said of the time of each listed cycle.

    It was of the KPIs that its key results follow or have followed.
    """
    row, link = schema.reading.c, schema.link.c
    return (
        select(listed.c.cycle_id, row.position)
        .select_from(listed)
        .join(schema.link, link.cycle_id == listed.c.cycle_id)
        .join(
            schema.reading,
            and_(
                row.kpi_id == link.kpi_id,
                row.effective_at >= listed.c.since,
                row.effective_at <= listed.c.until,
                row.position > listed.c.after,
            ),
        )
        .where(
            link.organisation_id == _ORGANISATION,
            link.position <= _KNOWN,
            row.organisation_id == _ORGANISATION,
            row.position <= _KNOWN,
        )
    )


def _home_of(structure: ColumnElement[int]) -> Select[*tuple[Any, ...]]:
    """Where a thing belongs, how it and its objective stood, and whether it was commented on."""
    goal, change = schema.goal.c, schema.change.c
    of_objective = (
        _LAST.organisation_id == goal.organisation_id,
        _LAST.kind == literal_column("'objective'"),
        _LAST.goal_id == goal.objective_id,
    )
    is_commented = (
        select(_ONE)
        .where(
            change.organisation_id == goal.organisation_id,
            change.kind == goal.kind,
            change.goal_id == goal.goal_id,
            schema.IS_COMMENT,
        )
        .correlate(schema.goal)
        .exists()
    )
    return select(
        *KEY,
        _last_state(structure, *_of_goal(_LAST)),
        _last_state(structure, *of_objective),
        goal.position,
        is_commented,
    ).where(
        goal.organisation_id == _ORGANISATION,
        goal.kind == _KIND,
        goal.goal_id == bindparam("goal_id"),
    )


def _at_moment(wanted: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    """The same from the moment's position, which comes last."""
    return wanted.add_columns(_MOMENT.position)


def _once_missed(is_listed: IsListed) -> Select[*tuple[Any, ...]]:
    """What was said of the periods that were missed; twice, where several were missed at once."""
    row = schema.reading.c
    missed = (
        select(row.kpi_id, row.effective_at)
        .where(
            row.organisation_id == _ORGANISATION,
            is_listed(row.kpi_id),
            row.position <= _KNOWN,
            row.effective_at <= _AS_OF,
            schema.IS_MISSED,
        )
        .subquery()
    )
    return (
        select(schema.reading)
        .select_from(missed)
        .join(
            schema.reading,
            and_(row.kpi_id == missed.c.kpi_id, row.effective_at == missed.c.effective_at),
        )
        .where(row.organisation_id == _ORGANISATION, row.position <= _KNOWN)
    )


LAST_POSITION: Final = Statement(
    select(schema.event.c.position, schema.event.c.known_at_max)
    .where(
        schema.event.c.organisation_id == _ORGANISATION,
        schema.event.c.position <= bindparam("at_most"),
    )
    .order_by(schema.event.c.position.desc())
    .limit(_ONE)
)
POSITION_KNOWN_AT: Final = Statement(_POSITION_KNOWN_AT)
VERSIONS: Final = Statement(
    select(*_VERSION_KEY, schema.goal_version.c.position, schema.goal_version.c.state)
    .select_from(schema.goal)
    .join(schema.goal_version, and_(*_of_goal(schema.goal_version.c)))
    .where(
        schema.goal.c.organisation_id == _ORGANISATION,
        schema.goal.c.kind.in_([literal_column(f"'{kind}'") for kind in sorted(kept.KINDS)]),
        schema.goal_version.c.position > bindparam("after"),
    )
)
HOME_OF: Final = Statement(_home_of(_STRUCTURE))
HOME_KNOWN_AT: Final = Statement(_at_moment(_home_of(_MOMENT.position)))
THERE: Final = ListStatement(
    lambda is_listed: select(schema.goal.c.goal_id).where(
        schema.goal.c.organisation_id == _ORGANISATION,
        schema.goal.c.kind == _KIND,
        is_listed(schema.goal.c.goal_id),
        schema.goal.c.position <= bindparam("position"),
    )
)
EVENTS_AT: Final = ListStatement(
    lambda is_listed: select(schema.event.c.position, schema.event.c.payload).where(
        schema.event.c.organisation_id == _ORGANISATION,
        is_listed(schema.event.c.position),
    )
)
GOALS: Final = Statement(
    stood(_ORGANISATION, _KIND, _STRUCTURE)
    .where(
        row_of(*KEY)
        > row_of(bindparam("after_cycle"), bindparam("after_objective"), bindparam("after_goal"))
    )
    .order_by(*KEY)
    .limit(_LIMIT)
)
GOALS_OF_CYCLE: Final = Statement(
    stood(_ORGANISATION, _KIND, _STRUCTURE)
    .where(
        schema.goal.c.cycle_id == bindparam("cycle_id"),
        row_of(schema.goal.c.objective_id, schema.goal.c.goal_id)
        > row_of(bindparam("after_objective"), bindparam("after_goal")),
    )
    .order_by(*KEY)
    .limit(_LIMIT)
)
COUNT_IN_CYCLE: Final = Statement(
    select(func.count()).where(
        schema.goal.c.organisation_id == _ORGANISATION,
        schema.goal.c.kind.in_([literal_column("'objective'"), literal_column("'key_result'")]),
        schema.goal.c.cycle_id == bindparam("cycle_id"),
    )
)
GOALS_BY_ID: Final = ListStatement(
    lambda is_listed: stood(_ORGANISATION, _KIND, _STRUCTURE).where(
        is_listed(schema.goal.c.goal_id)
    )
)
KEY_RESULTS_OF: Final = TableStatement(
    {"cycle_id": Text, "objective_id": Text},
    lambda listed: stood(_ORGANISATION, literal("key_result"), _STRUCTURE).join(
        listed,
        and_(
            schema.goal.c.cycle_id == listed.c.cycle_id,
            schema.goal.c.objective_id == listed.c.objective_id,
        ),
    ),
)
EVER_OF_UNITS: Final = TableStatement(
    {"kind": Text, "unit_id": Text},
    lambda listed: (
        select(schema.goal_version.c.kind, schema.goal_version.c.goal_id)
        .join(
            listed,
            and_(
                schema.goal_version.c.kind == listed.c.kind,
                schema.goal_version.c.unit_id == listed.c.unit_id,
            ),
        )
        .where(schema.goal_version.c.organisation_id == _ORGANISATION)
        .distinct()
    ),
)
KPIS: Final = Statement(_after_kpi(_kpis_stood()))
KPI_MARKS: Final = Statement(_after_kpi(_kpi_marks()))
KPIS_BY_ID: Final = ListStatement(
    lambda is_listed: _kpis_stood().where(is_listed(schema.goal.c.goal_id))
)
LINKED_KPIS: Final = Statement(
    select(schema.link.c.kpi_id)
    .distinct()
    .where(
        schema.link.c.organisation_id == _ORGANISATION,
        schema.link.c.cycle_id == bindparam("cycle_id"),
        schema.link.c.position <= _KNOWN,
    )
    .order_by(schema.link.c.kpi_id)
)
ALIGNMENTS: Final = ListStatement(
    lambda is_listed: select(
        schema.alignment.c.parent, schema.alignment.c.position, schema.alignment.c.objective_id
    ).where(
        schema.alignment.c.organisation_id == _ORGANISATION,
        is_listed(schema.alignment.c.parent),
        schema.alignment.c.position <= _STRUCTURE,
    )
)
CHECK_INS: Final = ListStatement(
    lambda is_listed: (
        select(schema.check_in)
        .where(
            schema.check_in.c.organisation_id == _ORGANISATION,
            is_listed(schema.check_in.c.key_result_id),
            schema.check_in.c.position <= _KNOWN,
            schema.check_in.c.effective_at <= _AS_OF,
        )
        .order_by(*schema.check_in.primary_key)
    )
)
LAST_CHECK_INS: Final = TableStatement(
    {"key_result_id": Text}, _last_check_ins, select_lateral=_last_check_in
)
READINGS: Final = Statement(_readings(_KNOWN).order_by(*schema.reading.primary_key))
READINGS_KNOWN_AT: Final = Statement(_at_moment(_readings(_MOMENT.position)))
SERIES: Final = ListStatement(
    lambda is_listed: select(schema.reading).where(
        schema.reading.c.organisation_id == _ORGANISATION,
        is_listed(schema.reading.c.kpi_id),
        schema.reading.c.position <= _KNOWN,
        schema.reading.c.effective_at <= _AS_OF,
    )
)
LAST_SAID: Final = TableStatement(
    {"kpi_id": Text, "since": BigInteger, "until": BigInteger}, _last_said
)
LAST_READINGS: Final = TableStatement({"kpi_id": Text}, _last_readings)
DONE_LATE: Final = TableStatement({"cycle_id": Text, "after": BigInteger}, _done_late)
SAID_LATE: Final = TableStatement(
    {"cycle_id": Text, "after": BigInteger, "since": BigInteger, "until": BigInteger}, _said_late
)
ONCE_MISSED: Final = ListStatement(_once_missed)
ONCE_MISSED_BETWEEN: Final = Statement(
    _once_missed(lambda of: and_(of > bindparam("after"), of <= bindparam("last")))
)
COMMENTS: Final = Statement(
    select(schema.change)
    .where(
        schema.change.c.organisation_id == _ORGANISATION,
        schema.change.c.kind == _KIND,
        schema.change.c.goal_id == bindparam("goal_id"),
        schema.IS_COMMENT,
        schema.change.c.position <= _KNOWN,
    )
    .order_by(schema.change.c.position.desc())
    .limit(_LIMIT)
)
