"""ONNX models become networks that give what onnxruntime gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call
from converters.onnx_files import (
    assert_like_onnxruntime,
    model,
    node,
    onnx,
    operations,
    random_inputs,
    read,
    run_here,
    run_there,
    weights,
)
from converters.test_onnx_export import LAYERS, network_of

import mpscnn
from mpscnn.converters import read_network
from mpscnn.converters.onnx_writer.export import to_onnx
from mpscnn.errors import ParameterError, UnsupportedError

IMAGE = {"x": ["n", 6, 9, 8]}


def convolution(name: str, x: str, y: str, **attributes: Any) -> Any:
    return node("Conv", [x, f"{name}.weight", f"{name}.bias"], y, **attributes)


# ---- Layers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"pads": [1, 1, 1, 1], "strides": [2, 2]},
        {"pads": [0, 2, 1, 0], "dilations": [2, 1]},
        {"auto_pad": "SAME_UPPER", "strides": [2, 3]},
        {"auto_pad": "SAME_LOWER", "strides": [2, 3]},
        {"auto_pad": "VALID"},
        {"group": 3},
        {"group": 6, "pads": [1, 1, 1, 1]},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["Conv", "ConvTranspose"])
def test_convolutions(kind: str, attributes: dict[str, Any]) -> None:
    groups = attributes.get("group", 1)
    if kind == "ConvTranspose" and "auto_pad" in attributes:
        attributes = attributes | {"strides": [1, 1]}  # with others onnxruntime's rule is not ONNX' own
    shape = (12, 6 // groups, 3, 2) if kind == "Conv" else (6, 12 // groups, 3, 2)
    made = model(
        [node(kind, ["x", "w", "b"], **attributes)], IMAGE, {"w": weights(*shape), "b": weights(12, seed=4)}
    )
    size = {"size": (9, 8)} if "auto_pad" in attributes else {}
    network = assert_like_onnxruntime(made, **size)
    assert operations(network) == ["convolution" if kind == "Conv" else "transposed_convolution"]


@pytest.mark.parametrize(
    "extra", [{"output_padding": [1, 0]}, {"output_shape": [18, 15]}, {"pads": [1, 0, 0, 1]}]
)
def test_transposed_convolutions_have_three_ways_to_say_their_size(extra: dict[str, Any]) -> None:
    made = model(
        [node("ConvTranspose", ["x", "w"], strides=[2, 2], **extra)], IMAGE, {"w": weights(6, 4, 3, 3)}
    )
    assert_like_onnxruntime(made)


def test_rows_are_images_of_height_one() -> None:
    made = model(
        [
            node("Conv", ["x", "w", "b"], "c", pads=[1, 1], strides=[2]),
            node("Relu", ["c"], "r"),
            node("MaxPool", ["r"], "p", kernel_shape=[2]),
            node("GlobalAveragePool", ["p"], "y"),
        ],
        {"x": [1, 4, 20]},
        {"w": weights(8, 4, 3), "b": weights(8)},
    )
    network = read(made)
    feeds = random_inputs(made)
    ours = run_here(network, [feeds["x"]])
    np.testing.assert_allclose(ours[0].reshape(8), run_there(made, feeds)[0].reshape(8), rtol=1e-5)


@pytest.mark.parametrize(
    "attributes",
    [
        {"kernel_shape": [3, 2]},
        {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [2, 2]},
        {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1},
        {"kernel_shape": [2, 2], "auto_pad": "SAME_UPPER", "strides": [2, 2]},
        {"kernel_shape": [2, 2], "auto_pad": "SAME_LOWER"},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool", "counting AveragePool"])
def test_poolings(kind: str, attributes: dict[str, Any]) -> None:
    counting = {"count_include_pad": 1} if kind.startswith("counting") else {}
    made = model([node(kind.split()[-1], ["x"], **attributes, **counting)], {"x": ["n", 3, 9, 8]})
    assert operations(assert_like_onnxruntime(made)) == ["pooling"]


UNARY: dict[str, dict[str, Any]] = {
    "Abs": {},
    "Elu": {"alpha": 0.7},
    "Exp": {},
    "Gelu": {},
    "HardSigmoid": {"alpha": 0.3, "beta": 0.4},
    "HardSwish": {},
    "LeakyRelu": {"alpha": 0.2},
    "Mish": {},
    "Neg": {},
    "Reciprocal": {},
    "Relu": {},
    "Selu": {},
    "Sigmoid": {},
    "Softplus": {},
    "Softsign": {},
    "Tanh": {},
}


@pytest.mark.parametrize("kind", UNARY)
def test_functions_of_each_element(kind: str) -> None:
    made = model([node(kind, ["x"], **UNARY[kind])], {"x": ["n", 3, 4, 5]}, opset=20)
    network = assert_like_onnxruntime(made)
    assert "reshape" not in operations(network)


@pytest.mark.parametrize("kind", ["Sqrt", "Log"])
def test_functions_of_positive_numbers(kind: str) -> None:
    made = model([node("Abs", ["x"], "a"), node(kind, ["a"])], {"x": ["n", 3, 4, 5]})
    assert_like_onnxruntime(made)


@pytest.mark.parametrize("limits", [(0.0, 6.0), (-1.0, 1.0), (None, 0.5), (-0.5, None), (0.0, None)], ids=str)
@pytest.mark.parametrize("opset", [7, 17])
def test_limits(limits: tuple[float | None, float | None], opset: int) -> None:
    named = {name: value for name, value in zip(("min", "max"), limits, strict=True) if value is not None}
    if opset < 11:
        made = model([node("Clip", ["x"], **named)], {"x": ["n", 3, 4, 5]}, opset=opset)
    else:
        inputs = ["x", *(name if name in named else "" for name in ("min", "max"))]
        made = model(
            [node("Clip", inputs)],
            {"x": ["n", 3, 4, 5]},
            {name: np.float32(value) for name, value in named.items()},
        )
    assert_like_onnxruntime(made)


def test_slopes_of_each_channel() -> None:
    made = model([node("PRelu", ["x", "s"])], IMAGE, {"s": weights(6, 1, 1)})
    assert operations(assert_like_onnxruntime(made)) == ["neuron"]


@pytest.mark.parametrize("shape", [(), (1,), (6, 1, 1), (1, 6, 1, 1), (8,), (9, 1), (6, 9, 8)], ids=str)
@pytest.mark.parametrize("kind", ["Add", "Sub", "Mul", "Div"])
@pytest.mark.parametrize("constant_first", [False, True])
def test_arithmetic_with_constants(kind: str, shape: tuple[int, ...], constant_first: bool) -> None:
    constant = weights(*shape) if shape else np.float32(1.5)
    constant = np.where(np.abs(constant) < 0.1, np.float32(0.5), constant)
    names = ["c", "x"] if constant_first else ["x", "c"]
    made = model([node(kind, names)], {"x": ["n", 6, 9, 8]}, {"c": constant})
    assert_like_onnxruntime(made, **({"size": (9, 8)} if shape else {}))


@pytest.mark.parametrize("other", [(6, 9, 8), (6, 1, 1), (1, 9, 8), (1, 1, 8), (1, 1, 1)], ids=str)
@pytest.mark.parametrize("kind", ["Add", "Sub", "Mul", "Div"])
def test_arithmetic_of_two_tensors(kind: str, other: tuple[int, ...]) -> None:
    made = model([node(kind, ["x", "z"])], {"x": ["n", 6, 9, 8], "z": ["n", *other]})
    assert operations(assert_like_onnxruntime(made)) == [
        {"Add": "add", "Sub": "subtract", "Mul": "multiply", "Div": "divide"}[kind]
    ]


def test_both_operands_may_be_repeated() -> None:
    made = model([node("Mul", ["x", "z"])], {"x": ["n", 6, 1, 1], "z": ["n", 1, 9, 8]})
    assert_like_onnxruntime(made)


def test_the_smaller_and_the_power_of_two_tensors() -> None:
    for kind, layer in (("Min", "minimum"), ("Pow", "power")):
        made = model(
            [node("Exp", ["x"], "e"), node(kind, ["e", "z"])], {"x": ["n", 6, 9, 8], "z": ["n", 6, 1, 1]}
        )
        assert operations(assert_like_onnxruntime(made)) == ["neuron", layer]


@pytest.mark.parametrize("kind", ["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"])
def test_a_choice_by_a_comparison(kind: str) -> None:
    made = model(
        [
            node("Round", ["x"], "a"),
            node("Round", ["z"], "b"),
            node(kind, ["a", "b"], "c"),
            node("Where", ["c", "x", "z"], "w"),
            node("Cast", ["c"], "f", to=1),
            node("Add", ["w", "f"]),
        ],
        {"x": ["n", 6, 9, 8], "z": ["n", 6, 1, 1]},
    )
    assert_like_onnxruntime(made)


@pytest.mark.parametrize("shape", [(), (6, 1, 1), (9, 8)], ids=str)
def test_choices_by_and_of_constants(shape: tuple[int, ...]) -> None:
    constant = weights(*shape) if shape else np.float32(0.25)
    made = model(
        [
            node("Greater", ["x", "k"], "a"),
            node("Less", ["one", "x"], "b"),
            node("Or", ["a", "b"], "o"),
            node("Not", ["o"], "n"),
            node("Cast", ["x"], "t", to=9),
            node("And", ["n", "t"], "c"),
            node("Where", ["c", "x", "k"]),
        ],
        {"x": [2, 6, 9, 8]},
        {"k": constant, "one": np.float32(1.0)},
    )
    assert_like_onnxruntime(made)


@pytest.mark.parametrize("order", [1, 2])
def test_vectors_of_length_one(order: int) -> None:
    made = model([node("LpNormalization", ["x"], axis=1, p=order)], IMAGE)
    assert_like_onnxruntime(made)


def test_a_norm_that_is_repeated_before_the_division() -> None:
    """What PyTorch's normalize becomes."""
    made = model(
        [
            node("ReduceL2", ["x"], "l", axes=[1], keepdims=1),
            node("Clip", ["l", "least"], "c"),
            node("Shape", ["x"], "s"),
            node("Expand", ["c", "s"], "e"),
            node("Div", ["x", "e"]),
        ],
        {"x": ["n", 12]},
        {"least": np.float32(1e-12)},
    )
    assert "divide" in operations(assert_like_onnxruntime(made))


