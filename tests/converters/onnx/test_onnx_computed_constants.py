"""Results that the reader computes of constants are those of onnxruntime, with the meaning of the file's opset."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from converters.onnx_files import assert_like_onnxruntime, model, node, nodes_of, onnx, read

from mpscnn.converters.reading.onnx.constants import Constants
from mpscnn.converters.reading.onnx.conversion import compute
from mpscnn.converters.reading.onnx.file import file_from_model
from mpscnn.converters.reading.onnx.operators import ROWS_OF_CONSTANTS
from mpscnn.converters.reading.onnx.parameters import Parameters
from mpscnn.errors import UnsupportedError, WeightsError

NUMBERS = np.random.default_rng(2).normal(size=(2, 3, 4)).astype(np.float32)


def assert_computed(
    kind: str, operands: dict[str, Any], result: tuple[int, ...], opset: int, **settings: Any
) -> None:
    """Compare the sum of an input and the operator's result, which depends on constants only."""
    nodes = [node(kind, list(operands), "c", **settings), node("Add", ["x", "c"])]
    assert_like_onnxruntime(model(nodes, {"x": [1, *result]}, operands, opset=opset))


@pytest.mark.parametrize(
    ("start", "end", "step", "count"),
    [
        (-9, -9, -1, 1), (-9, -(2**62), -2, 1), (-9, 2**62, 1, 4), (-9, 3, 2, 2), (-4, -9, -1, 1), (-1, -9, -1, 4),
        (-1, -(2**62), -2, 2), (0, -9, -1, 1), (2, -9, -1, 3), (2, -(2**62), -2, 2), (2, 3, 2, 1), (9, -9, -1, 4),
    ],
)  # fmt: skip
@pytest.mark.parametrize("is_constant", [True, False])
def test_slices_begin_within_the_axis(start: int, end: int, step: int, count: int, is_constant: bool) -> None:
    places = {"s": np.array([start]), "e": np.array([end]), "a": np.array([-1]), "t": np.array([step])}
    if is_constant:
        assert_computed("Slice", {"k": NUMBERS, **places}, (2, 3, count), 17)
    else:
        assert_like_onnxruntime(model([node("Slice", ["x", *places])], {"x": [1, *NUMBERS.shape]}, places))


@pytest.mark.parametrize("opset", [9, 11, 18])
@pytest.mark.parametrize("mode", ["constant", "edge", "reflect"])
def test_borders_of_constants(mode: str, opset: int) -> None:
    pads = [0, 1, 2, 0, 1, 3]
    result = (2, 5, 9)
    if opset == 9:
        assert_computed("Pad", {"k": NUMBERS}, result, opset, mode=mode, pads=pads, value=0.5)
    else:
        operands = {"k": NUMBERS, "p": np.array(pads), "v": np.array(0.5, np.float32)}
        assert_computed("Pad", operands, result, opset, mode=mode)


def test_borders_of_some_axes_of_constants() -> None:
    operands = {
        "k": NUMBERS,
        "p": np.array([1, -2, -1, 3]),
        "v": np.array(0.5, np.float32),
        "a": np.array([1, -1]),
    }
    assert_computed("Pad", operands, (2, 3, 5), 18)


def test_another_number_of_borders_of_constants_is_refused() -> None:
    operands = {"k": NUMBERS, "p": np.array([1, 1])}
    nodes = [node("Pad", list(operands), "c"), node("Add", ["x", "c"])]
    with pytest.raises(WeightsError, match=r"\(Pad\): damaged: pads \[1, 1\] for 3 axes"):
        read(model(nodes, {"x": [1, 2, 2, 4]}, operands))


#: Types that DequantizeLinear reads, each with numbers that it has and its first opset.
SMALL_TYPES: dict[str, tuple[list[float], int]] = {
    "int8": ([-100, -3, 0, 7, 90], 21),
    "uint8": ([0, 3, 130, 255], 21),
    "int16": ([-3000, 5, 2999], 21),
    "uint16": ([0, 5, 60000], 21),
    "int4": ([-8, -3, 0, 7], 21),
    "uint4": ([0, 3, 8, 15], 21),
    "float8_e4m3fn": ([-2, 0.5, 0.75, 3], 21),
    "float8_e4m3fnuz": ([-2, 0.5, 0.75, 3], 21),
    "float8_e5m2": ([-2, 0.5, 0.75, 3], 21),
    "float8_e5m2fnuz": ([-2, 0.5, 0.75, 3], 21),
}


