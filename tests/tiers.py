"""Choose the cases that the default tier runs. `pytest --full` runs all of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, TypeVar

import pytest
from _pytest.mark import ParameterSet

Case = TypeVar("Case")


def combinations(*axes: Iterable[Any], every: int) -> list[ParameterSet]:
    """Return all combinations of the axes' values. The default tier runs one of `every` of them.

    It runs each value of each axis with some values of the other axes.
    """
    values = [list(axis) for axis in axes]
    places = list(itertools.product(*(range(len(axis)) for axis in values)))
    kept = {place for place in places if sum(place) % every == 0}
    for position, axis in enumerate(values):
        assert {place[position] for place in kept} == set(range(len(axis))), f"axis {position} lacks a value"
    return [
        pytest.param(
            *(axis[i] for axis, i in zip(values, place, strict=True)),
            marks=() if place in kept else pytest.mark.full,
        )
        for place in places
    ]


def with_full(default: Iterable[Any], full: Iterable[Any]) -> list[Any]:
    """Return parameters that both tiers run, and parameters that only the full tier runs."""
    return [*default, *(pytest.param(value, marks=pytest.mark.full) for value in full)]


def first_and_last(cases: Sequence[Case], key: Callable[[Case], Hashable]) -> list[Case]:
    """Return the first and the last case of each key, in their order."""
    last = {key(case): place for place, case in enumerate(cases)}
    first = {key(case): place for place, case in reversed(list(enumerate(cases)))}
    return [cases[place] for place in sorted({*first.values(), *last.values()})]
