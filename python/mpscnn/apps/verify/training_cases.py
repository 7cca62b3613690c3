"""Build conformance cases for the raw kernels of training: gradients, losses, optimisers."""

from __future__ import annotations

from typing import Any

from mpscnn.apps.verify.layer_cases import listed_cases
from mpscnn.apps.verify.recipes import IMAGE, noise_recipe, object_recipe
from mpscnn.runtime.library import operations

Listed = tuple[str, dict[str, Any], str]

_STRIDES = {"stride_x": 2, "stride_y": 2}
(_LOSS,) = (entry for entry in operations(training=True) if entry["name"] == "loss")
_KINDS, _REDUCTIONS = (
    next(parameter["allowed"] for parameter in _LOSS["parameters"] if parameter["name"] == name)
    for name in ("kind", "reduction")
)

#: Parameters for some kinds of neurons, instead of those in the table of operations' cases. The table's parameters do
#: not test gradients well: the kinks are outside of the inputs' range [-1, 1], or the base is e.
_NEURONS: dict[str, dict[str, float]] = {
    "none": {},
    "hard_sigmoid": {"a": 2.0, "b": 0.5},
    "elu": {"a": 0.5},
    "relun": {"a": 0.25, "b": 0.5},
    "exponential": {"a": 0.5, "b": 0.25, "c": 2.0},
    "logarithm": {"a": 0.25, "b": 4.0, "c": 2.0},
}


def _pair(gradient: list[int], recipe: dict[str, Any]) -> dict[str, Any]:
    """Add the sources: a gradient of this shape, and the image that the forward kernel reads."""
    return recipe | {"sources": [gradient, IMAGE]}


def _with_state(gradient: list[int], recipe: dict[str, Any], forward: dict[str, Any]) -> dict[str, Any]:
    return _pair(gradient, recipe) | {"run": "gradient", "forward": forward}


def training_cases() -> list[Listed]:
    """Return all cases. Each has a name, a recipe, and the name of the bound for its errors."""
    return [*_weighted(), *_windows(), *_moves(), *_pointwise(), *_losses(), *_optimizers()]


def _weighted() -> list[Listed]:
    """Return the cases of kernels with weights. The gradients of the weights are results, too."""
    small, dense = (
        object_recipe("ConvolutionDescriptor", 3, 3, 6, 9),
        object_recipe("ConvolutionDescriptor", 5, 7, 6, 9),
    )
    strided = object_recipe("ConvolutionDescriptor", 3, 3, 6, 9, 2, 2)
    depthwise = object_recipe("DepthWiseConvolutionDescriptor", 3, 3, 6, 6)
    dilated = object_recipe("ConvolutionDescriptor", 4, 2, 6, 9, 2, 1, dilation_rate_y=2)
    weights, whole = noise_recipe(9, 3, 3, 6), noise_recipe(9, 7, 5, 6)
    listed: list[Listed] = []
    for name, descriptor, values, result in (
        ("3 x 3", small, weights, [2, 7, 5, 9]),
        ("3 x 3, stride 2", strided, weights, [2, 4, 3, 9]),
        ("depthwise", depthwise, noise_recipe(6, 3, 3), [2, 7, 5, 6]),
        ("2 x 4, dilated", dilated, noise_recipe(9, 2, 4, 6), [2, 7, 3, 9]),
    ):
        back, forward = (
            object_recipe(kind, descriptor, values) for kind in ("ConvolutionGradient", "Convolution")
        )
        listed.append((name, _with_state(result, back, forward), "sum"))
    for name, descriptor, values, result in (
        ("2 x 3, stride 2", _transposed(2, 3), noise_recipe(9, 3, 2, 6), [2, 15, 10, 9]),
        ("3 x 3, stride 2, groups", _transposed(3, 3, groups=3), noise_recipe(9, 3, 3, 2), [2, 15, 11, 9]),
    ):
        kinds = ("ConvolutionTransposeGradient", "ConvolutionTranspose")
        back, forward = (object_recipe(kind, descriptor, values) for kind in kinds)
        listed.append((name, _with_state(result, back, forward), "sum"))
    back, forward = (
        object_recipe(kind, dense, whole) for kind in ("FullyConnectedGradient", "FullyConnected")
    )
    listed.append(("whole image", _with_state([2, 1, 1, 9], back, forward), "sum"))
    for kind, arguments in (("InstanceNormalization", []), ("GroupNormalization", [2])):
        back, forward = (
            object_recipe(f"{kind}Gradient", *arguments, noise_recipe(6)),
            object_recipe(kind, *arguments, noise_recipe(6)),
        )
        listed.append(("with gamma", _with_state(IMAGE, back, forward), "normalization"))
    for kind in ("BatchNormalizationGradient", "BatchNormalizationStatisticsGradient"):
        listed.append(
            ("of a batch", _pair(IMAGE, object_recipe(kind, 6)) | {"run": "batch_gradient"}, "normalization")
        )
    return listed


