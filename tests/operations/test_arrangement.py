"""Tests of transpositions, channel shuffles, reshapes, concatenations and padding."""

from __future__ import annotations

import itertools
from typing import Any

import hypothesis.strategies as st
import numpy as np
from operations.generic import *  # noqa: F403
from operations.record import Layers, Operation, RawKernel, Sample, refusals
from ops.single_layer import precisions, seeds, values
from reference.concatenation import concatenation
from reference.convolution import convolution
from reference.padding import padding
from reference.reshape import reshape
from reference.transpose import channel_shuffle, transposed

import mpscnn
from mpscnn import Network, ShapeError, Tensor, kernels

FREE = [(None, None, 3)]
FREE_SIZE = [(1, 5, 4, 3)]

# ---- Order and extents of axes -------------------------------------------------------------------------------


@st.composite
def permutations(draw: st.DrawFn) -> Sample:
    images_and_less = st.lists(st.integers(1, 40), min_size=1, max_size=3)
    shape = draw(images_and_less | st.lists(st.integers(1, 9), min_size=4, max_size=5))
    return Sample(
        [values(draw(seeds), (2, *shape))], {"axes": draw(st.permutations(range(1, len(shape) + 1)))}
    )


@st.composite
def transposed_views(draw: st.DrawFn) -> Layers:
    """Transpose a slice, which is a view, into a part of a concatenation, and reshape the result."""
    axes = draw(st.permutations((1, 2, 3)))

    def build(network: Network, x: Tensor) -> list[Tensor]:
        view = network.slice(x, rows=(1, 5), channels=(2, 33))
        moved = network.transpose(view, axes)
        joined = network.concat([network.activation(moved, "relu"), moved])
        return [joined, network.flatten(moved), network.channel_shuffle(network.concat([view, view]), 2)]

    def expected(x: Any) -> list[Any]:
        moved, view = transposed(x[:, 1:5, :, 2:33], axes), x[:, 1:5, :, 2:33]
        joined = np.concatenate([np.maximum(moved, 0), moved], axis=-1)
        return [joined, moved.reshape(2, -1), np.repeat(view, 2, axis=-1)]

    return Layers([(6, 5, 35)], build, expected)


def wrong_axes(*axes: int) -> dict[str, Any]:
    listed = ", ".join(map(str, axes))
    return {rf"axes must be each of 1 to 3 once for \(n, 4, 5, 3\), got \[{listed}\]": {"axes": [*axes]}}


PERMUTED = {
    f"{shape} {axes}": Sample([values(1, (1, *shape))], {"axes": list(axes)})
    for axes in itertools.permutations((1, 2, 3))
    for shape in ((33, 65, 48), (1, 200, 17), (130, 3, 2))
}

TRANSPOSE = Operation(
    "transpose",
    lambda sample: (transposed(sample.inputs[0], sample.attributes["axes"]), None),
    draws={"permutations": permutations()},
    refused=refusals(
        wrong_axes(1, 2)
        | wrong_axes(0, 1, 2)
        | wrong_axes(1, 2, 2)
        | wrong_axes(1, 2, 4)
        | wrong_axes(1, 2, 3, 4)
    ),
    layers={
        "views": transposed_views(),
        "free extents": Layers(
            FREE, lambda net, x: net.transpose(x, (3, 1, 2)), lambda x: x.transpose(0, 3, 1, 2), FREE_SIZE
        ),
    },
    known=PERMUTED,
    divided=PERMUTED,
    torch=lambda torch, sample: sample.inputs[0].permute(0, *sample.attributes["axes"]),
)


@st.composite
def shuffles(draw: st.DrawFn) -> Sample:
    *shape, size, groups = (draw(st.integers(1, maximum)) for maximum in (3, 4, 5, 40, 5))
    return Sample([values(draw(seeds), (*shape, size * groups))], {"groups": groups})