@pytest.mark.parametrize("kind", ["Mul", "Sub"])
def test_products_of_a_tensor_and_itself_along_another_axis(kind: str) -> None:
    made = model(
        [
            node("Unsqueeze", ["x", "two"], "a"),
            node("Unsqueeze", ["x", "one"], "b"),
            node(kind, ["a", "b"]),
        ],
        {"x": ["n", 5]},
        {"one": np.array([1]), "two": np.array([2])},
    )
    assert_like_onnxruntime(made)


@pytest.mark.parametrize("batch", [1, 2])
def test_batches_on_different_axes_do_not_meet(batch: int) -> None:
    """(n, 6, 1, 6) and (n * 6, 6), whose product has n * 6 rows: only for one image it is one of each image."""
    made = model([node("Flatten", ["x"], "f", axis=2), node("Mul", ["f", "x"])], {"x": [batch, 6, 1, 6]})
    if batch == 1:
        assert_like_onnxruntime(made)
    else:
        with pytest.raises(UnsupportedError, match="whose batches do not meet"):
            read(made)


def test_a_result_whose_first_axis_is_not_the_batch_is_refused() -> None:
    made = model(
        [node("Flatten", ["x"], "f"), node("Reshape", ["x", "s"], "r"), node("Add", ["f", "r"])],
        {"x": [1, 3, 2, 6]},
        {"s": np.array([12, 3, 1, 1])},
    )
    with pytest.raises(UnsupportedError, match="its first axis is not the batch"):
        read(made)


