"""Test files of TensorFlow: SavedModels, frozen graphs, checkpoints, models of TensorFlow.js, and damaged ones."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.protobuf_messages import tensorflow_message
from converters.tensorflow_writer import (
    Graph,
    Strings,
    Type,
    save_bundle,
    save_model,
    save_web,
    save_web_graph,
)
from numpy.typing import NDArray
from reference.recurrent import lstm

import mpscnn
from mpscnn.converters import read_network
from mpscnn.converters.formats.readers import model_files
from mpscnn.converters.opening.unsupported import STOP_BEFORE
from mpscnn.converters.reading.tensorflow.bundle import Bundle
from mpscnn.converters.reading.tensorflow.slim import FAMILIES, _slim_name
from mpscnn.converters.reading.tensorflow.values import TYPE_NUMBERS

Array = NDArray[Any]
RANDOM = np.random.default_rng(11)
X = RANDOM.normal(0, 1, (2, 6, 7, 3)).astype(np.float32)
KERNEL = RANDOM.normal(0, 0.4, (3, 3, 3, 5)).astype(np.float32)
BIAS = RANDOM.normal(0, 0.4, 5).astype(np.float32)


def run(network: mpscnn.Network, x: Array = X) -> Array:
    return np.asarray(network.compile().run(x))


def small_graph(kernel: str | None = None) -> tuple[Graph, str]:
    """Return a convolution with a bias and ReLU6, and its output. `kernel` names a variable with the weights."""
    graph = Graph()
    image = graph.placeholder(-1, 6, 7, 3)
    weights = graph.node("ReadVariableOp", kernel) if kernel else graph.constant(KERNEL)
    made = graph.node(
        "Conv2D",
        image,
        weights,
        strides=[1, 2, 2, 1],
        padding="SAME",
        data_format="NHWC",
        dilations=[1, 1, 1, 1],
    )
    made = graph.node("BiasAdd", made, graph.constant(BIAS))
    return graph, graph.node("Relu6", made, name="result")


def expected(kernel: Array = KERNEL) -> Array:
    padded = np.pad(X.astype(np.float64), ((0, 0), (0, 1), (1, 1), (0, 0)))
    made = np.zeros((2, 3, 4, 5))
    for row in range(3):
        for column in range(4):
            window = padded[:, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
            made[:, row, column] = np.einsum("nhwc,hwco->no", window, kernel)
    return np.clip(made + BIAS, 0, 6)


def near(found: Array, wanted: Array, tolerance: float = 1e-5) -> None:
    assert found.size == wanted.size
    np.testing.assert_allclose(found.reshape(wanted.shape), wanted, atol=tolerance, rtol=0)


# ---- Frozen graphs and SavedModels ---------------------------------------------------------------------------------


def test_a_frozen_graph(tmp_path: Path) -> None:
    graph, _ = small_graph()
    near(run(read_network([graph.save(tmp_path / "graph.pb")])), expected())


@pytest.mark.parametrize("named", ["folder", "file"])
def test_a_saved_model_reads_variables_by_the_names_of_its_restoring(named: str, tmp_path: Path) -> None:
    graph, result = small_graph("kernel")
    graph.node("VarHandleOp", name="kernel", shared_name="kernel")
    folder = save_model(tmp_path / "model", graph, {"photo": "image"}, {"result": result}, {"kernel": KERNEL})
    network = read_network([folder if named == "folder" else folder / "saved_model.pb"])
    near(run(network), expected())


def test_a_saved_model_is_converted_again_when_its_variables_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MPSCNN_CACHE", str(tmp_path / "cache"))
    for factor in (1.0, 0.5):
        graph, result = small_graph("kernel")
        graph.node("VarHandleOp", name="kernel", shared_name="kernel")
        variables = {"kernel": KERNEL * np.float32(factor)}
        folder = save_model(tmp_path / "model", graph, {"image": "image"}, {"result": result}, variables)
        near(run(mpscnn.load(folder, device="cpu").network), expected(KERNEL * factor))


def test_outputs_can_be_operators_within_the_graph(tmp_path: Path) -> None:
    graph, _ = small_graph()
    path = graph.save(tmp_path / "graph.pb")
    bias = next(node.name for node in graph.message.node if node.op == "BiasAdd")
    found = run(read_network([path], outputs=[bias]))
    near(np.clip(found, 0, 6), expected())
    with pytest.raises(mpscnn.ParameterError, match="BiasAd"):
        read_network([path], outputs=["BiasAd"])


def test_a_free_size_is_chosen(tmp_path: Path) -> None:
    graph = Graph()
    image = graph.placeholder(-1, -1, -1, 3)
    graph.node("Relu", image, name="result")
    path = graph.save(tmp_path / "graph.pb")
    assert read_network([path]).input.shape == (None, None, None, 3)
    assert read_network([path], size=(6, 7)).input.shape == (None, 6, 7, 3)
    assert read_network([path], shapes={"image": (1, 6, 7, 3)}).input.shape[1:] == (6, 7, 3)


def test_a_convolution_of_sequences_keeps_the_order_of_axes(tmp_path: Path) -> None:
    graph, kernel = Graph(), RANDOM.normal(size=(1, 3, 3, 5)).astype(np.float32)
    rows = graph.node("ExpandDims", graph.placeholder(-1, 7, 3), graph.constant(np.array(1)))
    strides = {"strides": [1, 1, 1, 1], "padding": "VALID", "data_format": "NHWC"}
    made = graph.node("Conv2D", rows, graph.constant(kernel), **strides)
    graph.node("Squeeze", made, squeeze_dims=[1])
    network = read_network([graph.save(tmp_path / "graph.pb")])
    x = X[:, 0]
    near(
        run(network, x), np.stack([np.einsum("nwc,wco->no", x[:, i : i + 3], kernel[0]) for i in range(5)], 1)
    )
    assert "transpose" not in network.summary()


def test_an_image_without_a_batch_keeps_the_order_of_axes(tmp_path: Path) -> None:
    graph, kernel = Graph(), RANDOM.normal(size=(1, 1, 3, 5)).astype(np.float32)
    image = graph.node("ExpandDims", graph.placeholder(6, 7, 3), graph.constant(np.array(0)))
    strides = {"strides": [1, 1, 1, 1], "padding": "VALID", "data_format": "NHWC"}
    graph.node("Conv2D", image, graph.constant(kernel), **strides)
    near(run(read_network([graph.save(tmp_path / "graph.pb")])), X @ kernel[0, 0])


def test_shapes_are_computed_with_a_free_batch(tmp_path: Path) -> None:
    graph = Graph()
    image = graph.placeholder(-1, 6, 7, 3)
    shape = graph.node("Shape", image)
    zero, one = graph.constant([0]), graph.constant([1])
    batch = graph.node("StridedSlice", shape, zero, one, one, shrink_axis_mask=1)
    target = graph.node("Pack", batch, graph.constant(126), axis=0)
    graph.node("Reshape", image, target, name="result")
    near(run(read_network([graph.save(tmp_path / "graph.pb")])), X.reshape(2, 126))


def unknown_shape(graph: Graph, kind: str) -> None:
    """Let the input have no known shape: as old graphs state it, by a mark, or without the attribute."""
    image = graph.message.node[0]
    shape = next(one for one in image.attr if one.key == "shape")
    shape.value.shape.Clear()
    if kind == "old":
        graph.message.versions.producer = 21
        shape.value.shape.SetInParent()
    elif kind == "mark":
        graph.message.versions.producer = 1000
        shape.value.shape.unknown_rank = True
    else:
        del image.attr[[one.key for one in image.attr].index("shape")]


@pytest.mark.parametrize("kind", ["old", "mark", "none"])
def test_the_shape_of_an_input_that_states_none_is_chosen(kind: str, tmp_path: Path) -> None:
    graph, _ = small_graph()
    unknown_shape(graph, kind)
    path = graph.save(tmp_path / "graph.pb")
    near(run(read_network([path], shapes={"image": (2, 6, 7, 3)})), expected())
    with pytest.raises(mpscnn.UnsupportedError, match=r"how many axes its input 'image' has: .* --shape"):
        read_network([path])


def test_the_shape_of_a_signature_that_states_none_is_chosen(tmp_path: Path) -> None:
    graph, result = small_graph()
    folder = save_model(tmp_path / "model", graph, {"photo": "image"}, {"result": result}, {})
    path = folder / "saved_model.pb"
    model = tensorflow_message("SavedModel").FromString(path.read_bytes())
    shape = model.meta_graphs[0].signature_def[0].value.inputs[0].value.tensor_shape
    shape.Clear()
    shape.unknown_rank = True
    path.write_bytes(model.SerializeToString())
    near(run(read_network([folder], shapes={"photo": (2, 6, 7, 3)})), expected())
    with pytest.raises(mpscnn.UnsupportedError, match=r"how many axes its input 'photo' has: .* --shape"):
        read_network([folder])


def test_a_placeholder_without_axes_is_a_number_in_newer_graphs(tmp_path: Path) -> None:
    graph = Graph()
    graph.message.versions.producer = 22
    graph.node("MatMul", graph.placeholder(), graph.constant(KERNEL[0, 0]), name="result")
    with pytest.raises(mpscnn.UnsupportedError, match=r"'result' \(MatMul\): multiplies \(\)"):
        read_network([graph.save(tmp_path / "graph.pb")])


def test_shapes_of_unsupported_results_hide_no_reason(tmp_path: Path) -> None:
    """Operators that compute with the shape of a result that mpscnn cannot compute are not in the message."""
    graph = Graph()
    image = graph.placeholder(-1, 6, 7, 3)
    mystery = graph.node("Mystery", image, name="mystery")
    shape = graph.node("Shape", mystery)
    zero, one = graph.constant([0]), graph.constant([1])
    batch = graph.node("StridedSlice", shape, zero, one, one, shrink_axis_mask=1)
    count = graph.node("FloorDiv", graph.node("Prod", shape, zero), batch)
    graph.node("Rank", mystery, name="rank")
    graph.node("Reshape", image, graph.node("Pack", batch, count, axis=0), name="reshaped")
    graph.node("Fill", shape, graph.node("Cast", count), name="filled")
    path = graph.save(tmp_path / "graph.pb")
    for outputs in ((), ("reshaped",), ("filled",)):
        with pytest.raises(mpscnn.UnsupportedError) as caught:
            read_network([path], outputs=outputs)
        reason = "layer 'mystery' (Mystery): mpscnn does not know this operator"
        assert str(caught.value) == f"{path}: {reason}: {STOP_BEFORE}"


@pytest.mark.parametrize("way", ["half", "bfloat16", "transposed", "both"])
def test_weights_that_are_cast_or_transposed(way: str, tmp_path: Path) -> None:
    kernel = KERNEL.astype(np.float16).astype(np.float32)
    graph = Graph()
    image = graph.placeholder(-1, 6, 7, 3)
    stored = kernel.transpose(3, 2, 0, 1) if way in ("transposed", "both") else kernel
    weights = graph.constant(
        np.ascontiguousarray(stored.astype(np.float16) if way in ("half", "both") else stored)
    )
    if way != "transposed":
        weights = graph.node("Cast", weights, DstT=Type("bfloat16" if way == "bfloat16" else "float32"))
    if way in ("transposed", "both"):
        weights = graph.node("Transpose", weights, graph.constant([2, 3, 1, 0]))
    made = graph.node("Conv2D", image, weights, strides=[1, 2, 2, 1], padding="SAME")
    graph.node("Relu6", graph.node("BiasAdd", made, graph.constant(BIAS)), name="result")
    near(run(read_network([graph.save(tmp_path / "graph.pb")])), expected(kernel))


def test_constants_that_saving_left_are_no_outputs(tmp_path: Path) -> None:
    graph, _ = small_graph()
    name = graph.node("Const", name="save/Const", dtype=Type("string"), value=Strings(["model"]))
    graph.node("Identity", name, name="save/control_dependency")
    graph.node("Identity", graph.constant([1.0, 2.0]), name="leftover")
    network = read_network([graph.save(tmp_path / "graph.pb")])
    assert len(network.outputs) == 1
    near(run(network), expected())


def test_unsupported_operators_are_named_together(tmp_path: Path) -> None:
    graph = Graph()
    image = graph.placeholder(-1, 6, 7, 3)
    first = graph.node("FakeQuantWithMinMaxArgs", image, name="quantised")
    second = graph.node("Mystery", image, name="mystery")
    graph.node("AddV2", first, second, name="result")
    with pytest.raises(mpscnn.UnsupportedError) as caught:
        read_network([graph.save(tmp_path / "graph.pb")])
    for text in ("'quantised'", "8-bit", "'mystery'", "Mystery", "graph.pb"):
        assert text in str(caught.value)


def of_words(graph: Graph) -> None:
    graph.node("StringToNumber", words(graph), name="result")


def of_encoded_photos(graph: Graph) -> None:
    image = graph.node("DecodeJpeg", words(graph), channels=3)
    graph.node("Cast", image, name="result", SrcT=Type("uint8"), DstT=Type("float32"))


def words(graph: Graph) -> str:
    return graph.node("Placeholder", name="words", dtype=Type("string"), shape=(-1,))


def labels(graph: Graph) -> str:
    return graph.node("Const", name="labels", dtype=Type("string"), value=Strings(["cat", "dog"]))


def of_labels(graph: Graph) -> None:
    best = graph.node("ArgMax", graph.placeholder(-1, 2), graph.constant(np.int32(1)))
    graph.node("GatherV2", labels(graph), best, graph.constant(np.int32(0)), name="result")


def of_a_sum_with_labels(graph: Graph) -> None:
    graph.node("AddV2", graph.placeholder(-1, 2), labels(graph), name="result")


def of_made_strings(graph: Graph) -> None:
    image = graph.placeholder(-1, 2)
    graph.node("Cast", image, name="result", SrcT=Type("float32"), DstT=Type("string"))


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (of_words, "input 'words' takes texts"),
        (of_encoded_photos, "input 'words' takes texts or encoded photos"),
        (of_labels, "constant 'labels': texts are not supported"),
        (of_a_sum_with_labels, "constant 'labels': texts are not supported"),
        (of_made_strings, r"layer 'result' \(Cast\): makes texts"),
    ],
)
def test_strings_are_refused_by_name(tmp_path: Path, make: Callable[[Graph], None], named: str) -> None:
    graph = Graph()
    make(graph)
    with pytest.raises(mpscnn.UnsupportedError, match=named):
        read_network([graph.save(tmp_path / "graph.pb")])
    assert_signature_refused(tmp_path, graph, named)


def test_strings_that_nothing_reads(tmp_path: Path) -> None:
    """A signature lists its inputs, so an input of strings is refused even if no node reads it.

    The network of a frozen graph leaves that input out.
    """
    graph = Graph()
    words(graph)
    graph.node("Relu", graph.placeholder(-1, 2), name="result")
    network = read_network([graph.save(tmp_path / "graph.pb")])
    assert [tensor.name for tensor in network.inputs] == ["image"]
    assert_signature_refused(tmp_path, graph, "input 'words' takes texts")


def assert_signature_refused(tmp_path: Path, graph: Graph, named: str) -> None:
    inputs = {node.name: node.name for node in graph.message.node if node.op == "Placeholder"}
    folder = save_model(tmp_path / "model", graph, inputs, {"result": "result"}, {})
    with pytest.raises(mpscnn.UnsupportedError, match=named):
        read_network([folder])


def test_a_branch_that_data_chooses_is_refused(tmp_path: Path) -> None:
    graph = Graph()
    image = graph.placeholder(-1, 6, 7, 3)
    condition = graph.node("Greater", image, graph.constant(0.0))
    switch = graph.node("Switch", image, condition)
    graph.node("Merge", switch, f"{switch}:1", name="result")
    with pytest.raises(mpscnn.UnsupportedError, match="chooses a branch by data"):
        read_network([graph.save(tmp_path / "graph.pb")])


def test_a_branch_that_a_constant_chooses_is_followed(tmp_path: Path) -> None:
    graph = Graph()
    image = graph.placeholder(-1, 6, 7, 3)
    condition = graph.node("PlaceholderWithDefault", graph.constant(np.asarray(False)), name="is_training")
    switch = graph.node("Switch", image, condition)
    trained = graph.node("Neg", f"{switch}:1")
    graph.node("Merge", graph.node("Relu", switch), trained, name="result")
    near(run(read_network([graph.save(tmp_path / "graph.pb")])), np.maximum(X, 0))


# ---- Damaged and hostile files -------------------------------------------------------------------------------------


def test_circles_are_damage(tmp_path: Path) -> None:
    graph = Graph()
    image = graph.placeholder(-1, 6, 7, 3)
    graph.node("AddV2", image, "second", name="first")
    graph.node("Relu", "first", name="second")
    graph.node("Neg", "second", name="result")
    with pytest.raises(mpscnn.WeightsError, match="reads its own result"):
        read_network([graph.save(tmp_path / "graph.pb")])


def test_a_compressed_index_has_the_same_variables(tmp_path: Path) -> None:
    arrays = {
        f"layers/convolution_{number}/weights": np.full(number, number, np.float32) for number in range(40)
    }
    plain, compressed = (save_bundle(tmp_path / f"{kind}.ckpt", arrays, compression=kind) for kind in (0, 1))
    assert compressed.stat().st_size < 0.9 * plain.stat().st_size
    found = Bundle(compressed)
    assert dict(found) == dict(Bundle(plain))
    np.testing.assert_array_equal(found.array("layers/convolution_7/weights"), np.full(7, 7))


def test_an_index_that_is_compressed_in_another_way_is_refused(tmp_path: Path) -> None:
    index = save_bundle(tmp_path / "model.ckpt", {"weights": KERNEL}, compression=2)
    with pytest.raises(mpscnn.UnsupportedError, match="compressed in the way 2"):
        read_network([index])


# ---- TensorFlow.js -------------------------------------------------------------------------------------------------


def test_strings_of_tensorflow_js_may_be_lists_of_bytes(tmp_path: Path) -> None:
    graph, _ = small_graph()
    path = save_web_graph(tmp_path / "model.json", graph)
    described = json.loads(path.read_text("utf-8"))
    changed = 0
    for node in described["modelTopology"]["node"]:
        for value in node["attr"].values():
            for holder in (value, value.get("list", {})):
                if "s" in holder:
                    texts = holder["s"] if isinstance(holder["s"], list) else [holder["s"]]
                    lists = [list(base64.b64decode(text)) for text in texts]
                    holder["s"] = lists if isinstance(holder["s"], list) else lists[0]
                    changed += 1
    assert changed > 2
    path.write_text(json.dumps(described), "utf-8")
    near(run(read_network([path])), expected())


def signed_web_graph(path: Path, outputs: Any, place: str = "") -> Path:
    """Write a graph model with an embedding that the scores are computed from, and with these outputs stated."""
    graph = Graph()
    image = graph.placeholder(-1, 4, name="image")
    weights = np.arange(12, dtype=np.float32).reshape(4, 3) / 9
    product = graph.node("MatMul", image, graph.constant(weights, "first"), name="product")
    embedding = graph.node("Relu", product, name="activated")
    scores = graph.node("MatMul", embedding, graph.constant(weights[:3, :2], "second"), name="multiplied")
    graph.node("Neg", scores, name="unnamed")
    path = save_web_graph(path, graph)
    described = json.loads(path.read_text("utf-8"))
    holder = described.setdefault(place, {}) if place else described
    holder["signature"] = {"inputs": {"image": {"name": "image:0"}}, "outputs": outputs}
    path.write_text(json.dumps(described), "utf-8")
    return path


@pytest.mark.parametrize("place", ["", "userDefinedMetadata"])
def test_the_signature_of_tensorflow_js_states_the_outputs(place: str, tmp_path: Path) -> None:
    """Its names and order count, also of results that other operators read."""
    stated = {"scores": {"name": "multiplied:0"}, "embedding": {"name": "activated:0"}}
    network = read_network([signed_web_graph(tmp_path / "model.json", stated, place)])
    assert [(end.name, end.shape) for end in network.outputs] == [
        ("scores", (None, 2)),
        ("embedding", (None, 3)),
    ]
    chosen = read_network([tmp_path / "model.json"], outputs=["embedding"])
    x = np.array([[1.0, -2.0, 3.0, 0.5]], np.float32)
    both = network.predict(x)
    assert np.array_equal(chosen.predict(x), both["embedding"])
    assert [end.shape for end in chosen.outputs] == [(None, 3)]


def test_a_tensor_with_two_names_of_outputs_is_two_outputs(tmp_path: Path) -> None:
    stated = {"scores": {"name": "multiplied:0"}, "logits": {"name": "multiplied:0"}}
    network = read_network([signed_web_graph(tmp_path / "model.json", stated)])
    assert [end.name for end in network.outputs] == ["scores", "logits"]
    both = network.predict(np.array([[1.0, -2.0, 3.0, 0.5]], np.float32))
    assert np.array_equal(both["scores"], both["logits"])


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        (
            {"scores": {"name": "nowhere:0"}},
            "its output 'scores' is 'nowhere:0', which its graph does not have",
        ),
        (["scores"], "its signature is not a list of outputs by name"),
        ({"scores": {"name": 3}}, "its output 'scores' has no name of a tensor"),
    ],
)
def test_a_damaged_signature_of_tensorflow_js(outputs: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(mpscnn.WeightsError, match=message):
        read_network([signed_web_graph(tmp_path / "model.json", outputs)])


@pytest.mark.parametrize("outputs", [{}, None])
def test_a_signature_without_outputs_says_nothing(outputs: Any, tmp_path: Path) -> None:
    network = read_network([signed_web_graph(tmp_path / "model.json", outputs)])
    assert [end.shape for end in network.outputs] == [(None, 2)]


@pytest.mark.parametrize("shard", [37, 1 << 22])
def test_a_graph_model_of_tensorflow_js(shard: int, tmp_path: Path) -> None:
    graph, _ = small_graph()
    near(run(read_network([save_web_graph(tmp_path / "model.json", graph, shard=shard)])), expected())


@pytest.mark.parametrize(("bits", "tolerance"), [(8, 0.1), (16, 5e-4)])
def test_quantised_weights_of_tensorflow_js(bits: int, tolerance: float, tmp_path: Path) -> None:
    graph, _ = small_graph()
    found = run(read_network([save_web_graph(tmp_path / "model.json", graph, bits=bits)]))
    near(found, expected(), tolerance)


def test_a_layers_model_of_tensorflow_js(tmp_path: Path) -> None:
    layers = [
        {"class_name": "InputLayer", "config": {"name": "image", "batch_input_shape": [None, 6, 7, 3]}},
        {
            "class_name": "Conv2D",
            "config": {
                "name": "conv",
                "filters": 5,
                "kernel_size": [3, 3],
                "strides": [2, 2],
                "padding": "same",
                "activation": "linear",
                "use_bias": True,
            },
        },
        {"class_name": "ReLU", "config": {"name": "relu", "max_value": 6.0}},
    ]
    topology = {
        "keras_version": "tfjs-layers 4.0.0",
        "model_config": {"class_name": "Sequential", "config": {"name": "small", "layers": layers}},
    }
    described = {"format": "layers-model", "modelTopology": topology}
    path = save_web(tmp_path / "model.json", described, {"conv/kernel": KERNEL, "conv/bias": BIAS})
    near(run(read_network([path])), expected())


def layers_of(
    folder: Path, layer: dict[str, Any], version: str | None, weights: dict[str, Any]
) -> mpscnn.Network:
    """Return the network of a layers model of one layer, with the version of Keras that its writer states."""
    topology = {"class_name": "Sequential", "config": {"name": "small", "layers": [layer]}}
    described = {
        "format": "layers-model",
        "modelTopology": {**({"keras_version": version} if version else {}), "model_config": topology},
    }
    return read_network([save_web(folder / "model.json", described, weights)])


# Made by npm's @tensorflow/tfjs 4.22.0 on Node: tf.layers.upSampling2d({size: [2, 3], interpolation: "bilinear",
# inputShape: [2, 2, 1]}) of the numbers 0, 1, 2, 5.
FROM_CORNERS = np.float32(
    [
        [0, 0.3333333432674408, 0.6666666865348816, 1, 1, 1],
        [1, 1.6666666269302368, 2.3333332538604736, 3, 3, 3],
        [2, 3, 4, 5, 5, 5],
        [2, 3, 4, 5, 5, 5],
    ]
)


@pytest.mark.parametrize(
    ("version", "from_corners"),
    [
        ("tfjs-layers 4.22.0", True), ("1.2.2", True), ("2.1.6", True), ("2.2.5", True), ("2.3.1", True),
        ("2.1.6-tf", True), ("2.2.4-tf", False), ("2.3.0-tf", False), ("2.4.0", False), ("2.15.0", False),
        ("3.9.2", False), (None, False),
    ],
)  # fmt: skip
def test_writers_enlarge_images_in_two_ways(tmp_path: Path, version: str | None, from_corners: bool) -> None:
    """TensorFlow.js, and Keras before it was a part of TensorFlow, sample at i * in / out; others at half pixels."""
    config = {"name": "up", "size": [2, 3], "interpolation": "bilinear", "batch_input_shape": [None, 2, 2, 1]}
    network = layers_of(tmp_path, {"class_name": "UpSampling2D", "config": config}, version, {})
    found = np.asarray(run_all(network, np.float32([0, 1, 2, 5]).reshape(1, 2, 2, 1))).reshape(4, 6)
    if from_corners:
        np.testing.assert_allclose(found, FROM_CORNERS, rtol=1e-6)
    else:
        np.testing.assert_allclose(
            found[0], np.interp((np.arange(6) + 0.5) / 3 - 0.5, [0, 1], [0, 1]), rtol=1e-6
        )


def run_all(network: mpscnn.Network, x: Array) -> Any:
    return network.compile(device="cpu", precision="float32").session(threads=1).run(x)


@pytest.mark.parametrize("version", ["tfjs-layers 4.22.0", "1.2.2", "2.4.0", "3.9.2"])
@pytest.mark.parametrize("reset_after", [False, True])
def test_the_bias_of_a_gru_says_where_its_gate_is(tmp_path: Path, version: str, reset_after: bool) -> None:
    """A GRU that does not state `reset_after` has two rows of biases if its reset gate comes after the product."""
    rng = np.random.default_rng(0)
    config = {"name": "gru", "units": 4, "batch_input_shape": [None, 5, 3]}
    weights = {
        "gru/kernel": rng.normal(size=(3, 12)), "gru/recurrent_kernel": rng.normal(size=(4, 12)),
        "gru/bias": rng.normal(size=(2, 12) if reset_after else 12),
    }  # fmt: skip
    weights = {name: values.astype(np.float32) for name, values in weights.items()}
    x = rng.normal(size=(2, 5, 3)).astype(np.float32)
    found = [
        run_all(layers_of(tmp_path, {"class_name": "GRU", "config": config | stated}, version, weights), x)
        for stated in ({}, {"reset_after": reset_after})
    ]
    np.testing.assert_array_equal(*found)


RECURRENT_NAMES = {
    "of the converter": (
        "lstm/lstm_cell_1/",
        "both/forward_lstm/lstm_cell_2/",
        "both/backward_lstm/lstm_cell_3/",
    ),
    "of Keras 2.2": ("lstm/", "both/forward_lstm/", "both/backward_lstm/"),
    "of TensorFlow.js": ("lstm/", "both/forward_lstm_LSTM2/", "both/backward_lstm_LSTM2/"),
}


@pytest.mark.parametrize("stems", RECURRENT_NAMES.values(), ids=list(RECURRENT_NAMES))
def test_recurrent_layers_of_tensorflow_js(tmp_path: Path, stems: tuple[str, str, str]) -> None:
    """Cells and directions have different names in files of different versions."""
    config = {"units": 4, "return_sequences": True}
    inner = {"class_name": "LSTM", "config": {"name": "lstm", **config}}
    layers = [
        {"class_name": "LSTM", "config": {"name": "lstm", "batch_input_shape": [None, 5, 3], **config}},
        {"class_name": "Bidirectional", "config": {"name": "both", "layer": inner, "merge_mode": "concat"}},
        {
            "class_name": "TimeDistributed",
            "config": {
                "name": "each",
                "layer": {"class_name": "Dense", "config": {"name": "dense", "units": 2}},
            },
        },
    ]
    rng, features = np.random.default_rng(0), (3, 4, 4)
    kinds = [{"kernel": (count, 16), "recurrent_kernel": (4, 16), "bias": (16,)} for count in features]
    weights = {
        stem + role: rng.normal(size=shape).astype(np.float32)
        for stem, kind in zip(stems, kinds, strict=True)
        for role, shape in kind.items()
    }
    weights |= {
        "each/kernel": rng.normal(size=(8, 2)).astype(np.float32),
        "each/bias": np.ones(2, np.float32),
    }
    model = {"class_name": "Sequential", "config": {"name": "small", "layers": layers}}
    described = {"format": "layers-model", "modelTopology": {"keras_version": "2.4.0", "model_config": model}}
    network = read_network([save_web(tmp_path / "model.json", described, weights)])
    x = rng.normal(size=(3, 5, 3)).astype(np.float32)
    first, forward, backward = ([weights[stem + role] for role in kinds[0]] for stem in stems)
    y = long_short_term_memory(x, *first)
    both = [long_short_term_memory(y, *forward), long_short_term_memory(y[:, ::-1], *backward)[:, ::-1]]
    expected = np.concatenate(both, axis=-1) @ weights["each/kernel"] + 1.0
    np.testing.assert_allclose(network.compile(device="cpu").run(x), expected, rtol=1e-4, atol=1e-5)


def of_each_step(name: str, layer: dict[str, Any], **config: Any) -> dict[str, Any]:
    return {"class_name": "TimeDistributed", "config": {"name": name, "layer": layer, **config}}


@pytest.mark.parametrize(
    ("wrappers", "steps"), [(1, (4,)), (2, (2, 4)), (1, (None,))], ids=["once", "twice", "free"]
)
def test_a_layer_of_each_step_comes_first_in_tensorflow_js(
    tmp_path: Path, wrappers: int, steps: tuple[int | None, ...]
) -> None:
    """The outermost layer states the shape of the input, and its name is that of the weights."""
    layer: dict[str, Any] = {"class_name": "Dense", "config": {"name": "dense", "units": 3}}
    for number in range(wrappers):
        shape = {"batch_input_shape": [None, *steps, 5]} if number == wrappers - 1 else {}
        layer = of_each_step(f"each{number}", layer, **shape)
    rng = np.random.default_rng(0)
    kernel, bias = (rng.normal(size=size).astype(np.float32) for size in ((5, 3), (3,)))
    outermost = f"each{wrappers - 1}"
    model = {"class_name": "Sequential", "config": {"name": "small", "layers": [layer]}}
    described = {"format": "layers-model", "modelTopology": {**model, "keras_version": "tfjs-layers 4.22.0"}}
    weights = {f"{outermost}/kernel": kernel, f"{outermost}/bias": bias}
    network = read_network([save_web(tmp_path / "model.json", described, weights)])
    assert network.inputs[0].shape == (None, *steps, 5)
    x = rng.normal(size=(3, *(count or 6 for count in steps), 5)).astype(np.float32)
    np.testing.assert_allclose(network.compile(device="cpu").run(x), x @ kernel + bias, rtol=1e-5, atol=1e-6)


def long_short_term_memory(x: Array, kernel: Array, recurrent: Array, bias: Array) -> Array:
    """Return the states (n, steps, units) of an LSTM with Keras's order of gates: i, f, candidate, o."""
    order = np.arange(len(bias)).reshape(4, -1)[[0, 1, 3, 2]].reshape(-1)
    weights = {"input": kernel[:, order], "recurrent": recurrent[:, order], "bias": bias[order]}
    return lstm(x, weights)[0]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"modelTopology": {}}', '{"modelTopology": {"node": 3}}', "{"]
)
def test_other_json_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text(text)
    with pytest.raises((mpscnn.WeightsError, mpscnn.UnsupportedError), match=r"model\.json"):
        read_network([path])


