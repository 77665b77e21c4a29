"""Revisions from NDJSON and from git."""

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.cli.okr_markdown.history import Revision
from services.cli.okr_markdown.sources import SourceUnreadable, read

AT = "2018-10-04T10:52:54+02:00"


class Repository:
    """A git repository of the test's own, with a clock it sets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str, author: str = "Ada Lovelace", day: int = 1) -> str:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": author,
            "GIT_AUTHOR_EMAIL": "a@example.org",
            "GIT_AUTHOR_DATE": f"2018-09-{day:02}T12:00:00+02:00",
            "GIT_COMMITTER_NAME": "Committer",
            "GIT_COMMITTER_EMAIL": "c@example.org",
            "GIT_COMMITTER_DATE": f"2018-10-{day:02}T12:00:00+02:00",
        }
        done = subprocess.run(
            ["git", "-C", str(self.folder), *arguments],
            check=True,
            capture_output=True,
            text=True,
            env=environment,
        )
        return done.stdout.strip()

    def commit(self, files: dict[str, str | None], *, author: str = "Ada", day: int = 1) -> str:
        for name, text in files.items():
            path = self.folder / name
            if text is None:
                path.unlink()
            else:
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(text.encode())
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message=m", author=author, day=day)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "okrs")


def ndjson(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "history.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_a_line_of_ndjson_is_a_revision(tmp_path: Path) -> None:
    path = ndjson(
        tmp_path,
        f'{{"revision":"a1","at":"{AT}","authored_at":"2018-09-26T12:46:35+02:00",'
        '"author":"Ada Lovelace","documents":{"README.md":"# OKRs","old.md":null}}',
        "",
        f'{{"revision":"a2","at":"{AT}","author":"ada_2","documents":{{}}}}',
    )
    at = datetime(2018, 10, 4, 8, 52, 54, tzinfo=UTC)
    assert list(read(path)) == [
        Revision(
            revision="a1",
            at=at,
            author="ada-lovelace",
            documents={"README.md": "# OKRs", "old.md": None},
            authored_at=datetime(2018, 9, 26, 10, 46, 35, tzinfo=UTC),
        ),
        Revision(revision="a2", at=at, author="ada-2", documents={}, authored_at=at),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "{",
        '{"revision":"a1"}',
        '{"revision":"a1","at":"2018-10-04T10:52:54","author":"a","documents":{}}',
        '{"revision":"a1","at":"yesterday","author":"a","documents":{}}',
    ],
)
def test_a_line_that_is_no_revision_is_named(tmp_path: Path, line: str) -> None:
    good = f'{{"revision":"a1","at":"{AT}","author":"a","documents":{{}}}}'
    revisions = read(ndjson(tmp_path, good, line))
    assert next(revisions).revision == "a1"
    with pytest.raises(SourceUnreadable, match=r"history\.jsonl:2: not a revision"):
        next(revisions)


def test_a_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadable, match=r"absent\.jsonl"):
        list(read(tmp_path / "absent.jsonl"))


def test_a_repository_gives_its_markdown_by_commit(repository: Repository) -> None:
    first = repository.commit(
        {"README.md": "# OKRs 2018 Q3\n", "docs/ü b.md": "é\r\n", "code.py": "pass"},
        author="Zoë van Dyk",
        day=2,
    )
    repository.commit({"code.py": "pass  # twice"}, day=3)
    third = repository.commit({"README.md": None, "2018-Q3.md": "# OKRs 2018 Q3\n"}, day=4)
    assert list(read(repository.folder)) == [
        Revision(
            revision=first,
            at=datetime(2018, 10, 2, 10, tzinfo=UTC),
            author="zoe-van-dyk",
            documents={"README.md": "# OKRs 2018 Q3\n", "docs/ü b.md": "é\r\n"},
            authored_at=datetime(2018, 9, 2, 10, tzinfo=UTC),
        ),
        Revision(
            revision=third,
            at=datetime(2018, 10, 4, 10, tzinfo=UTC),
            author="ada",
            documents={"README.md": None, "2018-Q3.md": "# OKRs 2018 Q3\n"},
            authored_at=datetime(2018, 9, 4, 10, tzinfo=UTC),
        ),
    ]


def test_a_merge_is_one_revision_against_its_first_parent(repository: Repository) -> None:
    repository.commit({"README.md": "one\n"}, day=1)
    repository.git("checkout", "--quiet", "-b", "side")
    repository.commit({"side.md": "side\n"}, day=2)
    repository.git("checkout", "--quiet", "main")
    repository.commit({"README.md": "two\n"}, day=3)
    repository.git("merge", "--quiet", "--no-ff", "--message=m", "side", author="Merger", day=4)
    assert [(each.author, each.documents) for each in read(repository.folder)] == [
        ("ada", {"README.md": "one\n"}),
        ("ada", {"README.md": "two\n"}),
        ("merger", {"side.md": "side\n"}),
    ]


def test_a_folder_that_is_no_repository_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    with pytest.raises(SourceUnreadable, match="plain"):
        list(read(folder))
