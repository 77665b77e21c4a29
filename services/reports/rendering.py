"""Reports in the formats that people want them in: the way in for whoever sends or shows them.

What draws and typesets is loaded when it is first needed: no service waits for it to start.
"""

from typing import Literal, assert_never, get_args

from goal_contracts.queries import Digest, Report

from services.reports import cycle_report, html, markdown, weekly_digest
from services.reports.document import Document

Format = Literal["md", "html", "pdf"]
FORMATS = get_args(Format)


def render_cycle_report(report: Report, output_format: Format) -> bytes:
    """The report of a cycle, all pages of the answer as one; asked `by_week` it has charts."""
    return _rendered(cycle_report.document(report), output_format)


def render_digest(digest: Digest, output_format: Format) -> bytes:
    """The digest of a week, all pages of the answer as one."""
    return _rendered(weekly_digest.document(digest), output_format)


def _rendered(document: Document, output_format: Format) -> bytes:
    match output_format:
        case "md":
            return markdown.text(document)
        case "html":
            return html.page(document)
        case "pdf":
            from services.reports import pdf  # noqa: PLC0415 - see the module

            return pdf.typeset(document)
        case _:
            assert_never(output_format)
