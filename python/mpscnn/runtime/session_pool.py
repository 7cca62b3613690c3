"""Pool sessions, so that any number of threads can use a program."""

from __future__ import annotations

from collections import deque
from contextlib import AbstractContextManager
from typing import Any

from mpscnn._private.other_names import Expected
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

    def session(self) -> LentSession:
        """Return a context manager that yields a session that nobody else uses. It is reused later."""
        return LentSession(self)

    def take(self) -> Session:
        """Return an idle session, or a new one."""
        try:
            return self._idle.pop()
        except IndexError:
            return self.program.session(**self.options.to_dict())

    def give_back(self, session: Session) -> None:
        """Keep a session for the next caller."""
        self._idle.append(session)


class LentSession(Expected, AbstractContextManager[Session]):
    """Yields a session of a pool in a `with` statement, and gives it back at the end."""

    def __init__(self, pool: SessionPool) -> None:
        self._pool = pool
        self._lent: list[Session] = []

    def __enter__(self) -> Session:
        self._lent.append(self._pool.take())
        return self._lent[-1]

    def __exit__(self, *_: object) -> None:
        self._pool.give_back(self._lent.pop())
