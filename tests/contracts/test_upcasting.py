"""What was stored is read for ever: the bytes of every type and version, and how one is turned.

`stored_events.ndjson` holds them as the ledger stored them, `stored_events.sha256` the digest of
each line. Lines are added, and never changed: the test below says which one is missing.
"""

import hashlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from goal_contracts import codec, examples, upcasting
from goal_contracts.codec import UndecodableEvent, Unrecognised
from goal_contracts.events import EVENTS, CheckedIn
from goal_contracts.upcasting import UPCASTERS, Data, upcast, version_of

STORED = Path(__file__).with_name("stored_events.ndjson")
DIGESTS = Path(__file__).with_name("stored_events.sha256")
LINES = STORED.read_bytes().splitlines()


class Typed(msgspec.Struct):
    type: str


def types() -> list[str]:
    return [msgspec.json.decode(line, type=Typed).type for line in LINES]


def test_no_stored_line_was_altered() -> None:
    digests = [line.split()[0] for line in DIGESTS.read_text().splitlines()]
    assert [hashlib.sha256(line).hexdigest() for line in LINES][: len(digests)] == digests
    assert len(digests) == len(LINES), "the digest of a new line belongs into stored_events.sha256"


def test_every_type_and_version_there_ever_was_has_a_line() -> None:
    wanted = {codec.event_type(name, version_of(name)) for name in EVENTS} | {
        codec.event_type(name, version) for name, version in UPCASTERS
    }
    missing = sorted(wanted - set(types()))
    append = [
        examples.EVENT_EXAMPLES[name].decode()
        for name in EVENTS
        if codec.event_type(name, version_of(name)) in missing
    ]
    assert missing == [], "append to stored_events.ndjson:\n" + "\n".join(append)


@pytest.mark.parametrize("line", LINES, ids=types())
def test_what_was_stored_is_read(line: bytes) -> None:
    read = codec.decode_event(1, line)
    assert not isinstance(read.event, Unrecognised)
    stored = msgspec.json.decode(line, type=Typed)
    if stored.type == codec.event_type(read.type, version_of(read.type)):
        # Today's version: nothing in the bytes is overlooked, nor would be written otherwise.
        assert codec.encode_event(read) == line


def test_every_optional_field_is_somewhere_in_what_was_stored() -> None:
    seen: dict[str, set[str]] = {name: set() for name in EVENTS}
    for line in LINES:
        read = codec.decode_event(1, line)
        data = msgspec.json.decode(codec.encode(read.event))
        seen[read.type] |= data.keys()
    unseen = [
        f"{name}.{field}"
        for name, event in EVENTS.items()
        for field in event.__struct_encode_fields__
        if field not in seen[name]
    ]
    assert unseen == [], "append a line that has it to stored_events.ndjson"


# ------------------------------------------------------------------------- a version that never was

OLD = codec.event_type("CheckedIn", 0)


def with_how_sure_as_confidence(data: Data) -> Data:
    """As if confidence had once been called so, and had been a share."""
    how_sure = data.pop("how_sure")
    return {**data, "confidence": round(how_sure * 10)}


def older(data: Data) -> bytes:
    envelope: dict[str, Any] = msgspec.json.decode(examples.EVENT_EXAMPLES["CheckedIn"])
    return msgspec.json.encode({**envelope, "type": OLD, "data": {**envelope["data"], **data}})


def test_an_older_version_is_read_as_todays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(UPCASTERS, ("CheckedIn", 0), with_how_sure_as_confidence)
    read = codec.decode_event(7, older({"how_sure": 0.4}))
    assert isinstance(read.event, CheckedIn)
    assert read.event.confidence == 4
    assert str(read.event.value) == "99.1"
    assert read.type == "CheckedIn"


def test_without_an_upcaster_it_stays_unrecognised() -> None:
    read = codec.decode_event(7, older({"how_sure": 0.4}))
    assert isinstance(read.event, Unrecognised)
    assert read.event.type == OLD


def test_data_that_is_none_of_its_version_is_named_by_its_position(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(UPCASTERS, ("CheckedIn", 0), with_how_sure_as_confidence)
    for broken in ({}, {"how_sure": 70}):
        with pytest.raises(UndecodableEvent, match="position 7"):
            codec.decode_event(7, older(broken))


def test_data_is_turned_version_by_version_up_to_todays() -> None:
    upcasters: dict[tuple[str, int], upcasting.Upcaster] = {
        ("CheckedIn", 1): lambda data: {**data, "turned": [1]},
        ("CheckedIn", 2): lambda data: {**data, "turned": [*data["turned"], 2]},
        ("UnitDefined", 1): lambda data: {**data, "turned": "another event's"},
    }
    assert version_of("CheckedIn", upcasters) == 3
    assert version_of("UnitMoved", upcasters) == 1
    assert upcast("CheckedIn", 1, {}, upcasters) == {"turned": [1, 2]}
    assert upcast("CheckedIn", 2, {"turned": []}, upcasters) == {"turned": [2]}
    assert upcast("CheckedIn", 3, {}, upcasters) == {}


def test_no_version_between_the_first_and_todays_lacks_its_upcaster() -> None:
    for name in EVENTS:
        for version in range(1, version_of(name)):
            assert (name, version) in UPCASTERS
