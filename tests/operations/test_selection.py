"""Tests of slices, gathers and tiles."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
from operations.generic import *  # noqa: F403
from operations.record import Layers, Operation, Sample, refusals
from ops.single_layer import seeds, values
from reference.gather import gathered, taken_along, tiled
from reference.gather_gradient import gather_gradient
from reference.pooling import pooling
from reference.slice import part
from tolerance import FLOAT32_EPS

from mpscnn import Network, ShapeError, Tensor

FREE = [(None, None, 3)]
FREE_SIZE = [(1, 5, 4, 3)]
images = st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 40))
extents = st.lists(st.integers(1, 20), min_size=1, max_size=3)

# ---- Slices --------------------------------------------------------------------------------------------------


@st.composite
def parts(draw: st.DrawFn, shape: tuple[int, ...]) -> dict[str, int]:
    """Draw any slice of a tensor of this shape."""
    attributes: dict[str, int] = {}
    names = (
        ("front", "channels", "stride_channels"),
        ("left", "width", "stride_x"),
        ("top", "height", "stride_y"),
    )
    for extent, (first, count, stride) in zip(reversed(shape), names, strict=False):
        start, step = draw(st.integers(0, extent - 1)), draw(st.sampled_from([1, 1, 2, 3, -1, -2]))
        left = extent - start if step > 0 else start + 1
        attributes[first] = start - (extent if draw(st.booleans()) else 0)
        attributes[count] = draw(st.integers(0, (left + abs(step) - 1) // abs(step)))
        attributes[stride] = step
    return attributes


@st.composite
def slice_samples(draw: st.DrawFn) -> Sample:
    shape = draw(images | images | st.lists(st.integers(1, 30), min_size=1, max_size=2).map(tuple))
    return Sample([values(draw(seeds), (2, *shape))], draw(parts(shape)))


def torch_slice(torch: Any, sample: Sample) -> Any:
    """Slice by lists of positions, because PyTorch has no negative steps."""
    (x,) = sample.inputs
    names = (
        ("top", "height", "stride_y"),
        ("left", "width", "stride_x"),
        ("front", "channels", "stride_channels"),
    )
    for axis, (first, count, stride) in zip(range(1, x.ndim), names[1 - x.ndim :], strict=True):
        places = list(range(x.shape[axis]))
        step, start = sample.attributes[stride], sample.attributes[first]
        places = places[start::step][: sample.attributes[count] or None]
        x = torch.index_select(x, axis, torch.tensor(places))
    return x


@st.composite
def slices_of_slices(draw: st.DrawFn) -> Layers:
    """Draw slices of slices of an input or of a layer's result. They are read by layers, concatenated, and outputs."""
    shape, own_result = draw(images), draw(st.booleans())
    first_part = draw(parts(shape))
    second_part = draw(parts(part(np.zeros((1, *shape)), first_part).shape[1:]))

    def build(network: Network, x: Tensor) -> list[Tensor]:
        source = network.activation(x, {"kind": "linear", "a": 2.0}) if own_result else x
        first = network.layer("slice", [source], first_part)
        second = network.layer("slice", [first], second_part)
        joined = network.concat([second, second], axis=-1)
        read = network.activation(second, "relu")
        return [network.global_max_pool2d(first), joined, network.flatten(second), first, read]

    def expected(x: Any) -> list[Any]:
        first = part(2 * x if own_result else x, first_part)
        second = part(first, second_part)
        largest = pooling(first, {"kind": "max", "global": True})
        joined = np.concatenate([second, second], axis=-1)
        return [largest, joined, second.reshape(2, -1), first, np.maximum(second, 0)]

    return Layers([shape], build, expected)


def indexed(rows: Any, columns: Any, channels: Any) -> Layers:
    index = [s if isinstance(s, slice) else slice(*(s or (None,))) for s in (rows, columns, channels)]
    return Layers(
        [(6, 7, 5)],
        lambda net, x: net.slice(x, rows=rows, columns=columns, channels=channels),
        lambda x: x[(slice(None), *index)],
    )


def split(shape: tuple[int, ...], axis: int, sizes: Any) -> Layers:
    ends = sizes if isinstance(sizes, int) else np.cumsum(sizes)[:-1]
    return Layers(
        [shape],
        lambda net, x: net.split(x, sizes, axis=axis, name="part"),
        lambda x: np.split(x, ends, axis=axis),
    )


