"""A graph of Dynamo, compiled for the weights and shapes that it is called with."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch._dynamo.utils import get_static_address_type
from torch._functorch.aot_autograd import aot_module_simplified
from torch.utils._python_dispatch import _disable_current_modes

from mpscnn.runtime.options import CompileOptions
from mpscnn.torch_backend.partition import Report, partitioned
from mpscnn.torch_backend.resizes import keep_resizes

logger = logging.getLogger("mpscnn.torch_backend")

# Weights and shapes that a graph keeps networks for; the longest unused goes.
_MOST_VARIANTS = 64


class _Variant:
    """The graph with weights that are bound, for one set of shapes.

    Attributes:
        owners: the bound tensors, and their places among the arguments.
    """

    def __init__(
        self, graph: torch.fx.GraphModule, args: Sequence[Any], bound: Sequence[int], compiler: Compiler
    ):
        self.places = tuple(bound)
        self.owners = [args[place] for place in bound]
        self.versions = [_version(owner) for owner in self.owners]
        self.run: Callable[..., Any] = compiler(graph, args, bound)

    def is_current(self) -> bool:
        """Return whether the bound tensors have the numbers that were bound."""
        return self.versions == [_version(owner) for owner in self.owners]


class CompiledGraph:
    """Calls networks that were made for the arguments' shapes and for the weights' present numbers.

    Dynamo uses one graph for all modules of a structure. So the weights are arguments, and each call looks whether
    they are those that were bound, unchanged.

    Args:
        graph: Dynamo's.
        args: an example; None: the first call's arguments are it.
        title: of the networks.
        options: with which they are compiled.
    """

    def __init__(
        self, graph: torch.fx.GraphModule, args: Sequence[Any], *, title: str, options: CompileOptions
    ) -> None:
        keep_resizes(graph)
        self._graph = graph
        self._title = title
        self._options = options
        self._bound = [place for place, value in enumerate(args) if _is_weight(value)]
        self._others = [place for place in range(len(args)) if place not in set(self._bound)]
        self._variants: OrderedDict[tuple[Any, ...], _Variant] = OrderedDict()
        self.report = Report()
        if not any(_is_symbolic(value) for value in args):
            self._add(self._key(args), args)

    def __call__(self, *args: Any) -> Any:
        """Run the graph, and make the networks first where there are none for these arguments."""
        key = self._key(args)
        variant = self._variants.get(key)
        if variant is None or not variant.is_current():
            variant = self._add(key, args)
            result = variant.run(*args)
            self._leave_out_what_changed(variant)
            return result
        return variant.run(*args)

    def _add(self, key: tuple[Any, ...], args: Sequence[Any]) -> _Variant:
        variant = _Variant(self._graph, args, self._bound, self._compiled)
        self._variants[key] = variant
        while len(self._variants) > _MOST_VARIANTS:
            self._variants.popitem(last=False)
        return variant

    def _key(self, args: Sequence[Any]) -> tuple[Any, ...]:
        weights = [id(args[place]) for place in self._bound]
        return (*weights, *(_form(args[place]) for place in self._others))

    def _leave_out_what_changed(self, variant: _Variant) -> None:
        """Bind no tensor that the graph itself changes."""
        changed = {
            place
            for place, owner, version in zip(variant.places, variant.owners, variant.versions, strict=True)
            if _version(owner) != version
        }
        if changed:
            self._bound = [place for place in self._bound if place not in changed]
            self._others = sorted({*self._others, *changed})
            self._variants.clear()

    def _compiled(
        self, graph: torch.fx.GraphModule, args: Sequence[Any], bound: Sequence[int]
    ) -> Callable[..., Any]:
        def compiler(aten: torch.fx.GraphModule, _: Sequence[Any]) -> Callable[..., Any]:
            names = [node.name for node in aten.graph.nodes if node.op == "placeholder"]
            values = {names[place]: args[place] for place in bound} if len(names) == len(args) else {}
            with (
                _disable_current_modes(),
                torch.amp.autocast("cpu", enabled=False),
            ):  # real numbers from here on
                aten, self.report = partitioned(aten, values, title=self._title, options=self._options)
            logger.info("%s: %s", self._title, self.report)
            run: Callable[..., Any] = aten.forward
            return run

        with torch.no_grad():
            made: Callable[..., Any] = aot_module_simplified(
                graph, list(args), fw_compiler=compiler, inference_compiler=compiler
            )
        return made


Compiler = Callable[[torch.fx.GraphModule, Sequence[Any], Sequence[int]], Callable[..., Any]]


def _is_weight(value: Any) -> bool:
    """Return whether an argument is a parameter or buffer of a module."""
    if not isinstance(value, torch.Tensor) or value.device.type != "cpu":
        return False
    return isinstance(value, torch.nn.Parameter) or get_static_address_type(value) is not None


def _is_symbolic(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return any(isinstance(extent, torch.SymInt) for extent in value.shape)
    return isinstance(value, (torch.SymInt, torch.SymFloat, torch.SymBool))


def _form(value: Any) -> Any:
    """Return what networks are made for: a tensor's shape, strides and type, or the value itself."""
    if isinstance(value, torch.Tensor):
        return value.shape, value.stride(), value.dtype
    return value


def _version(tensor: torch.Tensor) -> int:
    """Return a number that each change in place raises. Tensors of inference mode have none."""
    return 0 if tensor.is_inference() else tensor._version
