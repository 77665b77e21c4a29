"""What the program asks, and what it prints for people and for programs."""

import csv
import io

import msgspec
import pytest
from goal_contracts import codec
from goal_contracts.codec import Recorded
from goal_contracts.events import KeyResultRetargeted
from goal_contracts.queries import (
    Answer,
    AsOf,
    Blame,
    Diff,
    Events,
    ExportView,
    Goals,
    History,
    Position,
    Query,
    QueryRefused,
    Readings,
    Replay,
    ReplayedEvent,
    ViewPage,
    ViewPosition,
)

from tests.cli import answers
from tests.cli.answers import at, raw
from tests.cli.running import Answering, FakeSystem

RETARGETED = Recorded(
    position=214,
    event_id="0198a5f2-0000-7000-8000-000000000000",
    organisation_id="shown",
    kind="key_result",
    goal_id="kr-2",
    recorded_at=at("2025-08-14", "10:12"),
    known_at=at("2025-08-14", "10:12"),
    effective_at=at("2025-08-14", "10:12"),
    actor="ada",
    command_id="c-1",
    event=KeyResultRetargeted(
        key_result_id="kr-2",
        measure_was=answers.ERRORS_WERE,
        measure=answers.ERRORS,
        lowered=True,
        mid_cycle=True,
        reason="The provider moved",
    ),
    reason="The provider moved",
)
STORED = codec.encode_event(RETARGETED)


def system(url: str, **named: Answering) -> FakeSystem:
    return FakeSystem(url, "shown", answers=named)


def test_as_of_prints_plain_text_in_full_where_there_is_no_terminal(nats_url: str) -> None:
    with system(nats_url, AsOf=lambda _: answers.GOALS) as running:
        result = running.goal_ledger("as-of", "2025-09-30", "--cycle", "2025-Q3")
    assert running.asked == [AsOf(as_of="2025-09-30", cycle="2025-Q3")]
    assert result.exit_code == 0
    assert "\x1b" not in result.stdout
    assert not any(line.endswith(" ") for line in result.stdout.splitlines())
    assert "Failed payments among all payments, measured over a week" in result.stdout


def test_as_of_json_is_the_answer_itself(nats_url: str) -> None:
    with system(nats_url, AsOf=lambda _: answers.GOALS) as running:
        result = running.goal_ledger("as-of", "@412", "--format", "json")
    assert msgspec.json.decode(result.stdout, type=Goals) == answers.GOALS


def test_as_of_csv_has_a_row_for_each_goal(nats_url: str) -> None:
    with system(nats_url, AsOf=lambda _: answers.GOALS) as running:
        result = running.goal_ledger("as-of", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["id"] for row in rows if row["kind"] == "objective"] == ["o-1", "o-2", "o-3", "o-4"]
    (kr,) = [row for row in rows if row["id"] == "kr-2"]
    assert (kr["value"], kr["progress"], kr["status"]) == ("1.25", "0.708333", "on_track")


def test_all_pages_are_asked_for_and_become_one_answer(nats_url: str) -> None:
    whole = answers.GOALS

    def page(query: Query) -> Answer:
        assert isinstance(query, AsOf)
        if query.cursor is None:
            return msgspec.structs.replace(
                whole, objectives=whole.objectives[:2], key_results=(), kpis=(), cursor="next"
            )
        return msgspec.structs.replace(whole, objectives=whole.objectives[2:])

    with system(nats_url, AsOf=page) as running:
        result = running.goal_ledger("as-of", "--format", "json")
    assert msgspec.json.decode(result.stdout, type=Goals) == whole
    assert len(running.asked) == 2


def test_what_is_not_found_is_told_and_is_exit_code_1(nats_url: str) -> None:
    refused = QueryRefused("not_found", "there is no kpi nps; see `goal-ledger as-of`")
    with system(nats_url, Readings=lambda _: refused) as running:
        result = running.goal_ledger("readings", "nps")
    assert result.exit_code == 1
    assert result.stderr == "not_found: there is no kpi nps; see `goal-ledger as-of`\n"


def test_a_date_that_does_not_exist_is_wrong_usage(nats_url: str) -> None:
    refused = QueryRefused("malformed", "2025-02-31 is no day")
    with system(nats_url, AsOf=lambda _: refused) as running:
        result = running.goal_ledger("as-of", "2025-02-31")
    assert (result.exit_code, result.stderr) == (2, "usage: 2025-02-31 is no day\n")


