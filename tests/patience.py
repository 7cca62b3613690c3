"""Limit the processor time of tests, so that a test fails only if its algorithm is far too slow.

A busy or slow machine must not make a test fail. So the work is measured as processor time of this process. The limit
is at least some ten times the usual time, and far below the time of quadratic algorithms.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

#: The limit in seconds of processor time.
LITTLE = 60.0


@contextmanager
def little_work() -> Iterator[None]:
    """Fail if the code in the `with` block takes more processor time than a linear algorithm could."""
    begun = time.process_time()
    yield
    taken = time.process_time() - begun
    assert taken < LITTLE, f"{taken:.0f} s of processor time"
