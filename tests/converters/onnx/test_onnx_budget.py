"""Constants of ONNX files are computed within one budget, which is checked before each operator computes anything."""

from __future__ import annotations

import json
import math
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.onnx_files import (
    assert_like_onnxruntime,
    filled,
    model,
    node,
    onnx,
    operations,
    read,
    run_here,
    run_there,
)
from exact_engines import onnxruntime_results
from tiers import with_full

from mpscnn import converters
from mpscnn.converters.opening import budget
from mpscnn.converters.reading.onnx.constants import Constants
from mpscnn.converters.reading.onnx.conversion import compute
from mpscnn.converters.reading.onnx.file import file_from_model
from mpscnn.converters.reading.onnx.node import OwnKind
from mpscnn.converters.reading.onnx.operators import ROWS_OF_CONSTANTS
from mpscnn.converters.reading.onnx.parameters import Parameters
from mpscnn.errors import Error, UnsupportedError, WeightsError

Case = tuple[list[Any], dict[str, Any]]
Make = Callable[[int], Case]

# With LARGE, n x n numbers are four times as many as any file may compute, while n numbers are few.
LARGE, SMALL = 1 << 13, 3
MEMORY = 4 << 20
HALF, WHOLE, TRUE, BYTE = np.float32(0.5), np.int64(1), np.True_, np.uint8(3)


def of_filled(
    kind: str,
    *operands: tuple[tuple[int | str, ...], Any],
    outputs: Any = "y",
    small: dict[str, Any] | None = None,
    **attributes: Any,
) -> Make:
    """Return a function that makes a node of large constants (by shape, where "n" grows, and number) and small ones."""

    def make(n: int) -> Case:
        nodes, constants, names = [], dict(small or {}), []
        for place, (shape, value) in enumerate(operands):
            extents = tuple(n if extent == "n" else int(extent) for extent in shape)
            made, shape_of = filled(f"c{place}", extents, value)
            nodes.append(made)
            constants |= shape_of
            names.append(f"c{place}")
        return [*nodes, node(kind, [*names, *(small or {})], outputs, **attributes)], constants

    return make


SQUARE = (("n", "n"), HALF)
ROW, COLUMN = ((1, "n"), HALF), (("n", 1), np.float32(0.25))
UNARY = [
    "Abs", "Ceil", "Celu", "Cos", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "IsInf",
    "IsNaN", "LeakyRelu", "Log", "Mish", "Neg", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign",
    "Sin", "Softplus", "Softsign", "Sqrt", "Swish", "Tanh",
]  # fmt: skip
BINARY = [
    "Add", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Mean", "Min", "Mul", "Pow",
    "Sub", "Sum",
]  # fmt: skip
TRUTHS = ["And", "Or", "Xor"]
REDUCED = [
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin",
    "ReduceProd", "ReduceSumSquare",
]  # fmt: skip


def scattered(kind: str) -> Make:
    def make(n: int) -> Case:
        nodes, constants = of_filled(kind, SQUARE)(n)
        indices = np.array([[0, 1]] if kind == "ScatterElements" else [[0, 1], [1, 0]])
        constants |= {"indices": indices, "updates": np.ones(indices.shape[:2][: indices.ndim], np.float32)}
        if kind == "ScatterND":
            constants["updates"] = np.array([2.0, 3.0], np.float32)
        nodes[-1].input.extend(["indices", "updates"])
        return nodes, constants

    return make


