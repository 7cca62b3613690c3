"""Test layers of sums of products: dense layers, products of matrices, sub-pixel and transposed convolutions."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
from operations.generic import *  # noqa: F403
from operations.record import Layers, Operation, RawKernel, Sample, refusals
from operations.windows import nchw, nhwc, pads, weights_of, with_activation
from ops.single_layer import run_layer, seeds, values, windows
from reference.fully_connected import fully_connected
from reference.matrix_product import matrix_product
from reference.subpixel import depth_to_space, subpixel_convolution
from reference.transposed_convolution import transposed_convolution
from tolerance import linear_bound, needs_promise_about_nan

from mpscnn import Network, ShapeError, Tensor, kernels

activations = st.sampled_from([None, {"kind": "relun", "b": 1.0}, {"kind": "linear", "a": -1.0, "b": 0.5}])

# ---- Dense layers --------------------------------------------------------------------------------------------


@st.composite
def dense(draw: st.DrawFn, images: bool) -> Sample:
    seed = draw(seeds)
    extents = st.integers(1, 6), st.integers(1, 6), st.integers(1, 20)
    shape = draw(st.tuples(*extents) if images else st.tuples(st.integers(1, 400)))
    outputs = draw(st.integers(1, 70 if images else 130))
    return Sample(
        [values(seed, (draw(st.integers(1, 5)), *shape))],
        {"outputs": outputs},
        weights_of(seed, (outputs, *shape), bias=draw(st.booleans())),
        draw(activations),
    )


def expect_dense(sample: Sample) -> Any:
    result = fully_connected(sample.inputs[0], sample.weights["weight"], sample.weights.get("bias"))
    return with_activation(sample, *result)


def torch_dense(torch: Any, sample: Sample) -> Any:
    """Return PyTorch's result. Images are read row by row, with the channels last."""
    x, weight = sample.inputs[0].flatten(1), sample.weights["weight"].flatten(1)
    return torch.nn.functional.linear(x, weight, sample.weights.get("bias"))


def raw_dense(sample: Sample) -> kernels.FullyConnected:
    """Return a raw kernel. Its property `offset` has no effect."""
    weight = sample.weights["weight"]
    outputs, height, width, inputs = weight.shape
    descriptor = kernels.ConvolutionDescriptor(width, height, inputs, outputs)
    return kernels.FullyConnected(descriptor, weight, sample.weights.get("bias"), offset=(5, -3))


PLAIN = {
    name: dense(name == "images").filter(lambda sample: sample.activation is None)
    for name in ("vectors", "images")
}
DENSE = Operation(
    "fully_connected",
    expect_dense,
    draws={"vectors": dense(False), "images": dense(True)},
    refused=refusals({"size must be fixed": lambda net, x: net.dense(x, 10)}, [(None, None, 3)], ShapeError),
    torch=torch_dense,
    torch_draws=PLAIN,
    kernels={"FullyConnected": RawKernel(PLAIN["images"], raw_dense)},
)

# ---- Products of matrices ------------------------------------------------------------------------------------


@st.composite
def matrices(draw: st.DrawFn) -> Sample:
    m, k, p = (draw(st.integers(1, 70)) for _ in range(3))
    batch, leading, seed = draw(st.integers(1, 2)), draw(st.lists(st.integers(1, 3), max_size=3)), draw(seeds)
    first, second = draw(st.booleans()), draw(st.booleans())
    a = values(seed, (batch, *leading, *((k, m) if first else (m, k))))
    b = values(seed + 1, (batch, *leading, *((p, k) if second else (k, p))))
    scale = draw(st.sampled_from([1.0, 0.25]))
    return Sample([a, b], {"transpose_first": first, "transpose_second": second, "scale": scale})


def expect_product(sample: Sample) -> Any:
    (a, b), attributes = sample.inputs, dict(sample.attributes)
    return matrix_product(a, b, attributes), linear_bound(matrix_product(np.abs(a), np.abs(b), attributes))


def torch_product(torch: Any, sample: Sample) -> Any:
    (a, b), attributes = sample.inputs, sample.attributes
    left, right = a.mT if attributes["transpose_first"] else a, b.mT if attributes["transpose_second"] else b
    return attributes["scale"] * (left @ right)


def attention(network: Network, x: Tensor) -> Tensor:
    """Add attention with three heads whose features are adjacent in each token, as views of one product."""
    parts = [network.reshape(part, (17, 3, 5)) for part in network.split(x, 3)]
    q, k, v = (network.transpose(part, (2, 1, 3)) for part in parts)
    scores = network.matmul(q, k, transpose_b=True, scale=5**-0.5)
    mixed = network.matmul(network.softmax(scores), v)
    return network.reshape(network.transpose(mixed, (2, 1, 3)), (17, 15))


