"""Gradients through normalized inputs of convolutions, compared with PyTorch in float64, and through slices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mpscnn

torch = pytest.importorskip("torch", reason="torch is not installed")
RANDOM = np.random.default_rng(5)
NUMBERS = RANDOM.normal(size=(3, 6, 7, 8)).astype(np.float32)


def first(image: Any) -> Any:
    """Move the channels to the front, as torch's layers need them."""
    return image.permute(0, 3, 1, 2)


def last(image: Any) -> Any:
    return image.permute(0, 2, 3, 1)


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
