"""Older versions of events, read as today's: what is stored stays as it is, for ever.

A published event type is frozen but for optional fields. Anything else is a new version of it: the
struct becomes that of the new version, and a pure function here turns the data of the old one into
the data of the next. Reading applies them one after the other, up to today's.

    def _with_zone(data: Data) -> Data:
        return {**data, "zone": "UTC"}

    UPCASTERS = {("OrganisationOpened", 1): _with_zone}     # so today's version of it is 2
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

Data = dict[str, Any]
Upcaster = Callable[[Data], Data]
Upcasters = Mapping[tuple[str, int], Upcaster]

UPCASTERS: Final[dict[tuple[str, int], Upcaster]] = {}
"""By event and version: the data of that version, as JSON has it, into the data of the next.

No event has had a second version yet.
"""


def version_of(name: str, upcasters: Upcasters = UPCASTERS) -> int:
    """The version in which an event is written today: the one after the last that is turned."""
    return max((version + 1 for event, version in upcasters if event == name), default=1)


def upcast(name: str, version: int, data: Data, upcasters: Upcasters = UPCASTERS) -> Data:
    """The data of an older version as today's; KeyError where nothing leads on from a version."""
    for older in range(version, version_of(name, upcasters)):
        data = upcasters[name, older](data)
    return data
