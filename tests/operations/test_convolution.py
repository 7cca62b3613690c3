"""Test convolutions, and the gradients of their inputs and weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeAlias

import hypothesis.strategies as st
import numpy as np
import pytest
from operations.generic import *  # noqa: F403
from operations.record import Layers, Operation, Sample, refusals
from operations.windows import nchw, nhwc, pads, torch_windows, weights_of, with_activation
from ops.single_layer import run_layer, seeds, values, windows
from reference import window
from reference.convolution import convolution
from reference.convolution_gradient import data_gradient, weight_gradient
from tolerance import defined_where_attached, linear_bound, needs_promise_about_nan

from mpscnn import Network, ShapeError

#: Draws a window's attributes for an image of a height and width.
Windows: TypeAlias = Callable[[int, int], st.SearchStrategy[dict[str, Any]]]
activations = st.sampled_from(  # slopes are at most 1, so that errors do not grow
    [None, {"kind": "relu", "a": 0.25}, {"kind": "relun", "b": 1.0}, {"kind": "linear", "a": -1.0, "b": 0.5}]
)


@st.composite
def convolutions(
    draw: st.DrawFn,
    groups: st.SearchStrategy[int],
    inputs: st.SearchStrategy[int],
    outputs: st.SearchStrategy[int],
    size: int = 9,
    window: Windows = windows,
) -> Sample:
    """Draw a convolution. `inputs` and `outputs` are channels of one group."""
    height, width, seed = draw(st.integers(1, size)), draw(st.integers(1, size)), draw(seeds)
    count, channels, results = draw(groups), draw(inputs), draw(outputs)
    attributes = draw(window(height, width)) | {"output_channels": results * count, "groups": count}
    shape = (results * count, attributes["kernel_height"], attributes["kernel_width"], channels)
    x = values(seed, (draw(st.integers(1, 3)), height, width, channels * count))
    return Sample([x], attributes, weights_of(seed, shape, bias=draw(st.booleans())), draw(activations))


def dense_and_grouped(window: Windows = windows) -> st.SearchStrategy[Sample]:
    return convolutions(st.integers(1, 3), st.integers(1, 9), st.integers(1, 19), window=window)


def depthwise(window: Windows = windows) -> st.SearchStrategy[Sample]:
    return convolutions(st.integers(2, 37), st.just(1), st.sampled_from([1, 1, 2, 3]), 17, window)


@st.composite
def narrow_groups(draw: st.DrawFn) -> Sample:
    """Draw groups that share a register. A NaN must only affect its own group."""
    size, count = draw(st.sampled_from([4, 8])), draw(st.integers(1, 4)) * draw(st.sampled_from([1, 2, 4]))
    sample = draw(convolutions(st.just(count), st.just(size), st.just(size)))
    if not draw(st.booleans()):
        return sample
    (x,) = sample.inputs
    x[..., draw(st.integers(0, size * count - 1))] = np.nan
    return dataclasses.replace(sample, activation=None)


@st.composite
def pointwise(draw: st.DrawFn) -> Sample:
    inputs, outputs, seed = draw(st.integers(1, 300)), draw(st.integers(1, 70)), draw(seeds)
    x = values(seed, (1, 1, draw(st.integers(1, 200)), inputs))
    return Sample([x], {"output_channels": outputs}, weights_of(seed, (outputs, 1, 1, inputs), bias=False))


def expect_convolution(sample: Sample) -> Any:
    weight, bias = sample.weights["weight"], sample.weights.get("bias")
    return with_activation(sample, *convolution(sample.inputs[0], weight, bias, dict(sample.attributes)))


def torch_convolution(torch: Any, sample: Sample) -> Any:
    (x,), weights, attributes = sample.inputs, sample.weights, sample.attributes
    arguments = pads(attributes) | {"groups": attributes["groups"]}
    return nhwc(
        torch.nn.functional.conv2d(nchw(x), nchw(weights["weight"]), weights.get("bias"), **arguments)
    )


def without_activation(samples: st.SearchStrategy[Sample]) -> st.SearchStrategy[Sample]:
    return samples.map(lambda sample: dataclasses.replace(sample, activation=None))


def usual_order() -> Layers:
    """Return a depthwise layer whose weights have the axes [channel][multiplier][height][width]."""
    weight = values(1, (4, 2, 2, 3))
    attributes = {"kernel_height": 2, "kernel_width": 3, "groups": 4}
    return Layers(
        [(5, 5, 4)],
        lambda net, x: net.depthwise_conv2d(x, (2, 3), multiplier=2, name="layer"),
        lambda x: convolution(x, weight.reshape(8, 2, 3, 1), None, attributes)[0],
        weights={"layer.weight": weight},
        rtol=1e-5,
        atol=1e-5,
    )


FOUR = {"output_channels": 4}

CONVOLUTION = Operation(
    "convolution",
    expect_convolution,
    draws={
        "dense and grouped": dense_and_grouped(),
        "narrow groups": narrow_groups(),
        "depthwise": depthwise(),
        "pointwise": pointwise(),
    },
    refused=[
        *refusals(
            {
                "output_channels must be 1 to": {"output_channels": 0},
                "groups must be a divisor": FOUR | {"groups": 2},
                "stride_y must be": FOUR | {"stride_y": 0},
                "padding must be explicit": FOUR | {"pad_top": 1},
                "must be one of valid, same, full, explicit": FOUR | {"padding": "reflect"},
                "unknown parameter 'kernel'": FOUR | {"kernel": 3},
                "output_channels": {"output_channels": 2.5},
            },
            [(5, 5, 3)],
        ),
        *refusals(
            {"a window of 9 rows does not fit into 5": FOUR | {"kernel_height": 9}}, [(5, 5, 3)], ShapeError
        ),
    ],
    layers={"depthwise weights in their usual order": usual_order()},
    torch=torch_convolution,
    torch_draws={
        "dense and grouped": without_activation(dense_and_grouped(torch_windows)),
        "depthwise": without_activation(depthwise(torch_windows)),
    },
    onnx_draws={
        "dense and grouped": dense_and_grouped(),
        "depthwise": depthwise(),
        "pointwise": pointwise(),
    },
)


@needs_promise_about_nan
def test_nan_reaches_exactly_the_windows_that_cover_it(chosen_device: str) -> None:
    x = values(0, (1, 6, 6, 3))
    x[0, 2, 2, 1] = np.nan
    weights = {"weight": values(1, (4, 3, 3, 3))}
    for activation in (None, {"kind": "relun", "b": 6.0}):
        attributes = FOUR | {"kernel_height": 3, "kernel_width": 3}
        result = run_layer("convolution", [x], attributes, weights=weights, activation=activation)
        expected = np.zeros((4, 4), bool)
        expected[0:3, 0:3] = True
        found = np.isnan(result[0])
        nan = np.full(1, np.nan, np.float32)
        passes = activation is None or defined_where_attached("relun", nan, chosen_device)[0]
        assert (found == expected[..., None]).all() if passes else not found[~expected].any()


def test_torch_batch_norm_between_convolution_and_neuron() -> None:
    """Folding keeps the order: convolution, bias, normalization, neuron."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    convolve, norm = torch.nn.Conv2d(5, 7, 3, padding=1), torch.nn.BatchNorm2d(7, eps=1e-3)
    with torch.no_grad():
        for index, parameter in enumerate(
            (convolve.weight, convolve.bias, norm.weight, norm.bias, norm.running_mean)
        ):
            parameter.copy_(torch.from_numpy(values(index, tuple(parameter.shape))))
        norm.running_var.copy_(torch.from_numpy(values(9, (7,)) ** 2 + 0.1))
    network = Network(input=(6, 5, 5))
    x = network.conv2d(network.input, 7, 3, padding=1, name="conv")
    network.output(network.batch_norm(x, epsilon=1e-3, activation="relu6", name="norm"))
    network.load_weights(
        {
            "conv.weight": convolve.weight.detach().numpy().transpose(0, 2, 3, 1),
            "conv.bias": convolve.bias.detach().numpy(),
            "norm.gamma": norm.weight.detach().numpy(),
            "norm.beta": norm.bias.detach().numpy(),
            "norm.mean": norm.running_mean.numpy(),
            "norm.variance": norm.running_var.numpy(),
        },
        layout="OHWI",
    )
    image = values(20, (2, 6, 5, 5))
    with torch.no_grad():
        expected = nhwc(torch.nn.functional.relu6(norm.eval()(convolve(nchw(torch.from_numpy(image))))))
    result = network.compile(precision="float32").session().run(image)
    np.testing.assert_allclose(result, expected.numpy(), rtol=1e-4, atol=1e-4)