# ---- Checkpoints of TF-slim ----------------------------------------------------------------------------------------


def slim_variables(network: mpscnn.Network, family: str) -> dict[str, Array]:
    """Return random variables for a network, with the published names."""
    found = next(one for one in FAMILIES if one.name == family)
    variables: dict[str, Array] = {}
    biased = ("classifier", "logits") if "SSD" not in family else ("box", "score")
    for spec in network.weight_specs():
        if spec["role"] != "weight":
            continue
        layer, shape = str(spec["layer"]), tuple(spec["shape"])
        name = _slim_name(found, layer)
        outputs, height, width, inputs = shape
        is_depthwise = "depthwise" in layer
        kernel = (height, width, outputs, 1) if is_depthwise else (height, width, inputs, outputs)
        variables[f"{name}/{'depthwise_' if is_depthwise else ''}weights"] = RANDOM.normal(0, 0.1, kernel)
        if layer.startswith(biased) and not is_depthwise:
            variables[f"{name}/biases"] = RANDOM.normal(0, 0.1, outputs)
            continue
        for role, low, high in (("gamma", 0.8, 1.2), ("beta", -0.1, 0.1), ("moving_mean", -0.1, 0.1)):
            variables[f"{name}/BatchNorm/{role}"] = RANDOM.uniform(low, high, outputs)
        variables[f"{name}/BatchNorm/moving_variance"] = RANDOM.uniform(0.5, 1.5, outputs)
    return {name: values.astype(np.float32) for name, values in variables.items()}


