"""Compare DeepLabv3 and v3+ with PyTorch networks built here from the articles' tables, with random weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mpscnn
from mpscnn.models import deeplab_v3, deeplab_v3_plus

torch = pytest.importorskip("torch", reason="torch is not installed")
functional = torch.nn.functional
torch.set_num_threads(1)  # with maps this small, more threads would mostly wait for each other

# Sandler et al. 2018, table 2: expansion, channels, stride of each block.
BLOCKS = [
    (1, 16, 1), (6, 24, 2), (6, 24, 1), (6, 32, 2), (6, 32, 1), (6, 32, 1), (6, 64, 2), (6, 64, 1), (6, 64, 1),
    (6, 64, 1), (6, 96, 1), (6, 96, 1), (6, 96, 1), (6, 160, 2), (6, 160, 1), (6, 160, 1), (6, 320, 1),
]  # fmt: skip
# Stride and dilation of each block's depthwise convolution.
STEPS = {
    16: [
        (stride if block < 14 else 1, 2 if block > 14 else 1)
        for block, (_, _, stride) in enumerate(BLOCKS, 1)
    ],
    8: [
        (stride if block < 7 else 1, 4 if block > 14 else 2 if block > 7 else 1)
        for block, (_, _, stride) in enumerate(BLOCKS, 1)
    ],
}


class Oracle:
    """The network in PyTorch, in float64."""

    def __init__(self, weights: Mapping[str, NDArray[Any]]) -> None:
        self.weights = {name: torch.tensor(value).double() for name, value in weights.items()}
        self.used: set[str] = set()

    def conv(self, x: Any, name: str, activation: Any = None, stride: int = 1, dilation: int = 1) -> Any:
        """Convolve with TensorFlow's SAME padding. Weights are [out][kernel height][kernel width][in / groups]."""
        weight, bias = (self.weights[f"{name}.{role}"] for role in ("weight", "bias"))
        self.used |= {f"{name}.weight", f"{name}.bias"}
        weight = weight.permute(0, 3, 1, 2)
        sides = []
        for extent, kernel in ((x.shape[3], weight.shape[3]), (x.shape[2], weight.shape[2])):
            outputs = -(-extent // stride)
            total = max(0, (outputs - 1) * stride + dilation * (kernel - 1) + 1 - extent)
            sides += [total // 2, total - total // 2]
        groups = x.shape[1] // weight.shape[1]
        y = functional.conv2d(
            functional.pad(x, sides), weight, bias, stride=stride, dilation=dilation, groups=groups
        )
        return y if activation is None else activation(y)

    def separable(self, x: Any, name: str, dilation: int = 1) -> Any:
        x = self.conv(x, f"{name}_depthwise", torch.relu, dilation=dilation)
        return self.conv(x, f"{name}_pointwise", torch.relu)

    def run(self, image: Any, stride: int, rates: tuple[int, ...], decoder: bool) -> Any:
        x = self.conv(image, "conv1", functional.relu6, stride=2)
        low_level = None
        for block, ((expansion, channels, _), (step, dilation)) in enumerate(
            zip(BLOCKS, STEPS[stride], strict=True), 1
        ):
            y = x if expansion == 1 else self.conv(x, f"expand{block}", functional.relu6)
            y = self.conv(y, f"depthwise{block}", functional.relu6, stride=step, dilation=dilation)
            if block == 3:
                low_level = y
            y = self.conv(y, f"project{block}")
            x = x + y if step == 1 and x.shape[1] == channels else y
        pooled = self.conv(x.mean(dim=(2, 3), keepdim=True), "image_pooling", torch.relu)
        branches = [pooled.expand(-1, -1, *x.shape[2:]), self.conv(x, "aspp0", torch.relu)]
        branches += [self.separable(x, f"aspp{i}", rate) for i, rate in enumerate(rates, 1)]
        x = self.conv(torch.cat(branches, dim=1), "aspp_projection", torch.relu)
        if decoder:
            low_level = self.conv(low_level, "decoder_projection", torch.relu)
            x = torch.cat([resized(x, low_level), low_level], dim=1)
            x = self.separable(self.separable(x, "decoder1"), "decoder2")
        return resized(self.conv(x, "logits"), image)


def resized(x: Any, like: Any) -> Any:
    return functional.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=True)


@pytest.mark.parametrize("stride", [16, 8])
@pytest.mark.parametrize(
    ("build", "rates", "size"),
    [
        (deeplab_v3, (), (97, 65)),
        (deeplab_v3, (2, 3), (66, 80)),
        (deeplab_v3_plus, None, (65, 97)),
        (deeplab_v3_plus, (3,), (50, 33)),
    ],
)
def test_pytorch_agrees(
    build: Any, rates: tuple[int, ...] | None, size: tuple[int, int], stride: int
) -> None:
    network: mpscnn.Network = build(
        input_size=size, classes=7, output_stride=stride, **({} if rates is None else {"atrous_rates": rates})
    )
    network.initialize_weights(5)
    generator = np.random.default_rng(6)
    network.load_weights(
        {
            name: generator.normal(0, 0.1, value.shape).astype(np.float32)
            for name, value in network.weights.items()
            if name.endswith(".bias")
        },
        layout="OHWI",
    )
    oracle = Oracle(network.weights)
    x = generator.uniform(-1, 1, (2, *size, 3)).astype(np.float32)
    article = {16: (6, 12, 18), 8: (12, 24, 36)}[stride]
    image = torch.from_numpy(x).double().permute(0, 3, 1, 2)
    expected = oracle.run(image, stride, article if rates is None else rates, build is deeplab_v3_plus)
    assert oracle.used == set(network.weights)
    result = np.asarray(network.compile(device="cpu", precision="float32").session().run(x))
    reference = expected.permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(result, reference, rtol=0, atol=1e-4 * np.abs(reference).max())
