"""Goals as they stand: the state of a thing after each event that changes it.

A state is the card that is shown, without what only a moment can say (progress, pace, values).
"""

from datetime import date, datetime
from functools import lru_cache
from typing import Final, TypeVar, assert_never

import msgspec
from goal_contracts import events
from goal_contracts.codec import Recorded, Unrecognised
from goal_contracts.events import KpiDefinition
from goal_contracts.policy import Policy
from goal_contracts.queries import (
    ClosingCard,
    CycleCard,
    KeyResultCard,
    KpiCard,
    ObjectiveCard,
    RetrospectiveCard,
    ReviewCard,
    UnitCard,
)
from msgspec import Struct
from msgspec.structs import replace

from services.projections.views import origins


class UnknownEvent(Exception):
    """The log holds an event of a type that this release does not know: never guess."""


class BrokenHistory(Exception):
    """An event does not follow from those before it, so the log is not what the ledger writes."""


class OrganisationState(Struct, frozen=True, omit_defaults=True):
    """An organisation's settings, and the import that runs."""

    name: str
    zone: str
    policy: Policy
    import_id: str | None = None


class CycleState(Struct, frozen=True, omit_defaults=True):
    """A cycle, and the policy pinned when it was activated and again when it was closed (R20).

    It was activated by the event at `activated_position`; 0, not yet.
    """

    card: CycleCard
    policy: Policy | None = None
    activated_position: int = 0
    activated_at: datetime | None = None


class DefinitionVersion(Struct, frozen=True, omit_defaults=True):
    """A KPI's definition from a day on; the first holds from always (R22)."""

    version: int
    definition: KpiDefinition
    effective_on: date = date.min


class KpiState(Struct, frozen=True):
    """A KPI; its card carries the latest definition, though it may take effect only later."""

    card: KpiCard
    versions: tuple[DefinitionVersion, ...]


State = OrganisationState | UnitCard | CycleState | ObjectiveCard | KeyResultCard | KpiState
S = TypeVar("S", bound=State)

CREATING: Final = (
    events.OrganisationOpened,
    events.UnitDefined,
    events.CyclePlanned,
    events.ObjectiveDrafted,
    events.KeyResultAdded,
    events.KpiDefined,
)
"""The events with which a thing comes to be; nothing went before."""

SHARED_MAX: Final = 4_096
"""So many states of what many goals have in common are kept decoded: nothing in them changes."""
_SHARED: Final = {"organisation", "unit", "cycle"}

_encoder: Final = msgspec.json.Encoder()
_decoders: Final[dict[str, msgspec.json.Decoder[State]]] = {
    "organisation": msgspec.json.Decoder(OrganisationState),
    "unit": msgspec.json.Decoder(UnitCard),
    "cycle": msgspec.json.Decoder(CycleState),
    "objective": msgspec.json.Decoder(ObjectiveCard),
    "key_result": msgspec.json.Decoder(KeyResultCard),
    "kpi": msgspec.json.Decoder(KpiState),
}


def encode(state: State) -> bytes:
    """A state as it is stored."""
    return _encoder.encode(state)


def decode(kind: str, state: bytes) -> State:
    """A stored state of a thing of that kind."""
    return _shared(kind, state) if kind in _SHARED else _decoders[kind].decode(state)


@lru_cache(maxsize=SHARED_MAX)
def _shared(kind: str, state: bytes) -> State:
    return _decoders[kind].decode(state)


def expect(kind: type[S], state: State | None, recorded: Recorded) -> S:
    """The state an event needs to find; BrokenHistory when there is none."""
    if not isinstance(state, kind):
        raise BrokenHistory(
            f"{recorded.type} of {recorded.kind}/{recorded.goal_id} at position "
            f"{recorded.position} has nothing to follow on"
        )
    return state


def definition_on(versions: tuple[DefinitionVersion, ...], day: date) -> DefinitionVersion:
    """The definition in force on a day: the latest to take effect by then, ties by version."""
    in_force = [version for version in versions if version.effective_on <= day]
    return max(in_force or versions[:1], key=lambda each: (each.effective_on, each.version))


