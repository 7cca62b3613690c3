"""Write ATen's convolutions, poolings and adaptive poolings as ONNX nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mpscnn.errors import UnsupportedError
from mpscnn.torch_backend.aten.writer import Operator, Writer


def _ends(values: Sequence[int], count: int) -> list[int]:
    """Return one number for each spatial axis. PyTorch also allows a single number for all axes."""
    return list(values) * count if len(values) == 1 else list(values)


def _convolution(
    g: Writer,
    x: str,
    weight: str,
    bias: str | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> str:
    space = g.rank(x) - 2
    if space not in (1, 2):
        raise UnsupportedError(f"a convolution of {space} axes; supported are 1 and 2")
    pads = _ends(padding, space) * 2
    settings: dict[str, Any] = {
        "strides": _ends(stride, space),
        "dilations": _ends(dilation, space),
        "pads": pads,
    }
    inputs = [x, weight, bias] if bias else [x, weight]
    if transposed:
        settings["output_padding"] = _ends(output_padding, space)
        return g.add("ConvTranspose", *inputs, group=groups, **settings)
    return g.add("Conv", *inputs, group=groups, **settings)


def _max_pool(
    g: Writer,
    x: str,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    ceil_mode: bool = False,
) -> tuple[str, None]:
    space = len(g.result) - 2
    window = _ends(kernel, space)
    made = g.add(
        "MaxPool",
        x,
        kernel_shape=window,
        strides=_ends(stride, space) if stride else window,
        pads=_ends(padding, space) * 2,
        dilations=_ends(dilation, space),
        ceil_mode=int(ceil_mode),
    )
    return made, None


def _average_pool(
    g: Writer,
    x: str,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> str:
    if divisor_override is not None:
        raise UnsupportedError("a divisor_override")
    space = g.rank(x) - 2
    window = _ends(kernel, space)
    return g.add(
        "AveragePool",
        x,
        kernel_shape=window,
        strides=_ends(stride, space) if stride else window,
        pads=_ends(padding, space) * 2,
        ceil_mode=int(ceil_mode),
        count_include_pad=int(count_include_pad),
    )


def _adaptive(reduce: str, pooling: str) -> Callable[[Writer, str, Sequence[int]], str]:
    def write(g: Writer, x: str, _: Sequence[int]) -> str:
        """Write one pooling if all windows have the same size; otherwise reduce rows first, then columns."""
        first = len(g.result) - 2
        pairs = list(zip(g.shapes[x], g.result, strict=True))[first:]
        if g.rank(x) == 4 and all(extent % count == 0 for extent, count in pairs):
            kernel = [extent // count for extent, count in pairs]
            return g.add(pooling, x, kernel_shape=kernel, strides=kernel)
        for axis, (extent, count) in enumerate(pairs, start=first):
            along = g.integers([axis])
            parts = []
            for number in range(count):
                begin, end = number * extent // count, -(-(number + 1) * extent // count)
                part = g.add("Slice", x, g.integers([begin]), g.integers([end]), along)
                parts.append(g.add(reduce, part, along, keepdims=1))
            x = g.add("Concat", *parts, axis=axis)
        return x

    return write


_adaptive_average = _adaptive("ReduceMean", "AveragePool")
_adaptive_maximum_alone = _adaptive("ReduceMax", "MaxPool")


def _adaptive_maximum(g: Writer, x: str, size: Sequence[int]) -> tuple[str, None]:
    return _adaptive_maximum_alone(g, x, size), None


WINDOWS: dict[str, Operator] = {
    "convolution.default": _convolution,
    "max_pool2d_with_indices.default": _max_pool,
    "avg_pool2d.default": _average_pool,
    "avg_pool1d.default": _average_pool,
    "_adaptive_avg_pool2d.default": _adaptive_average,
    "adaptive_avg_pool1d.default": _adaptive_average,
    "adaptive_max_pool2d.default": _adaptive_maximum,
}
