"""Find batches for which a module may compute something else than for a batch of three images.

The module runs once on shapes alone, with a symbol as its number of images. PyTorch records each condition on the
symbol that the module's code asks for, such as `len(x) > 7`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

from mpscnn.converters.reading.pytorch.tracing import without_messages

#: The batches to compare if the module makes a plain number of the number of images.
UNKNOWN = (4, 9)
_GIVEN = 3  # the batch that was compared before
_LARGEST = 15  # PyTorch asks whether a batch is below 16 for each convolution, which hides later conditions
_MOST = 3  # the number of conditions whose batches are compared


def batches_to_compare(module: Any, batch: Sequence[Any], has_batch: Sequence[bool]) -> tuple[int, ...]:
    """Return numbers of images above three for which a condition in the module's code changes.

    Args:
        module: the module in inference mode. A copy that shares its parameters runs.
        batch: inputs with a batch of three images.
        has_batch: for each input, whether its first axis is the batch.

    If the module cannot run on shapes, or a function takes the number of images as a plain number, `UNKNOWN` is
    returned: conditions on such numbers are not recorded.
    """
    try:
        environment, symbol, shapes = _run_on_shapes(module, batch, has_batch)
        if symbol is None:
            return UNKNOWN
        conditions = [
            guard.expr
            for guard in environment.guards
            if not _chooses_kernel(guard) and guard.expr.free_symbols == {symbol}
        ]
        tests: list[Callable[[int], bool]] = [
            *(lambda count, one=one: bool(one.subs(symbol, count)) for one in conditions),
            *(lambda count, one=one: _keeps_images(one, symbol, count) for one in shapes),
        ]
        counts = range(_GIVEN + 1, _LARGEST + 1)
        first = {next((count for count in counts if not holds(count)), None) for holds in tests}
    except Exception:  # the module's own code may raise any error, and so may PyTorch's functions for shapes
        return UNKNOWN
    # A limit such as x[:5] changes nothing yet where its condition changes.
    found = {count for one in first if one is not None for count in (one, one + 1)}
    return tuple(sorted(found)[: 2 * _MOST])


def _keeps_images(shape: Sequence[Any], symbol: Any, count: int) -> bool:
    """Return True if a result has the same elements for each image as in a batch of three, or as many in all."""
    size, usual = (_size(shape, symbol, images) for images in (count, _GIVEN))
    return size in (usual, usual * count / _GIVEN)


def _size(shape: Sequence[Any], symbol: Any, count: int) -> int:
    extents = (
        extent.node.expr.subs(symbol, count) if hasattr(extent, "node") else extent for extent in shape
    )
    return math.prod(map(int, extents))


def _run_on_shapes(
    module: Any, batch: Sequence[Any], has_batch: Sequence[bool]
) -> tuple[Any, Any, list[Any]]:
    """Return PyTorch's record of conditions, the symbol, and the shapes of results.

    The symbol is None if it became a number.
    """
    import torch
    from torch._dispatch.python import enable_python_dispatcher
    from torch._dynamo.source import ConstantSource
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv, StatelessSymbolicContext
    from torch.utils import _pytree as pytree

    environment = ShapeEnv()
    mode = FakeTensorMode(shape_env=environment, allow_non_fake_inputs=True)
    given, symbol = [], None
    for place, (tensor, batched) in enumerate(zip(batch, has_batch, strict=True)):
        sizes = [DimDynamic.STATIC] * tensor.dim()
        if batched:
            sizes[0] = DimDynamic.DUCK  # equal sizes get one symbol
        context = StatelessSymbolicContext(dynamic_sizes=sizes)
        made = mode.from_tensor(tensor, symbolic_context=context, source=ConstantSource(f"input{place}"))
        given.append(made)
        if batched:
            symbol = made.shape[0].node.expr
    # The copy has the module's parameters, and its own buffers, since the module's code may write into them.
    copied = copy.deepcopy(module, {id(one): one for one in module.parameters()})
    # PyTorch's dispatcher in C++ makes plain numbers of extents for some operators, such as those of interpolate.
    with without_messages(), mode, enable_python_dispatcher(), torch.no_grad():
        results = copied(*given)
    shapes = [one.shape for one in pytree.tree_leaves(results) if isinstance(one, torch.Tensor)]
    return environment, None if symbol in environment.replacements else symbol, shapes


def _chooses_kernel(guard: Any) -> bool:
    """Return True for the condition by which PyTorch chooses a kernel of a convolution. Their results are equal."""
    where = getattr(guard.sloc, "framework_loc", None)
    return getattr(where, "name", "") == "conv" and "_subclasses" in getattr(where, "filename", "")
