"""Build conformance cases for the raw kernels of training: gradients, losses, optimisers."""

from __future__ import annotations

from typing import Any

from mpscnn.apps.verify.layer_cases import listed_cases
from mpscnn.apps.verify.recipes import IMAGE, Bounded, Recipe, made, noise
from mpscnn.runtime.library import operations

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


def training_cases() -> list[Bounded]:
    """Return all cases."""
    return [_weighted(), _windows(), _moves(), _pointwise(), _losses(), _optimizers()]


def _pair(gradient: list[int], recipe: Recipe) -> Recipe:
    """Add the sources: a gradient of this shape, and the image that the forward kernel reads."""
    return recipe | {"sources": [gradient, IMAGE]}


def _with_state(gradient: list[int], recipe: Recipe, forward: Recipe) -> Recipe:
    return _pair(gradient, recipe) | {"run": "gradient", "forward": forward}


def _of(kind: str, gradient: list[int], *arguments: Any) -> Recipe:
    """Return the recipe of the gradient of a kernel, which both take the same arguments."""
    return _with_state(gradient, made(f"{kind}Gradient", *arguments), made(kind, *arguments))


def _weighted() -> Bounded:
    """Return the cases of kernels with weights. The gradients of the weights are results, too."""

    def descriptor(width: int, height: int, *strides: int, **more: int) -> Recipe:
        return made("ConvolutionDescriptor", width, height, 6, 9, *strides, **more)

    depthwise, weights = made("DepthWiseConvolutionDescriptor", 3, 3, 6, 6), noise(9, 3, 3, 6)
    dilated = descriptor(4, 2, 2, 1, dilation_rate_y=2)
    plain, transposed = "Convolution", "ConvolutionTranspose"
    grouped = descriptor(3, 3, 2, 2, groups=3)
    return {
        "sum": [
            ("3 x 3", _of(plain, [2, 7, 5, 9], descriptor(3, 3), weights)),
            ("3 x 3, stride 2", _of(plain, [2, 4, 3, 9], descriptor(3, 3, 2, 2), weights)),
            ("depthwise", _of(plain, [2, 7, 5, 6], depthwise, noise(6, 3, 3))),
            ("2 x 4, dilated", _of(plain, [2, 7, 3, 9], dilated, noise(9, 2, 4, 6))),
            ("2 x 3, stride 2", _of(transposed, [2, 15, 10, 9], descriptor(2, 3, 2, 2), noise(9, 3, 2, 6))),
            ("3 x 3, stride 2, groups", _of(transposed, [2, 15, 11, 9], grouped, noise(9, 3, 3, 2))),
            ("whole image", _of("FullyConnected", [2, 1, 1, 9], descriptor(5, 7), noise(9, 7, 5, 6))),
        ],
        "normalization": [
            ("with gamma", _of("InstanceNormalization", IMAGE, noise(6))),
            ("with gamma", _of("GroupNormalization", IMAGE, 2, noise(6))),
            *(
                ("of a batch", _pair(IMAGE, made(f"BatchNormalization{kind}", 6)) | {"run": "batch_gradient"})
                for kind in ("Gradient", "StatisticsGradient")
            ),
        ],
    }


def _moves() -> Bounded:
    """Return the cases of padding, reshaping and Gram matrices."""

    def padded(edge: str) -> tuple[str, Recipe]:
        forward = made("Pad", [1, 2, 3], [0, 1, 1], edge_mode=edge)
        return edge, _with_state([2, 10, 6, 10], made("PadGradient"), forward)

    reshape, gram = made("Reshape", 7, 3, 10), made("GramMatrixCalculation", 0.5)
    return {
        "exact": [
            padded("constant"),
            ("elements", _with_state([2, 3, 7, 10], made("ReshapeGradient"), reshape)),
        ],
        "sum": [
            padded("clamp"),
            padded("mirror"),
            ("half of the sums", _with_state([2, 1, 6, 6], made("GramMatrixCalculationGradient"), gram)),
        ],
    }


def _windows() -> Bounded:
    normal = {"alpha": 0.5, "beta": 0.75, "delta": 2.0}
    clamped: dict[str, Any] = {"edge_mode": "clamp"}
    edges = {"clamped": clamped, "clamped, padded": clamped | {"zero_pad_size_x": 1, "zero_pad_size_y": 1}}
    average = made("PoolingAverageGradient", 3, 2, **_STRIDES)
    return {
        "elementwise": [
            *(
                ("3 x 3, stride 2", _pair([2, 4, 3, 6], made(f"Pooling{kind}Gradient", 3, 3, **_STRIDES)))
                for kind in ("Average", "Max", "L2Norm")
            ),
            *(
                (
                    f"3 x 2, {name}",
                    _with_state([2, 4, 3, 6], average, made("PoolingAverage", 3, 2, **_STRIDES, **edge)),
                )
                for name, edge in edges.items()
            ),
            ("2 x 3, dilated", _pair(IMAGE, made("DilatedPoolingMaxGradient", 2, 3, 2, 2))),
        ],
        "normalization": [
            ("with parameters", _pair(IMAGE, made(f"{kind}NormalizationGradient", *window, **normal)))
            for kind, window in (("CrossChannel", [5]), ("Spatial", [3, 3]), ("LocalContrast", [3, 3]))
        ],
        "sum": [
            ("2 x 3", _pair([2, 21, 10, 6], made(f"Upsampling{kind}Gradient", 2, 3)))
            for kind in ("Nearest", "Bilinear")
        ],
    }


