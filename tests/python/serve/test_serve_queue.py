"""Test the queue of requests and the memory budget of `mpscnn serve` without a service."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from serving import require_packages

from mpscnn.apps.serve.limits import MemoryBudget, NoRoomError, QueueFullError, RequestQueue

require_packages()


def test_one_is_computed_and_others_follow_in_their_order() -> None:
    async def run() -> list[int]:
        queue, begun = RequestQueue(slots=1, capacity=3), []

        async def ask(number: int) -> None:
            await queue.enter()
            begun.append(number)

        tasks = [asyncio.create_task(ask(number)) for number in range(4)]
        await asyncio.sleep(0)
        assert (queue.computing, queue.waiting, begun) == (1, 3, [0])
        with pytest.raises(QueueFullError):
            await queue.enter()
        tasks[2].cancel()
        for _ in range(4):
            await asyncio.sleep(0)
            queue.leave(1.0)
            if queue.computing == 0 and queue.waiting == 0:
                break
            await asyncio.sleep(0.01)
        assert (queue.computing, queue.waiting) == (0, 0)
        return begun

    assert asyncio.run(run()) == [0, 1, 3]


@pytest.mark.parametrize(
    ("slots", "here", "seconds", "expected"),
    [
        (1, 1, 0.2, 1),  # the shortest advice is a second
        (1, 5, 0.5, 3),  # 2.5 s, rounded up
        (1, 65, 2.0, 130),
        (4, 8, 3.0, 6),  # four are computed at once
        (4, 0, 9.0, 1),  # no request is waiting
    ],
)
def test_the_wait_grows_with_the_queue_and_the_time_of_a_request(
    slots: int, here: int, seconds: float, expected: int
) -> None:
    async def run() -> int:
        queue = RequestQueue(slots, capacity=100)
        assert queue.wait() == 1
        await queue.enter()
        queue.leave(seconds)
        tasks = [asyncio.create_task(queue.enter()) for _ in range(here)]
        await asyncio.sleep(0)
        wait = queue.wait()
        for task in tasks:
            task.cancel()
        return wait

    assert asyncio.run(run()) == expected


def test_shares_are_counted_in_all_threads(full: bool) -> None:
    budget = MemoryBudget(10**6, "arrays")
    with budget.share() as kept, ThreadPoolExecutor(4) as pool:

        def add(_: int) -> None:
            with budget.share() as share:
                share.add(3)

        list(pool.map(add, range(2_000 if full else 500)))
        kept.add(10**6)
        kept.reduce_to(70)
        assert budget.used == 70
        with pytest.raises(NoRoomError, match="arrays of all requests take 70 of 1,000,000 bytes"):
            kept.add(10**6)
    assert budget.used == 0
