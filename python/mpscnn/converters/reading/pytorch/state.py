"""Find buffers that a module changes, and on which its next results depend."""

from __future__ import annotations

from typing import Any

import torch

from mpscnn.converters.reading.pytorch.aliases import blocks_write, written_nodes
from mpscnn.converters.reading.pytorch.kept_values import earlier_calls
from mpscnn.converters.reading.pytorch.tracing import without_writes

#: Operators that take only the shape and type of their first operand.
_WITHOUT_ELEMENTS = frozenset(
    {"copy", "fill", "zero", "zeros_like", "ones_like", "full_like", "empty_like"}
    | {"new_zeros", "new_ones", "new_full", "new_empty"}
)


def require_no_state(program: Any, title: str) -> None:
    """Raise UnsupportedError if the results of a program depend on what its earlier calls left in buffers.

    A network computes each call alone. A buffer that is written before it is read, or only counted, does not matter.

    Args:
        program: the torch.export.ExportedProgram.
        title: the name of the module in messages.
    """
    if not _writes(program):
        return
    changed = program.graph_signature.buffers_to_mutate
    if not changed:  # the graph still writes in place
        program = without_writes(program, title)
        changed = program.graph_signature.buffers_to_mutate
    names = {one: place for place, one in program.graph_signature.inputs_to_buffers.items()}
    read = _read_for_results(program)
    kept = [one for one in dict.fromkeys(changed.values()) if names.get(one) in read]
    if kept:
        raise earlier_calls(title, kept)


def _writes(program: Any) -> bool:
    """Return True if an operator may write into a buffer."""
    if program.graph_signature.buffers_to_mutate:
        return True
    names = program.graph_signature.inputs_to_buffers
    return bool(names) and (
        blocks_write(program) or any(node.name in names for node in written_nodes(program.graph))
    )


def _read_for_results(program: Any) -> set[str]:
    """Return the names of the placeholders whose elements the results of the module depend on."""
    results = set(program.graph_signature.user_outputs)
    (end,) = program.graph.find_nodes(op="output")
    waiting = [node for node in end.all_input_nodes if node.name in results]
    seen: set[torch.fx.Node] = set()
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        operands = node.all_input_nodes
        if getattr(node.target, "_opname", "") in _WITHOUT_ELEMENTS and operands[:1] == [*node.args[:1]]:
            operands = operands[1:]
        waiting += operands
    return {node.name for node in seen if node.op == "placeholder"}
