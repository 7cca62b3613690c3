"""Build Inception-v3 (Szegedy et al. 2015), as torchvision does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network
from mpscnn.models.blocks import Classifier, global_average_pool

Kernel = int | tuple[int, int]


@dataclass(frozen=True)
class InceptionV3(Classifier):
    """Inception-v3 without its auxiliary classifier, which serves training only; see `Classifier`.

    Layers: Conv2d_1a_3x3.conv ... Conv2d_4a_3x3.conv with maxpool1 and maxpool2; for each block Mixed_5b ... Mixed_7c
    its convolutions, such as Mixed_5b.branch1x1.conv, its pooling, and their concatenation, which has the block's name;
    avgpool, flatten, fc.
    """

    def _logits(self, net: Network, x: Tensor, classes: int) -> Tensor:
        x = _convolution(net, x, 32, 3, "Conv2d_1a_3x3", stride=2, padding=0)
        x = _convolution(net, x, 32, 3, "Conv2d_2a_3x3", padding=0)
        x = _convolution(net, x, 64, 3, "Conv2d_2b_3x3")
        x = net.max_pool2d(x, 3, strides=2, name="maxpool1")
        x = _convolution(net, x, 80, 1, "Conv2d_3b_1x1")
        x = _convolution(net, x, 192, 3, "Conv2d_4a_3x3", padding=0)
        x = net.max_pool2d(x, 3, strides=2, name="maxpool2")
        for letter, pooled in (("b", 32), ("c", 64), ("d", 64)):
            x = _block_a(net, x, pooled, f"Mixed_5{letter}")
        x = _block_b(net, x, "Mixed_6a")
        for letter, width in (("b", 128), ("c", 160), ("d", 160), ("e", 192)):
            x = _block_c(net, x, width, f"Mixed_6{letter}")
        x = _block_d(net, x, "Mixed_7a")
        for letter in "bc":
            x = _block_e(net, x, f"Mixed_7{letter}")
        return net.dense(global_average_pool(net, x), classes, name="fc")


def _convolution(
    net: Network,
    x: Tensor,
    channels: int,
    kernel: Kernel,
    name: str,
    *,
    stride: int = 1,
    padding: int | None = None,
) -> Tensor:
    """Add a convolution with ReLU whose padding keeps the size, unless the padding is given."""
    rows, columns = (kernel, kernel) if isinstance(kernel, int) else kernel
    pads = (rows // 2, columns // 2) if padding is None else padding
    return net.conv2d(
        x, channels, (rows, columns), strides=stride, padding=pads, activation="relu", name=f"{name}.conv"
    )


def _chain(net: Network, x: Tensor, name: str, steps: Sequence[tuple[str, int, Kernel]]) -> Tensor:
    """Add convolutions one after the other: (the end of the name, channels, kernel)."""
    for end, channels, kernel in steps:
        x = _convolution(net, x, channels, kernel, f"{name}.{end}")
    return x


def _pooled(net: Network, x: Tensor, channels: int, name: str) -> Tensor:
    y = net.average_pool2d(x, 3, strides=1, padding=1, count_padding=True, name=f"{name}.pool")
    return _convolution(net, y, channels, 1, f"{name}.branch_pool")


def _block_a(net: Network, x: Tensor, pooled: int, name: str) -> Tensor:
    return net.concat(
        [
            _chain(net, x, name, [("branch1x1", 64, 1)]),
            _chain(net, x, name, [("branch5x5_1", 48, 1), ("branch5x5_2", 64, 5)]),
            _chain(
                net,
                x,
                name,
                [("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3)],
            ),
            _pooled(net, x, pooled, name),
        ],
        name=name,
    )


def _block_b(net: Network, x: Tensor, name: str) -> Tensor:
    large = _chain(net, x, name, [("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3)])
    return net.concat(
        [
            _convolution(net, x, 384, 3, f"{name}.branch3x3", stride=2, padding=0),
            _convolution(net, large, 96, 3, f"{name}.branch3x3dbl_3", stride=2, padding=0),
            net.max_pool2d(x, 3, strides=2, name=f"{name}.pool"),
        ],
        name=name,
    )


def _block_c(net: Network, x: Tensor, width: int, name: str) -> Tensor:
    row, column = (1, 7), (7, 1)
    double: list[tuple[str, int, Kernel]] = [
        ("branch7x7dbl_1", width, 1),
        ("branch7x7dbl_2", width, column),
        ("branch7x7dbl_3", width, row),
        ("branch7x7dbl_4", width, column),
        ("branch7x7dbl_5", 192, row),
    ]
    return net.concat(
        [
            _chain(net, x, name, [("branch1x1", 192, 1)]),
            _chain(
                net,
                x,
                name,
                [("branch7x7_1", width, 1), ("branch7x7_2", width, row), ("branch7x7_3", 192, column)],
            ),
            _chain(net, x, name, double),
            _pooled(net, x, 192, name),
        ],
        name=name,
    )


def _block_d(net: Network, x: Tensor, name: str) -> Tensor:
    small = _chain(net, x, name, [("branch3x3_1", 192, 1)])
    large = _chain(
        net,
        x,
        name,
        [("branch7x7x3_1", 192, 1), ("branch7x7x3_2", 192, (1, 7)), ("branch7x7x3_3", 192, (7, 1))],
    )
    return net.concat(
        [
            _convolution(net, small, 320, 3, f"{name}.branch3x3_2", stride=2, padding=0),
            _convolution(net, large, 192, 3, f"{name}.branch7x7x3_4", stride=2, padding=0),
            net.max_pool2d(x, 3, strides=2, name=f"{name}.pool"),
        ],
        name=name,
    )


def _block_e(net: Network, x: Tensor, name: str) -> Tensor:
    small = _chain(net, x, name, [("branch3x3_1", 384, 1)])
    large = _chain(net, x, name, [("branch3x3dbl_1", 448, 1), ("branch3x3dbl_2", 384, 3)])
    ends = [
        _convolution(net, y, 384, kernel, f"{name}.{end}")
        for y, branch in ((small, "branch3x3_2"), (large, "branch3x3dbl_3"))
        for end, kernel in ((f"{branch}a", (1, 3)), (f"{branch}b", (3, 1)))
    ]
    return net.concat(
        [_chain(net, x, name, [("branch1x1", 320, 1)]), *ends, _pooled(net, x, 192, name)], name=name
    )


inception_v3 = InceptionV3("inception_v3", input_size=299)
