"""How much work is too much: a limit that only another order of magnitude passes.

A busy or slow machine must not make a test fail. Work is counted in this process's processor time, to which other
processes add nothing. The limit is some ten times what the work takes, or more, and far below what quadratic work took.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

#: Seconds of processor time.
LITTLE = 60.0


@contextmanager
def little_work() -> Iterator[None]:
    """Fails where the block takes more processor time than work in proportion to its input can."""
    begun = time.process_time()
    yield
    taken = time.process_time() - begun
    assert taken < LITTLE, f"{taken:.0f} s of processor time"
