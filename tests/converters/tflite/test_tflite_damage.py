"""Contradictory TensorFlow Lite files are refused with the layer's name, whatever is wrong with them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import mpscnn
from mpscnn.converters.opening.read_options import ReadOptions
from mpscnn.converters.reading.tflite.file import Elements, FileOperator, FileTensor, Quantization, TfliteFile
from mpscnn.converters.reading.tflite.reader import convert

_SCALES = Quantization(np.ones(1, np.float32), np.zeros(1, np.int64), 0)


def _tensor(name: str, *shape: int, data: Any = None, quantization: Quantization | None = None) -> FileTensor:
    stored = None if data is None else np.asarray(data).reshape(shape)
    return FileTensor(
        name,
        shape,
        np.dtype(np.float32) if stored is None else stored.dtype,
        quantization,
        None if stored is None else Elements.of(stored),
    )


def _file() -> TfliteFile:
    """Return a file with RESHAPE, PRELU, and the constants that these and damaged operators read."""
    tensors = [
        _tensor("image", 1, 4, 4, 3),
        _tensor("axes", 2, data=np.array([1, 2], np.int32)),
        _tensor("mean", 1, 1, 1, 3),
        _tensor("shape", 2, data=np.array([1, 3], np.int32)),
        _tensor("flat", 1, 3),
        _tensor("slopes", 3, data=np.ones(3, np.int32), quantization=_SCALES),
        _tensor("sloped", 1, 3),
        _tensor("sides", 3, 2, data=np.zeros(6, np.int32)),
    ]
    operators = [FileOperator("RESHAPE", (4, 3), (4,), None), FileOperator("PRELU", (4, 5), (6,), None)]
    return TfliteFile("made.tflite", tensors, operators, (4,), (6,), 1_000)


def test_the_file_itself_converts() -> None:
    network = convert([_file()], ReadOptions("made"))
    assert [tensor.shape for tensor in network.outputs] == [(None, 3)]


def test_conversion_stops_at_named_tensors() -> None:
    network = convert([_file()], ReadOptions("made", outputs=["flat"]))
    assert [node["operation"] for node in network.to_dict()["nodes"]] == ["reshape"]
    with pytest.raises(mpscnn.ParameterError, match="no tensor 'nothing' to stop at"):
        convert([_file()], ReadOptions("made", outputs=["nothing"]))


def test_a_shape_of_an_input_can_be_chosen() -> None:
    file = _file()
    name, extents = file.tensors[file.inputs[0]].name, file.tensors[file.inputs[0]].shape
    assert convert([file], ReadOptions("made", shapes={name: extents})).input.shape[1:] == extents[1:]
    with pytest.raises(mpscnn.ParameterError, match="cannot be chosen"):
        convert([file], ReadOptions("made", shapes={name: (*extents[:-1], extents[-1] + 1)}))
    with pytest.raises(mpscnn.ParameterError, match="no input 'nothing'"):
        convert([file], ReadOptions("made", shapes={"nothing": (1, 2)}))


@pytest.mark.parametrize(
    ("position", "changes", "message"),
    [
        (0, {"inputs": ()}, "'flat' (RESHAPE): damaged: its operand 1 is missing"),
        (0, {"outputs": ()}, "(RESHAPE) contradicts itself"),
        (1, {"inputs": (4,)}, "'sloped' (PRELU): damaged: its operand 2 is missing"),
        (1, {"kind": "ADD", "inputs": (4,)}, "'sloped' (ADD): damaged: its operand 2 is missing"),
        (1, {"kind": "PAD", "inputs": (4, 7)}, "'sloped' (PAD)"),
        (1, {"kind": "CONV_2D", "inputs": (4, 5)}, "'sloped' (CONV_2D)"),
    ],
)
def test_operator_that_contradicts_itself(position: int, changes: dict[str, Any], message: str) -> None:
    file = _file()
    file.operators[position] = replace(file.operators[position], **changes)
    with pytest.raises((mpscnn.WeightsError, mpscnn.UnsupportedError)) as refused:
        convert([file], ReadOptions("made"))
    assert "made.tflite" in str(refused.value)
    assert message in str(refused.value)


def test_layer_that_the_network_refuses_names_the_file() -> None:
    file = _file()
    file.tensors[6] = _tensor("sloped", 1, 5)
    file.operators[1] = FileOperator("RESHAPE", (4,), (6,), None)
    with pytest.raises(mpscnn.WeightsError, match=r"made\.tflite: layer 'sloped' \(RESHAPE\): reshape"):
        convert([file], ReadOptions("made"))


def test_long_list_of_numbers_is_not_printed() -> None:
    file = _file()
    file.tensors[3] = _tensor("shape", 100_000, data=np.full(100_000, 73, np.int32))
    with pytest.raises(mpscnn.UnsupportedError, match="has 100000 numbers") as refused:
        convert([file], ReadOptions("made"))
    assert len(str(refused.value)) < 200


def test_scales_that_do_not_fit() -> None:
    file = _file()
    scales = Quantization(np.ones(2, np.float32), np.zeros(2, np.int64), 0)
    file.tensors[5] = replace(file.tensors[5], quantization=scales)
    with pytest.raises(
        mpscnn.WeightsError,
        match=r"layer 'sloped' \(PRELU\): damaged: tensor 'slopes' has 2 scales for axis 0",
    ):
        convert([file], ReadOptions("made"))


def test_one_output_that_is_named_many_times_is_refused_with_the_file() -> None:
    file = _file()
    with pytest.raises(mpscnn.UnsupportedError, match="names outputs again; supported are 1024") as caught:
        convert([replace(file, outputs=[file.outputs[0]] * 20_000)], ReadOptions("m"))
    assert str(caught.value).startswith(file.origin)
