"""A document as one page that needs nothing else: style and pictures inside, no script."""

from decimal import Decimal
from functools import cache
from importlib.resources import files
from itertools import count
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from services.reports import wording
from services.reports.document import Block, Chart, Document, Goal

WHOLE: Final = Decimal(100)
TICK_WIDTH: Final = Decimal("0.6")
_STEP: Final = Decimal("0.01")


def page(of: Document) -> bytes:
    """The page, in UTF-8."""
    from services.reports import charts  # noqa: PLC0415 - a second that no other format needs

    sheets = charts.Sheets()
    names = (f"c{number}" for number in count(1))
    variables = {colour: f"var(--{name})" for name, colour in _variables(charts.COLOURS)}

    def drawn(chart: Chart) -> Markup:
        picture = sheets.svg(chart, next(names))
        for colour, variable in variables.items():
            picture = picture.replace(colour, variable)
        return Markup(picture)  # noqa: S704 - ours: every word in it was escaped by charts

    return _template().render(of=of, drawn=drawn).encode()


def _variables(colours: dict[str, str]) -> list[tuple[str, str]]:
    """The page's names for the colours of pictures."""
    return [("rule" if name == "grid" else name, colour) for name, colour in colours.items()]


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("services.reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = files("services.reports").joinpath("templates", "page.css").read_text(encoding="utf-8")
    environment.globals |= {
        "style": Markup(style),  # noqa: S704 - ours, and of constants alone
        "is_a": _is_a,
        "has_charts": _has_charts,
        "share": _share,
        "tick": _tick,
        "paced": wording.paced,
    }
    return environment.get_template("page.html")


def _is_a(block: Block, name: str) -> bool:
    return type(block).__name__ == name


def _has_charts(goal: Goal) -> bool:
    return any(result.chart is not None for result in goal.results)


def _share(of: Decimal) -> str:
    """A share as so many of a hundred."""
    return str((min(of, Decimal(1)) * WHOLE).quantize(_STEP))


def _tick(of: Decimal) -> str:
    """Where the pace is marked; at the very end the mark still lies inside."""
    return str(min(of * WHOLE, WHOLE - TICK_WIDTH).quantize(_STEP))
