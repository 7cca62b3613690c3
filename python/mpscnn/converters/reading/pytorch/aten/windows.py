"""Write ATen's convolutions, poolings and adaptive poolings as ONNX nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.pytorch.aten.writer import Writer, first_of
from mpscnn.converters.reading.pytorch.extents import FreeExtent
from mpscnn.converters.values.rows import Row
from mpscnn.errors import UnsupportedError


def _ends(values: Sequence[int], count: int) -> list[int]:
    """Return one number for each spatial axis. PyTorch also allows a single number for all axes."""
    return list(values) * count if len(values) == 1 else list(values)


def _with_batch(g: Writer, x: str, space: int) -> tuple[str, bool]:
    """Return images with a batch, and whether one was added."""
    if g.rank(x) != space + 1:
        return x, False
    return ops.unsqueeze(g, x, [0]), True


def _without_batch(g: Writer, x: str, added: bool) -> str:
    return ops.squeeze(g, x, [0]) if added else x


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
    *,
    pads: Sequence[int] = (),
) -> str:
    """Write a convolution. `pads` has all begins and then all ends of the border, instead of `padding`."""
    space = g.rank(weight) - 2
    settings: dict[str, Any] = {
        "strides": _ends(stride, space),
        "dilations": _ends(dilation, space),
        "pads": pads or _ends(padding, space) * 2,
    }
    x, added = _with_batch(g, x, space)
    inputs = [x, weight, bias] if bias else [x, weight]
    if transposed:
        settings["output_padding"] = _ends(output_padding, space)
    convolve = ops.convolve_transposed if transposed else ops.convolve
    return _without_batch(g, convolve(g, *inputs, group=groups, **settings), added)


def _forward_convolution(
    g: Writer,
    x: str,
    weight: str,
    bias: str | None = None,
    stride: Sequence[int] = (1,),
    padding: Sequence[int] | str = (0,),
    dilation: Sequence[int] = (1,),
    groups: int = 1,
) -> str:
    pads: Sequence[int] = ()
    if isinstance(padding, str):
        space = g.rank(weight) - 2
        kernel, steps = g.shapes[weight][2:], _ends(dilation, space)
        totals = [
            (int(extent) - 1) * step if padding == "same" else 0
            for extent, step in zip(kernel, steps, strict=True)
        ]
        begins = [total // 2 for total in totals]
        ends = [total - begin for total, begin in zip(totals, begins, strict=True)]
        pads, padding = [*begins, *ends], ()
    return _convolution(g, x, weight, bias, stride, padding, dilation, False, (0,), groups, pads=pads)


def _transposed_convolution(
    g: Writer,
    x: str,
    weight: str,
    bias: str | None = None,
    stride: Sequence[int] = (1,),
    padding: Sequence[int] = (0,),
    output_padding: Sequence[int] = (0,),
    groups: int = 1,
    dilation: Sequence[int] = (1,),
) -> str:
    return _convolution(g, x, weight, bias, stride, padding, dilation, True, output_padding, groups)


def _pool(
    g: Writer,
    pool: ops.Pooling,
    x: str,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    space: int,
    **settings: Any,
) -> str:
    """Write a pooling of some axes. Without strides its windows lie side by side."""
    window = _ends(kernel, space)
    x, added = _with_batch(g, x, space)
    settings |= {"strides": _ends(stride, space) if stride else window, "pads": _ends(padding, space) * 2}
    return _without_batch(g, pool(g, x, kernel_shape=window, **settings), added)


def _max_pool(space: int) -> Callable[..., str]:
    """Return a function that writes a max pooling of some axes without the places of the maxima."""

    def write(
        g: Writer,
        x: str,
        kernel: Sequence[int],
        stride: Sequence[int] = (),
        padding: Sequence[int] = (0,),
        dilation: Sequence[int] = (1,),
        ceil_mode: bool = False,
    ) -> str:
        settings = {"dilations": _ends(dilation, space), "ceil_mode": int(ceil_mode)}
        return _pool(g, ops.max_pool, x, kernel, stride, padding, space, **settings)

    return write


def _average_pool(space: int) -> Callable[..., str]:
    def write(
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
            raise UnsupportedError(
                "has a divisor_override, which networks do not have: leave it out and multiply"
            )
        settings = {"ceil_mode": int(ceil_mode), "count_include_pad": int(count_include_pad)}
        return _pool(g, ops.average_pool, x, kernel, stride, padding, space, **settings)

    return write


def _adaptive(reduce: ops.Reduction, pool: ops.Pooling) -> Callable[[Writer, str, Sequence[int]], str]:
    def write(g: Writer, x: str, counts: Sequence[int]) -> str:
        """Write one pooling if all windows have the same size; otherwise reduce rows first, then columns."""
        first = len(g.result) - len(counts)
        pairs = list(zip(g.shapes[x], g.result, strict=True))[first:]
        if all(count == 1 for _, count in pairs):
            return reduce(g, x, range(first, g.rank(x)), keepdims=1)
        if any(isinstance(extent, FreeExtent) for extent, _ in pairs):
            raise UnsupportedError("an adaptive pooling of a free extent to more than one pixel")
        windows = [(int(extent), int(count)) for extent, count in pairs]
        if g.rank(x) == 4 and all(extent % count == 0 for extent, count in windows):
            kernel = [extent // count for extent, count in windows]
            return pool(g, x, kernel_shape=kernel, strides=kernel)
        for axis, (extent, count) in enumerate(windows, start=first):
            along = [axis]
            parts = []
            for number in range(count):
                begin, end = number * extent // count, -(-(number + 1) * extent // count)
                part = ops.slice_axes(g, x, [begin], [end], along)
                parts.append(reduce(g, part, along, keepdims=1))
            x = ops.concatenate(g, *parts, axis=axis) if count > 1 else parts[0]
        return x

    return write


_adaptive_average = _adaptive(ops.reduce_mean, ops.average_pool)
_adaptive_maximum = _adaptive(ops.reduce_max, ops.max_pool)


def _max_pool_with_places(
    g: Writer,
    x: str,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1),
    ceil_mode: bool = False,
) -> tuple[str | None, ...]:
    """Write a maximum pooling. Only an unpooling may read the places, which ONNX counts in the whole tensor."""
    if g.rank(x) != 4:
        return _max_pool(2)(g, x, kernel, stride, padding, dilation, ceil_mode), None
    window = _ends(kernel, 2)
    values, places = ops.max_pool_with_places(
        g,
        x,
        kernel_shape=window,
        strides=_ends(stride, 2) if stride else window,
        pads=_ends(padding, 2) * 2,
        dilations=_ends(dilation, 2),
        ceil_mode=int(ceil_mode),
    )
    g.places_of_maxima.add(places)
    return values, places


def _unpooling(g: Writer, x: str, places: str, size: Sequence[int]) -> str:
    if places not in g.places_of_maxima:
        raise UnsupportedError("its places are not those of a maximum pooling")
    # The new shape decides, so the window has no meaning.
    return ops.max_unpool(g, x, places, [*g.result[:-2], *size], kernel_shape=[1, 1])


def _columns_to_image(
    g: Writer,
    x: str,
    size: Sequence[int],
    kernel: Sequence[int],
    dilation: Sequence[int],
    padding: Sequence[int],
    stride: Sequence[int],
) -> str:
    """Write fold: the sum of the elements of overlapping blocks."""
    settings = {"dilations": list(dilation), "pads": [*padding, *padding], "strides": list(stride)}
    if g.rank(x) == 3:
        return ops.join_columns(g, x, list(size), list(kernel), **settings)
    apart = ops.unsqueeze(g, x, [0])
    return ops.squeeze(g, ops.join_columns(g, apart, list(size), list(kernel), **settings), [0])


WINDOWS: dict[str, Row] = {
    "convolution.default": _convolution,
    **{f"conv{space}d.{form}": _forward_convolution for space in "123" for form in ("default", "padding")},
    **{
        f"conv_transpose{space}d.{'default' if space == '1' else 'input'}": _transposed_convolution
        for space in "123"
    },
    "max_pool2d_with_indices.default": _max_pool_with_places,
    "max_unpool2d.default": _unpooling,
    "col2im.default": _columns_to_image,
    "max_pool2d.default": _max_pool(2),
    "max_pool1d.default": _max_pool(1),
    "max_pool3d.default": _max_pool(3),
    "max_pool3d_with_indices.default": first_of(2, _max_pool(3)),
    "avg_pool1d.default": _average_pool(1),
    "avg_pool2d.default": _average_pool(2),
    "avg_pool3d.default": _average_pool(3),
    "_adaptive_avg_pool2d.default": _adaptive_average,
    "adaptive_avg_pool2d.default": _adaptive_average,
    "_adaptive_avg_pool3d.default": _adaptive_average,
    "adaptive_avg_pool3d.default": _adaptive_average,
    "adaptive_avg_pool1d.default": _adaptive_average,
    "adaptive_max_pool2d.default": first_of(2, _adaptive_maximum),
    "adaptive_max_pool1d.default": first_of(2, _adaptive_maximum),
    "adaptive_max_pool3d.default": first_of(2, _adaptive_maximum),
}
