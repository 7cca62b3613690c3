"""Compare gradients of layers' inputs and weights with PyTorch's in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mpscnn

torch = pytest.importorskip("torch", reason="torch is not installed")
RANDOM = np.random.default_rng(5)
#: Numbers with few different values, so that many are equal.
TIES = RANDOM.integers(-2, 3, (3, 6, 7, 8)).astype(np.float32)
NUMBERS = RANDOM.normal(size=(3, 6, 7, 8)).astype(np.float32)


def first(image: Any) -> Any:
    """Move the channels to the front, as torch's layers need them."""
    return image.permute(0, 3, 1, 2)


def last(image: Any) -> Any:
    return image.permute(0, 2, 3, 1)


def compare(
    layer: Callable[[mpscnn.Network], Any],
    function: Callable[[Any], Any],
    x: NDArray[np.float32],
    *,
    atol: float = 1e-5,
) -> None:
    """Compare mpscnn's gradient of the input with PyTorch's, for the same random gradient of the result.

    `layer` adds the tested layer to a network, and `function` computes the same with PyTorch.
    """
    net = mpscnn.Network(input=x.shape[1:], name="net")
    net.output(layer(net))
    argument = torch.from_numpy(x.astype(np.float64)).requires_grad_()
    result = function(argument)
    gradient = RANDOM.normal(size=result.shape).astype(np.float32)
    result.backward(torch.from_numpy(gradient.astype(np.float64)))
    _, own = net.gradients(x, output_gradient=gradient)
    np.testing.assert_allclose(own["image"], argument.grad.numpy(), atol=atol, rtol=1e-5)


@pytest.mark.parametrize("axis", [1, 2, 3])
@pytest.mark.parametrize("x", [TIES, NUMBERS], ids=["ties", "numbers"])
def test_reductions_to_chosen_elements(axis: int, x: NDArray[np.float32]) -> None:
    compare(lambda net: net.reduce_max(net.input, axis), lambda t: torch.amax(t, axis, keepdim=True), x)
    compare(lambda net: net.reduce_min(net.input, axis), lambda t: torch.amin(t, axis, keepdim=True), x)


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_norms(axis: int) -> None:
    x = NUMBERS.copy()
    x[0] = 0  # torch gives the gradient 0 there, too
    compare(
        lambda net: net.reduce_l2(net.input, axis),
        lambda t: torch.linalg.vector_norm(t, dim=axis, keepdim=True),
        x,
    )


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_chosen_operands(name: str) -> None:
    def layer(net: mpscnn.Network) -> Any:
        turned = net.channel_shuffle(net.input, 2)
        return getattr(net, name)(net.input, turned)

    def function(t: Any) -> Any:
        turned = t.reshape(*t.shape[:3], 2, 4).transpose(3, 4).reshape(t.shape)
        return getattr(torch, name)(t, turned)

    compare(layer, function, TIES)


@pytest.mark.parametrize("rank", [2, 3])
def test_slices_of_tensors_of_less_axes(rank: int) -> None:
    """Test slices of tensors with 2 or 3 axes, such as the first token of a transformer."""
    x = NUMBERS.reshape(18, 7, 8) if rank == 3 else NUMBERS.reshape(-1, 8)
    net = mpscnn.Network(input={"x": x.shape[1:]}, name="net")
    attributes = {"front": 2, "channels": 5} | ({"left": 1, "stride_x": 3} if rank == 3 else {})
    net.output(net.layer("slice", [net.input], attributes))
    expected = np.zeros(x.shape, np.float32)
    part = np.s_[:, 1::3, 2:7] if rank == 3 else np.s_[:, 2:7]
    gradient = RANDOM.normal(size=x[part].shape).astype(np.float32)
    expected[part] = gradient
    _, own = net.gradients(x, output_gradient=gradient)
    np.testing.assert_array_equal(own["x"], expected)


def test_slices_of_channels_of_images_of_any_size() -> None:
    net = mpscnn.Network(input=(None, None, 8), name="net")
    net.output(net.layer("slice", [net.input], {"front": 2, "channels": 5}))
    gradient = RANDOM.normal(size=(3, 6, 7, 5)).astype(np.float32)
    _, own = net.gradients(NUMBERS, output_gradient=gradient)
    np.testing.assert_array_equal(own["image"], np.pad(gradient, ((0, 0), (0, 0), (0, 0), (2, 1))))
    rows = mpscnn.Network(input=(None, None, 8), name="net")
    rows.output(rows.layer("slice", [rows.input], {"top": 1, "height": 2}))
    with pytest.raises(mpscnn.UnsupportedError, match="a part of a free extent has no gradient"):
        rows.gradients(NUMBERS, output_gradient=NUMBERS[:, 1:3])