NETWORKS = {
    "MobileNet V1": lambda: mpscnn.models.mobilenet_v1(classes=7, depth_multiplier=0.25, input_size=64),
    "MobileNet V2": lambda: mpscnn.models.mobilenet_v2(classes=7, depth_multiplier=0.35, input_size=64),
    "SSD on MobileNet V1": lambda: mpscnn.models.ssd_mobilenet_v1(
        classes=4, depth_multiplier=0.25, input_size=128
    ),
    "SSDLite on MobileNet V2": lambda: mpscnn.models.ssdlite_mobilenet_v2(
        classes=4, depth_multiplier=0.25, input_size=128
    ),
    "DeepLab on MobileNet V2": lambda: mpscnn.models.deeplab_v3_plus(
        classes=3, depth_multiplier=0.5, input_size=65, atrous_rates=(6, 12, 18)
    ),
}


@pytest.mark.parametrize("family", NETWORKS)
@pytest.mark.parametrize("averaged", [False, True])
def test_checkpoints_of_tf_slim(family: str, averaged: bool, tmp_path: Path) -> None:
    network = NETWORKS[family]()
    variables = slim_variables(network, family)
    stored = dict(variables)
    if averaged:  # the reader prefers averages to the last values
        stored = {name: values * 0 + 9 for name, values in variables.items()}
        stored |= {f"{name}/ExponentialMovingAverage": values for name, values in variables.items()}
    steps = {"global_step": np.zeros((), np.int64)}  # of the training
    path = save_bundle(tmp_path / "model.ckpt", stored | steps)
    height, width = (int(extent or 0) for extent in network.input.shape[1:3])
    read = read_network([path], size=(height, width))
    assert read.preprocess is not None
    (note,) = read.notes
    if averaged:
        assert note.startswith("other variables are left out: ")
    else:
        assert note == "other variables are left out: 'global_step'"
    stored_weights = read.weights
    for layer, found in by_hand(network, variables, family).items():
        for role, values in found.items():
            np.testing.assert_allclose(stored_weights[f"{layer}.{role}"], values, atol=1e-5, rtol=1e-5)


