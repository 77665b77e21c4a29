"""Change the rules a little, one change at a time, and see a test fail for each: `make mutation`.

Works on a copy of the tree outside the repository. Each changed function is run by the tests that
reach it, without the drawn sequences of test_properties. A change that no test notices has to be
in surviving_mutants.md, under its module and with the reason why nobody could notice it; and no
other change may be there.

It takes every core, or as many as MUTATION_CHILDREN says.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import libcst
from libcst import matchers
from mutmut.__main__ import cli
from mutmut.configuration import config
from mutmut.mutation import mutators
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.utils.format_utils import orig_function_and_class_names_from_key

ROOT = Path(__file__).resolve().parents[3]
EXPLAINED = Path(__file__).with_name("surviving_mutants.md")
MODULES = (
    "contracts/goal_contracts/advice.py",
    "contracts/goal_contracts/cadence.py",
    "contracts/goal_contracts/measures.py",
    "services/ledger/domain/*.py",
)
# mutmut names a module after its path, so the language stands beside the services in the copy.
FOLDERS = {"services": "services", "contracts/goal_contracts": "goal_contracts", "tests": "tests"}
IN_COPY = "--in-copy"
CACHED = r"^@(lru_)?cache\b.*\n"
CHANGE = re.compile(r"^```diff\n(.*?)\n```$", flags=re.MULTILINE | re.DOTALL)
# What mutmut calls killed: a test failed, the process gave up, or the time was up. The last may
# also come of a machine that is busy with something else, so how often it was so is said.
TIME_UP = {-24, 24, 152, 255, 36}
KILLED = {1, 3, -9, -11, *TIME_UP}


def main(patterns: list[str]) -> int:
    """Mutate the modules of a copy of the tree; 1 if a change survives without an explanation."""
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        copy_into(Path(folder))
        begun = [sys.executable, __file__, IN_COPY, *(patterns or MODULES)]
        # Before anything is changed, one test run traces every call: longer than a test may take.
        environment = {**os.environ, "PYTHONPATH": ".", "PYTEST_ADDOPTS": "--timeout 0"}
        return subprocess.run(begun, cwd=folder, env=environment, check=False).returncode


def copy_into(folder: Path) -> None:
    ignore = shutil.ignore_patterns("__pycache__")
    for source, target in FOLDERS.items():
        shutil.copytree(ROOT / source, folder / target, ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", folder)
    # mutmut changes nothing that is decorated, and a cache would answer in place of what it did.
    for module in (folder / "services/ledger/domain").glob("*.py"):
        module.write_text(re.sub(CACHED, "", module.read_text(), flags=re.MULTILINE))


def as_copied(pattern: str) -> str:
    return pattern.removeprefix("contracts/")


def mutate_here(patterns: list[str]) -> int:
    """Run mutmut in the copy, with its kinds of changes less those that change no rule."""
    config().only_mutate = [as_copied(pattern) for pattern in patterns]
    instead = {mutators.operator_string: word, mutators.operator_match: case}
    kinds = mutators.mutation_operators
    assert isinstance(kinds, list)
    kinds[:] = [(node, instead.get(change, change)) for node, change in kinds]
    children = os.environ.get("MUTATION_CHILDREN", str(os.cpu_count()))
    cli(["run", "--max-children", children], standalone_mode=False)
    return report()


def word(node: libcst.BaseString) -> Iterator[libcst.BaseString]:
    """No sentences: how they are worded is nobody's rule."""
    if isinstance(node, libcst.SimpleString) and " " not in node.value:
        yield from mutators.operator_string(node)


def case(node: libcst.Match) -> Iterator[libcst.CSTNode]:
    """Not the case that cannot be: without it nothing happens, which is as impossible."""
    for changed, left_out in zip(mutators.operator_match(node), node.cases, strict=False):
        if not matchers.findall(left_out.body, matchers.Name("assert_never")):
            yield changed


def report() -> int:
    """Say what survived, by module; 1 if that is not what surviving_mutants.md explains."""
    explained = explanations()
    failed = False
    for meta in sorted(Path("mutants").rglob("*.py.meta")):
        path = str(meta.relative_to("mutants")).removesuffix(".meta")
        codes: dict[str, int | None] = json.loads(meta.read_text())["exit_code_by_key"]
        if not codes:
            continue
        alive = [change_of(name, path) for name, code in codes.items() if code not in KILLED]
        late = [change_of(name, path) for name, code in codes.items() if code in TIME_UP]
        here = explained.get(path, set())
        unknown = [each for each in alive if each not in here]
        gone = here.difference(alive, late)
        for function, change in unknown:
            sys.stdout.write(f"\n{path} {function}\n{change}\n")
        for function, change in sorted(gone):
            sys.stdout.write(f"\nExplained, but no survivor: {path} {function}\n{change}\n")
        sys.stdout.write(
            f"\n{path}: {len(codes)} mutants, {len(codes) - len(alive)} killed "
            f"({len(late)} as the time was up), "
            f"{len(alive)} survived, {len(alive) - len(unknown)} of them explained\n"
        )
        failed = failed or bool(unknown or gone)
    return int(failed)


def change_of(name: str, path: str) -> tuple[str, str]:
    """The function that a mutant changes, and the lines that it changes there."""
    function, _ = orig_function_and_class_names_from_key(name)
    diff = get_diff_for_mutant(name, path=path).splitlines()
    return function, "\n".join(
        line for line in diff if line.startswith(("-", "+")) and not line.startswith(("---", "+++"))
    )


def explanations() -> dict[str, set[tuple[str, str]]]:
    """What surviving_mutants.md names: by module, functions and changed lines."""
    return {
        as_copied(path): {
            (function, change)
            for function, text in _parts("### ", section)
            for change in CHANGE.findall(text)
        }
        for path, section in _parts("## ", EXPLAINED.read_text())
    }


def _parts(mark: str, text: str) -> Iterator[tuple[str, str]]:
    """Heading and text of each section."""
    for section in re.split(f"^{mark}", text, flags=re.MULTILINE)[1:]:
        heading, _, rest = section.partition("\n")
        yield heading.strip("` "), rest


if __name__ == "__main__":
    if sys.argv[1:2] == [IN_COPY]:
        sys.exit(mutate_here(sys.argv[2:]))
    sys.exit(main(sys.argv[1:]))
