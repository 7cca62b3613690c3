"""A pool of sessions, so that any number of threads can use a program."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mpscnn.runtime.options import RunOptions
from mpscnn.runtime.program import Program, Session


class SessionPool:
    """Sessions of a program, one for each caller at a time.

    Args:
        program: the program that the sessions run.
        options: the options of each session.
    """

    def __init__(self, program: Program, options: RunOptions) -> None:
        self.program = program
        self.options = options
        self._idle: deque[Session] = deque()  # a deque needs no lock

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the pool without its sessions, which belong to this process."""
        return SessionPool, (self.program, self.options)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Yield a session that nobody else uses. It is reused later."""
        session = self._take_idle() or self.program.session(**self.options.to_dict())
        try:
            yield session
        finally:
            self._idle.append(session)

    def _take_idle(self) -> Session | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None