CASES: dict[str, Make] = {
    **{kind: of_filled(kind, SQUARE) for kind in (*UNARY, "Softmax")},
    **{kind: of_filled(kind, ROW, COLUMN) for kind in BINARY},
    **{kind: of_filled(kind, SQUARE, axes=[1]) for kind in REDUCED},
    **{kind: of_filled(kind, ((1, "n"), TRUE), (("n", 1), TRUE)) for kind in TRUTHS},
    "ArgMax": of_filled("ArgMax", SQUARE, axis=1),
    "GlobalLpPool": of_filled("GlobalLpPool", ((1, "n", "n"), np.float32(1))),
    "ArgMin": of_filled("ArgMin", SQUARE, axis=1),
    "BatchNormalization": of_filled("BatchNormalization", SQUARE, *[(("n",), HALF)] * 4),
    "BitShift": of_filled("BitShift", ((1, "n"), BYTE), (("n", 1), np.uint8(1)), direction="LEFT"),
    "Cast": of_filled("Cast", SQUARE, to=onnx.TensorProto.INT32),
    "CastLike": of_filled("CastLike", SQUARE, small={"like": np.ones(1, np.int64)}),
    "Clip": of_filled("Clip", SQUARE, small={"low": np.float32(0.0), "high": np.float32(0.25)}),
    "Concat": of_filled("Concat", SQUARE, SQUARE, axis=0),
    "ConstantOfShape": of_filled("ConstantOfShape", small={}),
    "CumSum": of_filled("CumSum", SQUARE, small={"axis": np.array(1)}),
    "DequantizeLinear": of_filled("DequantizeLinear", (("n", "n"), BYTE), small={"scale": HALF}),
    "Gather": of_filled("Gather", (("n", "n"), HALF), (("n",), np.int64(0)), axis=0),
    "GatherElements": of_filled("GatherElements", SQUARE, (("n", "n"), np.int64(0)), axis=1),
    "GatherND": of_filled("GatherND", (("n", "n"), HALF), (("n", 1), np.int64(0))),
    "MatMul": of_filled("MatMul", COLUMN, ROW),
    "Mod": of_filled("Mod", ROW, COLUMN, fmod=1),
    "NonZero": of_filled("NonZero", SQUARE),
    "Not": of_filled("Not", (("n", "n"), TRUE)),
    "Pad": lambda n: (
        [node("Pad", ["a", "b"])],
        {"a": np.ones((1, 1), np.float32), "b": np.array([0, 0, n, n])},
    ),
    "PRelu": of_filled("PRelu", SQUARE, (("n",), HALF)),
    "QuantizeLinear": of_filled("QuantizeLinear", SQUARE, small={"scale": HALF, "zero": np.uint8(1)}),
    "Range": lambda n: ([node("Range", ["a", "b", "c"])], {"a": 0, "b": n * n, "c": 1}),
    "ReduceSum": of_filled("ReduceSum", SQUARE, small={"axes": np.array([1])}),
    "ScatterElements": scattered("ScatterElements"),
    "ScatterND": scattered("ScatterND"),
    "Tile": lambda n: ([node("Tile", ["a", "b"])], {"a": np.ones(4, np.float32), "b": np.array([n * n])}),
    "Trilu": of_filled("Trilu", SQUARE),
    "Where": of_filled("Where", ((1, "n"), TRUE), (("n", 1), HALF), ((1, 1), HALF)),
}
CASES["ConstantOfShape"] = lambda n: (
    [node("ConstantOfShape", ["s"])],
    {"s": np.array([n, n, n]) if n == LARGE else np.array([n, n])},
)
CASES["Expand"] = lambda n: (
    [node("Expand", ["a", "s"])],
    {"a": np.ones((2, 1), np.float32), "s": np.array([2, n * n])},
)
# Elementwise operators compute elements that are equal by broadcasting once, so a filled constant costs them nothing.
ELEMENTWISE = [
    *UNARY, *BINARY, *TRUTHS,
    "BatchNormalization", "BitShift", "Cast", "CastLike", "Clip", "Mod", "Not", "PRelu", "Where",
]  # fmt: skip
FILLED = {kind: CASES.pop(kind) for kind in ELEMENTWISE}
# These operators take no memory, however large their operand is.
VIEWS: dict[str, Make] = {
    "Constant": lambda n: ([node("Constant", [], value_floats=[0.5] * 3)], {}),
    "Flatten": of_filled("Flatten", SQUARE),
    "Identity": of_filled("Identity", SQUARE),
    "Reshape": of_filled("Reshape", SQUARE, small={"shape": np.array([-1])}),
    "Shape": of_filled("Shape", SQUARE),
    "Size": of_filled("Size", SQUARE),
    "Slice": of_filled("Slice", SQUARE, small={"a": np.array([1]), "b": np.array([3])}),
    "Split": of_filled("Split", ((4, "n"), HALF), outputs=["y", "z"], axis=0),
    "Squeeze": of_filled("Squeeze", ((1, "n", "n"), HALF), small={"axes": np.array([0])}),
    "Transpose": of_filled("Transpose", SQUARE, perm=[1, 0]),
    "Unsqueeze": of_filled("Unsqueeze", SQUARE, small={"axes": np.array([0])}),
}


