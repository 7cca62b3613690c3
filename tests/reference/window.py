"""Find the input positions that windows cover, by trying every position rather than by a formula."""

from __future__ import annotations

from typing import Any


def axis(
    size: int,
    kernel: int,
    stride: int,
    dilation: int,
    padding: str,
    before: int = 0,
    after: int = 0,
    ceil_mode: bool = False,
) -> list[list[int]]:
    """Return for each output the `kernel` input positions that its window covers. Some lie outside 0 .. size - 1."""
    reach = (kernel - 1) * dilation + 1
    if padding == "same":
        # As in TensorFlow, there are ceil(size / stride) outputs. The padding that they need is split in halves. If it
        # is odd, the larger half is after the image.
        outputs = -(-size // stride)
        before = max((outputs - 1) * stride + reach - size, 0) // 2
        starts = [o * stride - before for o in range(outputs)]
    else:
        if padding == "full":
            before = after = reach - 1
        starts = []
        start = -before
        while start + reach <= size + after:
            starts.append(start)
            start += stride
        # PyTorch's ceil_mode adds a window if that window overhangs by less than a stride, but not if it would start
        # after the input.
        if ceil_mode and start + reach < size + after + stride:
            starts.append(start)
        if ceil_mode and starts and starts[-1] >= size:
            starts.pop()
    return [[start + tap * dilation for tap in range(kernel)] for start in starts]


def positions(attributes: dict[str, Any], height: int, width: int) -> tuple[list[list[int]], list[list[int]]]:
    """Return vertical and horizontal positions for an operation's attributes. Absent ones have their defaults."""

    def one(size: int, side: str, suffix: str, pads: tuple[str, str]) -> list[list[int]]:
        return axis(
            size,
            attributes.get(f"kernel_{side}", 1),
            attributes.get(f"stride_{suffix}", 1),
            attributes.get(f"dilation_{suffix}", 1),
            attributes.get("padding", "valid"),
            attributes.get(pads[0], 0),
            attributes.get(pads[1], 0),
            attributes.get("ceil_mode", False),
        )

    return one(height, "height", "y", ("pad_top", "pad_bottom")), one(
        width, "width", "x", ("pad_left", "pad_right")
    )
