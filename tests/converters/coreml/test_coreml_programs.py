"""Compare operations of Core ML's programs with numpy. Each kind that is read has a case."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from agreement import computed
from converters.coreml.test_coreml_layers import last
from converters.coreml_writer import Program, saved
from converters.operator_cases import FILTERS, TWO, Operation, forms, windows
from numpy.typing import NDArray
from reference.convolution import channels_first

from mpscnn import converters
from mpscnn.converters.opening.unsupported import UnsupportedLayersError
from mpscnn.converters.reading.coreml.program.operations import REFUSED, ROWS
from mpscnn.errors import WeightsError
from mpscnn.graph.quantized import has_integers


class Case(NamedTuple):
    """An operation: its operands, a function with its meaning, and the shapes of the program's inputs x0, x1, ...

    The operand `x` (in attention `query`) is x0, and is not among `operands`. `positive`: all inputs are at least 0.2.
    """

    kind: str
    operands: dict[str, Any]
    expected: Callable[..., Any]
    shapes: Sequence[Sequence[int]] = ((1, 4, 5, 6),)
    positive: bool = False


TABLE = {
    name: Case(form.kind, dict(form.operands), operator.meaning, operator.shapes, operator.positive)
    for name, (form, operator) in forms(Operation).items()
}
_COMPARISONS = {
    "equal": np.equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "less": np.less,
    "less_equal": np.less_equal,
    "not_equal": np.not_equal,
}
_LOGICAL = {"logical_and": np.logical_and, "logical_or": np.logical_or, "logical_xor": np.logical_xor}


def random_inputs(shapes: Sequence[Sequence[int]], *, positive: bool = False) -> list[NDArray[np.float32]]:
    draw = np.random.default_rng(5)
    return [draw.uniform(0.2 if positive else -2.0, 2.0, shape).astype(np.float32) for shape in shapes]


def run_program(program: Program, inputs: Sequence[NDArray[np.float32]], folder: Path) -> list[NDArray[Any]]:
    network = converters.read_network([program.saved(folder / "one.mlpackage")])
    given = [last(x) for x in inputs]
    found = network.compile(device="cpu").session().run(given[0] if len(given) == 1 else given)
    return [found] if isinstance(found, np.ndarray) else list(found.values())


def compare(found: Sequence[NDArray[Any]], expected: Any) -> None:
    results = expected if isinstance(expected, list) else [expected]
    for one, wanted in zip(found, results, strict=True):
        np.testing.assert_allclose(
            one, last(np.asarray(wanted, np.float64)).reshape(one.shape), rtol=2e-5, atol=2e-5
        )


def made_of(case: Case) -> tuple[Program, list[NDArray[Any]], Any]:
    """Return a program of one operation, inputs for it, and the expected results."""
    inputs = random_inputs(case.shapes, positive=case.positive)
    expected = case.expected(*(x.astype(np.float64) for x in inputs))
    program = Program({f"x{place}": shape for place, shape in enumerate(case.shapes)})
    makes = [f"y{place}" for place in range(len(expected))] if isinstance(expected, list) else ["y"]
    first = "query" if case.kind.startswith("scaled_dot") else "x"
    program.add(case.kind, " ".join(makes), **{first: "%x0"}, **case.operands)
    program.block.outputs[:] = makes
    return program, inputs, expected


@pytest.mark.parametrize("name", TABLE)
def test_operations(name: str, tmp_path: Path) -> None:
    program, inputs, expected = made_of(TABLE[name])
    compare(run_program(program, inputs, tmp_path), expected)


def test_same_padding_of_free_size(tmp_path: Path) -> None:
    """Averages with SAME padding need no fixed size."""
    program = Program({"x0": (1, 4, None, None)})
    program.add("avg_pool", x="%x0", kernel_sizes=[3, 3], strides=[2, 2], pad_type="same")
    x = random_inputs([(1, 4, 5, 6)])[0]
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (1, 1), (0, 1)))
    compare(run_program(program, [x], tmp_path), windows(padded, 3, 2, np.mean))


def test_negated_truth_values(tmp_path: Path) -> None:
    program = Program({"x0": (1, 4, 5, 6)})
    program.add("greater", "truth", x="%x0", y=np.float32(0.5))
    program.add("logical_not", "negated", x="%truth")
    program.add("cast", x="%negated", dtype="fp32")
    (x,) = random_inputs([(1, 4, 5, 6)])
    compare(run_program(program, [x], tmp_path), x <= 0.5)


@pytest.mark.parametrize("kind", _COMPARISONS)
def test_comparisons(kind: str, tmp_path: Path) -> None:
    """Comparisons give truth values, which select elements or are cast to numbers."""
    program = Program({"x0": (1, 4, 5, 6), "x1": (1, 4, 5, 6)})
    program.add(kind, "truth", x="%x0", y="%x1")
    program.add("select", "chosen", cond="%truth", a="%x0", b=np.float32(7.0))
    program.add("cast", "number", x="%truth", dtype="fp32")
    program.add("add", x="%chosen", y="%number")
    x, y = random_inputs(TWO)
    y.reshape(-1)[:9] = x.reshape(-1)[:9]
    truth = _COMPARISONS[kind](x, y)
    compare(run_program(program, [x, y], tmp_path), np.where(truth, x, 7.0) + truth)


@pytest.mark.parametrize("kind", ["int8", "uint8", "int16", "uint16", "int32"])
def test_casts_stay_within_their_type(kind: str, tmp_path: Path) -> None:
    """Core ML does not define floats beyond the range, but no result is outside of it."""
    program = Program({"x0": (1, 4, 5, 6)})
    program.add("mul", "scaled", x="%x0", y=np.float32(1e5))
    program.add("cast", f"whole:{kind}", x="%scaled", dtype=kind)
    program.add("cast", x="%whole", dtype="fp32")
    x, limits = random_inputs([(1, 4, 5, 6)])[0], np.iinfo(kind)
    expected = np.clip(np.trunc(x * np.float32(1e5)), limits.min, limits.max)
    compare(run_program(program, [x], tmp_path), expected)


@pytest.mark.parametrize("axis", [None, 1, -2])
@pytest.mark.parametrize("kind", ["int8", "uint8"])
@pytest.mark.parametrize("has_zero_points", [False, True])
def test_quantised_activations(kind: str, axis: int | None, has_zero_points: bool, tmp_path: Path) -> None:
    """Numbers are rounded to the grid of their scale, also if the integers move before they become numbers again."""
    shape, draw = (1, 4, 5, 6), np.random.default_rng(3)
    count = () if axis is None else (shape[axis],)
    scale, zero = draw.uniform(0.004, 0.02, count).astype(np.float32), draw.integers(0, 99, count, kind)
    given: dict[str, Any] = {"scale": scale, **({} if axis is None else {"axis": np.int32(axis)})}
    if has_zero_points:
        given["zero_point"] = zero
    program = Program({"x0": shape})
    program.add("quantize", f"whole:{kind}", input="%x0", output_dtype=kind, **given)
    program.add("relu", f"positive:{kind}", x="%whole")
    program.add("dequantize", input="%positive", **given)
    x, limits = random_inputs([shape])[0], np.iinfo(kind)
    along = (
        [1] * 4
        if axis is None
        else [extent if place == axis % 4 else 1 for place, extent in enumerate(shape)]
    )
    scale, zero = scale.reshape(along), zero.reshape(along).astype(np.float32) * has_zero_points
    whole = np.clip(np.rint(x / scale) + zero, limits.min, limits.max)
    compare(run_program(program, [x], tmp_path), (np.maximum(whole, 0) - zero) * scale)


@pytest.mark.parametrize("batch", [1, 3])
def test_compressed_weights_stay_integers(batch: int, tmp_path: Path) -> None:
    """The weight is that of the last layer, so its integers are needed when the graph is complete."""
    shape, draw = (batch, 6), np.random.default_rng(4)
    program = Program({"x0": shape})
    weight, zero = draw.integers(-128, 128, (5, 6)).astype(np.int8), np.int8(3)
    scale = draw.uniform(0.004, 0.02, 5).astype(np.float32)
    given = {"quantized_data": weight, "zero_point": np.full(5, zero), "scale": scale, "axis": np.int32(0)}
    program.add("constexpr_affine_dequantize", "weight", **given)
    program.add("relu", "positive", x="%x0")
    program.add("linear", x="%positive", weight="%weight", bias=np.zeros(5, np.float32))
    network = converters.read_network([saved(program.message, tmp_path / "model.mlmodel")])
    assert has_integers(network)
    x = random_inputs([shape])[0]
    expected = np.maximum(x, 0) @ ((weight - np.float32(zero)) * scale[:, None]).T
    compare(run_program(program, [x], tmp_path), expected)


def test_lists(tmp_path: Path) -> None:
    program = Program({"x0": (1, 4, 5, 6), "x1": (1, 4, 5, 6)})
    program.add("concat", "joined", values=("%x0", "%x1"), axis=1, interleave=False)
    program.add("concat", "turns", values=("%x0", "%x1"), axis=1, interleave=True)
    program.add("add", "sum", x="%joined", y="%turns")
    program.add("stack", "stacked", values=("%x0", "%x1"), axis=2)
    program.add("reduce_sum", "pairs", x="%stacked", axes=[2], keep_dims=False)
    program.add("einsum", "product", values=("%pairs", "%x1"), equation="nchw,nchx->nchwx")
    program.add("reduce_sum", "last", x="%product", axes=[4], keep_dims=False)
    program.block.outputs[:] = ["sum", "last"]
    x, y = random_inputs(TWO)
    joined, turns = np.concatenate([x, y], 1), np.stack([x, y], 2).reshape(1, 8, 5, 6)
    last = (x + y) * y.sum(3, keepdims=True)
    compare(run_program(program, [x, y], tmp_path), [joined + turns, last])


def test_shapes_that_a_program_computes(tmp_path: Path) -> None:
    """Frameworks compute the shape of a reshape from its input's batch. The program also fills a constant."""
    program = Program({"x0": (1, 4, 5, 6)})
    program.add("shape", "extents", x="%x0")
    program.add("gather", "batch", x="%extents", indices=np.int32(0), axis=0)
    program.add("concat", "target", values=("%batch", np.int32(20), np.int32(6)), axis=0)
    program.add("reshape", "rows", x="%x0", shape="%target")
    program.add("fill", "ones", shape=[1, 1, 6], value=np.float32(2.0))
    program.add("mul", "double", x="%rows", y="%ones")
    program.add("gather_nd", x="%double", indices=[[0]])
    program.block.outputs[:] = ["double"]
    (x,) = random_inputs(((1, 4, 5, 6),))
    compare(run_program(program, [x], tmp_path), 2 * x.reshape(1, 20, 6))


