"""Test lookups of rows in constant tables by numbers of the input, such as embeddings of words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from converters import onnx_files
from converters.quantized_files import judged
from converters.tflite_writer import CODES, Operator, Tensor, constant, write_tflite

import mpscnn
from mpscnn import converters

INT64 = 7
TABLE = onnx_files.weights(20, 5)


@pytest.mark.parametrize("shape", [(1, 7), (3, 7), (2, 3, 2)], ids=str)
def test_gather_of_tensorflow_lite(tmp_path: Path, shape: tuple[int, ...]) -> None:
    words = np.random.default_rng(0).integers(0, 20, shape).astype(np.int32)
    tensors = [Tensor("words", shape, "int32"), constant("table", TABLE), Tensor("rows", (*shape, 5))]
    operator = Operator(CODES["GATHER"], [1, 0], [2], 23, [(0, "Int32", 0)])
    path = tmp_path / "words.tflite"
    path.write_bytes(write_tflite(tensors, [operator], [0], [2]))
    network = converters.read_network([path])
    found = network.compile(device="cpu", precision="float32").session().run(words.astype(np.float32))
    np.testing.assert_array_equal(found, judged(path, words)[2])


@pytest.mark.parametrize("axes", [2, 3])
def test_gather_of_onnx_counts_from_both_ends(axes: int) -> None:
    table = onnx_files.weights(*(20, 5, 4)[:axes])
    made = onnx_files.model(
        [onnx_files.node("Gather", ["table", "words"])],
        {"words": ["n", 7]},
        {"table": table},
        types={"words": INT64},
    )
    words = np.random.default_rng(1).integers(-20, 20, (2, 7))
    network = onnx_files.read(made)
    found = np.asarray(
        network.compile(device="cpu", precision="float32").session().run(words.astype(np.float32))
    )
    wanted = onnx_files.run_there(made, {"words": words})[0]
    np.testing.assert_array_equal(found, wanted if axes == 2 else wanted.transpose(0, 2, 3, 1))


def test_numbers_that_are_no_rows_give_zeros() -> None:
    made = onnx_files.model(
        [onnx_files.node("Gather", ["table", "words"])],
        {"words": ["n", 2]},
        {"table": TABLE},
        types={"words": INT64},
    )
    found = onnx_files.read(made).compile(device="cpu").session().run(np.array([[20.0, 3.0]], np.float32))
    np.testing.assert_array_equal(found, [[np.zeros(5), TABLE[3]]])


def test_what_is_refused() -> None:
    made = onnx_files.model(
        [onnx_files.node("Gather", ["table", "words"], axis=1)],
        {"words": ["n", 2]},
        {"table": TABLE},
        types={"words": INT64},
    )
    with pytest.raises(mpscnn.UnsupportedError, match="along another axis than the first one"):
        onnx_files.read(made)
    text = onnx_files.model([onnx_files.node("Identity", ["x"])], {"x": ["n", 2]}, types={"x": 8})
    with pytest.raises(mpscnn.UnsupportedError, match="input 'x' is text, which is not supported"):
        onnx_files.read(text)
