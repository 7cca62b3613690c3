"""Test photos given as arrays of other libraries, which are read without a copy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mpscnn

TYPES = [np.float32, np.float16, np.uint8, np.uint16]


def image_of(dtype: Any, channels: int = 5, count: int = 1) -> mpscnn.Image:
    shape = (3, 4, channels) if count == 1 else (count, 3, 4, channels)
    return mpscnn.Image.from_numpy(np.arange(np.prod(shape)).reshape(shape).astype(dtype))


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("count", [1, 2])
def test_numpy(dtype: Any, count: int) -> None:
    image = image_of(dtype, count=count)
    array = np.asarray(image)
    assert array.dtype == dtype
    np.testing.assert_array_equal(array, image.numpy())
    assert np.shares_memory(array, image.numpy())
    array[...] = 7
    assert (image.read() == 7).all()
    converted = np.asarray(image, dtype=np.float64)
    assert converted.dtype == np.float64
    assert not np.shares_memory(converted, image.numpy())
    assert not np.shares_memory(np.array(image), image.numpy())
    with pytest.raises(ValueError, match="by a copy only"):
        image.__array__(np.float64, copy=False)


def test_numpy_by_dlpack() -> None:
    image = image_of(np.float32)
    array = np.from_dlpack(image)
    assert np.shares_memory(array, image.numpy())


def test_torch() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    image = image_of(np.float32)
    tensor = torch.from_dlpack(image)
    np.testing.assert_array_equal(tensor.numpy(), image.numpy())
    tensor[0, 0, 0] = 99
    assert image.numpy()[0, 0, 0] == 99


def test_a_network_takes_an_image() -> None:
    network = mpscnn.Network(input=(3, 4, 5))
    network.output(network.activation(network.input, "relu"))
    image = image_of(np.float32, count=2)
    found = network.compile(device="cpu").session(threads=1).run(image)
    np.testing.assert_array_equal(found, image.numpy())


def test_temporary_images_say_what_to_do() -> None:
    queue = mpscnn.CommandQueue("cpu", threads=1)
    image = mpscnn.TemporaryImage(queue.command_buffer(), 4, 3, 5)
    for convert in (np.asarray, np.from_dlpack):
        with pytest.raises(TypeError, match=r"a TemporaryImage has no memory .* encode into an Image"):
            convert(image)