def test_a_tensor_and_its_transposition_are_joined() -> None:
    made = model(
        [node("Transpose", ["x"], "t", perm=[0, 2, 1]), node("Concat", ["x", "t"], axis=2)],
        {"x": ["n", 5, 5]},
    )
    assert_like_onnxruntime(made)


def test_powers_maxima_and_minima_with_a_number() -> None:
    for kind, number in (("Pow", 2.0), ("Pow", 3.0), ("Max", 0.25), ("Min", -0.5)):
        assert_like_onnxruntime(
            model([node(kind, ["x", "c"])], {"x": ["n", 3, 4, 5]}, {"c": np.float32(number)})
        )


# ---- Layouts -------------------------------------------------------------------------------------------------------


def test_a_dense_layer_behind_an_image_reads_it_as_it_lies() -> None:
    made = model(
        [node("Flatten", ["x"], "f"), node("Gemm", ["f", "w", "b"], "g", transB=1), node("Relu", ["g"])],
        {"x": ["n", 3, 4, 5]},
        {"w": weights(7, 60), "b": weights(7)},
    )
    assert operations(assert_like_onnxruntime(made)) == ["fully_connected"]


def test_attention_of_channels_needs_no_reshape_but_those_of_vectors() -> None:
    """Squeeze and excitation with dense layers."""
    made = model(
        [
            node("GlobalAveragePool", ["x"], "p"),
            node("Flatten", ["p"], "f"),
            node("MatMul", ["f", "w"], "m"),
            node("Sigmoid", ["m"], "s"),
            node("Unsqueeze", ["s", "axes"], "u"),
            node("Mul", ["x", "u"]),
        ],
        IMAGE,
        {"w": weights(6, 6), "axes": np.array([2, 3])},
    )
    assert operations(assert_like_onnxruntime(made)) == [
        "pooling",
        "fully_connected",
        "reshape",
        "multiply",
    ]


def test_heads_of_detectors_are_joined_without_moving_anything() -> None:
    made = model(
        [
            convolution("a", "x", "a"),
            node("Transpose", ["a"], "at", perm=[0, 2, 3, 1]),
            node("Reshape", ["at", "shape"], "ar"),
            convolution("b", "x", "b", strides=[2, 2]),
            node("Transpose", ["b"], "bt", perm=[0, 2, 3, 1]),
            node("Shape", ["bt"], "bs"),
            node("Gather", ["bs", "zero"], "n", axis=0),
            node("Unsqueeze", ["n", "zeros"], "nu"),
            node("Concat", ["nu", "rest"], "target", axis=0),
            node("Reshape", ["bt", "target"], "br"),
            node("Concat", ["ar", "br"], "c", axis=1),
            node("Softmax", ["c"], axis=2),
        ],
        {"x": ["n", 6, 9, 8]},
        {
            **{f"{name}.weight": weights(8, 6, 3, 3) for name in "ab"},
            **{f"{name}.bias": weights(8) for name in "ab"},
            "shape": np.array([0, -1, 4]),
            "zero": np.array(0),
            "zeros": np.array([0]),
            "rest": np.array([-1, 4]),
        },
    )
    network = assert_like_onnxruntime(made)
    assert sorted(operations(network)) == ["concatenation", *["convolution"] * 2, *["reshape"] * 2, "softmax"]


