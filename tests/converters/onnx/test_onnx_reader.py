"""ONNX models become networks that give the results of onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call
from converters.onnx_files import (
    IMAGE,
    assert_like_onnxruntime,
    model,
    node,
    nodes_of,
    onnx,
    operations,
    random_inputs,
    read,
    run_here,
    run_there,
    weights,
)
from converters.onnx_writer.test_onnx_export import LAYERS, network_of

import mpscnn
from mpscnn.converters.writing.onnx.export import to_onnx
from mpscnn.errors import ParameterError, UnsupportedError

# Layers that are written with operators that the reader does not understand in general.
NOT_READ_BACK = {"batch normalization by statistics": "statistics of the batch"}
# The reader tells NHWC from NCHW by transpositions at inputs and outputs. This layer is a transposition itself.
AMBIGUOUS = {"transpose, cyclic"}


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


# ---- Choices of the caller -----------------------------------------------------------------------------------------


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


def test_free_channels_are_chosen_by_a_shape() -> None:
    made = model([node("Relu", ["x"])], {"x": ["n", "c", "h", "w"]})
    with pytest.raises(mpscnn.UnsupportedError, match="may be free: choose a shape with --shape"):
        read(made)
    assert read(made, shapes={"x": (1, 3, 5, 7)}).input.shape == (None, 5, 7, 3)


def test_conversion_stops_at_named_outputs() -> None:
    made = model(
        [node("Relu", ["x"], "r"), node("Neg", ["r"], "n"), node("Unique", ["n"])], {"x": ["n", 3, 4, 5]}
    )
    with pytest.raises(UnsupportedError, match="'y'"):
        read(made)
    network = read(made, outputs=["n", "r"])
    assert [output.name for output in network.outputs] == ["n", "r"]
    with pytest.raises(ParameterError, match="no tensor 'nothing'"):
        read(made, outputs=["nothing"])


def test_a_report_lists_what_cannot_be_converted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = model(
        [node("Unique", ["x"], "a"), node("Relu", ["a"], "r"), node("Det", ["r"])], {"x": ["n", 3, 4, 4]}
    )
    path, report = tmp_path / "model.onnx", tmp_path / "report.tsv"
    onnx.save(made, path)
    assert call("convert", str(path), "--report", str(report)) == 0
    header, first, second, count = report.read_text("utf-8").splitlines()
    assert header == "node\toperator\treason\twhat to do"
    assert first.split("\t")[:2] == ["a", "Unique"]
    assert second.split("\t")[:3] == ["y", "Det", "mpscnn has no such layer yet"]
    assert count == "# 2 layers cannot be converted"
    assert call("convert", str(path), "--report", "-") == 0
    assert "Unique" in capsys.readouterr().out
    assert call("convert", str(path), str(tmp_path / "out.safetensors"), "--shape", "x") != 0


def test_a_border_of_nothing_belongs_to_the_maximum() -> None:
    made = model(
        [node("Pad", ["x", "p", "v"], "b"), node("MaxPool", ["b"], kernel_shape=[3, 3], strides=[2, 2])],
        IMAGE,
        {"p": np.array([0, 0, 1, 0, 0, 0, 1, 2]), "v": np.float32(-np.inf)},
    )
    assert operations(assert_like_onnxruntime(made)) == ["pooling"]


def test_integers_without_negative_numbers_are_a_relu() -> None:
    """In quantised files, integers may stand for no number below 0. Results differ only by the rounding to integers."""
    made = model(
        nodes_of("c = Conv(x, w); q = QuantizeLinear(c, s, z); y = DequantizeLinear(q, s, z)"),
        {"x": [1, 3, 6, 6]},
        {"w": weights(2, 3, 3, 3), "s": np.float32(0.05), "z": np.uint8(0)},
    )
    feeds = random_inputs(made)
    ours = run_here(read(made), [feeds["x"]])[0].transpose(0, 3, 1, 2)
    np.testing.assert_allclose(ours, run_there(made, feeds)[0], rtol=0, atol=0.0251)
    assert ours.min() == 0.0


@pytest.mark.parametrize("mode", ["wrap", "edge", "reflect", "constant"])
@pytest.mark.parametrize("sides", [(2, -2), (-1, 3), (-2, -1), (1, -1)])
def test_borders_on_one_side_and_cuts_on_the_other(mode: str, sides: tuple[int, int]) -> None:
    pads = np.array([0, sides[0], 0, 0, sides[1], 0])
    assert_like_onnxruntime(
        model([node("Pad", ["x", "pads"], mode=mode)], {"x": (2, 5, 3)}, {"pads": pads}, opset=19)
    )


def test_a_border_that_is_cut_off_is_not_the_padding_of_a_convolution() -> None:
    made = model(
        [node("Pad", ["x", "p"], "b"), node("Conv", ["b", "w"], pads=[1, 1, 1, 1])],
        IMAGE,
        {"p": np.array([0, 0, -1, 0, 0, 0, 0, -2]), "w": weights(4, 6, 3, 3)},
    )
    assert operations(assert_like_onnxruntime(made)) == ["padding", "convolution"]


def test_a_detector_ends_at_what_its_suppression_reads() -> None:
    """The network's outputs are the raw heads that the file's suppression reads, and a note says so."""
    made = model(
        nodes_of("""
            c = Conv(x, w); t = Transpose<perm=[0, 2, 3, 1]>(c); boxes = Reshape(t, four); d = Conv(x, v)
            r = Reshape(d, flat); scores = Sigmoid(r)
            selected = NonMaxSuppression(boxes, scores, most, iou); g = Gather<axis=1>(selected, last)
            whole = GlobalMaxPool(d)
        """),
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
        nodes_of("""
            wf = DequantizeLinear<axis=0>(w, s, z); q = QuantizeLinear(x, xs, xz)
            d = DequantizeLinear(q, xs, xz); y = Conv(d, wf)
        """),
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
    assert "only the limits stay" in network.notes[0]
    expected = (np.arange(-27, 27).reshape(2, 27) - [[0], [3]]) * [[0.5], [0.25]]
    stored = next(iter(network.weights.values()))
    (limits,) = [
        layer["attributes"] for layer in network.to_dict()["nodes"] if layer["operation"] == "neuron"
    ]
    assert (limits["a"], limits["b"]) == pytest.approx((-12.8, 12.7))
    np.testing.assert_array_equal(stored.transpose(0, 3, 1, 2).reshape(2, 27), expected.astype(np.float32))
