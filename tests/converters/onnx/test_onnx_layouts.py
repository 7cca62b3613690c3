"""Test ONNX files with moved axes: layers read tensors in their order in memory, or axes are transposed."""

from __future__ import annotations

import numpy as np
import pytest
from converters.onnx_files import (
    IMAGE,
    assert_like_onnxruntime,
    convolution,
    model,
    node,
    nodes_of,
    operations,
    read,
    weights,
)

import mpscnn


def test_a_dense_layer_behind_an_image_reads_it_as_it_lies() -> None:
    made = model(
        [node("Flatten", ["x"], "f"), node("Gemm", ["f", "w", "b"], "g", transB=1), node("Relu", ["g"])],
        {"x": ["n", 3, 4, 5]},
        {"w": weights(7, 60), "b": weights(7)},
    )
    assert operations(assert_like_onnxruntime(made)) == ["fully_connected"]


def test_attention_of_channels_needs_no_reshape_but_those_of_vectors() -> None:
    """Test squeeze and excitation with dense layers."""
    made = model(
        nodes_of("""
            p = GlobalAveragePool(x); f = Flatten(p); m = MatMul(f, w); s = Sigmoid(m)
            u = Unsqueeze(s, axes); y = Mul(x, u)
        """),
        IMAGE,
        {"w": weights(6, 6), "axes": np.array([2, 3])},
    )
    assert operations(assert_like_onnxruntime(made)) == ["pooling", "fully_connected", "reshape", "multiply"]


