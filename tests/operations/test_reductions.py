"""Test reductions, positions of extremes, and sums over broadcast axes."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
from operations.generic import *  # noqa: F403
from operations.record import Layers, Operation, RawKernel, Sample, refusals, special
from ops.single_layer import LARGEST, large_numbers, seeds, values
from reference.reduction import AXES, argument, over_axes, reduction, top_k, weighted_reduction
from reference.sum_like import sum_like
from tolerance import linear_bound, log_sum_exp_bound, spread_bound, ulp_bound

from mpscnn import Network, ShapeError, Tensor, UnsupportedError, kernels

images = st.tuples(st.integers(1, 3), st.integers(1, 70), st.integers(1, 12), st.integers(1, 70))
SPREADS = ["l2_norm", "sum_of_squares", "variance", "deviation"]
KINDS = ["max", "min", "sum", "mean", "product", *SPREADS, "log_sum_exp"]
FREE, FREE_SIZE = [(None, None, 3)], [(2, 4, 5, 3)]
# The squares of the first two underflow in float32, and those of the last overflow.
MAGNITUDES = 1e-30, 1e-20, 1.0, 1e19, 1e30


def expect_reduction(sample: Sample) -> Any:
    (x,), kind, axis = sample.inputs, sample.attributes["kind"], sample.attributes["axis"]
    reference = reduction(x, kind, axis, sample.attributes.get("weight", 1.0))
    reference = np.where(reference > np.finfo(np.float32).max, np.inf, reference)
    if kind in ("max", "min"):
        return reference, None
    if kind == "product":  # each factor adds one rounding
        return reference, ulp_bound(reference, x.shape[AXES[axis]] + 1)
    if kind in SPREADS:
        return reference, spread_bound(reference)
    if kind == "log_sum_exp":
        return reference, log_sum_exp_bound(reference)
    return reference, linear_bound(reduction(np.abs(x), kind, axis))


@st.composite
def reductions(draw: st.DrawFn) -> Sample:
    shape = draw(st.one_of(images, images, st.tuples(st.integers(1, 3), st.integers(1, 1100))))
    axis = draw(st.sampled_from(list(AXES))) if len(shape) == 4 else "channels"
    kind, weights = draw(st.sampled_from(KINDS)), {"sum": -0.75, "variance": 0.75, "deviation": 1.25}
    weight = weights.get(kind, 1.0) if draw(st.booleans()) else 1.0
    return Sample([values(draw(seeds), shape)], {"kind": kind, "axis": axis, "weight": weight})


def with_nan(kind: str) -> Any:
    x = values(0, (1, 9, 9, 9))
    x[0, 4, 4, 4] = np.nan
    x[0, 0, 4, 4] = x[0, 4, 0, 4] = x[0, 4, 4, 0] = -np.inf if kind == "max" else np.inf
    return x


def with_infinities() -> Any:
    x = 50.0 + values(0, (1, 5, 6, 20))
    x[0, 0, 0, 0] = np.inf
    x[0, 1] = x[0, :, 1] = x[..., 1] = -np.inf
    return x


def beside_zeros(magnitude: float) -> Any:
    x = values(0, (2, 9, 11, 21)) * np.float32(magnitude)
    x[1] = 0
    return x


def torch_over_axes(torch: Any, x: Any, kind: str, axes: Any) -> Any:
    along = {"dim": axes, "keepdim": True}
    if kind in ("variance", "deviation"):
        along["correction"] = 0
    names = {"max": "amax", "min": "amin", "variance": "var", "deviation": "std", "product": "prod"}
    functions = {
        "l2_norm": torch.linalg.vector_norm,
        "sum_of_squares": lambda x, **along: torch.sum(x * x, **along),
        "log_sum_exp": torch.logsumexp,
    }
    return (functions.get(kind) or getattr(torch, names.get(kind, kind)))(x, **along)


def torch_reduction(torch: Any, sample: Sample) -> Any:
    kind, axis, weight = (sample.attributes[name] for name in ("kind", "axis", "weight"))
    result = torch_over_axes(torch, sample.inputs[0], kind, AXES[axis])
    return result * (weight**0.5 if kind == "deviation" else weight)


def reduce(network: Network, kind: str, x: Tensor, axes: Any, **others: Any) -> Tensor:
    method = getattr(network, "reduce_l2" if kind == "l2_norm" else f"reduce_{kind}")
    result: Tensor = method(x, axes, name="reduced", **others)
    assert result.name == "reduced"
    return result


@st.composite
def several_axes(draw: st.DrawFn) -> Layers:
    shape = draw(st.lists(st.integers(1, 9), min_size=1, max_size=3))
    kind, keepdims, backward = draw(st.sampled_from(KINDS)), draw(st.booleans()), draw(st.booleans())
    axes = tuple(sorted(draw(st.sets(st.integers(1, len(shape)), min_size=1))))

    def expected(x: Any) -> Any:
        result = over_axes(x, kind, axes)
        result = result if keepdims else result.squeeze(axes)
        return result[:, None] if result.ndim == 1 else result

    given = [axis - len(shape) - 1 if backward else axis for axis in axes]
    return Layers(
        [tuple(shape)],
        lambda net, x: reduce(net, kind, x, given, keepdims=keepdims),
        expected,
        rtol=1e-5,
        atol=1.5e-6 * float(np.prod(shape)) if kind == "sum" else 1e-6,
    )


def maxima_of_free_extents(network: Network, x: Tensor) -> list[Tensor]:
    """Reduce an image with two free extents, which must stay on separate axes."""
    rows_last = network.transpose(x, (3, 1, 2))
    return [
        network.reduce_max(x, "channels", keepdims=False),
        network.reduce_max(rows_last, "width", keepdims=True),
        network.reduce_max(rows_last, "channels", keepdims=True),
    ]


def maxima(x: Any) -> list[Any]:
    rows_last = x.transpose(0, 3, 1, 2)
    return [x.max(3), rows_last.max(2, keepdims=True), rows_last.max(3, keepdims=True)]


def of(kind: str, axis: str, x: Any, **others: Any) -> Sample:
    return Sample([x], {"kind": kind, "axis": axis}, **others)


def of_class(name: str, kind: str, axis: str) -> RawKernel:
    samples = st.builds(lambda seed, shape: of(kind, axis, values(seed, shape)), seeds, images)
    return RawKernel(samples, lambda sample: getattr(kernels, name)())


RAW_AXES = {"Row": "width", "Column": "height", "FeatureChannels": "channels"}
NORMS = [(kind, axis, size) for kind in ("l2_norm", "deviation") for axis in AXES for size in MAGNITUDES]
LARGE_SPREADS = [
    (kind, axis, size)
    for kind in ("l2_norm", "variance", "deviation", "log_sum_exp")
    for axis in AXES
    for size in (1.5e19, *LARGEST)
]
FULL = np.full((1, 1, 1, 4), 30000.0, np.float32)

REDUCTION = Operation(
    "reduction",
    expect_reduction,
    draws={"images and vectors": reductions()},
    gradient_draws={
        "images and vectors": reductions().filter(lambda sample: sample.attributes["kind"] != "product")
    },
    known={f"NaN {kind} {axis}": of(kind, axis, with_nan(kind)) for kind in KINDS for axis in AXES}
    | {f"infinities {axis}": of("log_sum_exp", axis, with_infinities()) for axis in AXES}
    | {f"{size} {kind} {axis}": of(kind, axis, beside_zeros(size)) for kind, axis, size in NORMS}
    | {
        f"{size} {kind} {axis}": of(kind, axis, large_numbers((9, 11, 21), size))
        for kind, axis, size in LARGE_SPREADS
    }
    | {"overflow": of("sum", "channels", FULL, precision="float16", expected=np.inf)}
    | {"no overflow": of("sum", "channels", FULL, expected=120000.0)},
    refused=[
        *refusals(
            {
                "must be one of max, min, sum, mean, product, l2_norm": {"kind": "median"},
                "weight must be 1 unless kind is sum, var": {"kind": "mean", "weight": 2.0},
                "weight must be at least 0": {"kind": "variance", "weight": -1.0},
                "must be one axis or several different ones, got .*1, 1": lambda net, x: net.reduce_max(
                    x, (1, 1)
                ),
                "must be one axis or several different ones": lambda net, x: net.reduce_max(x, ()),
                "several different ones, got .*width": lambda net, x: net.reduce_max(x, ("width", 2)),
                "axis must be .*, got 0": lambda net, x: net.reduce_sum(x, 0),
                "axis must be .*, got 4": lambda net, x: net.reduce_sum(x, 4),
                "axis must be .*, got -4": lambda net, x: net.reduce_sum(x, -4),
                "axis must be .*, got 'depth'": lambda net, x: net.reduce_sum(x, "depth"),
                "less than the 3 elements, got 3": lambda net, x: net.reduce_variance(x, -1, correction=3),
            }
        ),
        *refusals(
            {
                "must have 4 axes": lambda net, x: net.reduce_max(x, "height"),
                "must have 3 axes or more": lambda net, x: net.reduce_max(x, "width"),
            },
            [(6,)],
            ShapeError,
        ),
        *refusals(
            {
                "a correction needs fixed extents": lambda net, x: net.reduce_variance(x, 1, correction=1),
                "keepdims=False needs at most one free extent": lambda net, x: net.reduce_max(
                    net.transpose(x, (3, 1, 2)), "height", keepdims=False
                ),
            },
            FREE,
        ),
    ],
    layers={
        "several axes": several_axes(),
        "correction": Layers(
            [(5, 6, 7)],
            lambda net, x: [
                net.reduce_variance(x, ("height", "channels"), correction=1),
                net.reduce_deviation(x, -1, correction=2),
            ],
            lambda x: [x.var((1, 3), ddof=1, keepdims=True), x.std(3, ddof=2, keepdims=True)],
            rtol=1e-5,
        ),
        "maxima of free extents": Layers(FREE, maxima_of_free_extents, maxima, FREE_SIZE),
        "sums of free extents": Layers(
            FREE,
            lambda net, x: [
                net.reduce_sum(x, ("height", "width"), keepdims=False),
                net.reduce_sum(x, "channels", weight=2.0),
            ],
            lambda x: [x.sum((1, 2)), 2 * x.sum(3, keepdims=True)],
            FREE_SIZE,
            rtol=1e-5,
            atol=1e-5,
        ),
        "names of axes": Layers(
            [(5, 6, 7)],
            lambda net, x: [net.reduce_max(x, axis) for axis in ("height", 2, -1, 1, "width", "channels")],
            lambda x: [x.max(axis, keepdims=True) for axis in (1, 2, 3, 1, 2, 3)],
        ),
        "vectors": Layers([(6,)], lambda net, x: net.reduce_max(x, 1), lambda x: x.max(1, keepdims=True)),
    },
    torch=torch_reduction,
    kernels={
        name: of_class(name, kind, axis)
        for prefix, axis in RAW_AXES.items()
        for kind in ("max", "min", "sum", "mean")
        for name in [f"Reduce{prefix}{kind.title()}"]
    },
)


@st.composite
def arguments(draw: st.DrawFn) -> Sample:
    x = values(draw(seeds), draw(images))
    return Sample(
        [np.round(x) if draw(st.booleans()) else x], {"kind": draw(st.sampled_from(["max", "min"]))}
    )


def nan_in_rows(kind: str) -> Sample:
    x = values(0, (3, 300))
    x[0, [17, 230]] = x[1, 299] = np.nan
    x[2] = np.inf if kind == "min" else -np.inf
    return Sample([x], {"kind": kind}, expected=[[17], [299], [0]])


def nan_in_pixels(kind: str) -> Sample:
    x = values(0, (2, 3, 5, 7))
    x[0, 1, 2, 3] = x[1, 0, 0, [1, 5]] = x[1, 2, 4, 6] = np.nan
    return Sample([x], {"kind": kind})


def last_of(channels: int, precision: str) -> Sample:
    x = np.eye(1, channels, channels - 1, dtype=np.float32)
    return Sample([x], {"kind": "max"}, expected=[[channels - 1]], precision=precision)


def torch_argument(torch: Any, sample: Sample) -> Any:
    return getattr(torch, f"arg{sample.attributes['kind']}")(sample.inputs[0], -1, keepdim=True).double()


def too_many(method: str) -> Any:
    """Return a use of a method on more channels than float32 has whole numbers."""
    return lambda net, x: getattr(net, method)(
        net.reshape(x, (8 * (2**21 + 1),)), *([2] if method == "top_k" else [])
    )


def argument_in_float16(network: Network, x: Tensor) -> None:
    network.output(network.argmax(x))
    network.compile(precision="float16")


ARGUMENT = Operation(
    "argument",
    lambda sample: (argument(sample.inputs[0], sample.attributes["kind"]), None),
    draws={"images": arguments()},
    known={f"first NaN, {kind}": nan_in_rows(kind) for kind in ("max", "min")}
    | {f"NaN in some pixels, {kind}": nan_in_pixels(kind) for kind in ("max", "min")}
    | {"most channels of float16": last_of(2049, "float16"), "more": last_of(2050, "float32")},
    refused=[
        *refusals(
            {"channels must be at most 2049 in float16.*got 2050": argument_in_float16},
            [(2050,)],
            UnsupportedError,
        ),
        *refusals({"at most 16777216 channels": too_many("argmax")}, [(2**21 + 1, 8)], ShapeError),
    ],
    torch=torch_argument,
    kernels={
        "ReduceFeatureChannelsArgument": RawKernel(
            arguments(),
            lambda sample: getattr(
                kernels, f"ReduceFeatureChannelsArgument{sample.attributes['kind'].title()}"
            )(),
        )
    },
)


@st.composite
def ranked(draw: st.DrawFn) -> Sample:
    x = values(draw(seeds), draw(images))
    kind, count = draw(st.sampled_from(["max", "min"])), draw(st.integers(1, x.shape[-1]))
    return Sample([np.round(x) if draw(st.booleans()) else x], {"kind": kind, "count": count})


def torch_top_k(torch: Any, sample: Sample) -> Any:
    order = torch.sort(
        sample.inputs[0], dim=-1, descending=sample.attributes["kind"] == "max", stable=True
    ).indices
    return order[..., : sample.attributes["count"]].double()


def top_k_in_float16(network: Network, x: Tensor) -> None:
    network.output(network.top_k(x, 1)[1])
    network.compile(precision="float16")


def method_of_top_k(largest: bool) -> Layers:
    def expected(x: Any) -> list[Any]:
        places = top_k(x, "max" if largest else "min", 3)
        return [np.take_along_axis(x, places.astype(np.int64), -1), places]

    return Layers([(4, 5, 7)], lambda net, x: list(net.top_k(x, 3, largest=largest)), expected)


TOP_K = Operation(
    "top_k",
    lambda sample: (top_k(sample.inputs[0], sample.attributes["kind"], sample.attributes["count"]), None),
    draws={"images": ranked()},
    known={
        f"NaN and equal numbers, {kind}": Sample(
            [np.array([[1, np.nan, 3, 1, np.nan, 3, np.inf, -np.inf]], np.float32)],
            {"kind": kind, "count": 8},
            expected=[order],
        )
        for kind, order in (("max", [1, 4, 6, 2, 5, 0, 3, 7]), ("min", [7, 0, 3, 2, 5, 6, 1, 4]))
    },
    refused=[
        *refusals({"at most 16777216 channels": too_many("top_k")}, [(2**21 + 1, 8)], ShapeError),
        *refusals({"count must be 1 to 3, got 4": {"count": 4}, "count must be 1 to 3, got 0": {"count": 0}}),
        *refusals(
            {"channels must be at most 2049 in float16.*got 2050": top_k_in_float16},
            [(2050,)],
            UnsupportedError,
        ),
    ],
    layers={"largest": method_of_top_k(True), "smallest": method_of_top_k(False)},
    torch=torch_top_k,
)


@st.composite
def weighted(draw: st.DrawFn, *, zeros: bool = True) -> Sample:
    """Draw a sum or mean of channels. With `zeros` some weights are 0."""
    shape, seed = draw(images), draw(seeds)
    kind = draw(st.sampled_from(["sum", "mean"]))
    height, width = (draw(st.sampled_from([1, extent])) for extent in shape[1:3])
    weights = values(seed + 1, (shape[0], height, width, shape[3]))
    if not zeros:
        return Sample([values(seed, shape), weights], {"kind": kind})
    weights[np.random.default_rng(seed).random(weights.shape) < draw(st.sampled_from([0, 0.5]))] = 0
    if draw(st.booleans()):
        weights[:, :1, :1] = 0  # a mean with weights of only zeros is 0
    return Sample([values(seed, shape), weights], {"kind": kind})


def expect_weighted(sample: Sample) -> Any:
    (x, weights), kind = sample.inputs, sample.attributes["kind"]
    bound = linear_bound(weighted_reduction(np.abs(x), np.abs(weights), kind))
    return weighted_reduction(x, weights, kind), bound


def weights_of_a_class(name: str, kind: str, *arguments: bool) -> RawKernel:
    """Return a raw kernel, whose weights have the image's size and may be 0."""

    def sample(seed: int, shape: tuple[int, ...]) -> Sample:
        return Sample([values(seed, shape), np.maximum(values(seed + 1, shape), 0)], {"kind": kind})

    return RawKernel(st.builds(sample, seeds, images), lambda _: getattr(kernels, name)(*arguments))


