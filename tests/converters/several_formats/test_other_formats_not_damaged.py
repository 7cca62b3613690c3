"""Files of TensorFlow Lite, Keras, Caffe and PyTorch that are valid are read, or refused as "not supported".

Errors say "damaged" only about files that the formats' own engines cannot read, either.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters import caffe_writer, keras_writer, torch_writer
from converters.tflite_writer import Field, Operator, Tensor, constant, write_tflite

import mpscnn
from mpscnn import converters

Write = Callable[[Path], list[Path]]
GRID = np.arange(12, dtype=np.float32).reshape(3, 4)


def tflite(
    code: int, options_type: int, options: list[Field], shape: tuple[int, ...], *constants: Any
) -> Write:
    """Return a function that writes a file of one operator, which LiteRT runs."""

    def write(folder: Path) -> list[Path]:
        given = [constant(f"c{place}", values, values.dtype.name) for place, values in enumerate(constants)]
        tensors = [Tensor("x", shape), *given, Tensor("y", shape)]
        operator = Operator(code, range(1 + len(given)), [1 + len(given)], options_type, options)
        path = folder / "one.tflite"
        path.write_bytes(write_tflite(tensors, [operator], [0], [1 + len(given)]))
        return [path]

    return write


def keras(*layers: dict[str, Any], shape: tuple[int | None, ...] = (4, 4, 3)) -> Write:
    def write(folder: Path) -> list[Path]:
        path = folder / "model.h5"
        model = keras_writer.functional([keras_writer.image(*shape), *layers])
        keras_writer.write_h5(path, model, {})
        return [path]

    return write


def caffe(text: str, blobs: Any = None) -> Write:
    return lambda folder: caffe_writer.write(folder, text, blobs)


def torch(value: Callable[[torch_writer.Storages], object]) -> Write:
    def write(folder: Path) -> list[Path]:
        storages = torch_writer.Storages()
        path = folder / "weights.pth"
        path.write_bytes(torch_writer.zip_form(value(storages), storages))
        return [path]

    return write


def torch_of_protocol_4(folder: Path) -> list[Path]:
    """Write a file as torch.save does with pickle_protocol=4 and without zip: its magic number is in a frame."""
    path = folder / "weights.pth"
    path.write_bytes(pickle.dumps(0x1950A86A20F9469CFC6C, protocol=4) + pickle.dumps(1001, protocol=4))
    return [path]


def pooling(*, height: int) -> list[Field]:
    return [(0, "Int8", 1), (1, "Int32", 1), (2, "Int32", 1), (3, "Int32", 1), (4, "Int32", height)]


LAYER = keras_writer.layer
VALID: dict[str, Write] = {
    "tflite, an extent of 0": tflite(0x13, 0, [], (1, 0, 4)),
    "tflite, a window of 0 rows": tflite(17, 5, pooling(height=0), (1, 4, 4, 2)),
    "tflite, a mean window of 0 rows": tflite(1, 5, pooling(height=0), (1, 4, 4, 2)),
    "tflite, an axis named again and again": tflite(40, 27, [], (1, 4, 4), np.ones(20, np.int32)),
    "tflite, a size of 0": tflite(23, 15, [], (1, 4, 4, 2), np.array([0, 2], np.int32)),
    "keras, an epsilon below 0": keras(LAYER("LayerNormalization", "n", "image", epsilon=-1e-3)),
    "keras, resizing what is no batch": keras(
        LAYER("Resizing", "r", "image", height=2, width=2), shape=(7, 4)
    ),
    "keras, slices of 10,001 layers": keras(
        *(LAYER("ReLU", f"r{place}", f"r{place - 1}" if place else "image") for place in range(10_001))
    ),
    "caffe, two layers of one name": caffe(
        caffe_writer.image(1, 3, 4, 4)
        + caffe_writer.layer("InnerProduct", "f", "x", "inner_product_param { num_output: 2 }", "a")
        + caffe_writer.layer("InnerProduct", "f", "x", "inner_product_param { num_output: 2 }", "b"),
        {"f": [np.zeros((2, 48), np.float32), np.zeros(2, np.float32)]},
    ),
    "pytorch, a list": torch(lambda storages: [storages.tensor(GRID)]),
    "pytorch, a tensor alone": torch(lambda storages: storages.tensor(GRID)),
    "pytorch, no tensors": torch(lambda storages: {"epoch": 3}),
    "pytorch, a number among tensors": torch(lambda storages: {"w": storages.tensor(GRID), "e": 3}),
    "pytorch, nine axes": torch(lambda storages: {"w": storages.tensor(np.zeros((1,) * 9, np.float32))}),
    "pytorch, the older form in protocol 4": torch_of_protocol_4,
    "pytorch, whole numbers": torch(lambda storages: {"fc.weight": storages.tensor(GRID.astype(np.int64))}),
}


@pytest.mark.parametrize("name", VALID)
def test_what_other_engines_read_is_at_most_not_supported(tmp_path: Path, name: str) -> None:
    with pytest.raises(mpscnn.UnsupportedError) as refused:
        converters.read_network(VALID[name](tmp_path))
    assert "damaged" not in str(refused.value)
    assert str(tmp_path) in str(refused.value)