# ---- Gradients -----------------------------------------------------------------------------------------------


def result_gradient(sample: Sample) -> Any:
    """Return random numbers with the shape of the convolution's result."""
    (x,), attributes = sample.inputs, dict(sample.attributes)
    rows, columns = window.positions(attributes, *x.shape[1:3])
    return values(x.size, (len(x), len(rows), len(columns), attributes["output_channels"]))


def of_data(sample: Sample) -> Sample:
    """Return the sample of the gradient of a convolution's input."""
    return Sample([result_gradient(sample), sample.weights["weight"], *sample.inputs], sample.attributes)


def of_weight(sample: Sample) -> Sample:
    """Return the sample of the gradient of a convolution's weight."""
    return Sample([*sample.inputs, result_gradient(sample)], sample.attributes)


def expect_data_gradient(sample: Sample) -> Any:
    (gradient, weight, x), attributes = sample.inputs, dict(sample.attributes)
    magnitude = data_gradient(np.abs(gradient), np.abs(weight), x, attributes)
    return data_gradient(gradient, weight, x, attributes), linear_bound(magnitude)


def expect_weight_gradient(sample: Sample) -> Any:
    (x, gradient), attributes = sample.inputs, dict(sample.attributes)
    magnitude = weight_gradient(np.abs(x), np.abs(gradient), attributes)
    return weight_gradient(x, gradient, attributes), linear_bound(magnitude)


