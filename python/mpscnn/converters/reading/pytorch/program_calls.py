"""Prepare the call of an exported program (torch.export.ExportedProgram), which has example inputs of its own."""

from __future__ import annotations

from typing import Any

from mpscnn.converters.reading.pytorch.calls import Call
from mpscnn.converters.reading.pytorch.dynamic_shapes import shapes_of_inputs
from mpscnn.errors import ParameterError


def program_call(program: Any, example_inputs: Any, dynamic_shapes: Any) -> Call:
    """Return the call of a program: its module, example inputs and free extents.

    Raises ParameterError if free extents are given, or example inputs that do not fit the program.
    """
    import torch
    from torch.utils import _pytree as pytree

    if dynamic_shapes is not None:
        raise ParameterError(
            "from_torch: an exported program has its free extents already; give dynamic_shapes to torch.export.export"
        )
    nodes = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    values = [nodes[name].meta["val"] for name in program.graph_signature.user_inputs]
    given: Any = (
        (program.example_inputs or ((), {})) if example_inputs is None else _positional(example_inputs)
    )
    leaves, spec = pytree.tree_flatten(given)
    if example_inputs is None and len(leaves) != len(
        values
    ):  # torch.export.save may leave out the example inputs
        leaves, spec = [_random(value) for value in values], None
    if len(leaves) != len(values):
        raise ParameterError(
            f"from_torch: {len(leaves)} example inputs for an exported program that takes {len(values)}"
        )
    free = [
        {axis: torch.export.Dim.AUTO for axis, extent in enumerate(shape) if isinstance(extent, torch.SymInt)}
        for shape in shapes_of_inputs(program).values()
    ]
    return Call(_of_leaves(program, spec), tuple(leaves), free if any(free) else None, None)


def _positional(example_inputs: Any) -> tuple[Any, dict[str, Any]]:
    import numpy as np
    import torch
    from torch.utils import _pytree as pytree

    is_several = isinstance(example_inputs, (tuple, list))
    given = tuple(example_inputs) if is_several else (example_inputs,)
    tensors = pytree.tree_map(
        lambda one: torch.from_numpy(one) if isinstance(one, np.ndarray) else one, given
    )
    return tensors, {}


def _random(value: Any) -> Any:
    """Return a random tensor of the shape and type of an input. A free extent has the number of the example."""
    import torch

    shape = [extent if isinstance(extent, int) else extent.node.hint for extent in value.shape]
    generator = torch.Generator().manual_seed(0)
    if value.is_floating_point():
        return torch.rand(shape, generator=generator, dtype=value.dtype)
    return torch.zeros(shape, dtype=value.dtype)


def _of_leaves(program: Any, spec: Any) -> Any:
    """Return a module that takes the tensors of a program's inputs in order, as a network does."""
    import torch
    from torch.utils import _pytree as pytree

    class OfLeaves(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.called = program.module()

        def forward(self, *leaves: Any) -> Any:
            if spec is None:
                return self.called(*leaves)
            args, kwargs = pytree.tree_unflatten(leaves, spec)
            return self.called(*args, **kwargs)

    return OfLeaves()
