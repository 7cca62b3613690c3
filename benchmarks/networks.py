"""Networks for benchmarks that the package does not have. They have random weights, since only the speed matters."""

from __future__ import annotations

from mpscnn import Network, Tensor

_SILU = {"kind": "swish", "b": 1.0}


def u_net(size: int = 256, channels: int = 32, classes: int = 2) -> Network:
    """Return U-Net (Ronneberger et al. 2015) with padded convolutions: (n, size, size, 3) -> logits of each pixel.

    Args:
        size: a multiple of 16.
        channels: the channels of the first level; each of the four levels below has twice as many. The article has 64.
    """
    net = Network(input=(size, size, 3), name="u_net")
    x, kept = net.input, []
    for level in range(4):
        x = _twice(net, x, channels << level)
        kept.append(x)
        x = net.max_pool2d(x, 2, strides=2)
    x = _twice(net, x, channels << 4)
    for level in reversed(range(4)):
        x = net.conv2d_transpose(x, channels << level, 2, strides=2)
        x = _twice(net, net.concat([kept[level], x]), channels << level)
    net.output(net.conv2d(x, classes, 1))
    return net


def _twice(net: Network, x: Tensor, channels: int) -> Tensor:
    for _ in range(2):
        x = net.conv2d(x, channels, 3, padding=1, activation="relu")
    return x


def yolo_v8n(size: int = 640, classes: int = 80) -> Network:
    """Return YOLOv8n without the decoding of boxes: (n, size, size, 3) -> three maps, (n, h, w, 64 + classes).

    The first 64 channels are the distributions of a box's four distances, 16 channels for each. `size` must be a
    multiple of 32.
    """
    net = Network(input=(size, size, 3), name="yolo_v8n")
    x = _conv(net, _conv(net, net.input, 16, 3, 2), 32, 3, 2)
    x = _split_block(net, x, 32, 1, shortcut=True)
    eighth = _split_block(net, _conv(net, x, 64, 3, 2), 64, 2, shortcut=True)
    sixteenth = _split_block(net, _conv(net, eighth, 128, 3, 2), 128, 2, shortcut=True)
    x = _split_block(net, _conv(net, sixteenth, 256, 3, 2), 256, 1, shortcut=True)
    low = _pyramid(net, x, 256)
    middle = _split_block(net, net.concat([_doubled(net, low), sixteenth]), 128, 1)
    high = _split_block(net, net.concat([_doubled(net, middle), eighth]), 64, 1)
    middle = _split_block(net, net.concat([_conv(net, high, 64, 3, 2), middle]), 128, 1)
    low = _split_block(net, net.concat([_conv(net, middle, 128, 3, 2), low]), 256, 1)
    for x in (high, middle, low):
        branches = [
            net.conv2d(_conv(net, _conv(net, x, width, 3), width, 3), outputs, 1)
            for width, outputs in ((64, 64), (max(64, min(classes, 100)), classes))
        ]
        net.output(net.concat(branches))
    return net


def _conv(net: Network, x: Tensor, channels: int, kernel: int = 1, stride: int = 1) -> Tensor:
    return net.conv2d(x, channels, kernel, strides=stride, padding=kernel // 2, activation=_SILU)


def _split_block(
    net: Network, x: Tensor, channels: int, repetitions: int, *, shortcut: bool = False
) -> Tensor:
    """Add YOLOv8's C2f block: half of the channels pass a chain of bottlenecks, and all results are concatenated."""
    x = _conv(net, x, channels)
    parts = net.split(x, 2)
    for _ in range(repetitions):
        y = _conv(net, _conv(net, parts[-1], channels // 2, 3), channels // 2, 3)
        parts.append(net.add(parts[-1], y) if shortcut else y)
    return _conv(net, net.concat(parts), channels)


def _pyramid(net: Network, x: Tensor, channels: int) -> Tensor:
    """Add YOLOv8's SPPF block: three 5x5 max poolings in sequence, and all results are concatenated."""
    parts = [_conv(net, x, channels // 2)]
    for _ in range(3):
        parts.append(net.max_pool2d(parts[-1], 5, strides=1, padding=2))
    return _conv(net, net.concat(parts), channels)


def _doubled(net: Network, x: Tensor) -> Tensor:
    return net.resize(x, scale=2, method="nearest", alignment="asymmetric")
