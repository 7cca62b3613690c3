"""Compare TensorFlow Lite files with LiteRT: moved axes, products of computed matrices, axes before the batch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.tflite.test_tflite_layers import agrees, integers, one, operator, random, refusal
from converters.tflite_writer import Field, Operator, Tensor, constant, write_tflite

from mpscnn import converters


class File:
    """A file that is being written. The result of each operator gets a number."""

    def __init__(self, *shapes: tuple[int, ...]) -> None:
        self.tensors = [Tensor(f"x{number}", shape) for number, shape in enumerate(shapes)]
        self.operators: list[Operator] = []
        self.inputs = list(range(len(shapes)))

    def constant(self, values: Any) -> int:
        kind = np.asarray(values).dtype.kind
        dtype = "int32" if kind == "i" else "float32"
        self.tensors.append(constant(f"constant{len(self.tensors)}", values, dtype))
        return len(self.tensors) - 1

    def add(
        self,
        kind: str,
        inputs: Sequence[int],
        shape: tuple[int, ...],
        options: Sequence[Field] = (),
        dtype: str = "float32",
    ) -> int:
        self.tensors.append(Tensor(f"{kind.lower()}{len(self.tensors)}", shape, dtype))
        self.operators.append(operator(kind, inputs, [len(self.tensors) - 1], options))
        return len(self.tensors) - 1

    def reshape(self, x: int, *shape: int) -> int:
        return self.add("RESHAPE", [x, self.constant(integers(*shape))], shape)

    def transpose(self, x: int, *order: int) -> int:
        shape = tuple(self.tensors[x].shape[axis] for axis in order)
        return self.add("TRANSPOSE", [x, self.constant(integers(*order))], shape)

    def content(self, *outputs: int) -> bytes:
        return write_tflite(self.tensors, self.operators, self.inputs, list(outputs))


@pytest.mark.parametrize(
    ("shape", "order"),
    [
        ((1, 4, 6, 8), (0, 2, 1, 3)),
        ((1, 4, 6, 8), (0, 3, 1, 2)),
        ((1, 4, 6, 8), (0, 3, 2, 1)),
        ((1, 5, 7), (0, 2, 1)),
        ((1, 2, 3, 4, 5), (0, 3, 1, 4, 2)),
        ((1, 2, 3, 4, 2, 2), (0, 5, 3, 1, 4, 2)),
    ],
)
def test_transpositions_move_elements(tmp_path: Path, shape: tuple[int, ...], order: tuple[int, ...]) -> None:
    made = File(shape)
    agrees(tmp_path, made.content(made.transpose(0, *order)), random(*shape))


def test_channel_shuffle(tmp_path: Path) -> None:
    made = File((1, 4, 5, 6))
    y = made.transpose(made.reshape(0, 1, 4, 5, 2, 3), 0, 1, 2, 4, 3)
    agrees(tmp_path, made.content(made.reshape(y, 1, 4, 5, 6)), random(1, 4, 5, 6))


@pytest.mark.parametrize("turned", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("leading", [(), (3,), (2, 3)])
def test_products(tmp_path: Path, turned: tuple[bool, bool], leading: tuple[int, ...]) -> None:
    shapes = [(4, 5), (5, 6)]
    shapes = [
        (1, *leading, *(shape[::-1] if turn else shape)) for shape, turn in zip(shapes, turned, strict=True)
    ]
    made = File(*shapes)
    options: list[Field] = [(0, "Bool", turned[0]), (1, "Bool", turned[1])]
    y = made.add("BATCH_MATMUL", [0, 1], (1, *leading, 4, 6), options)
    agrees(tmp_path, made.content(y), *(random(*shape, seed=i) for i, shape in enumerate(shapes)))


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("shape", [(5, 6), (1, 5, 6), (1, 3, 5, 6)])
def test_products_with_a_constant(tmp_path: Path, turned: bool, shape: tuple[int, ...]) -> None:
    made = File((1, 3, 4, 5))
    values = random(*shape, seed=1)
    weights = made.constant(np.swapaxes(values, -1, -2) if turned else values)
    y = made.add("BATCH_MATMUL", [0, weights], (1, 3, 4, 6), [(1, "Bool", turned)])
    if len(shape) == 3:  # LiteRT needs equal numbers of axes, or two axes
        made.tensors[weights].shape = (1, *made.tensors[weights].shape)
    agrees(tmp_path, made.content(y), random(1, 3, 4, 5))


def test_products_with_a_constant_first(tmp_path: Path) -> None:
    made = File((1, 3, 5, 6))
    y = made.add(
        "BATCH_MATMUL", [made.constant(random(1, 3, 4, 5, seed=1)), 0], (1, 3, 4, 6), [(0, "Bool", False)]
    )
    agrees(tmp_path, made.content(y), random(1, 3, 5, 6))


@pytest.mark.parametrize("keeps_batch", [True, False])
def test_attention(tmp_path: Path, keeps_batch: bool) -> None:
    """Test two heads of four features for five tokens, with and without an axis for the batch."""
    made = File((1, 5, 8))
    first = (1,) if keeps_batch else ()
    tokens = 0 if keeps_batch else made.reshape(0, 5, 8)
    heads = []
    for seed in range(3):
        weights = made.constant(random(8, 8, seed=seed) / 4)
        dense = made.add(
            "FULLY_CONNECTED",
            [tokens, weights, -1],
            (*first, 5, 8),
            [(0, "Int8", 0), (2, "Bool", keeps_batch)],
        )
        split = made.reshape(dense, *first, 5, 2, 4)
        heads.append(made.transpose(split, *((0, 2, 1, 3) if keeps_batch else (1, 0, 2))))
    scores = made.add("BATCH_MATMUL", heads[:2], (*first, 2, 5, 5), [(1, "Bool", True)])
    scaled = made.add("MUL", [scores, made.constant(np.float32(0.5))], (*first, 2, 5, 5))
    masked = made.add("ADD", [scaled, made.constant(random(1, 5, 5, seed=9))], (*first, 2, 5, 5))
    weights = made.add("SOFTMAX", [masked], (*first, 2, 5, 5), [(0, "Float32", 1.0)])
    mixed = made.add("BATCH_MATMUL", [weights, heads[2]], (*first, 2, 5, 4), [(1, "Bool", False)])
    joined = made.transpose(mixed, *((0, 2, 1, 3) if keeps_batch else (1, 0, 2)))
    agrees(tmp_path, made.content(made.reshape(joined, 1, 5, 8)), random(1, 5, 8), atol=1e-5)


def test_parts_of_axes_before_the_batch(tmp_path: Path) -> None:
    """One product gives queries, keys and values as (3, heads, tokens, features)."""
    made = File((1, 5, 24))
    apart = made.transpose(made.reshape(0, 1, 5, 3, 2, 4), 2, 0, 3, 1, 4)
    x = made.reshape(apart, 3, 2, 5, 4)
    parts = []
    for number in range(3):
        begin, end = made.constant(integers(number, 0, 0, 0)), made.constant(integers(number + 1, 2, 5, 4))
        step = made.constant(integers(1, 1, 1, 1))
        parts.append(
            made.add("STRIDED_SLICE", [x, begin, end, step], (2, 5, 4), [(0, "Int32", 0), (4, "Int32", 1)])
        )
    scores = made.add("BATCH_MATMUL", parts[:2], (2, 5, 5), [(1, "Bool", True)])
    mixed = made.add("BATCH_MATMUL", [scores, parts[2]], (2, 5, 4), [(1, "Bool", False)])
    both = made.add("CONCATENATION", [mixed, parts[0]], (4, 5, 4), [(0, "Int32", 0)])
    mean = made.add("MEAN", [both, made.constant(integers(0))], (5, 4), [(0, "Bool", False)])
    agrees(tmp_path, made.content(made.reshape(mean, 1, 5, 4)), random(1, 5, 24), atol=1e-5)


@pytest.mark.parametrize("axis", [1, 2, 3, -1])
@pytest.mark.parametrize("places", [[2, 0, 1, 1], [3, 2, 1, 0], [1], [[0, 1], [3, 1]], 2])
def test_gather(tmp_path: Path, axis: int, places: Any) -> None:
    table = np.array(places, np.int32)
    shape = (1, 4, 5, 6)
    result = np.take(np.zeros(shape), table, axis).shape
    content = one("GATHER", result, table, shape=shape, options=[(0, "Int32", axis)])
    agrees(tmp_path, content, random(*shape))


@pytest.mark.parametrize("axis", [1, 2, -1])
def test_reverse(tmp_path: Path, axis: int) -> None:
    agrees(tmp_path, one("REVERSE_V2", (1, 4, 6, 8), integers(axis)), random(1, 4, 6, 8))


def test_tile_and_broadcast(tmp_path: Path) -> None:
    agrees(tmp_path, one("TILE", (1, 8, 6, 24), integers(1, 2, 1, 3)), random(1, 4, 6, 8))
    made = File((1, 4, 1, 8))
    y = made.add("BROADCAST_TO", [0, made.constant(integers(1, 4, 6, 8))], (1, 4, 6, 8))
    made.operators[0].version = 2
    agrees(tmp_path, made.content(y), random(1, 4, 1, 8))


@pytest.mark.parametrize("shapes", [((1, 2, 4, 5), (1, 1, 5, 6)), ((1, 1, 3, 4, 5), (1, 2, 3, 5, 6))])
def test_matrices_that_are_repeated(tmp_path: Path, shapes: tuple[tuple[int, ...], ...]) -> None:
    made = File(*shapes)
    result = np.broadcast_shapes(*(shape[:-2] for shape in shapes))
    y = made.add("BATCH_MATMUL", [0, 1], (*result, shapes[0][-2], 6), [(0, "Bool", False)])
    agrees(tmp_path, made.content(y), *(random(*shape, seed=i) for i, shape in enumerate(shapes)), atol=1e-5)


@pytest.mark.parametrize("turned", [(False, True), (True, False)])
def test_products_of_plain_matrices(tmp_path: Path, turned: tuple[bool, bool]) -> None:
    made = File((1, 5, 4), (1, 5, 4))
    options: list[Field] = [(0, "Bool", turned[0]), (1, "Bool", turned[1])]
    size = 4 if turned[0] else 5
    y = made.add("BATCH_MATMUL", [made.reshape(0, 5, 4), made.reshape(1, 5, 4)], (size, size), options)
    agrees(tmp_path, made.content(made.reshape(y, 1, size, size)), random(1, 5, 4), random(1, 5, 4, seed=1))


@pytest.mark.parametrize("keeps", [False, True])
def test_dense_layers_with_computed_weights(tmp_path: Path, keeps: bool) -> None:
    made = File((1, 7, 4), (1, 5, 4))
    weights = made.reshape(1, 5, 4)
    result = (1, 7, 5) if keeps else (7, 5)
    y = made.add("FULLY_CONNECTED", [0, weights, -1], result, [(0, "Int8", 0), (2, "Bool", keeps)])
    y = y if keeps else made.reshape(y, 1, 7, 5)
    agrees(tmp_path, made.content(y), random(1, 7, 4), random(1, 5, 4, seed=1), atol=1e-5)


def test_matrices_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    made = File((1, 2, 4, 5), (1, 3, 5, 6))
    content = made.content(made.add("BATCH_MATMUL", [0, 1], (1, 2, 4, 6), [(0, "Bool", False)]))
    message = refusal(tmp_path, content)
    assert (
        "(BATCH_MATMUL): multiplies (n, 2, 4, 5) and (n, 3, 5, 6); supported are as many matrices" in message
    )


def test_a_first_axis_that_moves_is_no_batch(tmp_path: Path) -> None:
    made = File((2, 3, 4))
    path = tmp_path / "file.tflite"
    path.write_bytes(made.content(made.transpose(0, 1, 0, 2)))
    network = converters.read_network([path])
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    found = network.compile(device="cpu").session().run(x[None])
    np.testing.assert_array_equal(found, x.transpose(1, 0, 2)[None])
