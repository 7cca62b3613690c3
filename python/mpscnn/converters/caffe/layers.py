"""What Caffe's layers are as operators of ONNX: one function for each type.

They raise UnsupportedError and WeightsError with a reason only; who calls them knows file and layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.caffe.file import CaffeLayer
from mpscnn.converters.caffe.graph import Graph, Shape
from mpscnn.converters.caffe.windows import WINDOWS
from mpscnn.converters.layer_names import shown
from mpscnn.errors import UnsupportedError, WeightsError

Handler = Callable[[Graph, CaffeLayer], None]
Array = NDArray[np.float32]


def value(parameters: Any, name: str, default: Any) -> Any:
    """A parameter, or Caffe's default where the file leaves it out."""
    return getattr(parameters, name) if parameters.HasField(name) else default


def number(parameters: Any, name: str, default: float) -> float:
    """As `value`, a finite number."""
    given = float(value(parameters, name, default))
    if not math.isfinite(given):
        raise WeightsError(f"damaged: its {name} is {given}")
    return given


def axis_of(parameters: Any, default: int, rank: int | None, name: str = "axis") -> int:
    """An axis counted from the front."""
    axis = int(value(parameters, name, default))
    if axis < 0:
        if rank is None:
            raise UnsupportedError(f"its {name} is counted from the end of a blob of unknown shape")
        axis += rank
    if axis < 0 or (rank is not None and axis >= rank):
        raise WeightsError(f"damaged: its {name} is {value(parameters, name, default)}")
    return axis


def single(g: Graph, layer: CaffeLayer) -> tuple[str, Shape | None]:
    """The only input, and its shape."""
    if len(layer.bottoms) != 1 or not layer.tops:
        raise WeightsError(f"damaged: it has {len(layer.bottoms)} inputs and {len(layer.tops)} results")
    x = g.tensor(layer.bottoms[0])
    return x, g.shapes.get(x)


def blob(layer: CaffeLayer, place: int, what: str) -> Array:
    """One of the layer's weights."""
    if place >= len(layer.blobs):
        raise WeightsError(f"the file of weights does not have its {what}")
    return layer.blobs[place]


def _simple(kind: str, **attributes: Any) -> Handler:
    def convert(g: Graph, layer: CaffeLayer) -> None:
        x, shape = single(g, layer)
        g.node(kind, layer.name, [x], [g.result(layer.tops[0], shape)], **attributes)

    return convert


def _same(g: Graph, layer: CaffeLayer) -> None:
    x, shape = single(g, layer)
    for top in layer.tops:
        g.node("Identity", layer.name, [x], [g.result(top, shape)])


def _nothing(g: Graph, layer: CaffeLayer) -> None:
    for bottom in layer.bottoms:
        g.tensor(bottom)


# ---- Functions of each element -----------------------------------------------------------------------------


def _relu(g: Graph, layer: CaffeLayer) -> None:
    slope = number(layer.parameters, "negative_slope", 0.0)
    (_simple("LeakyRelu", alpha=slope) if slope else _simple("Relu"))(g, layer)


def _elu(g: Graph, layer: CaffeLayer) -> None:
    _simple("Elu", alpha=number(layer.parameters, "alpha", 1.0))(g, layer)


def _clip(g: Graph, layer: CaffeLayer, low: float | None = None, high: float | None = None) -> None:
    x, shape = single(g, layer)
    limits = (low, high)
    if low is None or high is None:
        limits = number(layer.parameters, "min", 0.0), number(layer.parameters, "max", 6.0)
    operands = [g.constant(f"{layer.name}/limit", np.float32(limit)) for limit in limits]
    g.node("Clip", layer.name, [x, *operands], [g.result(layer.tops[0], shape)])


def _relu6(g: Graph, layer: CaffeLayer) -> None:
    _clip(g, layer, 0.0, 6.0)


def _prelu(g: Graph, layer: CaffeLayer) -> None:
    x, shape = single(g, layer)
    slope = blob(layer, 0, "slopes").reshape(-1, 1, 1)
    operand = g.constant(f"{layer.name}/slope", slope)
    g.node("PRelu", layer.name, [x, operand], [g.result(layer.tops[0], shape)])


