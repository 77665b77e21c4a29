"""What README lists is what there is: every command and every path, and nothing that is gone."""

import re
from typing import Final

from services.cli.app import COMMANDS, IMPORTS, POLICIES
from services.projections.http.routes import ROUTES, STREAM
from tests.architecture.tree import TOP

README: Final = (TOP / "README.md").read_text(encoding="utf-8")


def first_column(heading: str) -> set[str]:
    """All that stands in code in the first column of the table below a heading."""
    section = README.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`.*?) \|", section, flags=re.MULTILINE)
    return {code for cell in cells for code in re.findall(r"`([^`]*)`", cell)}


def test_it_tells_of_every_command() -> None:
    several = {"import": IMPORTS, "policy": POLICIES}
    wanted = {f"{group} {name}" for group, names in several.items() for name in names}
    wanted |= COMMANDS.keys() - several.keys()
    told = first_column("What one can ask")
    missing = {
        name for name in wanted if not any(f"{code} ".startswith(f"{name} ") for code in told)
    }
    assert not missing
    assert {code.split()[0] for code in told} <= COMMANDS.keys()


def test_it_tells_of_every_path_of_the_questions() -> None:
    assert first_column("Over HTTP") == {route.path for route in ROUTES} | {STREAM}
