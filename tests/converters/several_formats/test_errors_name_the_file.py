"""Errors that do not come from the conversion of one node name the file, too."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.onnx_files import model, node

import mpscnn
from mpscnn.converters.opening.unsupported import UnsupportedLayersError, prefix_errors
from mpscnn.graph.model_file import with_metadata

pytest.importorskip("onnx", reason="needs onnx")


def saved(folder: Path, nodes: list[Any], constants: dict[str, Any]) -> Path:
    file = folder / "a.onnx"
    file.write_bytes(model(nodes, {"x": (1, 4)}, constants, opset=20).SerializeToString())
    return file


@pytest.mark.parametrize("shape", [(2**40, 1, 1), (1, 2**40, 1), (2**24, 2**24, 4)])
def test_a_layer_that_is_added_for_an_output(tmp_path: Path, shape: tuple[int, ...]) -> None:
    """An Expand becomes a layer when its result is read, here by the network's output."""
    file = saved(tmp_path, [node("Expand", ["x", "s"], "y")], {"s": np.array(shape)})
    with pytest.raises(mpscnn.Error) as caught:
        mpscnn.load(file)
    assert str(caught.value).startswith(str(file)), caught.value


def test_a_split_into_more_parts_than_results_makes_no_list_of_them(tmp_path: Path) -> None:
    file = saved(tmp_path, [node("Split", ["x"], "y", num_outputs=10**7)], {})
    with pytest.raises(mpscnn.WeightsError, match="into 10000000 parts, but has 1 results"):
        mpscnn.load(file)
    tracemalloc.start()
    with pytest.raises(mpscnn.WeightsError):
        mpscnn.load(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


@pytest.mark.parametrize(
    "answers",
    [
        {"kind": "x"},
        {"kind": "tags", "thresholds": [0.5]},
        {"kind": "number", "units": [1]},
        {"kind": ["tags"]},
        5,
        [],
    ],
)
def test_answers_of_a_model_file(tmp_path: Path, answers: Any) -> None:
    network = mpscnn.Network(input=(4,))
    network.output(network.softmax(network.input))
    file = tmp_path / "a.safetensors"
    network.save(file)
    file.write_bytes(with_metadata(file.read_bytes(), {"mpscnn.answers": json.dumps(answers)}))
    with pytest.raises(mpscnn.WeightsError) as caught:
        mpscnn.load(file)
    assert str(caught.value).startswith(str(file)), caught.value


def test_a_message_that_names_a_file_stays_as_it_is() -> None:
    for text, shown in (
        ("b.bin: x", "b.bin: x"),
        ("damaged: a.txt: x", "damaged: a.txt: x"),
        ("x", "a.txt: x"),
    ):
        with pytest.raises(UnsupportedLayersError) as caught, prefix_errors("a.txt", "b.bin"):
            raise UnsupportedLayersError(text, [])
        assert str(caught.value) == shown
