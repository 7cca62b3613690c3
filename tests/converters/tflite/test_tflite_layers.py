"""Compare single operators of TensorFlow Lite files with LiteRT."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import agreement
import numpy as np
import pytest
from converters.quantized_ranges import CASES, FLOAT_CASES, file_of
from converters.tflite_writer import (
    CODES,
    OPTIONS,
    Field,
    Operator,
    Tensor,
    constant,
    quantized,
    write_tflite,
)
from exact_engines import litert_results
from numpy.typing import NDArray

import mpscnn
from mpscnn import converters

Array = NDArray[Any]
X = (1, 4, 6, 8)
NO_REFERENCE_KERNEL = "LiteRT has no reference kernel for this operator"


def random(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).uniform(-2, 2, shape).astype(np.float32)


def operator(
    kind: str, inputs: Sequence[int], outputs: Sequence[int], options: Sequence[Field] = ()
) -> Operator:
    number = OPTIONS.get(kind, 0)
    return Operator(CODES[kind], inputs, outputs, number, options)


def agrees(
    tmp_path: Path,
    content: bytes,
    *inputs: Array,
    rtol: float = 2e-5,
    atol: float = 1e-6,
    fast_because: str = "",
) -> mpscnn.Network:
    """Compare with LiteRT."""
    path = tmp_path / "file.tflite"
    path.write_bytes(content)

    def litert(*arrays: Array) -> list[Array]:
        return litert_results(content, *arrays, fast_because=fast_because)

    return agreement.agrees(path, *inputs, oracle=litert, rtol=rtol, atol=atol)


def one(
    kind: str,
    result: tuple[int, ...],
    *constants: Any,
    shape: tuple[int, ...] = X,
    options: Sequence[Field] = (),
    order: Sequence[int] | None = None,
) -> bytes:
    """Return a file of one operator. Constants of integers become int32.

    `order` has the numbers of the operator's inputs: 0 is the network's input, and constants follow. None: 0, 1, ...
    """
    tensors = [Tensor("x", shape)]
    for number, values in enumerate(constants):
        dtype = "int32" if np.asarray(values).dtype.kind == "i" else "float32"
        tensors.append(constant(f"constant{number}", values, dtype))
    tensors.append(Tensor("y", result))
    places = list(order) if order is not None else list(range(len(tensors) - 1))
    return write_tflite(
        tensors, [operator(kind, places, [len(tensors) - 1], options)], [0], [len(tensors) - 1]
    )


# ---- Results --------------------------------------------------------------------------------------------------


def test_a_result_that_is_listed_twice(tmp_path: Path) -> None:
    tensors = [Tensor("x", X), Tensor("negative", X), Tensor("y", X)]
    operators = [operator("NEG", [0], [1]), operator("RELU", [1], [2])]
    for outputs in ([1, 2, 1], [2, 2, 2], [0, 2, 0]):
        network = agrees(tmp_path, write_tflite(tensors, operators, [0], outputs), random(*X))
        assert len(network.outputs) == 3


def test_two_results_in_one_memory_order(tmp_path: Path) -> None:
    """The transposition only changes the order of the file's axes. Both results are one tensor of the network."""
    tensors = [Tensor("x", (1, 6, 8)), Tensor("y", (1, 6, 8)), constant("order", [0, 2, 1], "int32")]
    tensors += [Tensor("there", (1, 8, 6)), Tensor("back", (1, 6, 8))]
    operators = [
        operator("NEG", [0], [1]),
        operator("TRANSPOSE", [1, 2], [3]),
        operator("TRANSPOSE", [3, 2], [4]),
    ]
    agrees(tmp_path, write_tflite(tensors, operators, [0], [1, 3, 4]), random(1, 6, 8))


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_an_integer_result_that_is_listed_twice(tmp_path: Path, dtype: str) -> None:
    zero = -28 if dtype == "int8" else 100
    tensors = [quantized(Tensor(name, X, dtype), [0.25], [zero]) for name in ("x", "y")]
    content = write_tflite(tensors, [operator("MAXIMUM", [0, 0], [1])], [0], [1, 1])
    path = tmp_path / "file.tflite"
    path.write_bytes(content)
    network = converters.read_network([path])
    x = np.random.default_rng(0).integers(np.iinfo(dtype).min, np.iinfo(dtype).max, X).astype(dtype)
    numbers = (x.astype(np.float32) - zero) / 4
    for precision in ("int8", "float32", "float16"):
        found = network.compile(device="cpu", precision=precision).session().run(numbers)
        assert isinstance(found, dict)
        for own, expected in zip(found.values(), litert_results(content, x), strict=True):
            np.testing.assert_array_equal(own, (expected.astype(np.float32) - zero) / 4)


