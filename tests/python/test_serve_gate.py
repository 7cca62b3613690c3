"""The queue of `mpscnn serve`, and how long clients that find it full are told to wait."""

from __future__ import annotations

import pytest

from mpscnn.serve.gate import Gate, QueueFullError


def nothing() -> None:
    pass


def other() -> None:
    pass


def test_one_is_inside_and_others_follow_in_their_order() -> None:
    begun: list[int] = []
    gate = Gate(slots=1, capacity=3)
    for number in range(4):
        gate.enter(lambda number=number: begun.append(number))
    assert (gate.inside, gate.waiting, begun) == (1, 3, [0])
    with pytest.raises(QueueFullError):
        gate.enter(nothing)
    for _ in range(3):
        gate.leave(1.0)
    assert (gate.inside, gate.waiting, begun) == (1, 0, [0, 1, 2, 3])
    gate.leave(1.0)
    assert gate.inside == 0


def test_the_wait_is_a_second_until_a_time_is_known() -> None:
    gate = Gate(slots=1, capacity=2)
    gate.enter(nothing)
    gate.enter(other)
    assert gate.wait() == 1


@pytest.mark.parametrize(
    ("slots", "here", "seconds", "expected"),
    [
        (1, 1, 0.2, 1),  # at least a second
        (1, 5, 0.5, 3),  # 2.5, in whole seconds
        (1, 65, 2.0, 130),
        (4, 8, 3.0, 6),  # four at once
        (4, 0, 9.0, 1),  # nobody is here
    ],
)
def test_the_wait_grows_with_the_queue_and_the_time_of_a_request(
    slots: int, here: int, seconds: float, expected: int
) -> None:
    gate = Gate(slots, capacity=100)
    gate.enter(nothing)
    gate.leave(seconds)
    for number in range(here):
        gate.enter(lambda number=number: None)
    assert gate.wait() == expected


def test_the_time_of_a_request_is_that_of_late() -> None:
    gate = Gate(slots=1, capacity=1)
    waits = []
    for seconds in [1.0] * 3 + [30.0] * 50:
        gate.enter(nothing)
        gate.leave(seconds)
        gate.enter(nothing)
        waits.append(gate.wait())
        gate.leave(seconds)
    assert waits[:3] == [1, 1, 1]
    assert waits == sorted(waits)
    assert waits[-1] == 30
