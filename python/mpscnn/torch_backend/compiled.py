"""A graph of Dynamo, compiled for the weights and shapes that it is called with."""

from __future__ import annotations

import copy
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch._dynamo.convert_frame import compile_lock
from torch._dynamo.utils import get_static_address_type
from torch._functorch.aot_autograd import aot_module_simplified
from torch.fx import Node
from torch.utils._python_dispatch import _disable_current_modes

from mpscnn.runtime.options import CompileOptions
from mpscnn.torch_backend.partition import Report, replace_subgraphs
from mpscnn.torch_backend.resizes import keep_resizes

logger = logging.getLogger("mpscnn.torch_backend")

# The maximum number of combinations of weights and shapes whose networks a graph keeps (an LRU cache).
_MAX_VARIANTS = 64


class _Variant:
    """The graph compiled for one set of shapes, with certain weights as constants ("bound").

    Attributes:
        places: the positions of the bound tensors among the arguments.
        owners: the bound tensors.
        states: the state of each bound tensor when it was bound, see `_state`.
    """

    def __init__(
        self, graph: torch.fx.GraphModule, args: Sequence[Any], bound: Sequence[int], compiler: Compiler
    ):
        self.places = tuple(bound)
        self.owners = [args[place] for place in bound]
        self.states = [_state(owner) for owner in self.owners]
        self.run: Callable[..., Any] = compiler(graph, args, bound)

    def is_current(self) -> bool:
        """Return True if the bound tensors have not been changed since they were bound."""
        return self.states == [_state(owner) for owner in self.owners]


class CompiledGraph:
    """Runs a graph with networks that were compiled for the shapes of the arguments and the values of the weights.

    Dynamo uses one graph for all modules of the same structure. So weights are arguments of the graph, and each call
    checks that they are the tensors with which the networks were compiled, unchanged.

    Args:
        graph: Dynamo's graph.
        args: example arguments.
        title: the name of the networks.
        options: the options with which the networks are compiled.
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
        # The arguments, by position, that are Python numbers and are constants in the networks.
        self._numbers: dict[int, Node] = {}
        self._variants: OrderedDict[tuple[Any, ...], _Variant] = OrderedDict()
        self._lock = threading.Lock()  # protects self._variants
        self.report = Report()
        if not any(_is_symbolic(value) for value in args):
            self._keep(self._key(args), _Variant(graph, args, self._bound, self._compiled))

    def __call__(self, *args: Any) -> Any:
        """Run the graph. If there are no networks for these arguments yet, compile them first."""
        variant = self._found(args)
        if variant is not None:
            return variant.run(*args)
        with compile_lock:  # Dynamo also holds this lock while it calls a backend
            variant = self._found(args)
            is_new = variant is None
            if variant is None:
                variant = self._added(args)
        result = variant.run(*args)
        if is_new:
            self._leave_out_what_changed(variant)
        return result

    def _found(self, args: Sequence[Any]) -> _Variant | None:
        key = self._key(args)
        with self._lock:
            variant = self._variants.get(key)
            if variant is None or not variant.is_current():
                return None
            self._variants.move_to_end(key)
        return variant

    def _added(self, args: Sequence[Any]) -> _Variant:
        """Compile networks for the arguments of a call.

        Number arguments become constants, because only Dynamo, which is not running now, can trace them as symbols.
        """
        if not self._numbers:
            self._numbers = _numbers_of(self._graph)
            if self._numbers:
                with self._lock:
                    self._variants.clear()
        graph = self._graph
        if self._numbers:
            graph = _with_numbers(graph, {place: args[place].item() for place in self._numbers})
        variant = _Variant(graph, args, self._bound, self._compiled)
        self._keep(self._key(args), variant)
        return variant

    def _keep(self, key: tuple[Any, ...], variant: _Variant) -> None:
        with self._lock:
            self._variants[key] = variant
            while len(self._variants) > _MAX_VARIANTS:
                self._variants.popitem(last=False)

    def _key(self, args: Sequence[Any]) -> tuple[Any, ...]:
        weights = [id(args[place]) for place in self._bound]
        numbers = [args[place].item() for place in self._numbers]
        return (*weights, *numbers, *(_form(args[place]) for place in self._others))

    def _leave_out_what_changed(self, variant: _Variant) -> None:
        """Stop binding tensors that the graph itself changes in place."""
        changed = {
            place
            for place, owner, state in zip(variant.places, variant.owners, variant.states, strict=True)
            if _state(owner) != state
        }
        if changed:
            with self._lock:
                self._bound = [place for place in self._bound if place not in changed]
                self._others = sorted({*self._others, *changed})
                self._variants.clear()

    def _compiled(
        self, graph: torch.fx.GraphModule, args: Sequence[Any], bound: Sequence[int]
    ) -> Callable[..., Any]:
        def compiler(aten: torch.fx.GraphModule, _: Sequence[Any]) -> Callable[..., Any]:
            names = [node.name for node in aten.graph.nodes if node.op == "placeholder"]
            values = {names[place]: args[place] for place in bound} if len(names) == len(args) else {}
            # Fake tensors are off, because constants are computed with real values.
            with _disable_current_modes(), torch.amp.autocast("cpu", enabled=False):
                aten, self.report = replace_subgraphs(aten, values, title=self._title, options=self._options)
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
    """Return True if an argument is a parameter or buffer of a module."""
    if not isinstance(value, torch.Tensor) or value.device.type != "cpu":
        return False
    return isinstance(value, torch.nn.Parameter) or get_static_address_type(value) is not None


def _is_symbolic(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return any(isinstance(extent, torch.SymInt) for extent in value.shape)
    return isinstance(value, (torch.SymInt, torch.SymFloat, torch.SymBool))


def _numbers_of(graph: torch.fx.GraphModule) -> dict[int, Node]:
    """Return the arguments that are Python numbers, by position. Dynamo passes them as tensors and calls item()."""
    placeholders = graph.graph.find_nodes(op="placeholder")
    return {
        place: node
        for place, node in enumerate(placeholders)
        if node.users and all(user.op == "call_method" and user.target == "item" for user in node.users)
    }


def _with_numbers(graph: torch.fx.GraphModule, values: Mapping[int, float]) -> torch.fx.GraphModule:
    """Return a copy of a graph in which some number arguments are replaced by their values."""
    made = torch.fx.GraphModule(graph, copy.deepcopy(graph.graph))
    placeholders = made.graph.find_nodes(op="placeholder")
    for place, value in values.items():
        for item in list(placeholders[place].users):
            item.replace_all_uses_with(value)
            made.graph.erase_node(item)
    made.recompile()
    return made


def _form(value: Any) -> Any:
    """Return the part of an argument for which networks are compiled: shape, strides and type, or a number."""
    if isinstance(value, torch.Tensor):
        return value.shape, value.stride(), value.dtype
    return value


def _state(tensor: torch.Tensor) -> tuple[int, int]:
    """Return a tensor's address and its count of in-place changes. Inference tensors have no count, which gives 0."""
    return tensor.data_ptr(), 0 if tensor.is_inference() else tensor._version
