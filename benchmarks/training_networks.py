"""The networks for the training benchmarks, each written once for all engines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

#: The stages of MobileNetV2: expansion, channels, number of blocks, and stride of the first block.
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class Layers(Protocol):
    """The layers of an engine, called in the order of the network. `inputs` is the number of channels of x."""

    def convolution(
        self, x: Any, inputs: int, outputs: int, kernel: int, stride: int = 1, *, bias: bool = True
    ) -> Any: ...
    def depthwise(self, x: Any, inputs: int, kernel: int, stride: int) -> Any: ...
    def batch_norm(self, x: Any, inputs: int) -> Any: ...
    def relu(self, x: Any) -> Any: ...
    def relu6(self, x: Any) -> Any: ...
    def add(self, x: Any, y: Any) -> Any: ...
    def max_pool(self, x: Any) -> Any: ...
    def mean_of_image(self, x: Any) -> Any: ...
    def flatten(self, x: Any) -> Any: ...
    def dropout(self, x: Any, rate: float) -> Any: ...
    def dense(self, x: Any, inputs: int, outputs: int) -> Any: ...


@dataclass(frozen=True)
class Case:
    """A network and its batch size. If `adam`, it is trained with Adam, otherwise with SGD with momentum."""

    shape: tuple[int, int, int]
    batch: int
    classes: int
    adam: bool

    def apply(self, layers: Layers, x: Any) -> Any:
        """Return the logits."""
        return _deep_mnist(layers, x) if self.adam else _mobilenet_v2(layers, x, self.classes)


CASES = {
    "deep_mnist": Case((28, 28, 1), 64, 10, adam=True),
    "mobilenet_v2_96": Case((96, 96, 3), 32, 1000, adam=False),
    "mobilenet_v2_224": Case((224, 224, 3), 8, 1000, adam=False),
}


def _deep_mnist(layers: Layers, x: Any) -> Any:
    x = layers.max_pool(layers.relu(layers.convolution(x, 1, 32, 5)))
    x = layers.max_pool(layers.relu(layers.convolution(x, 32, 64, 5)))
    x = layers.relu(layers.dense(layers.flatten(x), 3136, 1024))
    return layers.dense(layers.dropout(x, 0.5), 1024, 10)


def _mobilenet_v2(layers: Layers, x: Any, classes: int) -> Any:
    def normalized(x: Any, channels: int, *, relu: bool = True) -> Any:
        x = layers.batch_norm(x, channels)
        return layers.relu6(x) if relu else x

    x = normalized(layers.convolution(x, 3, 32, 3, 2, bias=False), 32)
    inputs = 32
    for expansion, channels, blocks, first in _STAGES:
        for i in range(blocks):
            wide, stride = inputs * expansion, first if i == 0 else 1
            y = x
            if expansion > 1:
                y = normalized(layers.convolution(y, inputs, wide, 1, bias=False), wide)
            y = normalized(layers.depthwise(y, wide, 3, stride), wide)
            y = normalized(layers.convolution(y, wide, channels, 1, bias=False), channels, relu=False)
            x = layers.add(x, y) if stride == 1 and inputs == channels else y
            inputs = channels
    x = normalized(layers.convolution(x, inputs, 1280, 1, bias=False), 1280)
    return layers.dense(layers.dropout(layers.mean_of_image(x), 0.2), 1280, classes)