def numpys_attention(x: Any) -> Any:
    q, k, v = x.astype(np.float64).reshape(-1, 17, 3, 3, 5).transpose(2, 0, 3, 1, 4)
    weights = np.exp(q @ k.swapaxes(-1, -2) * 5**-0.5)
    weights /= weights.sum(-1, keepdims=True)
    return (weights @ v).swapaxes(1, 2).reshape(-1, 17, 15)


def spoiled() -> Sample:
    a, b = values(0, (1, 30, 20)), values(1, (1, 20, 40))
    a[0, 3, 4], b[0, 5, 6] = np.nan, np.inf
    return Sample([a, b], marks=[needs_promise_about_nan])


def of_shapes(a: tuple[int, ...], b: tuple[int, ...], message: str, **attributes: bool) -> list[Any]:
    return refusals({message: attributes}, [a, b], ShapeError)


AXES = "must have the batch, the same axes behind it"
LARGE_MATRICES = {
    f"{m} x {k} x {p}": Sample([values(0, (2, 3, m, k)), values(1, (2, 3, k, p))])
    for m, k, p in ((197, 64, 197), (1, 300, 130), (500, 3, 33))
}
MATRIX_PRODUCT = Operation(
    "matrix_product",
    expect_product,
    draws={"matrices": matrices()},
    known={"NaN and infinity": spoiled(), **LARGE_MATRICES},
    refused=[
        *of_shapes((3, 4), (5, 6), r"matrices of 4 columns and 5 rows cannot .*\(n, 3, 4\) and \(n, 5, 6\)"),
        *of_shapes((3, 4), (4, 5), r"4 columns and 5 rows \(transposed\)", transpose_second=True),
        *of_shapes((2, 3, 4), (3, 4, 5), AXES),
        *of_shapes((3, 4), (4,), AXES),
        *of_shapes((3,), (3,), AXES),
        *refusals({"scale": lambda net, *ab: net.matmul(*ab, scale=float("inf"))}, [(2, 2), (2, 2)]),
    ],
    layers={
        "attention": Layers([(17, 45)], attention, numpys_attention, rtol=1e-4, atol=1e-5),
        "free extents": Layers(
            [(None, 4), (None, 4)],
            lambda net, a, b: net.matmul(a, b, transpose_b=True),
            lambda a, b: a @ b.swapaxes(1, 2),
            [(1, 5, 4), (1, 6, 4)],
            rtol=1e-5,
            atol=1e-5,
        ),
    },
    torch=torch_product,
)

# ---- Channels that become pixels -----------------------------------------------------------------------------

orders = st.sampled_from(["position_major", "channel_major"])


@st.composite
def blocks(draw: st.DrawFn, order: st.SearchStrategy[str] = orders) -> Sample:
    scale = draw(st.integers(1, 4))
    shape = *(draw(st.integers(1, 5)) for _ in range(3)), draw(st.integers(1, 21)) * scale**2
    return Sample([values(draw(seeds), shape)], {"scale": scale, "order": draw(order)})


DEPTH_TO_SPACE = Operation(
    "depth_to_space",
    lambda sample: (depth_to_space(sample.inputs[0], *sample.attributes.values()), None),
    draws={"images": blocks()},
    refused=refusals(
        {
            "scale must be 1 to": {"scale": 0},
            "scale must be a number whose square divides the 4 channels, got 3": {"scale": 3},
            "must be one of position_major, channel_major": {"order": "rows"},
        },
        [(5, 5, 4)],
    ),
    layers={
        "pixel shuffle": Layers(
            [(2, 3, 12)],
            lambda net, x: net.pixel_shuffle(x, 2),
            lambda x: depth_to_space(x, 2, "channel_major"),
        )
    },
    torch=lambda torch, sample: nhwc(
        torch.nn.functional.pixel_shuffle(nchw(sample.inputs[0]), sample.attributes["scale"])
    ),
    torch_draws={"channel_major": blocks(st.just("channel_major"))},
)


