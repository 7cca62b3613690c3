"""Compare TensorFlow Lite files whose weights are sparse, 8-bit integers, or float16 with LiteRT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agreement import computed
from converters.tflite.test_tflite_attention import File
from converters.tflite.test_tflite_layers import operator, random
from converters.tflite_writer import Field, Operator, Sparsity, Tensor, constant, quantized, write_tflite
from exact_engines import litert_results
from numpy.typing import NDArray

import mpscnn
from mpscnn import converters

Array = NDArray[Any]
CONV_OPTIONS: list[Field] = [
    (0, "Int8", 0),
    (1, "Int32", 1),
    (2, "Int32", 1),
    (4, "Int32", 1),
    (5, "Int32", 1),
]


def judged(tmp_path: Path, content: bytes, x: Array, *, fast_because: str = "") -> tuple[Array, Array]:
    """Return mpscnn's result and LiteRT's."""
    (theirs,) = litert_results(content, x, fast_because=fast_because)
    path = tmp_path / "file.tflite"
    path.write_bytes(content)
    return computed(converters.read_network([path]), x), theirs


# ---- Sparse ------------------------------------------------------------------------------------------------


def by_rows(values: Array, *, list_type: int = 1) -> tuple[Sparsity, Array]:
    """Return the form of a matrix that lists the nonzero columns of each row, and the stored elements."""
    rows, columns = np.nonzero(values)
    segments = np.concatenate([[0], np.cumsum(np.count_nonzero(values, axis=1))])
    return Sparsity([0, 1], [], [len(values), (segments, columns)], list_type), values[rows, columns]


def by_blocks(values: Array) -> tuple[Sparsity, Array]:
    """Return the form of a matrix that lists the nonzero 1 x 4 blocks of each row, and the stored elements.

    LiteRT's sparse kernels accept this form.
    """
    blocks = values.reshape(len(values), -1, 4)
    rows, columns = np.nonzero(blocks.any(2))
    segments = np.concatenate([[0], np.cumsum(blocks.any(2).sum(1))])
    return Sparsity([0, 1, 2], [1], [len(values), (segments, columns), 4]), blocks[rows, columns].reshape(-1)


def sparse_matrix(*shape: int, blocks: bool = False) -> Array:
    values = random(*shape, seed=3)
    kept = np.random.default_rng(4).uniform(size=(shape[0], shape[1] // 4 if blocks else shape[1])) < 0.4
    kept[0, 0] = True
    matrix: Array = values * (np.repeat(kept, 4, axis=1) if blocks else kept)
    return matrix


def dense_layer(weights: list[Tensor], operators: list[Operator], features: int, units: int) -> bytes:
    tensors = [Tensor("x", (1, features)), *weights, Tensor("y", (1, units))]
    dense = operator("FULLY_CONNECTED", [0, len(weights), -1], [len(tensors) - 1], [(0, "Int8", 0)])
    return write_tflite(tensors, [*operators, dense], [0], [len(tensors) - 1])


@pytest.mark.parametrize("list_type", [1, 2, 3])
def test_densify(tmp_path: Path, list_type: int) -> None:
    values = sparse_matrix(8, 12)
    sparsity, stored = by_rows(values, list_type=list_type)
    weights = [Tensor("w", (8, 12), "float32", stored, sparsity=sparsity), Tensor("dense", (8, 12))]
    content = dense_layer(weights, [operator("DENSIFY", [1], [2])], 12, 8)
    x = random(1, 12)
    ours, theirs = judged(tmp_path, content, x)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    np.testing.assert_allclose(ours, x @ values.T, rtol=1e-5)


def test_sparse_blocks(tmp_path: Path) -> None:
    values = sparse_matrix(8, 16, blocks=True)
    sparsity, stored = by_blocks(values)
    x = random(1, 16)
    for densify in (True, False):
        weights = [Tensor("w", (8, 16), "float32", stored, sparsity=sparsity)]
        operators = []
        if densify:
            weights.append(Tensor("dense", (8, 16)))
            operators.append(operator("DENSIFY", [1], [2]))
        ours, theirs = judged(tmp_path, dense_layer(weights, operators, 16, 8), x)
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)
        np.testing.assert_allclose(ours, x @ values.T, rtol=1e-5)


def damaged(tmp_path: Path, sparsity: Sparsity, stored: Array, shape: tuple[int, int]) -> str:
    weights = [Tensor("w", shape, "float32", stored, sparsity=sparsity), Tensor("dense", shape)]
    path = tmp_path / "file.tflite"
    path.write_bytes(dense_layer(weights, [operator("DENSIFY", [1], [2])], shape[1], shape[0]))
    with pytest.raises(mpscnn.WeightsError) as refused:
        converters.read_network([path])
    return str(refused.value)


@pytest.mark.parametrize(
    ("sparsity", "message"),
    [
        (Sparsity([0, 0], [], [2, ([0, 1, 2], [0, 1])]), "is stored by axes"),
        (Sparsity([0, 1], [5], [2, 3]), "is stored by axes"),
        (Sparsity([0, 1], [], [2, ([0, 1, 2], [0, 3])]), "positions outside its 3"),
        (Sparsity([0, 1], [], [2, ([0, 1, 2], [-1, 1])]), "positions outside its 3"),
        (Sparsity([0, 1], [], [2, ([0, 2, 1], [0, 1])]), "do not fit its positions"),
        (Sparsity([0, 1], [], [2, ([0, 2], [0, 1])]), "do not fit its positions"),
        (Sparsity([0, 1], [], [2, ([0, 3, 2], [0, 1])]), "positions outside its 3"),
        (Sparsity([0, 1], [], [2**31 - 1, ([0, 1, 2], [0, 1])]), "has 2147483647 positions"),
        (Sparsity([0, 1], [], [2, 3]), "has 3 positions"),
        (Sparsity([0, 1, 2], [1], [2, ([0, 1, 2], [0, 1]), 2]), "blocks of 2 along 1"),
        (Sparsity([0, 1, 2], [1], [2, ([0, 1, 2], [0, 0]), 0]), "blocks of 0 along 1"),
        (Sparsity([0, 1], [], [2, ([0, 1, 1], [0])]), "stores 2 elements, but lists 1 places"),
    ],
)
def test_sparse_tensors_that_contradict_themselves(tmp_path: Path, sparsity: Sparsity, message: str) -> None:
    assert message in damaged(tmp_path, sparsity, np.ones(2, np.float32), (2, 3))


def test_few_elements_that_claim_gigabytes(tmp_path: Path) -> None:
    sparsity = Sparsity([1, 0], [], [([0, 1], [7]), ([0, 1], [7])])
    assert "its layers share constants" in damaged(tmp_path, sparsity, np.ones(1, np.float32), (2**15, 2**15))


# ---- Integers and halves -----------------------------------------------------------------------------------


def rounded(values: Array, axis: int | None) -> tuple[Array, list[float]]:
    """Round values to int8. Return the integers, and one scale, or one for each position of an axis."""
    others = tuple(one for one in range(values.ndim) if one != axis)
    scale = np.abs(values).max(axis=others if axis is not None else None, keepdims=True) / 127
    return np.round(values / scale).astype(np.int8), [float(one) for one in scale.reshape(-1)]


@pytest.mark.parametrize("fast_because", ["", "its kernels round the input in another way"])
@pytest.mark.parametrize("kind", ["FULLY_CONNECTED", "CONV_2D"])
def test_dynamic_range_files(tmp_path: Path, kind: str, fast_because: str) -> None:
    """Results differ from LiteRT's by no more than its rounding of the input to 8 bits, which mpscnn does not do."""
    shape = (8, 12) if kind == "FULLY_CONNECTED" else (8, 3, 3, 4)
    values = random(*shape, seed=5)
    stored, scales = rounded(values, None if kind == "FULLY_CONNECTED" else 0)
    weights = quantized(constant("w", stored, "int8"), scales, [0] * len(scales))
    source, result = ((2, 12), (2, 8)) if kind == "FULLY_CONNECTED" else ((1, 5, 6, 4), (1, 5, 6, 8))
    options: list[Field] = [(0, "Int8", 0)] if kind == "FULLY_CONNECTED" else CONV_OPTIONS
    tensors = [Tensor("x", source), weights, constant("b", random(8, seed=6)), Tensor("y", result)]
    content = write_tflite(tensors, [operator(kind, [0, 1, 2], [3], options)], [0], [3])
    x = random(*source)
    ours, theirs = judged(tmp_path, content, x, fast_because=fast_because)
    # LiteRT rounds the input to multiples of `steps`, with errors of at most half of it.
    steps = np.abs(x).max() / 127
    maximum = np.abs(values).reshape(8, -1).sum(1) * steps * 0.75
    assert (np.abs(ours - theirs) <= maximum).all()
    scale = np.asarray(scales).reshape(-1, *[1] * (len(shape) - 1))
    exact = Tensor("w", shape, "float32", (stored * scale).astype(np.float32))
    floats = write_tflite(
        [tensors[0], exact, *tensors[2:]], [operator(kind, [0, 1, 2], [3], options)], [0], [3]
    )
    np.testing.assert_allclose(ours, judged(tmp_path, floats, x)[1], rtol=1e-4, atol=1e-5)


def test_files_with_halves(tmp_path: Path) -> None:
    made = File((1, 5, 6, 4))
    made.tensors.append(constant("w", random(8, 3, 3, 4, seed=5).astype(np.float16), "float16"))
    made.tensors.append(constant("b", random(8, seed=6).astype(np.float16), "float16"))
    weights, biases = made.add("DEQUANTIZE", [1], (8, 3, 3, 4)), made.add("DEQUANTIZE", [2], (8,))
    content = made.content(made.add("CONV_2D", [0, weights, biases], (1, 5, 6, 8), CONV_OPTIONS))
    ours, theirs = judged(tmp_path, content, random(1, 5, 6, 4))
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