def computed(case: Case) -> Constants:
    """Return the constants of a file after all nodes have been computed."""
    nodes, constants = case
    made = model([*nodes, node("Relu", ["x"], "out")], {"x": (1, 4)}, constants, outputs=("out",))
    assert made.ByteSize() < 4_000
    file = file_from_model(made, "model.onnx")
    found = Constants(file, Parameters(None))
    for one in file.nodes[:-1]:
        assert compute(found, one)
    return found


#: The operators of ONNX. Those of the reader itself, which onnxruntime does not know, only change views.
KINDS = [kind for kind in ROWS_OF_CONSTANTS if not isinstance(kind, OwnKind)]


def test_each_operator_has_a_case() -> None:
    assert (CASES | FILLED | VIEWS).keys() == {*KINDS}
    assert not (CASES | FILLED).keys() & VIEWS.keys()


#: Operators that ONNX has only since an opset.
NEWER = {"Gelu": 20, "Mish": 18, "Swish": 24}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_an_operator_of_small_constants_is_computed_as_onnxruntime_does(kind: str) -> None:
    nodes, constants = (CASES | FILLED | VIEWS)[kind](SMALL)
    made = model(nodes, {}, constants, opset=NEWER.get(kind, 17))
    (wanted,) = onnxruntime_results(made, {})
    found = computed((nodes, constants)).find("y")
    assert found is not None
    assert found.low.dtype == wanted.dtype
    np.testing.assert_allclose(found.low, wanted, rtol=1e-6)
    assert found.low.shape == wanted.shape


