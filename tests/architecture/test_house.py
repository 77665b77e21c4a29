"""The rules of the house that no linter knows."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.tree import TOP, committed_files, modules

ABSENT_FOLDERS = {"common", "utils"}
ABSENT_FILES = {"base.py", "helpers.py", "models.py"}
ABSENT_WORD = "manager"

# Written so that no pattern finds itself in this file.
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|tmp|root|home|Users)/")
REGISTRY = re.compile(r"pypi\.org|pythonhosted\.|registry\.npmjs|proxy\.golang\.org")
UNFINISHED = re.compile(
    r"\b(?:TO[D]O|FIX[M]E|XX[X]|NotImplemented[E]rror|x[f]ail)\b"
    r"|pytest\.(?:skip|importorskip)\(|mark\.(?:skip|skipif)\b"
)
SILENCED = re.compile(r"#\s*(?:no[q]a\b[:\s]*|type:\s*ignore\b)(?P<rest>.*)$")
RULE_CODES = re.compile(r"^\[[^\]]*\]|^[A-Z]+\d+(?:,\s*[A-Z]+\d+)*")
WIRE_NAME = re.compile(r"^goals\.(?:command|ledger|event|query)\.")


def lines(names: list[Path]) -> Iterator[tuple[str, str]]:
    """Each line of text with the place it stands at, "file:line"."""
    for name in names:
        text = (TOP / name).read_text(encoding="utf-8", errors="ignore")
        for number, line in enumerate(text.splitlines(), start=1):
            yield f"{name}:{number}", line


def places(pattern: re.Pattern[str], names: list[Path]) -> list[str]:
    return [place for place, line in lines(names) if pattern.search(line)]


def test_no_name_says_nothing() -> None:
    nameless = [
        str(name)
        for name in committed_files()
        if ABSENT_FOLDERS & set(name.parts[:-1])
        or name.name in ABSENT_FILES
        or (name.suffix == ".py" and ABSENT_WORD in name.stem)
    ]
    assert nameless == []


def test_every_module_says_what_it_is() -> None:
    silent = [
        str(name)
        for name in modules()
        if not ast.get_docstring(ast.parse((TOP / name).read_text(encoding="utf-8")))
    ]
    assert silent == []


def test_no_committed_file_holds_a_path_of_one_machine() -> None:
    assert places(MACHINE_PATH, committed_files()) == []


def test_no_committed_file_holds_the_address_of_a_package_registry() -> None:
    assert places(REGISTRY, committed_files()) == []


def test_nothing_is_left_unfinished_or_skipped() -> None:
    # These fixtures stay out where what they give is absent, and say so.
    unbound = {
        Path("tests/browser/chromium.py"),
        Path("tests/node_tools.py"),
        Path("tests/postgresql.py"),
        Path("tests/real_data.py"),
    }
    bound = [name for name in modules() if name not in unbound]
    assert places(UNFINISHED, bound) == []


def test_a_silenced_check_says_why() -> None:
    unexplained = [
        place
        for place, line in lines(modules())
        if (silenced := SILENCED.search(line))
        and not re.search(r"\w{2,}", RULE_CODES.sub("", silenced["rest"]))
    ]
    assert unexplained == []


def test_a_wire_name_is_written_once_in_subjects() -> None:
    written_elsewhere = [
        f"{name}:{node.lineno}"
        for name in modules()
        if name.parts[0] in {"contracts", "services"} and name.name != "subjects.py"
        for node in ast.walk(ast.parse((TOP / name).read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and WIRE_NAME.match(node.value)
    ]
    assert written_elsewhere == []
