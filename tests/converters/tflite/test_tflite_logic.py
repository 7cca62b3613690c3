"""Compare TensorFlow Lite's comparisons, choices and positions of extrema with LiteRT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.tflite.test_tflite_attention import File
from converters.tflite.test_tflite_layers import X, agrees, integers, one, random, refusal
from converters.tflite_writer import Field, constant, write_tflite

import mpscnn
from mpscnn import converters

COMPARISONS = ["EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "NOT_EQUAL"]


def whole(*shape: int, seed: int = 0) -> Any:
    """Return numbers, many of which are equal."""
    return np.random.default_rng(seed).integers(-2, 3, shape).astype(np.float32)


def numbers_of(made: File, x: int) -> int:
    return made.add("CAST", [x], made.tensors[x].shape)


@pytest.mark.parametrize("kind", COMPARISONS)
@pytest.mark.parametrize(
    "constant", [whole(), whole(8), whole(1, 4, 6, 1), whole(1, 4, 6, 8), None], ids=np.shape
)
def test_comparisons(tmp_path: Path, kind: str, constant: Any) -> None:
    made = File(X) if constant is not None else File(X, X)
    other = made.constant(constant) if constant is not None else 1
    made_of = [0, other] if kind != "LESS" else [other, 0]
    content = made.content(numbers_of(made, made.add(kind, made_of, X, dtype="bool")))
    agrees(tmp_path, content, *(whole(*X, seed=i + 1) for i in range(len(made.inputs))))


@pytest.mark.parametrize("constants", [(False, False), (True, False), (False, True), (True, True)])
def test_choices_with_constants(tmp_path: Path, constants: tuple[bool, bool]) -> None:
    made = File(X)
    condition = made.add("GREATER", [0, made.constant(np.float32(0.25))], X, dtype="bool")
    choices = [made.constant(random(8, seed=i)) if fixed else 0 for i, fixed in enumerate(constants)]
    agrees(tmp_path, made.content(made.add("SELECT_V2", [condition, *choices], X)), random(*X))


def test_choices_by_a_constant(tmp_path: Path) -> None:
    made = File(X, X)
    chosen = np.random.default_rng(3).integers(0, 2, X).astype(bool)
    made.tensors.append(constant("chosen", chosen, "bool"))
    y = made.add("SELECT_V2", [2, 0, 1], X)
    agrees(tmp_path, made.content(y), random(*X), random(*X, seed=1))


def test_places_are_compared(tmp_path: Path) -> None:
    made = File(X)
    places = made.add("ARG_MAX", [0, made.constant(integers(3))], X[:3], [(0, "Int8", 2)], dtype="int32")
    equal = made.add("EQUAL", [places, made.constant(np.int32(3))], X[:3], dtype="bool")
    agrees(tmp_path, made.content(numbers_of(made, equal)), random(*X))


def test_integers_that_floats_do_not_have(tmp_path: Path) -> None:
    made = File(X)
    places = made.add("ARG_MAX", [0, made.constant(integers(3))], X[:3], [(0, "Int8", 2)], dtype="int32")
    equal = made.add("EQUAL", [places, made.constant(np.int32(2**24 + 1))], X[:3], dtype="bool")
    assert "integers that float32 does not have" in refusal(tmp_path, made.content(equal))


def test_junctions(tmp_path: Path) -> None:
    made = File(X, X)
    first, second = (
        made.add("GREATER", [x, made.constant(np.float32(0.0))], X, dtype="bool") for x in (0, 1)
    )
    both = made.add("LOGICAL_AND", [first, second], X, dtype="bool")
    either = made.add("LOGICAL_OR", [first, second], X, dtype="bool")
    none = made.add("LOGICAL_NOT", [either], X, dtype="bool")
    content = made.content(*(numbers_of(made, x) for x in (both, either, none)))
    agrees(tmp_path, content, random(*X), random(*X, seed=1))


@pytest.mark.parametrize("kind", ["REDUCE_ANY", "REDUCE_ALL"])
@pytest.mark.parametrize("axes", [(1, 2), (3,), (2, -1)])
def test_reductions_of_booleans(tmp_path: Path, kind: str, axes: tuple[int, ...]) -> None:
    made = File(X)
    shape = np.zeros(X).sum(axes).shape
    compared = made.add("GREATER", [0, made.constant(np.float32(-1.2))], X, dtype="bool")
    y = made.add(kind, [compared, made.constant(integers(*axes))], shape, [(0, "Bool", False)], dtype="bool")
    agrees(tmp_path, made.content(numbers_of(made, y)), random(*X))


@pytest.mark.parametrize("kind", ["ARG_MAX", "ARG_MIN"])
@pytest.mark.parametrize("axis", [1, 2, 3, -1])
def test_places(tmp_path: Path, kind: str, axis: int) -> None:
    made = File(X)
    shape = tuple(np.delete(X, axis))
    y = made.add(kind, [0, made.constant(integers(axis))], shape, [(0, "Int8", 2)], dtype="int32")
    agrees(tmp_path, made.content(numbers_of(made, y)), random(*X))


@pytest.mark.parametrize("shape", [(1, 4, 6), (1, 2, 3, 4, 6)])
def test_places_of_what_is_no_image_are_the_result(tmp_path: Path, shape: tuple[int, ...]) -> None:
    made = File(shape)
    y = made.add("ARG_MAX", [0, made.constant(integers(-1))], shape[:-1], [(0, "Int8", 2)], dtype="int32")
    agrees(tmp_path, made.content(y), random(*shape))


def test_places_that_are_read_and_returned(tmp_path: Path) -> None:
    """An ARG_MAX that another operator reads stays, also if it is a result of the file."""
    made = File(X)
    places = made.add("ARG_MAX", [0, made.constant(integers(3))], X[:3], [(0, "Int8", 2)], dtype="int32")
    agrees(tmp_path, made.content(numbers_of(made, places), places), random(*X))


def test_places_of_64_bits_become_narrower(tmp_path: Path) -> None:
    made = File(X)
    places = made.add("ARG_MAX", [0, made.constant(integers(3))], X[:3], [(0, "Int8", 4)], dtype="int64")
    shape = (1, X[1] * X[2])
    flat = made.add("RESHAPE", [places, made.constant(integers(*shape))], shape, dtype="int64")
    narrow = made.add("CAST", [flat], shape, dtype="int32")
    agrees(tmp_path, made.content(numbers_of(made, narrow)), random(*X))


def test_other_integers_of_64_bits_do_not_become_narrower(tmp_path: Path) -> None:
    made = File(X)
    places = made.add("ARG_MAX", [0, made.constant(integers(3))], X[:3], [(0, "Int8", 4)], dtype="int64")
    bytes_of_places = made.add("CAST", [places], X[:3], dtype="int8")
    assert "makes int8 of int64 numbers" in refusal(tmp_path, made.content(bytes_of_places))
    doubled = made.add("ADD", [places, places], X[:3], dtype="int64")
    narrow = made.add("CAST", [doubled], X[:3], dtype="int32")
    assert "makes int32 of int64 numbers" in refusal(tmp_path, made.content(narrow))


@pytest.mark.parametrize(
    ("exclusive", "backwards"), [(False, False), (True, False), (False, True), (True, True)]
)
@pytest.mark.parametrize("axis", [1, 2, -1])
def test_running_sums(tmp_path: Path, axis: int, exclusive: bool, backwards: bool) -> None:
    options: list[Field] = [(0, "Bool", exclusive), (1, "Bool", backwards)]
    agrees(tmp_path, one("CUMSUM", X, integers(axis)[0], options=options), random(*X), atol=1e-5)


@pytest.mark.parametrize("axis", [1, 2, -1])
def test_places_as_ones_among_zeros(tmp_path: Path, axis: int) -> None:
    made = File(X)
    places = made.add("ARG_MAX", [0, made.constant(integers(3))], X[:3], [(0, "Int8", 2)], dtype="int32")
    numbers = [made.constant(number) for number in (np.int32(8), np.float32(2.5), np.float32(-1))]
    shape = list(X[:3])
    shape.insert(axis if axis > 0 else 3, 8)
    y = made.add("ONE_HOT", [places, *numbers], tuple(shape), [(0, "Int32", axis)])
    agrees(tmp_path, made.content(y), random(*X))


@pytest.mark.parametrize(("padding", "strides"), [(0, (2, 2)), (1, (2, 1)), (0, (1, 1))])
def test_pooling_by_the_norm(tmp_path: Path, padding: int, strides: tuple[int, int]) -> None:
    size = (2, 3)
    valid = [(extent - tap) // stride + 1 for extent, tap, stride in zip(X[1:3], size, strides, strict=True)]
    same = [-(-extent // stride) for extent, stride in zip(X[1:3], strides, strict=True)]
    options: list[Field] = [(0, "Int8", padding), (1, "Int32", strides[1]), (2, "Int32", strides[0])]
    options += [(3, "Int32", size[1]), (4, "Int32", size[0])]
    content = one("L2_POOL_2D", (1, *(valid if padding else same), 8), options=options)
    agrees(tmp_path, content, random(*X))


@pytest.mark.parametrize("fixed", [False, True])
def test_quotients_without_remainder(tmp_path: Path, fixed: bool) -> None:
    made = File(X) if fixed else File(X, X)
    other = made.constant(np.float32(0.3)) if fixed else 1
    y = made.add("FLOOR_DIV", [0, other], X)
    made.operators[0].version = 2
    agrees(tmp_path, made.content(y), *(random(*X, seed=i) for i in range(len(made.inputs))))


@pytest.mark.parametrize(("low", "high", "bits"), [(-1.0, 1.0, 8), (0.0, 6.0, 8), (-0.7, 1.1, 4)])
def test_rounding_of_training(tmp_path: Path, low: float, high: float, bits: int) -> None:
    options: list[Field] = [(0, "Float32", low), (1, "Float32", high), (2, "Int32", bits)]
    agrees(tmp_path, one("FAKE_QUANT", X, options=options), random(*X), atol=1e-5)


@pytest.mark.parametrize(
    ("low", "high"), [(0.5, 1.0), (1.0, -1.0), (float("nan"), 1.0), (-1.0, float("inf"))]
)
def test_limits_that_do_not_fit(tmp_path: Path, low: float, high: float) -> None:
    path = tmp_path / "file.tflite"
    options: list[Field] = [(0, "Float32", low), (1, "Float32", high), (2, "Int32", 8)]
    path.write_bytes(one("FAKE_QUANT", X, options=options))
    with pytest.raises(mpscnn.WeightsError, match="damaged: its limits are"):
        converters.read_network([path])


def test_constants_that_are_computed(tmp_path: Path) -> None:
    """Test zeros with a tensor's shape, and a tensor that is filled with a number."""
    made = File(X)
    zeros = made.add("ZEROS_LIKE", [0], X)
    ones = made.add("FILL", [made.constant(integers(*X)), made.constant(np.float32(1.5))], X)
    sums = made.add("ADD", [made.add("ADD", [0, zeros], X), ones], X)
    agrees(tmp_path, made.content(sums), random(*X))


def test_integers_that_are_computed_with_are_refused(tmp_path: Path) -> None:
    made = File(X)
    places = made.add("ARG_MAX", [0, made.constant(integers(3))], (1, 4, 6), dtype="int32")
    y = made.add("DIV", [places, made.constant(integers(2))], (1, 4, 6), dtype="int32")
    content = write_tflite(made.tensors, made.operators, [0], [y])
    assert "(DIV): computes with int32 numbers" in refusal(tmp_path, content)