@pytest.mark.parametrize("kind", ["tile", "slice_by_index", "split"])
def test_whole_numbers_that_move(kind: str, tmp_path: Path) -> None:
    """Operations that only move elements keep whole numbers, which a later operation casts."""
    program = Program({"x0": (1, 4, 5, 6)})
    program.add("reduce_argmax", "places", x="%x0", axis=1, keep_dims=True)
    operands: dict[str, Any] = {
        "tile": {"reps": [1, 1, 1, 2]},
        "slice_by_index": {"begin": [0, 0, 1, 0], "end": [1, 1, 5, 3]},
        "split": {"num_splits": 2, "axis": 3},
    }
    program.add(kind, "moved rest" if kind == "split" else "moved", x="%places", **operands[kind])
    program.add("cast", x="%moved", dtype="fp32")
    (x,) = random_inputs([(1, 4, 5, 6)])
    places = x.argmax(1)[:, None]
    moved = {"tile": np.tile(places, (1, 1, 1, 2)), "slice_by_index": places[:, :, 1:, :3]}
    compare(run_program(program, [x], tmp_path), moved.get(kind, places[..., :3]))


@pytest.mark.parametrize(
    ("windows", "padding"),
    [
        ({"pad_type": "valid"}, (0, 0, 0, 0)),
        ({"pad_type": "custom", "pad": [1, 0, 0, 2]}, (2, 0, 0, 6)),
        ({"pad_type": "same"}, (2, 2, 0, 3)),
        ({"pad_type": "same_lower"}, (2, 2, 3, 0)),
    ],
)
def test_convolutions_of_blocks(
    windows: dict[str, Any], padding: tuple[int, int, int, int], tmp_path: Path
) -> None:
    """A convolution between space_to_batch and batch_to_space has a dilation, as TensorFlow writes it."""
    program = Program({"x0": (1, 4, 5, 8)})
    program.add("space_to_batch", "blocks", x="%x0", block_shape=[2, 3], paddings=[[2, 1], [0, 1]])
    program.add("conv", "convolved", x="%blocks", weight=FILTERS, **windows)
    program.add("relu", "positive", x="%convolved")
    program.add("batch_to_space", x="%positive", block_shape=[2, 3], crops=[[1, 0], [0, 2]])
    (x,) = random_inputs([(1, 4, 5, 8)])
    top, bottom, left, right = padding
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (2 + top, 1 + bottom), (0 + left, 1 + right)))
    wanted = np.maximum(channels_first(padded, FILTERS, dilation_y=2, dilation_x=3), 0)[:, :, 1:, :-2]
    compare(run_program(program, [x], tmp_path), wanted)


