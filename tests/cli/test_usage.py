"""Foreseeable trouble is one line on standard error, with its exit code and how to mend it."""

from pathlib import Path

import pytest

from services.cli import options, settings
from services.cli.settings import RunningServer
from tests.cli.answers import at
from tests.cli.running import goal_ledger

NOBODY = "nats://127.0.0.1:1"


@pytest.fixture(autouse=True)
def empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in settings.SETTINGS:
        monkeypatch.delenv(settings.PREFIX + name.upper().replace("-", "_"), raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("as-of", "yesterday"), "'yesterday' is no date; accepted: 2025-09-30"),
        (("as-of", "2025-09"), "'2025-09' is no date"),
        (("as-of", "--goal", "unit/u-1"), "'unit/u-1' is no goal; accepted: objective/ID"),
        (("as-of", "--org", "a b"), "'a b' is no id; accepted: 1 to 64"),
        (("as-of", "--format", "xml"), "'xml' is not one of 'table', 'json', 'csv'"),
        (("as-of", "@0"), "'@0' is no date"),
        (("as-of", "@١٢"), "'@١٢' is no date"),
        (("as-of", "٢٠٢٥-01-01"), "is no date"),
        (("as-of", "--wait", "٣"), "'٣' is no number; accepted: the digits 0 to 9"),
        (("replay", "--speed", "٣"), "'٣' is no number"),
        (("up", "--nats-port", "٤٢٢٢"), "'٤٢٢٢' is no number"),
        (("up", "--http-port", "65536"), "65536 is not in the range"),
        (("up", "--http-port", "65535", "--standbys", "1"), "no 2 ports after --http-port"),
        (("readings",), "Missing argument 'KPI'"),
        (("history", "team/t-1"), "'team/t-1' is no subject; accepted: organisation/ID"),
        (("command", "nothing.ndjson"), "'nothing.ndjson': No such file or directory"),
        (("replay", "--step", "--speed", "2"), "--step and --speed exclude each other"),
        (("sing",), "No such command 'sing'"),
    ],
)
def test_wrong_usage_says_what_is_accepted(arguments: tuple[str, ...], told: str) -> None:
    result = goal_ledger(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("usage: ")
    assert told in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


@pytest.mark.parametrize("moment", ["2025-09-30", "@120", "2025-09-30T12:00:00+02:00"])
def test_every_way_to_write_a_date_is_taken(moment: str) -> None:
    assert goal_ledger("as-of", moment, "--server", NOBODY, "--wait", "0.2").exit_code == 3


@pytest.mark.parametrize(
    "arguments", [("as-of",), ("readings", "k"), ("history", "kpi/k"), ("replay",)]
)
def test_no_server_is_unreachable(arguments: tuple[str, ...]) -> None:
    result = goal_ledger(*arguments, "--server", NOBODY, "--wait", "0.2")
    assert result.exit_code == 3
    assert result.stderr.startswith(f"unreachable: no server answers at {NOBODY}")
    assert "goal-ledger up" in result.stderr
    assert result.stderr.count("\n") == 1


def test_no_running_system_is_unreachable() -> None:
    result = goal_ledger("as-of")
    assert result.exit_code == 3
    assert result.stderr.startswith("unreachable: no system runs on .goal-ledger/")


def test_a_system_that_was_killed_is_not_running(empty_directory: Path) -> None:
    ended = 2**22 + 1  # no process has such an id
    settings.write_server_file(empty_directory, RunningServer(NOBODY, ended, at("2025-09-30")))
    result = goal_ledger("as-of", "--data", str(empty_directory))
    assert result.exit_code == 3
    assert "no system runs on" in result.stderr


def test_a_flag_comes_before_the_environment_before_the_file(
    empty_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked() -> str:
        return goal_ledger("as-of", "--wait", "0.2").stderr

    (empty_directory / settings.FILE).write_text('server = "nats://127.0.0.1:3"\n')
    assert "127.0.0.1:3 " in asked()
    monkeypatch.setenv("GOAL_LEDGER_SERVER", "nats://127.0.0.1:2")
    assert "127.0.0.1:2 " in asked()
    assert "127.0.0.1:1 " in goal_ledger("as-of", "--server", NOBODY, "--wait", "0.2").stderr


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("colour = 'red'", "goal-ledger.toml has no setting 'colour'; accepted: org, server"),
        ("org = [1]", "org must be a text or a number"),
        ("org =", "goal-ledger.toml cannot be read"),
    ],
)
def test_a_wrong_settings_file_is_wrong_usage(
    empty_directory: Path, content: str, told: str
) -> None:
    (empty_directory / settings.FILE).write_text(content)
    result = goal_ledger("as-of")
    assert result.exit_code == 2
    assert told in result.stderr


def test_who_runs_this_becomes_an_id(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, actor in (("ana", "ana"), ("CORP\\ana.b", "CORP-ana-b"), ("", "unknown")):
        monkeypatch.setattr("getpass.getuser", lambda name=name: name)
        assert settings.default_actor() == actor


def test_every_option_that_is_a_setting_may_stand_in_the_file() -> None:
    with pytest.raises(ValueError, match="add it to SETTINGS"):
        options.setting("--new", name="new", help="Nobody named it.")
    assert {"outbox", "roles"} <= set(settings.SETTINGS)