def after(before: State | None, recorded: Recorded) -> State | None:
    """The state after an event; the very same object when the event changes nothing in it."""
    position = recorded.position
    match recorded.event:  # the most frequent first: each case that does not fit costs time
        case events.CheckedIn() | events.CheckInCorrected() | events.CheckInRetracted():
            return expect(KeyResultCard, before, recorded)
        case (
            events.KpiReadingRecorded()
            | events.KpiReadingCorrected()
            | events.KpiReadingRetracted()
            | events.KpiReadingMissed()
            | events.KpiHealthChanged()
        ):
            return expect(KpiState, before, recorded)
        case events.OrganisationOpened() as event:
            return OrganisationState(name=event.name, zone=event.zone, policy=event.policy)
        case events.PolicyChanged() as event:
            return replace(expect(OrganisationState, before, recorded), policy=event.policy)
        case events.HistoryImportStarted() as event:
            return replace(expect(OrganisationState, before, recorded), import_id=event.import_id)
        case events.HistoryImportFinished():
            return replace(expect(OrganisationState, before, recorded), import_id=None)
        case events.UnitDefined() as event:
            return UnitCard(
                unit_id=event.unit_id,
                name=event.name,
                unit_kind=event.unit_kind,
                position=position,
                parent_id=event.parent_id,
            )
        case events.UnitRenamed() as event:
            unit = expect(UnitCard, before, recorded)
            return replace(unit, name=event.name, position=position)
        case events.UnitMoved() as event:
            unit = expect(UnitCard, before, recorded)
            return replace(unit, parent_id=event.parent_id, position=position)
        case events.UnitRetired():
            return replace(expect(UnitCard, before, recorded), retired=True, position=position)
        case (
            events.CyclePlanned()
            | events.CycleRescheduled()
            | events.CycleActivated()
            | events.CycleGradingStarted()
            | events.CycleClosed()
            | events.CycleReopened()
            | events.CycleCancelled()
            | events.RetrospectiveRecorded()
        ):
            return _cycle(before, recorded, recorded.event)
        case (
            events.ObjectiveDrafted()
            | events.ObjectivePublished()
            | events.ObjectiveReworded()
            | events.ObjectiveReassigned()
            | events.ObjectiveContributorsChanged()
            | events.ObjectiveRealigned()
            | events.ObjectiveKindChanged()
            | events.ObjectiveDropped()
            | events.ObjectiveGraded()
            | events.ObjectiveCarriedOver()
        ):
            return _objective(before, recorded, recorded.event)
        case (
            events.KeyResultAdded()
            | events.KeyResultReworded()
            | events.KeyResultReassigned()
            | events.KeyResultReweighted()
            | events.KeyResultRetargeted()
            | events.KeyResultDropped()
            | events.KeyResultLinkedToKpi()
            | events.KeyResultUnlinkedFromKpi()
            | events.KeyResultGraded()
            | events.KeyResultWaived()
        ):
            return _key_result(before, recorded, recorded.event)
        case (
            events.KpiDefined()
            | events.KpiRedefined()
            | events.KpiRetargeted()
            | events.KpiReassigned()
            | events.KpiRetired()
            | events.KpiReviewOpened()
            | events.KpiReviewClosed()
        ):
            return _kpi(before, recorded, recorded.event)
        case events.CommentAdded():
            return before
        case Unrecognised(type=unknown):
            raise UnknownEvent(
                f"the event at position {position} is of a type this release does not know: "
                f"{unknown}"
            )
        case _:
            assert_never(recorded.event)


