"""Test the runner in event loops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from runner_frames import Gate, doubling_program, frame, value_of

import mpscnn


async def camera(count: int) -> AsyncIterator[Any]:
    for i in range(count):
        await asyncio.sleep(0)
        yield frame(i)


@pytest.mark.parametrize("source", ["iterable", "asynchronous"])
def test_results_come_in_order(source: str) -> None:
    async def main() -> list[float]:
        with mpscnn.Runner(doubling_program(), inflight=3) as runner:
            frames = camera(300) if source == "asynchronous" else (frame(i) for i in range(300))
            return [value_of(result) async for result in runner.map(frames)]

    assert asyncio.run(main()) == list(range(300))


def test_streams_share_a_runner() -> None:
    """Each stream gets its own results, though together they ask for more frames in flight than allowed."""

    async def main() -> list[list[float]]:
        with mpscnn.Runner(doubling_program(), inflight=2) as runner:

            async def stream() -> list[float]:
                return [value_of(result) async for result in runner.map(camera(100))]

            return list(await asyncio.gather(*(stream() for _ in range(5))))

    assert asyncio.run(main()) == [list(range(100))] * 5


def test_the_event_loop_goes_on_while_all_permits_are_taken() -> None:
    async def main() -> tuple[int, list[float]]:
        with mpscnn.Runner(doubling_program(), inflight=2) as runner:
            gate = Gate(runner)
            results = asyncio.ensure_future(collect(runner))
            ticks = 0
            for _ in range(20):
                await asyncio.sleep(0.005)
                ticks += 1
            assert not results.done()
            gate.open()
            return ticks, await results

    async def collect(runner: mpscnn.Runner) -> list[float]:
        return [value_of(result) async for result in runner.map(camera(6))]

    assert asyncio.run(main()) == (20, [0, 1, 2, 3, 4, 5])


def test_a_timeout_loses_no_result_and_no_permit() -> None:
    async def main() -> list[float]:
        with mpscnn.Runner(doubling_program(), inflight=2) as runner:
            gate = Gate(runner)
            results = runner.map(frame(i) for i in range(1, 5))
            for _ in range(2):  # the first call takes the last permit, so the second one finds none
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(anext(results), 0.05)
            gate.open()
            values = [value_of(result) async for result in results]
            assert value_of(await asyncio.wrap_future(runner.submit(frame(7)))) == 7
            return values

    assert asyncio.run(main()) == [1, 2, 3, 4]


def test_failures_and_the_ends_of_streams() -> None:
    async def broken() -> AsyncIterator[Any]:
        yield frame(0)
        yield frame(1, size=3)
        raise OSError("the camera is gone")

    async def main() -> None:
        with mpscnn.Runner(doubling_program()) as runner:
            results = runner.map(broken(), return_exceptions=True)
            assert value_of(await anext(results)) == 0
            assert isinstance(await anext(results), mpscnn.ShapeError)
            with pytest.raises(OSError, match="the camera is gone"):
                await anext(results)
            with pytest.raises(StopAsyncIteration):
                await anext(results)
            with pytest.raises(mpscnn.ShapeError):
                await anext(runner.map([frame(1, size=3)]))
            with pytest.raises(mpscnn.ParameterError, match="use 'async for'"):
                iter(runner.map(broken()))

    asyncio.run(main())


def test_cancelled_frames_say_so() -> None:
    async def main() -> list[Any]:
        runner = mpscnn.Runner(doubling_program(), inflight=2, max_batch=4, max_wait=1000)
        results = runner.map([frame(0)], return_exceptions=True)
        collecting = asyncio.ensure_future(collect(results))
        await asyncio.sleep(0.05)
        runner.close(cancel=True)
        return await collecting

    async def collect(results: Any) -> list[Any]:
        return [result async for result in results]

    (result,) = asyncio.run(main())
    assert type(result).__name__ == "CancelledError"


def test_a_submitted_frame_is_awaited() -> None:
    async def main() -> list[float]:
        with mpscnn.Runner(doubling_program(), inflight=2) as runner:
            first = value_of(await runner.submit(frame(7)))
            several = await asyncio.gather(*(wait(runner, i) for i in range(20)))
            return [first, *several]

    async def wait(runner: mpscnn.Runner, number: int) -> float:
        return value_of(await runner.submit(frame(number)))

    assert asyncio.run(main()) == [7, *range(20)]


def test_the_event_loop_goes_on_while_a_frame_is_awaited() -> None:
    async def main() -> tuple[bool, float]:
        with mpscnn.Runner(doubling_program(), inflight=2) as runner:
            gate = Gate(runner)
            waiting = asyncio.ensure_future(wait(runner))
            for _ in range(5):
                await asyncio.sleep(0.005)
            was_done = waiting.done()
            gate.open()
            return was_done, await waiting

    async def wait(runner: mpscnn.Runner) -> float:
        return value_of(await runner.submit(frame(3)))

    assert asyncio.run(main()) == (False, 3)


def test_an_awaited_frame_raises_its_error_and_a_cancelled_task_gives_it_up() -> None:
    async def main() -> None:
        with mpscnn.Runner(doubling_program(), inflight=2) as runner:
            with pytest.raises(mpscnn.ShapeError):
                await runner.submit(frame(1)[0])
            gate = Gate(runner)
            future = runner.submit(frame(2))
            task = asyncio.ensure_future(wait(future))
            await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            gate.open()

    async def wait(future: Any) -> Any:
        return await future

    asyncio.run(main())


def test_async_with_closes_the_runner_without_blocking_the_loop() -> None:
    async def main() -> float:
        async with mpscnn.Runner(doubling_program(), inflight=2) as runner:
            gate = Gate(runner)
            future = runner.submit(frame(1))
            asyncio.get_running_loop().call_later(0.05, gate.open)  # the loop goes on while the runner closes
        with pytest.raises(mpscnn.StateError, match="closed"):
            runner.submit(frame(2))
        return value_of(await future)

    assert asyncio.run(asyncio.wait_for(main(), 60)) == 1


def test_async_with_cancels_frames_after_an_error() -> None:
    async def main() -> None:
        async with mpscnn.Runner(doubling_program(), inflight=2, max_batch=4, max_wait=1000) as runner:
            futures.append(runner.submit(frame(1)))  # the frame waits until its batch has more frames
            raise KeyError("in the block")

    futures: list[Any] = []
    with pytest.raises(KeyError, match="in the block"):
        asyncio.run(main())
    assert futures[0].cancelled()


def test_requests_of_sessions_are_awaited() -> None:
    session = doubling_program().session()

    async def main() -> list[Any]:
        first = await session.submit(frame(3))
        return [first, *await asyncio.gather(session.submit(frame(4)), session.submit(frame(5)))]

    assert [value_of(result) for result in asyncio.run(main())] == [3, 4, 5]
