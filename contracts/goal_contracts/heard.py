"""An event as a subscriber hears it."""

from msgspec import Struct

from goal_contracts import codec
from goal_contracts.codec import Recorded


class Heard(Struct, frozen=True, gc=False):
    """An event as it is stored. Looking at its position and subject costs nothing."""

    position: int
    subject: str
    payload: bytes

    def decode(self) -> Recorded:
        """The event; of a type this release does not know, as Unrecognised."""
        return codec.decode_event(self.position, self.payload)
