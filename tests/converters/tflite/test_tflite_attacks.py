"""Operators of TensorFlow Lite files with impossible claims give an error at once."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.tflite.test_tflite_attention import File
from converters.tflite.test_tflite_layers import X, integers
from converters.tflite.test_tflite_work import read_within
from converters.tflite_writer import Operator, Tensor, write_metadata, write_tflite

import mpscnn

HUGE = 2**31 - 1
LOWEST = -(2**31)


def single(
    kind: str, *constants: Any, first: int = 0, options: Any = (), shape: tuple[int, ...] = X
) -> bytes:
    """Return a file of one operator of the input and constants. `first`: the number of constants before the input."""
    made = File(shape)
    numbers = [made.constant(values) for values in constants]
    return made.content(made.add(kind, [*numbers[:first], 0, *numbers[first:]], X, options))


CASES = {
    "tile of gigabytes": single("TILE", integers(1, HUGE, HUGE, HUGE)),
    "tile of nothing": single("TILE", integers(1, 0, 1, 1)),
    "tile that goes back": single("TILE", integers(1, -1, 1, 1)),
    "tile of other axes": single("TILE", integers(1, 2)),
    "broadcast to gigabytes": single("BROADCAST_TO", integers(1, HUGE, HUGE, 8), shape=(1, 1, 1, 8)),
    "gather before the first": single("GATHER", integers(-1), options=[(0, "Int32", 1)]),
    "gather behind the last": single("GATHER", integers(0, 4), options=[(0, "Int32", 1)]),
    "gather of no axis": single("GATHER", integers(0), options=[(0, "Int32", 7)]),
    "gather of a low axis": single("GATHER", integers(0), options=[(0, "Int32", LOWEST)]),
    "gather of numbers": single("GATHER", np.float32([0, 1]), options=[(0, "Int32", 1)]),
    "gather of nothing": single("GATHER", np.zeros(0, np.int32), options=[(0, "Int32", 1)]),
    "gather for each image": single("GATHER", integers(0), options=[(0, "Int32", 1), (1, "Int32", 1)]),
    "transposition of an axis twice": single("TRANSPOSE", integers(0, 1, 1, 3)),
    "transposition of no axis": single("TRANSPOSE", integers(0, 1, 2, 9)),
    "transposition of fewer axes": single("TRANSPOSE", integers(0, 1)),
    "reverse of no axis": single("REVERSE_V2", integers(4)),
    "reverse of the lowest axis": single("REVERSE_V2", integers(LOWEST)),
    "reduction of no axis": single("MEAN", integers(9)),
    "product of no axis": single("REDUCE_PROD", integers(-9)),
    "place on no axis": single("ARG_MIN", integers(4)),
    "split along no axis": single("SPLIT", integers(5), first=1),
    "slice that overflows": single("SLICE", integers(0, HUGE, 0, 0), integers(1, HUGE, 6, 8)),
    "slice that goes back": single("SLICE", integers(0, -1, 0, 0), integers(1, 1, 6, 8)),
    "slice with a step of 0": single(
        "STRIDED_SLICE", integers(0, 0, 0, 0), integers(1, 4, 6, 8), integers(1, 0, 1, 1)
    ),
    "pack along no axis": single("PACK", options=[(1, "Int32", 9)]),
    "join along no axis": single("CONCATENATION", options=[(0, "Int32", -9)]),
    "blocks of 0": single("SPACE_TO_DEPTH", options=[(0, "Int32", 0)]),
    "blocks that overflow": single("SPACE_TO_DEPTH", options=[(0, "Int32", HUGE)]),
    "product of other sizes": single(
        "BATCH_MATMUL", np.ones((9, 3), np.float32), options=[(0, "Bool", False)]
    ),
    "product with numbers": single("BATCH_MATMUL", np.float32(3), options=[(0, "Bool", False)]),
    "product of a vector": single("BATCH_MATMUL", np.ones(8, np.float32), options=[(0, "Bool", False)]),
    "NaN to compare with": single("GREATER", np.float32("nan")),
    "infinity to choose": single(
        "SELECT_V2", np.ones(8, np.float32), np.full(8, np.inf, np.float32), first=0
    ),
    "constant of other sizes": single("GREATER", np.ones((1, 4, 5, 8), np.float32)),
    "constant of more axes": single("ADD", np.ones((2, 1, 4, 5, 8), np.float32)),
    "shape of gigabytes": single("RESHAPE", integers(1, HUGE, HUGE)),
    "shape that goes back": single("RESHAPE", integers(1, -5, -5)),
    "shape of two unknowns": single("RESHAPE", integers(-1, -1, 8)),
    "new axis beyond all": single("EXPAND_DIMS", integers(9)),
    "sum along no axis": single("CUMSUM", np.int32(9)),
    "places of gigabytes": single("ONE_HOT", np.int32(HUGE), np.float32(1), np.float32(0)),
    "places before the first": single("ONE_HOT", np.int32(-1), np.float32(1), np.float32(0)),
    "places of NaN": single("ONE_HOT", np.int32(3), np.float32("nan"), np.float32(0)),
    "sum of a long axis": single("CUMSUM", np.int32(1), shape=(1, 2**20, 1, 1)),
    "slope of NaN": single("LEAKY_RELU", options=[(0, "Float32", float("nan"))]),
    "exponent of NaN": single("POW", np.float32("nan")),
    "factor of NaN": single("MUL", np.float32("nan")),
    "infinite offsets": single("ADD", np.full(8, np.inf, np.float32)),
    "limit of NaN": single("MAXIMUM", np.float32("nan")),
    "slopes of NaN": single("PRELU", np.full(8, np.nan, np.float32)),
    "softmax of NaN": single("SOFTMAX", options=[(0, "Float32", float("nan"))]),
    "window of all channels": single("LOCAL_RESPONSE_NORMALIZATION", options=[(0, "Int32", HUGE)]),
    "border of NaN": single("PADV2", integers(0, 0, 1, 1, 1, 1, 0, 0).reshape(4, 2), np.float32("nan")),
    "border of gigabytes": single("PAD", integers(0, 0, HUGE, HUGE, 1, 1, 0, 0).reshape(4, 2)),
    "border that leaves nothing": single("PAD", integers(0, 0, -9, 1, 1, 1, 0, 0).reshape(4, 2)),
    "pixels of channels that there are not": single("DEPTH_TO_SPACE", options=[(0, "Int32", HUGE)]),
    "window of 0": single("L2_POOL_2D", options=[(0, "Int8", 1), (1, "Int32", 1), (2, "Int32", 1)]),
    "sum with nothing": single("ADD_N", np.zeros(0, np.float32)),
}


@pytest.mark.parametrize("case", CASES)
def test_claims_are_refused(tmp_path: Path, case: str) -> None:
    assert isinstance(read_within(tmp_path / "file.tflite", CASES[case]), mpscnn.Error)


def filled(*shape: int) -> bytes:
    made = File(X)
    ones = made.add("FILL", [made.constant(integers(*shape)), made.constant(np.float32(1))], shape)
    return made.content(made.add("ADD", [0, ones], X))


@pytest.mark.parametrize(
    "shape", [(1, HUGE, HUGE, HUGE), (1, 2**20, 2**20, 8), (-1, 4, 6, 8), (1, 4, 2**12, 8)]
)
def test_fills_of_gigabytes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    assert isinstance(read_within(tmp_path / "file.tflite", filled(*shape)), mpscnn.Error)


def test_positions_in_a_table_of_gigabytes(tmp_path: Path) -> None:
    made = File(X)
    table = made.add(
        "FILL", [made.constant(integers(2**20, 2**20)), made.constant(integers(1)[0])], (2**20, 2**20)
    )
    content = made.content(made.add("GATHER", [0, table], X, [(0, "Int32", 1)]))
    assert isinstance(read_within(tmp_path / "file.tflite", content), mpscnn.Error)


def test_ranges_of_gigabytes(tmp_path: Path) -> None:
    made = File(X)
    limits = [made.constant(np.int32(number)) for number in (0, HUGE, 1)]
    numbers = made.add("RANGE", limits, (HUGE,), dtype="int32")
    content = made.content(made.add("RESHAPE", [0, numbers], X))
    assert isinstance(read_within(tmp_path / "file.tflite", content), mpscnn.Error)


def test_constants_that_many_operators_read(tmp_path: Path) -> None:
    """Each use of a constant is a copy. All copies together stay in proportion to the file."""
    made = File(X)
    ones, last = made.constant(np.ones((1, 64, 64, 8), np.float32)), 0
    for _ in range(400):
        last = made.add("GREATER", [ones, ones], (1, 64, 64, 8), dtype="bool")
    for _ in range(400):
        last = made.add("MAXIMUM", [0, ones], X)
    assert isinstance(read_within(tmp_path / "file.tflite", made.content(last)), mpscnn.Error)


def test_labels_that_cannot_be_unpacked(tmp_path: Path) -> None:
    """The first byte of the compressed data is an invalid kind of block."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.txt", "cat\ndog\n" * 20)
    packed = bytearray(buffer.getvalue())
    packed[30 + len("labels.txt")] = 0b111
    tensors, metadata = [Tensor("x", (1, 5)), Tensor("y", (1, 5))], write_metadata([0], [1], "labels.txt")
    content = write_tflite(tensors, [Operator(19, [0], [1])], [0], [1], metadata=metadata) + bytes(packed)
    found = read_within(tmp_path / "file.tflite", content)
    assert isinstance(found, mpscnn.WeightsError)
    assert "the archive with its labels: Error -3 while decompressing" in str(found)
