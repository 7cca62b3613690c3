"""Make example inputs of other sizes, where sizes are free."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mpscnn.converters.reading.pytorch.dynamic_shapes import shapes_of_inputs

_ENDS = ("min", "max")
_LEAST = 2  # torch.export computes extents of 1 in another way, and does not leave them free


def inputs_of_other_sizes(
    exported: Any, inputs: Sequence[Any], free: Sequence[Mapping[int, Any] | None]
) -> Iterator[list[Any]]:
    """Yield random inputs for which a wrong conversion may differ from the module.

    First, each free extent differs from that of the example by one. Then, each is just outside of the range for which
    torch.export traced the module, unless `free` states that end of the range: there the module may compute something
    else, or not compute at all.

    Args:
        exported: the torch.export.ExportedProgram of the module.
        inputs: the example inputs.
        free: the free extents of each input, by axis.
    """
    import sympy
    import torch

    shapes = list(shapes_of_inputs(exported).values())
    given: dict[Any, int] = {}  # the example's value of each symbol
    moved: dict[Any, int] = {}  # the same without the batch; each value is changed by one
    for tensor, shape in zip(inputs, shapes, strict=True):
        for place, (extent, symbolic) in enumerate(zip(tensor.shape, shape, strict=True)):
            if not isinstance(symbolic, torch.SymInt) or len(symbolic.node.expr.free_symbols) != 1:
                continue
            (symbol,) = symbolic.node.expr.free_symbols
            given[symbol] = int(sympy.solve(symbolic.node.expr - extent, symbol)[0])
            if place > 0:
                upper = exported.range_constraints[symbol].upper
                moved[symbol] = given[symbol] + (1 if upper > given[symbol] else -1)
    if not moved:
        return
    yield _resized(inputs, shapes, given | moved)
    stated = {getattr(extent, end, None) for one in free for extent in (one or {}).values() for end in _ENDS}
    for symbol in moved:
        allowed = exported.range_constraints[symbol]
        for end, outside in ((allowed.lower, -1), (allowed.upper, 1)):
            if isinstance(end, sympy.Integer) and int(end) not in stated and int(end) + outside >= _LEAST:
                yield _resized(inputs, shapes, given | {symbol: int(end) + outside})


def _resized(inputs: Sequence[Any], shapes: Sequence[Any], sizes: Mapping[Any, int]) -> list[Any]:
    """Return random float inputs in whose shapes the symbols have the values `sizes`.

    Inputs of other types are returned unchanged.
    """
    import torch

    generator = torch.Generator().manual_seed(0)
    made = []
    for tensor, shape in zip(inputs, shapes, strict=True):
        extents = [one if isinstance(one, int) else int(one.node.expr.subs(sizes)) for one in shape]
        is_float = tensor.is_floating_point()
        made.append(torch.rand(extents, generator=generator) * 2.0 - 1.0 if is_float else tensor)
    return made