@pytest.mark.parametrize(
    ("kind", "operands", "message"),
    [
        ("conv", {"weight": FILTERS, "strides": [2, 2]}, "has strides, and its images are divided"),
        ("softmax", {"axis": 3}, "computes with images that are divided into blocks"),
        ("space_to_batch", {"block_shape": [2, 2], "paddings": [[0, 0], [0, 0]]}, "already divided"),
        (
            "batch_to_space",
            {"block_shape": [4, 2], "crops": [[0, 0], [0, 0]]},
            "no space_to_batch of this size",
        ),
    ],
)
def test_what_blocks_are_refused(kind: str, operands: dict[str, Any], message: str, tmp_path: Path) -> None:
    program = Program({"x0": (1, 4, 8, 8)})
    program.add("space_to_batch", "blocks", x="%x0", block_shape=[2, 2], paddings=[[0, 0], [0, 0]])
    program.add(kind, x="%blocks", **operands)
    with pytest.raises(UnsupportedLayersError, match=message):
        converters.read_network([program.saved(tmp_path / "one.mlpackage")])


def test_blocks_that_do_not_divide_an_image(tmp_path: Path) -> None:
    program = Program({"x0": (1, 4, 5, 8)})
    program.add("space_to_batch", x="%x0", block_shape=[2, 2], paddings=[[0, 0], [0, 0]])
    with pytest.raises(WeightsError, match="divides 5 pixels into blocks of 2"):
        converters.read_network([program.saved(tmp_path / "one.mlpackage")])