def test_readings_ask_for_both_times(nats_url: str) -> None:
    with system(nats_url, Readings=lambda _: answers.SERIES) as running:
        result = running.goal_ledger(
            "readings", "uptime", "--as-of", "2025-08-31", "--known-at", "2025-09-30"
        )
    assert running.asked == [Readings(kpi="uptime", as_of="2025-08-31", known_at="2025-09-30")]
    assert result.exit_code == 0
    assert "corrected, was 99.97" in result.stdout


def test_history_csv_holds_values_as_they_are(nats_url: str) -> None:
    with system(nats_url, History=lambda _: answers.CHANGES) as running:
        result = running.goal_ledger("history", "key_result/kr-2", "--format", "csv")
    assert running.asked == [History(kind="key_result", id="kr-2")]
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert (rows[3]["was"], rows[3]["now"]) == ("1.4", "1.25")
    assert msgspec.json.decode(rows[2]["was"])["target"] == "0.5"


WHY = "The provider moved its new interface to next year"


def test_diff_shows_what_came_late_first_then_each_field_with_who_when_and_why(
    nats_url: str,
) -> None:
    with system(nats_url, Diff=lambda _: answers.DIFFERENCES) as running:
        result = running.goal_ledger(
            "diff", "2025-07-01", "2025-09-30", "--unit", "shop", "--known-at", "@412"
        )
    asked = Diff(before="2025-07-01", after="2025-09-30", after_known_at="@412", unit="shop")
    assert running.asked == [asked]
    assert result.stdout.splitlines() == [
        "shown from 2025-07-01 to 2025-09-30",
        "  from · position @20 · known by 2025-07-01 21:59 UTC",
        "  to · position @412 · known by 2025-09-30 21:59 UTC",
        "",
        "Late changes, after the cycle had begun",
        "2025-08-14 10:12 UTC  ada  lowered  Failed payments  key_result/kr-2 @214",
        "    measure  target 0.5 → 0.9 %",
        "    why      The provider moved its new interface to next year",
        "",
        "Objectives",
        "Sell gift cards  added  objective/o-4",
        "  objective drafted  ben 2025-07-02 09:00 UTC @25",
        "",
        "Key results",
        "Failed payments  retargeted  progressed  key_result/kr-2",
        "  measure   target 0.5 → 0.9 %  ada 2025-08-14 10:12 UTC @214 " + WHY,
        "  value     1.4 → 1.25          ben 2025-09-22 09:00 UTC @400 from okrs.md:17",
        "  progress  45 % → 71 %",
        "",
        "Of 1 more, nothing but their age is different.",
    ]


def test_diff_csv_has_a_row_for_each_field_the_late_ones_first(nats_url: str) -> None:
    with system(nats_url, Diff=lambda _: answers.DIFFERENCES) as running:
        result = running.goal_ledger("diff", "2025-07-01", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    told = [(row["late"], row["id"], row["field"], row["actor"], row["now"]) for row in rows]
    measure = rows[0]["now"]
    assert msgspec.json.decode(measure)["target"] == "0.9"
    assert told == [
        ("true", "kr-2", "measure", "ada", measure),
        ("false", "2025-Q3", "expected_pace", "", "0.989"),
        ("false", "o-4", "title", "ben", "Sell gift cards"),
        ("false", "kr-2", "value", "ben", "1.25"),
        ("false", "kr-2", "progress", "", "0.708333"),
    ]


def test_all_pages_of_a_diff_are_one_answer(nats_url: str) -> None:
    def page(query: Query) -> Answer:
        assert isinstance(query, Diff)
        whole = answers.DIFFERENCES
        if query.cursor is None:
            return msgspec.structs.replace(whole, things=whole.things[:1], cursor="more")
        return msgspec.structs.replace(whole, late=(), things=whole.things[1:])

    with system(nats_url, Diff=page) as running:
        result = running.goal_ledger("diff", "2025-07-01", "--format", "json")
    whole = msgspec.json.decode(codec.encode(answers.DIFFERENCES))
    assert msgspec.json.decode(result.stdout) == whole


def test_blame_names_who_set_each_field_last(nats_url: str) -> None:
    with system(nats_url, Blame=lambda _: answers.BLAMED) as running:
        result = running.goal_ledger(
            "history", "key_result/kr-2", "--blame", "--as-of", "2025-09-30", "--field", "measure"
        )
    assert running.asked == [
        Blame(kind="key_result", id="kr-2", as_of="2025-09-30", field="measure")
    ]
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("measure")]
    assert line.split("  ")[0] == "measure"
    assert "ada" in line
    assert "2025-08-14 10:12 UTC @214" in line
    assert line.endswith("The provider moved its new interface to next year")


