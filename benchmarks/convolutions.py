"""Compare the speed of convolutions at the sizes of MobileNet, SSD and DeepLab in mpscnn, torch and onnxruntime.

    python benchmarks/convolutions.py [--runs N] [--threads N] [--only TEXT]

Prints Markdown; benchmarks/README.md explains the columns. To measure another convolution, add a line to a list.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from peers import Array, Row, Shape, compare
from torch.nn import functional

import mpscnn


def _convolution(
    name: str, shape: Shape, filters: int, kernel: int, strides: int = 1, dilation: int = 1, groups: int = 1
) -> Row:
    """Return a row for a convolution, with padding that keeps the size if possible."""
    padding = (kernel - 1) * dilation // 2

    def build(network: mpscnn.Network, x: mpscnn.Tensor) -> mpscnn.Tensor:
        window: dict[str, Any] = {"strides": strides, "padding": padding, "dilation": dilation}
        return network.conv2d(x, filters, kernel, groups=groups, name="layer", **window)

    def peer(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return functional.conv2d(x, weight, None, strides, padding, dilation, groups)

    return Row(name, [shape], build, peer, lambda weights: [_weight(weights, 0, 3, 1, 2)])


def _transposed(name: str, shape: Shape, filters: int, kernel: int, strides: int) -> Row:
    """Return a row for a transposed convolution, with padding that multiplies the size by the stride if possible."""
    padding = (kernel - strides) // 2

    def build(network: mpscnn.Network, x: mpscnn.Tensor) -> mpscnn.Tensor:
        return network.conv2d_transpose(x, filters, kernel, strides=strides, padding=padding, name="layer")

    def peer(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return functional.conv_transpose2d(x, weight, None, strides, padding)

    return Row(name, [shape], build, peer, lambda weights: [_weight(weights, 3, 0, 1, 2)])


def _dense(features: int, outputs: int) -> Row:
    def build(network: mpscnn.Network, x: mpscnn.Tensor) -> mpscnn.Tensor:
        return network.dense(x, outputs, name="layer")

    def parameters(weights: Mapping[str, Array]) -> list[Array]:
        return [weights["layer.weight"].reshape(outputs, features)]

    return Row("fully connected", [(features,)], build, functional.linear, parameters)


def _weight(weights: Mapping[str, Array], *order: int) -> Array:
    return np.ascontiguousarray(weights["layer.weight"].transpose(order))


CONVOLUTIONS = [
    _convolution("3x3/2, first", (224, 224, 3), 32, 3, strides=2),
    _convolution("7x7/2, first", (224, 224, 3), 64, 7, strides=2),
    _convolution("1x1", (112, 112, 32), 64, 1),
    _convolution("1x1", (56, 56, 24), 144, 1),
    _convolution("1x1", (14, 14, 96), 576, 1),
    _convolution("1x1", (7, 7, 320), 1280, 1),
    _convolution("3x3", (56, 56, 64), 64, 3),
    _convolution("3x3", (28, 28, 128), 128, 3),
    _convolution("3x3", (14, 14, 256), 256, 3),
    _convolution("3x3", (7, 7, 512), 512, 3),
    _convolution("3x3/2", (56, 56, 64), 128, 3, strides=2),
    _convolution("3x3/2", (19, 19, 256), 512, 3, strides=2),
    _convolution("5x5", (28, 28, 32), 64, 5),
    _convolution("3x3, few inputs", (64, 64, 8), 16, 3),
    _convolution("3x3, few outputs", (64, 64, 64), 3, 3),
    _convolution("3x3, detection head", (19, 19, 512), 24, 3),
    _convolution("1x1, segmentation head", (65, 65, 256), 21, 1),
    _convolution("depthwise 3x3", (112, 112, 32), 32, 3, groups=32),
    _convolution("depthwise 3x3", (14, 14, 576), 576, 3, groups=576),
    _convolution("depthwise 3x3/2", (112, 112, 96), 96, 3, strides=2, groups=96),
    _convolution("depthwise 5x5", (14, 14, 480), 480, 5, groups=480),
    _convolution("depthwise 3x3, dilated 2", (33, 33, 576), 576, 3, dilation=2, groups=576),
    _convolution("depthwise 3x3, dilated 4", (33, 33, 960), 960, 3, dilation=4, groups=960),
    _convolution("3x3, dilated 2", (33, 33, 256), 256, 3, dilation=2),
    _convolution("3x3, dilated 12", (33, 33, 320), 256, 3, dilation=12),
    _convolution("3x3, 4 groups", (28, 28, 128), 128, 3, groups=4),
    _convolution("3x3, 32 groups", (28, 28, 256), 256, 3, groups=32),
    _dense(1024, 1000),
    _dense(7 * 7 * 1280, 1000),
    _transposed("transposed 3x3/2", (33, 33, 256), 128, 3, 2),
    _transposed("transposed 2x2/2", (14, 14, 512), 256, 2, 2),
    _transposed("transposed 4x4/2", (14, 14, 512), 256, 4, 2),
    _transposed("transposed 4x4/2, few outputs", (64, 64, 64), 3, 4, 2),
    _transposed("transposed 16x16/8", (28, 28, 21), 21, 16, 8),
]

if __name__ == "__main__":
    compare(
        "Compare convolutions with torch and onnxruntime.", {"convolution": CONVOLUTIONS}, with_copy=False
    )