def _from_table(places: NDArray[Any], tables: NDArray[Any], axis: int) -> NDArray[Any]:
    """Return the elements of a weight: each place stands for a vector of its block's table along the axis."""
    length = tables.shape[-1]
    shape = [extent * (length if at == axis else 1) for at, extent in enumerate(places.shape)]
    made = np.zeros(shape)
    for position in np.ndindex(*places.shape):
        blocks = [
            at * count // extent
            for at, count, extent in zip(position, tables.shape[:4], places.shape, strict=True)
        ]
        for element in range(length):
            at = list(position)
            at[axis] = at[axis] * length + element
            made[tuple(at)] = tables[(*blocks, places[position], element)]
    return made


@pytest.mark.parametrize("blocks", [(1, 1, 1, 1), (3, 1, 1, 1), (1, 2, 1, 1)])
@pytest.mark.parametrize("axis", [0, 1, 2, 3, -1])
def test_tables_of_vectors(axis: int, blocks: tuple[int, ...], tmp_path: Path) -> None:
    draw = np.random.default_rng(3)
    places = draw.integers(0, 4, (6, 4, 2, 2)).astype(np.uint8)
    tables = draw.uniform(0.5, 1.5, (*blocks, 4, 2)).astype(np.float32)
    weight = _from_table(places, tables, axis % 4)
    program = Program({"x": (1, weight.shape[1], 5, 6)})
    made = {"indices": places, "lut": tables, "vector_axis": np.int32(axis)}
    program.add("constexpr_lut_to_dense", "filters", **made)
    program.add("conv", x="%x", weight="%filters")
    x = draw.uniform(-2.0, 2.0, (1, weight.shape[1], 5, 6)).astype(np.float32)
    network = converters.read_network([program.saved(tmp_path / "one.mlpackage")])
    found = network.compile(device="cpu").session().run(last(x))
    np.testing.assert_allclose(
        found, last(channels_first(x.astype(np.float64), weight)), rtol=1e-5, atol=2e-5
    )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"vector_axis": np.int32(4)}, "axis 4 of 4"),
        ({"lut": np.ones((1, 1, 1, 4, 2), np.float32)}, "tables of the shape"),
        ({"lut": np.ones((1, 1, 1, 1, 3, 2), np.float32)}, "place 3 of tables with 3 entries"),
        ({"lut": np.ones((4, 1, 1, 1, 4, 2), np.float32)}, "blocks of"),
        ({"vector_axis": None}, "no axis for its vectors of 2 elements"),
    ],
)
def test_damaged_tables_of_vectors(changed: dict[str, Any], message: str, tmp_path: Path) -> None:
    places = np.arange(24, dtype=np.uint8).reshape(6, 4, 1, 1) % 4
    made = {"indices": places, "lut": np.ones((1, 1, 1, 1, 4, 2), np.float32), "vector_axis": np.int32(0)}
    program = Program({"x": (1, 4, 5, 6)})
    given = {name: value for name, value in (made | changed).items() if value is not None}
    program.add("constexpr_lut_to_dense", "filters", **given)
    program.add("conv", x="%x", weight="%filters")
    with pytest.raises(WeightsError, match=message):
        converters.read_network([program.saved(tmp_path / "one.mlpackage")])


