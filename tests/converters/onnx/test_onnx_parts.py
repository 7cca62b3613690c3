"""Test ONNX' operators that cut and join tensors, reduce, pad, resize and normalize."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from converters.onnx_files import (
    IMAGE,
    assert_like_onnxruntime,
    model,
    node,
    nodes_of,
    operations,
    random_inputs,
    read,
    run_here,
    run_there,
    weights,
)

from mpscnn.errors import UnsupportedError


def test_norms_of_channels_of_other_orders_are_refused() -> None:
    with pytest.raises(
        UnsupportedError, match=r"\(GlobalLpPool\): a norm of order 3; supported are orders 1 and 2"
    ):
        read(model([node("GlobalLpPool", ["x"], p=3)], IMAGE))


def test_positions_in_a_table_become_axes() -> None:
    table = np.array([[5, 0, 0], [1, 4, 4]])
    made = model(
        [node("Gather", ["x", "i"], "g", axis=1), node("Reshape", ["g", "s"])],
        IMAGE,
        {"i": table, "s": np.array([0, 3, -1])},
    )
    assert operations(assert_like_onnxruntime(made)).count("gather") == 1
    vector = model([node("Gather", ["x", "i"], axis=-1)], {"x": ["n", 6]}, {"i": table})
    assert operations(assert_like_onnxruntime(vector)) == ["reshape", "gather", "reshape"]


#: Operators on x (1, 3, 4) and its matrix m (3, 4). Their axis 0 is a batch of 1, or has such a batch in it.
ALONG_A_BATCH_OF_1 = {
    "ArgMax": node("ArgMax", ["x"], "made", axis=0),
    "Concat": node("Concat", ["x", "x"], "made", axis=0),
    "Concat of rows": node("Concat", ["m", "m"], "made", axis=0),
    "CumSum": node("CumSum", ["m", "zero"], "made"),
    "Gemm": node("Gemm", ["m", "m"], "made", transB=1),
    "Gemm of transposed": node("Gemm", ["m", "m", "row"], "made", transA=1, alpha=0.5, beta=2.0),
    "Gemm of a constant": node("Gemm", ["square", "m"], "made"),
    "MatMul": node("MatMul", ["m", "turned"], "made"),
    "Tile": node("Tile", ["x", "times"], "made"),
    "TopK": node("TopK", ["m", "two"], ["made", "places"], axis=0),
}


@pytest.mark.parametrize("name", ALONG_A_BATCH_OF_1)
def test_the_axis_of_a_batch_of_1(name: str) -> None:
    nodes = [
        *nodes_of("m = Squeeze(x, first); turned = Transpose(m)"),
        ALONG_A_BATCH_OF_1[name],
        *nodes_of("floats = Cast<to=1>(made); y = Reshape(floats, flat)"),
    ]
    constants = {
        "first": np.array([0]),
        "zero": np.array(0),
        "two": np.array([2]),
        "times": np.array([2, 1, 1]),
    }
    constants |= {"flat": np.array([1, -1]), "row": weights(4), "square": weights(3, 3)}
    assert_like_onnxruntime(model(nodes, {"x": [1, 3, 4]}, constants))


def test_a_token_of_each_image_is_joined() -> None:
    """As PyTorch exports it, the token is a constant that is repeated for each image of a free batch."""
    made = model(
        nodes_of("""
            shape = Shape(x); n = Gather(shape, zero); all = Concat<axis=0>(n, rest)
            tokens = Expand(token, all); y = Concat<axis=1>(tokens, x)
        """),
        {"x": ["n", 5, 4]},
        {"zero": np.array([0]), "rest": np.array([1, 4]), "token": weights(1, 1, 4)},
    )
    assert operations(assert_like_onnxruntime(made)) == ["constant", "concatenation"]


def test_constants_are_outputs_if_they_are_the_same_for_each_image() -> None:
    nodes = [node("Identity", ["k"]), node("Relu", ["x"], "r")]
    made = model(nodes, {"x": [1, 4]}, {"k": weights(1, 3)}, outputs=("y", "r"))
    assert operations(assert_like_onnxruntime(made)) == ["neuron", "constant"]
    for shape in ((2, 3), (3,)):
        with pytest.raises(UnsupportedError, match=r"output 'y': .*constant of shape"):
            read(model(nodes, {"x": ["n", 4]}, {"k": weights(*shape)}, outputs=("y", "r")))


@pytest.mark.parametrize("kind", ["Add", "Sub", "Mul", "Div"])
@pytest.mark.parametrize("shape", [(2, 1100), (2, 1), (3, 1, 1100), (3, 2, 1100)], ids=str)
@pytest.mark.parametrize("constant_first", [False, True])
def test_constants_of_more_numbers_than_channels(
    kind: str, shape: tuple[int, ...], constant_first: bool
) -> None:
    """Most such constants, for example of a detector's cells, become separate tensors. No elements are moved."""
    for rank in (3, 4):
        given = {"x": ["n", *(3, 2, 1100)[4 - rank :]]}
        constant = np.abs(weights(*shape[max(len(shape) - rank + 1, 0) :])) + 1
        operands = [node("Abs", ["x"], "a"), node("Add", ["a", "one"], "b")]
        names = ["k", "b"] if constant_first else ["b", "k"]
        made = model([*operands, node(kind, names)], given, {"k": constant, "one": np.float32(1)})
        found = operations(assert_like_onnxruntime(made))
        assert "transpose" not in found
        # A constant divided by a tensor becomes a layer that keeps the signs of infinities.
        is_quotient = kind == "Div" and constant_first
        assert ("constant" in found) == (rank == 4 or shape != (3, 1, 1100) or is_quotient)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((2, 3, 5, 6), (6,)),
        ((6,), (2, 3, 6, 5)),
        ((2, 5, 6), (6,)),
        ((1, 5, 6), (6,)),
        ((6,), (6,)),
        ((2, 5, 6), (6, 4)),
        ((1, 5, 6), (3, 6, 4)),
    ],
)
def test_products_of_two_tensors_without_a_common_batch(
    first: tuple[int, ...], second: tuple[int, ...]
) -> None:
    """A vector or matrix is multiplied with each matrix of the other tensor."""
    made = model([node("MatMul", ["x", "v"])], {"x": list(first), "v": list(second)})
    network, feeds = read(made), random_inputs(made)
    given = [
        x.reshape(1, *tensor.shape[1:]) for tensor, x in zip(network.inputs, feeds.values(), strict=True)
    ]
    found = network.compile(device="cpu", precision="float32").session(threads=1).run(given)
    (wanted,) = run_there(made, feeds)
    np.testing.assert_allclose(np.reshape(found, wanted.shape), wanted, rtol=0, atol=1e-4)