@st.composite
def shuffled_halves(draw: st.DrawFn) -> Layers:
    """Shuffle the channels of a concatenation of two halves, one of which is a view, as in ShuffleNetV2."""
    channels, also_read = draw(st.integers(1, 70)), draw(st.booleans())

    def build(network: Network, x: Tensor) -> list[Tensor]:
        left, right = network.split(x, 2)
        joined = network.concat([left, network.activation(right, "relu")])
        return [network.channel_shuffle(joined, 2), *([joined] if also_read else [])]

    def expected(x: Any) -> list[Any]:
        joined = np.concatenate([x[..., :channels], np.maximum(x[..., channels:], 0)], axis=-1)
        return [channel_shuffle(joined, 2), *([joined] if also_read else [])]

    return Layers([(3, 4, 2 * channels)], build, expected, precision=draw(precisions()))


def torch_shuffle(torch: Any, sample: Sample) -> Any:
    shuffle = torch.nn.ChannelShuffle(sample.attributes["groups"])
    return shuffle(sample.inputs[0].permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


CHANNEL_SHUFFLE = Operation(
    "channel_shuffle",
    lambda sample: (channel_shuffle(sample.inputs[0], sample.attributes["groups"]), None),
    draws={"images": shuffles()},
    refused=[
        *refusals(
            {
                f"groups must be a divisor of the 6 channels, got {groups}": {"groups": groups}
                for groups in (0, 4, -1)
            },
            [(4, 5, 6)],
        ),
        *refusals(
            {
                "the number of channels must be known": lambda net, x: net.channel_shuffle(
                    net.transpose(x, (1, 3, 2)), 2
                )
            },
            [(4, None, 6)],
            ShapeError,
        ),
    ],
    layers={"halves": shuffled_halves()},
    torch=torch_shuffle,
)


def test_the_shuffles_of_shufflenet_read_both_halves_where_they_are() -> None:
    network = mpscnn.models.shufflenet_v2_x0_5(input_size=64)
    network.initialize_weights()
    kernels = [step.kernel for step in network.compile(device="cpu").explain(threads=1).steps]
    assert kernels.count("interleave") == 4 + 8 + 4
    assert not {"concatenation", "copy", "transpose"} & set(kernels)


#: Shape arguments of a reshape for an image of 4x5x3, and the resulting extents.
SHAPES: list[tuple[list[int], list[int]]] = [
    *((shape, shape) for shape in ([60], [3, 20], [20, 3], [5, 4, 3], [1, 1, 60], [4, 5, 3, 1])),
    ([-1], [60]), ([2, -1, 3], [2, 10, 3]), ([0, 0, 3], [4, 5, 3]), ([0, 15], [4, 15]), ([0, -1], [4, 15]),
    ([0, 0, -1, 1], [4, 5, 3, 1]), ([2, -1, 0], [2, 10, 3]), ([0, 5, 3], [4, 5, 3]),
]  # fmt: skip


def expect_reshape(sample: Sample) -> Any:
    resolved = next(resolved for shape, resolved in SHAPES if shape == sample.attributes["shape"])
    return reshape(sample.inputs[0], resolved), None


def free_reshapes(height: int, width: int) -> Layers:
    """Reshape an image with two free extents, which stay free."""

    def build(network: Network, x: Tensor) -> list[Tensor]:
        apart = network.reshape(x, [0, 0, 2, 3])
        assert apart.shape == (None, None, None, 2, 3)
        largest = network.reduce_max(x, "channels", keepdims=False)
        return [network.activation(apart, "relu"), largest]

    def expected(x: Any) -> list[Any]:
        return [np.maximum(reshape(x, [height, width, 2, 3]), 0), x.max(-1)]

    return Layers([(None, None, 6)], build, expected, [(2, height, width, 6)])


def behind_a_convolution(channels: int) -> Layers:
    """Reshape the result of a convolution, which may have gaps between pixels in memory."""

    def build(network: Network, x: Tensor) -> Tensor:
        moved = network.conv2d(x, channels, 1, bias=False, name="conv")
        return network.activation(network.reshape(moved, [channels, 36]), "relu")

    weight = np.eye(channels, 4, dtype=np.float32).reshape(channels, 1, 1, 4)

    def expected(x: Any) -> Any:
        moved = np.pad(x, ((0, 0), (0, 0), (0, 0), (0, max(0, channels - 4))))[..., :channels]
        return np.maximum(moved.reshape(2, channels, 36), 0)

    return Layers([(6, 6, 4)], build, expected, weights={"conv.weight": weight})


RESHAPE = Operation(
    "reshape",
    expect_reshape,
    draws={
        "shapes": st.builds(
            lambda seed, shape: Sample([values(seed, (2, 4, 5, 3))], {"shape": shape[0]}),
            seeds,
            st.sampled_from(SHAPES),
        )
    },
    known={f"{shape}": Sample([values(0, (2, 4, 5, 3))], {"shape": shape}) for shape, _ in SHAPES},
    refused=[
        *refusals({"do not fit": [{"shape": shape} for shape in ([61], [-1, 7], [0])]}, error=ShapeError),
        *refusals({"at most one": {"shape": [-1, -1]}, "at least 1": {"shape": [-2]}}),
        *refusals({"has no axis": {"shape": [0, 0, 0, 0]}}),
        *refusals({"1 to 5 extents": {"shape": []}, r"(?s)\A.{1,999}\Z": {"shape": [1] * 100_000}}),
    ],
    layers={
        "free extents": free_reshapes(7, 9),
        "few free extents": free_reshapes(1, 2),
        **{f"behind {channels} channels": behind_a_convolution(channels) for channels in (3, 8, 13)},
    },
)

# ---- Concatenations and borders ------------------------------------------------------------------------------


@st.composite
def joined_parts(draw: st.DrawFn) -> Sample:
    axis, seed = draw(st.sampled_from([1, 2, 3, -1])), draw(seeds)
    inputs = []
    for extent in draw(st.lists(st.integers(1, 21), min_size=1, max_size=5)):
        shape = [2, 3, 4, 5]
        shape[axis] = extent
        inputs.append(values(seed + len(inputs), tuple(shape)))
    return Sample(inputs, {"axis": axis})


@st.composite
def side_by_side(draw: st.DrawFn) -> Layers:
    """Concatenate layers that write directly into parts of the result. They may also be outputs themselves."""
    channels, alone = draw(st.lists(st.integers(1, 19), min_size=2, max_size=4)), draw(st.booleans())
    # Each channel of a part is a copy of an input channel, so that the results are exact.
    sources = [[(i + channel) % 3 for channel in range(count)] for i, count in enumerate(channels)]

    def build(network: Network, x: Tensor) -> list[Tensor]:
        made = [
            network.conv2d(x, count, 1, bias=False, activation="relu", name=f"part{i}")
            for i, count in enumerate(channels)
        ]
        return [network.concat(made), *([] if alone else made)]

    def expected(x: Any) -> list[Any]:
        made = [np.maximum(x[..., source], 0) for source in sources]
        return [np.concatenate(made, axis=-1), *([] if alone else made)]

    one = np.eye(3, dtype=np.float32).reshape(3, 1, 1, 3)
    return Layers(
        [(5, 5, 3)],
        build,
        expected,
        weights={f"part{i}.weight": one[source] for i, source in enumerate(sources)},
    )


CONCATENATION = Operation(
    "concatenation",
    lambda sample: (concatenation(list(sample.inputs), sample.attributes["axis"]), None),
    draws={"axes": joined_parts()},
    refused=[
        *refusals({"must agree in all axes but 3": {}}, [(4, 4, 3), (4, 5, 3)], ShapeError),
        *refusals({"axis must be": lambda net, x: net.concat([x], axis=0)}),
    ],
    layers={"side by side": side_by_side()},
    torch=lambda torch, sample: torch.cat(list(sample.inputs), sample.attributes["axis"]),
)

BORDERS = "top", "bottom", "left", "right", "front", "back"
MODES = {"constant": "constant", "clamp": "edge", "mirror": "reflect", "mirror_with_edge": "symmetric"}


@st.composite
def borders(draw: st.DrawFn) -> Sample:
    """Draw paddings on all sides, also negative ones, which crop, and ones that are wider than the image."""
    size = draw(st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 20)))
    amounts = draw(st.tuples(*[st.integers(-2, 11)] * 6))
    attributes: dict[str, Any] = dict(zip(BORDERS, amounts, strict=True))
    attributes["mode"] = draw(st.sampled_from(list(MODES)))
    x, rest = values(draw(seeds), (2, *size)), [size[i] + sum(amounts[2 * i : 2 * i + 2]) for i in range(3)]
    if min(rest) < 1:
        return Sample([x], attributes, refusal="padding: .* leave nothing of")
    if attributes["mode"] == "constant" and draw(st.booleans()):
        attributes["values"] = [0.5 * channel - 3 for channel in range(rest[2])]
    elif attributes["mode"] == "constant":
        attributes["value"] = 1.25
    return Sample([x], attributes)