def _cycle(
    before: State | None,
    recorded: Recorded,
    event: events.CyclePlanned
    | events.CycleRescheduled
    | events.CycleActivated
    | events.CycleGradingStarted
    | events.CycleClosed
    | events.CycleReopened
    | events.CycleCancelled
    | events.RetrospectiveRecorded,
) -> CycleState:
    position = recorded.position
    if isinstance(event, events.CyclePlanned):
        return CycleState(
            CycleCard(
                cycle_id=event.cycle_id,
                name=event.name,
                cycle_kind=event.cycle_kind,
                start_on=event.start_on,
                end_on=event.end_on,
                state="planned",
                position=position,
                parent_id=event.parent_id,
            )
        )
    cycle = expect(CycleState, before, recorded)
    card = cycle.card
    match event:
        case events.CycleRescheduled():
            card = replace(card, start_on=event.start_on, end_on=event.end_on)
        case events.CycleActivated():
            card = replace(card, state="active")
            cycle = replace(
                cycle,
                policy=event.policy,
                activated_position=position,
                activated_at=recorded.known_at,
            )
        case events.CycleGradingStarted():
            card = replace(card, state="grading")
        case events.CycleClosed():
            closing = ClosingCard(
                position=position,
                at=recorded.known_at,
                actor=recorded.actor,
                aspirational_score=event.aspirational_score,
                committed_met=event.committed_met,
            )
            has_number = (event.aspirational_score, event.committed_met) != (None, None)
            card = replace(
                card,
                state="closed",
                aspirational_score=event.aspirational_score,
                committed_met=event.committed_met,
                score_origin="rolled_up" if has_number else None,
                closings=(*card.closings, closing),
            )
            cycle = replace(cycle, policy=event.policy)
        case events.CycleReopened():
            card = replace(card, state="reopened")
        case events.CycleCancelled():
            card = replace(card, state="cancelled")
        case events.RetrospectiveRecorded():
            said = RetrospectiveCard(
                actor=recorded.actor,
                at=recorded.known_at,
                went_well=event.went_well,
                did_not_go_well=event.did_not_go_well,
                learned=event.learned,
                celebrate=event.celebrate,
            )
            card = replace(card, retrospectives=(*card.retrospectives, said))
        case _:
            assert_never(event)
    return replace(cycle, card=replace(card, position=position))


def _objective(
    before: State | None,
    recorded: Recorded,
    event: events.ObjectiveDrafted
    | events.ObjectivePublished
    | events.ObjectiveReworded
    | events.ObjectiveReassigned
    | events.ObjectiveContributorsChanged
    | events.ObjectiveRealigned
    | events.ObjectiveKindChanged
    | events.ObjectiveDropped
    | events.ObjectiveGraded
    | events.ObjectiveCarriedOver,
) -> ObjectiveCard:
    position = recorded.position
    if isinstance(event, events.ObjectiveDrafted):
        return ObjectiveCard(
            objective_id=event.objective_id,
            cycle_id=event.cycle_id,
            unit_id=event.unit_id,
            title=event.title,
            owner=event.owner,
            objective_kind=event.objective_kind,
            state="draft",
            position=position,
            description=event.description,
            contributors=event.contributors,
            aligned_to=event.aligned_to,
            carried_from=event.carried_from,
            mid_cycle=event.mid_cycle,
        )
    card = replace(expect(ObjectiveCard, before, recorded), position=position)
    match event:
        case events.ObjectivePublished():
            return replace(card, state="published", published_at=recorded.known_at)
        case events.ObjectiveReworded():
            return replace(card, title=event.title, description=event.description)
        case events.ObjectiveReassigned():
            return replace(card, owner=event.owner, unit_id=event.unit_id)
        case events.ObjectiveContributorsChanged():
            return replace(card, contributors=event.contributors)
        case events.ObjectiveRealigned():
            return replace(card, aligned_to=event.aligned_to)
        case events.ObjectiveKindChanged():
            return replace(card, objective_kind=event.objective_kind)
        case events.ObjectiveDropped():
            return replace(card, state="dropped", outcome="dropped")
        case events.ObjectiveGraded():
            return replace(
                card,
                outcome=event.outcome,
                score=event.score,
                score_computed=event.score_computed,
                score_origin=origins.of_score(recorded, event),
                score_reason=event.reason,
            )
        case events.ObjectiveCarriedOver():
            return replace(card, state="carried", outcome="carried", carried_to=event.carried_to)
        case _:
            assert_never(event)


