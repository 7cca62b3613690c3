"""Check whether a network computes the same as its module."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.onnx_reader.reader import Converted
from mpscnn.errors import UnsupportedError

Array = NDArray[Any]

# Allowed of the largest magnitude of a result: sums in another order, through many layers.
_TOLERANCE = 1e-3
_BLOCK = 1 << 20  # elements that are compared at a time


@dataclass(frozen=True)
class _Difference:
    """Return the difference of a result from the module's. For whole numbers it is the share of those that differ."""

    name: str
    error: float
    relative: float


def require_equal(converted: Converted, module: Any, inputs: Sequence[Any], title: str) -> None:
    """Run both on the example inputs, on the CPU in float32.

    Inputs whose numbers are all alike, such as zeros, would show little: random numbers take their place.

    Args:
        converted: the network, and where its axes lie in the module's.
        module: for inference; its buffers and torch's random numbers are as before afterwards.
        inputs: tensors of float32.
        title: what messages call the module.

    Raises UnsupportedError where the largest difference of a result is beyond a thousandth of its largest magnitude, or
    where more than a thousandth of its whole numbers differ.
    """
    given = _telling(inputs)
    expected = _results_of(module, given)
    network = converted.network
    arrays = [
        np.ascontiguousarray(layout.arranged(tensor.numpy()), np.float32)
        for tensor, layout in zip(given, converted.inputs, strict=True)
    ]
    computed = network.compile(device="cpu", precision="float32").session().run(arrays)
    found = list(computed.values()) if isinstance(computed, dict) else [computed]
    if len(found) != len(expected):
        raise UnsupportedError(
            f"{title}: the module has {len(expected)} results, the network {len(found)}; convert without the others, "
            "or check=False leaves out the comparison"
        )
    names = [tensor.name for tensor in network.outputs]
    differences = [
        _difference(name, array, other, layout.axes)
        for name, array, other, layout in zip(names, found, expected, converted.outputs, strict=True)
    ]
    worst = max(differences, key=lambda one: one.relative)
    if not worst.relative <= _TOLERANCE:
        raise UnsupportedError(
            f"{title}: the network does not compute what the module does: its result {worst.name!r} differs by "
            f"{worst.error:.3g}, which is {worst.relative:.2g} of the largest magnitude (allowed {_TOLERANCE:g}); "
            "check=False leaves out this comparison"
        )


def _telling(inputs: Sequence[Any]) -> list[Any]:
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


def _difference(name: str, found: Array, expected: Array, axes: tuple[int, ...]) -> _Difference:
    """`axes`: which of the module's each axis of the network's result is."""
    if expected.ndim == len(axes):
        expected = expected.transpose(axes)
    if expected.size != found.size:
        return _Difference(name, math.inf, math.inf)
    a, b = found.reshape(-1), np.ascontiguousarray(expected).reshape(-1)
    if b.dtype.kind != "f":
        differing = int(np.count_nonzero(a != b))
        return _Difference(name, float(differing), differing / max(b.size, 1))
    error = largest = 0.0
    for start in range(0, a.size, _BLOCK):
        mine, theirs = (part[start : start + _BLOCK].astype(np.float64) for part in (a, b))
        with np.errstate(invalid="ignore", over="ignore"):
            difference = np.abs(mine - theirs)
        difference[(mine == theirs) | (np.isnan(mine) & np.isnan(theirs))] = 0.0
        difference[np.isnan(difference)] = np.inf
        error = max(error, float(difference.max(initial=0.0)))
        largest = max(largest, float(np.abs(theirs[np.isfinite(theirs)]).max(initial=0.0)))
    relative = error / largest if largest else (0.0 if error == 0.0 else math.inf)
    return _Difference(name, error, relative)