# ---- Arithmetic -----------------------------------------------------------------------------------------------

#: Options of the operators that may end with a ReLU.
RELU: dict[str, list[Field]] = {kind: [(0, "Int8", 1)] for kind in ("ADD", "SUB", "MUL", "DIV")}
SHAPES: list[tuple[int, ...]] = [(), (8,), (1, 1, 1, 8), (6, 8), (1, 4, 6, 1), (1, 4, 1, 1), (1, 4, 6, 8)]


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(
    "kind", ["ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "POW", "SQUARED_DIFFERENCE"]
)
def test_constant_operands(tmp_path: Path, kind: str, shape: tuple[int, ...], first: bool) -> None:
    values = np.asarray(np.abs(random(*shape, seed=1)) + 0.5, np.float32)
    content = one(kind, X, values, options=RELU.get(kind, []), order=[1, 0] if first else [0, 1])
    agrees(tmp_path, content, np.abs(random(*X)) + 0.1)


@pytest.mark.parametrize("other", [(1, 4, 6, 8), (1, 1, 1, 8), (1, 4, 6, 1), (1, 8), (1, 6, 8)], ids=str)
@pytest.mark.parametrize(
    "kind", ["ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "POW", "SQUARED_DIFFERENCE"]
)
def test_two_tensors(tmp_path: Path, kind: str, other: tuple[int, ...]) -> None:
    tensors = [Tensor("a", X), Tensor("b", other), Tensor("y", X)]
    content = write_tflite(tensors, [operator(kind, [0, 1], [2])], [0, 1], [2])
    agrees(tmp_path, content, np.abs(random(*X)) + 0.1, np.abs(random(*other, seed=1)) + 0.5)


@pytest.mark.parametrize("kind", ["EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "NOT_EQUAL"])
def test_choices(tmp_path: Path, kind: str) -> None:
    """Select the first input where a comparison of both holds, otherwise the second."""
    tensors = [Tensor("a", X), Tensor("b", (1, 1, 1, 8)), Tensor("chosen", X, "bool"), Tensor("y", X)]
    operators = [operator(kind, [0, 1], [2]), operator("SELECT_V2", [2, 0, 1], [3])]
    a = np.round(random(*X))
    agrees(tmp_path, write_tflite(tensors, operators, [0, 1], [3]), a, np.round(random(1, 1, 1, 8, seed=1)))


#: Operators without a reference kernel in LiteRT.
FAST_ONLY = {"CEIL", "ELU", "ROUND", "SIGN"}
EXPONENTIALS = {"ELU", "EXP", "GELU", "LOGISTIC", "LOG_SOFTMAX", "POW", "SOFTMAX", "TANH"}
POSITIVE = {"LOG", "RSQRT", "SQRT", "DIV", "FLOOR_DIV", "POW"}


@pytest.mark.parametrize("kind", [kind for kind in CASES | FLOAT_CASES if kind != "QUANTIZE"])
def test_each_operator_in_floats(tmp_path: Path, kind: str) -> None:
    grid = (0.1, 0)
    content = file_of(kind, "float32", grid, grid)
    inputs = [3 * random(*shape, seed=seed) for seed, shape in enumerate((CASES | FLOAT_CASES)[kind].inputs)]
    if kind in POSITIVE:
        inputs = [np.abs(x) + np.float32(0.1) for x in inputs]
    missing = NO_REFERENCE_KERNEL if kind in FAST_ONLY else ""
    # LiteRT's own exponentials are approximations, and the results of EXP are up to 400.
    rtol = 1e-4 if kind in EXPONENTIALS else 2e-5
    agrees(tmp_path, content, *inputs, rtol=rtol, atol=2e-6, fast_because=missing)


def test_local_response(tmp_path: Path) -> None:
    options = [(0, "Int32", 2), (1, "Float32", 1.5), (2, "Float32", 0.3), (3, "Float32", 0.75)]
    wrong = "the reference kernel leaves out the last channel of a window, unlike TensorFlow"
    agrees(tmp_path, one("LOCAL_RESPONSE_NORMALIZATION", X, options=options), random(*X), fast_because=wrong)


@pytest.mark.parametrize(
    ("axes", "keeps"),
    [([1, 2], False), ([2], False), ([3], True), ([-1], False), ([1, 3], False), ([1, 2, 3], True)],
    ids=str,
)
@pytest.mark.parametrize("kind", ["MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD"])
def test_reductions(tmp_path: Path, kind: str, axes: list[int], keeps: bool) -> None:
    numbers = {axis % 4 for axis in axes}
    result = tuple(
        1 if axis in numbers else extent for axis, extent in enumerate(X) if keeps or axis not in numbers
    )
    content = one(kind, result, np.array(axes, np.int32), options=[(0, "Bool", keeps)])
    agrees(tmp_path, content, random(*X), rtol=1e-4 if kind == "REDUCE_PROD" else 2e-5, atol=1e-5)


# ---- Parts ----------------------------------------------------------------------------------------------------


def integers(*values: int) -> Array:
    return np.array(values, np.int32)


@pytest.mark.parametrize(
    ("begin", "end", "strides", "masks", "result"),
    [
        ((0, 1, 0, 2), (1, 3, 6, 7), (1, 1, 1, 1), {}, (1, 2, 6, 5)),
        ((0, 0, 1, 0), (0, 0, 0, 0), (1, 2, 3, 1), {0: 0b1001, 1: 0b1111}, (1, 2, 2, 8)),
        ((0, -2, 0, -3), (1, -1, 6, 8), (1, 1, 1, 1), {}, (1, 1, 6, 3)),
        ((0, 1), (1, 3), (1, 1), {}, (1, 2, 6, 8)),
        ((0, 1, 0, 5), (1, 2, 6, 6), (1, 1, 1, 1), {4: 0b1010}, (1, 6)),
        ((0, 1, 2), (1, 2, 5), (1, 1, 1), {0: 0b010, 4: 0b010}, (1, 3, 8)),
        ((0, 0, 2), (0, 0, 5), (1, 1, 2), {0: 1, 1: 1, 2: 0b010}, (1, 4, 6, 2)),
        ((0, 0), (0, 0), (1, 1), {0: 3, 1: 3, 2: 0b10}, X),
        ((0, 1, 0, 0), (0, 3, 0, 0), (1, 1, 1, 1), {0: 1, 1: 1, 2: 0b1000, 3: 0b100}, (1, 2, 1, 6, 8)),
        ((0, 0, 0, 2), (0, 0, 0, 3), (1, 1, 1, 1), {0: 1, 1: 1, 2: 2, 3: 0b100, 4: 0b1000}, (1, 4, 6, 1)),
    ],
)
def test_strided_slices(
    tmp_path: Path, begin: Any, end: Any, strides: Any, masks: dict[int, int], result: tuple[int, ...]
) -> None:
    options = [(field, "Int32", mask) for field, mask in masks.items()]
    content = one(
        "STRIDED_SLICE", result, *(integers(*one) for one in (begin, end, strides)), options=options
    )
    agrees(tmp_path, content, random(*X))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ((5, "Bool", True), "its ends are relative to its begins"),
        *(((field, "Int32", 0b100), "are of more indices than it has") for field in (2, 3, 4)),
    ],
)
def test_options_of_strided_slices_that_are_refused(tmp_path: Path, option: Any, message: str) -> None:
    content = one("STRIDED_SLICE", X, *(integers(*one) for one in ((0, 0), (1, 4), (1, 1))), options=[option])
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    with pytest.raises(mpscnn.Error, match=message):
        converters.read_network([path])


@pytest.mark.parametrize(
    ("shape", "sides"),
    [
        ((1, 5, 4), [[0, 0], [1, 2], [0, 0]]),
        ((1, 5, 4), [[0, 0], [0, 3], [2, 1]]),
        ((1, 6), [[0, 0], [2, 3]]),
        ((1, 2, 3, 4, 5), [[0, 0], [0, 1], [0, 0], [2, 0], [1, 1]]),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["PAD", "PADV2", "MIRROR_PAD"])
def test_borders_of_what_is_no_image(
    tmp_path: Path, kind: str, shape: tuple[int, ...], sides: list[list[int]]
) -> None:
    result = tuple(extent + sum(both) for extent, both in zip(shape, sides, strict=True))
    constants = [np.array(sides, np.int32), *([np.float32(1.5)] if kind == "PADV2" else [])]
    options = [(0, "Int8", 0)] if kind == "MIRROR_PAD" else []
    agrees(tmp_path, one(kind, result, *constants, shape=shape, options=options), random(*shape))


@pytest.mark.parametrize(
    ("sides", "said"), [([[1, 0], [0, 0]], "pads the batch"), ([[0, 0]], "pads 1 axes of (n, 6)")]
)
def test_borders_that_are_refused(tmp_path: Path, sides: list[list[int]], said: str) -> None:
    content = one("PAD", (2, 6), np.array(sides, np.int32), shape=(1, 6))
    assert said in refusal(tmp_path, content)


@pytest.mark.parametrize(
    "slopes", [(8,), (1, 1, 8), (1,), (1, 1, 1), (4, 6, 8), (6, 1), (1, 4, 1, 8), (8, 1, 1)], ids=str
)
def test_slopes_are_broadcast(tmp_path: Path, slopes: tuple[int, ...]) -> None:
    shape = (1, 8, 6, 8) if slopes == (8, 1, 1) else X  # as many rows as channels
    agrees(tmp_path, one("PRELU", shape, random(*slopes, seed=1), shape=shape), random(*shape))


def test_slopes_that_do_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "file.tflite"
    path.write_bytes(one("PRELU", X, np.ones(5, np.float32)))
    with pytest.raises(mpscnn.WeightsError, match=r"damaged: slopes of shape \(5,\)"):
        converters.read_network([path])


@pytest.mark.parametrize(
    "shapes",
    [
        ((1, 2, 3, 4, 5), (1, 2, 1, 1, 5)),
        ((1, 2, 3, 4, 5), (1, 2, 1, 4, 1)),
        ((1, 2, 1, 4, 5), (1, 1, 3, 4, 1)),
        ((1, 2, 1, 4, 5), (1, 2, 3, 1, 5)),
    ],
)
def test_five_axes_of_which_some_are_repeated(tmp_path: Path, shapes: tuple[tuple[int, ...], ...]) -> None:
    first, second = shapes
    result = tuple(max(extents) for extents in zip(*shapes, strict=True))
    tensors = [Tensor("x", first), Tensor("z", second), Tensor("y", result)]
    content = write_tflite(tensors, [operator("ADD", [0, 1], [2])], [0, 1], [2])
    agrees(tmp_path, content, random(*first), random(*second, seed=1))


@pytest.mark.parametrize(("same", "size"), [(True, (8, 12)), (False, (9, 13)), (True, (7, 11))])
def test_transposed_convolution(tmp_path: Path, same: bool, size: tuple[int, int]) -> None:
    options = [(0, "Int8", 0 if same else 1), (1, "Int32", 2), (2, "Int32", 2)]
    weights = random(5, 3, 3, 8, seed=1)
    result = (1, *size, 5)
    content = one("TRANSPOSE_CONV", result, integers(*result), weights, options=options, order=[1, 2, 0])
    agrees(tmp_path, content, random(*X), atol=1e-5)


@pytest.mark.parametrize(
    ("depthwise", "crops"), [(False, (0, 0, 0, 0)), (True, (0, 0, 0, 0)), (False, (0, 0, 0, 2))]
)
def test_batches_of_blocks_are_a_dilation(tmp_path: Path, depthwise: bool, crops: tuple[int, ...]) -> None:
    """A padding of 2 around 4 x 6 pixels gives four batches of 4 x 5, which 3 x 3 taps reduce to 2 x 3."""
    pads = np.array([[2, 2], [2, 2]], np.int32)
    weights = random(*((1, 3, 3, 8) if depthwise else (5, 3, 3, 8)), seed=1)
    outputs = 8 if depthwise else 5
    result = (1, 4, 6 - crops[3], outputs)
    tensors = [
        Tensor("x", X),
        constant("block", [2, 2], "int32"),
        constant("pads", pads, "int32"),
        Tensor("spread", (4, 4, 5, 8)),
        constant("weights", weights),
        constant("biases", random(outputs, seed=2)),
        Tensor("convolved", (4, 2, 3, outputs)),
        constant("crops", np.reshape(crops, (2, 2)), "int32"),
        Tensor("y", result),
    ]
    window: list[Field] = [(0, "Int8", 1), (1, "Int32", 1), (2, "Int32", 1)]
    window += (
        [(3, "Int32", 1), (5, "Int32", 1), (6, "Int32", 1)]
        if depthwise
        else [(4, "Int32", 1), (5, "Int32", 1)]
    )
    kind = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    operators = [
        operator("SPACE_TO_BATCH_ND", [0, 1, 2], [3]),
        operator(kind, [3, 4, 5], [6], window),
        operator("BATCH_TO_SPACE_ND", [6, 1, 7], [8]),
    ]
    network = agrees(tmp_path, write_tflite(tensors, operators, [0], [8]), random(*X), atol=1e-5)
    assert len(network.layer_names()) == 2


# ---- Refused files --------------------------------------------------------------------------------------------


def refusal(tmp_path: Path, content: bytes) -> str:
    path = tmp_path / "file.tflite"
    path.write_bytes(content)
    with pytest.raises(mpscnn.UnsupportedError) as refused:
        converters.read_network([path])
    return str(refused.value)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("LSTM", "recurrent layers"),
        ("UNIDIRECTIONAL_SEQUENCE_RNN", "recurrent layers"),
        ("WHILE", "control flow"),
        ("BATCH_TO_SPACE_ND", "it is supported only after a convolution"),
    ],
)
def test_refused_by_name(tmp_path: Path, kind: str, reason: str) -> None:
    assert f"layer 'y' ({kind}): {reason}" in refusal(tmp_path, one(kind, X))


@pytest.mark.parametrize("kind", ["RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"])
@pytest.mark.parametrize("size", [(9, 4), (4, 6)])
@pytest.mark.parametrize("aligned", [(), ("corners",), ("centers",), ("corners", "centers")])
def test_resizes(tmp_path: Path, kind: str, size: tuple[int, int], aligned: tuple[str, ...]) -> None:
    """TensorFlow refuses both alignments at once. LiteRT's kernel for the nearest pixel then moves the image."""
    first = 2 if kind == "RESIZE_BILINEAR" else 0
    options: list[Field] = [(first, "Bool", "corners" in aligned), (first + 1, "Bool", "centers" in aligned)]
    content = one(kind, (1, *size, 8), integers(*size), options=options)
    if len(aligned) < 2:
        agrees(tmp_path, content, random(*X))
    else:
        assert "contradict each other" in refusal(tmp_path, content)


def test_parts_that_are_refused(tmp_path: Path) -> None:
    assert "only around a convolution" in refusal(
        tmp_path, one("SPACE_TO_BATCH_ND", (4, 2, 3, 8), integers(2, 2), np.zeros((2, 2), np.int32))
    )
