"""Make calls in threads before their results are needed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Argument = TypeVar("Argument")
Result = TypeVar("Result")


def call_ahead(
    call: Callable[[Argument], Result], arguments: Iterable[Argument], threads: int
) -> Generator[tuple[Argument, Future[Result]], None, None]:
    """Yield each argument and the future of its call, in order.

    At most twice as many calls as threads are ahead of the caller, so the memory does not depend on the number of
    arguments. An error of `arguments` is raised after the results of the arguments before it.
    """
    begun: deque[tuple[Argument, Future[Result]]] = deque()
    failure: Exception | None = None
    waiting = iter(arguments)
    pool = ThreadPoolExecutor(threads, "mpscnn-photos")
    try:
        while True:
            while failure is None and len(begun) < 2 * threads:
                try:
                    argument = next(waiting)
                except Exception as error:  # StopIteration ends the arguments
                    failure = error
                else:
                    begun.append((argument, pool.submit(call, argument)))
            if not begun:
                break
            yield begun.popleft()
    finally:
        pool.shutdown(cancel_futures=True)
    if not isinstance(failure, StopIteration):
        assert failure is not None
        raise failure
