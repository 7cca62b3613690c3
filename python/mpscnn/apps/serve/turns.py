"""Share the steps of the event loop among connections and requests, so that many of them do not delay the others."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any


class Turns:
    """Calls one function in each step of the event loop.

    Callbacks that are ready together run in one step, and a new connection waits until this step ends.
    """

    def __init__(self) -> None:
        self._asking: deque[Callable[[], object]] = deque()

    def ask(self, work: Callable[[], object]) -> None:
        """Call `work` in a following step of the running event loop."""
        self._asking.append(work)
        if len(self._asking) == 1:
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        work = self._asking.popleft()
        if self._asking:
            asyncio.get_running_loop().call_soon(self._next)
        work()

    async def wait(self) -> None:
        """Return in a step of the event loop in which no other task returns from this function."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # The task may be cancelled while it waits.
        self.ask(lambda: None if turn.done() else turn.set_result(None))
        await turn


class InTurns:
    """ASGI middleware that lets one request begin in each step of the event loop.

    Args:
        app: the application.
        turns: the turns of all requests.
        paths: paths whose requests do not wait.
    """

    def __init__(self, app: Any, turns: Turns, paths: set[str]) -> None:
        self._app = app
        self._turns = turns
        self._paths = paths

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass on one request when it is its turn."""
        if scope["type"] == "http" and scope["path"] not in self._paths:
            await self._turns.wait()
        await self._app(scope, receive, send)