SPLITS = [
    ((6, 4, 9), -1, (1, 3, 5)), ((6, 4, 9), 1, (1, 3, 2)), ((6, 4, 9), 2, (1, 3)), ((6, 9), -1, 3), ((6,), 1, 2),
    ((6, 4, 9), -1, 3), ((6, 4, 9), 1, 3), ((6, 4, 9), 2, 2), ((6, 4, 9), 2, 1), ((6,), 1, (1, 3, 2)),
]  # fmt: skip
INDICES = [
    ((1, 4), None, (2, 5)),
    (slice(None, None, 2), (-3, None), slice(None, -1)),
    ((-4, -1), slice(1, 6, 3), None),
    (slice(None, None, -1), slice(5, None, -2), slice(None, None, 3)),
    (slice(-1, -4, -1), slice(5, 1, -3), slice(4, 0, -1)),
]

SLICE = Operation(
    "slice",
    lambda sample: (part(sample.inputs[0], dict(sample.attributes)), None),
    draws={"parts": slice_samples()},
    refused=[
        *refusals(
            {
                "stride_x must be other than 0": {"stride_x": 0},
                "width must be 0 to": {"width": -1},
                "front must be -16777216": {"front": -(1 << 25)},
                "the step must not be 0": lambda net, x: net.slice(x, channels=slice(0, 3, 0)),
                "nothing lies from 1 up to 3 in steps of -1": lambda net, x: net.slice(
                    x, rows=slice(1, 3, -1)
                ),
                r"a part must be \(start, stop\), .* or a slice, got 5": lambda net, x: net.slice(x, rows=5),
                "bounds must be whole numbers": lambda net, x: net.slice(x, rows=(1.5, 3)),
                "nothing lies from 2 up to 2": lambda net, x: net.slice(x, rows=(2, 2)),
            }
        ),
        *refusals(
            {
                "what follows 4 on in steps of 1 does not lie within 4 rows": {"top": 4},
                "does not lie within 5 columns": {"left": -6},
                "2 from 2 on in steps of 1 does not lie within 3 channels": {"front": 2, "channels": 2},
                "3 from 0 on in steps of 2 does not lie within 4 rows": {"height": 3, "stride_y": 2},
                "2 from 0 on in steps of -1 does not lie within 4 rows": {"height": 2, "stride_y": -1},
            },
            error=ShapeError,
        ),
        *refusals({"has no rows": lambda net, x: net.slice(x, rows=(0, 1))}, [(5, 3)]),
        *refusals({"slice: the input must have 2 to 4 axes": {"channels": 1}}, [(2, 2, 5, 3)], ShapeError),
        *refusals(
            {
                "top 1 up to -1 needs an extent that the network knows": lambda net, x: net.slice(
                    x, rows=(1, -1)
                )
            },
            FREE,
        ),
        *refusals(
            {
                "parts must be a divisor of 9, got 4": lambda net, x: net.split(x, 4),
                "parts must be a divisor of 9, got 0": lambda net, x: net.split(x, 0),
                r"that add up to 9, got \[4, 4\]": lambda net, x: net.split(x, (4, 4)),
                "must be sizes of at least 1": [
                    lambda net, x: net.split(x, (10, -1)),
                    lambda net, x: net.split(x, ()),
                ],
                "axis must be one of": [
                    lambda net, x: net.split(x, 2, axis=0),
                    lambda net, x: net.split(x, 2, axis=4),
                ],
                "axis 1 of .* needs an extent that the network knows": lambda net, x: net.split(x, 2, axis=1),
            },
            [(None, 4, 9)],
        ),
    ],
    layers={
        "slices of slices": slices_of_slices(),
        "free extents": Layers(
            FREE,
            lambda net, x: net.slice(x, rows=(1, None), columns=(-2, None)),
            lambda x: x[:, 1:, -2:],
            FREE_SIZE,
        ),
        **{f"index {number}": indexed(*index) for number, index in enumerate(INDICES)},
        **{f"split {shape} {axis} {sizes}": split(shape, axis, sizes) for shape, axis, sizes in SPLITS},
    },
    torch=torch_slice,
)


def test_split_copies_nothing_on_the_cpu() -> None:
    network = Network(input=(7, 7, 64))
    left, right = network.split(network.activation(network.input, "relu"), 2)
    network.output(network.conv2d(left, 32, 1))
    network.output(network.depthwise_conv2d(right, 3))
    network.initialize_weights()
    program = network.compile(device="cpu", precision="float32")
    profile = program.session(threads=1).profile(values(0, (1, 7, 7, 64)))
    assert not [step for step in profile.steps if "slice" in " ".join(step.layers)]


# ---- Gathers and tiles ---------------------------------------------------------------------------------------


@st.composite
def gathers(draw: st.DrawFn) -> Sample:
    shape = draw(extents)
    axis = draw(st.integers(1, len(shape)))
    indices = draw(st.lists(st.integers(0, shape[axis - 1] - 1), min_size=1, max_size=40))
    given = axis - draw(st.sampled_from([0, len(shape) + 1]))
    return Sample([values(draw(seeds), (2, *shape))], {"axis": given, "indices": indices})