def _answer_of_filters(program: Program, x: NDArray[np.float32], path: Path) -> NDArray[np.float32]:
    program.add("conv", x="%x", weight="%filters")
    network = converters.read_network([program.saved(path / "one.mlpackage")])
    return network.compile(device="cpu").session().run(last(x))


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_sparse_weights_with_tables(axis: int | None, tmp_path: Path) -> None:
    """The table's numbers, or vectors of numbers, stand where the mask has ones, and zeros elsewhere."""
    draw = np.random.default_rng(4)
    mask = draw.integers(0, 2, (6, 4, 2, 2)).astype(np.uint8)
    places = draw.integers(0, 4, mask.shape).astype(np.uint8)
    tables = draw.uniform(0.5, 1.5, (3, 1, 1, 1, 4, 1 if axis is None else 2)).astype(np.float32)
    weight = _from_table(places, tables, (axis or 0) % 4)
    for position in np.argwhere(np.repeat(mask, tables.shape[-1], axis or 0) == 0):
        weight[tuple(position)] = 0.0
    program = Program({"x": (1, weight.shape[1], 5, 6)})
    given = {"indices_mask": mask, "indices_nonzero_data": places[mask == 1], "lut": tables}
    given |= {} if axis is None else {"vector_axis": np.int32(axis)}
    program.add("constexpr_lut_to_sparse", "mask numbers", **given)
    program.add("constexpr_sparse_to_dense", "filters", nonzero_data="%numbers", mask="%mask")
    x = draw.uniform(-2.0, 2.0, (1, weight.shape[1], 5, 6)).astype(np.float32)
    expected = last(channels_first(x.astype(np.float64), weight))
    np.testing.assert_allclose(_answer_of_filters(program, x, tmp_path), expected, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("offset", [False, True])
def test_sparse_integers(offset: bool, tmp_path: Path) -> None:
    """The scale and the offset count only where the mask has ones: elsewhere the weight is 0."""
    draw = np.random.default_rng(5)
    mask = draw.integers(0, 2, (6, 4, 2, 2)).astype(np.uint8)
    data = draw.integers(-9, 10, mask.shape).astype(np.int8)
    scale = draw.uniform(0.1, 0.3, (3, 2, 1, 1)).astype(np.float32)
    shift = draw.integers(-4, 5, scale.shape).astype(np.int8)
    weight = np.zeros(mask.shape)
    for a, b, c, d in np.argwhere(mask):
        whole = int(data[a, b, c, d]) - (int(shift[a // 2, b // 2, 0, 0]) if offset else 0)
        weight[a, b, c, d] = whole * float(scale[a // 2, b // 2, 0, 0])
    program = Program({"x": (1, 4, 5, 6)})
    given = {"data_mask": mask, "nonzero_data": data[mask == 1], "scale": scale}
    given |= {"offset": shift} if offset else {}
    program.add("constexpr_sparse_blockwise_shift_scale", "mask numbers", **given)
    program.add("constexpr_sparse_to_dense", "filters", nonzero_data="%numbers", mask="%mask")
    x = draw.uniform(-2.0, 2.0, (1, 4, 5, 6)).astype(np.float32)
    expected = last(channels_first(x.astype(np.float64), weight))
    np.testing.assert_allclose(_answer_of_filters(program, x, tmp_path), expected, rtol=1e-5, atol=5e-5)


@pytest.mark.parametrize(
    ("makes", "changed", "message"),
    [
        ("mask", {}, "has 1 results, where constexpr_lut_to_sparse has 2"),
        ("mask numbers", {"indices_nonzero_data": np.zeros(5, np.uint8)}, "5 numbers for 24 ones of a mask"),
        ("mask numbers", {"indices_mask": None}, "no indices_mask"),
        ("mask numbers", {"lut": np.ones((4, 2), np.float32)}, "tables of the shape"),
    ],
)
def test_damaged_sparse_weights_with_tables(
    makes: str, changed: dict[str, Any], message: str, tmp_path: Path
) -> None:
    made = {
        "indices_mask": np.ones((6, 4, 1, 1), np.uint8),
        "indices_nonzero_data": np.zeros(24, np.uint8),
        "lut": np.ones((1, 1, 1, 1, 4, 1), np.float32),
    }
    program = Program({"x": (1, 4, 5, 6)})
    given = {name: value for name, value in (made | changed).items() if value is not None}
    program.add("constexpr_lut_to_sparse", makes, **given)
    program.add("constexpr_sparse_to_dense", "filters", nonzero_data="%numbers", mask="%mask")
    with pytest.raises(WeightsError, match=message):
        _answer_of_filters(program, np.zeros((1, 4, 5, 6), np.float32), tmp_path)


def test_each_kind_of_operation_has_a_case() -> None:
    """A kind is in the table, or another test of this folder writes it by its name."""
    sources = " ".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("*.py"))
    tested = {case.kind for case in TABLE.values()} | {kind for kind in ROWS if f'"{kind}"' in sources}
    assert set(ROWS) - tested == set()
    assert not set(ROWS) & set(REFUSED)


@pytest.mark.parametrize("kind", [*REFUSED, "brand_new"])
def test_refused_operations_are_named(kind: str, tmp_path: Path) -> None:
    program = Program({"x0": (1, 4, 5, 6)})
    program.add(kind, x="%x0")
    with pytest.raises(UnsupportedLayersError, match="layer 'y'") as refused:
        converters.read_network([program.saved(tmp_path / "one.mlpackage")])
    assert REFUSED.get(kind, "does not know") in str(refused.value)
    assert [(one.name, one.kind) for one in refused.value.layers] == [("y", kind)]


def test_more_operations_than_are_read(tmp_path: Path) -> None:
    """The reader counts operations before it reads any of them. Constants do not count."""
    program = Program({"x0": (1, 4, 5, 6)})
    for _ in range(100_001):
        program.block.operations.add(type="relu")
    with pytest.raises(WeightsError, match="has 100001 layers; at most 100000 are read"):
        converters.read_network([program.saved(tmp_path / "one.mlpackage")])


def test_an_operation_without_a_type(tmp_path: Path) -> None:
    program = Program({"x0": (1, 4, 5, 6)})
    program.add("", x="%x0")
    with pytest.raises(WeightsError, match="an operation without a type"):
        converters.read_network([program.saved(tmp_path / "one.mlpackage")])


@pytest.mark.parametrize("has_factors", [False, True])
def test_a_norm_of_channels_is_one_layer(has_factors: bool, tmp_path: Path) -> None:
    given = np.arange(120, dtype=np.float32).reshape(1, 4, 5, 6) ** 2
    factors = {"gamma": np.float32([1, 2, 3, 4]), "beta": np.float32([4, 3, 2, 1])} if has_factors else {}
    made = Program({"x": given.shape})
    made.add("layer_norm", "inner", x="%x", axes=np.int32([1]), epsilon=np.float32(0.5), **factors)
    made.add("exp", "y", x="%inner")
    network = converters.read_network(saved(made.message, tmp_path / "norm.mlmodel"))
    operations = {one["name"]: one["operation"] for one in network.to_dict()["nodes"]}
    assert operations["inner"] == "layer_normalization"
    assert len(operations) == 2
    assert ("inner.gamma" in network.weights) == has_factors
    right = (given - given.mean(1, keepdims=True)) / np.sqrt(given.var(1, keepdims=True) + 0.5)
    if has_factors:
        right = right * factors["gamma"][:, None, None] + factors["beta"][:, None, None]
    np.testing.assert_allclose(computed(network, last(given)), last(np.exp(right)), rtol=2e-5)