def test_a_channel_shuffle_is_absorbed_by_the_convolution_behind_it() -> None:
    made = model(
        [
            node("Reshape", ["x", "split"], "r"),
            node("Transpose", ["r"], "t", perm=[0, 2, 1, 3, 4]),
            node("Reshape", ["t", "joined"], "j"),
            node("Conv", ["j", "w"]),
        ],
        {"x": [1, 6, 9, 8]},
        {"split": np.array([1, 2, 3, 9, 8]), "joined": np.array([1, -1, 9, 8]), "w": weights(5, 6, 3, 3)},
    )
    assert operations(assert_like_onnxruntime(made)) == ["convolution"]


def test_a_channel_shuffle_before_a_split_moves_channels() -> None:
    made = model(
        [
            node("Reshape", ["x", "split"], "r"),
            node("Transpose", ["r"], "t", perm=[0, 2, 1, 3, 4]),
            node("Reshape", ["t", "joined"], "j"),
            node("Split", ["j"], ["a", "b"], axis=1),
            node("Sub", ["a", "b"]),
        ],
        {"x": [1, 8, 3, 4]},
        {"split": np.array([1, 2, 4, 3, 4]), "joined": np.array([1, 8, 3, 4])},
    )
    assert operations(assert_like_onnxruntime(made)) == ["channel_shuffle", "slice", "slice", "subtract"]


@pytest.mark.parametrize(
    "perm", [[0, 1, 3, 4, 2], [0, 2, 3, 1, 4], [0, 4, 1, 2, 3], [0, 1, 4, 3, 2]], ids=str
)
def test_axes_of_large_tensors_change_places(perm: list[int]) -> None:
    """Heads of YOLO: (n, anchors, values, height, width) become (n, anchors, height, width, values)."""
    made = model(
        [
            node("Conv", ["x", "w"], "c", pads=[1, 1, 1, 1]),
            node("Reshape", ["c", "five"], "r"),
            node("Transpose", ["r"], "t", perm=perm),
            node("Reshape", ["t", "three"]),
        ],
        {"x": ["n", 3, 12, 13]},
        {"w": weights(3 * 7, 3, 3, 3), "five": np.array([-1, 3, 7, 12, 13]), "three": np.array([0, 3, -1])},
    )
    assert_like_onnxruntime(made)


def test_a_pointwise_convolution_reads_pixels_in_any_order() -> None:
    """The expected value of a distribution in heads of YOLO."""
    made = model(
        [
            node("Reshape", ["x", "split"], "r"),
            node("Transpose", ["r"], "t", perm=[0, 2, 1, 3]),
            node("Softmax", ["t"], "s", axis=1),
            node("Conv", ["s", "w"], "c"),
            node("ReduceMax", ["c"], axes=[1], keepdims=0),
        ],
        {"x": ["n", 12, 20, 30]},
        {"split": np.array([0, 4, 3, 600]), "w": weights(1, 3, 1, 1)},
    )
    network = assert_like_onnxruntime(made)
    assert "convolution" in operations(network)


def test_nhwc_files_keep_their_layout() -> None:
    made = model(
        [
            node("Transpose", ["x"], "t", perm=[0, 3, 1, 2]),
            node("Conv", ["t", "w"], "c", pads=[1, 1, 1, 1]),
            node("Transpose", ["c"], perm=[0, 2, 3, 1]),
        ],
        {"x": ["n", 9, 8, 6]},
        {"w": weights(4, 6, 3, 3)},
    )
    network = assert_like_onnxruntime(made, nhwc=True, nchw_outputs=False)
    assert operations(network) == ["convolution"]
    assert network.input.shape == (None, 9, 8, 6)


def test_group_normalization_by_parts_is_one_layer() -> None:
    made = model(
        [
            node("Reshape", ["x", "grouped"], "r"),
            node("InstanceNormalization", ["r", "one", "zero"], "i"),
            node("Reshape", ["i", "image"], "j"),
            node("Mul", ["j", "scale"], "m"),
            node("Add", ["m", "offset"]),
        ],
        {"x": [1, 6, 9, 8]},
        {
            "grouped": np.array([0, 3, -1]),
            "one": np.ones(3),
            "zero": np.zeros(3),
            "image": np.array([1, 6, 9, 8]),
            "scale": weights(6, 1, 1),
            "offset": weights(6, 1, 1, seed=8),
        },
    )
    network = assert_like_onnxruntime(made, tolerance=1e-4)
    assert operations(network).count("group_normalization") == 1


# ---- Parts, sums, borders ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_parts_of_every_axis(axis: int) -> None:
    made = model(
        [node("Slice", ["x", "starts", "ends", "axes", "steps"])],
        {"x": ["n", 6, 9, 8]},
        {"starts": np.array([1]), "ends": np.array([-1]), "axes": np.array([axis]), "steps": np.array([2])},
    )
    assert_like_onnxruntime(made)


@pytest.mark.parametrize("axis", [1, 2, 3])
@pytest.mark.parametrize("positions", [[0, 0, 1, 2, 4, 4], [3], [4, 3, 2], [1, 3], [-1, 0]], ids=str)
def test_positions_of_every_axis(axis: int, positions: list[int]) -> None:
    made = model([node("Gather", ["x", "p"], axis=axis)], {"x": ["n", 5, 6, 7]}, {"p": np.array(positions)})
    assert_like_onnxruntime(made)