class _Chain:
    """Operators one behind the other, of which the last one is the layer's result."""

    def __init__(self, g: Graph, layer: CaffeLayer) -> None:
        self._g, self._layer = g, layer
        self.tensor, self._shape = single(g, layer)
        self._steps: list[tuple[str, float | None]] = []

    def then(self, kind: str, operand: float | None = None) -> _Chain:
        """Another step; those that change nothing are left out."""
        if (kind, operand) not in (("Mul", 1.0), ("Add", 0.0), ("Pow", 1.0)):
            self._steps.append((kind, operand))
        return self

    def end(self) -> None:
        """Adds the operators."""
        steps = self._steps or [("Identity", None)]
        for place, (kind, operand) in enumerate(steps):
            name = self._layer.name if place == len(steps) - 1 else f"{self._layer.name}/{kind.lower()}"
            inputs = [self.tensor]
            if operand is not None:
                inputs.append(self._g.constant(f"{name}/operand", np.float32(operand)))
            last = place == len(steps) - 1
            top = self._layer.tops[0]
            made = self._g.result(top, self._shape) if last else self._g.between(name, self._shape)
            self._g.node(kind, name, inputs, [made])
            self.tensor = made


def _scaled(g: Graph, layer: CaffeLayer, factor: float = 1.0) -> _Chain:
    p = layer.parameters
    chain = _Chain(g, layer)
    chain.then("Mul", number(p, "scale", 1.0) * factor)
    return chain.then("Add", number(p, "shift", 0.0) * factor)


def _power(g: Graph, layer: CaffeLayer) -> None:
    """(shift + scale * x)^power."""
    _scaled(g, layer).then("Pow", number(layer.parameters, "power", 1.0)).end()


def _exponential(g: Graph, layer: CaffeLayer) -> None:
    """base^(shift + scale * x); -1 stands for e."""
    _scaled(g, layer, _natural(layer)).then("Exp").end()


def _logarithm(g: Graph, layer: CaffeLayer) -> None:
    """log_base(shift + scale * x)."""
    _scaled(g, layer).then("Log").then("Mul", 1.0 / _natural(layer)).end()


def _natural(layer: CaffeLayer) -> float:
    """ln(base)."""
    base = number(layer.parameters, "base", -1.0)
    if base != -1.0 and (base <= 0.0 or base == 1.0):
        raise WeightsError(f"damaged: its base is {base}")
    return 1.0 if base == -1.0 else math.log(base)


def _softmax(g: Graph, layer: CaffeLayer) -> None:
    x, shape = single(g, layer)
    axis = int(value(layer.parameters, "axis", 1))
    g.node("Softmax", layer.name, [x], [g.result(layer.tops[0], shape)], axis=axis)


# ---- Normalizations ----------------------------------------------------------------------------------------


def _batch_norm(g: Graph, layer: CaffeLayer) -> None:
    """Means and variances are stored times a factor, the third blob."""
    x, shape = single(g, layer)
    if not value(layer.parameters, "use_global_stats", True):
        raise UnsupportedError("it normalises with the statistics of the batch (use_global_stats: false)")
    mean, variance = (blob(layer, place, "statistics").reshape(-1) for place in (0, 1))
    total = float(blob(layer, 2, "scale factor").reshape(-1)[0])
    factor = np.float32(0.0 if total == 0.0 else 1.0 / total)
    one = np.ones_like(mean)
    roles = {"scale": one, "bias": 0 * one, "mean": mean * factor, "variance": variance * factor}
    operands = [g.constant(f"{layer.name}/{role}", values) for role, values in roles.items()]
    epsilon = number(layer.parameters, "eps", 1e-5)
    top = g.result(layer.tops[0], shape)
    g.node("BatchNormalization", layer.name, [x, *operands], [top], epsilon=epsilon)


