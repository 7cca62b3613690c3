"""Convert Caffe's convolutions and poolings."""

from __future__ import annotations

from typing import Any

from mpscnn.converters.caffe.file import CaffeLayer
from mpscnn.converters.caffe.parameters import Handler, blob, flag, image, value
from mpscnn.converters.onnx_graph.builder import Builder
from mpscnn.converters.window_sizes import count_of_caffe
from mpscnn.errors import UnsupportedError, WeightsError

Pair = tuple[int, int]


def _pair(parameters: Any, name: str, single: str, default: int) -> Pair:
    """Return (vertical, horizontal) of a parameter, stated as `name_h` and `name_w`, or as one or two numbers."""
    if parameters.has(f"{name}_h") or parameters.has(f"{name}_w"):
        return getattr(parameters, f"{name}_h"), getattr(parameters, f"{name}_w")
    given = getattr(parameters, single)
    if isinstance(given, int):
        return (given, given) if parameters.has(single) else (default, default)
    return _pair_of(list(given) or [default], single)


def _pair_of(values: list[int], name: str) -> Pair:
    if len(values) > 2:
        raise WeightsError(f"damaged: its {name} has {len(values)} numbers")
    return values[0], values[-1]


def _convolution(b: Builder, layer: CaffeLayer) -> str:
    p = layer.parameters
    x, shape = image(b, layer)
    if p.has("axis") and p.axis not in (1, -3):
        raise UnsupportedError(f"its axis is {p.axis}")
    weight = blob(layer, 0, "weights")
    kernel = _pair(p, "kernel", "kernel_size", 0)
    strides, pads = _pair(p, "stride", "stride", 1), _pair(p, "pad", "pad", 0)
    dilation = _pair_of(list(p.dilation) or [1], "dilation")
    groups = p.group if p.has("group") else 1
    if "Depthwise" in layer.kind and not p.has("group"):
        groups = shape[1]
    if len(weight.shape) != 4 or weight.shape[2:] != kernel or 0 in strides + dilation:
        raise WeightsError(f"damaged: weights {weight.shape} for a kernel of {kernel}")
    is_transposed = layer.kind == "Deconvolution"
    filters = weight.shape[1] * groups if is_transposed else weight.shape[0]
    if filters != p.num_output:
        raise WeightsError(f"damaged: weights {weight.shape} for {p.num_output} filters")
    operands = [x, b.weight("weight", weight)]
    if not p.has("bias_term") or p.bias_term:
        operands.append(b.weight("bias", blob(layer, 1, "biases").reshaped(-1)))
    return b.op(
        "ConvTranspose" if is_transposed else "Conv",
        *operands,
        kernel_shape=list(kernel),
        strides=list(strides),
        pads=[*pads, *pads],
        dilations=list(dilation),
        group=groups,
    )


def _pooling(b: Builder, layer: CaffeLayer) -> str:
    """Convert Pooling. By default output sizes are rounded up, but Caffe omits a last window beyond the image."""
    p = layer.parameters
    x, shape = image(b, layer)
    kind = {"MAX": "Max", "AVE": "Average", "0": "Max", "1": "Average"}.get(value(p, "pool", "MAX"))
    if kind is None:
        raise UnsupportedError(f"a pooling {p.pool}")
    if p.global_pooling:
        return b.op(f"Global{kind}Pool", x)
    kernel = _pair(p, "kernel", "kernel_size", 0)
    strides, pads = _pair(p, "stride", "stride", 1), _pair(p, "pad", "pad", 0)
    if 0 in strides + kernel:
        raise WeightsError(f"damaged: a window of {kernel} with strides of {strides}")
    upwards = p.round_mode not in ("FLOOR", "1") and flag(p, "ceil_mode", True)
    for size, taps, stride, pad in zip(shape[2:], kernel, strides, pads, strict=True):
        count_of_caffe(
            size, stride, taps, pad, upwards=upwards, padded=any(pads)
        )  # refuses a last window outside
    window: dict[str, Any] = {"kernel_shape": list(kernel), "strides": list(strides), "pads": [*pads, *pads]}
    if kind == "Average":
        window["count_include_pad"] = 1
    return b.op(f"{kind}Pool", x, ceil_mode=int(upwards), **window)


WINDOWS: dict[str, Handler] = {
    "Convolution": _convolution,
    "ConvolutionDepthwise": _convolution,
    "Deconvolution": _convolution,
    "DepthwiseConvolution": _convolution,
    "Pooling": _pooling,
}
