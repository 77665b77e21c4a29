"""The event loop looks for what comes without sleeping, for a moment and no longer."""

import asyncio
import time

import pytest

from services.ledger.awake import AWAKE_S, Awake
from tests.waiting import eventually

pytestmark = pytest.mark.anyio


async def test_nobody_sleeps_for_a_moment_and_then_everybody_may() -> None:
    awake = Awake()
    loop = asyncio.get_running_loop()
    began = time.monotonic()
    awake.for_a_moment()
    while awake.is_on:
        assert _turns_waiting(loop) == 1
        await asyncio.sleep(0)
    assert time.monotonic() - began >= AWAKE_S
    assert _turns_waiting(loop) == 0


async def test_a_moment_that_begins_in_another_makes_it_longer_and_not_busier() -> None:
    awake = Awake()
    loop = asyncio.get_running_loop()
    awake.for_a_moment()
    began = time.monotonic()
    awake.for_a_moment()
    assert _turns_waiting(loop) <= 1  # none, if the processor was another's all the while
    await eventually(lambda: not awake.is_on, timeout_s=10)
    assert time.monotonic() - began >= AWAKE_S
    assert _turns_waiting(loop) == 0


def _turns_waiting(loop: asyncio.AbstractEventLoop) -> int:
    ready = getattr(loop, "_ready")  # noqa: B009 - asyncio shows nobody what waits
    return sum("Awake._turn" in repr(handle) for handle in ready)