def _scale(g: Graph, layer: CaffeLayer) -> None:
    """Factors and offsets, one for each channel or computed by another layer."""
    if len(layer.bottoms) == 2:
        _product_with_blob(g, layer)
        return
    factors = blob(layer, 0, "factors")
    offsets = None
    if layer.kind == "Bias":
        factors, offsets = np.ones_like(factors), factors
    elif value(layer.parameters, "bias_term", False):
        offsets = blob(layer, 1, "offsets")
    x, shape = single(g, layer)
    axis = axis_of(layer.parameters, 1, None if shape is None else len(shape))
    if axis != 1 or factors.ndim != 1:
        raise UnsupportedError(f"factors {factors.shape} along axis {axis}; supported are those of channels")
    offsets = np.zeros_like(factors) if offsets is None else offsets.reshape(-1)
    normalization = g.last_node("BatchNormalization", x)
    if normalization is not None:  # of which it is a part in other frameworks
        normalization.input[1] = g.constant(f"{layer.name}/scale", factors)
        normalization.input[2] = g.constant(f"{layer.name}/bias", offsets)
        g.replace_output(normalization, g.result(layer.tops[0], shape))
        return
    # With this variance the square root of variance + epsilon is 1.
    epsilon = 2.0**-10
    rest = {"mean": 0 * factors, "variance": 0 * factors + np.float32(1.0 - epsilon)}
    roles = {"scale": factors, "bias": offsets} | rest
    operands = [g.constant(f"{layer.name}/{role}", values) for role, values in roles.items()]
    top = g.result(layer.tops[0], shape)
    g.node("BatchNormalization", layer.name, [x, *operands], [top], epsilon=epsilon)


def _product_with_blob(g: Graph, layer: CaffeLayer) -> None:
    """The second input has the axes of the first from `axis` on, or some of them."""
    if layer.blobs:
        raise UnsupportedError("it has two inputs and weights")
    x, factors = (g.tensor(bottom) for bottom in layer.bottoms)
    shape, given = g.shapes.get(x), g.shapes.get(factors)
    if shape is None or given is None:
        raise UnsupportedError("the shapes of its inputs are not known")
    axis = axis_of(layer.parameters, 1, len(shape))
    missing = len(shape) - axis - len(given)
    if missing < 0:
        raise WeightsError(f"damaged: factors {given} along axis {axis} of {shape}")
    if missing:
        wider = g.between(f"{layer.name}/factors", (*given, *[1] * missing))
        axes = g.constant(f"{layer.name}/axes", np.arange(len(given), len(given) + missing, dtype=np.int64))
        g.node("Unsqueeze", f"{layer.name}/axes", [factors, axes], [wider])
        factors = wider
    kind = "Add" if layer.kind == "Bias" else "Mul"
    g.node(kind, layer.name, [x, factors], [g.result(layer.tops[0], shape)])