def expect_gather(sample: Sample) -> Any:
    (x,), axis = sample.inputs, sample.attributes["axis"]
    return gathered(x, axis % x.ndim, sample.attributes["indices"]), None


def torch_gather(torch: Any, sample: Sample) -> Any:
    return torch.index_select(
        sample.inputs[0], sample.attributes["axis"], torch.tensor(sample.attributes["indices"])
    )


GATHER = Operation(
    "gather",
    expect_gather,
    draws={"axes": gathers()},
    refused=[
        *refusals(
            {
                "indices must be 1 to 16777216 numbers, got 0": {"indices": []},
                "indices must be positions of 0 to 2, got 3": {"indices": [1, 3]},
                "indices must be positions of 0 to 2, got -1": {"indices": [-1]},
                "axis must be an axis of .* other than the batch, got 0": {"indices": [0], "axis": 0},
                "axis must be an axis of .* other than the batch, got -4": {"indices": [0], "axis": -4},
                "indices must be positions of 0 to 2, got -4": lambda net, x: net.gather(x, [-4]),
            }
        ),
        *refusals({"the input must have 2 to 4 axes": {"indices": [0]}}, [(2, 2, 5, 3)], ShapeError),
        *refusals(
            {"the extent of axis 1 must be known": lambda net, x: net.gather(x, [0], axis=1)},
            FREE,
            ShapeError,
        ),
    ],
    layers={
        "methods": Layers(
            [(6, 7, 5)],
            lambda net, x: [net.gather(x, [-1, 0, 2], axis=2), net.gather(net.flatten(x), np.array([5, 5]))],
            lambda x: [np.take(x, [-1, 0, 2], axis=2), x.reshape(2, -1)[:, [5, 5]]],
        ),
        "free extents": Layers(
            FREE, lambda net, x: net.gather(x, [2, 0]), lambda x: x[..., [2, 0]], FREE_SIZE
        ),
    },
    torch=torch_gather,
)


@st.composite
def takes_along(draw: st.DrawFn) -> Sample:
    shape = draw(extents)
    axis = draw(st.integers(1, len(shape)))
    own, indexed_by = [2, *shape], [2, *shape]
    for i in range(1, len(own)):
        if i == axis:
            indexed_by[i] = draw(st.integers(1, 20))
        else:
            repeated = draw(st.sampled_from([own, indexed_by, []]))
            repeated[i : i + 1] = [1] * len(repeated[i : i + 1])
    positions = np.round(values(draw(seeds), indexed_by) * 2 * own[axis])
    given = axis - draw(st.sampled_from([0, len(own)]))
    return Sample([values(draw(seeds), own), positions], {"axis": given})


def torch_take_along(torch: Any, sample: Sample) -> Any:
    x, indices = sample.inputs
    axis = sample.attributes["axis"] % x.ndim
    positions = torch.where(indices < 0, indices + x.shape[axis], indices).clamp(0, x.shape[axis] - 1).long()
    others = torch.broadcast_shapes(x.movedim(axis, 0).shape[1:], positions.movedim(axis, 0).shape[1:])
    return torch.gather(
        x.movedim(axis, 0).expand(-1, *others),
        0,
        positions.movedim(axis, 0).expand(-1, *others),
    ).movedim(0, axis)


TAKE_ALONG_AXIS = Operation(
    "take_along_axis",
    lambda sample: (taken_along(*sample.inputs, sample.attributes["axis"]), None),
    draws={"axes": takes_along()},
    known={
        "fractions, beyond the axis and NaN": Sample(
            [
                np.array([[5, 6, 7, 8]], np.float32),
                np.array([[2.9, -1.9, -0.5, -4.0, -9.0, 4.0, np.inf, -np.inf, np.nan]], np.float32),
            ],
            {"axis": 1},
            expected=[[7, 8, 5, 5, 5, 8, 8, 5, 5]],
        )
    },
    refused=[
        *refusals(
            {
                "axis must be an axis of .* other than the batch, got 0": {"axis": 0},
                "axis must be an axis of .* other than the batch, got 4": {"axis": 4},
            },
            [(4, 5, 3), (4, 5, 3)],
        ),
        *refusals(
            {"the inputs must have the same extents, or 1, but for axis 3": {}},
            [(4, 5, 3), (4, 2, 3)],
            ShapeError,
        ),
        *refusals({"input 1 must have 4 axes": {}}, [(4, 5, 3), (3,)], ShapeError),
        *refusals({"the input must have 2 to 4 axes": {}}, [(2, 2, 5, 3)] * 2, ShapeError),
    ],
    layers={
        "method": Layers(
            [(6, 7, 5), (2, 1, 1)],
            lambda net, x, indices: net.take_along_axis(x, indices, axis=1),
            lambda x, indices: taken_along(x, indices, 1),
        ),
        "free extents": Layers(
            [(None, None, 3), (None, None, 1)],
            lambda net, x, indices: net.take_along_axis(x, indices, axis=2),
            lambda x, indices: taken_along(x, indices, 2),
            [(1, 5, 4, 3), (1, 5, 6, 1)],
        ),
    },
    torch=torch_take_along,
)


