"""Reading a .tflite file takes time and memory in proportion to its size, however its parts are shared."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from converters.tflite_writer import Operator, Tensor, constant, quantized, write_tflite
from patience import little_work

import mpscnn
from mpscnn import converters
from mpscnn.converters.reading.tflite.flexbuffer import read_map

ADD, CONV_2D, MUL, RELU, PACK, QUANTIZE = 0, 3, 18, 19, 83, 114
CONVOLUTION = [(1, "Int32", 1), (2, "Int32", 1)]


def image(name: str = "image") -> Tensor:
    return Tensor(name, (1, 4, 4, 3))


def read_or_refused(path: Path) -> mpscnn.Network | mpscnn.Error:
    """Return the network, or the error of reading it."""
    try:
        return converters.read_network([path])
    except mpscnn.Error as error:
        return error


def read_within(path: Path, content: bytes, *, factor: int = 200) -> mpscnn.Network | mpscnn.Error:
    """Read a file like `read_or_refused`. Check its work, and its memory: `factor` bytes for each byte of the file.

    Memory is measured in a second run, because measuring makes reading several times slower.
    """
    path.write_bytes(content)
    with little_work():
        read = read_or_refused(path)
    tracemalloc.start()
    try:
        read_or_refused(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000 + factor * len(content), f"{peak:,} bytes for a file of {len(content):,}"
    return read


@pytest.mark.parametrize("vector", ["subgraphs", "tensors", "operators", "codes"])
def test_a_table_listed_twice_is_refused(tmp_path: Path, vector: str) -> None:
    content = write_tflite([image(), image("y")], [Operator(RELU, [0], [1])], [0], [1], repeat={vector: 1})
    path = tmp_path / "shared.tflite"
    path.write_bytes(content)
    with pytest.raises(
        mpscnn.UnsupportedError, match=r"shared\.tflite: the table at byte \d+ is listed more than once"
    ):
        converters.read_network([path])


@pytest.mark.parametrize("vector", ["tensors", "operators", "codes"])
def test_a_table_listed_ten_thousand_times(tmp_path: Path, vector: str) -> None:
    name = "n" * 36_000
    tensors = [image(), constant("weights", np.zeros(10_000)), image(name)]
    content = write_tflite(tensors, [Operator(RELU, [0], [2])], [0], [2], repeat={vector: 9_000})
    error = read_within(tmp_path / "shared.tflite", content)
    assert isinstance(error, mpscnn.UnsupportedError)


def test_a_buffer_may_be_listed_again(tmp_path: Path) -> None:
    """Published files list the empty buffer several times."""
    tensors = [image(), constant("weights", np.zeros(100_000)), image("y")]
    content = write_tflite(tensors, [Operator(RELU, [0], [2])], [0], [2], repeat={"buffers": 20_000})
    assert isinstance(read_within(tmp_path / "shared.tflite", content), mpscnn.Network)


def names(count: int) -> bytes:
    """Return a file with tensors that share a long name."""
    shared = [image(f"a{'n' * 100_000}") for _ in range(count)]
    return write_tflite([image(), image("y"), *shared], [Operator(RELU, [0], [1])], [0], [1], share=True)


def scales(count: int) -> bytes:
    """Return a file with tensors that share a long list of scales."""
    values = [0.5] * 20_000
    shared = [quantized(image(), values, [1] * len(values)) for _ in range(count)]
    return write_tflite([image(), image("y"), *shared], [Operator(RELU, [0], [1])], [0], [1], share=True)


def operands(count: int) -> bytes:
    """Return a file with operators that share a long list of inputs."""
    shared = [Operator(RELU, [0] * 20_000, [1]) for _ in range(count)]
    return write_tflite([image(), image("y")], shared, [0], [1], share=True)


@pytest.mark.parametrize("make", [names, scales, operands])
def test_shared_lists_are_bounded(tmp_path: Path, make: Callable[[int], bytes]) -> None:
    error = read_within(tmp_path / "shared.tflite", make(2_000))
    assert isinstance(error, mpscnn.UnsupportedError)
    assert "share places" in str(error)


def test_small_lists_may_be_shared(tmp_path: Path) -> None:
    tensors = [Tensor(f"t{i}", (1, 4, 4, 3)) for i in range(30)]
    operators = [Operator(RELU, [i], [i + 1]) for i in range(29)]
    network = read_within(tmp_path / "shared.tflite", write_tflite(tensors, operators, [0], [29], share=True))
    assert isinstance(network, mpscnn.Network)


def weights(count: int) -> bytes:
    """Return a file with a chain of convolutions that share their weights."""
    tensors = [Tensor("t0", (1, 4, 4, 64)), constant("weights", np.zeros((64, 1, 1, 64)))]
    tensors += [Tensor(f"t{i}", (1, 4, 4, 64)) for i in range(1, count + 1)]
    places = [0, *range(2, count + 2)]
    operators = [
        Operator(CONV_2D, [places[i], 1], [places[i + 1]], 1, [(0, "Int8", 1), *CONVOLUTION])
        for i in range(count)
    ]
    return write_tflite(tensors, operators, [0], [places[-1]], share=True)


def test_weights_may_be_shared_by_some_layers(tmp_path: Path) -> None:
    network = read_within(tmp_path / "shared.tflite", weights(5))
    assert isinstance(network, mpscnn.Network)
    assert len(network.weights) == 5


def test_weights_shared_by_a_thousand_layers(tmp_path: Path) -> None:
    error = read_within(tmp_path / "shared.tflite", weights(1_000))
    assert isinstance(error, mpscnn.WeightsError)
    assert "shared.tflite: layer 't" in str(error)
    assert "16 times the file's" in str(error)


def test_constants_that_are_converted_are_bounded(tmp_path: Path) -> None:
    values = quantized(constant("values", np.zeros(20_000), "int8"), [0.5], [0])
    tensors = [image(), image("y"), values, *(Tensor(f"t{i}", (20_000,)) for i in range(1_000))]
    operators = [Operator(QUANTIZE, [2], [3 + i]) for i in range(1_000)]
    content = write_tflite(tensors, [*operators, Operator(RELU, [0], [1])], [0], [1], share=True)
    error = read_within(tmp_path / "shared.tflite", content)
    assert isinstance(error, mpscnn.WeightsError)


def test_arithmetic_on_constants_is_bounded(tmp_path: Path) -> None:
    """A row times a column has as many elements as the product of both extents."""
    tensors = [
        image(),
        image("y"),
        constant("row", np.ones((1, 20_000)), "int32"),
        constant("column", np.ones((20_000, 1)), "int32"),
        Tensor("product", (20_000, 20_000), "int32"),
    ]
    operators = [Operator(MUL, [2, 3], [4]), Operator(RELU, [0], [1])]
    error = read_within(tmp_path / "product.tflite", write_tflite(tensors, operators, [0], [1]))
    assert isinstance(error, mpscnn.UnsupportedError)
    assert "'product' (MUL)" in str(error)


def test_arithmetic_that_doubles_its_result(tmp_path: Path) -> None:
    tensors = [image(), image("y"), constant("t0", [1, 2], "int32")]
    tensors += [Tensor(f"t{i}", (2,), "int32") for i in range(1, 40)]
    packs = [Operator(PACK, [2 + i, 2 + i], [3 + i], 59) for i in range(39)]
    content = write_tflite(tensors, [*packs, Operator(RELU, [0], [1])], [0], [1])
    error = read_within(tmp_path / "doubles.tflite", content, factor=400)
    assert isinstance(error, mpscnn.Error)
    assert "(PACK)" in str(error)


def test_more_scales_than_elements_along_their_axis(tmp_path: Path) -> None:
    """Broadcasting such scales would give a tensor with an element for each pair of a scale and an element."""
    count = 10_000
    operand = quantized(constant("c", np.zeros((1, 1, 1, count)), "uint8"), [0.5] * count, [0] * count)
    tensors = [Tensor("image", (1, 4, 4, count)), operand, Tensor("y", (1, 4, 4, count))]
    content = write_tflite(tensors, [Operator(ADD, [0, 1], [2], 11)], [0], [2])
    error = read_within(tmp_path / "scales.tflite", content)
    assert isinstance(error, mpscnn.WeightsError)
    assert "tensor 'c' has 10000 scales for axis 0 of (1, 1, 1, 10000)" in str(error)


def test_equal_names_take_linear_time(tmp_path: Path) -> None:
    tensors = [image() for _ in range(4_001)]
    operators = [Operator(RELU, [i], [i + 1]) for i in range(4_000)]
    content = write_tflite(tensors, operators, [0], [4_000], share=True)
    network = read_within(tmp_path / "names.tflite", content, factor=1_000)
    assert isinstance(network, mpscnn.Network)
    assert network.layer_names()[:3] == ["image", "image_2", "image_3"]
    assert len(set(network.layer_names())) == 4_001


def test_long_names_within_custom_options() -> None:
    """Each name begins one byte after the one before, and all end at the same byte."""
    size, count = 1_000_000, 250
    content = b"k" * size + b"\0"
    keys = len(content)
    content += b"".join(struct.pack("<I", keys + 4 * i - i) for i in range(count))
    content += struct.pack("<III", len(content) - keys, 4, count)
    start = len(content)
    content += bytes(4 * count) + bytes([1 << 2 | 2]) * count
    content += struct.pack("<I", len(content) - start) + bytes([9 << 2 | 2, 4])
    tracemalloc.start()
    try:
        with pytest.raises(mpscnn.WeightsError, match="has more than 256 characters"):
            read_map(content)
        assert tracemalloc.get_traced_memory()[1] < len(content)
    finally:
        tracemalloc.stop()
