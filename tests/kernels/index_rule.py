"""A brute-force reference in float64 for the pixels that Apple's kernels read and write.

It follows MPSCNNConvolution.h and MPSCNNPooling.h, including clip rectangles, offsets and ranges of channels.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st
import numpy as np

import mpscnn
from mpscnn import kernels


@dataclass
class Window:
    """The taps along one axis. Output o reads the positions left(o) + dilation * t for each tap t.

    left(o) is offset + stride * o - (reach >> 1), where reach is the extent of the dilated kernel.
    """

    kernel: int = 1
    stride: int = 1
    dilation: int = 1

    @property
    def reach(self) -> int:
        return (self.kernel - 1) * self.dilation + 1

    def taps(self, offset: int, output: int) -> list[int]:
        left = offset + self.stride * output - (self.reach >> 1)
        return [left + self.dilation * tap for tap in range(self.kernel)]


def sized(
    descriptor: type[kernels.ConvolutionDescriptor],
    rows: Window,
    columns: Window,
    inputs: int,
    outputs: int,
    **others: Any,
) -> Any:
    """Return a convolution or pooling descriptor with these windows."""
    return descriptor(
        columns.kernel,
        rows.kernel,
        inputs,
        outputs,
        columns.stride,
        rows.stride,
        columns.dilation,
        rows.dilation,
        **others,
    )


@dataclass
class Call:
    """One call of a kernel's encode method: the kernel's properties, and the sizes of source and destination.

    `offset` is (x, y, image). `clip` is (x, y, image, width, height, images); None stands for the whole destination.
    `source_channels` is the number of channels from `source_channel` on; None stands for all of them.
    """

    source: tuple[int, int, int, int]  # images, height, width, channels
    destination: tuple[int, int, int, int]
    offset: tuple[int, int, int] = (0, 0, 0)
    clip: tuple[int, int, int, int, int, int] | None = None
    edge_mode: str = "zero"
    source_channel: int = 0
    source_channels: int | None = None
    destination_channel: int = 0
    properties: dict[str, Any] = field(default_factory=dict)

    def written(self) -> tuple[slice, slice, slice]:
        """Return the images, rows and columns of the destination that the kernel writes."""
        images, height, width, _ = self.destination
        x, y, z, w, h, d = self.clip or (0, 0, 0, width, height, images)
        return slice(z, min(z + d, images)), slice(y, min(y + h, height)), slice(x, min(x + w, width))

    def channels(self) -> slice:
        """Return the channels of the source that the kernel reads."""
        behind = self.source[3]
        if self.source_channels is not None:
            behind = min(behind, self.source_channel + self.source_channels)
        return slice(self.source_channel, behind)

    def read(self, x: Any, image: int, row: int, column: int) -> Any:
        """Return the channels of a source pixel. Outside of the image the edge mode determines them."""
        height, width = x.shape[1:3]
        if self.edge_mode == "clamp":
            row, column = min(max(row, 0), height - 1), min(max(column, 0), width - 1)
        if not (0 <= row < height and 0 <= column < width):
            return np.zeros(x[image, 0, 0, self.channels()].shape)
        return x[image, row, column, self.channels()]

    def apply(self, x: Any, rows: Window, columns: Window, before: Any, function: Any) -> Any:
        """Return the destination after the call: `before`, with function(taps, ...) in every pixel that is written.

        Taps are pixels [row][column]. The function also gets their vertical and horizontal positions.
        """
        result = np.asarray(before, np.float64).copy()
        images, ys, xs = self.written()
        for i, image in enumerate(range(images.start, images.stop)):
            for oy, y in enumerate(range(ys.start, ys.stop)):
                for ox, column in enumerate(range(xs.start, xs.stop)):
                    vertical = rows.taps(self.offset[1], oy)
                    horizontal = columns.taps(self.offset[0], ox)
                    taps = [[self.read(x, i + self.offset[2], v, u) for u in horizontal] for v in vertical]
                    values = function(np.asarray(taps), vertical, horizontal)
                    first = self.destination_channel
                    result[image, y, column, first : first + len(values)] = values
        return result

    def common(self) -> dict[str, Any]:
        """Return the properties for a kernel with one source."""
        given: dict[str, Any] = {"offset": self.offset, "edge_mode": self.edge_mode, "clip_rect": self.clip}
        given["source_feature_channel_offset"] = self.source_channel
        given["destination_feature_channel_offset"] = self.destination_channel
        if self.source_channels is not None:
            given["source_feature_channel_max_count"] = self.source_channels
        return given | self.properties


@st.composite
def calls(
    draw: st.DrawFn,
    *,
    outputs: int | None = None,
    inputs: int | None = None,
) -> Call:
    """Draw any valid call, including clip rectangles partly outside, windows over each border, and channel ranges.

    `inputs` and `outputs` are the kernel's numbers of channels. Without them it writes as many channels as it reads.
    """
    height, width = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    out_height, out_width = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    source_channel = 4 * draw(st.integers(0, 2))
    limit = None
    if inputs is None:
        channels = source_channel + draw(st.integers(1, 9))
        limit = draw(st.none() | st.integers(1, 10))
        inputs = min(channels - source_channel, limit or channels)
    else:
        channels = source_channel + inputs + draw(st.integers(0, 3))
    destination_channel = 4 * draw(st.integers(0, 2))
    out_channels = destination_channel + (inputs if outputs is None else outputs) + draw(st.integers(0, 3))
    out_images = draw(st.integers(1, 3))
    clip = None
    if draw(st.booleans()):
        x, y, z = (draw(st.integers(0, size - 1)) for size in (out_width, out_height, out_images))
        clip = (x, y, z, draw(st.integers(1, 9)), draw(st.integers(1, 9)), draw(st.integers(1, 4)))
    written = out_images if clip is None else min(clip[5], out_images - clip[2])
    first = draw(st.integers(0, 2))
    images = first + written + draw(st.integers(0, 1))
    offset = (draw(st.integers(-4, 8)), draw(st.integers(-4, 8)), first)
    return Call(
        (images, height, width, channels),
        (out_images, out_height, out_width, out_channels),
        offset,
        clip,
        draw(st.sampled_from(["zero", "clamp"])),
        source_channel,
        limit,
        destination_channel,
    )


@st.composite
def windows(draw: st.DrawFn, *, dilated: bool = False) -> tuple[Window, Window]:
    """Draw a vertical and a horizontal window of even or odd size."""

    def axis() -> Window:
        return Window(
            draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(1, 3)) if dilated else 1
        )

    return axis(), axis()


QUEUE = mpscnn.CommandQueue("cpu", threads=1)  # conftest.py replaces it by a queue of the chosen device


def encode(kernel: Any, *sources: Any, destination: Any = None) -> Any:
    """Run one kernel on arrays. `destination` is the content of the destination before the call."""
    images = [mpscnn.Image.from_numpy(source) for source in sources]
    with QUEUE.command_buffer() as commands:
        if destination is None:
            result = kernel.encode(commands, *images)
        else:
            result = kernel.encode(commands, *images, mpscnn.Image.from_numpy(destination))
    array = result.numpy()
    return array if array.ndim == 4 else array[None]


class Gate:
    """A completed handler that blocks its queue until it is opened."""

    def __init__(self, queue: mpscnn.CommandQueue) -> None:
        self.opened, self.reached = threading.Event(), threading.Event()
        self.commands = queue.command_buffer()
        self.commands.add_completed_handler(self)
        self.commands.commit()
        assert self.reached.wait(300)

    def __call__(self, commands: mpscnn.CommandBuffer) -> None:
        self.reached.set()
        assert self.opened.wait(300)


def normal(seed: int, shape: tuple[int, ...]) -> Any:
    """Return normally distributed random numbers."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)
