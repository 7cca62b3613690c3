"""Wrap a module or function that gets parameters as arguments into a module that owns these parameters."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mpscnn.errors import ParameterError


@dataclass(frozen=True)
class Call:
    """The arguments for torch.export.export.

    Attributes:
        module: the module to export.
        inputs: the arguments of the module, none of which is a parameter.
        dynamic_shapes: the free extents in the form that torch.export takes; None: no extent is free.
    """

    module: Any
    inputs: tuple[Any, ...]
    dynamic_shapes: Any


def call_of(module: Any, example_inputs: Any, dynamic_shapes: Any) -> Call:
    """Return the call of the module, or of a wrapper that owns the arguments which are parameters.

    Raises ParameterError if `dynamic_shapes` names arguments that do not exist.
    """
    import torch

    is_several = isinstance(example_inputs, (tuple, list))
    arguments = tuple(example_inputs) if is_several else (example_inputs,)
    is_owned = [_holds_parameters(argument) for argument in arguments]
    if isinstance(module, torch.nn.Module) and not any(is_owned):
        return Call(module, arguments, dynamic_shapes)
    names = _names(module.forward if isinstance(module, torch.nn.Module) else module, len(arguments))
    owned = {place: argument for place, argument in enumerate(arguments) if is_owned[place]}
    inputs = tuple(argument for place, argument in enumerate(arguments) if not is_owned[place])
    shapes = None
    if dynamic_shapes is not None:
        each = _shapes_of_each(dynamic_shapes, names)
        # For torch.export, the *inputs of the wrapper are one argument, a tuple.
        shapes = (tuple(each[place] for place in range(len(arguments)) if not is_owned[place]),)
    return Call(_owner(module, owned, names), inputs, shapes)


def _holds_parameters(argument: Any) -> bool:
    import torch

    leaves = list(argument.values()) if isinstance(argument, Mapping) else [argument]
    return bool(leaves) and all(isinstance(leaf, torch.nn.Parameter) for leaf in leaves)


def _names(function: Callable[..., Any], count: int) -> list[str]:
    """Return the names of the first arguments of a function."""
    try:
        found = [
            parameter.name
            for parameter in inspect.signature(function).parameters.values()
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        ]
    except (TypeError, ValueError):  # raised for functions that are not written in Python
        found = []
    return [found[place] if place < len(found) else f"argument_{place}" for place in range(count)]


def _shapes_of_each(dynamic_shapes: Any, names: Sequence[str]) -> list[Any]:
    """Return the free extents of each argument."""
    if isinstance(dynamic_shapes, Mapping):
        if unknown := [name for name in dynamic_shapes if name not in names]:
            raise ParameterError(f"from_torch: dynamic_shapes names {unknown[0]!r}, which is no argument")
        return [dynamic_shapes.get(name) for name in names]
    if not isinstance(dynamic_shapes, (tuple, list)) or len(dynamic_shapes) != len(names):
        raise ParameterError(
            f"from_torch: dynamic_shapes must be a mapping by argument, or a sequence of {len(names)}, one for each"
        )
    return list(dynamic_shapes)


def _owner(module: Any, owned: Mapping[int, Any], names: Sequence[str]) -> Any:
    """Return a module that has the arguments `owned` as its parameters and calls `module` with them."""
    import torch

    class Owner(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.called = module
            self.kept: dict[int, Any] = {}
            for place, argument in owned.items():
                if isinstance(argument, Mapping):
                    self.kept[place] = {key: self._own(key, value) for key, value in argument.items()}
                else:
                    self.kept[place] = self._own(names[place], argument)
            is_module = isinstance(module, torch.nn.Module)
            self.train(module.training if is_module else False)

        def _own(self, name: str, value: Any) -> str:
            """Register a parameter under a valid, unused name, and return this name."""
            free = re.sub(r"\W", "_", name)
            while hasattr(self, free):
                free += "_"
            self.register_parameter(free, value)
            return free

        def forward(self, *inputs: Any) -> Any:
            rest = iter(inputs)
            return self.called(*(self._argument(place, rest) for place in range(len(names))))

        def _argument(self, place: int, rest: Any) -> Any:
            kept = self.kept.get(place)
            if kept is None:
                return next(rest)
            if isinstance(kept, dict):
                return {key: getattr(self, name) for key, name in kept.items()}
            return getattr(self, kept)

    return Owner()
