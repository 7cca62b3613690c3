"""Check whether a converted network computes the same results as its module, also for images of another size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.agreement import require_results, running_original
from mpscnn.converters.onnx_reader.reader import Converted
from mpscnn.errors import ShapeError, UnsupportedError
from mpscnn.runtime.program import Session

Array = NDArray[Any]


def require_equal(
    converted: Converted, module: Any, inputs: Sequence[Any], title: str, others: Iterable[Sequence[Any]] = ()
) -> None:
    """Run the network and the module on the example inputs, on the CPU in float32, and compare the results.

    Inputs whose elements are all equal, such as zeros, are replaced by random numbers, which find more errors.

    Args:
        converted: the network, and the layouts of its inputs and outputs.
        module: the module in inference mode. Its buffers and torch's random state are restored afterwards.
        inputs: tensors of float32.
        title: the name of the module in messages.
        others: inputs of other sizes. If the module computes them, its results are compared, too.

    Raises UnsupportedError if results differ too much, see `require_results`.
    """
    session = converted.network.compile(device="cpu", precision="float32").session()
    given = _replace_uniform_inputs(inputs)
    with running_original(title, "module"):
        expected = _results_of(module, given)
    _require_equal(converted, session, given, expected, title)
    for other in others:
        try:
            expected = _results_of(module, other)
        except Exception:  # the module's own code may exclude this size by any error
            continue
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in other)
        _require_equal(converted, session, other, expected, f"{title} with inputs of {shapes}")


def _require_equal(
    converted: Converted, session: Session, given: Sequence[Any], expected: list[Array], title: str
) -> None:
    arrays = [
        np.ascontiguousarray(layout.arranged(tensor.numpy()), np.float32)
        for tensor, layout in zip(given, converted.inputs, strict=True)
    ]
    try:
        computed = session.run(arrays)
    except ShapeError as error:
        raise UnsupportedError(
            f"{title}: the network cannot compute what the module does: {error}"
        ) from error
    found = list(computed.values()) if isinstance(computed, dict) else [computed]
    moved = [
        other.transpose(layout.axes) if other.ndim == len(layout.axes) else other
        for other, layout in zip(expected, converted.outputs, strict=False)
    ]
    names = [tensor.name for tensor in converted.network.outputs]
    require_results(title, "module", names, found, [*moved, *expected[len(moved) :]])


def _replace_uniform_inputs(inputs: Sequence[Any]) -> list[Any]:
    import torch

    generator = torch.Generator().manual_seed(0)
    return [
        torch.rand(tensor.shape, generator=generator) * 2.0 - 1.0
        if tensor.is_floating_point() and tensor.numel() > 1 and bool((tensor == tensor.reshape(-1)[0]).all())
        else tensor
        for tensor in inputs
    ]


def _results_of(module: Any, inputs: Sequence[Any]) -> list[Array]:
    import torch
    from torch.utils import _pytree as pytree

    kept = {name: buffer.clone() for name, buffer in module.named_buffers()}
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            results = module(*(tensor.clone() for tensor in inputs))
            leaves = pytree.tree_leaves(results)
            return [leaf.detach().numpy().copy() for leaf in leaves if isinstance(leaf, torch.Tensor)]
    finally:
        with torch.no_grad():
            for name, buffer in module.named_buffers():
                if name in kept and buffer.shape == kept[name].shape:
                    buffer.copy_(kept[name])