@st.composite
def torch_borders(draw: st.DrawFn) -> Sample:
    amounts = draw(st.tuples(*[st.integers(0, 4)] * 4))
    attributes = dict(zip(BORDERS, amounts, strict=False)) | {
        "mode": draw(st.sampled_from(["mirror", "clamp"]))
    }
    return Sample([values(draw(seeds), (2, 5, 6, 3))], attributes)


def torch_padding(torch: Any, sample: Sample) -> Any:
    mode = {"mirror": "reflect", "clamp": "replicate"}[sample.attributes["mode"]]
    amounts = [sample.attributes[side] for side in ("left", "right", "top", "bottom")]
    planes = sample.inputs[0].permute(0, 3, 1, 2)
    return torch.nn.functional.pad(planes, amounts, mode).permute(0, 2, 3, 1)


@st.composite
def numpy_borders(draw: st.DrawFn) -> Layers:
    mode = draw(st.sampled_from([mode for mode in MODES if mode != "constant"]))
    amounts = draw(st.tuples(*[st.integers(0, 11)] * 6))
    pairs: Any = [(0, 0), *zip(amounts[::2], amounts[1::2], strict=True)]
    numpy_mode: Any = MODES[mode]
    attributes = {"mode": mode, **dict(zip(BORDERS, amounts, strict=True))}
    return Layers(
        [(3, 4, 5)],
        lambda net, x: net.layer("padding", [x], attributes),
        lambda x: np.pad(x, pairs, mode=numpy_mode),
    )