def test_the_history_of_a_cycle_names_the_goals_it_tells_of(nats_url: str) -> None:
    with system(nats_url, History=lambda _: answers.CHANGES) as running:
        result = running.goal_ledger("history", "cycle/2025-Q3", "--all")
        refused = running.goal_ledger("history", "cycle/2025-Q3", "--all", "--blame")
    assert running.asked == [History(kind="cycle", id="2025-Q3", whole=True)]
    assert "key result retargeted  key_result/kr-2  @214" in result.stdout
    assert refused.exit_code == 2


def test_replay_asks_for_both_times(nats_url: str) -> None:
    events = Events(answers.REFLECTS, ())
    with system(nats_url, Replay=lambda _: events) as running:
        running.goal_ledger("replay", "--as-of", "2025-08-31", "--known-at", "2025-09-30")
    assert running.asked == [Replay(as_of="2025-08-31", known_at="2025-09-30", limit=300)]


@pytest.mark.parametrize("state", [False, True])
def test_replay_shows_each_event_and_the_state_after_it_if_asked(
    nats_url: str, state: bool
) -> None:
    events = Events(answers.REFLECTS, (ReplayedEvent(214, msgspec.Raw(STORED)),))
    with system(nats_url, Replay=lambda _: events, AsOf=lambda _: answers.GOALS) as running:
        result = running.goal_ledger("replay", "--from", "@1", *(["--state"] if state else []))
    assert result.stdout.startswith(
        "2025-08-14 10:12 UTC  ada  key result retargeted  key_result/kr-2  @214\n"
    )
    assert "measure    target 0.5 → 0.9 %" in result.stdout
    assert "why        The provider moved" in result.stdout
    assert ("Make the checkout reliable" in result.stdout) == state
    assert running.asked[1:] == [AsOf(as_of="@214", goal="key_result/kr-2")] * state


def test_replay_json_gives_each_event_as_it_is_stored(nats_url: str) -> None:
    events = Events(answers.REFLECTS, (ReplayedEvent(214, msgspec.Raw(STORED)),))
    with system(nats_url, Replay=lambda _: events) as running:
        result = running.goal_ledger("replay", "--format", "json")
    assert result.stdout.encode() == b'{"position":214,"event":' + STORED + b"}\n"


def test_replay_stops_when_nobody_steps_on(nats_url: str) -> None:
    stored = msgspec.Raw(STORED)
    events = Events(answers.REFLECTS, tuple(ReplayedEvent(at, stored) for at in (214, 215, 216)))
    with system(nats_url, Replay=lambda _: events) as running:
        result = running.goal_ledger("replay", "--step", input="\nq\n")
    assert result.stdout.count("key result retargeted") == 2


def test_exported_views_reflect_one_position(nats_url: str) -> None:
    positions = iter([7, 8, 8, 8, 8])

    def page(query: Query) -> Answer:
        assert isinstance(query, ExportView)
        rows = (raw({"view": query.view, "page": query.cursor or "first"}),)
        # The first try finds that the views have moved on.
        is_last = query.view == "goals" or query.cursor is not None
        return ViewPage(8, rows, None if is_last else "second")

    with system(
        nats_url,
        Position=lambda _: ViewPosition(next(positions), ("readings", "goals")),
        ExportView=page,
    ) as running:
        result = running.goal_ledger("export", "views")
    assert result.stdout.splitlines() == [
        '{"view":"readings","row":{"view":"readings","page":"first"}}',
        '{"view":"readings","row":{"view":"readings","page":"second"}}',
        '{"view":"goals","row":{"view":"goals","page":"first"}}',
    ]
    assert running.asked.count(Position()) == 2
