"""`goal-ledger rebuild`: beside a running system, and without one."""

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.running import System, running
from tests.waiting import wait_until

OPENING = """{"type": "OpenOrganisation", "data": {"name": "Acme"}}
{"type": "DefineUnit", "data": {"unit_id": "team", "name": "Team", "unit_kind": "team"}}
"""


def test_the_views_of_a_running_system_are_made_anew_and_a_wrong_row_is_named(
    tmp_path: Path,
) -> None:
    commands = tmp_path / "commands.ndjson"
    commands.write_text(OPENING)
    with running(tmp_path / "data") as system:
        system.run("command", str(commands))
        before = system.run("export", "views")
        assert before
        said = system.run("rebuild")
        assert "Generation 2 of the views answers, up to @2." in said
        assert "Every view is what it was, compared up to @2." in said
        assert system.run("export", "views") == before

        generation = system.data / "views" / "projections-2.sqlite"
        wait_until(generation.exists)
        with closing(sqlite3.connect(generation)) as connection, connection:
            connection.execute("UPDATE event SET kind = 'cycle' WHERE position = 2")
        done = system.try_run("rebuild")
        assert done.returncode == 1
        assert "event: 2 rows, 2 before; the first other one: acme/2" in done.stderr
        assert "views-differed" in done.stderr
        wait_until(lambda: system.run("export", "views") == before)


def test_where_there_are_no_views_none_are_made(tmp_path: Path) -> None:
    done = System(tmp_path).try_run("rebuild", "--server", "nats://127.0.0.1:1")
    assert done.returncode == 2
    assert "there are no views in" in done.stderr
