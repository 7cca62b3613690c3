"""Tests of rules that all raw kernels share: refused arguments, padding policies, batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from kernels.index_rule import QUEUE, encode, normal, windows
from kernels_here import device_trains

import mpscnn
from mpscnn import DefaultPadding, PaddingMethod, kernels

X = normal(0, (2, 5, 6, 9))


def pool(**properties: Any) -> kernels.PoolingMax:
    return kernels.PoolingMax(2, 2, **properties)


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"clip_rect": (0, 0, -1, 2)}, "clip_rect must not be negative"),
        ({"clip_rect": (-1, 0, 2, 2)}, "clip_rect must not be negative"),
        ({"clip_rect": (6, 0, 2, 2)}, "clip_rect leaves no columns of the destination"),
        ({"clip_rect": (0, 5, 2, 2)}, "clip_rect leaves no rows of the destination"),
        ({"clip_rect": (0, 0, 2, 2, 2, 1)}, "clip_rect leaves no images of the destination"),
        ({"clip_rect": (0, 0, 0, 2)}, "clip_rect leaves no columns"),
        ({"offset": (0, 0, 1)}, "offset.z and the images written must stay within the 2 images"),
        ({"offset": (0, 0, -1)}, "offset.z"),
        ({"source_feature_channel_offset": 2}, "source_feature_channel_offset must be a multiple of 4"),
        ({"source_feature_channel_offset": -4}, "source_feature_channel_offset must be a multiple of 4"),
        ({"source_feature_channel_offset": 12}, "source_feature_channel_offset and .* leave no channel of 9"),
        (
            {"source_feature_channel_max_count": 0},
            "source_feature_channel_offset and .* leave no channel of 9",
        ),
        (
            {"destination_feature_channel_offset": 6},
            "destination_feature_channel_offset must be a multiple of 4",
        ),
    ],
)
def test_what_does_not_fit_the_images_is_named(properties: dict[str, Any], message: str) -> None:
    with pytest.raises(mpscnn.ParameterError, match=f"PoolingMax: {message}"):
        encode(pool(**properties), X, destination=np.zeros((2, 5, 6, 9), np.float32))


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"offset": (0, 0, 2)}, "offset.z must be an image of the source, 0 to 1, got 2"),
        ({"offset": (0, 0, -1)}, "offset.z must be an image of the source"),
        ({"source_feature_channel_offset": 12}, "source_feature_channel_offset and .* leave no channel of 9"),
        ({"source_feature_channel_max_count": -1}, "source_feature_channel_offset and .* leave no channel"),
        ({"source_feature_channel_offset": 2}, "source_feature_channel_offset must be a multiple of 4"),
        ({"destination_feature_channel_offset": 6}, "destination_feature_channel_offset must be a multiple"),
        (
            {"destination_feature_channel_offset": 2**62},
            "destination_feature_channel_offset must be .* to 16777216",
        ),
    ],
)
def test_what_leaves_no_result_is_named_before_an_image_is_made(
    properties: dict[str, Any], message: str
) -> None:
    with pytest.raises(mpscnn.ParameterError, match=f"PoolingMax: {message}"):
        pool(**properties).destination_image_descriptor(mpscnn.Image.from_numpy(X))


@pytest.mark.parametrize("clip", [(9, 0, 1, 1), (-1, 0, 1, 1), (0, 0, -1, 1), (-(2**63), 0, 1, 1)])
def test_a_reduction_of_nothing_is_named(clip: tuple[int, int, int, int]) -> None:
    kernel = kernels.ReduceColumnMax(clip_rect_source=clip)
    with pytest.raises(mpscnn.ParameterError, match="ReduceColumnMax: the source's clip rectangle leaves no"):
        encode(kernel, X)


def test_the_source_with_the_wrong_property_is_named() -> None:
    for name, value in (("secondary_source_feature_channel_offset", 12), ("primary_offset", (0, 0, 5))):
        with pytest.raises(mpscnn.ParameterError, match=f"Add: {name}"):
            encode(kernels.Add(**{name: value}), X, X)


def test_a_destination_with_too_few_channels_is_named() -> None:
    with pytest.raises(
        mpscnn.ShapeError, match=r"must have at least 13 feature channels \(9 behind .* 4\), got 12"
    ):
        encode(pool(destination_feature_channel_offset=4), X, destination=np.zeros((2, 5, 6, 12), np.float32))


@pytest.mark.parametrize("edge_mode", ["mirror", "mirror_with_edge", "constant"])
def test_mirrors_are_for_padding_alone(edge_mode: str) -> None:
    with pytest.raises(mpscnn.UnsupportedError, match="edge_mode must be zero or clamp"):
        pool(edge_mode=edge_mode)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("offset", 1, r"\(x, y\) or \(x, y, z\)"),
        ("offset", (1.5, 0), r"\(x, y\) or \(x, y, z\)"),
        ("offset", (1, 2, 3, 4), r"\(x, y\) or \(x, y, z\)"),
        ("clip_rect", (1, 2, 3), r"None, \(x, y, width, height\)"),
        ("edge_mode", 1, "a string"),
        ("source_feature_channel_offset", 4.0, "a whole number"),
        ("source_feature_channel_offset", True, "a whole number"),
        ("padding", 16, "a DefaultPadding"),
        ("label", None, "a string"),
    ],
)
def test_values_of_another_type_are_named(name: str, value: Any, expected: str) -> None:
    kernel = pool()
    with pytest.raises(mpscnn.ParameterError, match=f"PoolingMax: {name} must be {expected}"):
        setattr(kernel, name, value)


def test_names_and_fixed_properties_are_checked() -> None:
    kernel = pool()
    with pytest.raises(mpscnn.ParameterError, match="PoolingMax: unknown property 'ofset'"):
        kernel.ofset = (1, 0, 0)  # type: ignore[attr-defined]
    with pytest.raises(mpscnn.ParameterError, match="unknown property 'stride'"):
        pool(stride=2)
    with pytest.raises(mpscnn.ParameterError, match="kernel_width is fixed when the kernel is made"):
        kernel.kernel_width = 3
    with pytest.raises(mpscnn.ParameterError, match="must be one of zero, clamp"):
        kernel.edge_mode = "wrap"
    assert (kernel.kernel_width, kernel.edge_mode) == (2, "zero")


def test_properties_are_read_as_they_were_set() -> None:
    kernel = pool(offset=(1, -2), clip_rect=(1, 2, 3, 4), edge_mode="clamp", label="pool1")
    assert kernel.offset == (1, -2, 0)
    assert kernel.clip_rect == (1, 2, 0, 3, 4, 2**63 - 1)
    assert (kernel.edge_mode, kernel.label) == ("clamp", "pool1")
    assert kernel.padding == DefaultPadding(PaddingMethod.SIZE_SAME)
    kernel.clip_rect = None
    assert kernel.clip_rect is None


def test_source_and_destination_must_not_be_one() -> None:
    image = mpscnn.Image.from_numpy(X)
    with pytest.raises(mpscnn.ParameterError, match="is source and destination; they must not overlap"):
        pool().encode(QUEUE.command_buffer(), image, image)


@pytest.mark.parametrize(
    "call",
    [
        lambda: pool().encode(None, mpscnn.Image.from_numpy(X)),  # type: ignore[arg-type]
        lambda: pool().encode(QUEUE.command_buffer(), X),
        lambda: pool().encode(QUEUE.command_buffer(), mpscnn.Image.from_numpy(X), X),
    ],
)
def test_arguments_of_encode_are_checked(call: Callable[[], object]) -> None:
    with pytest.raises(
        mpscnn.ParameterError, match=r"PoolingMax.encode: expected an? (CommandBuffer|Image), got"
    ):
        call()


@given(
    st.integers(1, 12),
    st.integers(1, 12),
    windows(),
    st.sampled_from([PaddingMethod.SIZE_VALID_ONLY, PaddingMethod.SIZE_SAME, PaddingMethod.SIZE_FULL]),
    st.sampled_from([0, 4, 8, 12]),
)
def test_results_by_padding_policy(height: int, width: int, taps: Any, size: int, remainder: int) -> None:
    """Sizes follow Apple's header: ceil((n + style * (reach - 1)) / stride). The offset follows from the policy."""
    rows, columns = taps
    style = {0: -1, 0x10: 0, 0x20: 1}[int(size)]
    kernel = kernels.PoolingMax(
        columns.kernel,
        rows.kernel,
        stride_x=columns.stride,
        stride_y=rows.stride,
        edge_mode="clamp",
        padding=DefaultPadding(size | remainder),
    )
    x = normal(height * 16 + width, (1, height, width, 5))
    sizes = [
        -(-(n + style * (w.reach - 1)) // w.stride) if n + style * (w.reach - 1) > 0 else 0
        for n, w in ((height, rows), (width, columns))
    ]
    source = mpscnn.Image.from_numpy(x)
    if min(sizes) < 1:
        with pytest.raises(mpscnn.ShapeError, match="leaves no result"):
            kernel.destination_image_descriptor(source)
        return
    descriptor = kernel.destination_image_descriptor(source)
    assert (descriptor.height, descriptor.width) == tuple(sizes)
    for n, w, dst, offset, before in (
        (height, rows, sizes[0], kernel.offset[1], remainder in (0, 4)),
        (width, columns, sizes[1], kernel.offset[0], remainder in (0, 8)),
    ):
        extra = (dst - 1) * w.stride + w.reach - n + (1 if before else 0)
        assert offset == w.reach // 2 - int(extra / 2)
    assert encode(kernel, x).shape == (1, *sizes, 5)


def test_the_size_of_a_source_region_is_whole_numbers() -> None:
    with pytest.raises(mpscnn.ParameterError, match="PoolingMax: width and height must be whole numbers"):
        pool().source_region(1.5, 1)  # type: ignore[arg-type]


def test_batches_are_encoded_image_by_image() -> None:
    kernel = pool(edge_mode="clamp")
    images = [mpscnn.Image.from_numpy(x) for x in X]
    with QUEUE.command_buffer() as commands:
        results = kernel.encode_batch(commands, images)
        given_results = [mpscnn.Image(6, 5, 9) for _ in images]
        assert kernel.encode_batch(commands, images, given_results) == given_results
    expected = encode(kernel, X)
    for i in range(2):
        np.testing.assert_array_equal(results[i].numpy(), expected[i])
        np.testing.assert_array_equal(given_results[i].numpy(), expected[i])


def test_batches_that_do_not_fit_are_refused() -> None:
    commands = QUEUE.command_buffer()
    one, other = mpscnn.Image(3, 3, 4), mpscnn.Image(3, 4, 4)
    with pytest.raises(mpscnn.ShapeError, match="must have one size and format"):
        pool().encode_batch(commands, [one, other])
    with pytest.raises(mpscnn.ShapeError, match="hold one image each"):
        pool().encode_batch(commands, [mpscnn.Image(3, 3, 4, 2)])
    with pytest.raises(mpscnn.ShapeError, match=r"batches must have one length, got \[1, 2\]"):
        pool().encode_batch(commands, [one, one], [mpscnn.Image(3, 3, 4)])


def test_an_unknown_kernel_and_padding_method_are_refused() -> None:
    with pytest.raises(mpscnn.ParameterError, match="unknown kernel 'PoolingMedian'"):
        mpscnn._core.Kernel("PoolingMedian")
    with pytest.raises(mpscnn.ParameterError, match="padding method"):
        pool(padding=DefaultPadding(0x4000))


def test_operations_of_training_run_or_are_refused_with_a_reason(request: pytest.FixtureRequest) -> None:
    device = str(request.config.getoption("--device"))
    kernel = kernels.SoftMaxGradient()
    if device_trains(device):
        assert encode(kernel, X, X).shape == X.shape
    else:
        with pytest.raises(mpscnn.UnsupportedError, match="one of networks that are not trained"):
            encode(kernel, X, X)