@pytest.mark.parametrize("axis", [1, 2, 3])
@pytest.mark.parametrize(("start", "end", "step"), [(-1, -100, -1), (4, 0, -2), (0, 100, 3)])
def test_steps_of_every_axis(axis: int, start: int, end: int, step: int) -> None:
    limits = {"s": np.array([start]), "e": np.array([end]), "a": np.array([axis]), "d": np.array([step])}
    made = assert_like_onnxruntime(model([node("Slice", ["x", "s", "e", "a", "d"])], IMAGE, limits))
    assert operations(made)[-1] == "slice"


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


@pytest.mark.parametrize("repeats", [(1, 1, 1, 3), (1, 2, 3, 1), (1, 1, 2, 2)], ids=str)
@pytest.mark.parametrize("pooled", [False, True])
def test_tensors_are_repeated(repeats: tuple[int, ...], pooled: bool) -> None:
    before = [node("GlobalMaxPool", ["x"], "p")] if pooled else []
    made = model([*before, node("Tile", ["p" if pooled else "x", "r"])], IMAGE, {"r": np.array(repeats)})
    assert_like_onnxruntime(made)
    if pooled:
        expanded = np.array([1, 6, *repeats[2:]])
        assert_like_onnxruntime(model([*before, node("Expand", ["p", "r"])], IMAGE, {"r": expanded}))


