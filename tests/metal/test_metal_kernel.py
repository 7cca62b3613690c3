"""Tests of Metal kernels written by users, between other kernels."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from metal.emulation import Emulation
from metal.metal_kernel_sources import BLUR, CONSTANTS, COUNT_UP, SCALE, SLICES, VALUES
from numpy.typing import NDArray

import mpscnn
from mpscnn import kernels


def blurred(array: NDArray[Any], radius: int) -> NDArray[np.float32]:
    """Return the mean over 2 * radius + 1 pixels in each pixel's row, with clamped borders."""
    columns = np.clip(
        np.arange(array.shape[1])[:, None] + np.arange(-radius, radius + 1), 0, array.shape[1] - 1
    )
    return np.asarray(array[:, columns].astype(np.float64).mean(2), np.float32)


def photo(height: int, width: int, channels: int) -> NDArray[np.float32]:
    return np.random.default_rng(height + width).random((height, width, channels), np.float32)


def test_blurs_an_image() -> None:
    queue = mpscnn.CommandQueue("metal")
    array = photo(5, 37, 3)
    blur = kernels.MetalKernel(BLUR, "blur", constants={"radius": 2})
    source, result = mpscnn.Image.from_numpy(array), mpscnn.Image(37, 5, 3)
    with queue.command_buffer() as commands:
        blur.encode(commands, source, result)
    np.testing.assert_allclose(result.numpy(), blurred(array, 2), atol=1e-6)


@pytest.mark.parametrize("format", ["float16", "unorm8", "unorm16"])
def test_images_have_any_format(format: str) -> None:
    queue = mpscnn.CommandQueue("metal")
    dtype = {"float16": np.float16, "unorm8": np.uint8, "unorm16": np.uint16}[format]
    top = 1 if format == "float16" else np.iinfo(dtype).max
    array = (photo(4, 6, 2) * top).astype(dtype)
    blur = kernels.MetalKernel(BLUR, "blur", constants={"radius": 1})
    source, result = mpscnn.Image.from_numpy(array), mpscnn.Image(6, 4, 2, format=format)
    with queue.command_buffer() as commands:
        blur.encode(commands, source, result)
    np.testing.assert_allclose(result.numpy().astype(float), blurred(array, 1), atol=1e-3 if top == 1 else 1)


def test_lies_between_other_kernels_and_a_network(emulation: Emulation) -> None:
    queue = mpscnn.CommandQueue("metal")
    array = photo(8, 8, 3)
    net = mpscnn.Network(input=(4, 4, 3))
    net.output(net.add(net.input, net.input))
    session = net.compile(device="metal").session()
    pool = kernels.PoolingAverage(2, 2, stride_x=2, stride_y=2, offset=(1, 1, 0))
    blur = kernels.MetalKernel(BLUR, "blur", constants={"radius": 1})
    source, small = mpscnn.Image.from_numpy(array), mpscnn.Image(4, 4, 3)
    with queue.command_buffer() as commands:
        pool.encode(commands, source, small)
        middle = kernels.allocate_temporary_image(commands, small.descriptor)
        blur.encode(commands, small, middle)
        made = emulation.get("buffers_made")
        result = session.encode(commands, middle)
    assert isinstance(result, mpscnn.Image)
    expected = 2 * blurred(array.reshape(4, 2, 4, 2, 3).mean((1, 3)), 1)
    np.testing.assert_allclose(result.numpy(), expected, atol=1e-6)
    assert emulation.get("buffers_made") == made, "nothing is copied between host and GPU"


@pytest.mark.parametrize("device", ["cpu", "metal:0x100000def"])
def test_a_session_of_another_device_takes_its_turn(emulation: Emulation, device: str) -> None:
    queue = mpscnn.CommandQueue("metal")
    emulation.set("devices", 2)
    array = photo(4, 4, 3)
    net = mpscnn.Network(input=(4, 4, 3))
    net.output(net.add(net.input, net.input))
    session = net.compile(device=device).session()
    blur = kernels.MetalKernel(BLUR, "blur", constants={"radius": 1})
    before, after = mpscnn.Image(4, 4, 3), mpscnn.Image(4, 4, 3)
    with queue.command_buffer() as commands:
        blur.encode(commands, mpscnn.Image.from_numpy(array), before)
        result = session.encode(commands, before)
        assert isinstance(result, mpscnn.Image)
        blur.encode(commands, result, after)
    np.testing.assert_allclose(after.numpy(), blurred(2 * blurred(array, 1), 1), atol=1e-6)