def _local_response(g: Graph, layer: CaffeLayer) -> None:
    p = layer.parameters
    size, alpha, beta = value(p, "local_size", 5), number(p, "alpha", 1.0), number(p, "beta", 0.75)
    x, shape = single(g, layer)
    region = value(p, "norm_region", "ACROSS_CHANNELS")
    if region == "ACROSS_CHANNELS":
        top = g.result(layer.tops[0], shape)
        settings = {"size": size, "alpha": alpha, "beta": beta, "bias": number(p, "k", 1.0)}
        g.node("LRN", layer.name, [x], [top], **settings)
        return
    if region != "WITHIN_CHANNEL" or size % 2 == 0:
        raise UnsupportedError(f"its norm_region is {region} with {size} pixels")
    # x * (1 + alpha * mean of the squares around)^-beta, with zeros around the image
    names = [f"{layer.name}/{part}" for part in ("squares", "mean", "weighted", "sum", "power")]
    tensors = [g.between(name, shape) for name in names]
    g.node("Mul", names[0], [x, x], [tensors[0]])
    window = {"kernel_shape": [size, size], "pads": [size // 2] * 4, "count_include_pad": 1}
    g.node("AveragePool", names[1], [tensors[0]], [tensors[1]], **window)
    for place, (kind, operand) in enumerate((("Mul", alpha), ("Add", 1.0), ("Pow", -beta)), start=1):
        constant = g.constant(f"{names[place + 1]}/operand", np.float32(operand))
        g.node(kind, names[place + 1], [tensors[place], constant], [tensors[place + 1]])
    g.node("Mul", layer.name, [x, tensors[4]], [g.result(layer.tops[0], shape)])


def _normalize(g: Graph, layer: CaffeLayer) -> None:
    """x / sqrt(sum of the channels' squares), times a factor for each channel."""
    x, shape = single(g, layer)
    if value(layer.parameters, "across_spatial", True):
        raise UnsupportedError(
            "it normalises across the image (across_spatial); supported is across channels"
        )
    norm = None if shape is None else (shape[0], 1, *shape[2:])
    sums, root, unit = (g.between(f"{layer.name}/{part}", norm) for part in ("sums", "root", "unit"))
    squares = g.between(f"{layer.name}/squares", shape)
    g.node("Mul", f"{layer.name}/squares", [x, x], [squares])
    axes = g.constant(f"{layer.name}/axes", np.array([1], np.int64))
    g.node("ReduceSum", f"{layer.name}/sums", [squares, axes], [sums], keepdims=1)
    least = g.constant(f"{layer.name}/eps", np.float32(number(layer.parameters, "eps", 1e-10)))
    above = g.between(f"{layer.name}/above", norm)
    g.node("Add", f"{layer.name}/above", [sums, least], [above])
    g.node("Sqrt", f"{layer.name}/root", [above], [root])
    g.node("Div", f"{layer.name}/unit", [x, root], [unit])
    factors = g.constant(f"{layer.name}/factors", blob(layer, 0, "factors").reshape(-1, 1, 1))
    g.node("Mul", layer.name, [unit, factors], [g.result(layer.tops[0], shape)])


# ---- Dense, joining, moving --------------------------------------------------------------------------------


def _inner_product(g: Graph, layer: CaffeLayer) -> None:
    p = layer.parameters
    x, shape = single(g, layer)
    if axis_of(p, 1, None if shape is None else len(shape)) != 1:
        raise UnsupportedError("its axis is not 1")
    weight = blob(layer, 0, "weights")
    units = value(p, "num_output", 0)
    weight = weight.reshape(-1, units) if value(p, "transpose", False) else weight.reshape(units, -1)
    batch = 1 if shape is None else shape[0]
    features = weight.size // max(units, 1)
    if shape is not None and math.prod(shape[1:]) != features:
        raise WeightsError(f"damaged: weights for {features} features, but its input is {shape}")
    flat = g.between(f"{layer.name}/flatten", (batch, features))
    g.node("Flatten", f"{layer.name}/flatten", [x], [flat], axis=1)
    operands = [flat, g.constant(f"{layer.name}/weight", weight)]
    if value(p, "bias_term", True):
        operands.append(g.constant(f"{layer.name}/bias", blob(layer, 1, "biases").reshape(-1)))
    transposed = 0 if value(p, "transpose", False) else 1
    top = g.result(layer.tops[0], (batch, units))
    g.node("Gemm", layer.name, operands, [top], transB=transposed)


def _eltwise(g: Graph, layer: CaffeLayer) -> None:
    p = layer.parameters
    operation = value(p, "operation", "SUM")
    kinds = {"PROD": "Mul", "SUM": "Add", "MAX": "Max", "0": "Mul", "1": "Add", "2": "Max"}
    if operation not in kinds:
        raise UnsupportedError(f"its operation is {operation}")
    factors = list(p.coeff) if kinds[operation] == "Add" else []
    if len(layer.bottoms) < 2 or (factors and len(factors) != len(layer.bottoms)):
        raise WeightsError(f"damaged: {len(layer.bottoms)} inputs and {len(factors)} coefficients")
    tensors = [g.tensor(bottom) for bottom in layer.bottoms]
    shape = g.shapes.get(tensors[0])
    for place, factor in enumerate(factors):
        if factor != 1.0:
            name = f"{layer.name}/scaled{place + 1}"
            made, constant = g.between(name, shape), g.constant(f"{name}/operand", np.float32(factor))
            g.node("Mul", name, [tensors[place], constant], [made])
            tensors[place] = made
    partial = tensors[0]
    for place, tensor in enumerate(tensors[1:], start=2):
        last = place == len(tensors)
        name = layer.name if last else f"{layer.name}/part{place - 1}"
        made = g.result(layer.tops[0], shape) if last else g.between(name, shape)
        g.node(kinds[operation], name, [partial, tensor], [made])
        partial = made


def _concat(g: Graph, layer: CaffeLayer) -> None:
    tensors = [g.tensor(bottom) for bottom in layer.bottoms]
    shapes = [g.shapes.get(tensor) for tensor in tensors]
    first = shapes[0] if shapes else None
    old = "concat_dim" if layer.parameters.HasField("concat_dim") else "axis"
    axis = axis_of(layer.parameters, 1, None if first is None else len(first), old)
    shape = None
    if first is not None and None not in shapes:
        shape = (*first[:axis], sum(one[axis] for one in shapes if one is not None), *first[axis + 1 :])
    if len(tensors) == 1:
        _same(g, layer)
        return
    g.node("Concat", layer.name, tensors, [g.result(layer.tops[0], shape)], axis=axis)


def _slice(g: Graph, layer: CaffeLayer) -> None:
    x, shape = single(g, layer)
    if shape is None:
        raise UnsupportedError("the shape of its input is not known")
    old = "slice_dim" if layer.parameters.HasField("slice_dim") else "axis"
    axis = axis_of(layer.parameters, 1, len(shape), old)
    points, count = list(layer.parameters.slice_point), len(layer.tops)
    if not points:
        points = [shape[axis] * place // count for place in range(1, count)]
    bounds = [0, *points, shape[axis]]
    sizes = [last - first for first, last in pairwise(bounds)]
    if len(sizes) != count or min(sizes) < 1:
        raise WeightsError(f"damaged: divides {shape} along axis {axis} at {points} into {count}")
    split = g.constant(f"{layer.name}/sizes", np.array(sizes, np.int64))
    tops = [
        g.result(top, (*shape[:axis], size, *shape[axis + 1 :]))
        for top, size in zip(layer.tops, sizes, strict=True)
    ]
    g.node("Split", layer.name, [x, split], tops, axis=axis)


def _flatten(g: Graph, layer: CaffeLayer) -> None:
    x, shape = single(g, layer)
    rank = None if shape is None else len(shape)
    axis, end = axis_of(layer.parameters, 1, rank), int(value(layer.parameters, "end_axis", -1))
    if axis != 1 or (end != -1 and (rank is None or end % rank != rank - 1)):
        raise UnsupportedError(f"flattens the axes {axis} to {end}; supported are all but the batch")
    flat = None if shape is None else (shape[0], math.prod(shape[1:]))
    g.node("Flatten", layer.name, [x], [g.result(layer.tops[0], flat)], axis=1)


def _reshape(g: Graph, layer: CaffeLayer) -> None:
    x, shape = single(g, layer)
    p = layer.parameters
    if value(p, "axis", 0) != 0 or value(p, "num_axes", -1) != -1:
        raise UnsupportedError("it reshapes some axes only (axis, num_axes)")
    wanted = list(p.shape.dim)
    made: Shape | None = None
    if shape is not None and all(extent != 0 or place < len(shape) for place, extent in enumerate(wanted)):
        filled = [shape[place] if extent == 0 else extent for place, extent in enumerate(wanted)]
        known = math.prod(extent for extent in filled if extent != -1)
        left = math.prod(shape) // known if known > 0 else 0
        made = tuple(left if extent == -1 else extent for extent in filled)
    target = g.constant(f"{layer.name}/shape", np.array(wanted, np.int64))
    g.node("Reshape", layer.name, [x, target], [g.result(layer.tops[0], made)])


def _permute(g: Graph, layer: CaffeLayer) -> None:
    x, shape = single(g, layer)
    order = list(layer.parameters.order)
    rank = len(shape) if shape is not None else len(order)
    order += [axis for axis in range(rank) if axis not in order]
    made = None if shape is None else tuple(shape[axis] for axis in order if axis < rank)
    g.node("Transpose", layer.name, [x], [g.result(layer.tops[0], made)], perm=order)


def _shuffle_channels(g: Graph, layer: CaffeLayer) -> None:
    x, shape = single(g, layer)
    groups = value(layer.parameters, "group", 1)
    if shape is None or len(shape) != 4 or groups < 1 or shape[1] % groups:
        raise UnsupportedError(f"shuffles {shape} in {groups} groups")
    batch, channels, height, width = shape
    apart = g.between(f"{layer.name}/apart", (batch, groups, channels // groups, height, width))
    swapped = g.between(f"{layer.name}/swapped", (batch, channels // groups, groups, height, width))
    divided = np.array([0, groups, channels // groups, height, width], np.int64)
    operand = g.constant(f"{layer.name}/apart/shape", divided)
    g.node("Reshape", f"{layer.name}/apart", [x, operand], [apart])
    g.node("Transpose", f"{layer.name}/swapped", [apart], [swapped], perm=[0, 2, 1, 3, 4])
    operand = g.constant(f"{layer.name}/shape", np.array([0, channels, height, width], np.int64))
    g.node("Reshape", layer.name, [swapped, operand], [g.result(layer.tops[0], shape)])


def _crop(g: Graph, layer: CaffeLayer) -> None:
    """Height and width as those of the second input, from an offset on."""
    if len(layer.bottoms) != 2:
        raise WeightsError(f"damaged: it has {len(layer.bottoms)} inputs")
    x, like = (g.tensor(bottom) for bottom in layer.bottoms)
    shape, wanted = g.shapes.get(x), g.shapes.get(like)
    if shape is None or wanted is None or len(shape) != len(wanted):
        raise UnsupportedError("the shapes of its inputs are not known")
    axis = axis_of(layer.parameters, 2, len(shape))
    axes = list(range(axis, len(shape)))
    offsets = list(layer.parameters.offset) or [0]
    if len(offsets) == 1:
        offsets *= len(axes)
    if len(offsets) != len(axes):
        raise WeightsError(f"damaged: {len(offsets)} offsets for {len(axes)} axes")
    ends = [offset + wanted[place] for offset, place in zip(offsets, axes, strict=True)]
    operands = [
        g.constant(f"{layer.name}/{part}", np.array(values, np.int64))
        for part, values in (("starts", offsets), ("ends", ends), ("axes", axes))
    ]
    g.node("Slice", layer.name, [x, *operands], [g.result(layer.tops[0], (*shape[:axis], *wanted[axis:]))])


def unknown(g: Graph, layer: CaffeLayer) -> None:
    """An operator that ONNX' reader refuses by its name, together with all others."""
    known = [bottom for bottom in layer.bottoms if bottom]
    g.node(
        f"caffe.{layer.kind}",
        layer.name,
        [g.tensor(bottom) for bottom in known],
        [g.result(top, None) for top in layer.tops],
    )


HANDLERS: dict[str, Handler] = {
    **WINDOWS,
    "AbsVal": _simple("Abs"),
    "BNLL": _simple("Softplus"),
    "BatchNorm": _batch_norm,
    "Bias": _scale,
    "Clip": _clip,
    "Concat": _concat,
    "Crop": _crop,
    "Dropout": _same,
    "ELU": _elu,
    "Eltwise": _eltwise,
    "Exp": _exponential,
    "Flatten": _flatten,
    "InnerProduct": _inner_product,
    "LRN": _local_response,
    "Log": _logarithm,
    "Normalize": _normalize,
    "PReLU": _prelu,
    "Permute": _permute,
    "Power": _power,
    "ReLU": _relu,
    "ReLU6": _relu6,
    "Reshape": _reshape,
    "Scale": _scale,
    "ShuffleChannel": _shuffle_channels,
    "Sigmoid": _simple("Sigmoid"),
    "Silence": _nothing,
    "Slice": _slice,
    "Softmax": _softmax,
    "Split": _same,
    "TanH": _simple("Tanh"),
}
"""By Caffe's name for the type."""


def refuse_twice(layers: list[CaffeLayer]) -> None:
    """Raises WeightsError where two layers have one name, whose weights could not be told apart."""
    seen: set[str] = set()
    for layer in layers:
        if layer.blobs and layer.name in seen:
            raise WeightsError(f"damaged: two layers are called {shown(layer.name)}")
        seen.add(layer.name)
