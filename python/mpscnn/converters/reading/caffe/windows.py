"""Convert Caffe's convolutions and poolings."""

from __future__ import annotations

from typing import Any, Literal

from mpscnn.converters.opening.blobs import Blob
from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.caffe.row_calls import Biases, Weights, image, lacks
from mpscnn.converters.reading.graph.builder import Builder
from mpscnn.converters.values.rows import Ints, Name, Row
from mpscnn.converters.values.window_sizes import count_of_caffe
from mpscnn.errors import UnsupportedError, WeightsError

Pair = tuple[int, int]


def _pair(values: Ints, name: str, default: int) -> Pair:
    """Return (vertical, horizontal) of a parameter with one or two numbers."""
    if len(values) > 2:
        raise WeightsError(f"damaged: its {name} has {len(values)} numbers")
    return (values[0], values[-1]) if values else (default, default)


def _convolution(
    b: Builder, x: Name, weight: Weights, bias: Biases = None, *, num_output: int = 0, kernel_size: Ints = (),
    stride: Ints = (), pad: Ints = (), dilation: Ints = (), group: int = 1, bias_term: bool = True,
    axis: Literal[1, -3] = 1,
) -> str:  # fmt: skip
    image(b, x)
    window = _window(weight, kernel_size, stride, pad, dilation, axis)
    _check_filters(weight, weight.shape[0], num_output)
    return ops.convolve(b, x, *_operands(b, weight, bias, has_bias=bias_term), **window, group=group)


def _depthwise(
    b: Builder, x: Name, weight: Weights, bias: Biases = None, *, num_output: int = 0, kernel_size: Ints = (),
    stride: Ints = (), pad: Ints = (), dilation: Ints = (), group: int | None = None, bias_term: bool = True,
    axis: Literal[1, -3] = 1,
) -> str:  # fmt: skip
    groups = image(b, x)[1] if group is None else group
    return _convolution(
        b, x, weight, bias, num_output=num_output, kernel_size=kernel_size, stride=stride, pad=pad,
        dilation=dilation, group=groups, bias_term=bias_term, axis=axis,
    )  # fmt: skip


def _deconvolution(
    b: Builder, x: Name, weight: Weights, bias: Biases = None, *, num_output: int = 0, kernel_size: Ints = (),
    stride: Ints = (), pad: Ints = (), dilation: Ints = (), group: int = 1, bias_term: bool = True,
    axis: Literal[1, -3] = 1,
) -> str:  # fmt: skip
    image(b, x)
    window = _window(weight, kernel_size, stride, pad, dilation, axis)
    _check_filters(weight, weight.shape[1] * group, num_output)
    return ops.convolve_transposed(
        b, x, *_operands(b, weight, bias, has_bias=bias_term), **window, group=group
    )


def _window(weight: Blob, kernel: Ints, stride: Ints, pad: Ints, dilation: Ints, axis: int) -> dict[str, Any]:
    """Return the window of a convolution by the names of ONNX. The axis is that of the channels."""
    del axis
    taps = _pair(kernel, "kernel_size", 0)
    strides, pads = _pair(stride, "stride", 1), _pair(pad, "pad", 0)
    steps = _pair(dilation, "dilation", 1)
    if len(weight.shape) != 4 or weight.shape[2:] != taps or 0 in strides + steps:
        raise WeightsError(f"damaged: weights {weight.shape} for a kernel of {taps}")
    return {
        "kernel_shape": list(taps), "strides": list(strides), "pads": [*pads, *pads], "dilations": list(steps),
    }  # fmt: skip


def _check_filters(weight: Blob, filters: int, stated: int) -> None:
    if filters != stated:
        raise WeightsError(f"damaged: weights {weight.shape} for {stated} filters")


def _operands(b: Builder, weight: Blob, bias: Blob | None, *, has_bias: bool) -> list[str]:
    operands = [b.weight("weight", weight)]
    if has_bias:
        if bias is None:
            raise lacks("biases")
        operands.append(b.weight("bias", bias.reshaped(-1)))
    return operands


_MAX, _AVERAGE = (ops.max_pool, ops.global_max_pool), (ops.average_pool, ops.global_average_pool)
_KINDS = {"MAX": _MAX, "AVE": _AVERAGE, "0": _MAX, "1": _AVERAGE}


def _pooling(
    b: Builder, x: Name, *, pool: str = "MAX", kernel_size: Ints = (), stride: Ints = (), pad: Ints = (),
    global_pooling: bool = False, round_mode: str = "CEIL", ceil_mode: bool = True,
) -> str:  # fmt: skip
    """Convert Pooling. By default output sizes are rounded up, but Caffe omits a last window beyond the image."""
    shape, kind = image(b, x), _KINDS.get(pool)
    if kind is None:
        raise UnsupportedError(f"a pooling {pool}")
    if global_pooling:
        return kind[1](b, x)
    kernel, strides, pads = (
        _pair(kernel_size, "kernel_size", 0),
        _pair(stride, "stride", 1),
        _pair(pad, "pad", 0),
    )
    if 0 in strides + kernel:
        raise WeightsError(f"damaged: a window of {kernel} with strides of {strides}")
    upwards = round_mode not in ("FLOOR", "1") and ceil_mode
    for size, taps, step, side in zip(shape[2:], kernel, strides, pads, strict=True):
        # refuses a last window outside
        count_of_caffe(size, step, taps, side, upwards=upwards, padded=any(pads))
    return kind[0](
        b, x, kernel_shape=list(kernel), strides=list(strides), pads=[*pads, *pads], ceil_mode=int(upwards),
        count_include_pad=1 if kind is _AVERAGE else None,
    )  # fmt: skip


WINDOWS: dict[str, Row] = {
    "Convolution": _convolution,
    "ConvolutionDepthwise": _depthwise,
    "Deconvolution": _deconvolution,
    "DepthwiseConvolution": _depthwise,
    "Pooling": _pooling,
}
