"""Translate operators of PyTorch to ONNX that PyTorch's exporter lacks or writes in an unsupported form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mpscnn.errors import UnsupportedError

#: The version of the ONNX operators to which modules are exported.
OPSET = 21


def translations() -> dict[Any, Callable[..., Any]]:
    """Return the functions that translate operators, by PyTorch's operator, for PyTorch's exporter."""
    import torch

    aten = torch.ops.aten
    return {
        aten.adaptive_avg_pool2d.default: _adaptive_average,
        aten.adaptive_max_pool2d.default: _adaptive_maximum,
        aten._upsample_nearest_exact2d.vec: _nearest_exact,
        aten.group_norm.default: _group_norm,
    }


def lost_results(program: Any) -> list[str]:
    """Return the operators of a program whose second result is used although its translation has no such result."""
    return [
        node.name
        for node in program.graph.nodes
        if "adaptive_max_pool2d" in str(node.target)
        and any(user.args[1:] == (1,) and user.users for user in node.users)
    ]


def _adaptive_average(x: Any, output_size: Sequence[int]) -> Any:
    return _adaptive(x, output_size, _operators().ReduceMean, "AveragePool")


def _adaptive_maximum(x: Any, output_size: Sequence[int]) -> Any:
    """Translate an adaptive max pooling. Its second result, the positions, is a dummy (see `lost_results`)."""
    op = _operators()
    return _adaptive(x, output_size, op.ReduceMax, "MaxPool"), op.Constant(value_int=0)


def _adaptive(x: Any, output_size: Sequence[int], reduce: Callable[..., Any], pooling: str) -> Any:
    """Translate an adaptive pooling: to one pooling if all windows have one size, else to rows first, then columns."""
    op = _operators()
    first = len(x.shape) - 2
    if not all(isinstance(extent, int) for extent in x.shape[first:]):
        if any(count != 1 for count in output_size):
            raise UnsupportedError("an adaptive pooling of a free extent to more than one pixel")
        return reduce(x, op.Constant(value_ints=[first, first + 1]), keepdims=1)
    windows = [
        (axis, int(extent), count)
        for axis, (extent, count) in enumerate(zip(x.shape[first:], output_size, strict=True), start=first)
    ]
    if first == 2 and all(extent % count == 0 for _, extent, count in windows):
        kernel = [extent // count for _, extent, count in windows]
        made = getattr(op, pooling)(x, kernel_shape=kernel, strides=kernel)
        return made[0] if isinstance(made, Sequence) else made
    for axis, extent, count in windows:
        along = op.Constant(value_ints=[axis])
        parts = []
        for number in range(count):
            begin, end = number * extent // count, -(-(number + 1) * extent // count)
            ends = (op.Constant(value_ints=[place]) for place in (begin, end))
            parts.append(reduce(op.Slice(x, *ends, along), along, keepdims=1))
        x = op.Concat(*parts, axis=axis) if count > 1 else parts[0]
    return x


def _group_norm(
    x: Any,
    num_groups: int,
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
    _cudnn_enabled: bool = True,
) -> Any:
    """Translate a group normalization to one operator. Since opset 21 it has a scale and offset for each channel."""
    op = _operators(21)
    channels = int(x.shape[1])
    scale = op.Constant(value_floats=[1.0] * channels) if weight is None else weight
    offset = op.Constant(value_floats=[0.0] * channels) if bias is None else bias
    return op.GroupNormalization(x, scale, offset, num_groups=num_groups, epsilon=eps)


def _nearest_exact(x: Any, output_size: Sequence[int] | None, scale_factors: Sequence[float] | None) -> Any:
    """Translate "nearest-exact" resizes, which read the pixel floor((position + 0.5) / scale)."""
    op = _operators()
    scales = sizes = None
    if scale_factors is not None:
        scales = op.Constant(value_floats=[1.0, 1.0, *scale_factors])
    else:
        sizes = op.Constant(value_ints=[*(int(extent) for extent in x.shape[:2]), *(output_size or ())])
    settings = {"coordinate_transformation_mode": "half_pixel", "nearest_mode": "round_prefer_ceil"}
    return op.Resize(x, None, scales, sizes, mode="nearest", **settings)


def _operators(opset: int = 18) -> Any:
    import onnxscript

    return getattr(onnxscript, f"opset{opset}")
