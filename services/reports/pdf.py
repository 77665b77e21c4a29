"""A document as PDF, typeset by Typst: the same bytes from the same document.

The template is a constant and the document its data, so that nothing in it can be taken for markup.
Fonts come with the libraries; those of the machine are asked only for letters that these lack.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cache
from importlib.resources import files
from itertools import count
from pathlib import Path
from typing import Any

import matplotlib as mpl
import msgspec
import typst
from matplotlib.ft2font import FT2Font

from services.reports import charts, wording
from services.reports.document import Chart, Document, Goal, Mark


def typeset(of: Document) -> bytes:
    """The pages, A4."""
    told = msgspec.json.encode(_Teller().told(of)).decode()
    at = datetime.combine(of.day, time.min, tzinfo=UTC)
    return typst.compile(
        _template(),
        format="pdf",
        sys_inputs={"document": told},
        font_paths=_fonts(with_those_of_the_machine=not _letters().issuperset(map(ord, set(told)))),
        timestamp=int(at.timestamp()),
    )


class _Teller:
    """Turns a document into what the template reads: JSON with its pictures drawn."""

    def __init__(self) -> None:
        self._sheets = charts.Sheets()
        self._names: Iterator[str] = (f"c{number}" for number in count(1))

    def told(self, value: Any) -> Any:  # noqa: ANN401 - whatever a document is made of
        match value:
            case tuple():
                return [self.told(each) for each in value]
            case Decimal() | date():
                return str(value)
            case Chart(title=title, description=description, table=table):
                return {
                    "title": title,
                    "description": description,
                    "table": self.told(table),
                    "svg": self._sheets.svg(value, next(self._names)),
                }
            case msgspec.Struct():
                fields = {name: getattr(value, name) for name in value.__struct_fields__}
                told = {name: self.told(field) for name, field in fields.items()}
                return told | {"is": type(value).__name__} | self._more(value)
            case _:
                return value

    def _more(self, of: msgspec.Struct) -> dict[str, str]:
        """What the template could not say by itself."""
        match of:
            case Mark(symbol=symbol):
                return {"symbol": symbol}
            case Goal(progress=progress, pace=pace) if progress is not None:
                return {"paced": wording.paced(progress, pace)}
            case _:
                return {}


@cache
def _template() -> bytes:
    return files("services.reports").joinpath("templates", "report.typ").read_bytes()


@cache
def _fonts(*, with_those_of_the_machine: bool) -> typst.Fonts:
    return typst.Fonts(
        include_system_fonts=with_those_of_the_machine, font_paths=[_folder_of_fonts()]
    )


@cache
def _letters() -> frozenset[int]:
    """What can be written without the machine's own fonts."""
    return frozenset(FT2Font(str(_folder_of_fonts() / "DejaVuSans.ttf")).get_charmap())


def _folder_of_fonts() -> Path:
    return Path(mpl.get_data_path()) / "fonts" / "ttf"