def test_one_command_buffer_and_no_copy(emulation: Emulation) -> None:
    """Images and arrays of mpscnn.empty are used without copies, in one command buffer."""
    queue = mpscnn.CommandQueue("metal")
    blur = kernels.MetalKernel(BLUR, "blur", constants={"radius": 1})
    source, middle, result = (mpscnn.Image(6, 6, 4) for _ in range(3))
    made = emulation.get("buffers_made")
    shared = emulation.get("no_copy_buffers_made")
    with queue.command_buffer() as commands:
        blur.encode(commands, source, middle)
        blur.encode(commands, middle, result)
    assert emulation.get("buffers_made") == made
    assert emulation.get("no_copy_buffers_made") == shared + 3


def test_arrays_and_numbers() -> None:
    queue = mpscnn.CommandQueue("metal")
    kernel = kernels.MetalKernel(SCALE, "scale")
    values = np.arange(10, dtype=np.float32)
    limits = np.array([(2, 9)], dtype=[("lowest", np.float32), ("highest", np.float32)])
    results = np.zeros(10, np.float32)
    with queue.command_buffer() as commands:
        kernel.encode(commands, values, results, 1.5, limits, grid=10)
    np.testing.assert_array_equal(results, np.clip(values * 1.5, 2, 9).astype(np.float32))
    by_name = mpscnn.empty((10,), np.float32)
    with queue.command_buffer() as commands:
        kernel.encode(
            commands, range=limits, factor=np.float32(2), results=by_name, values=values, grid=(10,)
        )
    np.testing.assert_array_equal(by_name, np.clip(values * 2, 2, 9))


def test_mixed_arguments() -> None:
    """Positional arguments are assigned to the parameters for which there is no named argument."""
    queue = mpscnn.CommandQueue("metal")
    kernel = kernels.MetalKernel(SCALE, "scale")
    values, results = np.arange(10, dtype=np.float32), np.zeros(10, np.float32)
    with queue.command_buffer() as commands:
        kernel.encode(
            commands, results, 3, np.float32([-100, 100]), values=values, grid=(4, 1, 1), threadgroup=4
        )
    np.testing.assert_array_equal(results, [0, 3, 6, 9, 0, 0, 0, 0, 0, 0])


def test_several_images_and_channels_are_slices() -> None:
    queue = mpscnn.CommandQueue("metal")
    array = np.arange(2 * 3 * 2 * 6).reshape(2, 3, 2, 6).astype(np.float16)
    shifts = np.arange(16, dtype=np.float16).reshape(4, 4)
    result = mpscnn.Image(2, 3, 6, 2, format="float16")
    with queue.command_buffer() as commands:
        kernels.MetalKernel(SLICES, "shift").encode(
            commands, mpscnn.Image.from_numpy(array), result, shifts.reshape(-1)
        )
    channels = shifts.reshape(2, 8)[:, :6]
    np.testing.assert_array_equal(result.numpy(), array + channels[:, None, None, :])


def test_what_is_not_written_stays() -> None:
    queue = mpscnn.CommandQueue("metal")
    result = mpscnn.Image.from_numpy(np.full((4, 4, 1), 7, np.float32))
    blur = kernels.MetalKernel(BLUR, "blur", constants={"radius": 0})
    with queue.command_buffer() as commands:
        blur.encode(
            commands,
            mpscnn.Image.from_numpy(np.ones((4, 4, 1), np.float32)),
            result,
            grid=(2, 3),
            threadgroup=(2, 3),
        )
    expected = np.full((4, 4), 7)
    expected[:3, :2] = 1
    np.testing.assert_array_equal(result.numpy()[..., 0], expected)


