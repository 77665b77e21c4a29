"""A real browser without a window: what it makes of a page, and what it complains about."""

import html
import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from tests.node_tools import NOTHING_MAY_BE_MISSING

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
LONGEST_S = 60
MEASURING = """<!DOCTYPE html><meta charset="utf-8"><title>measures</title>
<iframe id="shown" style="width:{width}px;height:900px;border:0" srcdoc="{page}"></iframe>
<script>
document.getElementById("shown").addEventListener("load", ({{target}}) => {{
  const inside = target.contentDocument, root = inside.documentElement;
  const outside = [...inside.querySelectorAll("body *")]
    .filter(each => each.getBoundingClientRect().right > root.clientWidth + 1)
    .map(each => each.tagName + "." + each.getAttribute("class"));
  const told = {{wide: root.scrollWidth, room: root.clientWidth, outside: outside.slice(0, 5),
                 text: inside.body.innerText.length}};
  document.body.dataset.measured = JSON.stringify(told);
}});
</script>
"""


class Measured(NamedTuple):
    """How wide a page is, how wide it may be, what sticks out, and what the console said."""

    wide: int
    room: int
    outside: list[str]
    text: int
    complaints: list[str]


class Chromium:
    """Runs for one page at a time, with a profile of its own, and talks to nobody."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self._runs = 0

    def measured(self, page: bytes, width: int) -> Measured:
        """The page in a frame of so many pixels."""
        self._runs += 1
        around = self._folder / f"{self._runs}.html"
        around.write_text(MEASURING.format(width=width, page=html.escape(page.decode())), "utf-8")
        shown = subprocess.run(
            [
                self._program,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--enable-logging=stderr",
                "--virtual-time-budget=10000",
                f"--user-data-dir={self._folder / f'profile-{self._runs}'}",
                "--dump-dom",
                around.as_uri(),
            ],
            check=True,
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
        )
        _, _, rest = shown.stdout.partition('data-measured="')
        told = msgspec.json.decode(html.unescape(rest.partition('"')[0]))
        complaints = [line for line in shown.stderr.splitlines() if "CONSOLE" in line]
        return Measured(**told, complaints=complaints)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Chromium:
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        missing = "no browser: on Debian or Ubuntu, apt install chromium"
        if NOTHING_MAY_BE_MISSING in os.environ:
            pytest.fail(missing)
        pytest.skip(missing)
    return Chromium(program, tmp_path_factory.mktemp("chromium"))