def test_a_dense_layer_adds_a_tensor() -> None:
    """The layer's activation comes after the sum."""
    made = model(
        nodes_of("g = Gemm<transB=1, alpha=0.5, beta=2.0>(x, w, z); y = Relu(g)"),
        {"x": ["n", 4], "z": ["n", 5]},
        {"w": weights(5, 4)},
    )
    assert_like_onnxruntime(made)


def test_normalization_by_statistics_of_the_batch() -> None:
    made = model(
        [node("BatchNormalization", ["x", "g", "b", "m", "v"], ["y", "", ""], training_mode=1)],
        {"x": [2, 3, 4, 5]},
        {"g": weights(3), "b": weights(3), "m": weights(3), "v": np.ones(3)},
    )
    (x,) = random_inputs(made).values()
    ours = run_here(read(made), [x])[0].transpose(0, 3, 1, 2)
    assert operations(read(made)) == ["batch_statistics", "batch_normalization"]
    mean, variance = (one(axis=(0, 2, 3), keepdims=True) for one in (x.mean, x.var))
    expected = (x - mean) / np.sqrt(variance + 1e-5)
    expected = expected * weights(3)[:, None, None] + weights(3)[:, None, None]
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5)


def test_the_logarithm_of_a_sum_of_exponentials_of_large_numbers() -> None:
    nodes = [node("Mul", ["x", "factor"], "m"), node("ReduceLogSumExp", ["m"], axes=[1])]
    assert_like_onnxruntime(model(nodes, IMAGE, {"factor": np.float32(100)}))


def test_layer_normalization_of_channels_moves_nothing() -> None:
    made = model(
        nodes_of("""
            t = Transpose<perm=[0, 2, 3, 1]>(x); l = LayerNormalization(t, s, b)
            y = Transpose<perm=[0, 3, 1, 2]>(l)
        """),
        {"x": ["n", 6, 9, 8]},
        {"s": weights(6), "b": weights(6, seed=9)},
    )
    kinds = operations(assert_like_onnxruntime(made))
    assert not {"convolution", "reshape", "concatenation"} & set(kinds)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize("alignment", ["half_pixel", "asymmetric"])
@pytest.mark.parametrize("scale", [0.3, 0.7, 0.9, 1.3, 1.9, 1 / 3])
def test_resize_factors_are_the_fractions_that_float32_rounds(
    scale: float, alignment: str, mode: str
) -> None:
    """The float32 number next to 0.7 is below it. But 10 rows must become 7, not 6."""
    resize = node("Resize", ["x", "", "s"], mode=mode, coordinate_transformation_mode=alignment)
    given = model([resize], {"x": ["n", 3, 10, 30]}, {"s": np.array([1, 1, scale, scale], np.float32)})
    assert_like_onnxruntime(given)


@pytest.mark.parametrize(
    ("shape", "indices", "updates"),
    [
        ((1, 4, 5, 6), [[0, 1], [0, 3]], (2, 5, 6)),
        ((1, 4, 5), [[0, 3, 2], [0, 0, 4], [0, 1, 1]], (3,)),
        ((1, 4, 5), [[0, 3]], (1, 5)),
        ((1, 4, 5), [[[0, 3], [0, 1]], [[0, 0], [0, 2]]], (2, 2, 5)),
    ],
)
def test_constants_at_positions(shape: tuple[int, ...], indices: list[Any], updates: tuple[int, ...]) -> None:
    """The first axis of the constant counts positions: it is not the batch."""
    given = {"i": np.array(indices), "u": weights(*updates)}
    assert_like_onnxruntime(model([node("ScatterND", ["x", "i", "u"])], {"x": list(shape)}, given))


def test_constants_at_positions_of_several_images_are_refused() -> None:
    given = {"i": np.array([[0, 1], [1, 3]]), "u": weights(2, 5)}
    made = model([node("ScatterND", ["x", "i", "u"])], {"x": ["n", 4, 5]}, given)
    with pytest.raises(UnsupportedError, match=r"moves elements of \(n, 4, 5\), whose batch or size is free"):
        read(made)
