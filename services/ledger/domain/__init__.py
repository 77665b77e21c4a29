"""The rules of goals and indicators, pure: state + command -> events, state + event -> state."""

from services.ledger.domain.asked import Asked
from services.ledger.domain.decide import decide
from services.ledger.domain.evolve import BrokenHistory, UnknownEvent, evolve, fold
from services.ledger.domain.organisation import ANSWERS_MAX, Organisation

__all__ = [
    "ANSWERS_MAX",
    "Asked",
    "BrokenHistory",
    "Organisation",
    "UnknownEvent",
    "decide",
    "evolve",
    "fold",
]