def torch_data_gradient(torch: Any, sample: Sample) -> Any:
    gradient, weight, x = (nchw(tensor) for tensor in sample.inputs)
    arguments = pads(sample.attributes) | {"groups": sample.attributes["groups"]}
    return nhwc(torch.nn.grad.conv2d_input(x.shape, weight.contiguous(), gradient.contiguous(), **arguments))


def torch_weight_gradient(torch: Any, sample: Sample) -> Any:
    x, gradient = (nchw(tensor) for tensor in sample.inputs)
    attributes = sample.attributes
    kernel = attributes["kernel_height"], attributes["kernel_width"]
    shape = attributes["output_channels"], x.shape[1] // attributes["groups"], *kernel
    arguments = pads(attributes) | {"groups": attributes["groups"]}
    return nhwc(torch.nn.grad.conv2d_weight(x.contiguous(), shape, gradient.contiguous(), **arguments))


def differentiable(gradient: Callable[[Sample], Sample], window: Windows = windows) -> dict[str, Any]:
    """Return the strategies for a gradient."""
    wide = convolutions(st.integers(1, 3), st.integers(1, 20), st.integers(1, 19), window=window)
    narrow = convolutions(st.integers(2, 70), st.just(1), st.integers(1, 2), 12, window)
    return {"dense and grouped": wide.map(gradient), "depthwise": narrow.map(gradient)}


def many_pixels(
    shape: tuple[int, ...], kernel: int, outputs: int, groups: int = 1, padding: str = "same"
) -> Sample:
    """Return a convolution whose sums over pixels are divided into parts."""
    attributes = {"kernel_height": kernel, "kernel_width": kernel, "padding": padding}
    weight = values(2, (outputs, kernel, kernel, shape[3] // groups))
    return Sample(
        [values(0, shape)], attributes | {"output_channels": outputs, "groups": groups}, {"weight": weight}
    )


MANY_PIXELS = {
    "5 x 5": many_pixels((3, 40, 40, 20), 5, 30),
    "5 x 5 of one part, last tiles with fewer pixels": many_pixels((2, 41, 37, 17), 5, 16, padding="valid"),
    "3 x 3, several blocks of channels": many_pixels((3, 41, 38, 40), 3, 70),
    "1 x 1": many_pixels((2, 48, 48, 48), 1, 40),
    "1 x 1 of one part": many_pixels((2, 20, 20, 96), 1, 70),
    "depthwise": many_pixels((2, 47, 49, 40), 3, 40, 40),
    "many taps": many_pixels((2, 9, 9, 130), 3, 20, padding="valid"),
}
THREE = FOUR | {"kernel_height": 3, "kernel_width": 3}
IMAGE, RESULT = (1, 5, 5, 2), (1, 3, 3, 4)

DATA_GRADIENT = Operation(
    "convolution_data_gradient",
    expect_data_gradient,
    draws=differentiable(of_data),
    refused=refusals(
        {r"the weight, must have the shape \(4, 3, 3, 2\)": THREE}, [RESULT, (4, 3, 3, 1), IMAGE], ShapeError
    ),
    divided={name: of_data(sample) for name, sample in MANY_PIXELS.items()},
    torch=torch_data_gradient,
    torch_draws=differentiable(of_data, torch_windows),
    training=True,
)

WEIGHT_GRADIENT = Operation(
    "convolution_weight_gradient",
    expect_weight_gradient,
    draws=differentiable(of_weight),
    known={name: of_weight(sample) for name, sample in MANY_PIXELS.items()},
    refused=refusals(
        {r"the gradient, must have the shape \(1, 3, 3, 4\), got \(1, 4, 4, 4\)": THREE},
        [IMAGE, (1, 4, 4, 4)],
        ShapeError,
    ),
    divided={name: of_weight(sample) for name, sample in MANY_PIXELS.items()},
    torch=torch_weight_gradient,
    torch_draws=differentiable(of_weight, torch_windows),
    training=True,
)

OPERATIONS = [CONVOLUTION, DATA_GRADIENT, WEIGHT_GRADIENT]
