"""Goals as people see them: readable in 80 columns, and told in full where there is room."""

import re
from decimal import Decimal

import msgspec
from goal_contracts.events import Ratio, Sum
from goal_contracts.queries import CommentCard, Goals
from rich.console import Console, Group, RenderableType

from services.cli import goal_tree, history, readings
from tests.cli import answers

NARROW, WIDE = 80, 140


def seen(parts: list[RenderableType], width: int) -> list[str]:
    console = Console(
        width=width, height=100, color_system=None, highlight=False, force_terminal=True
    )
    with console.capture() as capture:
        console.print(Group(*parts))
    return [line.rstrip() for line in capture.get().splitlines()]


def tree(width: int, goals: Goals = answers.GOALS) -> list[str]:
    return seen(goal_tree.drawn(goals, "acme as of 2025-09-30", is_wide=width == WIDE), width)


def test_it_opens_with_what_it_reflects() -> None:
    assert tree(NARROW)[0] == (
        "acme as of 2025-09-30 · position @412 · known by 2025-09-30 21:59 UTC"
    )


def test_no_line_is_wider_than_the_terminal() -> None:
    assert max(map(len, tree(NARROW))) <= NARROW
    assert max(map(len, tree(WIDE))) <= WIDE


def test_cycles_and_units_are_headings_the_year_before_its_quarter() -> None:
    shown = tree(WIDE)
    headings = [line for line in shown if " · active · " in line]
    assert headings == [
        "2025 · 2025-01-01 to 2025-12-31 · active · 75 % elapsed",
        "Q3 2025 · 2025-07-01 to 2025-09-30 · active · 99 % elapsed",
    ]
    assert "Acme" in shown
    assert "Web shop" in shown


def test_a_key_result_stands_below_its_objective_with_its_numbers() -> None:
    shown = tree(WIDE)
    place = next(at for at, line in enumerate(shown) if "Make the checkout reliable" in line)
    errors, origin, provider = shown[place + 1 : place + 4]
    assert shown[place].split()[-7:] == ["committed", "71", "%", "on", "track", "ben", "o-2"]
    assert errors.startswith("    Failed payments among all payments, measured over a week  ")
    assert re.search(r"2\.1 → 0\.9 % \(was 0\.5\) +1\.25 +71 %  on track 7/10 late  ben", errors)
    assert origin.strip() == "(corrected)"
    assert provider.split()[-6:] == ["done", "100", "%", "pending", "cleo", "kr-3"]


def test_an_aligned_objective_stands_below_the_one_it_serves() -> None:
    shown = tree(WIDE)
    served = next(line for line in shown if "Make the checkout reliable" in line)
    serving = next(line for line in shown if "Hear of trouble" in line)
    assert len(serving) - len(serving.lstrip()) == len(served) - len(served.lstrip()) + 2
    assert "(added mid-cycle)" in serving


def test_what_was_dropped_stays_visible() -> None:
    assert [line.split()[-3] for line in tree(WIDE) if "ift cards" in line] == ["dropped"] * 2


def test_indicators_show_the_reading_that_counted() -> None:
    (line,) = [line for line in tree(WIDE) if "Uptime of the shop" in line]
    assert line.split()[-7:] == ["99.9", "99.95", "%", "2025-08", "healthy", "cleo", "uptime"]


def test_an_open_review_stands_below_its_indicator_until_it_is_decided() -> None:
    reviews = [line.strip() for line in tree(WIDE) if "review " in line]
    assert reviews == ["review probe by ben, due 2025-09-20, overdue"]


def test_an_indicator_without_bands_has_no_health() -> None:
    (kpi,) = answers.GOALS.kpis
    definition = msgspec.structs.replace(kpi.definition, bands=None)
    bare = msgspec.structs.replace(kpi, definition=definition, health="no_data")
    shown = tree(WIDE, Goals(reflects=answers.REFLECTS, kpis=(bare,)))
    assert not any("no data" in line for line in shown)


def test_silence_is_outdated_and_not_green() -> None:
    (shops,) = [line for line in tree(WIDE) if line.strip().startswith("Shops abroad")]
    assert shops.split()[-4:] == ["outdated", "6/10", "ada", "kr-1"]


def test_advice_stands_below_what_it_is_on() -> None:
    shown = tree(WIDE)
    place = next(at for at, line in enumerate(shown) if "Alerts that nobody" in line)
    assert shown[place + 1].strip() == "(R10: all weights are 0, so that no key result counts)"


def test_an_adjusted_score_and_an_outcome_are_told() -> None:
    objective = msgspec.structs.replace(
        answers.GOALS.objectives[1],
        outcome="partial",
        score=Decimal("0.80"),
        score_origin="adjusted",
    )
    shown = tree(WIDE, Goals(reflects=answers.REFLECTS, objectives=(objective,)))
    assert any("partial 0.8 (adjusted)" in line for line in shown)


