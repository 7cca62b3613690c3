"""Caffe's convolutions and poolings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mpscnn.converters.caffe.file import CaffeLayer
from mpscnn.converters.caffe.parameters import flag
from mpscnn.converters.onnx_graph import Graph, Shape
from mpscnn.errors import UnsupportedError, WeightsError

Pair = tuple[int, int]


def _pair(parameters: Any, name: str, single: str, default: int) -> Pair:
    """(vertical, horizontal), from `name_h` and `name_w`, or from one number or two."""
    if parameters.HasField(f"{name}_h") or parameters.HasField(f"{name}_w"):
        return getattr(parameters, f"{name}_h"), getattr(parameters, f"{name}_w")
    given = getattr(parameters, single)
    if isinstance(given, int):
        return (given, given) if parameters.HasField(single) else (default, default)
    values = list(given) or [default]
    if len(values) > 2:
        raise WeightsError(f"damaged: its {single} has {len(values)} numbers")
    return values[0], values[-1]


def _image(g: Graph, layer: CaffeLayer) -> tuple[str, Shape | None]:
    if len(layer.bottoms) != 1 or len(layer.tops) != 1:
        raise UnsupportedError(f"it has {len(layer.bottoms)} inputs and {len(layer.tops)} results")
    x = g.tensor(layer.bottoms[0])
    shape = g.shapes.get(x)
    if shape is not None and len(shape) != 4:
        raise UnsupportedError(f"its input is {shape}; supported are images")
    return x, shape


def _convolution(g: Graph, layer: CaffeLayer) -> None:
    p = layer.parameters
    x, shape = _image(g, layer)
    if p.HasField("axis") and p.axis not in (1, -3):
        raise UnsupportedError(f"its axis is {p.axis}")
    if not layer.blobs:
        raise WeightsError("the file of weights does not have its weights")
    kernel = _pair(p, "kernel", "kernel_size", 0)
    strides, pads = _pair(p, "stride", "stride", 1), _pair(p, "pad", "pad", 0)
    dilation = _pair_of(list(p.dilation) or [1])
    transposed = layer.kind == "Deconvolution"
    groups = p.group if p.HasField("group") else 1
    if "Depthwise" in layer.kind and not p.HasField("group") and shape is not None:
        groups = shape[1]
    weight = layer.blobs[0]
    if len(weight.shape) != 4 or weight.shape[2:] != kernel or 0 in strides + dilation:
        raise WeightsError(f"damaged: weights {weight.shape} for a kernel of {kernel}")
    bias = not p.HasField("bias_term") or p.bias_term
    operands = [x, g.constant(f"{layer.name}/weight", weight)]
    if bias:
        if len(layer.blobs) < 2:
            raise WeightsError("the file of weights does not have its biases")
        operands.append(g.constant(f"{layer.name}/bias", layer.blobs[1].reshaped(-1)))
    made = None
    if shape is not None:
        extents = []
        for size, taps, stride, pad, step in zip(shape[2:], kernel, strides, pads, dilation, strict=True):
            reach = (taps - 1) * step + 1
            extents.append(
                (size - 1) * stride + reach - 2 * pad
                if transposed
                else (size + 2 * pad - reach) // stride + 1
            )
        made = (shape[0], p.num_output, *extents)
    g.node(
        "ConvTranspose" if transposed else "Conv",
        layer.name,
        operands,
        [g.result(layer.tops[0], made)],
        kernel_shape=list(kernel),
        strides=list(strides),
        pads=[*pads, *pads],
        dilations=list(dilation),
        group=groups,
    )


def _pair_of(values: list[int]) -> Pair:
    return values[0], values[-1]


def _pooling(g: Graph, layer: CaffeLayer) -> None:
    """Sizes are rounded up; a last window that would begin behind image and padding is left out."""
    p = layer.parameters
    x, shape = _image(g, layer)
    kinds = {"MAX": "Max", "AVE": "Average", "0": "Max", "1": "Average"}
    kind = p.pool if p.HasField("pool") else "MAX"
    if kind not in kinds:
        raise UnsupportedError(f"a pooling {kind}")
    if p.global_pooling:
        made = None if shape is None else (*shape[:2], 1, 1)
        g.node(f"Global{kinds[kind]}Pool", layer.name, [x], [g.result(layer.tops[0], made)])
        return
    kernel = _pair(p, "kernel", "kernel_size", 0)
    strides, pads = _pair(p, "stride", "stride", 1), _pair(p, "pad", "pad", 0)
    if 0 in strides + kernel:
        raise WeightsError(f"damaged: a window of {kernel} with strides of {strides}")
    upwards = p.round_mode not in ("FLOOR", "1") and flag(p, "ceil_mode", True)
    attributes: dict[str, Any] = {
        "kernel_shape": list(kernel),
        "strides": list(strides),
        "pads": [*pads, *pads],
    }
    attributes["ceil_mode"] = int(upwards)
    if kinds[kind] == "Average":
        attributes["count_include_pad"] = 1
    made = None
    if shape is not None:
        extents = []
        for size, taps, stride, pad in zip(shape[2:], kernel, strides, pads, strict=True):
            count = _windows(size, taps, stride, pad, upwards=upwards, padded=any(pads))
            if (count - 1) * stride >= size + pad:
                raise UnsupportedError("its last window lies behind the image")
            extents.append(count)
        made = (*shape[:2], *extents)
    g.node(f"{kinds[kind]}Pool", layer.name, [x], [g.result(layer.tops[0], made)], **attributes)


def _windows(size: int, taps: int, stride: int, pad: int, *, upwards: bool, padded: bool) -> int:
    """The number of windows along an axis. `padded`: this axis or the other one is, by which Caffe looks at both."""
    room = size + 2 * pad - taps
    count = (-(-room // stride) if upwards else room // stride) + 1
    return count - 1 if padded and (count - 1) * stride >= size + pad else count


WINDOWS: dict[str, Callable[[Graph, CaffeLayer], None]] = {
    "Convolution": _convolution,
    "ConvolutionDepthwise": _convolution,
    "Deconvolution": _convolution,
    "DepthwiseConvolution": _convolution,
    "Pooling": _pooling,
}