def _pointwise() -> Bounded:
    neurons = [case["attributes"] for case in listed_cases() if case["operation"] == "neuron"]
    parameters: dict[str, dict[str, Any]] = {
        given["kind"]: {key: given[key] for key in "abc" if key in given} for given in neurons
    }
    parameters |= {**_NEURONS, "prelu": {"data": noise(6)}}
    return {
        "function": [
            (kind, _pair(IMAGE, made("NeuronGradient", made("NeuronDescriptor", kind, **given))))
            for kind, given in parameters.items()
        ],
        "softmax": [
            ("of pixels", _pair(IMAGE, made(f"{kind}Gradient"))) for kind in ("SoftMax", "LogSoftMax")
        ],
        "elementwise": [
            *(
                ("second source" if second else "first source", _pair(IMAGE, made(f"{kind}Gradient", second)))
                for kind in ("Add", "Subtract", "Multiply")
                for second in (False, True)
            ),
            ("seed 3", _pair(IMAGE, made("DropoutGradient", 0.5, 3))),
        ],
    }


def _losses() -> Bounded:
    chosen: list[tuple[Any, ...]] = [
        *((kind, way) for kind in _KINDS for way in (("sum",) if kind == "cosine_distance" else _REDUCTIONS)),
        ("huber", "mean", True),
    ]
    anchors = made("YOLOLossDescriptor", [0.25, 0.5, 0.75, 0.25])
    boxes = {"sources": [[2, 3, 3, 16], [2, 3, 3, 16]], "positive": [1], "run": "loss"}
    return {
        "exact": [("ones", made("InitialGradient"))],
        "loss": [
            case for one in chosen for case in (_loss("ForwardLoss", *one), _loss("Loss", *one, run="loss"))
        ],
        "function": [_loss_gradient(*one) for one in chosen],
        "normalization": [("two anchors", made("YOLOLoss", anchors) | boxes)],
    }


def _loss(kernel: str, kind: str, reduction: str, *across_batch: bool, **run: str) -> tuple[str, Recipe]:
    recipe = made(kernel, made("LossDescriptor", kind, reduction, *across_batch))
    recipe |= {"positive": _positive(kind), "sources": [IMAGE, IMAGE], **run}
    # The terms of a sum are the losses of single elements. A cosine distance has no such losses.
    if reduction != "none" and kind != "cosine_distance":
        recipe["terms"] = made(kernel, made("LossDescriptor", kind, "none"))
    return _loss_name(kind, reduction, *across_batch), recipe


def _loss_gradient(kind: str, reduction: str, *across_batch: bool) -> tuple[str, Recipe]:
    recipe = made("LossGradient", made("LossDescriptor", kind, reduction, *across_batch))
    recipe |= {"positive": [place + 1 for place in _positive(kind)], "sources": [IMAGE, IMAGE, IMAGE]}
    return _loss_name(kind, reduction, *across_batch), recipe


def _loss_name(kind: str, reduction: str, *across_batch: bool) -> str:
    return f"{kind}, {reduction}" + (" of the batch" if across_batch else "")


def _positive(kind: str) -> list[int]:
    """Return which of prediction and labels must be positive."""
    return [0, 1] if kind in ("categorical_cross_entropy", "log") else [1]


def _optimizers() -> Bounded:
    """Return the cases of optimisers. Each reads a gradient, the values and their moments.

    Second moments are means of squares, so their inputs are positive numbers.
    """
    rate = made("OptimizerDescriptor", 0.1)

    def step(results: str, kind: str, *more: Any, **positive: list[int]) -> Recipe:
        changed = results.split()
        sources = [IMAGE] * (1 + len(changed))
        recipe = made(f"Optimizer{kind}", rate, *more)
        return recipe | {"sources": sources, "run": "optimizer", "results": changed, **positive}

    momentum = "values momentum", "StochasticGradientDescent", 0.75
    return {
        "update": [
            ("plain", step("values", "StochasticGradientDescent")),
            ("with momentum", step(*momentum, False)),
            ("with Nesterov's momentum", step(*momentum, True)),
            ("defaults", step("values velocity", "RMSProp", positive=[2])),
            ("defaults", step("values momentum velocity", "Adam", positive=[3])),
        ]
    }