def of_gather(shape: tuple[int, ...], axis: int, indices: list[int], extent: int, seed: int) -> Sample:
    gradient = values(seed, (*shape[:axis], len(indices), *shape[axis + 1 :]))
    return Sample([gradient], {"axis": axis - seed % 2 * len(shape), "indices": indices, "extent": extent})


@st.composite
def gathered_gradients(draw: st.DrawFn) -> Sample:
    shape = tuple(draw(st.lists(st.integers(1, 9), min_size=2, max_size=4)))
    extent = draw(st.integers(1, 40))
    indices = draw(st.lists(st.integers(0, extent - 1), min_size=1, max_size=30))
    return of_gather(shape, draw(st.integers(1, len(shape) - 1)), indices, extent, draw(seeds))


def expect_gather_gradient(sample: Sample) -> Any:
    (gradient,), indices, extent = sample.inputs, sample.attributes["indices"], sample.attributes["extent"]
    axis = sample.attributes["axis"] % gradient.ndim
    magnitude = gather_gradient(np.abs(gradient), axis, indices, extent)
    return gather_gradient(gradient, axis, indices, extent), len(indices) * FLOAT32_EPS * magnitude


def torch_gather_gradient(torch: Any, sample: Sample) -> Any:
    (gradient,), axis, indices = sample.inputs, sample.attributes["axis"], sample.attributes["indices"]
    shape = list(gradient.shape)
    shape[axis] = sample.attributes["extent"]
    return torch.zeros(shape).double().index_add(axis, torch.tensor(indices), gradient)


GATHER_GRADIENT = Operation(
    "gather_gradient",
    expect_gather_gradient,
    draws={"axes": gathered_gradients()},
    refused=[
        *refusals(
            {
                r"input 0 must have the shape of the result, \(2, 4, 2, 6\)": {
                    "axis": 2,
                    "indices": [0, 1],
                    "extent": 5,
                }
            },
            [(2, 4, 4, 6)],
            ShapeError,
        ),
        *refusals(
            {
                "indices must be positions of 0 to 2, got 3": {
                    "axis": 2,
                    "indices": [0, 1, 3, 0],
                    "extent": 3,
                },
                "axis must be an axis of": {"axis": 4, "indices": [0, 1, 3, 0], "extent": 3},
                "extent must be 1 to": {"axis": 1, "indices": [0], "extent": 0},
            },
            [(2, 4, 4, 6)],
        ),
    ],
    divided={
        f"axis {axis}": of_gather(
            (1, 90, 91, 92), axis, [7 * i * i % 11 for i in range(90 + axis - 1)], 12, 0
        )
        for axis in (1, 2, 3)
    },
    torch=torch_gather_gradient,
    training=True,
)

REPEATS = "rows", "columns", "channels"


@st.composite
def tiles(draw: st.DrawFn) -> Sample:
    shape = draw(extents)
    repeats = {name: draw(st.integers(1, 3)) for name in REPEATS[-len(shape) :]}
    return Sample([values(draw(seeds), (2, *shape))], repeats)


TILE = Operation(
    "tile",
    lambda sample: (tiled(sample.inputs[0], tuple(sample.attributes.values())), None),
    draws={"axes": tiles()},
    refused=[
        *refusals({"rows must be 1 to 16777216, got 0": {"rows": 0}}),
        *refusals(
            {
                r"rows must be 1 for \(n, 5, 3\), got 2": {"rows": 2},
                "repeats must be one number for each axis": lambda net, x: net.tile(x, (1, 2, 3)),
            },
            [(5, 3)],
        ),
    ],
    layers={
        "free extents": Layers(
            FREE, lambda net, x: net.tile(x, (2, 3, 1)), lambda x: np.tile(x, (1, 2, 3, 1)), FREE_SIZE
        )
    },
    torch=lambda torch, sample: torch.tile(sample.inputs[0], (1, *sample.attributes.values())),
)

OPERATIONS = [SLICE, GATHER, GATHER_GRADIENT, TAKE_ALONG_AXIS, TILE]