def test_a_token_of_each_image_is_joined() -> None:
    """As PyTorch exports it: a constant that is repeated as often as the batch, which is free."""
    made = model(
        [
            node("Shape", ["x"], "shape"),
            node("Gather", ["shape", "zero"], "n"),
            node("Concat", ["n", "rest"], "all", axis=0),
            node("Expand", ["token", "all"], "tokens"),
            node("Concat", ["tokens", "x"], axis=1),
        ],
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


@pytest.mark.parametrize("kind", ["Add", "Mul", "Pow", "Max", "Min", "Greater"])
@pytest.mark.parametrize("shape", [(8,), (6, 1, 1), (1, 6, 9, 8)], ids=str)
def test_constants_of_many_numbers(kind: str, shape: tuple[int, ...]) -> None:
    """Also those that repeat the value."""
    cast = [node("Cast", ["b"], to=1)] if kind == "Greater" else []
    name = "b" if cast else "y"
    for before in ([], [node("ReduceMax", ["x"], "p", axes=[1, 3])]):
        x = "p" if before else "x"
        whole = [node("Abs", [x], "abs"), node(kind, ["abs", "k"], name), *cast]
        assert_like_onnxruntime(model([*before, *whole], IMAGE, {"k": weights(*shape)}))


@pytest.mark.parametrize("shape", [(8,), (6, 9, 8), (9, 1)], ids=str)
def test_slopes_of_other_axes(shape: tuple[int, ...]) -> None:
    assert_like_onnxruntime(model([node("PRelu", ["x", "s"])], IMAGE, {"s": weights(*shape)}))


def test_a_product_with_a_constant_first() -> None:
    made = model([node("MatMul", ["w", "x"])], {"x": ["n", 5, 4]}, {"w": weights(3, 5)})
    assert operations(assert_like_onnxruntime(made)).count("matrix_product") == 1


def test_a_dense_layer_adds_a_tensor() -> None:
    """Its activation comes behind the sum."""
    made = model(
        [
            node("Gemm", ["x", "w", "z"], "g", transB=1, alpha=0.5, beta=2.0),
            node("Relu", ["g"]),
        ],
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


@pytest.mark.parametrize("axis", [1, 2, -1])
def test_splits_and_joins_along_every_axis(axis: int) -> None:
    made = model(
        [
            node("Split", ["x", "parts"], ["a", "b"], axis=axis),
            node("Concat", ["b", "a"], axis=axis),
        ],
        {"x": ["n", 6, 7, 8]},
        {"parts": np.array([2, {1: 4, 2: 5, -1: 6}[axis]])},
    )
    assert_like_onnxruntime(made)


@pytest.mark.parametrize("kind", ["ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL2"])
@pytest.mark.parametrize("axes", [[2, 3], [1], [3], [1, 2, 3], [1, 3]], ids=str)
@pytest.mark.parametrize("keep", [0, 1])
def test_reductions(kind: str, axes: list[int], keep: int) -> None:
    if kind == "ReduceSum":
        made = model([node(kind, ["x", "a"], keepdims=keep)], {"x": ["n", 6, 9, 8]}, {"a": np.array(axes)})
    else:
        made = model([node(kind, ["x"], axes=axes, keepdims=keep)], {"x": ["n", 6, 9, 8]})
    assert_like_onnxruntime(made)


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge"])
def test_borders(mode: str) -> None:
    made = model([node("Pad", ["x", "p"], mode=mode)], IMAGE, {"p": np.array([0, 0, 1, 2, 0, 0, 0, 3])})
    assert operations(assert_like_onnxruntime(made)) == ["padding"]


def test_a_border_of_zeros_belongs_to_the_convolution() -> None:
    made = model(
        [node("Pad", ["x", "p"], "b"), node("Conv", ["b", "w"], pads=[1, 0, 0, 1], strides=[2, 2])],
        IMAGE,
        {"p": np.array([0, 0, 0, 1, 0, 0, 2, 1]), "w": weights(4, 6, 3, 3)},
    )
    assert operations(assert_like_onnxruntime(made)) == ["convolution"]


@pytest.mark.parametrize(
    "attributes",
    [
        {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
        {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
        {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"},
        {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
        {"mode": "linear", "coordinate_transformation_mode": "asymmetric"},
    ],
    ids=str,
)
@pytest.mark.parametrize("by", ["scales", "sizes"])
def test_resizes(attributes: dict[str, Any], by: str) -> None:
    constants = {
        "scales": np.array([1, 1, 2, 3], np.float32),
        "sizes": np.array([2, 3, 10, 12]),
    }
    inputs = ["x", "", "scales"] if by == "scales" else ["x", "", "", "sizes"]
    made = model([node("Resize", inputs, **attributes)], {"x": [2, 3, 5, 4]}, {by: constants[by]})
    assert_like_onnxruntime(made)


@pytest.mark.parametrize("size", [(10, 12), (7, 9), (3, 2), (1, 1)], ids=str)
@pytest.mark.parametrize("rounding", ["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"])
@pytest.mark.parametrize(
    "coordinates", ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_half_pixel_for_nn"]
)
def test_nearest_pixels(coordinates: str, rounding: str, size: tuple[int, int]) -> None:
    attributes = {"coordinate_transformation_mode": coordinates, "nearest_mode": rounding}
    made = model(
        [node("Resize", ["x", "", "", "sizes"], mode="nearest", **attributes)],
        {"x": [2, 3, 5, 4]},
        {"sizes": np.array([2, 3, *size])},
    )
    assert_like_onnxruntime(made)


def test_blocks_of_pixels_become_channels() -> None:
    made = model(
        [node("SpaceToDepth", ["x"], "d", blocksize=2), node("Conv", ["d", "w"])],
        {"x": ["n", 3, 64, 96]},
        {"w": weights(4, 12, 3, 3)},
    )
    assert_like_onnxruntime(made)


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_channels_become_pixels(mode: str) -> None:
    made = model([node("DepthToSpace", ["x"], blocksize=2, mode=mode)], {"x": ["n", 12, 3, 5]})
    assert_like_onnxruntime(made)


def test_normalizations() -> None:
    channels = {name: weights(6, seed=place) for place, name in enumerate("gbm")} | {
        "v": weights(6) ** 2 + 0.5
    }
    assert_like_onnxruntime(model([node("BatchNormalization", ["x", *"gbmv"])], IMAGE, channels))
    assert_like_onnxruntime(
        model([node("InstanceNormalization", ["x", "g", "b"])], IMAGE, channels), tolerance=1e-4
    )
    assert_like_onnxruntime(model([node("LRN", ["x"], size=3, alpha=0.1)], IMAGE))
    assert_like_onnxruntime(model([node("LogSoftmax", ["x"], axis=1)], IMAGE))
    assert_like_onnxruntime(model([node("Softmax", ["x"], axis=1)], IMAGE))


@pytest.mark.parametrize("axis", [-1, 2])
def test_layer_normalization(axis: int) -> None:
    shape = (8,) if axis == -1 else (9, 8)
    made = model(
        [node("LayerNormalization", ["x", "s", "b"], axis=axis, epsilon=0.01)],
        {"x": ["n", 6, 9, 8]},
        {"s": weights(*shape), "b": weights(*shape, seed=9)},
    )
    assert_like_onnxruntime(made, size=(9, 8))


def test_layer_normalization_of_channels_moves_nothing() -> None:
    made = model(
        [
            node("Transpose", ["x"], "t", perm=[0, 2, 3, 1]),
            node("LayerNormalization", ["t", "s", "b"], "l"),
            node("Transpose", ["l"], perm=[0, 3, 1, 2]),
        ],
        {"x": ["n", 6, 9, 8]},
        {"s": weights(6), "b": weights(6, seed=9)},
    )
    kinds = operations(assert_like_onnxruntime(made))
    assert not {"convolution", "reshape", "concatenation"} & set(kinds)


def test_the_largest_channel() -> None:
    made = model([node("ArgMax", ["x"], axis=1, keepdims=0)], {"x": ["n", 6, 9, 8]})
    assert_like_onnxruntime(made)


# ---- Whole files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["", "_simplified", "_without_postprocessing"])
def test_ultraface(shared: Path, form: str) -> None:
    path = shared / f"models/ultraface/version-slim-320{form}.onnx"
    assert_like_onnxruntime(onnx.load(path), nchw_outputs=False)
    network = read_network([path])
    assert [output.shape for output in network.outputs] == [(None, 4420, 2), (None, 4420, 4)]


def small_network() -> mpscnn.Network:
    network = mpscnn.Network(input=(16, 12, 3), name="small")
    x = network.conv2d(network.input, 8, 3, strides=2, padding=1, activation="relu6", name="first")
    y = network.depthwise_conv2d(x, 3, padding=1, activation="relu", name="depthwise")
    x = network.add(x, network.conv2d(y, 8, 1, name="pointwise"), name="sum")
    x = network.concat([x, network.average_pool2d(x, 1, name="pool")], name="both")
    x = network.global_average_pool2d(x, name="mean")
    network.output(network.softmax(network.dense(x, 5, name="classes"), name="probabilities"))
    network.initialize_weights(4)
    return network


@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
def test_an_exported_network_comes_back_as_it_was(layout: str) -> None:
    network = small_network()
    back = read(to_onnx(network, layout=layout))
    again = read(to_onnx(back, layout=layout))
    x = np.random.default_rng(0).uniform(-1, 1, (2, 16, 12, 3)).astype(np.float32)
    results = [
        one.compile(device="cpu", precision="float32").session(threads=1).run(x)
        for one in (network, back, again)
    ]
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[1], results[2])
    assert operations(back) == operations(network)
    assert back.to_dict()["nodes"] == again.to_dict()["nodes"]
    for name, values in network.weights.items():
        assert np.array_equal(values.ravel(), back.weights[name].ravel()), name


# What the writer expresses by operators that have other meanings than ours in general.
NOT_READ_BACK = {"batch normalization by statistics": "statistics of the batch"}
# Whether images are NHWC or NCHW is seen by the transpositions at inputs and outputs; these have their own there.
AMBIGUOUS = {"transpose of an image", "transpose, cyclic"}


@pytest.mark.parametrize("layer", [layer for layer in LAYERS if layer not in AMBIGUOUS])
def test_every_layer_comes_back(layer: str) -> None:
    network = network_of(LAYERS[layer])
    if layer in NOT_READ_BACK:
        with pytest.raises(UnsupportedError):
            read(to_onnx(network))
        return
    x = [
        np.random.default_rng(1).uniform(-2, 2, (2, *one.shape[1:])).astype(np.float32)
        for one in network.inputs
    ]
    results = []
    for one in (network, read(to_onnx(network)), read(to_onnx(network, layout="nchw"))):
        made = one.compile(device="cpu", precision="float32").session(threads=1).run(x)
        results.append(list(made.values()) if isinstance(made, dict) else [made])
    for original, *back in zip(*results, strict=True):
        for other in back:
            assert other.shape == original.shape
            scale = max(1.0, float(np.abs(original[np.isfinite(original)]).max(initial=0.0)))
            np.testing.assert_allclose(other, original, rtol=0, atol=1e-4 * scale)


# ---- What a caller says --------------------------------------------------------------------------------------------


def free_size() -> Any:
    return model(
        [node("Conv", ["x", "w"], "c"), node("Flatten", ["c"], "f"), node("MatMul", ["f", "m"])],
        {"x": ["n", 3, "h", "w"]},
        {"w": weights(2, 3, 3, 3), "m": weights(2 * 4 * 6, 5)},
    )


def test_a_free_size_can_be_chosen_in_two_ways() -> None:
    made = free_size()
    assert read(made, size=(6, 8)).outputs[0].shape == (None, 5)
    assert read(made, shapes={"x": (1, 3, 6, 8)}).outputs[0].shape == (None, 5)
    with pytest.raises(UnsupportedError, match="--size"):
        read(made)
    with pytest.raises(ParameterError, match=r"x.* has the shape \(None, 3, None, None\).*\(1, 4, 6, 8\)"):
        read(made, shapes={"x": (1, 4, 6, 8)})
    with pytest.raises(ParameterError, match="no input 'z'; its inputs are 'x'"):
        read(made, shapes={"z": (1, 4, 6, 8)})


def test_a_convolution_keeps_a_free_size() -> None:
    made = model([node("Conv", ["x", "w"])], {"x": ["n", 3, "h", "w"]}, {"w": weights(2, 3, 3, 3)})
    assert read(made).input.shape == (None, None, None, 3)


def test_conversion_stops_at_named_outputs() -> None:
    made = model(
        [node("Relu", ["x"], "r"), node("Neg", ["r"], "n"), node("Cos", ["n"])],
        {"x": ["n", 3, 4, 5]},
    )
    with pytest.raises(UnsupportedError, match="'y'"):
        read(made)
    network = read(made, outputs=["n", "r"])
    assert [output.name for output in network.outputs] == ["n", "r"]
    with pytest.raises(ParameterError, match="no tensor 'nothing'"):
        read(made, outputs=["nothing"])


def test_a_report_lists_what_cannot_be_converted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = model(
        [node("Cos", ["x"], "a"), node("Relu", ["a"], "r"), node("Det", ["r"])],
        {"x": ["n", 3, 4, 4]},
    )
    path, report = tmp_path / "model.onnx", tmp_path / "report.tsv"
    onnx.save(made, path)
    assert call(monkeypatch, "convert", str(path), "--report", str(report)) == 0
    header, first, second, count = report.read_text("utf-8").splitlines()
    assert header == "node\toperator\treason\twhat to do"
    assert first.split("\t")[:2] == ["a", "Cos"]
    assert second.split("\t")[:3] == ["y", "Det", "mpscnn has no such layer yet"]
    assert count == "# 2 layers cannot be converted"
    assert call(monkeypatch, "convert", str(path), "--report", "-") == 0
    assert "Cos" in capsys.readouterr().out
    assert call(monkeypatch, "convert", str(path), str(tmp_path / "out.safetensors"), "--shape", "x") != 0


def test_a_file_is_converted_by_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, result = tmp_path / "model.onnx", tmp_path / "model.safetensors"
    onnx.save(free_size(), path)
    assert call(monkeypatch, "convert", str(path), str(result), "--shape", "x=1x3x6x8", "--no-check") == 0
    stored = mpscnn.load(result, device="cpu").network
    assert json.loads(json.dumps(stored.to_dict()["inputs"]))[0]["shape"][1:] == [6, 8, 3]


def test_a_border_of_nothing_belongs_to_the_maximum() -> None:
    made = model(
        [node("Pad", ["x", "p", "v"], "b"), node("MaxPool", ["b"], kernel_shape=[3, 3], strides=[2, 2])],
        IMAGE,
        {"p": np.array([0, 0, 1, 0, 0, 0, 1, 2]), "v": np.float32(-np.inf)},
    )
    assert operations(assert_like_onnxruntime(made)) == ["pooling"]


def test_integers_without_negative_numbers_are_a_relu() -> None:
    """As quantised files have it; the results differ by the rounding to integers only."""
    made = model(
        [
            node("Conv", ["x", "w"], "c"),
            node("QuantizeLinear", ["c", "s", "z"], "q"),
            node("DequantizeLinear", ["q", "s", "z"]),
        ],
        {"x": [1, 3, 6, 6]},
        {"w": weights(2, 3, 3, 3), "s": np.float32(0.05), "z": np.uint8(0)},
    )
    feeds = random_inputs(made)
    ours = run_here(read(made), [feeds["x"]])[0].transpose(0, 3, 1, 2)
    np.testing.assert_allclose(ours, run_there(made, feeds)[0], rtol=0, atol=0.0251)
    assert ours.min() == 0.0


def test_a_border_that_is_cut_off_is_not_the_padding_of_a_convolution() -> None:
    made = model(
        [node("Pad", ["x", "p"], "b"), node("Conv", ["b", "w"], pads=[1, 1, 1, 1])],
        IMAGE,
        {"p": np.array([0, 0, -1, 0, 0, 0, 0, -2]), "w": weights(4, 6, 3, 3)},
    )
    assert operations(assert_like_onnxruntime(made)) == ["padding", "convolution"]


def test_a_detector_ends_at_what_its_suppression_reads() -> None:
    """The heads stay raw, and the conversion says so."""
    made = model(
        [
            node("Conv", ["x", "w"], "c"),
            node("Transpose", ["c"], "t", perm=[0, 2, 3, 1]),
            node("Reshape", ["t", "four"], "boxes"),
            node("Conv", ["x", "v"], "d"),
            node("Reshape", ["d", "flat"], "r"),
            node("Sigmoid", ["r"], "scores"),
            node("NonMaxSuppression", ["boxes", "scores", "most", "iou"], "selected"),
            node("Gather", ["selected", "last"], "g", axis=1),
            node("GlobalMaxPool", ["d"], "whole"),
        ],
        {"x": [1, 3, 6, 6]},
        {
            "w": weights(8, 3, 3, 3),
            "v": weights(4, 3, 3, 3),
            "four": np.array([1, -1, 4]),
            "flat": np.array([1, 2, -1]),
            "most": np.array([10]),
            "iou": np.array([0.5], np.float32),
            "last": np.array([2]),
        },
        outputs=("g", "whole"),
    )
    network = read(made)
    assert [output.shape for output in network.outputs] == [(None, 1, 1, 4), (None, 32, 4), (None, 2, 32)]
    assert "NonMaxSuppression" in network.notes[0]
    assert "'boxes', 'scores'" in network.notes[0]


def test_quantised_weights_and_pairs_around_activations() -> None:
    made = model(
        [
            node("DequantizeLinear", ["w", "s", "z"], "wf", axis=0),
            node("QuantizeLinear", ["x", "xs", "xz"], "q"),
            node("DequantizeLinear", ["q", "xs", "xz"], "d"),
            node("Conv", ["d", "wf"]),
        ],
        {"x": ["n", 3, 6, 6]},
        {
            "w": np.arange(-27, 27, dtype=np.int8).reshape(2, 3, 3, 3),
            "s": np.array([0.5, 0.25]),
            "z": np.array([0, 3], np.int8),
            "xs": np.float32(0.1),
            "xz": np.uint8(128),
        },
    )
    network = read(made)
    assert operations(network) == ["neuron", "convolution"]
    assert "not quantised any more" in network.notes[0]
    expected = (np.arange(-27, 27).reshape(2, 27) - [[0], [3]]) * [[0.5], [0.25]]
    stored = next(iter(network.weights.values()))
    (limits,) = [
        layer["attributes"] for layer in network.to_dict()["nodes"] if layer["operation"] == "neuron"
    ]
    assert (limits["a"], limits["b"]) == pytest.approx((-12.8, 12.7))
    np.testing.assert_array_equal(stored.transpose(0, 3, 1, 2).reshape(2, 27), expected.astype(np.float32))
