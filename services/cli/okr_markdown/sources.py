"""Where revisions come from: NDJSON, or a git repository's history.

Instants are handed on in UTC, authors as ids: the name's letters and digits, joined by hyphens.
"""

import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from services.cli.okr_markdown.goals import ID_LENGTH_MAX, slug
from services.cli.okr_markdown.history import Revision

GIT_TIMEOUT_S = 60.0


class SourceUnreadable(Exception):
    """The source is not what was said; the message names the file and the line."""


def read_ndjson(path: Path) -> Iterator[Revision]:
    """Revisions from a file with one JSON object a line, in its order."""
    decoder = msgspec.json.Decoder(Revision)
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    yield _normalised(decoder.decode(line))
                except (msgspec.DecodeError, ValueError) as error:
                    raise SourceUnreadable(f"{path}:{number}: not a revision: {error}") from error
    except OSError as error:
        raise SourceUnreadable(f"{path}: {error.strerror}") from error


def read_git(repository: Path) -> Iterator[Revision]:
    """Revisions of a repository's Markdown files: the checked-out branch, oldest first.

    Of a merge the first parent counts: it is one revision, by whoever merged. Revisions that touch
    no Markdown are left out.
    """
    git = _Git(repository)
    log = git.text("log", "--reverse", "--first-parent", "-z", "--format=%H%n%P%n%cI%n%aI%n%an")
    for entry in log.split("\0"):
        if not entry:
            continue
        commit, parents, committed, authored, author = entry.strip("\n").split("\n", 4)
        documents = git.documents(commit, parents.split()[:1])
        if documents:
            yield _normalised(
                Revision(
                    revision=commit,
                    at=datetime.fromisoformat(committed),
                    authored_at=datetime.fromisoformat(authored),
                    author=author,
                    documents=documents,
                )
            )


def read(source: Path) -> Iterator[Revision]:
    """A directory is a git repository, a file is NDJSON."""
    return read_git(source) if source.is_dir() else read_ndjson(source)


def _normalised(revision: Revision) -> Revision:
    authored_at = revision.authored_at or revision.at
    if revision.at.tzinfo is None or authored_at.tzinfo is None:
        raise ValueError("an instant needs its offset from UTC")
    return msgspec.structs.replace(
        revision,
        at=revision.at.astimezone(UTC),
        authored_at=authored_at.astimezone(UTC),
        author=slug(revision.author, ID_LENGTH_MAX) or "unknown",
    )


class _Git:
    def __init__(self, repository: Path) -> None:
        executable = shutil.which("git")
        if executable is None:
            raise SourceUnreadable(f"{repository}: git is not installed")
        self.command = (executable, "-C", str(repository))
        self.repository = repository

    def documents(self, commit: str, parent: list[str]) -> dict[str, str | None]:
        """The Markdown files a commit changed against its first parent, None for a deleted one."""
        listed = self.text(
            "diff-tree",
            *("-r", "-z", "--root", "--no-commit-id", "--no-renames", "--name-status"),
            *parent,
            commit,
        ).split("\0")
        documents: dict[str, str | None] = {}
        for status, file in zip(listed[::2], listed[1::2], strict=False):
            if file.endswith(".md"):
                deleted = status == "D"
                documents[file] = None if deleted else self.text("show", f"{commit}:{file}")
        return documents

    def text(self, *arguments: str) -> str:
        """What git says; a file that is not UTF-8 is read with replacement characters."""
        done = subprocess.run(
            [*self.command, *arguments], capture_output=True, check=False, timeout=GIT_TIMEOUT_S
        )
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().partition("\n")[0]
            raise SourceUnreadable(f"{self.repository}: {said}")
        return done.stdout.decode(errors="replace")
