"""Sessions that callers borrow, so that a program serves any number of threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mpscnn.runtime.options import RunOptions
from mpscnn.runtime.program import Program, Session


class SessionPool:
    """Sessions of a program, one for each caller at the same time.

    Args:
        program: what the sessions run.
        options: those of each session.
    """

    def __init__(self, program: Program, options: RunOptions) -> None:
        self.program = program
        self.options = options
        self._idle: deque[Session] = deque()  # which threads may use without a lock

    def __reduce__(self) -> tuple[Any, ...]:
        """A pool without sessions: those are for this process."""
        return SessionPool, (self.program, self.options)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Lends a session to one caller."""
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
