"""Test the results that kernels make of images of integers: numbers beyond 0 to 1 are not lost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mpscnn import CommandQueue, Image
from mpscnn import kernels as k

PICTURES = {
    "DilatedPoolingMax",
    "ImageBilinearScale",
    "ImageConversion",
    "ImageLanczosScale",
    "PoolingMax",
    "ReduceColumnMax",
    "ReduceColumnMin",
    "ReduceFeatureChannelsMax",
    "ReduceFeatureChannelsMin",
    "ReduceRowMax",
    "ReduceRowMin",
    "Reshape",
    "Slice",
    "UpsamplingNearest",
}


def unary_kernels() -> list[str]:
    """Return the names of kernels of one source that can be made without arguments."""
    found = []
    for name in sorted(dir(k)):
        kind = getattr(k, name)
        if isinstance(kind, type) and issubclass(kind, k.UnaryKernel) and kind is not k.UnaryKernel:
            try:
                kind()
            except Exception:  # it needs weights or a size
                continue
            if name != "BatchNormalizationStatistics":  # its result is a state
                found.append(name)
    return found


@pytest.mark.parametrize("name", unary_kernels())
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_only_pictures_keep_the_format_of_integers(name: str, dtype: Any) -> None:
    pixels = np.random.default_rng(0).integers(0, 200, (6, 6, 4)).astype(dtype)
    kernel = getattr(k, name)()
    source = Image.from_numpy(pixels)
    if hasattr(kernel, "resize_width"):
        kernel.resize_width = kernel.resize_height = 3
    made = kernel.destination_image_descriptor(source)
    kept, wide = ("unorm8", "float16") if dtype == np.uint8 else ("unorm16", "float32")
    assert made.format == (kept if type(kernel).__name__ in PICTURES else wide)


def test_results_of_bytes_are_those_of_floats() -> None:
    random = np.random.default_rng(1)
    photo = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    weights = random.normal(size=(4, 3, 3, 3)).astype(np.float32)
    kernels = {
        "convolution": k.Convolution(k.ConvolutionDescriptor(3, 3, 3, 4), weights, np.zeros(4)),
        "line": k.NeuronLinear(a=2, b=-1),
        "mean": k.PoolingAverage(kernel_width=3, kernel_height=3),
        "maximum": k.PoolingMax(kernel_width=3, kernel_height=3),
    }
    for name, kernel in kernels.items():
        with CommandQueue("cpu").command_buffer() as commands:
            of_bytes = kernel.encode(commands, Image.from_numpy(photo))
            of_floats = kernel.encode(commands, Image.from_numpy(photo.astype(np.float32) / 255))
        found = of_bytes.numpy() / (255 if of_bytes.format == "unorm8" else 1)
        np.testing.assert_allclose(found, of_floats.numpy(), atol=4e-3, err_msg=name)


@pytest.mark.parametrize("order", [0, 1])
def test_differences_of_bytes_may_be_negative(order: int) -> None:
    pair = [Image.from_numpy(np.full((2, 2, 4), value, np.uint8)) for value in (51, 204)]
    with CommandQueue("cpu").command_buffer() as commands:
        result = k.Subtract().encode(commands, *(pair[::-1] if order else pair))
    np.testing.assert_allclose(result.numpy(), 0.6 if order else -0.6, atol=1e-3)


def test_a_given_destination_keeps_its_format() -> None:
    photo = Image.from_numpy(np.full((2, 2, 4), 200, np.uint8))
    destination = Image(2, 2, 4, format="unorm8")
    with CommandQueue("cpu").command_buffer() as commands:
        k.NeuronLinear(a=2, b=-1).encode(commands, photo, destination)
    assert set(np.unique(destination.numpy())) == {145}
