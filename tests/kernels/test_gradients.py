"""Compare gradient kernels with derivatives of the forward kernels' definitions, in float64."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from kernels import index_rule
from kernels.index_rule import Call, Window, normal
from reference.differences import numeric_gradient
from reference.neuron import neuron
from reference.normalization import cross_channel_normalization, group_normalization
from reference.resize import resize

import mpscnn
from mpscnn import _core, kernels
from mpscnn.kernels import ConvolutionDescriptor, NeuronDescriptor

pytestmark = pytest.mark.usefixtures("operations_of_training")
Function = Callable[[Any], Any]
WEIGHTS, BIAS = normal(7, (5, 2, 3, 8)) / 4, normal(8, (5,))
DEPTHWISE = normal(9, (8, 2, 3)) / 4
DENSE = normal(10, (3, 5, 6, 8)) / 8
GAMMA = normal(11, (8,))
ELU = NeuronDescriptor("elu", 1.0)


def convolved(taps: Any) -> Any:
    return np.einsum("vuc,ovuc->o", taps, WEIGHTS.astype(np.float64)) + BIAS


def activated(value: Any) -> Any:
    return np.where(value > 0, value, np.expm1(np.minimum(value, 0)))


@dataclass
class Windowed:
    """A kernel with a 3x2 window and its gradient kernel, the arguments of both, and a reference for one window.

    `function` gets the taps of a window. `outputs` is the number of channels of the result.
    """

    forward: type[Any]
    gradient: type[Any]
    arguments: tuple[Any, ...]
    function: Function
    named: dict[str, Any] | None = None
    dilation: int = 1
    outputs: int = 8


def descriptor(
    kind: type[ConvolutionDescriptor] = ConvolutionDescriptor, **more: Any
) -> ConvolutionDescriptor:
    outputs = 8 if kind is kernels.DepthWiseConvolutionDescriptor else 5
    return kind(3, 2, 8, outputs, stride_x=2, fused_neuron_descriptor=ELU, **more)


WINDOWED = {
    "max": Windowed(
        kernels.PoolingMax, kernels.PoolingMaxGradient, (3, 2), lambda taps: taps.max((0, 1)), {"stride_x": 2}
    ),
    "dilated max": Windowed(
        kernels.DilatedPoolingMax,
        kernels.DilatedPoolingMaxGradient,
        (3, 2, 2, 2),
        lambda taps: taps.max((0, 1)),
        {"stride_x": 2},
        dilation=2,
    ),
    "average": Windowed(
        kernels.PoolingAverage,
        kernels.PoolingAverageGradient,
        (3, 2),
        lambda taps: taps.mean((0, 1)),
        {"stride_x": 2},
    ),
    "l2 norm": Windowed(
        kernels.PoolingL2Norm,
        kernels.PoolingL2NormGradient,
        (3, 2),
        lambda taps: np.sqrt((taps**2).sum((0, 1))),
        {"stride_x": 2},
    ),
    "convolution": Windowed(
        kernels.Convolution,
        kernels.ConvolutionGradient,
        (descriptor(dilation_rate_x=2, dilation_rate_y=2), WEIGHTS, BIAS),
        lambda taps: activated(convolved(taps)),
        dilation=2,
        outputs=5,
    ),
    "depthwise": Windowed(
        kernels.Convolution,
        kernels.ConvolutionGradient,
        (descriptor(kernels.DepthWiseConvolutionDescriptor), DEPTHWISE),
        lambda taps: activated(np.einsum("vuc,cvu->c", taps, DEPTHWISE.astype(np.float64))),
    ),
}
PLACES: dict[str, dict[str, Any]] = {
    "policy": {},
    "inside": {"offset": (3, 1, 1)},
    "over the border": {"offset": (-1, 2, 0)},
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", WINDOWED)
def test_windows(name: str, place: str) -> None:
    """Pixels that the forward kernel read get a gradient, for any position of its windows. All others get 0."""
    case = WINDOWED[name]
    x = normal(0, (2, 5, 6, 8))
    forward = case.forward(*case.arguments, **(case.named or {}), **PLACES[place])
    back = case.gradient(*case.arguments, **(case.named or {}))
    source = mpscnn.Image.from_numpy(x)
    state = forward.result_state(source)
    images = 2 - PLACES[place].get("offset", (0, 0, 0))[2]
    with index_rule.QUEUE.command_buffer() as commands:
        given = None if place == "policy" else mpscnn.Image(2, 3, case.outputs, images)
        result = forward.encode(commands, source, given, destination_state=state)
    gradient = normal(1, result.read().shape)
    destination = mpscnn.Image(6, 5, 8, images)
    with index_rule.QUEUE.command_buffer() as commands:
        back.encode(commands, mpscnn.Image.from_numpy(gradient), source, state, destination)
    rows, columns = Window(2, 1, case.dilation), Window(3, 2, case.dilation)
    call = Call(x.shape, result.read().shape, forward.offset)

    def function(values: Any) -> Any:
        before = np.zeros(call.destination)
        return call.apply(values, rows, columns, before, lambda taps, v, u: case.function(taps))

    np.testing.assert_allclose(result.read(), function(x.astype(np.float64)), atol=1e-5)
    expected = numeric_gradient(function, x, gradient)
    np.testing.assert_allclose(destination.read(), expected[call.offset[2] :], atol=2e-5)


@pytest.mark.parametrize("pads", [0, 1])
def test_average_that_counts_zeros_within_the_padding(pads: int) -> None:
    x = normal(0, (1, 4, 4, 4))
    forward = kernels.PoolingAverage(3, 3, edge_mode="clamp", zero_pad_size_x=pads, zero_pad_size_y=pads)
    result, got, gradient = run(forward, kernels.PoolingAverageGradient(3, 3), x)
    counts = np.array([3 if pads else 2, 3, 3, 3 if pads else 2], np.float64)
    share = gradient / (counts[:, None, None] * counts[:, None])
    padded = np.pad(share, ((0, 0), (1, 1), (1, 1), (0, 0)))
    expected = sum(padded[:, v : v + 4, u : u + 4] for v in range(3) for u in range(3))
    np.testing.assert_allclose(got, expected, atol=1e-6)
    assert result.shape == x.shape


def run(forward: Any, back: Any, x: Any, *, of_result: bool = False, seed: int = 1) -> tuple[Any, Any, Any]:
    """Run both kernels. Returns the forward result, the gradient kernel's result, and the incoming gradient.

    With `of_result`, the gradient kernel reads the forward result instead of the source and a state.
    """
    source = mpscnn.Image.from_numpy(x)
    state = None if of_result else forward.result_state(source)
    with index_rule.QUEUE.command_buffer() as commands:
        options = {} if of_result else {"destination_state": state}
        result = forward.encode(commands, source, **options)
    gradient = normal(seed, result.read().shape)
    given = mpscnn.Image.from_numpy(gradient)
    with index_rule.QUEUE.command_buffer() as commands:
        got = (
            back.encode(commands, given, result) if of_result else back.encode(commands, given, source, state)
        )
    return result.read(), got.read(), gradient


#: Functions that create kernels for one test, so that no device objects outlive the test.
POINTWISE: dict[str, Callable[[], tuple[Any, Any, Function]]] = {
    "upsampling nearest": lambda: (
        kernels.UpsamplingNearest(2, 3),
        kernels.UpsamplingNearestGradient(2, 3),
        lambda x: x.repeat(3, 1).repeat(2, 2),
    ),
    "upsampling bilinear": lambda: (
        kernels.UpsamplingBilinear(2, 3),
        kernels.UpsamplingBilinearGradient(2, 3),
        lambda x: resize(x, 9, 8, "bilinear", "half_pixel"),
    ),
    "upsampling bilinear, corners": lambda: (
        kernels.UpsamplingBilinear(2, 3, align_corners=True),
        kernels.UpsamplingBilinearGradient(2, 3, align_corners=True),
        lambda x: resize(x, 9, 8, "bilinear", "corners"),
    ),
    "instance normalization": lambda: (
        kernels.InstanceNormalization(GAMMA, epsilon=0.125),
        kernels.InstanceNormalizationGradient(GAMMA),
        lambda x: group_normalization(x, 8, 0.125, GAMMA.astype(np.float64), 0.0),
    ),
    "group normalization": lambda: (
        kernels.GroupNormalization(2, GAMMA, epsilon=0.125),
        kernels.GroupNormalizationGradient(2, GAMMA),
        lambda x: group_normalization(x, 2, 0.125, GAMMA.astype(np.float64), 0.0),
    ),
    "cross channel normalization": lambda: (
        kernels.CrossChannelNormalization(3, alpha=2.0, beta=0.75),
        kernels.CrossChannelNormalizationGradient(3),
        lambda x: cross_channel_normalization(x, 3, 2.0, 0.75, 1.0),
    ),
    "fully connected": lambda: (
        kernels.FullyConnected(ConvolutionDescriptor(4, 3, 8, 3), DENSE[:, :3, :4]),
        kernels.FullyConnectedGradient(ConvolutionDescriptor(4, 3, 8, 3), DENSE[:, :3, :4]),
        lambda x: np.einsum("nyxc,oyxc->no", x, DENSE[:, :3, :4].astype(np.float64))[:, None, None],
    ),
    "fully connected with a neuron": lambda: (
        kernels.FullyConnected(
            ConvolutionDescriptor(4, 3, 8, 3, fused_neuron_descriptor=ELU), DENSE[:, :3, :4]
        ),
        kernels.FullyConnectedGradient(
            ConvolutionDescriptor(4, 3, 8, 3, fused_neuron_descriptor=ELU), DENSE[:, :3, :4]
        ),
        lambda x: activated(
            np.einsum("nyxc,oyxc->no", x, DENSE[:, :3, :4].astype(np.float64))[:, None, None]
        ),
    ),
    "prelu": lambda: (
        kernels.NeuronPReLU(np.arange(8.0)),
        kernels.NeuronGradient(NeuronDescriptor("prelu", data=np.arange(8.0))),
        lambda x: np.where(x > 0, x, np.arange(8.0) * x),
    ),
    "spatial normalization": lambda: (
        kernels.SpatialNormalization(3, 3, alpha=2.0, beta=0.75),
        kernels.SpatialNormalizationGradient(3, 3),
        lambda x: x / (1 + 2 * window_mean(x**2)) ** 0.75,
    ),
    "local contrast normalization": lambda: (
        kernels.LocalContrastNormalization(3, 3, alpha=2.0, p0=0.5, pm=0.25, ps=2.0),
        kernels.LocalContrastNormalizationGradient(3, 3),
        lambda x: (
            0.25
            + 2
            * (x - 0.5 * window_mean(x))
            / (1 / 1024 + 2 * (window_mean(x**2) - window_mean(x) ** 2)) ** 0.5
        ),
    ),
}


def window_mean(x: Any) -> Any:
    """Return the mean of 3x3 pixels around each pixel, with zeros outside of the image."""
    height, width = x.shape[1:3]
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return sum(padded[:, v : v + height, u : u + width] for v in range(3) for u in range(3)) / 9


@pytest.mark.parametrize("name", POINTWISE)
def test_whole_images(name: str) -> None:
    """The gradient kernel takes properties such as epsilon from the state."""
    forward, back, function = POINTWISE[name]()
    x = normal(0, (2, 3, 4, 8))
    result, got, gradient = run(forward, back, x)
    np.testing.assert_allclose(result, function(x.astype(np.float64)), atol=2e-4)
    expected = numeric_gradient(function, x, gradient)
    np.testing.assert_allclose(got, expected, rtol=2e-5, atol=2e-5 * max(1.0, np.abs(expected).max()))


NEURONS = [
    NeuronDescriptor(function["kind"], *(function.get(name, 0.0) for name in "abc"))
    for function in (
        case["attributes"]
        for case in json.loads(_core.cases())
        if case["operation"] == "neuron" and "conformance" in case["tags"]
    )
    if function["kind"] != "prelu"
]


@pytest.mark.parametrize("given", NEURONS, ids=lambda given: str(given.neuron_type))
def test_neurons(given: NeuronDescriptor) -> None:
    x = normal(5, (1, 2, 3, 8))
    _, got, gradient = run(kernels.Neuron(given), kernels.NeuronGradient(given), x)
    attributes = {"kind": given.neuron_type, "a": given.a, "b": given.b, "c": given.c}
    expected = numeric_gradient(lambda values: neuron(values, attributes), x, gradient)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


def test_a_neuron_by_its_properties() -> None:
    """A gradient kernel works without a state, with offsets, channel ranges, a clip rectangle and several images."""
    x, gradient, before = normal(0, (2, 4, 5, 8)), normal(1, (3, 4, 5, 12)), normal(2, (2, 5, 5, 8))
    kernel = kernels.NeuronGradient(
        NeuronDescriptor("relu", 0.5),
        primary_offset=(1, 0, 1),
        primary_source_feature_channel_offset=8,
        secondary_offset=(0, 1, 0),
        secondary_source_feature_channel_offset=4,
        destination_feature_channel_offset=4,
        clip_rect=(1, 0, 3, 2),
    )
    expected = before.astype(np.float64)
    own = gradient[1:, 0:2, 1:4, 8:] * np.where(x[:, 1:3, 0:3, 4:] > 0, 1.0, 0.5)
    expected[:, 0:2, 1:4, 4:] = own
    destination = mpscnn.Image.from_numpy(before)
    with index_rule.QUEUE.command_buffer() as commands:
        kernel.encode(
            commands, mpscnn.Image.from_numpy(gradient), mpscnn.Image.from_numpy(x), None, destination
        )
    np.testing.assert_allclose(destination.read(), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("size", "offset", "counted"),
    [
        (None, (0, 0, 0), np.s_[:, :, :]),
        ((2, 1), (0, 0, 0), np.s_[:, :1, :2]),
        ((2, 9, 1), (0, 0, 0), np.s_[:1, :, :2]),
        ((2, 3), (1, 1, 0), np.s_[:, 1:4, 1:3]),
        ((2, 2), (-1, -1, 0), np.s_[:, :1, :1]),
        ((0, 3), (0, 0, 0), np.s_[:0, :, :]),
    ],
)
@pytest.mark.parametrize(
    "kind", [kernels.PoolingMaxGradient, kernels.PoolingAverageGradient, kernels.DilatedPoolingMaxGradient]
)
@pytest.mark.parametrize("temporary", [False, True])
def test_gradients_of_pools_that_count(
    kind: type[Any], size: Any, offset: Any, counted: Any, temporary: bool
) -> None:
    """`source_size` and `primary_offset` select which gradients count. Others are not read and may be NaN."""
    x, gradient = normal(0, (2, 8, 10, 4)), normal(1, (2, 4, 5, 4))
    chosen = np.zeros_like(gradient)
    chosen[counted] = gradient[counted]
    given = np.full_like(gradient, np.nan)
    given[counted] = gradient[counted]
    arguments = (2, 2, 2, 2) if kind is kernels.DilatedPoolingMaxGradient else (2, 2)
    options = {"stride_x": 2, "stride_y": 2, "primary_offset": offset}
    kernel = kind(*arguments, **options, source_size=size)
    assert kernel.source_size == (size if size is None or len(size) == 3 else (*size, 2**63 - 1))
    source, primary = mpscnn.Image.from_numpy(x), mpscnn.Image.from_numpy(given)
    with index_rule.QUEUE.command_buffer() as commands:
        expected = kind(*arguments, **options).encode(commands, mpscnn.Image.from_numpy(chosen), source)
        if temporary:
            made = mpscnn.TemporaryImage(commands, 5, 4, 4, 2)
            kernels.NeuronLinear().encode(commands, primary, made)
            primary = made
        result = copy.deepcopy(kernel).encode(commands, primary, source)
        assert not temporary or made.read_count == 0
    np.testing.assert_array_equal(result.read(), expected.read())


def test_sizes_of_what_counts_that_are_none() -> None:
    for size in (3, (1, 2, 3, 4), (1, -1), ("a", 1), (1.5, 2)):
        with pytest.raises(mpscnn.ParameterError, match="PoolingMaxGradient: source_size must be None, "):
            kernels.PoolingMaxGradient(2, 2, source_size=size)  # type: ignore[arg-type]


ARITHMETIC: dict[str, tuple[Any, Any, Callable[[Any, Any], Any]]] = {
    "add": (kernels.Add, kernels.AddGradient, lambda x, y: 0.5 * x + 2 * y + 3),
    "subtract": (kernels.Subtract, kernels.SubtractGradient, lambda x, y: 0.5 * x - 2 * y + 3),
    "multiply": (kernels.Multiply, kernels.MultiplyGradient, lambda x, y: 0.5 * x * 2 * y + 3),
}


@pytest.mark.parametrize("secondary", [False, True])
@pytest.mark.parametrize("broadcast", ["none", "x", "y", "channels", "all"])
@pytest.mark.parametrize("name", ARITHMETIC)
def test_arithmetic(name: str, broadcast: str, secondary: bool) -> None:
    """Gradients are summed over axes on which an operand is broadcast. Scales have an effect, the bias has none."""
    forward_class, gradient_class, function = ARITHMETIC[name]
    x, y = normal(0, (2, 3, 4, 8)), normal(1, (2, 3, 4, 8))
    strides = {}
    for axis, key in (("y", "stride_y"), ("x", "stride_x"), ("channels", "stride_in_feature_channels")):
        if broadcast in (axis, "all"):
            strides[f"secondary_{key}"] = 0
            y = y.take([0], ("y", "x", "channels").index(axis) + 1)
    forward = forward_class(primary_scale=0.5, secondary_scale=2.0, bias=3.0, **strides)
    images = mpscnn.Image.from_numpy(x), mpscnn.Image.from_numpy(y)
    gradient = normal(2, x.shape)
    state = forward.result_state(*images)
    back = gradient_class(secondary)
    with index_rule.QUEUE.command_buffer() as commands:
        forward.encode(commands, *images, destination_state=state)
        other = images[0] if secondary else images[1]
        got = back.encode(commands, mpscnn.Image.from_numpy(gradient), other, state)
    if secondary:
        expected = numeric_gradient(lambda values: function(x, values), y, gradient)
    else:
        expected = numeric_gradient(lambda values: function(values, y), x, gradient)
    np.testing.assert_allclose(got.read(), expected, atol=2e-4)


def test_limits_of_an_arithmetic_gradient_are_its_own() -> None:
    x = normal(0, (2, 2, 4)) * 3
    got = index_rule.encode(kernels.AddGradient(minimum_value=-1.0, maximum_value=0.5), x, x)
    np.testing.assert_array_equal(got[0], np.clip(x, -1.0, 0.5))


@pytest.mark.parametrize("strides", [(1, 1, 1), (0, 1, 1), (1, 1, 0)])
def test_dropout_keeps_the_gradients_of_what_it_kept(strides: tuple[int, int, int]) -> None:
    forward = kernels.Dropout(0.5, seed=3, mask_stride_in_pixels=strides)
    back = kernels.DropoutGradient(0.5, seed=3, mask_stride_in_pixels=strides)
    x = np.ones((2, 5, 6, 9), np.float32)
    result, got, gradient = run(forward, back, x)
    np.testing.assert_array_equal(got, gradient * result)
    assert 0 < (result == 0).mean() < 1


def test_gradients_of_weights() -> None:
    """Gradients of weights have the layout of the weights and are summed over pixels and images."""
    x = normal(0, (2, 5, 6, 8))
    for name in ("convolution", "depthwise"):
        case = WINDOWED[name]
        forward, back = case.forward(*case.arguments), case.gradient(*case.arguments)
        source = mpscnn.Image.from_numpy(x)
        state = forward.result_state(source)
        with index_rule.QUEUE.command_buffer() as commands:
            result = forward.encode(commands, source, destination_state=state)
        gradient = normal(1, result.read().shape)
        with index_rule.QUEUE.command_buffer() as commands:
            back.encode(commands, mpscnn.Image.from_numpy(gradient), source, state)
        weights = case.arguments[1]
        call = Call(x.shape, gradient.shape, forward.offset)
        rows, columns = Window(2, 1, case.dilation), Window(3, 2, case.dilation)

        def function(
            values: Any,
            bias: Any = None,
            name: str = name,
            call: Call = call,
            rows: Window = rows,
            columns: Window = columns,
        ) -> Any:
            product = "vuc,ovuc->o" if name == "convolution" else "vuc,cvu->c"
            added = BIAS if bias is None and name == "convolution" else 0 if bias is None else bias
            return call.apply(
                x,
                rows,
                columns,
                np.zeros(call.destination),
                lambda taps, v, u: activated(np.einsum(product, taps, values) + added),
            )

        expected = numeric_gradient(function, weights, gradient)
        assert state.gradient_for_weights.shape == weights.shape
        assert state.gradient_for_weights_layout == "ohwi"
        np.testing.assert_allclose(state.gradient_for_weights, expected, atol=1e-4)
        bias = BIAS if name == "convolution" else np.zeros(8)
        of_bias = numeric_gradient(
            lambda values, weights=weights, function=function: function(weights, values), bias, gradient
        )
        np.testing.assert_allclose(state.gradient_for_biases, of_bias, atol=1e-4)


def test_gradients_of_gamma_and_beta() -> None:
    x = normal(0, (2, 3, 4, 8))
    forward = kernels.InstanceNormalization(GAMMA, epsilon=0.125)
    source = mpscnn.Image.from_numpy(x)
    state = forward.result_state(source)
    gradient = normal(1, x.shape)
    with index_rule.QUEUE.command_buffer() as commands:
        forward.encode(commands, source, destination_state=state)
        kernels.InstanceNormalizationGradient(GAMMA).encode(
            commands, mpscnn.Image.from_numpy(gradient), source, state
        )
    normalized = group_normalization(x.astype(np.float64), 8, 0.125, 1.0, 0.0)
    np.testing.assert_allclose(state.gradient_for_gamma, (gradient * normalized).sum((0, 1, 2)), atol=1e-5)
    np.testing.assert_allclose(state.gradient_for_beta, gradient.sum((0, 1, 2)), atol=1e-5)
    np.testing.assert_array_equal(state.gamma, GAMMA)
    np.testing.assert_array_equal(state.beta, np.zeros(8))


def test_gradients_of_slopes() -> None:
    """The property `gradient_of` selects the gradient of slopes, as C programs use it."""
    x, gradient = normal(0, (2, 3, 4, 8)), normal(1, (2, 3, 4, 8))
    back = kernels.NeuronGradient(NeuronDescriptor("prelu", data=np.arange(8.0)), gradient_of="neuron_data")
    got = index_rule.encode(back, gradient, x)
    np.testing.assert_allclose(got[0, 0, 0], (gradient * np.minimum(x, 0)).sum((0, 1, 2)), atol=1e-5)
