"""The views may be deleted at any time: the log has everything they say."""

import asyncio
import shutil
from pathlib import Path

from goal_contracts.replies import Accepted

from services.cli import sample
from tests.running import System, running


async def _load_sample(system: System) -> None:
    async with await system.connect() as client:
        for actor, message in sample.messages():
            reply = await client.send(sample.ORGANISATION, actor, message)
            assert isinstance(reply, Accepted), reply


def test_views_that_were_deleted_come_back_with_the_same_bytes(tmp_path: Path) -> None:
    with running(tmp_path) as system:
        asyncio.run(_load_sample(system))
        before = system.run("export", "views", "--org", "acme")
    assert len(before.splitlines()) > 4_000
    shutil.rmtree(tmp_path / "views")
    with running(tmp_path) as system:
        assert system.run("export", "views", "--org", "acme") == before
