"""What is installed is what is written down: exact versions, each with its hashes."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement

from tests.architecture.tree import TOP


def locked(name: str) -> list[list[str]]:
    return [entry.split() for entry in re.split(r"\n(?=\S)", (TOP / name).read_text("utf-8"))]


def versions(name: str) -> dict[str, str]:
    return dict(entry[0].split("==") for entry in locked(name))


# What is installed from each lock, beside what everybody needs.
LOCKS = {"requirements.lock": ["dev"], "requirements-bench.lock": ["dev", "bench"]}


def asked_for(groups: list[str]) -> list[Requirement]:
    application = tomllib.loads((TOP / "pyproject.toml").read_text("utf-8"))
    contracts = tomllib.loads((TOP / "contracts" / "pyproject.toml").read_text("utf-8"))
    written = [
        *application["project"]["dependencies"],
        *(wanted for group in groups for wanted in application["dependency-groups"][group]),
        *application["build-system"]["requires"],
        *contracts["project"]["dependencies"],
        *contracts["project"]["optional-dependencies"]["client"],
        *contracts["build-system"]["requires"],
    ]
    named = map(Requirement, written)
    return [wanted for wanted in named if wanted.name != "goal-contracts"]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_version_has_its_hashes(lock: str) -> None:
    bare = [
        entry[0]
        for entry in locked(lock)
        if not any(word.startswith("--hash=sha256:") for word in entry)
    ]
    assert bare == []


@pytest.mark.parametrize(("lock", "groups"), LOCKS.items())
def test_a_lock_holds_everything_that_is_asked_for(lock: str, groups: list[str]) -> None:
    found = versions(lock)
    unmet = [
        str(wanted)
        for wanted in asked_for(groups)
        if wanted.name not in found or found[wanted.name] not in wanted.specifier
    ]
    assert unmet == []


def test_the_benchmarks_measure_with_the_versions_that_are_run() -> None:
    run, measured = versions("requirements.lock"), versions("requirements-bench.lock")
    assert {name: measured[name] for name in run} == run
