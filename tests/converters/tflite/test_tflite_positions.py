"""Compare TensorFlow Lite's operators on elements at given positions with LiteRT's reference kernels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from converters.quantized_files import judged
from converters.tflite_writer import CODES, Operator, Tensor, constant, write_tflite
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mpscnn import converters
from mpscnn.errors import UnsupportedError, WeightsError

Numbers = NDArray[np.float32]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("positions") / "one.tflite"


def compare(path: Path, tensors: list[Tensor], operator: Operator, x: Numbers) -> None:
    """Check that mpscnn's and LiteRT's results of one operator are equal. The first tensor is the input."""
    path.write_bytes(write_tflite(tensors, [operator], [0], list(operator.outputs)))
    network = converters.read_network([path])
    (source,) = network.inputs
    given = x.reshape(1 if source.shape[1:] == x.shape else len(x), *source.shape[1:])
    results = network.compile(device="cpu", precision="float32").session(threads=1).run(given)
    expected = judged(path, x)
    ours = list(results.values()) if isinstance(results, dict) else [results]
    for result, index in zip(ours, operator.outputs, strict=True):
        np.testing.assert_array_equal(np.reshape(result, expected[index].shape), expected[index])


def drawn_shape(random: np.random.Generator, minimum: int) -> tuple[int, ...]:
    return tuple(int(extent) for extent in random.integers(1, 6, random.integers(minimum, 5)))


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_gather_nd(path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    shape = (1, *drawn_shape(random, 1)[:3]) if random.integers(2) else drawn_shape(random, 2)
    count = int(random.integers(1, len(shape) + 1))
    outer = tuple(int(extent) for extent in random.integers(1, 4, random.integers(1, 3)))
    indices = np.stack([random.integers(0, extent, outer) for extent in shape[:count]], -1)
    tensors = [Tensor("x", shape), constant("i", indices, "int32"), Tensor("y", (*outer, *shape[count:]))]
    x = random.normal(size=shape).astype(np.float32)
    compare(path, tensors, Operator(CODES["GATHER_ND"], [0, 1], [2], version=2), x)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_scatter_nd(path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    shape = drawn_shape(random, 2)
    count = int(random.integers(1, len(shape) + 1))
    blocks = int(np.prod(shape[:count]))
    chosen = random.permutation(blocks)[: random.integers(1, blocks + 1)]
    indices = np.stack(np.unravel_index(chosen, shape[:count]), -1)
    updates = random.normal(size=(len(chosen), *shape[count:])).astype(np.float32)
    if updates.shape == (1,):  # as an input, this shape is refused, because its extent could be the batch
        return
    tensors = [
        Tensor("u", updates.shape),
        constant("i", indices, "int32"),
        constant("s", shape, "int32"),
        Tensor("y", shape),
    ]
    compare(path, tensors, Operator(CODES["SCATTER_ND"], [1, 0, 2], [3]), updates)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_top_k(path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    shape = drawn_shape(random, 2)
    count = int(random.integers(1, shape[-1] + 1))
    made = (*shape[:-1], count)
    tensors = [
        Tensor("x", shape),
        constant("k", count, "int32"),
        Tensor("y", made),
        Tensor("i", made, "int32"),
    ]
    x = random.permutation(np.prod(shape)).reshape(shape).astype(np.float32)
    compare(path, tensors, Operator(CODES["TOPK_V2"], [0, 1], [2, 3]), x)


@pytest.mark.parametrize("batch", [1, 3])
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_gather_by_computed_positions(path: Path, batch: int, seed: int) -> None:
    """GATHER reads positions that ARG_MAX computes, separately for each image of the batch (batch_dims=1)."""
    random = np.random.default_rng(seed)
    rank, count = int(random.integers(2, 4)), int(random.integers(1, 5))
    shape = (batch, *(int(extent) for extent in random.integers(1, 6, rank - 1)), count)
    axis = int(random.integers(1, rank + 1))
    tensors = [
        Tensor("x", shape),
        constant("last", [rank], "int32"),
        Tensor("i", shape[:-1], "int32"),
        Tensor("y", (*shape[:axis], *shape[1:-1], *shape[axis + 1 :])),
    ]
    scores = random.normal(size=shape).astype(np.float32)
    operators = [
        Operator(CODES["ARG_MAX"], [0, 1], [2], 40, [(0, "Int8", 2)]),
        Operator(CODES["GATHER"], [0, 2], [3], 23, [(0, "Int32", axis), (1, "Int32", 1)], version=5),
    ]
    # ARG_MAX returns channel numbers below `count`. They must be valid positions along the axis of GATHER.
    if shape[axis] < count:
        return
    path.write_bytes(write_tflite(tensors, operators, [0], [3]))
    result = converters.read_network([path]).compile(device="cpu").session(threads=1).run(scores)
    expected = judged(path, scores)[3]
    np.testing.assert_array_equal(np.reshape(result, expected.shape), expected)


@pytest.mark.parametrize(
    ("indices", "message", "kind"),
    [
        ([[1], [1]], "adds several elements at one position", UnsupportedError),
        ([[1], [9]], "are beyond", WeightsError),
        ([[1, 0, 0], [2, 0, 0]], "damaged: indices", WeightsError),
    ],
)
def test_scatters_that_are_refused(
    path: Path, indices: list[list[int]], message: str, kind: type[Exception]
) -> None:
    tensors = [
        Tensor("u", (2, 3)),
        constant("i", indices, "int32"),
        constant("s", [4, 3], "int32"),
        Tensor("y", (4, 3)),
    ]
    path.write_bytes(write_tflite(tensors, [Operator(CODES["SCATTER_ND"], [1, 0, 2], [3])], [0], [3]))
    with pytest.raises(kind, match=message):
        converters.read_network([path])