@pytest.mark.parametrize("kind", ["sum", "mean"])
def test_weighted_reductions(kind: str) -> None:
    weights = TIES.copy()
    weights[0] = 0  # a mean with weights of 0 alone passes no gradient on
    net = mpscnn.Network(input={"x": (6, 7, 8), "weights": (6, 7, 8)}, name="net")
    net.output(net.layer("weighted_reduction", net.inputs, {"kind": kind}))
    gradient = RANDOM.normal(size=(3, 6, 7, 1)).astype(np.float32)
    _, own = net.gradients([NUMBERS, weights], output_gradient=gradient)
    count = np.maximum((weights != 0).sum(-1, keepdims=True), 1) if kind == "mean" else 1
    kept = gradient * (weights != 0).any(-1, keepdims=True) if kind == "mean" else gradient
    np.testing.assert_allclose(own["x"], kept * weights / count, atol=1e-6)
    np.testing.assert_allclose(own["weights"], kept * NUMBERS / count, atol=1e-6)


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "depthwise"),
    [
        (1, 1, 1, False),
        (3, 1, 1, False),
        (5, 1, 1, False),
        (1, 2, 1, True),
        (2, 1, 2, True),
        (3, 1, 1, True),
        (3, 2, 1, True),
        (5, 3, 2, True),
    ],
)
def test_convolutions_of_normalized_inputs(kernel: int, stride: int, dilation: int, depthwise: bool) -> None:
    """Test weight gradients of a convolution that recompute its input from the source of a batch normalization."""
    size, inputs, outputs = (3, 22, 19, 20), 20, 20 if depthwise else 24
    window: dict[str, Any] = {"padding": kernel // 2 * dilation, "dilation": dilation}
    net = mpscnn.Network(input=size[1:], name="net")
    y = net.activation(net.batch_norm(net.input, epsilon=1e-3, name="norm"), "relu6")
    if depthwise:
        net.output(net.depthwise_conv2d(y, kernel, strides=stride, name="conv", **window))
    else:
        net.output(net.conv2d(y, outputs, kernel, strides=stride, name="conv", **window))
    weight = RANDOM.normal(size=(outputs, kernel, kernel, 1 if depthwise else inputs)).astype(np.float32)
    shift = RANDOM.normal(size=inputs).astype(np.float32)
    net.initialize_weights(seed=1)
    net.set_weights({"conv.weight": weight, "norm.beta": shift}, layout="OHWI")
    x = RANDOM.normal(size=size).astype(np.float32)
    source = first(torch.from_numpy(x.astype(np.float64)))
    beta = torch.from_numpy(shift.astype(np.float64))
    normalized = torch.nn.functional.batch_norm(source, None, None, bias=beta, training=True, eps=1e-3)
    theirs = torch.from_numpy(weight.astype(np.float64).transpose(0, 3, 1, 2)).requires_grad_()
    groups = inputs if depthwise else 1
    result = last(
        torch.nn.functional.conv2d(normalized.clamp(0, 6), theirs, stride=stride, groups=groups, **window)
    )
    gradient = RANDOM.normal(size=result.shape).astype(np.float32)
    result.backward(torch.from_numpy(gradient.astype(np.float64)))
    _, own = net.gradients(x, output_gradient=gradient)
    expected = last(theirs.grad).numpy()
    np.testing.assert_allclose(own["conv.weight"], expected, atol=2e-6 * np.abs(expected).max(), rtol=1e-5)


def test_prelu_at_zero() -> None:
    net = mpscnn.Network(input=(6, 7, 8), name="net")
    net.output(net.activation(net.input, "prelu", name="prelu"))
    slopes = RANDOM.normal(size=8).astype(np.float32)
    net.load_weights({"prelu.slope": slopes})
    x = torch.from_numpy(TIES.astype(np.float64)).requires_grad_()
    theirs = torch.from_numpy(slopes.astype(np.float64)).requires_grad_()
    result = last(torch.nn.functional.prelu(first(x), theirs))
    gradient = RANDOM.normal(size=result.shape).astype(np.float32)
    result.backward(torch.from_numpy(gradient.astype(np.float64)))
    _, own = net.gradients(TIES, output_gradient=gradient)
    np.testing.assert_allclose(own["image"], x.grad.numpy(), atol=1e-6)
    np.testing.assert_allclose(own["prelu.slope"], theirs.grad.numpy(), atol=1e-4, rtol=1e-5)