def _transposed(width: int, height: int, **more: int) -> dict[str, Any]:
    return object_recipe("ConvolutionDescriptor", width, height, 6, 9, 2, 2, **more)


def _moves() -> list[Listed]:
    """Return the cases of padding, reshaping and Gram matrices."""
    listed: list[Listed] = []
    for edge, bound in (("constant", "exact"), ("clamp", "sum"), ("mirror", "sum")):
        forward = object_recipe("Pad", [1, 2, 3], [0, 1, 1], edge_mode=edge)
        listed.append((edge, _with_state([2, 10, 6, 10], object_recipe("PadGradient"), forward), bound))
    forward = object_recipe("Reshape", 7, 3, 10)
    listed.append(
        ("elements", _with_state([2, 3, 7, 10], object_recipe("ReshapeGradient"), forward), "exact")
    )
    back, forward = (
        object_recipe("GramMatrixCalculationGradient"),
        object_recipe("GramMatrixCalculation", 0.5),
    )
    listed.append(("half of the sums", _with_state([2, 1, 6, 6], back, forward), "sum"))
    return listed


def _windows() -> list[Listed]:
    normal = {"alpha": 0.5, "beta": 0.75, "delta": 2.0}
    listed: list[Listed] = [
        (
            "3 x 3, stride 2",
            _pair([2, 4, 3, 6], object_recipe(f"Pooling{kind}Gradient", 3, 3, **_STRIDES)),
            "elementwise",
        )
        for kind in ("Average", "Max", "L2Norm")
    ]
    for edge in ({"edge_mode": "clamp"}, {"edge_mode": "clamp", "zero_pad_size_x": 1, "zero_pad_size_y": 1}):
        forward = object_recipe("PoolingAverage", 3, 2, **_STRIDES, **edge)
        back = object_recipe("PoolingAverageGradient", 3, 2, **_STRIDES)
        name = "clamped" if len(edge) == 1 else "clamped, padded"
        listed.append((f"3 x 2, {name}", _with_state([2, 4, 3, 6], back, forward), "elementwise"))
    listed.append(
        (
            "2 x 3, dilated",
            _pair(IMAGE, object_recipe("DilatedPoolingMaxGradient", 2, 3, 2, 2)),
            "elementwise",
        )
    )
    for kind, arguments in (("CrossChannel", [5]), ("Spatial", [3, 3]), ("LocalContrast", [3, 3])):
        back = object_recipe(f"{kind}NormalizationGradient", *arguments, **normal)
        listed.append(("with parameters", _pair(IMAGE, back), "normalization"))
    for kind in ("Nearest", "Bilinear"):
        listed.append(
            ("2 x 3", _pair([2, 21, 10, 6], object_recipe(f"Upsampling{kind}Gradient", 2, 3)), "sum")
        )
    return listed


