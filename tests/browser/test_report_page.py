"""Reports in a real browser: on a phone and on a desk nothing sticks out, nothing complains."""

import pytest
from goal_contracts.queries import Digest, Report

from services.reports.rendering import render_cycle_report, render_digest
from tests.browser.chromium import Chromium
from tests.reports.answered import DIGEST, REPORT, with_words

PHONE, DESK = 390, 1280
LONG = "Donaudampfschifffahrtsgesellschaftskapitän" * 4


def page(answer: Report | Digest) -> bytes:
    if isinstance(answer, Report):
        return render_cycle_report(answer, "html")
    return render_digest(answer, "html")


@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("answer", [REPORT, DIGEST])
def test_nothing_sticks_out_and_nothing_complains(
    chromium: Chromium, answer: Report | Digest, width: int
) -> None:
    shown = chromium.measured(page(answer), width)
    assert (shown.wide, shown.outside, shown.complaints) == (shown.room, [], [])
    assert shown.text > 1_000


def test_words_without_a_break_stay_inside_on_a_phone(chromium: Chromium) -> None:
    answer = with_words(REPORT, LONG[:60])
    shown = chromium.measured(page(answer), PHONE)
    assert (shown.wide, shown.outside) == (shown.room, [])


def test_the_browser_tells_of_what_sticks_out_and_of_scripts_that_fail(
    chromium: Chromium,
) -> None:
    wide = b"<!DOCTYPE html><p style='width:2000px'>x</p><script>console.error('no')</script>"
    shown = chromium.measured(wide, PHONE)
    assert shown.wide > shown.room
    assert shown.outside == ["P.null"]
    assert len(shown.complaints) == 1
