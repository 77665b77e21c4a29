"""Commands in a file: ids follow from what is said, and a bad line stops nothing."""

from services.cli.command_file import Addressed, BadLine, read

ACTIVATE = b'{"type": "ActivateCycle", "data": {"cycle_id": "2025-Q3"}}'
REORDERED = b'{"data":{"cycle_id":"2025-Q3"},"type":"ActivateCycle"}'
CLOSE = b'{"type": "CloseCycle", "data": {"cycle_id": "2025-Q3"}}'


def lines(*content: bytes, organisation: str = "acme") -> list[Addressed | BadLine]:
    return list(read(content, organisation=organisation, actor="ana"))


def ids(*content: bytes, organisation: str = "acme") -> list[str]:
    found = lines(*content, organisation=organisation)
    return [line.message.id for line in found if isinstance(line, Addressed)]


def test_the_same_file_has_the_same_ids() -> None:
    assert ids(ACTIVATE, CLOSE) == ids(ACTIVATE, CLOSE)


def test_an_id_depends_on_what_is_said_not_on_how_or_where() -> None:
    assert ids(ACTIVATE) == ids(REORDERED) == ids(CLOSE, ACTIVATE)[1:] == ids(b"", ACTIVATE)


def test_what_is_said_twice_is_two_commands() -> None:
    first, second = ids(ACTIVATE, REORDERED)
    assert first != second


def test_another_organisation_gives_another_id() -> None:
    assert ids(ACTIVATE) != ids(ACTIVATE, organisation="other")


def test_what_a_line_says_of_itself_comes_first() -> None:
    (line,) = lines(
        b'{"id": "c-9", "type": "CheckIn", "data": {}, "actor": "ben", "organisation": "other",'
        b' "import_id": "i-1", "known_at": "2025-07-14T09:00:00+02:00", "provenance": "okrs.md:3",'
        b' "decided_on": 214}'
    )
    assert isinstance(line, Addressed)
    assert (line.actor, line.organisation) == ("ben", "other")
    assert (line.message.id, line.message.import_id) == ("c-9", "i-1")
    assert line.message.provenance == "okrs.md:3"
    assert line.message.decided_on == 214
    assert str(line.message.known_at) == "2025-07-14 09:00:00+02:00"


def test_bad_lines_are_told_by_number_and_the_rest_goes_on() -> None:
    found = lines(b"# comment", b"{nonsense", ACTIVATE, b'{"type": "X"}', b'{"tpye": 1}', b"\xff")
    assert [type(line) for line in found] == [BadLine, Addressed, BadLine, BadLine, BadLine]
    assert [line.line for line in found] == [2, 3, 4, 5, 6]


def test_a_byte_order_mark_and_empty_lines_say_nothing() -> None:
    assert ids(b"\xef\xbb\xbf" + ACTIVATE, b"", b"  \n") == ids(ACTIVATE)