@st.composite
def subpixels(draw: st.DrawFn) -> Sample:
    height, width, seed = draw(st.integers(1, 9)), draw(st.integers(1, 9)), draw(seeds)
    scale, groups, inputs = draw(st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 5)))
    outputs = draw(st.integers(1, 9).filter(lambda n: n * scale**2 % groups == 0))
    attributes = draw(windows(height, width)) | {
        "output_channels": outputs,
        "scale": scale,
        "order": draw(orders),
        "groups": groups,
    }
    shape = (outputs * scale**2, attributes["kernel_height"], attributes["kernel_width"], inputs)
    x, weights = (
        values(seed, (draw(st.integers(1, 2)), height, width, inputs * groups)),
        weights_of(seed, shape),
    )
    whole, _ = subpixel_convolution(x, *weights.values(), attributes)
    for axis, side in ((1, "height"), (2, "width")):
        attributes[f"output_{side}"] = whole.shape[axis] - draw(st.integers(0, scale - 1))
    return Sample([x], attributes, weights, draw(activations))


@st.composite
def torch_subpixels(draw: st.DrawFn) -> Sample:
    scale, channels, seed = draw(st.integers(1, 3)), draw(st.integers(1, 5)), draw(seeds)
    attributes = {"kernel_height": 3, "kernel_width": 3, "padding": "same", "order": "channel_major"}
    return Sample(
        [values(seed, (1, 6, 5, 4))],
        attributes | {"output_channels": channels, "scale": scale},
        weights_of(seed, (channels * scale**2, 3, 3, 4)),
    )


def torch_subpixel(torch: Any, sample: Sample) -> Any:
    functional, weights = torch.nn.functional, sample.weights
    x = functional.conv2d(nchw(sample.inputs[0]), nchw(weights["weight"]), weights["bias"], padding=1)
    return nhwc(functional.pixel_shuffle(x, sample.attributes["scale"]))


def expect_subpixel(sample: Sample) -> Any:
    weight, bias = sample.weights["weight"], sample.weights.get("bias")
    sums = subpixel_convolution(sample.inputs[0], weight, bias, dict(sample.attributes))
    return with_activation(sample, *sums)


@st.composite
def with_slopes(draw: st.DrawFn) -> Layers:
    order, outputs, seed = draw(orders), draw(st.integers(1, 11)), draw(seeds)
    weight, slope = values(seed, (outputs * 4, 1, 1, 5)), values(seed + 1, (outputs,))

    def expected(x: Any) -> Any:
        attributes = {"output_channels": outputs, "scale": 2, "order": order}
        plain, _ = subpixel_convolution(x, weight, None, attributes)
        return np.where(plain < 0, slope * plain, plain)

    return Layers(
        [(4, 3, 5)],
        lambda net, x: net.subpixel_conv2d(x, outputs, 1, 2, order=order, activation="prelu", name="layer"),
        expected,
        weights={"layer.weight": weight, "layer.slope": slope},
        rtol=2e-6,
        atol=1e-5,
    )


LARGE = Sample(
    [values(0, (2, 61, 43, 9))],
    {"output_channels": 37, "kernel_height": 3, "kernel_width": 3, "scale": 2, "padding": "same"},
    weights_of(0, (4 * 37, 3, 3, 9), bias=False),
)
ONE = {"output_channels": 1}

SUBPIXEL = Operation(
    "subpixel_convolution",
    expect_subpixel,
    draws={"images": subpixels()},
    known={"large images are cut into blocks": LARGE},
    refused=[
        *refusals(
            {
                "output_channels must be 1 to": {},
                "scale must be 1 to": ONE | {"scale": 2000},
                "groups must be a divisor": ONE | {"groups": 2},
                "kernel_width must be": ONE | {"kernel_width": 0},
                "output_height must be": ONE | {"output_height": -1},
            },
            [(5, 5, 4)],
        ),
        *refusals(
            {
                "output_width must be 9 to 10": ONE | {"scale": 2, "output_width": 8},
                "must be 9 to 10, got 11": ONE | {"scale": 2, "output_height": 11},
            },
            [(5, 5, 4)],
            ShapeError,
        ),
    ],
    layers={"slopes of channels of the result": with_slopes()},
    torch=torch_subpixel,
    torch_draws={"images": torch_subpixels()},
)

# ---- Transposed convolutions ---------------------------------------------------------------------------------


