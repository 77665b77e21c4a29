"""Charts as SVG, drawn by matplotlib: the same bytes from the same numbers.

Nothing that a person wrote goes into a picture: only dates and numbers, as text that can be read
and searched. Colours are named, so that a page may replace them by those of its light or dark side.
"""

import io
import re
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Final, assert_never

import matplotlib as mpl
from markupsafe import escape
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from services.reports import wording
from services.reports.document import Chart, PlottedReading, ProgressPlot, SeriesPlot, Tone

COLOURS: Final = {
    "ink": "#1b2331",
    "muted": "#566175",
    "grid": "#d9dee8",
    "line": "#1f4e8d",
    "pace": "#76818f",
    "healthy": "#d9f0e3",
    "warned": "#fcedcc",
    "breach": "#fadedb",
    "good": "#17784a",
    "warning": "#8a5a01",
    "bad": "#b42319",
    "neutral": "#5b6473",
}
"""By name, each unlike any other, as they are on paper."""
MARKERS: Final[dict[Tone, str]] = {"good": "o", "warning": "^", "bad": "s", "neutral": "o"}
"""The shapes of document.SYMBOLS."""
POINTS_AN_INCH: Final = 72
PROGRESS_POINTS: Final = (200, 68)
SERIES_POINTS: Final = (310, 130)
SMALL: Final = 8
LABELS: Final = 3
TICKS_MAX: Final = 4
HEADROOM: Final = 0.12

_NO_VALUE: Final = float("nan")
_INK, _LINE = COLOURS["ink"], COLOURS["line"]
_PREAMBLE: Final = re.compile(r"\A.*?(?=<svg)", re.DOTALL)
_METADATA: Final = re.compile(r" *<metadata>.*?</metadata>\n| *<style .*?</style>\n", re.DOTALL)
_GROUP_ID: Final = re.compile(r'<g id="[^"]*"')
_IDENTITY: Final = re.compile(r'(?<=id=")(?=\w)|(?<=href="#)|(?<=url\(#)')
_FAMILY: Final = re.compile(r" font-family: [^;\"]*;?| ?transform=\"rotate\(-0 [^\"]*\"")

# Text stays text; ids follow from what they stand for.
mpl.rcParams.update(
    {
        "svg.fonttype": "none",
        "svg.hashsalt": "goal-ledger",
        "font.family": ["DejaVu Sans"],
        "font.size": SMALL,
        "path.simplify": False,
    }
)


class Sheets:
    """Draws the charts of one document, each on the sheet of its kind, wiped before it is used.

    Axes with their ticks cost matplotlib ten times what a line costs.
    """

    def __init__(self) -> None:
        self._progress = _sheet(PROGRESS_POINTS)
        self._series = _sheet(SERIES_POINTS)

    def svg(self, of: Chart, name: str) -> str:
        """A chart as an SVG element; `name` keeps it apart from others in the same document."""
        match of.plot:
            case ProgressPlot():
                figure, axes = self._progress
                _wipe(axes)
                _draw_progress(axes, of.plot)
            case SeriesPlot():
                figure, axes = self._series
                _wipe(axes)
                _draw_series(axes, of.plot)
            case _:
                assert_never(of.plot)
        written = io.BytesIO()
        figure.canvas.print_figure(written, format="svg", metadata={"Date": None, "Creator": None})
        return _trimmed(written.getvalue().decode(), of, name)


def _sheet(points: tuple[int, int]) -> tuple[Figure, Axes]:
    width, height = points
    figure = Figure(figsize=(width / POINTS_AN_INCH, height / POINTS_AN_INCH))
    FigureCanvasSVG(figure)
    figure.patch.set_visible(False)
    axes = figure.add_axes((32 / width, 14 / height, (width - 38) / width, (height - 20) / height))
    axes.patch.set_visible(False)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(COLOURS["pace"])
    axes.tick_params(length=0, labelsize=SMALL, labelcolor=COLOURS["muted"], pad=3)
    axes.grid(axis="y", color=COLOURS["grid"], linewidth=0.7)
    axes.set_axisbelow(True)
    return figure, axes


def _wipe(axes: Axes) -> None:
    for drawn in (*axes.lines, *axes.collections, *axes.patches):
        drawn.remove()


def _draw_progress(axes: Axes, plot: ProgressPlot) -> None:
    days = [day.toordinal() for day in plot.days]
    shares = [_NO_VALUE if each is None else float(each) for each in plot.progress]
    span = [day.toordinal() for day in plot.span]
    axes.plot(span, [0, 1], color=COLOURS["pace"], linewidth=1, linestyle=(0, (3, 2)))
    axes.plot(days, shares, color=_LINE, linewidth=1.8, clip_on=False, solid_joinstyle="round")
    reached = [
        (day.toordinal(), float(share))
        for day, share in zip(plot.days, plot.progress, strict=True)
        if share is not None
    ]
    if reached:
        axes.plot(*reached[-1], "o", color=_LINE, markersize=4.5, clip_on=False)
    top = max([1.0, *(share for _, share in reached)])
    axes.set_ylim(0, top)
    axes.set_yticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
    _label_days(axes, *plot.span)


