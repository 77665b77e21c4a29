"""Waiting in tests: for a condition, bounded; nowhere else is there a sleep."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

T = TypeVar("T")

TIMEOUT_S = 10.0
POLL_INTERVAL_S = 0.01


@overload
async def eventually(
    check: Callable[[], Awaitable[T]], timeout_s: float = TIMEOUT_S, why: str = ""
) -> T: ...
@overload
async def eventually(check: Callable[[], T], timeout_s: float = TIMEOUT_S, why: str = "") -> T: ...
async def eventually(
    check: Callable[[], T | Awaitable[T]], timeout_s: float = TIMEOUT_S, why: str = ""
) -> T:
    """Asks until the answer is truthy and returns it; an AssertionError inside means not yet."""
    give_up_at = time.monotonic() + timeout_s
    while True:
        late = time.monotonic() > give_up_at
        try:
            answer = check()
            result: T = await answer if inspect.isawaitable(answer) else answer
            if result:
                return result
        except AssertionError:
            if late:
                raise
        assert not late, f"not within {timeout_s} s: {why or check}"
        await asyncio.sleep(POLL_INTERVAL_S)


def wait_until(check: Callable[[], T], timeout_s: float = TIMEOUT_S, why: str = "") -> T:
    """The same where no event loop runs."""
    give_up_at = time.monotonic() + timeout_s
    while True:
        late = time.monotonic() > give_up_at
        try:
            answer = check()
            if answer:
                return answer
        except AssertionError:
            if late:
                raise
        assert not late, f"not within {timeout_s} s: {why or check}"
        time.sleep(POLL_INTERVAL_S)
