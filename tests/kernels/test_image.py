"""Test images of feature channels and temporary images."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from kernels.index_rule import encode, normal
from ops.single_layer import seeds

import mpscnn
from mpscnn import kernels

DTYPES = {"unorm8": np.uint8, "unorm16": np.uint16, "float16": np.float16, "float32": np.float32}
formats = st.sampled_from(sorted(DTYPES))
shapes = st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 5), st.integers(1, 10))


def drawn(seed: int, shape: tuple[int, ...], format: str) -> Any:
    return (np.random.default_rng(seed).random(shape) * 250).astype(DTYPES[format])


@given(shapes, formats, seeds)
def test_arrays_come_back(shape: tuple[int, int, int, int], format: str, seed: int) -> None:
    array = drawn(seed, shape, format)
    image = mpscnn.Image.from_numpy(array)
    assert image.descriptor == mpscnn.ImageDescriptor(shape[2], shape[1], shape[3], shape[0], format)
    assert image.numpy().dtype == DTYPES[format]
    np.testing.assert_array_equal(image.numpy(), array if shape[0] > 1 else array[0])


@given(shapes, formats, seeds)
def test_slices_are_four_channels_of_the_same_memory(
    shape: tuple[int, int, int, int], format: str, seed: int
) -> None:
    n, height, width, channels = shape
    image = mpscnn.Image.from_numpy(drawn(seed, shape, format))
    slices = image.slices if n > 1 else image.slices[None]
    assert slices.shape == (n, -(-channels // 4), height, width, 4)
    array = image.numpy() if n > 1 else image.numpy()[None]
    for c in range(channels):
        np.testing.assert_array_equal(slices[:, c // 4, :, :, c % 4], array[..., c])
    for lane in range(channels, 4 * slices.shape[1]):
        assert not slices[:, lane // 4, :, :, lane % 4].any()
    assert np.shares_memory(slices, array)
    slices[0, 0, 0, 0, 0] = 7
    assert array[0, 0, 0, 0] == 7


@given(st.data(), shapes, formats, st.sampled_from(["hwc", "chw"]), seeds)
def test_regions(
    data: st.DataObject, shape: tuple[int, int, int, int], format: str, layout: str, seed: int
) -> None:
    def part(size: int, step: int = 1) -> tuple[int, int]:
        first = step * data.draw(st.integers(0, (size - 1) // step))
        return first, data.draw(st.integers(1, size - first))

    n, height, width, channels = shape
    (z, count), (y, rows), (x, columns), (c, some) = part(n), part(height), part(width), part(channels, 4)
    region: dict[str, Any] = {"x": x, "y": y, "width": columns, "height": rows, "layout": layout}
    region |= {"feature_channels": (c, some), "images": (z, count)}
    array = drawn(seed, shape, format)
    image = mpscnn.Image.from_numpy(array)
    box = (slice(z, z + count), slice(y, y + rows), slice(x, x + columns), slice(c, c + some))
    expected = array[box] if layout == "hwc" else array[box].transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(image.read(**region), expected)

    other = drawn(seed + 1, expected.shape, format)
    image.write(other, **region)
    array[box] = other if layout == "hwc" else other.transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(image.numpy(), array if n > 1 else array[0])


@given(st.sampled_from(["unorm8", "unorm16"]), seeds)
def test_normalised_formats_mean_zero_to_one(format: str, seed: int) -> None:
    """Results are clipped to 0 to 1 and rounded to the nearest integer of the format."""
    largest = np.iinfo(DTYPES[format]).max
    x = np.random.default_rng(seed).integers(0, largest + 1, (1, 3, 3, 5)).astype(DTYPES[format])
    kernel = kernels.Neuron(kernels.NeuronDescriptor("linear", 2.0, -0.5))
    exact = 2.0 * (x.astype(np.float64) / largest) - 0.5
    floats = encode(kernel, x, destination=np.zeros(x.shape, np.float32))
    np.testing.assert_allclose(floats, exact, atol=1e-6)
    stored = encode(kernel, x, destination=np.zeros(x.shape, x.dtype))
    np.testing.assert_allclose(stored, np.clip(exact, 0, 1) * largest, atol=0.51)


def test_half_images_are_rounded_when_they_are_written() -> None:
    x = normal(3, (1, 4, 4, 6))
    kernel = kernels.Neuron(kernels.NeuronDescriptor("linear", 1.0, 0.1))
    exact = encode(kernel, x)
    np.testing.assert_array_equal(
        encode(kernel, x, destination=np.zeros(x.shape, np.float16)), exact.astype(np.float16)
    )
    halves = x.astype(np.float16)
    np.testing.assert_array_equal(
        encode(kernel, halves, destination=np.zeros(x.shape, np.float32)),
        encode(kernel, halves.astype(np.float32)),
    )


def test_nan_is_stored_as_zero_in_normalised_formats() -> None:
    x = np.full((1, 1, 1, 4), np.nan, np.float32)
    kernel = kernels.Neuron(kernels.NeuronDescriptor("linear", 1.0, 0.0))
    assert not encode(kernel, x, destination=np.full(x.shape, 9, np.uint8)).any()


@pytest.mark.parametrize("name", ["width", "height", "feature_channels", "number_of_images"])
@pytest.mark.parametrize("size", [0, -1, 1 << 25])
def test_sizes_out_of_range_are_named(name: str, size: int) -> None:
    sizes = {"width": 1, "height": 1, "feature_channels": 1, name: size}
    with pytest.raises(mpscnn.ParameterError, match=f"Image: {name} must be 1 to"):
        mpscnn.Image(**sizes)


def test_other_formats_and_arrays_are_refused() -> None:
    with pytest.raises(mpscnn.ParameterError, match=r"format must be one of unorm8, .*, got 'int8'"):
        mpscnn.Image(1, 1, 1, format="int8")
    with pytest.raises(mpscnn.ShapeError, match=r"expected uint8.*, got int64"):
        mpscnn.Image.from_numpy(np.ones((2, 2, 2), np.int64))
    with pytest.raises(mpscnn.ShapeError, match=r"expected \(height, width, channels\)"):
        mpscnn.Image.from_numpy(np.ones((2, 2), np.float32))


@pytest.mark.parametrize(
    ("region", "message"),
    [
        ({"x": 3, "width": 2}, "columns must lie within 0 to 4"),
        ({"y": -1, "height": 2}, "rows must lie within 0 to 3"),
        ({"height": 0}, "rows must lie within"),
        ({"images": (1, 2)}, "images must lie within 0 to 2"),
        ({"feature_channels": (4, 3)}, "feature channels must lie within 0 to 6"),
        ({"feature_channels": (2, 1)}, "the first feature channel must be a multiple of 4, got 2"),
        ({"layout": "whc"}, "layout must be 'hwc' or 'chw'"),
    ],
)
def test_regions_outside_are_refused(region: dict[str, Any], message: str) -> None:
    image = mpscnn.Image(4, 3, 6, 2)
    with pytest.raises(mpscnn.ParameterError, match=message):
        image.read(**region)


def test_arrays_that_do_not_fit_a_region_are_refused() -> None:
    image = mpscnn.Image(4, 3, 6)
    with pytest.raises(mpscnn.ShapeError, match=r"takes an array \(1, 3, 4, 6\), got \(3, 4, 5\)"):
        image.write(np.zeros((3, 4, 5), np.float32))
    with pytest.raises(mpscnn.ShapeError, match="'float32' takes float32 elements, got float64"):
        image.write(np.zeros((3, 4, 6)))


# ---- Temporary images ----------------------------------------------------------------------------------------


def new_copy() -> kernels.Neuron:
    return kernels.Neuron(kernels.NeuronDescriptor("linear", 1.0, 0.0))


@pytest.fixture
def commands() -> mpscnn.CommandBuffer:
    return mpscnn.CommandQueue("cpu", threads=1).command_buffer()


def test_every_kernel_that_reads_takes_one_from_the_count(commands: mpscnn.CommandBuffer) -> None:
    source = mpscnn.Image.from_numpy(normal(0, (3, 4, 5)))
    temporary = mpscnn.TemporaryImage(commands, 4, 3, 5)
    assert temporary.read_count == 1
    temporary.read_count = 2
    new_copy().encode(commands, source, temporary)
    assert temporary.read_count == 2
    first = new_copy().encode(commands, temporary)
    assert temporary.read_count == 1
    second = new_copy().encode(commands, temporary)
    assert temporary.read_count == 0
    commands.commit()
    commands.wait()
    np.testing.assert_array_equal(first.numpy(), source.numpy())
    np.testing.assert_array_equal(second.numpy(), source.numpy())


def test_a_used_up_temporary_image_is_gone(commands: mpscnn.CommandBuffer) -> None:
    source = mpscnn.Image.from_numpy(normal(0, (3, 4, 5)))
    temporary = new_copy().encode(commands, source, mpscnn.TemporaryImage(commands, 4, 3, 5, label="t"))
    new_copy().encode(commands, temporary)
    with pytest.raises(mpscnn.StateError, match=r"source: temporary image 't' .* has a read_count of 0"):
        new_copy().encode(commands, temporary)
    with pytest.raises(mpscnn.StateError, match=r"destination: temporary image 't' .* has a read_count of 0"):
        new_copy().encode(commands, source, temporary)
    assert isinstance(temporary, mpscnn.TemporaryImage)
    with pytest.raises(mpscnn.StateError, match="read_count has reached 0"):
        temporary.read_count = 1


def test_a_refused_encode_leaves_the_count_alone(commands: mpscnn.CommandBuffer) -> None:
    source = mpscnn.Image.from_numpy(normal(0, (3, 4, 5)))
    temporary = new_copy().encode(commands, source, mpscnn.TemporaryImage(commands, 4, 3, 5))
    with pytest.raises(mpscnn.ShapeError, match="feature channels"):
        new_copy().encode(commands, temporary, mpscnn.Image(4, 3, 2))
    assert isinstance(temporary, mpscnn.TemporaryImage)
    assert temporary.read_count == 1


def test_a_discarded_temporary_image_is_gone(commands: mpscnn.CommandBuffer) -> None:
    temporary = mpscnn.TemporaryImage(commands, 4, 3, 5)
    temporary.read_count = 0
    with pytest.raises(mpscnn.StateError, match="read_count of 0"):
        new_copy().encode(commands, temporary)


def test_a_negative_read_count_is_refused(commands: mpscnn.CommandBuffer) -> None:
    with pytest.raises(mpscnn.ParameterError, match="read_count must be at least 0, got -1"):
        mpscnn.TemporaryImage(commands, 4, 3, 5).read_count = -1


def test_a_temporary_image_belongs_to_one_command_buffer(commands: mpscnn.CommandBuffer) -> None:
    temporary = mpscnn.TemporaryImage(commands, 4, 3, 5)
    with pytest.raises(mpscnn.StateError, match="belongs to another command buffer"):
        new_copy().encode(commands.queue.command_buffer(), temporary)


def test_programs_cannot_look_into_a_temporary_image(commands: mpscnn.CommandBuffer) -> None:
    temporary = mpscnn.TemporaryImage(commands, 4, 3, 5)
    for access in (
        temporary.numpy,
        lambda: temporary.slices,
        temporary.read,
        lambda: temporary.write(np.zeros((3, 4, 5), np.float32)),
    ):
        with pytest.raises(mpscnn.StateError, match="cannot be read or written by the program"):
            access()


def test_a_temporary_image_needs_a_buffer_that_is_not_committed(commands: mpscnn.CommandBuffer) -> None:
    commands.commit()
    with pytest.raises(mpscnn.StateError, match="has been committed already"):
        mpscnn.TemporaryImage(commands, 4, 3, 5)


def test_results_can_be_temporary() -> None:
    pool = kernels.PoolingMax(
        2,
        2,
        stride_x=2,
        stride_y=2,
        edge_mode="clamp",
        destination_image_allocator=kernels.allocate_temporary_image,
    )
    x = normal(0, (1, 5, 4, 3))
    with mpscnn.CommandQueue("cpu").command_buffer() as commands:
        halves = pool.encode(commands, mpscnn.Image.from_numpy(x))
        assert isinstance(halves, mpscnn.TemporaryImage)
        result = new_copy().encode(commands, halves)
    pool.destination_image_allocator = kernels.allocate_image
    np.testing.assert_array_equal(result.numpy()[None], encode(pool, x))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda image: mpscnn.Image(1.5, 1, 1), "width, height, .* must be whole numbers"),  # type: ignore[arg-type]
        (lambda image: image.read(width=1.5), "x, y, width and height must be whole numbers"),
        (lambda image: image.read(x="a"), "x, y, width and height must be whole numbers"),
        (
            lambda image: image.read(feature_channels=(0,)),
            r"feature_channels must be \(first, count\), got \(0,\)",
        ),
        (lambda image: image.write(np.zeros(1), images=(0, 1.0)), "images must be whole numbers"),
    ],
)
def test_sizes_and_regions_are_whole_numbers(call: Any, message: str) -> None:
    with pytest.raises(mpscnn.ParameterError, match=f"image: {message}"):
        call(mpscnn.Image(2, 2, 4))


def test_a_read_count_is_a_whole_number(commands: mpscnn.CommandBuffer) -> None:
    image = mpscnn.TemporaryImage(commands, 2, 2, 4)
    with pytest.raises(mpscnn.ParameterError, match=r"read_count must be whole numbers, got \[1.5\]"):
        image.read_count = 1.5  # type: ignore[assignment]
    assert image.read_count == 1
