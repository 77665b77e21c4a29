"""The language needs msgspec and nothing else: its wheel is tried in an environment of its own."""

import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from importlib.metadata import distribution
from pathlib import Path

import pytest

from tests.architecture.tree import TOP
from tests.running import running

OURS_ALONE = ["nats", "faststream", "eventsourcing", "structlog", "sqlalchemy", "anyio", "services"]
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]


def run(*command: str | Path) -> str:
    """What the command printed; fails with its whole output unless it exits 0."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def copy_installed(name: str, site_packages: Path) -> None:
    """Copy one installed distribution, so that no test needs the network."""
    for file in distribution(name).files or []:
        if ".." not in file.parts and "__pycache__" not in file.parts:
            target = site_packages / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(file.locate()), target)


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a new environment that holds msgspec and the wheel of the contracts."""
    place = tmp_path_factory.mktemp("contracts")
    # Built from a copy: setuptools leaves its traces beside what it builds.
    shutil.copytree(
        TOP / "contracts",
        place / "source",
        ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"),
    )
    run(*PIP, "wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", place,
        place / "source")  # fmt: skip
    venv.create(place / "env", symlinks=True, with_pip=False)
    at = {"base": str(place / "env"), "platbase": str(place / "env")}
    python = Path(sysconfig.get_path("scripts", "venv", at)) / "python"
    copy_installed("msgspec", Path(sysconfig.get_path("purelib", "venv", at)))
    # With dependencies but without an index: pip itself says if msgspec were not enough.
    run(*PIP, "--python", python, "install", "--no-index", *place.glob("goal_contracts-*.whl"))
    return python


def test_nothing_else_of_ours_is_there(bare_python: Path) -> None:
    present = (
        f"from importlib.util import find_spec; print([n for n in {OURS_ALONE} if find_spec(n)])"
    )
    assert run(bare_python, "-I", "-c", present) == "[]\n"


def test_every_example_decodes_there(bare_python: Path) -> None:
    run(bare_python, "-I", "-m", "goal_contracts.examples")


def test_its_types_are_published(bare_python: Path) -> None:
    marker = "(files('goal_contracts') / 'py.typed').is_file()"
    printed = run(
        bare_python, "-I", "-c", f"from importlib.resources import files; print({marker})"
    )
    assert printed == "True\n"


def test_the_published_documents_are_there_as_they_are_committed(bare_python: Path) -> None:
    show = "import sys; from goal_contracts.documents import served; "
    for path in ("asyncapi.json", "schemas/index.json", "schemas/events/CheckedIn.v1.json"):
        shown = run(
            bare_python,
            "-I",
            "-X",
            "utf8",
            "-c",
            f"{show}print(served({path!r})[0].decode(), end='')",
        )
        assert shown == (TOP / "contracts" / path).read_text("utf-8")
    page = run(bare_python, "-I", "-X", "utf8", "-c", f"{show}print(served('')[0].decode())")
    assert page.startswith("<!doctype html>")


def test_every_schema_is_there(bare_python: Path) -> None:
    count = "sum(served(f'schemas/{each.path}') is not None for each in messages())"
    counted = run(
        bare_python,
        "-I",
        "-c",
        "from goal_contracts.documents import served; "
        f"from goal_contracts.messages import messages; print({count}, len(list(messages())))",
    )
    served, published = counted.split()
    assert served == published


@pytest.fixture(scope="module")
def subscribing_python(bare_python: Path) -> Path:
    """The same with what the extra `client` asks for."""
    site_packages = Path(
        run(
            bare_python, "-I", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"
        ).strip()
    )
    for name in ("nats-py", "nkeys", "pynacl", "cffi", "pycparser"):
        copy_installed(name, site_packages)
    return bare_python


def test_the_lines_of_the_readme_print_the_first_event(
    subscribing_python: Path, tmp_path: Path
) -> None:
    readme = (TOP / "contracts" / "README.md").read_text()
    [lines, *_] = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert len([line for line in lines.splitlines() if line]) < 20
    with running(tmp_path / "data") as system:
        opening = tmp_path / "open.ndjson"
        opening.write_text('{"type": "OpenOrganisation", "data": {"name": "Acme"}}')
        system.run("command", str(opening), "--actor", "u-17")
        here = lines.replace("nats://127.0.0.1:4222", system.url)
        here = here.replace(".goal-ledger-demo", str(system.data))
        with subprocess.Popen(
            [subscribing_python, "-I", "-u", "-c", here], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            first = process.stdout.readline()
            process.kill()
    assert first == "1 u-17 OrganisationOpened acme\n"
