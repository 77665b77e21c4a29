"""How the services and the supervisor write their log: JSON, or in colour on a terminal."""

import asyncio
import atexit
import contextlib
import logging
import os
import sys
from pathlib import Path
from typing import Final

import msgspec
import structlog
from structlog.typing import EventDict


class QuietLogger:
    """Writes to standard error and never fails: a full disk must not end what is being logged.

    What is said in one turn of the event loop is written at once, at its end.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []
        atexit.register(self._end)

    def msg(self, line: str) -> None:
        self._lines.append(line)
        if len(self._lines) > 1:
            return
        try:
            asyncio.get_running_loop().call_soon(self._write)
        except RuntimeError:  # there is none
            self._write()

    log = debug = info = warn = warning = msg
    fatal = failure = err = error = critical = exception = msg

    def _write(self) -> None:
        lines, self._lines = self._lines, []
        if lines:
            with contextlib.suppress(OSError):
                sys.stderr.write("\n".join([*lines, ""]))
                sys.stderr.flush()

    def _end(self) -> None:
        self._write()
        try:
            sys.stderr.flush()
        except OSError:  # Python would try once more, and call the whole program failed: 120
            sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # to the end


_console: Final = structlog.dev.ConsoleRenderer()
_json: Final = msgspec.json.Encoder(enc_hook=repr)


def _as_json(_logger: object, _name: str, event: EventDict) -> str:
    """Many times as fast as the standard library, which counts with a line for each command."""
    return _json.encode_lines(_lines_of(event)).decode().removesuffix("\n")


def _in_colour(logger: object, name: str, event: EventDict) -> str:
    return "\n".join(_console(logger, name, line) for line in _lines_of(event))


def _lines_of(event: EventDict) -> list[EventDict]:
    """An event with `lines` stands for so many, all with what it has beside."""
    lines = event.pop("lines", None)
    return [event] if lines is None else [{**event, **line} for line in lines]


def configure(*, warnings_only: bool = False) -> None:
    """Every line goes to standard error; with `warnings_only` only what needs attention does."""
    is_terminal = sys.stderr.isatty()
    logger = QuietLogger()
    exceptions = [] if is_terminal else [structlog.processors.format_exc_info]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *exceptions,
            _in_colour if is_terminal else _as_json,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.WARNING if warnings_only else logging.INFO
        ),
        logger_factory=lambda *_: logger,
        cache_logger_on_first_use=True,
    )