def by_hand(network: mpscnn.Network, variables: dict[str, Array], family: str) -> dict[str, dict[str, Array]]:
    """Return the weights of each layer, with the batch normalization folded into them."""
    made: dict[str, dict[str, Array]] = {}
    found = next(one for one in FAMILIES if one.name == family)
    for layer in {str(spec["layer"]) for spec in network.weight_specs()}:
        name = _slim_name(found, layer)
        is_depthwise = f"{name}/depthwise_weights" in variables
        kernel = variables[f"{name}/{'depthwise_' if is_depthwise else ''}weights"].astype(np.float64)
        weight = np.moveaxis(kernel, 2, 0) if is_depthwise else np.moveaxis(kernel, 3, 0)
        if f"{name}/biases" in variables:
            made[layer] = {"weight": weight, "bias": variables[f"{name}/biases"]}
            continue
        gamma, beta, mean, variance = (
            variables[f"{name}/BatchNorm/{role}"].astype(np.float64)
            for role in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        epsilon = 1e-5 if "DeepLab" in family and "Mobilenet" not in name else 1e-3
        factor = gamma / np.sqrt(variance + epsilon)
        made[layer] = {"weight": weight * factor[:, None, None, None], "bias": beta - mean * factor}
    return made


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    path = save_bundle(tmp_path / "model.ckpt", {"resnet/conv1/weights": KERNEL})
    with pytest.raises(mpscnn.UnsupportedError, match="MobileNet V1"):
        read_network([path])


def test_whole_numbers_of_computed_ones_lose_their_fractions(tmp_path: Path) -> None:
    graph = Graph()
    image = graph.placeholder(-1, 6, 7, 3)
    whole = graph.node("Cast", image, SrcT=Type("float32"), DstT=Type("int32"))
    graph.node("Cast", whole, SrcT=Type("int32"), DstT=Type("float32"), name="result")
    near(run(read_network([graph.save(tmp_path / "graph.pb")]), 4 * X), np.trunc(4 * X), 0.0)


def test_whole_constants_become_floats(tmp_path: Path) -> None:
    """Keras writes the offset of Rescaling(1 / 127.5, -1) as an integer and a Cast."""
    graph = Graph()
    image = graph.placeholder(-1, 6, 7, 3)
    offset = graph.node("Cast", graph.constant(-1), SrcT=Type("int32"), DstT=Type("float32"))
    graph.node("AddV2", image, offset, name="result", T=Type("float32"))
    near(run(read_network([graph.save(tmp_path / "graph.pb")])), X - 1)


@pytest.mark.parametrize("mode", ["constant", "REFLECT"])
def test_borders_move_no_elements(mode: str, tmp_path: Path) -> None:
    """TensorFlow has channels last, as the network does."""
    graph = Graph()
    image = graph.placeholder(-1, 6, 7, 3)
    pads = ((0, 0), (1, 2), (0, 3), (0, 0))
    named: dict[str, Any] = {"op": "Pad"} if mode == "constant" else {"op": "MirrorPad", "mode": mode}
    border = graph.node(named.pop("op"), image, graph.constant(np.array(pads, np.int32)), **named)
    graph.node("Relu", border, name="result")
    network = read_network([graph.save(tmp_path / "graph.pb")])
    assert [node["operation"] for node in network.to_dict()["nodes"]] == ["padding", "neuron"]
    wanted = np.maximum(np.pad(X, pads, mode=mode.lower()), 0)  # type: ignore[call-overload]
    near(run(network), wanted, 0.0)


def test_the_best_place_is_a_whole_number(tmp_path: Path) -> None:
    graph = Graph()
    image = graph.placeholder(-1, 6, 7, 3)
    best = graph.node("ArgMax", image, graph.constant(np.array(3, np.int32)), output_type=Type("int64"))
    same = graph.node("Equal", best, graph.constant(np.array(1, np.int64)))
    graph.node("Cast", same, SrcT=Type("bool"), DstT=Type("float32"), name="result")
    near(run(read_network([graph.save(tmp_path / "graph.pb")])), (X.argmax(3) == 1).astype(np.float32), 0.0)


# ---- Files that belong to a model ----------------------------------------------------------------------------------


def test_a_folder_of_tensorflow_js(tmp_path: Path) -> None:
    graph, _ = small_graph()
    path = save_web_graph(tmp_path / "model.json", graph)
    for read in (mpscnn.load, lambda folder: read_network([folder])):
        with pytest.raises(
            mpscnn.UnsupportedError, match=r"TensorFlow\.js; give its description: "
        ) as caught:
            read(tmp_path)
        assert str(path) in str(caught.value)


def test_the_variables_of_a_saved_model(tmp_path: Path) -> None:
    graph, result = small_graph("kernel")
    graph.node("VarHandleOp", name="kernel", shared_name="kernel")
    folder = save_model(tmp_path / "model", graph, {"image": "image"}, {"result": result}, {"kernel": KERNEL})
    with pytest.raises(mpscnn.UnsupportedError, match="give its folder: ") as caught:
        read_network([folder / "variables" / "variables.index"])
    assert str(caught.value).endswith(str(folder))


def test_the_manifest_of_a_coreml_package(tmp_path: Path) -> None:
    path = tmp_path / "Manifest.json"
    path.write_text(json.dumps({"itemInfoEntries": {}, "rootModelIdentifier": "x"}))
    with pytest.raises(mpscnn.UnsupportedError, match="is the manifest of a Core ML package"):
        read_network([path])


def test_the_index_of_weights_in_several_files(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(json.dumps({"metadata": {}, "weight_map": {"a": "model-00001-of-00002.safetensors"}}))
    with pytest.raises(mpscnn.UnsupportedError, match="index of weights in several safetensors files"):
        mpscnn.load(path)


def as_text(message: Any) -> str:
    """Return a message in the text format of protocol buffers, with the names of element types."""
    from google.protobuf import text_format

    names = {number: name for name, number in TYPE_NUMBERS.items()}
    text = text_format.MessageToString(message)
    return re.sub(r"\b(d?type): (\d+)", lambda found: f"{found[1]}: {names[int(found[2])]}", text)


@pytest.mark.parametrize("comment", ["", "# written by hand\n", "# a line of a licence\n" * 100])
def test_a_graph_as_text(tmp_path: Path, comment: str) -> None:
    graph, _ = small_graph()
    path = tmp_path / "graph.pb"
    path.write_text(comment + as_text(graph.message))
    near(run(read_network([path])), expected())


def saved_model(folder: Path) -> Path:
    graph, result = small_graph("kernel")
    graph.node("VarHandleOp", name="kernel", shared_name="kernel")
    return save_model(folder, graph, {"image": "image"}, {"result": result}, {"kernel": KERNEL})


@pytest.mark.parametrize("name", ["saved_model.pb", "renamed.pb"])
@pytest.mark.parametrize("is_text", [False, True])
def test_a_saved_model_under_another_name_and_as_text(tmp_path: Path, name: str, is_text: bool) -> None:
    """Its variables are in the folder next to it, and count among its files."""
    folder = saved_model(tmp_path / "model")
    (folder / "saved_model.pb").rename(folder / name)
    if is_text:
        model = tensorflow_message("SavedModel")()
        model.ParseFromString((folder / name).read_bytes())
        (folder / name).write_text(as_text(model))
    near(run(read_network([folder / name])), expected())
    names = {path.name for path in model_files(folder / name)}
    assert names == {name, "variables.index", "variables.data-00000-of-00001"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("node { name: 3 op: }", "line 1: expected a value"),
        ("node { attr { key: 'T' value { type: DT_NOTHING } } }", "type is 'DT_NOTHING', expected int32"),
        ("node { name: 'x'", "a bracket is not closed"),
    ],
)
def test_a_damaged_graph_as_text(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "graph.pb"
    path.write_text(text)
    with pytest.raises(mpscnn.WeightsError, match=message):
        read_network([path])


def test_onnx_files_with_tensorflows_suffix_lead_to_their_own(tmp_path: Path) -> None:
    """A model of ONNX begins like a SavedModel, whose version is a number, too."""
    onnx = pytest.importorskip("onnx")
    graph = onnx.helper.make_graph([], "g", [], [])
    path = tmp_path / "model.pb"
    path.write_bytes(onnx.helper.make_model(graph, producer_name="test").SerializeToString())
    with pytest.raises(mpscnn.UnsupportedError, match=r"rename it so that it ends in \.onnx"):
        mpscnn.load(path)