WEIGHT = values(1, (7, 3, 3, 3))
AROUND = dict.fromkeys(("top", "left", "right", "bottom"), 1)


def before_a_convolution(border: dict[str, Any], window: dict[str, Any]) -> Layers:
    """Pad before a convolution. Only zero padding may be merged into the convolution's window."""

    def build(network: Network, x: Tensor) -> Tensor:
        y = network.layer("padding", [x], border)
        attributes = {"output_channels": 7, "kernel_height": 3, "kernel_width": 3, **window}
        return network.layer("convolution", [y], attributes, name="conv")

    def expected(x: Any) -> Any:
        return convolution(
            padding(x, border), WEIGHT, None, {"kernel_height": 3, "kernel_width": 3, **window}
        )[0]

    return Layers([(5, 6, 3)], build, expected, weights={"conv.weight": WEIGHT}, rtol=1e-6, atol=3e-6)


ASYMMETRIC = {"bottom": 1, "left": 2, "right": 1}
STRIDED = {"stride_y": 2, "stride_x": 2}
PADDED = {"padding": "explicit", **dict.fromkeys(("pad_top", "pad_bottom", "pad_left", "pad_right"), 1)}


def filled(x: Any) -> Any:
    result = np.pad(x, ((0, 0), (1, 0), (0, 0), (0, 1)))
    result[:, 0], result[..., 1] = (7, 8), 8
    return result


