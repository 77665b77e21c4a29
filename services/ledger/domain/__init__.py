"""The rules of goals and indicators, pure: state + command -> events, state + event -> state."""

from services.ledger.domain.advice import advise
from services.ledger.domain.answers import Answer
from services.ledger.domain.asked import Asked
from services.ledger.domain.bulk import Decided
from services.ledger.domain.decide import decide, judge
from services.ledger.domain.due import facts_due
from services.ledger.domain.evolve import BrokenHistory, UnknownEvent, evolve, fold, take_over
from services.ledger.domain.organisation import ANSWERS_MAX, Organisation

__all__ = [
    "ANSWERS_MAX",
    "Answer",
    "Asked",
    "BrokenHistory",
    "Decided",
    "Organisation",
    "UnknownEvent",
    "advise",
    "decide",
    "evolve",
    "facts_due",
    "fold",
    "judge",
    "take_over",
]
