"""Calls of other people's code that come back in time, or are left behind.

Python cannot end a thread. A call past its limit goes on in the background, unseen, until it returns or the program
ends. One that never lets other threads run, such as a regular expression that backtracks for hours, is not even
noticed. What must really be stopped belongs into a process of its own.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, wait
from typing import Any

_GRACE = 1.0
"""Seconds an async call has to take its cancellation, after which its event loop counts as blocked."""


class OverTime(Exception):
    """The call took longer than it may."""


def call(function: Callable[[], Any], limit: float | None) -> Any:
    """`function()` on a thread of its own for at most `limit` seconds; None: no limit, on the caller's thread.

    Raises:
      OverTime: it did not come back.
      Exception: whatever `function` raises.
    """
    if limit is None:
        return function()
    future: Future[Any] = Future()

    def work() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # SystemExit too: the caller waits for an answer
            future.set_exception(error)

    # Not a pool: at the program's end Python waits for a pool's threads, and this one may hang.
    threading.Thread(target=work, name="reward", daemon=True).start()
    return _result(future, limit)


def _result(future: Future[Any], limit: float | None) -> Any:
    if not wait([future], limit).done:
        raise OverTime
    return future.result()


class EventLoop:
    """An event loop on a daemon thread, one for all calls: the HTTP clients that rewards keep belong to a loop."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, function: Callable[[], Awaitable[Any]], limit: float | None) -> Callable[[], Any]:
        """Begin `await function()`; returns a function that waits for the result, for at most `limit` seconds.

        Raises, from the function returned:
          OverTime: it did not come back, and was cancelled.
          Exception: whatever `function` raises.
        """
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._loop.run_forever, name="async rewards", daemon=True).start()
        future = asyncio.run_coroutine_threadsafe(_awaited(function, limit), self._loop)

        def result() -> Any:
            try:
                return _result(future, None if limit is None else limit + _GRACE)
            except OverTime:
                if not future.done():
                    self._loop = None  # the next call gets a loop that runs
                    raise OverTime("an async reward keeps all of them waiting: it works on without an await") from None
                raise

        return result


async def _awaited(function: Callable[[], Awaitable[Any]], limit: float | None) -> Any:
    scope = asyncio.timeout(limit)
    try:
        async with scope:
            return await function()
    except TimeoutError:
        if scope.expired():
            raise OverTime from None
        raise  # the reward's own, of a server that did not answer
    except (SystemExit, KeyboardInterrupt) as error:
        raise RuntimeError(f"{type(error).__name__}: {error}") from error  # would end the event loop