@st.composite
def transposed_windows(draw: st.DrawFn, height: int, width: int) -> dict[str, Any]:
    """Draw attributes with at least one output for an image of this size."""
    attributes: dict[str, Any] = {"padding": draw(st.sampled_from(["valid", "same", "explicit"]))}
    for size, side, suffix, before, after in (
        (height, "height", "y", "pad_top", "pad_bottom"),
        (width, "width", "x", "pad_left", "pad_right"),
    ):
        kernel, stride = draw(st.integers(1, 5)), draw(st.integers(1, 4))
        dilation = draw(st.integers(1, 3)) if kernel > 1 else 1
        attributes |= {f"kernel_{side}": kernel, f"stride_{suffix}": stride, f"dilation_{suffix}": dilation}
        reach = (kernel - 1) * dilation + 1
        everything = (size - 1) * stride + reach
        own_output = draw(st.booleans())
        if attributes["padding"] == "explicit":
            attributes[before] = draw(st.integers(-2, everything - 1))
            if own_output:
                attributes[f"output_{side}"] = draw(st.integers(1, everything + 3))
            else:
                attributes[after] = draw(st.integers(-2, everything - 1 - max(attributes[before], 0)))
                attributes[f"output_padding_{suffix}"] = draw(st.integers(0, max(stride, dilation) - 1))
        elif own_output:
            shortest = (size - 1) * stride + (1 if attributes["padding"] == "same" else reach)
            attributes[f"output_{side}"] = shortest + draw(st.integers(0, stride - 1))
    return attributes