def _pointwise() -> list[Listed]:
    neurons = [case["attributes"] for case in listed_cases() if case["operation"] == "neuron"]
    parameters = {
        given["kind"]: {key: given[key] for key in "abc" if key in given} for given in neurons
    } | _NEURONS
    listed: list[Listed] = [
        (
            kind,
            _pair(IMAGE, object_recipe("NeuronGradient", object_recipe("NeuronDescriptor", kind, **given))),
            "function",
        )
        for kind, given in parameters.items()
        if kind != "prelu"
    ]
    slopes = object_recipe("NeuronDescriptor", "prelu", data=noise_recipe(6))
    listed.append(("prelu", _pair(IMAGE, object_recipe("NeuronGradient", slopes)), "function"))
    listed += [
        ("of pixels", _pair(IMAGE, object_recipe(f"{kind}Gradient")), "softmax")
        for kind in ("SoftMax", "LogSoftMax")
    ]
    for kind in ("Add", "Subtract", "Multiply"):
        for second in (False, True):
            name = "second source" if second else "first source"
            listed.append((name, _pair(IMAGE, object_recipe(f"{kind}Gradient", second)), "elementwise"))
    listed.append(("seed 3", _pair(IMAGE, object_recipe("DropoutGradient", 0.5, 3)), "elementwise"))
    return listed


def _losses() -> list[Listed]:
    listed: list[Listed] = [("ones", object_recipe("InitialGradient"), "exact")]
    for kind in _KINDS:
        for reduction in ("sum",) if kind == "cosine_distance" else _REDUCTIONS:
            listed += _one_loss(kind, reduction)
    listed += _one_loss("huber", "mean", True)
    anchors = object_recipe("YOLOLossDescriptor", [0.25, 0.5, 0.75, 0.25])
    boxes = {"sources": [[2, 3, 3, 16], [2, 3, 3, 16]], "positive": [1], "run": "loss"}
    listed.append(("two anchors", object_recipe("YOLOLoss", anchors) | boxes, "normalization"))
    return listed


def _one_loss(kind: str, reduction: str, *across_batch: bool) -> list[Listed]:
    two, three = [IMAGE, IMAGE], [IMAGE, IMAGE, IMAGE]
    name = f"{kind}, {reduction}" + (" of the batch" if across_batch else "")
    descriptor = object_recipe("LossDescriptor", kind, reduction, *across_batch)
    positions = [0, 1] if kind in ("categorical_cross_entropy", "log") else [1]
    given, after = {"positive": positions}, {"positive": [position + 1 for position in positions]}

    def recipe(kernel: str) -> dict[str, Any]:
        terms = object_recipe(kernel, object_recipe("LossDescriptor", kind, "none"))
        # The terms of a sum are the losses of single elements. A cosine distance has no such losses.
        reduced = reduction != "none" and kind != "cosine_distance"
        return (
            object_recipe(kernel, descriptor)
            | given
            | {"sources": two}
            | ({"terms": terms} if reduced else {})
        )

    return [
        (name, recipe("ForwardLoss"), "loss"),
        (name, object_recipe("LossGradient", descriptor) | after | {"sources": three}, "function"),
        (name, recipe("Loss") | {"run": "loss"}, "loss"),
    ]


def _optimizers() -> list[Listed]:
    """Return the cases of optimisers. Each reads a gradient, the values and their moments.

    Second moments are means of squares, so their inputs are positive numbers.
    """
    descriptor = object_recipe("OptimizerDescriptor", 0.1)
    plain, rms, adam = (
        object_recipe(f"Optimizer{kind}", descriptor)
        for kind in ("StochasticGradientDescent", "RMSProp", "Adam")
    )
    listed: list[Listed] = [("plain", _step(plain, "values"), "update")]
    for name, nesterov in (("with momentum", False), ("with Nesterov's momentum", True)):
        momentum = object_recipe("OptimizerStochasticGradientDescent", descriptor, 0.75, nesterov)
        listed.append((name, _step(momentum, "values", "momentum"), "update"))
    return [
        *listed,
        ("defaults", _step(rms, "values", "velocity") | {"positive": [2]}, "update"),
        ("defaults", _step(adam, "values", "momentum", "velocity") | {"positive": [3]}, "update"),
    ]


def _step(recipe: dict[str, Any], *results: str) -> dict[str, Any]:
    """Add the sources and results of an optimiser. It reads a gradient and updates all of `results`."""
    return recipe | {"sources": [IMAGE] * (1 + len(results)), "run": "optimizer", "results": list(results)}