@pytest.mark.parametrize("kind", CASES)
def test_a_small_file_that_would_cost_much_is_refused_before_it_does(kind: str) -> None:
    case = CASES[kind](LARGE)
    computed(CASES[kind](SMALL))  # imports modules and fills caches
    tracemalloc.start()
    try:
        with pytest.raises(
            UnsupportedError,
            match="the constants that are computed from others, and operators of many layers, would take",
        ):
            computed(case)
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", FILLED)
def test_elements_that_differ_are_counted_before_they_are_computed(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a broadcast view, each element of an elementwise operator's result counts."""
    nodes, constants = FILLED[kind](SMALL)
    for one in nodes[:-1]:
        shape = constants.pop(one.input[0])
        value = onnx.numpy_helper.to_array(one.attribute[0].t)
        constants[one.output[0]] = np.full(shape, value.item(), value.dtype)
    monkeypatch.setattr(budget, "ELEMENTS_FREE", -(1 << 40))
    with pytest.raises(
        UnsupportedError,
        match="the constants that are computed from others, and operators of many layers, would take",
    ):
        computed((nodes[-1:], constants))


@pytest.mark.parametrize("kind", VIEWS | FILLED)
def test_views_of_large_constants_take_no_memory(kind: str) -> None:
    make = (VIEWS | FILLED)[kind]
    computed(make(SMALL))
    tracemalloc.start()
    try:
        found = computed(make(LARGE))
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()
    assert found.budget.elements <= 4 * (LARGE * LARGE // 16 + LARGE)
    assert found.budget.operations < LARGE


@pytest.mark.parametrize("kind", ["Max", "Min"])
def test_thousands_of_operands(kind: str) -> None:
    """Each operand takes part in one more comparison of all elements."""
    numbers = [node("Range", ["a", "b", "c"], "r"), node(kind, ["r"] * 800)]
    with pytest.raises(UnsupportedError, match="elements"):
        computed((numbers, {"a": 0, "b": 1_000_000, "c": 1}))


def test_many_small_costs_add_up() -> None:
    """Each node repeats a small constant. Together they exceed the budget."""
    count = 40
    nodes = [node("Tile", ["a", "r"], f"t{place}") for place in range(count)]
    with pytest.raises(UnsupportedError, match="elements"):
        computed((nodes, {"a": np.ones(8, np.float32), "r": np.array([budget.ELEMENTS_FREE // 8 // 32])}))


@pytest.mark.parametrize(
    ("kind", "operands", "attributes"),
    [
        ("DequantizeLinear", [(("n", 1), BYTE), (("n",), HALF)], {}),
        ("DequantizeLinear", [(("n", 1), BYTE), ((1,), HALF), (("n",), BYTE)], {}),
        ("QuantizeLinear", [(("n", 1), HALF), (("n",), HALF)], {"axis": 1}),
        ("QuantizeLinear", [(("n", 1), HALF), ((1,), HALF), (("n",), BYTE)], {"axis": 1}),
        ("BatchNormalization", [(("n", 1), HALF), *[(("n",), HALF)] * 4], {}),
    ],
)
def test_parameters_may_not_enlarge_what_they_belong_to(
    kind: str, operands: list[Any], attributes: dict[str, int]
) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(Error, match="damaged"):
            computed(of_filled(kind, *operands, **attributes)(LARGE))
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()


def test_numbers_are_not_made_text() -> None:
    case = of_filled("Cast", (("n",), HALF), to=onnx.TensorProto.STRING)(4)
    with pytest.raises(UnsupportedError, match="makes text of numbers"):
        computed(case)


#: Operators that read lists, by their operands: `s` is the list.
READERS: dict[str, list[str]] = {
    "ConstantOfShape": ["s"],
    "Expand": ["x", "s"],
    "Pad": ["x", "s"],
    "ReduceSum": ["x", "s"],
    "Reshape": ["x", "s"],
    "Resize": ["x", "", "", "s"],
    "Slice": ["x", "s", "s"],
    "Split": ["x", "s"],
    "Squeeze": ["x", "s"],
    "Tile": ["x", "s"],
    "Unsqueeze": ["x", "s"],
}


@pytest.mark.parametrize("kind", READERS)
def test_layers_read_no_list_of_a_large_constant(kind: str) -> None:
    constant, shape = filled("s", (LARGE * LARGE,), WHOLE)
    made = model([constant, node(kind, READERS[kind])], {"x": (1, 3, 4, 4)}, shape)
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError, match=f"damaged: there are {LARGE * LARGE} numbers in"):
            read(made)
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()


#: Operands, by position, that have a number for each axis.
LISTS: dict[str, tuple[int, ...]] = {
    "ConstantOfShape": (0,),
    **dict.fromkeys(["Expand", "Reshape", "Squeeze", "Tile", "Unsqueeze", "Split", "Pad"], (1,)),
    **dict.fromkeys([*REDUCED, "ReduceSum"], (1,)),
    "Slice": (1, 2, 3, 4),
}


@pytest.mark.parametrize(
    ("kind", "place"), [(kind, place) for kind, places in LISTS.items() for place in places]
)
def test_constants_are_computed_of_no_list_of_a_large_constant(kind: str, place: int) -> None:
    nodes, constants = (CASES | FILLED | VIEWS)[kind](SMALL)
    large, shape = filled("list", (LARGE * LARGE,), WHOLE)
    inputs = [*nodes[-1].input, *[""] * 5][: max(place + 1, len(nodes[-1].input))]
    inputs[place] = "list"
    del nodes[-1].input[:]
    nodes[-1].input.extend(inputs)
    with pytest.raises(WeightsError, match=f"damaged: there are {LARGE * LARGE} numbers in"):
        computed(([large, *nodes], constants | shape))


def test_factors_of_a_large_constant_are_not_made_fractions() -> None:
    constant, shape = filled("s", (LARGE * LARGE,), HALF)
    made = model([constant, node("Resize", ["x", "", "s"])], {"x": (1, 3, 4, 4)}, shape)
    with pytest.raises(WeightsError, match=f"damaged: {LARGE * LARGE} sizes for"):
        read(made)


def test_each_look_at_a_large_constant_is_counted() -> None:
    """For each layer that reads a constant, all its numbers are compared, which counts as work."""
    count = budget.PLACES_FREE
    constant, shape = filled("c", (1, count))
    nodes = [node("Add", ["x", "c"], f"y{place}") for place in range(400)]
    made = model([constant, *nodes], {"x": (1, count)}, shape, outputs=["y399"])
    file = file_from_model(made, "model.onnx")
    constants = Constants(file, Parameters(None))
    assert compute(constants, file.nodes[0])
    with pytest.raises(UnsupportedError, match="operations"):
        list(map(constants.fixed, ["c"] * 400, ["its operand"] * 400))


def test_operators_that_need_each_place_of_a_view_refuse_large_ones() -> None:
    """A broadcast view of any size is small. An operator that computes with each of its places is not."""
    shape = (LARGE, LARGE)
    constant, made = filled("i", shape, WHOLE)
    with pytest.raises(
        UnsupportedError, match=f"repeats its numbers at {LARGE * LARGE} places; supported are"
    ):
        read(model([constant, node("Gather", ["x", "i"], axis=1)], {"x": (1, 4)}, made))


def test_weights_of_one_number_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each layer has its own copy of a weight that one number fills. So a small file with many layers needs much."""
    constant, shape = filled("w", (1 << 10, 1 << 10))
    names = ["x", *(f"t{place}" for place in range(199)), "y"]
    nodes = [node("MatMul", [names[place], "w"], names[place + 1]) for place in range(200)]
    assert operations(read(model([constant, *nodes[:1]], {"x": (1, 1 << 10)}, shape, outputs=["t0"])))
    monkeypatch.setattr(budget, "FILLED_FREE", 40 << 20)
    with pytest.raises(Error, match="of one number each"):
        read(model([constant, *nodes], {"x": (1, 1 << 10)}, shape))


@pytest.mark.parametrize(
    ("kind", "shape", "x", "count"),
    [
        ("Conv", (3000, 6000, 3, 3), (1, 6000, 8, 8), 1),
        (
            "ConvTranspose",
            (700, 1200, 3, 3),
            (1, 700, 8, 8),
            1,
        ),  # 30 MB, of which the engine needs three copies
        ("MatMul", (4000, 4000), (1, 4000), 2),
        ("Gemm", (12_000, 12_000), (1, 12_000), 1),
    ],
)
def test_tiny_files_have_no_large_weights_of_one_number(
    kind: str, shape: tuple[int, ...], x: tuple[int, ...], count: int
) -> None:
    constant, stated = filled("w", shape)
    names = ["x", *(f"t{place}" for place in range(count - 1)), "y"]
    nodes = [node(kind, [names[place], "w"], names[place + 1]) for place in range(count)]
    with pytest.raises(Error, match="of one number each take more than"):
        read(model([constant, *nodes], {"x": x}, stated))


@pytest.mark.parametrize("number", [0.1, -3.0, 0.0])
def test_a_large_weight_of_one_number_takes_a_byte_for_each_element(number: float) -> None:
    constant, shape = filled("w", (1 << 8, 1 << 9), np.float32(number))
    nodes = [constant, node("MatMul", ["x", "w"])]
    network = assert_like_onnxruntime(model(nodes, {"x": (1, 1 << 8)}, shape))
    (weight,) = (spec for spec in json.loads(network.graph.weights()) if spec["role"] == "weight")
    stored, _, _ = network.graph.get_weight(weight["layer"], "weight")
    assert stored.nbytes == 1 << 17
    np.testing.assert_array_equal(network.weights[f"{weight['layer']}.weight"], np.float32(number))


def test_constants_of_constants_may_form_any_chain() -> None:
    kinds = ["Neg", "Abs", "Sqrt", "Identity", "Relu"]
    count = 10_000
    nodes = [node(kinds[place % 5], [f"k{place}"], f"k{place + 1}") for place in range(count)]
    nodes.append(node("Add", ["x", f"k{count}"]))
    network = assert_like_onnxruntime(model(nodes, {"x": (1, 4)}, {"k0": np.full(4, 3.0)}))
    assert operations(network) == ["neuron"]


def light_networks() -> list[Any]:
    """Return published networks that onnx has without weights: each weight is a constant of one number."""
    folder = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
    small = [folder / f"light_{name}.onnx" for name in ("inception_v1", "shufflenet", "squeezenet")]
    return with_full(small, sorted({*folder.glob("light_*.onnx")} - {*small}))


@pytest.mark.parametrize("path", light_networks(), ids=lambda path: path.stem)
def test_published_networks_without_weights_are_read(path: Path) -> None:
    """The weights of these networks take up to 575 MB, 60,000 times the file."""
    network = converters.read_network([path])
    sizes = (math.prod(spec["shape"]) for spec in json.loads(network.graph.weights()))
    if sum(sizes) < 3e7:
        x = np.random.default_rng(0).uniform(size=(1, 3, 224, 224)).astype(np.float32)
        given = onnx.load(path)
        constants = {name for made in given.graph.node for name in made.output}
        constants |= {tensor.name for tensor in given.graph.initializer}
        (name,) = {info.name for info in given.graph.input} - constants
        (wanted,) = run_there(given, {name: x})
        found = run_here(network, [x])[0]
        np.testing.assert_allclose(found.reshape(-1), wanted.reshape(-1), rtol=1e-3, atol=1e-6)
