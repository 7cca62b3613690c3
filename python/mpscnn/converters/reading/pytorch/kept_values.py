"""Restore the buffers and attributes that a module's code changes, and find those on which its results depend."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.errors import UnsupportedError

Array = NDArray[Any]
_CONTAINERS = (list, dict, set)
#: Attributes that every module of torch has, and that are no state of its forward.
_PARTS = ("_modules", "_parameters", "_buffers")


@contextmanager
def restored(module: Any) -> Iterator[Callable[[], list[str]]]:
    """Restore the buffers and attributes of a module and of its parts at the end.

    It gives a function that returns the names of the attributes which have changed since the beginning.
    """
    kept = [(path, part, dict(vars(part)), _copies(vars(part))) for path, part in module.named_modules()]
    buffers = [(part, dict(part._buffers), _copies(part._buffers)) for _, part, _, _ in kept]

    def changed() -> list[str]:
        return [
            f"{path}.{name}" if path else name
            for path, part, before, copies in kept
            for name, value in vars(part).items()
            if name not in _PARTS and not _is_same(value, before.get(name), copies.get(name))
        ]

    try:
        yield changed
    finally:
        for _, part, before, copies in kept:
            _restore(vars(part), before, copies)
        for part, before, copies in buffers:
            _restore(part._buffers, before, copies)


def results_without_state(module: Any, call: Callable[[], list[Array]], title: str) -> list[Array]:
    """Return the results of a call, after which the module is as it was before.

    If the call changes attributes of the module, a second call must have the same results.

    Args:
        module: the module.
        call: calls the module.
        title: the name of the module in messages.

    Raises UnsupportedError if the results of the second call differ.
    """
    with restored(module) as changed:
        results = call()
        names = changed()
        again = call() if names else results
    if not all(map(partial(np.array_equal, equal_nan=True), results, again)):
        raise earlier_calls(title, names)
    return results


def earlier_calls(title: str, names: Sequence[str]) -> UnsupportedError:
    """Return the error for a module whose results depend on what its earlier calls left."""
    return UnsupportedError(
        f"{title}: its results depend on earlier calls, since it changes {', '.join(map(quote_name, names))} in "
        "forward. A network computes each call alone: make this an input and a result, or let "
        'torch.compile(module, backend="mpscnn") keep it'
    )


def _copies(values: dict[str, Any]) -> dict[str, Any]:
    """Return copies of the values that code can change in place: containers and tensors."""
    import torch

    made: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, torch.Tensor):
            made[name] = value.detach().clone()
        elif name not in _PARTS and type(value) in _CONTAINERS:
            made[name] = copy.copy(value)
    return made


def _is_same(value: Any, before: Any, kept: Any) -> bool:
    """Return True if an attribute has the value that it had before, also inside."""
    import torch

    if value is not before:
        numbers = (bool, int, float, str, type(None))
        return isinstance(value, numbers) and type(value) is type(before) and bool(value == before)
    if isinstance(value, torch.Tensor):
        return kept is not None and kept.shape == value.shape and bool(torch.equal(kept, value))
    if type(value) not in _CONTAINERS:
        return True
    pairs = zip(_elements(value), _elements(kept), strict=False)
    return len(value) == len(kept) and all(one is other for one, other in pairs)


def _elements(container: Any) -> list[Any]:
    return [*container, *container.values()] if isinstance(container, dict) else [*container]


def _restore(values: dict[str, Any], before: dict[str, Any], copies: dict[str, Any]) -> None:
    import torch

    for name in values.keys() - before.keys():
        del values[name]
    values.update(before)
    for name, kept in copies.items():
        value = before[name]
        if isinstance(value, torch.Tensor):
            if value.shape == kept.shape and not torch.equal(value.detach(), kept):
                with torch.no_grad():
                    value.copy_(kept)
        elif isinstance(value, list):
            value[:] = kept
        else:
            value.clear()
            value.update(kept)
