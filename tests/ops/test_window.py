"""Compare window positions with brute force in every small case, and with the frameworks' published rules."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

import numpy as np
import pytest
from ops.single_layer import run_layer
from reference import window

import mpscnn

KERNELS, STRIDES, DILATIONS = range(1, 8), range(1, 4), range(1, 4)
SIZES = range(1, 10)


@pytest.fixture
def sizes(full: bool) -> Iterable[int]:
    """Return the extents of images. The default tier takes fewer."""
    return SIZES if full else (1, 2, 5, 8)


def covered(size: int, attributes: dict[str, object]) -> list[list[int]]:
    """Return the positions in the image that each output reads, measured by convolving unit vectors."""
    kernel = attributes["kernel_width"]
    assert isinstance(kernel, int)
    # The result for output o and tap t is 1 if tap t of window o is at the position of the unit vector's 1.
    x = np.eye(size, dtype=np.float32).reshape(size, 1, size, 1)
    weight = np.eye(kernel, dtype=np.float32).reshape(kernel, 1, kernel, 1)
    result = run_layer(
        "convolution", [x], attributes | {"output_channels": kernel}, weights={"weight": weight}
    )
    outputs = result.shape[2]
    return [
        [int(position) for tap in range(kernel) for position in np.flatnonzero(result[:, 0, o, tap])]
        for o in range(outputs)
    ]


def attributes_of(kernel: int, stride: int, dilation: int, **padding: object) -> dict[str, object]:
    return {"kernel_width": kernel, "stride_x": stride, "dilation_x": dilation, **padding}


@pytest.mark.parametrize("padding", ["valid", "same", "full"])
def test_every_small_window(padding: str, sizes: Iterable[int]) -> None:
    for size, kernel, stride, dilation in itertools.product(sizes, KERNELS, STRIDES, DILATIONS):
        reach = (kernel - 1) * dilation + 1
        if padding == "valid" and reach > size:
            continue
        expected = window.axis(size, kernel, stride, dilation, padding)
        inside = [[position for position in taps if 0 <= position < size] for taps in expected]
        given = covered(size, attributes_of(kernel, stride, dilation, padding=padding))
        assert given == inside, (size, kernel, stride, dilation)


@pytest.mark.parametrize("ceil_mode", [False, True])
def test_explicit_padding(ceil_mode: bool, sizes: Iterable[int]) -> None:
    """This takes a second, since there are thousands of combinations."""
    lowest = 0 if ceil_mode else -2
    for size, kernel, stride, before, after in itertools.product(
        sizes, range(1, 5), STRIDES, range(lowest, 3), range(lowest, 3)
    ):
        if size + before + after < kernel:
            continue
        expected = window.axis(size, kernel, stride, 1, "explicit", before, after, ceil_mode)
        inside = [[position for position in taps if 0 <= position < size] for taps in expected]
        attributes = attributes_of(
            kernel, stride, 1, padding="explicit", pad_left=before, pad_right=after, ceil_mode=ceil_mode
        )
        assert covered(size, attributes) == inside, (size, kernel, stride, before, after)


def test_any_placement_can_be_stated(full: bool) -> None:
    """Explicit padding can express Apple's windows, which begin at offset + stride * o - reach // 2."""
    for size, kernel, stride, dilation in itertools.product(
        (1, 4, 9) if full else (4,), KERNELS, STRIDES, DILATIONS
    ):
        reach = (kernel - 1) * dilation + 1
        for offset, outputs in itertools.product((-9, -1, 0, 2, 7), (1, 3)):
            starts = [offset + stride * o - reach // 2 for o in range(outputs)]
            taps = [[start + tap * dilation for tap in range(kernel)] for start in starts]
            before = -starts[0]
            after = starts[-1] + reach - size
            given = covered(
                size,
                attributes_of(kernel, stride, dilation, padding="explicit", pad_left=before, pad_right=after),
            )
            assert given == [[position for position in window if 0 <= position < size] for window in taps]


def test_same_is_tensorflows_published_rule() -> None:
    """The rule of tf.nn.convolution's documentation holds: output size, total padding, smaller half first."""
    for size, kernel, stride in itertools.product(range(1, 40), KERNELS, range(1, 6)):
        outputs = math.ceil(size / stride)
        total = max(kernel - stride, 0) if size % stride == 0 else max(kernel - size % stride, 0)
        assert [taps[0] for taps in window.axis(size, kernel, stride, 1, "same")] == [
            o * stride - total // 2 for o in range(outputs)
        ]


def test_valid_and_full_sizes_are_scipys() -> None:
    for size, kernel in itertools.product(SIZES, KERNELS):
        full = window.axis(size, kernel, 1, 1, "full")
        assert len(full) == len(np.convolve(np.ones(size), np.ones(kernel), mode="full"))
        if kernel <= size:
            assert len(window.axis(size, kernel, 1, 1, "valid")) == size - kernel + 1


def test_rows_and_columns_do_not_get_mixed_up() -> None:
    network = mpscnn.Network(input=(9, 20, 2))
    layer = network.conv2d(
        network.input, 3, (3, 5), strides=(2, 1), padding=((1, 0), (0, 4)), dilation=(1, 2)
    )
    assert layer.shape == (None, 4, 16, 3)


def test_a_window_that_does_not_fit_is_refused() -> None:
    network = mpscnn.Network(input=(4, 4, 1))
    with pytest.raises(mpscnn.ShapeError, match="a window of 5 rows does not fit into 4"):
        network.conv2d(network.input, 1, 3, dilation=2)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        (
            {"padding": "explicit", "pad_top": -1, "ceil_mode": True},
            "pad_top must be 0 or more with ceil_mode, got -1",
        ),
        ({"pad_left": -1}, "padding must be explicit when pad_top"),
        ({"padding": "explicit", "pad_left": -(1 << 24) - 1}, "pad_left must be -16777216 to 16777216"),
        ({"padding": "explicit", "pad_left": -4}, "a window of 1 columns does not fit into 0"),
        ({"stride_x": 0}, "stride_x must be 1 to"),
        ({"dilation_y": 0}, "dilation_y must be 1 to"),
        ({"kernel_width": 0}, "kernel_width must be 1 to"),
    ],
)
def test_wrong_windows_are_named(attributes: dict[str, object], message: str) -> None:
    network = mpscnn.Network(input=(4, 4, 1))
    with pytest.raises((mpscnn.ParameterError, mpscnn.ShapeError), match=message):
        network.layer("convolution", [network.input], {"output_channels": 1} | attributes)