def test_heads_of_detectors_are_joined_without_moving_anything() -> None:
    made = model(
        [
            convolution("a", "x", "a"),
            *nodes_of("at = Transpose<perm=[0, 2, 3, 1]>(a); ar = Reshape(at, shape)"),
            convolution("b", "x", "b", strides=[2, 2]),
            *nodes_of("""
                bt = Transpose<perm=[0, 2, 3, 1]>(b); bs = Shape(bt); n = Gather<axis=0>(bs, zero)
                nu = Unsqueeze(n, zeros); target = Concat<axis=0>(nu, rest); br = Reshape(bt, target)
                c = Concat<axis=1>(ar, br); y = Softmax<axis=2>(c)
            """),
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
        nodes_of("""
            r = Reshape(x, split); t = Transpose<perm=[0, 2, 1, 3, 4]>(r); j = Reshape(t, joined)
            y = Conv(j, w)
        """),
        {"x": [1, 6, 9, 8]},
        {"split": np.array([1, 2, 3, 9, 8]), "joined": np.array([1, -1, 9, 8]), "w": weights(5, 6, 3, 3)},
    )
    assert operations(assert_like_onnxruntime(made)) == ["convolution"]


def test_a_channel_shuffle_before_a_split_moves_channels() -> None:
    made = model(
        nodes_of("""
            r = Reshape(x, split); t = Transpose<perm=[0, 2, 1, 3, 4]>(r); j = Reshape(t, joined)
            a, b = Split<axis=1>(j); y = Sub(a, b)
        """),
        {"x": [1, 8, 3, 4]},
        {"split": np.array([1, 2, 4, 3, 4]), "joined": np.array([1, 8, 3, 4])},
    )
    assert operations(assert_like_onnxruntime(made)) == ["channel_shuffle", "slice", "slice", "subtract"]


@pytest.mark.parametrize(
    "perm", [[0, 1, 3, 4, 2], [0, 2, 3, 1, 4], [0, 4, 1, 2, 3], [0, 1, 4, 3, 2]], ids=str
)
def test_axes_of_large_tensors_change_places(perm: list[int]) -> None:
    """Heads of YOLO transpose (n, anchors, values, height, width) to (n, anchors, height, width, values)."""
    made = model(
        [
            *nodes_of("c = Conv<pads=[1, 1, 1, 1]>(x, w); r = Reshape(c, five)"),
            node("Transpose", ["r"], "t", perm=perm),
            node("Reshape", ["t", "three"]),
        ],
        {"x": ["n", 3, 12, 13]},
        {"w": weights(3 * 7, 3, 3, 3), "five": np.array([-1, 3, 7, 12, 13]), "three": np.array([0, 3, -1])},
    )
    assert_like_onnxruntime(made)


def test_a_pointwise_convolution_reads_pixels_in_any_order() -> None:
    """Heads of YOLO compute the expectation of a distribution by a pointwise convolution after a transposition."""
    made = model(
        nodes_of("""
            r = Reshape(x, split); t = Transpose<perm=[0, 2, 1, 3]>(r); s = Softmax<axis=1>(t)
            c = Conv(s, w); y = ReduceMax<axes=[1], keepdims=0>(c)
        """),
        {"x": ["n", 12, 20, 30]},
        {"split": np.array([0, 4, 3, 600]), "w": weights(1, 3, 1, 1)},
    )
    network = assert_like_onnxruntime(made)
    assert "convolution" in operations(network)


def test_a_batch_of_one_joins_on_the_axis_where_the_others_have_it() -> None:
    """A file may concatenate the steps and a mean of a sequence. A reshape has swapped the mean's axes of extent 1."""
    made = model(
        nodes_of("""
            t = Transpose<perm=[1, 0, 2]>(x); m = ReduceMean<axes=[1], keepdims=1>(x)
            r = Reshape(m, target); c = Concat<axis=0>(t, r); y = Transpose<perm=[1, 0, 2]>(c)
        """),
        {"x": [1, 5, 4]},
        {"target": np.array([1, 1, 4])},
    )
    assert_like_onnxruntime(made)


@pytest.mark.parametrize(("axis", "shape"), [(2, (5, 1, 0)), (0, (0, 1, 4))])
def test_an_empty_constant_beside_the_batch_is_refused(axis: int, shape: tuple[int, ...]) -> None:
    nodes = [
        node("Transpose", ["x"], "t", perm=[1, 0, 2]),
        node("Concat", ["t", "empty"], "c", axis=axis),
        node("Transpose", ["c"], perm=[1, 0, 2]),
    ]
    made = model(nodes, {"x": [1, 5, 4]}, {"empty": np.zeros(shape, np.float32)})
    with pytest.raises(mpscnn.UnsupportedError, match="its operand 'empty' is a constant of shape"):
        read(made)


def test_nhwc_files_keep_their_layout() -> None:
    made = model(
        nodes_of("""
            t = Transpose<perm=[0, 3, 1, 2]>(x); c = Conv<pads=[1, 1, 1, 1]>(t, w)
            y = Transpose<perm=[0, 2, 3, 1]>(c)
        """),
        {"x": ["n", 9, 8, 6]},
        {"w": weights(4, 6, 3, 3)},
    )
    network = assert_like_onnxruntime(made, nhwc=True, nchw_outputs=False)
    assert operations(network) == ["convolution"]
    assert network.input.shape == (None, 9, 8, 6)


@pytest.mark.parametrize("before", ["Pad<mode='reflect'>(x, pads)", "Clip(x, low)", "Max(x, low)", "Neg(x)"])
def test_operators_before_the_transposition_keep_the_layout(before: str) -> None:
    # Keras writes the border of a convolution before the transposition that shows the order of the axes.
    made = model(
        nodes_of(f"""
            p = {before.replace("'", '"')}; t = Transpose<perm=[0, 3, 1, 2]>(p); y = Conv(t, w)
        """),
        {"x": ["n", 9, 8, 6]},
        {"w": weights(4, 6, 3, 3), "pads": np.array([0, 1, 1, 0, 0, 1, 1, 0]), "low": np.float32(0.25)},
    )
    network = assert_like_onnxruntime(made, nhwc=True)
    assert network.input.shape == (None, 9, 8, 6)
    assert "transpose" not in operations(network)


def test_group_normalization_by_parts_is_one_layer() -> None:
    made = model(
        nodes_of("""
            r = Reshape(x, grouped); i = InstanceNormalization(r, one, zero); j = Reshape(i, image)
            m = Mul(j, scale); y = Add(m, offset)
        """),
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


@pytest.mark.parametrize(
    ("kind", "operands", "number", "layers"),
    [
        ("Mul", ("p", "number"), np.float32(0.3), 1),
        ("Mul", ("number", "p"), np.full(1, -0.3, np.float32), 1),
        ("Div", ("p", "number"), np.float32(8.0), 1),
        ("Mul", ("p", "number"), np.float32(1.5), 2),
        ("Div", ("number", "p"), np.float32(8.0), 2),
        ("Mul", ("p", "number"), weights(5), 2),
    ],
)
def test_a_factor_after_a_product_of_two_tensors_becomes_part_of_it(
    kind: str, operands: tuple[str, str], number: object, layers: int
) -> None:
    made = model(
        [node("MatMul", ["x", "z"], "p"), node(kind, list(operands))],
        {"x": [2, 4, 6], "z": [2, 6, 5]},
        {"number": number},
    )
    found = operations(assert_like_onnxruntime(made, tolerance=1e-5))
    assert len([one for one in found if one not in ("reshape", "constant")]) == layers


def test_a_factor_stays_apart_if_something_else_reads_the_product() -> None:
    made = model(
        [node("MatMul", ["x", "z"], "p"), node("Mul", ["p", "number"], "q"), node("Sub", ["p", "q"])],
        {"x": [2, 4, 6], "z": [2, 6, 5]},
        {"number": np.float32(0.3)},
    )
    assert "neuron" in operations(assert_like_onnxruntime(made))


@pytest.mark.parametrize("operands", [("x", "d"), ("d", "x")])
def test_a_residual_is_added_to_the_result_of_a_linear_layer_as_it_lies(operands: tuple[str, str]) -> None:
    made = model(
        [node("MatMul", ["x", "w"], "d"), node("Add", list(operands), "s"), node("MatMul", ["s", "w"])],
        {"x": ["n", 5, 6]},
        {"w": weights(6, 6)},
    )
    network = assert_like_onnxruntime(made)
    (addition,) = (one for one in network.to_dict()["nodes"] if one["operation"] == "add")
    makers = {one["name"]: one["operation"] for one in network.to_dict()["nodes"]}
    assert "convolution" in [makers.get(name) for name in addition["inputs"]]
