"""Each method of a constant counts its cost before it computes, and computes both numbers of a free extent."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mpscnn.converters.opening.broadcast_views import is_filled
from mpscnn.converters.opening.budget import Budget, Cost
from mpscnn.converters.values.constant import Constant
from mpscnn.errors import UnsupportedError, WeightsError


def constant(values: Any, budget: Budget | None = None) -> Constant:
    return Constant.of(np.asarray(values), budget or Budget(lambda: 0))


class Untouchable(np.ndarray[Any, Any]):
    """An array with which nothing may be computed."""

    def __array_function__(self, function: Any, *_: Any, **__: Any) -> Any:
        raise AssertionError(f"computed {function.__name__}")

    def __array_ufunc__(self, function: Any, *_: Any, **__: Any) -> Any:
        raise AssertionError(f"computed {function.__name__}")


class Spent(Budget):
    """A budget that allows nothing."""

    def spend(self, cost: Cost) -> None:
        assert cost.elements > 0
        assert cost.operations > 0
        raise UnsupportedError("spent")


GRID = np.arange(6, dtype=np.float32).reshape(2, 3)
ROW, AT = np.array([1, 2, 3]), np.array([[1, 0, 1]])
Call = Callable[[Constant, Callable[[Any], Constant]], Constant]
#: For each method: a call, which gets the constant `GRID` and a function that makes further ones, and the result.
CALLS: dict[str, tuple[Call, Any]] = {
    "argmax_or_argmin": (
        lambda x, _: x.argmax_or_argmin(1, minimum=True, last=False, keeps_axis=True),
        [[0], [0]],
    ),
    "broadcast_to": (lambda x, of: x.broadcast_to(of([4, 1, 3])), np.broadcast_to(GRID, (4, 2, 3))),
    "cast": (lambda x, _: x.cast(lambda one: one.astype(np.int8)), GRID.astype(np.int8)),
    "combine": (lambda x, of: x.combine("subtract", of(GRID[:1])), GRID - GRID[:1]),
    "concat": (lambda x, of: x.concat([of(GRID)], 1), np.concatenate([GRID, GRID], 1)),
    "count_up_to": (lambda x, of: of([2]).count_up_to(of([9]), of([3])), [2, 5, 8]),
    "cos": (lambda x, _: x.cos(), np.cos(GRID)),
    "cumsum": (lambda x, of: x.cumsum(of(1), exclusive=True, backwards=True), [[3, 2, 0], [9, 5, 0]]),
    "is_infinite": (
        lambda _, of: of([np.inf, -np.inf, 1.0]).is_infinite(negative=False),
        [True, False, False],
    ),
    "logical_not": (lambda x, _: x.logical_not(), GRID == 0),
    "map": (lambda x, _: x.map({"kind": "linear", "a": -2.0, "b": 1.0}), 1 - 2 * GRID),
    "reciprocal": (lambda x, of: of([[2.0, 0.5]]).reciprocal(), [[0.5, 2.0]]),
    "sqrt": (lambda x, _: x.sqrt(), np.sqrt(GRID)),
    "elementwise": (lambda x, _: x.elementwise(np.sqrt), np.sqrt(GRID)),
    "expand_dims": (lambda x, of: x.expand_dims(of([0, 3])), GRID[None, :, :, None]),
    "fill": (lambda _, of: of([7]).fill(of([2, 2])), [[7, 7], [7, 7]]),
    "merge_axes": (lambda x, _: x.merge_axes(0, 2), GRID.reshape(-1)),
    "matmul": (lambda x, of: x.matmul(of(GRID.T.copy())), GRID @ GRID.T),
    "non_zero": (lambda x, _: x.non_zero(), np.nonzero(GRID)),
    "pad": (lambda x, _: x.pad([(0, 1), (1, -1)], "constant", 9.0), [[9, 0, 1], [9, 3, 4], [9] * 3]),
    "reduce": (lambda x, of: x.reduce("l2_norm", of([1]), keeps_axes=False), np.sqrt([5, 50])),
    "remainder": (
        lambda x, of: (x.linear(1, -3)).remainder(of([[2, -2, 2]]), of_dividend=False),
        [[1, 0, 1], [0, -1, 0]],
    ),
    "reshape": (lambda x, of: x.transpose([1, 0]).reshape(of([-1])), GRID.T.reshape(-1)),
    "scatter_along_axis": (
        lambda x, of: x.scatter_along_axis(1, of([[2]]), of(np.float32([[8]])), None),
        [[0, 1, 8], [3, 4, 5]],
    ),
    "scatter_at": (
        lambda x, of: x.scatter_at(of([[1, 1], [1, 1]]), of(np.float32([2, 3])), "add"),
        [[0, 1, 2], [3, 9, 5]],
    ),
    "slice": (lambda x, of: x.slice(lambda _, ends: (slice(None), slice(*ends)), of([0, 2])), GRID[:, :2]),
    "sin": (lambda x, _: x.sin(), np.sin(GRID)),
    "softmax": (lambda x, _: x.softmax([0, 1]), np.exp(GRID) / np.exp(GRID).sum()),
    "squeeze": (lambda x, of: x.reshape([1, 6]).squeeze(of([0])), GRID.reshape(-1)),
    "stack": (lambda x, of: x.stack([of(GRID)], 1), np.stack([GRID, GRID], 1)),
    "take": (lambda x, of: x.take(1, of([[2, -2]])), GRID[:, [[2, -2]]]),
    "take_along_axis": (lambda x, of: x.take_along_axis(0, of(AT)), [[3, 1, 5]]),
    "take_at": (lambda x, of: x.take_at(of([[1, 2], [0, 1]])), [5, 1]),
    "tile": (lambda x, of: x.tile(of([2, 1])), np.tile(GRID, (2, 1))),
    "transpose": (lambda x, of: x.transpose(of([1, 0])), GRID.T),
    "where": (lambda _, of: of(GRID > 2).where(of(GRID), of(-GRID)), np.where(GRID > 2, GRID, -GRID)),
}
#: Methods that take a function which counts and computes.
PARTS = {"compute", "run"}


def test_each_method_has_a_call() -> None:
    methods = {
        name for name, _ in inspect.getmembers(Constant, inspect.isfunction) if not name.startswith("_")
    }
    inherited = methods - vars(Constant).keys()
    assert CALLS.keys() == methods - inherited - PARTS


@pytest.mark.parametrize("name", CALLS)
def test_a_method_computes_what_numpy_does(name: str) -> None:
    call, wanted = CALLS[name]
    budget = Budget(lambda: 0)
    found = call(constant(GRID, budget), lambda values: constant(values, budget))
    np.testing.assert_allclose(found.low, wanted, rtol=1e-6)
    assert found.high is found.low
    assert budget.elements >= found.size // 16
    assert budget.operations > 0


@pytest.mark.parametrize("name", CALLS)
def test_a_method_counts_before_it_computes(name: str) -> None:
    call, _ = CALLS[name]
    budget = Spent(lambda: 0)

    def untouchable(values: Any) -> Constant:
        return Constant.of(np.asarray(values).view(Untouchable), budget)

    with pytest.raises(UnsupportedError, match="spent"):
        call(untouchable(GRID), untouchable)


@pytest.mark.parametrize("name", CALLS)
def test_a_method_computes_with_both_numbers_of_a_free_extent(name: str) -> None:
    call, wanted = CALLS[name]
    budget = Budget(lambda: 0)

    def pair(values: Any) -> Constant:
        return Constant(np.array(values), np.array(values), budget)

    found = call(pair(GRID), pair)
    assert found.high is not found.low
    assert found.is_fixed
    np.testing.assert_allclose(found.high, wanted, rtol=1e-6)


def test_numbers_that_depend_on_a_free_extent() -> None:
    """With the sizes 5 x 7 and 16 x 9 of an image: half of its rows, times its columns."""
    budget = Budget(lambda: 0)
    shape = Constant.of_extents(([1, 5, 7, 3], [1, 16, 9, 3]), budget)
    rows, columns = (shape.take(0, constant([axis], budget)) for axis in (1, 2))
    halves = rows.combine("divide", constant([2], budget))
    assert halves.combine("multiply", columns).shapes("its shape") == ([14], [72])
    with pytest.raises(UnsupportedError, match=r"its shape depends on an extent that is free: .*--size"):
        halves.integers("its shape")
    assert shape.take(0, constant([3], budget)).integers("its channels") == [3]


def test_quotients_of_integers_lose_their_fraction() -> None:
    first, second = constant([7, -7, 7, -7]), constant([2, 2, -2, -2])
    assert first.combine("divide", second).low.tolist() == [3, -3, -3, 3]
    assert first.combine("floor_divide", second).low.tolist() == [3, -4, -4, 3]


@pytest.mark.parametrize("kind", ["max", "min", "sum", "product"])
def test_reductions_of_nothing(kind: str) -> None:
    nothing = constant(np.zeros((2, 0), np.int32)).reduce(kind, [1], keeps_axes=False).low
    ends = {"max": np.iinfo(np.int32).min, "min": np.iinfo(np.int32).max, "sum": 0, "product": 1}
    assert nothing.tolist() == [ends[kind]] * 2


def test_constants_of_one_number_stay_views() -> None:
    filled = constant(np.float32(2.0)).fill(constant([1 << 8, 1 << 18]))
    made = filled.combine("multiply", filled).reshape([1 << 18, -1]).transpose([1, 0])
    assert made.low.shape == (1 << 8, 1 << 18)
    assert made.low[5, 5] == 4.0
    assert is_filled(made.low)


def test_a_shape_that_does_not_fit_a_constant_of_one_number() -> None:
    filled = constant(np.float32(2.0)).fill(constant([4, 4]))
    for shape in ([3, 5], [-1, -1], [-1, 3]):
        with pytest.raises(ValueError, match=r"reshape|unknown"):
            filled.reshape(shape)


def test_text_is_not_computed() -> None:
    with pytest.raises(UnsupportedError, match="computes with text"):
        constant(["a"]).reshape([1, 1])


def test_lists_have_a_number_for_each_axis() -> None:
    with pytest.raises(WeightsError, match="damaged: there are 65 numbers in its axes"):
        constant(GRID).transpose(constant(np.zeros(65, np.int64)))
    with pytest.raises(UnsupportedError, match="computes with 33 axes; supported are 32"):
        constant(np.zeros([1] * 32)).expand_dims([0])
