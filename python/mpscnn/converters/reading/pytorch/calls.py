"""Prepare a call for torch.export: parameters among the arguments move into a module that owns them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mpscnn.converters.reading.pytorch.dynamic_shapes import free_extents


@dataclass(frozen=True)
class Call:
    """The arguments for torch.export.export.

    Attributes:
        module: the module to export.
        inputs: the arguments of the module, none of which is a parameter.
        free: the free extents of each input, by axis; None: no extent is free.
        dynamic_shapes: the same in the form that torch.export takes.
    """

    module: Any
    inputs: tuple[Any, ...]
    free: Sequence[Mapping[int, Any] | None] | None
    dynamic_shapes: tuple[Any, ...] | None


def bind_call(module: Any, example_inputs: Any, dynamic_shapes: Any) -> Call:
    """Return the call of `module`, which is a module or a function.

    For a function, or if any arguments are torch's Parameters or mappings of them, it is the call of a wrapper module.
    The wrapper owns the Parameters and takes only the other arguments.

    Raises ParameterError if `dynamic_shapes` does not fit the arguments.
    """
    import torch

    is_several = isinstance(example_inputs, (tuple, list))
    arguments = tuple(example_inputs) if is_several else (example_inputs,)
    is_module = isinstance(module, torch.nn.Module)
    names, rest = _names(module.forward if is_module else module, len(arguments))
    is_owned = [_holds_parameters(argument) for argument in arguments]
    if isinstance(dynamic_shapes, torch.export.ShapesCollection):
        dynamic_shapes = dynamic_shapes.dynamic_shapes(module, arguments)
    shapes = free_extents(dynamic_shapes, arguments, is_owned, names, rest)
    if is_module and not any(is_owned):
        return Call(module, arguments, shapes, _grouped(shapes, names, rest))
    owned = {place: argument for place, argument in enumerate(arguments) if is_owned[place]}
    inputs = tuple(argument for place, argument in enumerate(arguments) if not is_owned[place])
    if shapes is not None:
        shapes = [shape for place, shape in enumerate(shapes) if not is_owned[place]]
    return Call(_owner(module, owned, names), inputs, shapes, _grouped(shapes, [], "inputs"))


def _grouped(shapes: Sequence[Any] | None, names: Sequence[str], rest: str | None) -> tuple[Any, ...] | None:
    """Return the free extents as torch.export takes them: all arguments of `*rest` are one argument, a tuple."""
    if shapes is None:
        return None
    if rest is None:
        return tuple(shapes)
    first = sum(not name.startswith(f"{rest}[") for name in names)
    return (*shapes[:first], tuple(shapes[first:]))


def _holds_parameters(argument: Any) -> bool:
    import torch

    leaves = list(argument.values()) if isinstance(argument, Mapping) else [argument]
    return bool(leaves) and all(isinstance(leaf, torch.nn.Parameter) for leaf in leaves)


def _names(function: Callable[..., Any], count: int) -> tuple[list[str], str | None]:
    """Return the names of the first arguments of a function, and the name of the argument with a *.

    The arguments that a `*rest` takes are named "rest[0]", "rest[1]" and so on.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # raised for functions that are not written in Python
        parameters = []
    found = [
        parameter.name
        for parameter in parameters
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ][:count]
    rest = next(
        (parameter.name for parameter in parameters if parameter.kind is parameter.VAR_POSITIONAL), None
    )
    more = count - len(found)
    return [*found, *(f"{rest or 'arguments'}[{place}]" for place in range(more))], rest


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