@pytest.mark.parametrize("array", ["numpy", "pages", "part of pages"])
def test_commands_see_what_those_before_them_wrote(array: str) -> None:
    queue = mpscnn.CommandQueue("metal")
    value = np.zeros(1, np.int32)
    if array != "numpy":
        whole = mpscnn.empty((2,), np.float32).view(np.int32)
        whole[:] = 0
        value = whole[1:] if array == "part of pages" else whole[:1]
    kernel = kernels.MetalKernel(COUNT_UP, "count_up")
    with queue.command_buffer() as commands:
        for _ in range(3):
            kernel.encode(commands, value, grid=1)
    assert value[0] == 3


def test_overlapping_arrays_of_two_commands() -> None:
    queue = mpscnn.CommandQueue("metal")
    values = np.zeros(2, np.int32)
    kernel = kernels.MetalKernel(COUNT_UP, "count_up")
    with queue.command_buffer() as commands:
        kernel.encode(commands, values, grid=1)
        kernel.encode(commands, values[:1], grid=1)
    np.testing.assert_array_equal(values, [2, 0])


def test_arrays_live_until_the_end(emulation: Emulation) -> None:
    queue = mpscnn.CommandQueue("metal")
    emulation.set("worker_delay_ms", 50)
    kernel = kernels.MetalKernel(SCALE, "scale")
    results = np.zeros(10, np.float32)
    commands = queue.command_buffer()
    kernel.encode(commands, np.ones(10, np.float32), results, 2, np.float32([0, 9]), grid=10)
    commands.commit()
    del commands, kernel
    queue.wait()
    np.testing.assert_array_equal(results, np.full(10, 2))


def test_typed_constants() -> None:
    queue = mpscnn.CommandQueue("metal")
    results = np.zeros(10, np.float32)
    with queue.command_buffer() as commands:
        kernels.MetalKernel(CONSTANTS, "tell", constants=VALUES).encode(commands, results, grid=1)
    np.testing.assert_array_equal(results, [1, -5, 4e9, -300, 65535, 0.5, 1.25, 4, 3, 8])


def test_describes_itself() -> None:
    kernel = kernels.MetalKernel(SLICES, "shift")
    assert kernel.function == "shift"
    assert repr(kernel) == "<MetalKernel 'shift'>"
    assert kernel.parameters == (
        kernels.MetalParameter("image", "source", 0, False, True, "", 0),
        kernels.MetalParameter("image", "result", 1, True, True, "", 0),
        kernels.MetalParameter("buffer", "shifts", 0, False, False, "half", 8),
    )
    assert kernel.max_total_threads_per_threadgroup == 1024
    assert kernel.thread_execution_width == 32


def test_is_compiled_once(emulation: Emulation) -> None:
    first = kernels.MetalKernel(BLUR, "blur", constants={"radius": 3})
    emulation.set("fail_libraries", 1)
    second = kernels.MetalKernel(BLUR, "blur", constants={"radius": 3})
    assert first.parameters == second.parameters
    with pytest.raises(mpscnn.DeviceError, match="kernel 'blur': Metal makes no library: a failure that was"):
        kernels.MetalKernel(BLUR, "blur", constants={"radius": 4})


def test_the_example_of_the_documentation(project: Path) -> None:
    text = (project / "docs" / "metal.md").read_text("utf-8")
    example = re.search(r"## Writing a custom kernel\n.*?```python\n(.*?)```", text, re.DOTALL)
    assert example is not None
    names: dict[str, Any] = {}
    exec(example[1], names)
    array = names["photo"].numpy()
    soft = array + np.float32(0.8) * (blurred(array, 2) - array)
    np.testing.assert_allclose(names["soft"].numpy(), soft, atol=1e-6)
    expected = soft.reshape(32, 2, 24, 2, 3).max((1, 3))
    np.testing.assert_allclose(names["small"].numpy(), expected, atol=1e-6)