@st.composite
def raw_borders(draw: st.DrawFn) -> Sample:
    shape = (*(draw(st.integers(1, maximum)) for maximum in (2, 6, 6, 9)),)
    amounts = dict(zip(BORDERS, (draw(st.integers(0, 5)) for _ in BORDERS), strict=True))
    mode = draw(st.sampled_from(list(MODES)))
    value = draw(st.sampled_from([0.0, 1.5])) if mode == "constant" else 0.0
    return Sample([values(draw(seeds), shape)], {**amounts, "mode": mode, "value": value})


def raw_pad(sample: Sample) -> kernels.Pad:
    a = sample.attributes
    mode = "zero" if a["mode"] == "constant" and a["value"] == 0 else a["mode"]
    before, after = (
        tuple(a[s] for s in sides) for sides in (("left", "top", "front"), ("right", "bottom", "back"))
    )
    return kernels.Pad(before, after, edge_mode=mode, fill_value=a["value"])


PADDING = Operation(
    "padding",
    lambda sample: (padding(sample.inputs[0], dict(sample.attributes)), None),
    draws={"sides": borders()},
    known={
        "reflections repeat": Sample(
            [np.arange(3, dtype=np.float32).reshape(1, 1, 3, 1)],
            {"left": 4, "right": 1, "mode": "mirror"},
            expected=[0, 1, 2, 1, 0, 1, 2, 1],
        ),
        "values are halves in float16": Sample(
            [np.ones((1, 1, 1, 2), np.float32)],
            {"top": 1, "values": [0.1, -1.7]},
            expected=np.array([0.1, -1.7, 1, 1], np.float16),
            precision="float16",
        ),
    },
    refused=refusals(
        {
            "top must be -16777216 to 16777216": {"top": 1 << 25},
            "value must be 0 unless mode is constant": {"value": 1.0, "mode": "clamp"},
            "values must be 3, one for each channel of the result, got 2": {"values": [1.0, 2.0]},
            "values must be empty unless mode is constant": {"values": [1.0] * 3, "mode": "mirror"},
            "values must be finite": {"values": [1e39] * 3},
            "value must be 0": {"values": [1.0] * 3, "value": 2.0},
            "must be one of constant, clamp, mirror, mirror_with_edge": {"mode": "wrap"},
        }
    ),
    layers={
        "numpy": numpy_borders(),
        "zeros before a convolution": before_a_convolution(ASYMMETRIC, STRIDED),
        "a value before one": before_a_convolution(ASYMMETRIC | {"value": 1.5}, STRIDED),
        "edges before one": before_a_convolution(AROUND | {"mode": "clamp"}, PADDED),
        "values before one": before_a_convolution(AROUND | {"values": [1.0, 2.0, 3.0]}, PADDED),
        "a cut before one": before_a_convolution(AROUND | {"top": -1, "left": 2}, PADDED),
        "methods": Layers(
            [(2, 2, 1)],
            lambda net, x: [
                net.pad(x, ((1, 0), (0, 0)), channels=(0, 1), value=[7, 8]),
                net.pad(x, 1, mode="mirror_with_edge"),
            ],
            lambda x: [filled(x), np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="symmetric")],
        ),
    },
    torch=torch_padding,
    torch_draws={"mirrored and clamped": torch_borders()},
    kernels={"Pad": RawKernel(raw_borders(), raw_pad)},
)

OPERATIONS = [TRANSPOSE, CHANNEL_SHUFFLE, RESHAPE, CONCATENATION, PADDING]
