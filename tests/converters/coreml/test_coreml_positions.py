"""Compare Core ML's layers and operations on elements at given positions with numpy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.coreml.test_coreml_layers import Case, compare_layer
from converters.coreml.test_coreml_programs import compare, random_inputs, run_program
from converters.coreml_writer import Program, add, array, model, numbers, one_layer, saved, settings
from converters.operator_cases import Layer, Operation, forms, layer, operation, row
from numpy.typing import NDArray

from mpscnn import converters
from mpscnn.converters.opening.unsupported import UnsupportedLayersError
from mpscnn.converters.reading.coreml.neural.indexing import INDEXING as LAYERS
from mpscnn.converters.reading.coreml.program.indexing import INDEXING as OPERATIONS
from mpscnn.errors import WeightsError

Array = NDArray[Any]
_DRAW = np.random.default_rng(13)
_IMAGE = (1, 4, 5, 6)
_TABLE, _BIAS = (_DRAW.uniform(0.5, 1.5, shape).astype(np.float32) for shape in ((4, 7), (4,)))


def _along(axis: int) -> Callable[[Array, Array], Array]:
    return lambda x, places: np.take_along_axis(x, places.astype(int), axis)


def _top(x: Array, axis: int, count: int, *, largest: bool) -> list[Array]:
    order = np.argsort(-x if largest else x, axis, kind="stable").take(range(count), axis)
    return [np.take_along_axis(x, order, axis), order]


def _rows(places: Array, bias: Any = 0.0) -> Array:
    return _TABLE.T.astype(np.float64)[places.astype(int)] + np.asarray(bias, np.float64)


def _backwards(x: Array) -> Array:
    return x[:, :, ::-1].cumsum(2)[:, :, ::-1] - x


def _written(x: Array, new: Array) -> Array:
    x[:, [3, 1]] = new
    return x


_WORDS = {"weights": _TABLE, "hasBias": True, "bias": _BIAS}
_PLACES = np.array([[[[1, 0, 2]] * 5] * 4])
_NEW = (1, 2, 5, 6)
_CHANNELS = np.broadcast_to(np.array([3, 1]).reshape(1, 2, 1, 1), _NEW)
#: Positions that layers read are floats with integer values.
# fmt: off
OPERATORS = {
    "order": row(lambda x: np.argsort(x, -1, kind="stable"), layer("argSort", axis=-1),
        operation("argsort", axis=-1, ascending=True)),
    "order, descending": row(lambda x: np.argsort(-x, 1, kind="stable"), layer("argSort", axis=1, descending=True),
        operation("argsort", axis=1)),
    "running sum": row(lambda x: x.cumsum(2), layer("cumSum", axis=2), operation("cumsum", axis=2)),
    "running sum, exclusive": row(lambda x: x.cumsum(1) - x, layer("cumSum", axis=1, excludeFinalSum=True)),
    "running sum, backwards": row(_backwards, layer("cumSum", axis=2, excludeFinalSum=True, reverse=True),
        operation("cumsum", axis=2, exclusive=True, reverse=True)),
    "embedding": row(lambda x: _rows(x.reshape(1), _BIAS).reshape(1, 4, 1, 1),
        layer("embedding", inputDim=7, outputChannels=4, **_WORDS), shapes=((1, 1, 1, 1),), positive=True),
    "embedding of words": row(lambda x: _rows(x[..., 0], _BIAS),
        layer("embeddingND", vocabSize=7, embeddingSize=4, **_WORDS), shapes=((1, 5, 1),), positive=True),
    "embedding of rows": row(lambda x: _rows(x[..., 0]),
        layer("embeddingND", vocabSize=7, embeddingSize=4, weights=_TABLE), shapes=((1, 3, 5, 1),), positive=True),
    "gather": row(lambda x, places: np.take(x, places.astype(int), 2), layer("gather", axis=2),
        shapes=((1, 5, 6), (1, 3)), positive=True),
    "gather of constants": row(lambda x: x[:, [3, 0, 3]], operation("gather", indices=[3, 0, 3], axis=1)),
    "gather along": row(_along(3), layer("gatherAlongAxis", axis=-1), shapes=(_IMAGE, (1, 4, 5, 3)), positive=True),
    "gather along channels": row(_along(1), layer("gatherAlongAxis", axis=1), shapes=(_IMAGE, _NEW), positive=True),
    "gather along, constants": row(lambda x: np.take_along_axis(x, _PLACES, 3),
        operation("gather_along_axis", indices=_PLACES, axis=3)),
    "gather of pairs": row(lambda x: x[:, [3, 1]], operation("gather_nd", indices=[[[0, 3], [0, 1]]])),
    "one hot": row(lambda x: np.where(np.trunc(x)[:, None] == np.arange(3).reshape(1, 3, 1, 1), 2.5, -0.5),
        layer("oneHot", oneHotVectorSize=3, axis=1, onValue=2.5, offValue=-0.5),
        operation("one_hot", one_hot_vector_size=3, axis=1, on_value=np.float32(2.5), off_value=np.float32(-0.5)),
        shapes=((1, 5, 6),), positive=True),
    "scatter": row(_written, operation("scatter", indices=[3, 1], axis=1, mode="update"), shapes=(_IMAGE, _NEW)),
    "scatter along": row(_written, operation("scatter_along_axis", indices=_CHANNELS, axis=1, mode="update"),
        shapes=(_IMAGE, _NEW)),
    "scatter of pairs": row(_written, operation("scatter_nd", indices=[[[0, 3], [0, 1]]], mode="update"),
        shapes=(_IMAGE, _NEW)),
    "top": row(lambda x: _top(x, 1, 3, largest=True), layer("topK", axis=1, K=3), operation("topk", k=3, axis=1)),
    "bottom": row(lambda x: _top(x, 3, 6, largest=False), layer("topK", axis=-1, K=6, useBottomK=True)),
    "bottom, not sorted": row(lambda x: _top(x, 3, 2, largest=False),
        operation("topk", k=2, ascending=True, sort=False)),
}
# fmt: on
LAYER_CASES, OPERATION_CASES = forms(Layer, OPERATORS), forms(Operation, OPERATORS)


# ---- Layers of neural networks --------------------------------------------------------------------------------------

_WITH_CONSTANTS = {"gatherND", "scatter", "scatterAlongAxis", "scatterND"}


@pytest.mark.parametrize("name", LAYER_CASES)
def test_layers(name: str, tmp_path: Path) -> None:
    form, operator = LAYER_CASES[name]
    compare_layer(Case(form.kind, form.fill, operator.meaning, operator.shapes, operator.positive), tmp_path)


def _with_constant(kind: str, places: Array, **attributes: Any) -> Any:
    """Return a layer that gets positions from a constant and, if it is a scatter, new elements from a second input."""
    inputs = {"x": array(_IMAGE)}
    reads = "x places"
    if kind.startswith("scatter"):
        inputs["new"] = array((1, 2, 5, 6))
        reads += " new"
    message = model(inputs, {"y": array((1, 1))})
    net = message.neuralNetwork
    net.arrayInputShapeMapping = 1

    def fill(parameters: Any) -> None:
        parameters.shape.extend(places.shape)
        numbers(parameters.data, places)

    add(net, "loadConstantND", "", "places", fill)
    add(net, kind, reads, "y", settings(**attributes))
    return message


def _found(message: Any, inputs: Sequence[Array], folder: Path) -> Array:
    network = converters.read_network([saved(message, folder / "one.mlmodel")])
    given = [x.transpose(0, 2, 3, 1) for x in inputs]
    found: Array = network.compile(device="cpu").session().run(given[0] if len(given) == 1 else given)
    return found


@pytest.mark.parametrize("kind", sorted({*_WITH_CONSTANTS, "gather", "gatherAlongAxis"}))
def test_layers_with_constant_positions(kind: str, tmp_path: Path) -> None:
    x, new = random_inputs((_IMAGE, (1, 2, 5, 6)))
    places = np.array([3, 1])
    channels = np.broadcast_to(places.reshape(1, 2, 1, 1), new.shape)
    pairs = np.stack(np.broadcast_arrays(0, places), -1)[None]
    wanted = x.copy()
    if kind.startswith("gather"):
        taken = {
            "gather": (places, {"axis": 1}, x[:, places]),
            "gatherAlongAxis": (channels, {"axis": 1}, x[:, places]),
            "gatherND": (pairs, {}, x[:, places]),
        }
        given, attributes, wanted = taken[kind]
        found = _found(_with_constant(kind, given, **attributes), [x], tmp_path)
    else:
        wanted[:, places] = new
        written = {
            "scatter": (places, {"axis": 1}),
            "scatterAlongAxis": (channels, {"axis": -3}),
            "scatterND": (pairs, {}),
        }
        given, attributes = written[kind]
        found = _found(_with_constant(kind, given, **attributes), [x, new], tmp_path)
    np.testing.assert_array_equal(found, wanted.transpose(0, 2, 3, 1).reshape(found.shape))


def test_each_kind_has_a_case() -> None:
    assert {form.kind for form, _ in LAYER_CASES.values()} | _WITH_CONSTANTS == set(LAYERS)
    assert {form.kind for form, _ in OPERATION_CASES.values()} == set(OPERATIONS)


def test_what_the_network_computes_is_refused_by_name(tmp_path: Path) -> None:
    """The errors name computed numbers of elements, computed axes, and unsupported ways of scattering."""
    for kind, inputs, more, reason in (
        ("topK", 2, {"axis": 1}, "its number of elements is an input"),
        ("oneHot", 2, {"axis": 1}, "its number of places is an input"),
        ("cumSum", 2, {"axis": 1}, "its axis is an input"),
        ("scatterND", 3, {"mode": 2}, "its mode is 'sub'; supported are update, add, mul"),
        ("scatterND", 3, {"mode": 4}, "its mode is 'div'; supported are update"),
        ("embedding", 1, {"inputDim": 7, "outputChannels": 4}, "one index for each image"),
    ):
        results = 2 if kind == "topK" else 1
        message = one_layer(kind, settings(**more), [_IMAGE] * inputs, results)
        with pytest.raises(UnsupportedLayersError, match=reason):
            converters.read_network([saved(message, tmp_path / "one.mlmodel")])


def test_damaged_settings_are_named(tmp_path: Path) -> None:
    for kind, more, reason in (
        ("topK", {"axis": 1, "K": 5}, "takes 5 of 4 elements"),
        ("topK", {"axis": 4, "K": 1}, "axis 4 of 4"),
        ("oneHot", {"axis": 9, "oneHotVectorSize": 2}, "2 places on axis 9"),
        ("oneHot", {"axis": 0}, "0 places"),
        ("embeddingND", {"vocabSize": 7, "embeddingSize": 4}, "expected 1 as the last extent"),
    ):
        message = one_layer(kind, settings(**more), [_IMAGE], 2 if kind == "topK" else 1)
        with pytest.raises(WeightsError, match=reason):
            converters.read_network([saved(message, tmp_path / "one.mlmodel")])


# ---- Operations of programs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPERATION_CASES)
def test_operations(name: str, tmp_path: Path) -> None:
    (kind, operands), operator = OPERATION_CASES[name]
    shapes = operator.shapes
    inputs = random_inputs(shapes, positive=True)
    expected = operator.meaning(*(x.astype(np.float64) for x in inputs))
    makes = [f"y{place}" for place in range(len(expected))] if isinstance(expected, list) else ["y"]
    program = Program({f"x{place}": shape for place, shape in enumerate(shapes)})
    first = {"one_hot": "indices"}.get(kind, "data" if kind.startswith("scatter") else "x")
    others = {"updates": "%x1"} if kind.startswith("scatter") else {}
    program.add(kind, " ".join(makes), **{first: "%x0"}, **others, **operands)
    program.block.outputs[:] = makes
    compare(run_program(program, inputs, tmp_path), expected)


def test_whole_numbers_are_divided_and_rounded_down(tmp_path: Path) -> None:
    """A detector finds boxes and classes by positions among all scores: position // 7 and position % 7."""
    program = Program({"x0": (1, 5, 7)})
    program.add("reshape", "flat", x="%x0", shape=[1, 35])
    program.add("topk", "best places", x="%flat", k=6, axis=1)
    program.add("floor_div", "row", x="%places", y=7)
    program.add("mod", "column", x="%places", y=7)
    program.add("sub", "below", x="%places", y=20)
    program.add("floor_div", "lower", x="%below", y=7)
    program.add("expand_dims", "index", x="%row", axes=[-1])
    program.add("gather_along_axis", "taken", x="%flat", indices="%row", axis=1)
    program.block.outputs[:] = ["row", "column", "lower", "taken"]
    (x,) = random_inputs(((1, 5, 7),))
    places = np.argsort(-x.reshape(1, 35), axis=1, kind="stable")[:, :6]
    taken = np.take_along_axis(x.reshape(1, 35), places // 7, 1)
    wanted = [places // 7, places % 7, (places - 20) // 7, taken]
    compare(run_program(program, [x], tmp_path), [one.astype(np.float32) for one in wanted])


@pytest.mark.parametrize("first", [-1, 0, 1])
def test_a_shape_that_leaves_out_the_batch(first: int, tmp_path: Path) -> None:
    """Shuffled channels and subpixels reshape images to five or six axes with -1 for the batch."""
    program = Program({"x0": (1, 8, 4, 6)})
    program.add("reshape", "apart", x="%x0", shape=[first, 2, 2, 2, 4, 6])
    program.add("transpose", "moved", x="%apart", perm=[0, 1, 4, 2, 5, 3])
    program.add("reshape", "y", x="%moved", shape=[first, 2, 8, 12])
    (x,) = random_inputs(((1, 8, 4, 6),))
    wanted = x.reshape(1, 2, 2, 2, 4, 6).transpose(0, 1, 4, 2, 5, 3).reshape(1, 2, 8, 12)
    compare(run_program(program, [x], tmp_path), [wanted])


def test_positions_that_the_program_computes(tmp_path: Path) -> None:
    """Integers of one operation are positions of the next, and an input of integers looks up words."""
    program = Program({"x0": _IMAGE, "x1": (1, 5)}, whole=["x1"])
    program.add("topk", "best places", x="%x0", k=2, axis=1)
    program.add("gather_along_axis", "again", x="%x0", indices="%places", axis=1)
    program.add("one_hot", "hot", indices="%x1", one_hot_vector_size=7)
    program.add("gather", "words", x=_TABLE.T, indices="%x1", axis=0)
    program.block.outputs[:] = ["best", "again", "hot", "words"]
    (x,) = random_inputs((_IMAGE,))
    words = np.array([[6, 0, 3, 3, 1]], np.float32)
    best = _top(x, 1, 2, largest=True)[0]
    hot = np.eye(7)[words.astype(int)]
    compare(run_program(program, [x, words], tmp_path), [best, best, hot, _rows(words)])
