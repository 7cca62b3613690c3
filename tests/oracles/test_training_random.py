"""Compare gradients of small random networks with PyTorch in float64. Extents may be odd or 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mpscnn
from mpscnn.graph.layers.layer_maker import Tensor

torch: Any = pytest.importorskip("torch", reason="torch is not installed")
F: Any = torch.nn.functional

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "relu": torch.relu,
    "relu6": F.relu6,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "swish": F.silu,
    "hard_swish": F.hardswish,
    "gelu": F.gelu,
    "elu": F.elu,
    "softplus": F.softplus,
}


def on_channels(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Make a function of images with channels last from one of images with channels first."""
    return lambda x: function(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class Pair:
    """The same random network twice: for mpscnn, and for torch as functions of images with channels last."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        height, width, channels = self.numbers(1, 10, 2) + self.numbers(1, 20, 1)
        self.images = self.random.normal(size=(*self.numbers(1, 4, 1), height, width, channels))
        self.net = mpscnn.Network(input=(height, width, channels), name=f"random {seed}")
        self.x: Tensor = self.net.input
        self.functions: list[Callable[[Any], Any]] = []
        self.weights: dict[str, Any] = {}
        layers = [
            self.convolution,
            self.convolution,
            self.depthwise,
            self.batch_norm,
            self.group_norm,
            self.layer_norm,
            self.instance_norm,
            self.pooling,
            self.resize,
            self.prelu,
            self.residual,
            self.joined,
            self.gated,
        ]
        for i in range(int(self.random.integers(2, 7))):
            layers[self.random.integers(0, len(layers))](f"layer{i}")

    def numbers(self, low: int, high: int, count: int) -> list[int]:
        return [int(number) for number in self.random.integers(low, high, count)]

    def weight(self, name: str, *shape: int) -> Any:
        """Return a random weight, whose magnitude is about 1 / sqrt(number of products in a sum)."""
        scale = 1 / np.sqrt(max(1, int(np.prod(shape[1:]))))
        value = (scale * self.random.normal(size=shape)).astype(np.float32).astype(np.float64)
        self.weights[name] = torch.from_numpy(value).requires_grad_()
        return self.weights[name]

    def activation(self) -> tuple[str | None, Callable[[Any], Any]]:
        names = [None, *ACTIVATIONS]
        name = names[self.random.integers(0, len(names))]
        return name, (lambda x: x) if name is None else ACTIVATIONS[name]

    def add(self, x: Tensor, function: Callable[[Any], Any]) -> None:
        self.x = x
        self.functions.append(function)

    def extents(self) -> tuple[int, int, int]:
        height, width, channels = self.x.shape[1:]
        assert height is not None
        assert width is not None
        assert channels is not None
        return height, width, channels

    def convolution(self, name: str) -> None:
        height, width, channels = self.extents()
        groups = int(self.random.choice([g for g in range(1, channels + 1) if channels % g == 0][:3]))
        outputs = groups * int(self.random.integers(1, 8))
        (rows, columns), strides = self.numbers(1, 5, 2), tuple(self.numbers(1, 4, 2))
        dilation = tuple(self.numbers(1, 3, 2))
        top, bottom, left, right = self.numbers(0, 4, 4)
        bottom += max(0, (rows - 1) * dilation[0] + 1 - height - top - bottom)
        right += max(0, (columns - 1) * dilation[1] + 1 - width - left - right)
        weight = self.weight(f"{name}.weight", outputs, rows, columns, channels // groups)
        bias, (kind, function) = self.weight(f"{name}.bias", outputs), self.activation()

        def convolve(x: Any) -> Any:
            x = F.pad(x, (left, right, top, bottom))
            w = weight.permute(0, 3, 1, 2)
            return function(F.conv2d(x, w, bias, stride=strides, dilation=dilation, groups=groups))

        x = self.net.conv2d(
            self.x,
            outputs,
            (rows, columns),
            strides=strides,
            padding=((top, bottom), (left, right)),
            dilation=dilation,
            groups=groups,
            activation=kind,
            name=name,
        )
        self.add(x, on_channels(convolve))

    def depthwise(self, name: str) -> None:
        channels = self.extents()[2]
        multiplier, half, stride = self.numbers(1, 3, 3)
        half -= 1
        kernel = 2 * half + 1
        weight = self.weight(f"{name}.weight", channels * multiplier, kernel, kernel, 1)
        bias, (kind, function) = self.weight(f"{name}.bias", channels * multiplier), self.activation()

        def convolve(x: Any) -> Any:
            w = weight.permute(0, 3, 1, 2)
            return function(F.conv2d(x, w, bias, stride=stride, padding=half, groups=channels))

        x = self.net.depthwise_conv2d(
            self.x,
            kernel,
            strides=stride,
            padding=((half, half), (half, half)),
            multiplier=multiplier,
            activation=kind,
            name=name,
        )
        self.add(x, on_channels(convolve))

    def scale(self, name: str) -> tuple[Any, Any]:
        channels = self.extents()[2]
        return self.weight(f"{name}.gamma", channels), self.weight(f"{name}.beta", channels)

    def batch_norm(self, name: str) -> None:
        height, width, _ = self.extents()
        if len(self.images) * height * width < 2:
            return  # torch refuses to normalize single numbers
        gamma, beta = self.scale(name)
        self.add(
            self.net.batch_norm(self.x, epsilon=0.1, name=name),
            on_channels(lambda x: F.batch_norm(x, None, None, gamma, beta, True, 0.1, 0.1)),
        )
        kind, function = self.activation()
        if kind is not None:
            self.add(self.net.activation(self.x, kind), function)

    def group_norm(self, name: str) -> None:
        height, width, channels = self.extents()
        groups = int(self.random.choice([g for g in range(1, channels + 1) if channels % g == 0]))
        if height * width * channels // groups < 2:
            return
        gamma, beta = self.scale(name)
        self.add(
            self.net.group_norm(self.x, groups, epsilon=0.1, name=name),
            on_channels(lambda x: F.group_norm(x, groups, gamma, beta, 0.1)),
        )

    def layer_norm(self, name: str) -> None:
        gamma, beta = self.scale(name)
        self.add(
            self.net.layer_norm(self.x, epsilon=0.1, name=name),
            lambda x: F.layer_norm(x, gamma.shape, gamma, beta, 0.1),
        )

    def instance_norm(self, name: str) -> None:
        """Normalize by the definition. torch's own function has wrong gradients for one image with channels last."""
        gamma, beta = self.scale(name)

        def normalize(x: Any) -> Any:
            variance = x.var((1, 2), keepdim=True, unbiased=False)
            return (x - x.mean((1, 2), keepdim=True)) / torch.sqrt(variance + 0.1) * gamma + beta

        self.add(self.net.instance_norm(self.x, epsilon=0.1, name=name), normalize)

    def pooling(self, name: str) -> None:
        height, width, _ = self.extents()
        kernel, stride = self.numbers(1, 4, 1)[0], self.numbers(1, 3, 1)[0]
        kernel = min(kernel, height, width)
        if self.random.integers(0, 2):
            x = self.net.max_pool2d(self.x, kernel, strides=stride, padding="valid", name=name)
            self.add(x, on_channels(lambda t: F.max_pool2d(t, kernel, stride)))
        else:
            x = self.net.average_pool2d(self.x, kernel, strides=stride, padding="valid", name=name)
            self.add(x, on_channels(lambda t: F.avg_pool2d(t, kernel, stride)))

    def resize(self, name: str) -> None:
        rows, columns = self.numbers(1, 8, 2)
        alignment, corners = [("asymmetric", None), ("half_pixel", False), ("corners", True)][
            self.random.integers(0, 3)
        ]
        method = "nearest" if corners is None else "bilinear"
        self.add(
            self.net.resize(self.x, (rows, columns), method=method, alignment=alignment, name=name),
            on_channels(lambda x: F.interpolate(x, size=(rows, columns), mode=method, align_corners=corners)),
        )

    def prelu(self, name: str) -> None:
        slope = self.weight(f"{name}.slope", self.extents()[2])
        self.add(self.net.activation(self.x, "prelu", name=name), on_channels(lambda x: F.prelu(x, slope)))

    def pointwise(self, name: str, outputs: int) -> Callable[[Any], Any]:
        """Return a pointwise convolution as a function of images with channels last."""
        weight = self.weight(f"{name}.weight", outputs, 1, 1, self.extents()[2])
        bias = self.weight(f"{name}.bias", outputs)
        return lambda x: F.linear(x, weight[:, 0, 0], bias)

    def residual(self, name: str) -> None:
        channels, (kind, function) = self.extents()[2], self.activation()
        own = self.pointwise(name, channels)
        y = self.net.conv2d(self.x, channels, 1, activation=kind, name=name)
        self.add(self.net.add(self.x, y), lambda x: x + function(own(x)))

    def joined(self, name: str) -> None:
        """Concatenate the input twice, and a convolution of it, so that the input's gradient has three parts."""
        outputs = int(self.random.integers(1, 9))
        own = self.pointwise(name, outputs)
        y = self.net.conv2d(self.x, outputs, 1, name=name)
        self.add(self.net.concat([self.x, y, self.x]), lambda x: torch.cat([x, own(x), x], -1))

    def gated(self, name: str) -> None:
        """Multiply each channel of an image by a number that is computed from the channels' means."""
        own = self.pointwise(name, self.extents()[2])
        pooled = self.net.global_average_pool2d(self.x)
        gate = self.net.conv2d(pooled, self.extents()[2], 1, activation="sigmoid", name=name)
        self.add(
            self.net.multiply(self.x, gate), lambda x: x * torch.sigmoid(own(x.mean((1, 2), keepdim=True)))
        )


def check(seed: int) -> None:
    pair = Pair(seed)
    if not pair.functions:
        return
    net = pair.net
    net.output(pair.x)
    weights = {name: value.detach().numpy() for name, value in pair.weights.items()}
    for spec in net.weight_specs():  # running statistics, which do not matter in training
        if spec["role"] in ("mean", "variance"):
            weights[f"{spec['layer']}.{spec['role']}"] = np.ones(spec["shape"])
    net.load_weights({name: value.astype(np.float32) for name, value in weights.items()}, layout="OHWI")
    images = pair.images.astype(np.float32)
    x = torch.from_numpy(images.astype(np.float64)).requires_grad_()
    y = x
    for function in pair.functions:
        y = function(y)
    gradient = pair.random.normal(size=tuple(y.shape)).astype(np.float32)
    y.backward(torch.from_numpy(gradient.astype(np.float64)))
    _, found = net.gradients(images, output_gradient=gradient, threads=1 + seed % 2)
    assert found.keys() == {"image", *pair.weights}
    for name, value in {"image": x, **pair.weights}.items():
        expected = value.grad.numpy()
        scale = np.abs(expected).max() + 0.3  # some gradients are zero except for rounding
        np.testing.assert_allclose(
            found[name].reshape(expected.shape),
            expected,
            rtol=0,
            atol=2e-4 * scale,
            err_msg=f"{seed}: {name}",
        )


@pytest.mark.parametrize("first", [0, pytest.param(1000, marks=pytest.mark.full)])
def test_random_networks(first: int) -> None:
    for seed in range(first, first + (60 if first == 0 else 2000)):
        check(seed)
