"""The program starts with what the command that was asked for needs, and no more."""

import subprocess
import sys

ASK = """
import sys
from click.testing import CliRunner
from services.cli.app import app
assert CliRunner().invoke(app, ["import", "readings", "--help"]).exit_code == 0
print(*sys.modules)
"""


def test_an_import_starts_without_what_other_commands_need() -> None:
    told = subprocess.run([sys.executable, "-c", ASK], check=True, capture_output=True, text=True)
    imported = told.stdout.split()
    assert "services.cli.import_readings" in imported
    of_others = ("services.projections", "services.reports", "services.ledger", "sqlalchemy")
    assert [name for name in imported if name.startswith(of_others)] == []