@st.composite
def torch_transposed_windows(draw: st.DrawFn, height: int, width: int) -> dict[str, Any]:
    """Draw attributes that PyTorch has."""
    attributes: dict[str, Any] = {"padding": "explicit"}
    for size, side, suffix, before, after in (
        (height, "height", "y", "pad_top", "pad_bottom"),
        (width, "width", "x", "pad_left", "pad_right"),
    ):
        kernel, stride, dilation = (draw(st.integers(1, 4)) for _ in range(3))
        reach, everything = (kernel - 1) * dilation, (size - 1) * stride + (kernel - 1) * dilation + 1
        attributes |= {f"kernel_{side}": kernel, f"stride_{suffix}": stride, f"dilation_{suffix}": dilation}
        pad = draw(st.integers(0, min(reach, (everything - 1) // 2)))
        attributes[before] = attributes[after] = pad
        attributes[f"output_padding_{suffix}"] = draw(st.integers(0, max(stride, dilation) - 1))
    return attributes


@st.composite
def transposed(draw: st.DrawFn, window: Any, *, depthwise: bool = False) -> Sample:
    height, width, seed = draw(st.integers(1, 6)), draw(st.integers(1, 6)), draw(seeds)
    groups = draw(st.integers(2, 37) if depthwise else st.integers(1, 3))
    inputs = 1 if depthwise else draw(st.integers(1, 9))
    outputs = groups * draw(st.integers(1, 2) if depthwise else st.integers(1, 19))
    attributes = draw(window(height, width)) | {"output_channels": outputs, "groups": groups}
    shape = (outputs, attributes["kernel_height"], attributes["kernel_width"], inputs)
    x = values(seed, (draw(st.integers(1, 2)), height, width, inputs * groups))
    return Sample([x], attributes, weights_of(seed, shape, bias=draw(st.booleans())))


@st.composite
def with_more(draw: st.DrawFn) -> Sample:
    """Draw what PyTorch lacks: orders of the kernel, and activations."""
    sample = draw(transposed(transposed_windows))
    attributes = {**sample.attributes, "kernel_use": draw(st.sampled_from(["scatter", "gather"]))}
    return Sample(sample.inputs, attributes, sample.weights, draw(activations))


def expect_transposed(sample: Sample) -> Any:
    weight, bias = sample.weights["weight"], sample.weights.get("bias")
    sums = transposed_convolution(sample.inputs[0], weight, bias, dict(sample.attributes))
    return with_activation(sample, *sums)


def torch_transposed(torch: Any, sample: Sample) -> Any:
    a, weights = sample.attributes, sample.weights
    # PyTorch's order is [in][out / groups][height][width].
    groups = torch.cat([part.permute(3, 0, 1, 2) for part in weights["weight"].chunk(a["groups"])])
    result = torch.nn.functional.conv_transpose2d(
        nchw(sample.inputs[0]),
        groups,
        weights.get("bias"),
        groups=a["groups"],
        output_padding=(a["output_padding_y"], a["output_padding_x"]),
        **pads(a),
    )
    return nhwc(result)


def beyond_the_kernel(kernel: int) -> Layers:
    """Return a transposed convolution with pixels that no input reaches. These pixels are the activated bias."""
    bias, slope = values(0, (19,)), values(1, (19,))
    weight = values(2, (19, kernel, kernel, 5))

    def expected(x: Any) -> Any:
        window = {"kernel_height": kernel, "kernel_width": kernel, "stride_y": 4, "stride_x": 4}
        sums, _ = transposed_convolution(x, weight, bias, window)
        return np.where(sums < 0, slope * sums, sums)

    return Layers(
        [(3, 3, 5)],
        lambda net, x: net.conv2d_transpose(x, 19, kernel, strides=4, activation="prelu", name="layer"),
        expected,
        weights={"layer.weight": weight, "layer.bias": bias, "layer.slope": slope},
        rtol=1e-5,
        atol=1e-5,
    )


def nan_in_one_pixel() -> Sample:
    x = values(0, (1, 4, 4, 3))
    x[0, 1, 2, 1] = np.nan
    attributes = {"output_channels": 9, "kernel_height": 3, "kernel_width": 3, "stride_y": 2, "stride_x": 2}
    return Sample([x], attributes, weights_of(0, (9, 3, 3, 3)), marks=[needs_promise_about_nan])


FOUR: dict[str, Any] = {"output_channels": 4}
EXPLICIT = FOUR | {"padding": "explicit"}
SAME = FOUR | {"padding": "same", "stride_y": 2}

TRANSPOSED = Operation(
    "transposed_convolution",
    expect_transposed,
    draws={"images": with_more(), "depthwise": transposed(transposed_windows, depthwise=True)},
    known={"NaN": nan_in_one_pixel()},
    refused=[
        *refusals(
            {
                "output_channels must be 1 to": {"output_channels": 0},
                "groups must be a divisor": FOUR | {"groups": 2},
                "stride_y must be": FOUR | {"stride_y": 0},
                "kernel_width must be": FOUR | {"kernel_width": 0},
                "pad_top must be 0 unless padding is explicit, got 1": FOUR | {"pad_top": 1},
                "output_padding_x must be 0 unless padding is explicit": FOUR
                | {"output_padding_x": 1, "stride_x": 2},
                r"output_padding_y must be 0 to 0 \(less than the stride": EXPLICIT | {"output_padding_y": 1},
                "output_padding_y must be": EXPLICIT | {"output_padding_y": -1},
                "pad_bottom must be 0 where output_height": EXPLICIT | {"output_height": 3, "pad_bottom": 1},
                "output_width must be 0 to": FOUR | {"output_width": -1},
                "must be one of valid, same, explicit": FOUR | {"padding": "full"},
                "must be one of scatter, gather": FOUR | {"kernel_use": "both"},
                "output_padding_y must be 0 where output_height is given": lambda net, x: (
                    net.conv2d_transpose(
                        x, 4, 3, strides=2, padding=1, output_padding=1, output_size=(10, 10)
                    )
                ),
            },
            [(5, 5, 3)],
        ),
        *refusals(
            {
                "the padding leaves -4 columns": EXPLICIT | {"pad_left": 9},
                "output_height 8 does not lead back to the input's 5": SAME | {"output_height": 8},
                "output_height 11 does not lead back": SAME | {"output_height": 11},
            },
            [(5, 5, 3)],
            ShapeError,
        ),
    ],
    layers={f"kernel {kernel}, stride 4": beyond_the_kernel(kernel) for kernel in (1, 3)},
    torch=torch_transposed,
    torch_draws={"images": transposed(torch_transposed_windows)},
)


def test_one_image_and_a_batch_give_the_same_bits() -> None:
    x, weights = values(0, (7, 300)), weights_of(0, (50, 300), bias=False)
    whole = run_layer("fully_connected", [x], {"outputs": 50}, weights=weights)
    for i in range(7):
        alone = run_layer("fully_connected", [x[i : i + 1]], {"outputs": 50}, weights=weights)
        np.testing.assert_array_equal(alone[0], whole[i])


def test_batch_normalization_is_folded() -> None:
    network = Network(input=(4, 5, 3))
    x = network.conv2d_transpose(network.input, 6, 3, strides=2, padding="same", name="up")
    network.output(network.batch_norm(x, activation="relu", name="norm"))
    network.initialize_weights(seed=1)
    network.load_weights({"norm.mean": values(2, (6,)), "norm.variance": values(3, (6,)) ** 2 + 0.1})
    whole, last = (
        network.compile(precision="float32", outputs=outputs) for outputs in (None, ["up", "norm"])
    )
    image = values(4, (2, 4, 5, 3))
    folded, (_, apart) = whole.session().run(image), last.session().run(image).values()
    np.testing.assert_allclose(folded, apart, rtol=1e-5, atol=1e-5)


OPERATIONS = [DENSE, MATRIX_PRODUCT, DEPTH_TO_SPACE, SUBPIXEL, TRANSPOSED]