WEIGHTED = Operation(
    "weighted_reduction",
    expect_weighted,
    draws={"images": weighted()},
    # A mean does not count weights of 0. So it jumps there, and has no gradient.
    gradient_draws={"images": weighted(zeros=False)},
    known={"NaN": Sample([*special(1, np.nan), *special(1, 0)], {"kind": "mean"}, expected=[[np.nan]])},
    refused=[
        refusal
        for shape in ((5, 6, 6), (4, 6, 7), (7,))
        for refusal in refusals(
            {"the weights must have the image's shape": {"kind": "mean"}}, [(5, 6, 7), shape], ShapeError
        )
    ],
    kernels={
        f"{name} {arguments}": weights_of_a_class(f"ReduceFeatureChannelsAndWeights{name}", kind, *arguments)
        for name, kind, arguments in (("Sum", "sum", ()), ("Sum", "mean", (True,)), ("Mean", "mean", ()))
    },
)


def expect_sum_like(sample: Sample) -> Any:
    x, like = sample.inputs
    return sum_like(x, like), 1e-6 * sum_like(np.abs(x), like) + 1e-30


@st.composite
def kept_axes(draw: st.DrawFn) -> Sample:
    shape = draw(st.tuples(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9), st.integers(1, 150)))
    like = [draw(st.sampled_from([1, extent])) for extent in shape]
    return Sample([values(draw(seeds), shape), np.zeros(like, np.float32)])


BIASES = {
    f"{shape}": Sample([values(1, shape) + 100, np.zeros((1, shape[-1]), np.float32)])
    for shape in ((7, 60, 50, 33), (300, 70), (300, 5, 70))
}

SUM_LIKE = Operation(
    "sum_like",
    expect_sum_like,
    draws={"axes": kept_axes()},
    refused=refusals(
        {"each extent of input 1 must be that of input 0 or 1": {}}, [(2, 4, 3), (2, 2, 3)], ShapeError
    ),
    known=BIASES,
    divided=BIASES,
    training=True,
)

OPERATIONS = [REDUCTION, ARGUMENT, TOP_K, WEIGHTED, SUM_LIKE]
