"""ONNX' layers with windows, functions and arithmetic give the results of onnxruntime."""

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

from mpscnn import onnx_backend
from mpscnn.errors import UnsupportedError, WeightsError


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
        attributes = attributes | {"strides": [1, 1]}  # with other strides onnxruntime differs from ONNX
    shape = (12, 6 // groups, 3, 2) if kind == "Conv" else (6, 12 // groups, 3, 2)
    made = model(
        [node(kind, ["x", "w", "b"], **attributes)], IMAGE, {"w": weights(*shape), "b": weights(12, seed=4)}
    )
    size = {"size": (9, 8)} if "auto_pad" in attributes else {}
    network = assert_like_onnxruntime(made, **size)
    assert operations(network) == ["convolution" if kind == "Conv" else "transposed_convolution"]


@pytest.mark.parametrize("automatic", ["SAME_UPPER", "SAME_LOWER"])
def test_transposed_convolutions_with_strides_above_their_kernel(automatic: str) -> None:
    """As in TensorFlow, the size is that of the image times the stride. Pixels that no window reaches come last."""
    weight = weights(6, 4, 2, 2)
    attributes = {"auto_pad": automatic, "strides": [3, 4]}
    made = model([node("ConvTranspose", ["x", "w"], **attributes)], {"x": ["n", 6, 5, 3]}, {"w": weight})
    network, feeds = read(made, size=(5, 3)), random_inputs(made)
    (found,) = run_here(network, list(feeds.values()))
    wanted = np.zeros((2, 5, 3, 3, 4, 4))
    wanted[:, :, :2, :, :2] = np.einsum("ncyx,cokl->nykxlo", feeds["x"], weight)
    np.testing.assert_allclose(found, wanted.reshape(2, 15, 12, 4), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "extra", [{"output_padding": [1, 0]}, {"output_shape": [18, 15]}, {"pads": [1, 0, 0, 1]}]
)
def test_transposed_convolutions_have_three_ways_to_say_their_size(extra: dict[str, Any]) -> None:
    made = model(
        [node("ConvTranspose", ["x", "w"], strides=[2, 2], **extra)], IMAGE, {"w": weights(6, 4, 3, 3)}
    )
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


@pytest.mark.parametrize("kind", ["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"])
def test_a_choice_by_a_comparison(kind: str) -> None:
    made = model(
        [
            *nodes_of("a = Round(x); b = Round(z)"),
            node(kind, ["a", "b"], "c"),
            *nodes_of("w = Where(c, x, z); f = Cast<to=1>(c); y = Add(w, f)"),
        ],
        {"x": ["n", 6, 9, 8], "z": ["n", 6, 1, 1]},
    )
    assert_like_onnxruntime(made)


def test_a_norm_that_is_repeated_before_the_division() -> None:
    """PyTorch's `normalize` is exported as a norm, an Expand of it to the shape of x, and a division."""
    made = model(
        nodes_of("""
            l = ReduceL2<axes=[1], keepdims=1>(x); c = Clip(l, least); s = Shape(x); e = Expand(c, s)
            y = Div(x, e)
        """),
        {"x": ["n", 12]},
        {"least": np.float32(1e-12)},
    )
    assert operations(assert_like_onnxruntime(made)) == ["layer_normalization"]


@pytest.mark.parametrize("kind", ["Add", "Max", "Pow", "Less", "Where"])
@pytest.mark.parametrize("other", ["c", "x", "e"])
def test_an_expand_counts_if_no_other_operand_has_its_shape(kind: str, other: str) -> None:
    operands = {"Where": f"b, e, {other}"}.get(kind, f"e, {other}")
    nodes = nodes_of(
        f"m = ReduceMax<axes=[1, 3]>(x); e = Expand(m, s); b = Less(m, c); r = {kind}({operands})"
    )
    made = model(
        [*nodes, node("Cast", ["r"], to=1)],
        {"x": [1, 1, 4, 1]},
        {"s": np.array([1, 3, 4, 2]), "c": [[[[0.25]]]]},
    )
    assert_like_onnxruntime(made)


@pytest.mark.parametrize("kind", ["Mul", "Sub"])
def test_products_of_a_tensor_and_itself_along_another_axis(kind: str) -> None:
    made = model(
        [*nodes_of("a = Unsqueeze(x, two); b = Unsqueeze(x, one)"), node(kind, ["a", "b"])],
        {"x": ["n", 5]},
        {"one": np.array([1]), "two": np.array([2])},
    )
    assert_like_onnxruntime(made)


@pytest.mark.parametrize("batch", [1, 2, "n"])
def test_batches_on_different_axes_do_not_meet(batch: int | str) -> None:
    """The product of (n, 6, 1, 6) and (n * 6, 6) has n * 6 rows, which belong to single images only if n is 1.

    If the file's batch is 2, its two images become one image with one more axis.
    """
    made = model([node("Flatten", ["x"], "f", axis=2), node("Mul", ["f", "x"])], {"x": [batch, 6, 1, 6]})
    if batch == "n":
        with pytest.raises(UnsupportedError, match="whose batches do not meet"):
            read(made)
    elif batch == 1:
        assert_like_onnxruntime(made)
    else:
        (x,) = random_inputs(made).values()
        found = read(made).compile(device="cpu", precision="float32").session().run(x[None])
        np.testing.assert_array_equal(np.asarray(found)[0], x.reshape(12, 6) * x)


def test_a_result_whose_first_axis_is_not_the_batch_gets_one() -> None:
    made = model(
        [node("Flatten", ["x"], "f"), node("Reshape", ["x", "s"], "r"), node("Add", ["f", "r"])],
        {"x": [1, 3, 2, 6]},
        {"s": np.array([12, 3, 1, 1])},
    )
    network = read(made)
    feeds = random_inputs(made)
    (found,), (wanted,) = run_here(network, list(feeds.values())), run_there(made, feeds)
    np.testing.assert_allclose(found, wanted[None], rtol=1e-5)
    assert network.notes == ["output 'y' gets an axis for the batch, which the file leaves out"]


@pytest.mark.parametrize(
    ("refused", "constants", "reason"),
    [
        (
            node("GridSample", ["x", "g"], mode="cubic"),
            {"g": np.zeros((1, 2, 2, 2), np.float32)},
            "its mode is 'cubic'; supported are bilinear, linear and nearest",
        ),
        *(
            (
                node(
                    "Resize", ["x", "r", "s"], mode=mode, coordinate_transformation_mode="tf_crop_and_resize"
                ),
                {
                    "r": np.array([0, 0, 0, 0, 1, 1, 1, 1], np.float32),
                    "s": np.array([1, 1, 2, 2], np.float32),
                },
                f"with the coordinates 'tf_crop_and_resize'; supported are align_corners, .* and {last}",
            )
            for mode, last in (
                ("cubic", "pytorch_half_pixel"),
                ("linear", "pytorch_half_pixel"),
                ("nearest", "tf_half_pixel_for_nn"),
            )
        ),
        *(
            (
                node("Resize", ["x", "", "s"], mode=mode, coordinate_transformation_mode="align_corners"),
                {"s": np.array([1, 1, 1.7, 0.6], np.float32)},
                "aligns corners by factors that do not give whole sizes",
            )
            for mode in ("cubic", "linear", "nearest")
        ),
    ],
    ids=lambda value: value.op_type if hasattr(value, "op_type") else "",
)
def test_refusals_say_which_settings_are_supported(
    refused: Any, constants: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UnsupportedError, match=reason):
        read(model([refused], {"x": [1, 3, 6, 6]}, constants, opset=20))


@pytest.mark.parametrize("scales", [[1, 1, 0.7, 1], [1, 1, 2, 0.75]])
def test_nearest_pixels_that_old_operators_leave_open_are_refused(scales: list[float]) -> None:
    """ONNX Runtime and PyTorch's exporter mean different pixels, unless the positions are whole numbers."""
    resize = node("Resize", ["x", "s"], mode="nearest")
    given = model([resize], {"x": [1, 3, 8, 8]}, {"s": np.array(scales, np.float32)}, opset=10)
    with pytest.raises(
        UnsupportedError, match="which pixels are the nearest: export the model with opset 11"
    ):
        read(given)


@pytest.mark.parametrize("policy", ["not_larger", "not_smaller"])
def test_a_resize_that_keeps_the_ratio(policy: str) -> None:
    """Without axes, ONNX scales the channels, too."""

    def resize(sizes: list[int], **attributes: Any) -> Any:
        made = node("Resize", ["x", "", "", "s"], keep_aspect_ratio_policy=policy, **attributes)
        return model([made], {"x": [1, 3, 8, 8]}, {"s": np.array(sizes)}, opset=18)

    assert_like_onnxruntime(resize([4, 16], axes=[2, 3]))
    with pytest.raises(UnsupportedError, match=r"along its batch or channels|by rounding its size up"):
        read(resize([1, 3, 4, 16]))


@pytest.mark.parametrize("sizes", [[1, 3, 0, 16], [1, 3, 8, -1]])
def test_a_resize_to_nothing(sizes: list[int]) -> None:
    made = node("Resize", ["x", "", "", "s"])
    with pytest.raises(WeightsError, match=r"damaged: resizes \(n, 3, 8, 8\) to the sizes"):
        read(model([made], {"x": [1, 3, 8, 8]}, {"s": np.array(sizes)}, opset=18))


@pytest.mark.parametrize(
    "kind", ["Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "SumSquare", "LogSum", "LogSumExp"]
)
@pytest.mark.parametrize("axes", [None, []], ids=["without axes", "empty axes"])
def test_a_reduction_over_no_axes_computes_its_function_of_each_element(
    kind: str, axes: list[int] | None
) -> None:
    constants = {} if axes is None else {"axes": np.array(axes, np.int64)}
    nodes = [
        node("Abs", ["x"], "positive"),
        node(f"Reduce{kind}", ["positive" if kind == "LogSum" else "x", *constants], noop_with_empty_axes=1),
    ]
    assert_like_onnxruntime(model(nodes, {"x": ["n", 3, 4, 5]}, constants, opset=18))


@pytest.mark.parametrize("mode", ["cubic", "linear", "nearest"])
def test_the_coordinates_that_a_refusal_names_are_supported(mode: str) -> None:
    def resize(coordinates: str) -> Any:
        attributes = {"mode": mode, "coordinate_transformation_mode": coordinates}
        return model(
            [node("Resize", ["x", "", "s"], **attributes)],
            {"x": [1, 3, 6, 6]},
            {"s": np.array([1, 1, 2, 2], np.float32)},
            opset=20,
        )

    with pytest.raises(UnsupportedError) as caught:
        read(resize("tf_crop_and_resize"))
    names = str(caught.value).rpartition("supported are ")[2].replace(" and ", ", ").split(", ")
    assert len(names) == 5
    for name in names:
        read(resize(name))


@pytest.mark.parametrize("diagonal", [None, 0, -1, 2, -9, 1 << 62, -1 << 63])
@pytest.mark.parametrize("upper", [0, 1])
@pytest.mark.parametrize("extents", [["n", 3, 4], ["n", 2, 4, 3], [1, 4], [3, 4]], ids=str)
def test_triangles(extents: list[Any], upper: int, diagonal: int | None) -> None:
    """Trilu replaces infinite elements, too. The rows of a matrix are no images."""
    constants = {} if diagonal is None else {"k": np.array(diagonal)}
    nodes = [*nodes_of("r = Relu(x); l = Log(r)"), node("Trilu", ["l", *constants], upper=upper)]
    made = model(nodes, {"x": extents}, constants)
    feeds = random_inputs(made)
    (result,) = onnx_backend.prepare(made).run([*feeds.values()])
    part = np.triu if upper else np.tril
    limited = min(max(diagonal or 0, -9), 9)
    with np.errstate(divide="ignore"):
        expected = part(np.log(np.maximum(feeds["x"], 0)), limited)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)


def test_triangles_of_a_free_number_of_rows_are_refused() -> None:
    with pytest.raises(UnsupportedError, match=r"takes a triangle of \(n, 4\), whose batch is free"):
        read(model([node("Trilu", ["x"])], {"x": ["n", 4]}))
    steps = nodes_of("s = ReduceSum(x, axes); k = Cast<to=7>(s); y = Trilu(x, k)")
    with pytest.raises(UnsupportedError, match="its diagonal"):
        read(model(steps, {"x": ["n", 3, 4]}, {"axes": np.array([1, 2])}))


@pytest.mark.parametrize(("opset", "stated"), [(2, {}), (13, {}), (18, {}), (18, {"num_outputs": 3})])
def test_parts_are_equal_unless_their_number_is_stated(opset: int, stated: dict[str, int]) -> None:
    """Only `num_outputs` of opset 18 allows a smaller last part."""

    def split(extent: int) -> Any:
        parts = node("Split", ["x"], ["a", "b", "y"], axis=1, **stated)
        return model(
            [parts, node("Neg", ["a"], "n")], {"x": ["n", extent, 4]}, outputs=["n", "y"], opset=opset
        )

    found = run_here(read(split(6)), [np.ones((2, 6, 4), np.float32)])
    assert [one.shape[1] for one in found] == [2, 2]
    if stated:
        assert_like_onnxruntime(split(7))
    else:
        with pytest.raises(WeightsError, match="into 3 equal parts, which its extent 7 does not allow"):
            read(split(7))