def _draw_series(axes: Axes, plot: SeriesPlot) -> None:
    readings = plot.readings
    days = [each.day.toordinal() for each in readings]
    values = [_NO_VALUE if each.value is None else float(each.value) for each in readings]
    first = min(readings[0].day, plot.span[0]) if readings else plot.span[0]
    last = max(readings[-1].day, first + timedelta(days=1)) if readings else plot.span[1]
    low, high = _reach(readings)
    axes.set_ylim(low, high)
    _draw_bands(axes, readings, first, last)
    begun, over = max(plot.span[0], first), min(plot.span[1], last)
    axes.axvspan(begun.toordinal(), over.toordinal(), ymax=0.025, color=_INK, linewidth=0)
    targets = [_NO_VALUE if each.target is None else float(each.target) for each in readings]
    axes.plot(days, targets, color=COLOURS["pace"], linewidth=1, linestyle=(0, (3, 2)),
              drawstyle="steps-mid")  # fmt: skip
    axes.plot(days, values, color=_LINE, linewidth=1.3, solid_joinstyle="round")
    for tone, marker in MARKERS.items():
        of_tone = [(day, value) for day, value, each in zip(days, values, readings, strict=True)
                   if each.tone == tone and each.value is not None]  # fmt: skip
        if of_tone:
            axes.plot(*zip(*of_tone, strict=True), marker, color=COLOURS[tone], markersize=3.6,
                      linestyle="none", clip_on=False)  # fmt: skip
    corrected = [(day, value) for day, value, each in zip(days, values, readings, strict=True)
                 if each.is_corrected and each.value is not None]  # fmt: skip
    if corrected:
        axes.plot(*zip(*corrected, strict=True), "o", markerfacecolor="none", markersize=8,
                  markeredgecolor=_INK, markeredgewidth=0.9, clip_on=False)  # fmt: skip
    ticks = [each for each in MaxNLocator(TICKS_MAX).tick_values(low, high) if low <= each <= high]
    axes.set_yticks(ticks, [_short(each) for each in ticks])
    _label_days(axes, first, last)


def _draw_bands(axes: Axes, readings: Sequence[PlottedReading], first: date, last: date) -> None:
    """The bands in force, each from half-way to the reading before up to half-way to the next."""
    low, high = axes.get_ylim()
    edges: list[float] = [first.toordinal()]
    edges += [
        (one.day.toordinal() + other.day.toordinal()) / 2 for one, other in pairwise(readings)
    ]
    edges.append(last.toordinal())
    start = 0
    for place, reading in enumerate(readings):
        following = readings[place + 1] if place + 1 < len(readings) else None
        if following is not None and _bands(following) == _bands(reading):
            continue
        if reading.has_bands:
            span = edges[start], edges[place + 1]
            for colour, (lower, upper) in (
                ("breach", (None, None)),
                ("warned", reading.warning),
                ("healthy", reading.healthy),
            ):
                bottom = low if lower is None else max(float(lower), low)
                top = high if upper is None else min(float(upper), high)
                if top > bottom:
                    axes.fill_between(span, bottom, top, color=COLOURS[colour], linewidth=0)
        start = place + 1


def _bands(of: PlottedReading) -> tuple[object, ...]:
    return of.has_bands, of.healthy, of.warning


def _reach(readings: Sequence[PlottedReading]) -> tuple[float, float]:
    """The values shown, with what they are judged by, and some room."""
    ends: list[Decimal | None] = []
    for each in readings:
        ends += [each.value, each.target, *each.healthy, *each.warning]
    shown = [float(each) for each in ends if each is not None] or [0.0, 1.0]
    low, high = min(shown), max(shown)
    room = (high - low) * HEADROOM or abs(high) * HEADROOM or 1.0
    return low - room, high + room


def _short(value: float) -> str:
    """Four digits are enough beside an axis: `12.3k`."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            scale = 1e3 if letter == "k" else size
            return f"{value / scale:.3g}{letter}".replace("-", "−")
    return f"{value:.4g}".replace("-", "−")


def _label_days(axes: Axes, first: date, last: date) -> None:
    """A few days below the axis, evenly from the first to the last."""
    axes.set_xlim(first.toordinal(), last.toordinal())
    shown = [first + (last - first) * part // LABELS for part in range(LABELS + 1)]
    axes.set_xticks(
        [day.toordinal() for day in shown],
        [f"{day.day} {wording.MONTHS[day.month - 1][:3]}" for day in shown],
    )
    labels = axes.get_xticklabels()
    labels[0].set_horizontalalignment("left")
    labels[-1].set_horizontalalignment("right")


def _trimmed(written: str, of: Chart, name: str) -> str:
    """Without what a file of its own would need, and with words for those who do not see it."""
    bare = _METADATA.sub("", _PREAMBLE.sub("", written, count=1))
    bare = _FAMILY.sub("", _GROUP_ID.sub("<g", bare))
    bare = _IDENTITY.sub(f"{name}-", bare)
    opening, _, rest = bare.partition(">")
    told = f"<title>{escape(of.title)}</title><desc>{escape(of.description)}</desc>"
    return f'{opening} role="img">{told}{rest}'.strip()
