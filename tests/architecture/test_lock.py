"""What is installed is what is written down: exact versions, each with its hashes."""

import re
import tomllib

from packaging.requirements import Requirement

from tests.architecture.tree import TOP

LOCKED = [
    entry.split() for entry in re.split(r"\n(?=\S)", (TOP / "requirements.lock").read_text("utf-8"))
]
VERSIONS = dict(entry[0].split("==") for entry in LOCKED)


def asked_for() -> list[Requirement]:
    application = tomllib.loads((TOP / "pyproject.toml").read_text("utf-8"))
    contracts = tomllib.loads((TOP / "contracts" / "pyproject.toml").read_text("utf-8"))
    written = [
        *application["project"]["dependencies"],
        *application["dependency-groups"]["dev"],
        *application["build-system"]["requires"],
        *contracts["project"]["dependencies"],
        *contracts["build-system"]["requires"],
    ]
    return [Requirement(text) for text in written if text != "goal-contracts"]


def test_every_locked_version_has_its_hashes() -> None:
    bare = [
        entry[0] for entry in LOCKED if not any(word.startswith("--hash=sha256:") for word in entry)
    ]
    assert bare == []


def test_the_lock_holds_everything_that_is_asked_for() -> None:
    unmet = [
        str(wanted)
        for wanted in asked_for()
        if wanted.name not in VERSIONS or VERSIONS[wanted.name] not in wanted.specifier
    ]
    assert unmet == []