def small_numbers(kind: str, shape: tuple[int, ...]) -> Any:
    """Return random numbers of a type of SMALL_TYPES, whose small types are those of the package ml_dtypes."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    drawn = np.random.default_rng(4).choice(SMALL_TYPES[kind][0], shape)
    return drawn.astype(getattr(ml_dtypes, kind, None) or np.dtype(kind))


@pytest.mark.parametrize(
    "way",
    [
        "c = DequantizeLinear<axis=0>(w, rows)",
        "v = Transpose(w); d = DequantizeLinear<axis=1>(v, rows); c = Transpose(d)",
        "d = DequantizeLinear(w, one); c = Identity(d)",
        "d = DequantizeLinear<axis=1, block_size=3>(w, blocks); c = Identity(d)",
        "d = DequantizeLinear<axis=0, block_size=2>(w, bands, zeros); c = Identity(d)",
    ],
)
@pytest.mark.parametrize("kind", SMALL_TYPES)
def test_weights_of_all_types_that_have_scales(kind: str, way: str) -> None:
    """Weights of 4 bits and floats of 8 bits are read whether or not the package ml_dtypes has their types."""
    small = small_numbers(kind, (2, 6))
    scales = {"rows": (4,), "one": (), "blocks": (4, 2), "bands": (2, 6)}
    constants = {
        "w": small_numbers(kind, (4, 6)),
        "zeros": np.zeros_like(small) if "float" in kind else small,
        **{name: np.random.default_rng(len(name)).uniform(0.1, 0.5, shape) for name, shape in scales.items()},
    }
    nodes = [*nodes_of(way), node("Gemm", ["x", "c"], transB=1)]
    made = model(nodes, {"x": [2, 6]}, constants, opset=SMALL_TYPES[kind][1])
    made.ir_version = 10
    assert_like_onnxruntime(made)


#: What the reader does not compute of constants, by a part of the reason.
REFUSED = (
    "by their own statistics",
    "dequantises something other than integers and floats of 8 bits",
    "computes with text",
    "takes other places for each image of the batch",
)


@pytest.mark.full
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_onnxs_own_cases_are_computed_of_constants() -> None:
    """Each case of one node, all of whose inputs are made constants of the file, has the case's results."""
    from onnx.backend.test.case.node import collect_testcases

    computed, refused = 0, list[str]()
    for case in collect_testcases(None):
        (inputs, outputs), graph = case.data_sets[0], case.model.graph
        if len(graph.node) != 1 or graph.node[0].domain or graph.node[0].op_type not in ROWS_OF_CONSTANTS:
            continue
        made = onnx.ModelProto()
        made.CopyFrom(case.model)
        del made.graph.input[:]
        for info, value in zip(graph.input, inputs, strict=True):
            is_message = isinstance(value, onnx.TensorProto)
            tensor = value if is_message else onnx.numpy_helper.from_array(np.asarray(value))
            made.graph.initializer.add().CopyFrom(tensor)
            made.graph.initializer[-1].name = info.name
        try:
            file = file_from_model(made, case.name)
            constants = Constants(file, Parameters(None))
            assert compute(constants, file.nodes[0])
        except UnsupportedError as error:
            refused.append(f"{case.name}: {error}")
            continue
        for info, result in zip(graph.output, outputs, strict=True):
            is_message = isinstance(result, onnx.TensorProto)
            wanted = onnx.numpy_helper.to_array(result) if is_message else np.asarray(result)
            found = constants.find(info.name)
            assert found is not None
            assert (found.low.shape, found.low.dtype) == (wanted.shape, wanted.dtype), case.name
            numbers = (one.astype(np.float64) for one in (found.low, wanted))
            np.testing.assert_allclose(*numbers, rtol=1e-3, atol=1e-6, err_msg=case.name)
        computed += 1
    assert computed > 600
    assert not [one for one in refused if not any(reason in one for reason in REFUSED)]


IMAGE = NUMBERS[None]  # one image of two channels, 3 x 4 pixels
NORMALIZATIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "GroupNormalization": ({"s": NUMBERS[0, 0, :2], "o": NUMBERS[0, 1, :2]}, {"num_groups": 2}),
    "InstanceNormalization": ({"s": NUMBERS[0, 0, :2], "o": NUMBERS[0, 1, :2]}, {}),
    "LayerNormalization": ({"s": NUMBERS[0, 0], "o": NUMBERS[0, 1]}, {}),
    "LogSoftmax": ({}, {"axis": 1}),
    "LpNormalization": ({}, {"axis": 1}),
}


@pytest.mark.parametrize("kind", NORMALIZATIONS)
def test_normalizations_of_constants(kind: str) -> None:
    """Nothing computes these while a file is read, so the constant is a layer."""
    operands, settings = NORMALIZATIONS[kind]
    opset = 21 if kind == "GroupNormalization" else 17
    assert_computed(kind, {"k": IMAGE, **operands}, IMAGE.shape[1:], opset, **settings)