def test_comments_on_the_one_goal_asked_for_come_last() -> None:
    said = CommentCard("ines", answers.at("2025-09-02"), "Who runs the probe?")
    goals = msgspec.structs.replace(answers.GOALS, comments=(said,))
    assert tree(NARROW, goals)[-1] == "2025-09-02 09:00 UTC  ines: Who runs the probe?"


def test_a_series_tells_its_bands_its_health_and_its_reviews() -> None:
    shown = seen(readings.drawn(answers.SERIES, is_wide=True), WIDE)
    assert shown[2:5] == [
        "healthy (healthy from 99.9, a warning from 99.5)",
        (
            "review breach-2025-07-31 by cleo: recovery objective o-3, 2025-08-20"
            " (The probe was blind)"
        ),
        "review probe by ben, due 2025-09-20, overdue",
    ]


def test_a_computed_series_tells_what_it_is_made_of() -> None:
    ratio = Ratio("good", "all", Decimal(100))
    definition = msgspec.structs.replace(answers.SERIES.kpi.definition, formula=ratio)
    kpi = msgspec.structs.replace(answers.SERIES.kpi, definition=definition)
    series = msgspec.structs.replace(
        answers.SERIES,
        kpi=kpi,
        readings=(msgspec.structs.replace(answers.SERIES.readings[2], origin="computed"),),
    )
    shown = seen(readings.drawn(series, is_wide=True), WIDE)
    assert shown[1].endswith("computed from good and all")
    assert "99.95  computed" in shown[-1]
    total = msgspec.structs.replace(definition, formula=Sum(("a", "b", "c")))
    kpi = msgspec.structs.replace(kpi, definition=total)
    shown = seen(readings.drawn(msgspec.structs.replace(series, kpi=kpi), is_wide=True), WIDE)
    assert shown[1].endswith("computed from a and b and c")


def test_a_key_result_whose_objective_was_not_asked_for_is_shown() -> None:
    alone = Goals(reflects=answers.REFLECTS, key_results=answers.GOALS.key_results[:1])
    assert any(line.startswith("Shops abroad") for line in tree(NARROW, alone))


def test_nothing_is_said_to_be_nothing() -> None:
    assert tree(NARROW, Goals(reflects=answers.REFLECTS))[-1] == "There was nothing yet."


def test_two_times_are_told_apart_when_they_differ() -> None:
    later = msgspec.structs.replace(answers.REFLECTS, known_at=answers.at("2025-12-24"))
    told = goal_tree.reflects("acme", later)
    assert "true by 2025-09-30 21:59 UTC · known by 2025-12-24 09:00 UTC" in told.plain


def test_rows_have_every_column_and_the_same_goals() -> None:
    rows = list(goal_tree.rows(answers.GOALS))
    assert all(row.keys() <= set(goal_tree.COLUMNS) for row in rows)
    assert [row["kind"] for row in rows] == ["objective"] * 4 + ["key_result"] * 5 + ["kpi"]
    assert (rows[5]["cycle"], rows[5]["unit"]) == ("2025-Q3", "shop")


def test_a_correction_stands_below_what_it_corrects_with_its_reason() -> None:
    shown = seen(readings.drawn(answers.SERIES, is_wide=True), WIDE)
    july = next(at for at, line in enumerate(shown) if line.startswith("2025-07"))
    assert shown[july].split()[:2] == ["2025-07", "99.97"]
    assert shown[july + 1].split("  ")[-1].strip() == "@350"
    assert "99.1  corrected, was 99.97  2025-08-12  ben" in shown[july + 1]
    assert "The probe itself was down for a day" in shown[july + 1]


def test_history_says_who_when_why_from_and_to() -> None:
    shown = seen(history.drawn(answers.CHANGES, "key_result/kr-2"), NARROW)
    place = shown.index("2025-08-14 10:12 UTC  ada  key result retargeted  @214")
    assert shown[place + 1] == "  measure  target 0.5 → 0.9 %"
    assert shown[place + 2] == "  why      The provider moved its new interface to next year"


def test_a_field_of_a_check_in_is_told_with_the_check_in() -> None:
    shown = seen(history.drawn(answers.CHANGES, "key_result/kr-2"), NARROW)
    place = shown.index("2025-09-22 09:00 UTC  ben  check in corrected  @400")
    assert shown[place + 1 : place + 3] == ["  check in  c-7", "  value     1.4 → 1.25"]


def test_imported_history_says_where_from_and_when_it_was_recorded() -> None:
    shown = seen(history.drawn(answers.CHANGES, "key_result/kr-2"), NARROW)
    assert shown[-3:] == [
        "  true on   2025-09-20 09:00 UTC",
        "  from      okrs.md:17",
        "  recorded  2025-09-22 09:00 UTC",
    ]
