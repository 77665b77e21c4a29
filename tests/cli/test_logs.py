"""How a service's log is written: a line for each thing said, in JSON for whoever collects it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from services.cli import logs


@pytest.fixture(autouse=True)
def _configured_for_this_test() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def written(captured: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in captured.readouterr().err.splitlines()]


def test_a_line_says_what_happened_how_bad_it_is_and_when(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure()
    structlog.get_logger().warning("lease_lost", why="another ledger has it")
    [line] = written(capsys)
    assert line.pop("timestamp")
    assert line == {"event": "lease_lost", "level": "warning", "why": "another ledger has it"}


def test_a_full_disk_does_not_make_a_program_fail_that_has_done_its_work() -> None:
    program = (
        "from services.cli import logs; logs.configure(); logs.structlog.get_logger().info('x')"
    )
    # Unbuffered, Python would have nothing left to write at the end.
    buffered = {name: of for name, of in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with Path("/dev/full").open("wb") as full_disk:
        done = subprocess.run(
            [sys.executable, "-c", program], stderr=full_disk, env=buffered, check=False
        )
    assert done.returncode == 0


def test_an_event_with_lines_is_written_as_those_lines(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    lines = [{"event": "accepted", "position": 7}, {"event": "refused", "rule": "R11"}]
    structlog.get_logger().info("answered", lines=lines)
    first, second = written(capsys)
    assert first.pop("timestamp") == second.pop("timestamp")
    assert first == {"event": "accepted", "level": "info", "position": 7}
    assert second == {"event": "refused", "level": "info", "rule": "R11"}


def test_in_colour_an_event_with_lines_is_as_many_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    logs.configure()
    structlog.get_logger().info("answered", lines=[{"event": "one"}, {"event": "two"}])
    first, second = capsys.readouterr().err.splitlines()
    assert "one" in first
    assert "two" in second


def test_what_needs_no_attention_may_be_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(warnings_only=True)
    structlog.get_logger().info("answered", lines=[{"event": "accepted"}])
    structlog.get_logger().error("not_answered")
    [line] = written(capsys)
    assert line["event"] == "not_answered"


def test_what_json_does_not_know_is_written_as_python_shows_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure()
    structlog.get_logger().info("odd", what=range(3))
    [line] = written(capsys)
    assert line["what"] == "range(0, 3)"