def _key_result(
    before: State | None,
    recorded: Recorded,
    event: events.KeyResultAdded
    | events.KeyResultReworded
    | events.KeyResultReassigned
    | events.KeyResultReweighted
    | events.KeyResultRetargeted
    | events.KeyResultDropped
    | events.KeyResultLinkedToKpi
    | events.KeyResultUnlinkedFromKpi
    | events.KeyResultGraded
    | events.KeyResultWaived,
) -> KeyResultCard:
    position = recorded.position
    if isinstance(event, events.KeyResultAdded):
        return KeyResultCard(
            key_result_id=event.key_result_id,
            objective_id=event.objective_id,
            title=event.title,
            owner=event.owner,
            measure=event.measure,
            weight=event.weight,
            position=position,
            carried_from=event.carried_from,
            mid_cycle=event.mid_cycle,
            added_at=recorded.known_at,
        )
    card = replace(expect(KeyResultCard, before, recorded), position=position)
    match event:
        case events.KeyResultReworded():
            return replace(card, title=event.title)
        case events.KeyResultReassigned():
            return replace(card, owner=event.owner)
        case events.KeyResultReweighted():
            return replace(card, weight=event.weight)
        case events.KeyResultRetargeted():
            original = card.original_measure
            if original is None and event.mid_cycle:
                original = event.measure_was  # R7: it stays visible
            return replace(card, measure=event.measure, original_measure=original)
        case events.KeyResultLinkedToKpi() | events.KeyResultUnlinkedFromKpi():
            return replace(card, measure=event.measure)
        case events.KeyResultDropped():
            return replace(card, dropped=True)
        case events.KeyResultGraded():
            return replace(
                card,
                score=event.score,
                score_computed=event.score_computed,
                score_origin=origins.of_score(recorded, event),
                score_reason=event.reason,
                waived=False,
            )
        case events.KeyResultWaived():
            return replace(
                card,
                score=None,
                score_computed=None,
                score_origin=None,
                score_reason=event.reason,
                waived=True,
            )
        case _:
            assert_never(event)


def _kpi(
    before: State | None,
    recorded: Recorded,
    event: events.KpiDefined
    | events.KpiRedefined
    | events.KpiRetargeted
    | events.KpiReassigned
    | events.KpiRetired
    | events.KpiReviewOpened
    | events.KpiReviewClosed,
) -> KpiState:
    position = recorded.position
    if isinstance(event, events.KpiDefined):
        first = DefinitionVersion(1, event.definition)
        card = KpiCard(
            kpi_id=event.kpi_id,
            unit_id=event.unit_id,
            owner=event.owner,
            definition=first.definition,
            definition_version=first.version,
            position=position,
        )
        return KpiState(card, (first,))
    kpi = expect(KpiState, before, recorded)
    card = replace(kpi.card, position=position)
    match event:
        case events.KpiReassigned():
            return replace(kpi, card=replace(card, owner=event.owner, unit_id=event.unit_id))
        case events.KpiRetired():
            return replace(kpi, card=replace(card, retired=True))
        case events.KpiReviewOpened():
            opened = ReviewCard(
                review_id=event.review_id,
                owner=event.owner,
                due_on=event.due_on,
                opened_at=recorded.known_at,
                reason=event.reason,
            )
            return replace(kpi, card=replace(card, reviews=(*card.reviews, opened)))
        case events.KpiReviewClosed():
            reviews = tuple(
                _closed(each, recorded, event) if each.review_id == event.review_id else each
                for each in card.reviews
            )
            return replace(kpi, card=replace(card, reviews=reviews))
        case events.KpiRedefined(definition=definition):
            pass
        case events.KpiRetargeted():
            definition = replace(card.definition, target=event.target, bands=event.bands)
        case _:
            assert_never(event)
    latest = DefinitionVersion(event.version, definition, event.effective_on)
    return KpiState(
        replace(card, definition=definition, definition_version=latest.version),
        (*kpi.versions, latest),
    )


def _closed(review: ReviewCard, recorded: Recorded, event: events.KpiReviewClosed) -> ReviewCard:
    return replace(
        review,
        closed_at=recorded.known_at,
        decision=event.decision,
        objective_id=event.objective_id,
        decision_reason=event.reason,
    )
