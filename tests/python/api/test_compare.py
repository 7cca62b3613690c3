"""Test `mpscnn.compare` and `mpscnn compare`: how layers are paired, their differences, and refusals."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call, save_photo
from numpy.typing import NDArray
from PIL import Image

import mpscnn
from mpscnn.comparison import alignment
from mpscnn.comparison.alignment import align
from mpscnn.comparison.conversion_check import check_conversion
from mpscnn.comparison.detector_outputs import decoded_sides
from mpscnn.comparison.layer_comparison import compare_layer
from mpscnn.comparison.sides import open_side
from mpscnn.comparison.trace import Trace, Value, mark_inner_values
from mpscnn.converters.formats.records import BY_SUFFIX, Engine
from mpscnn.converters.writing.onnx.export import export


def small_network(scale: float = 1.0, name: str = "small") -> mpscnn.Network:
    """Return a network with two branches that are concatenated, and a classifier.

    `scale` changes one layer's weights.
    """
    network = mpscnn.Network(input=(12, 10, 3), name=name)
    x = network.conv2d(network.input, 8, 3, padding="same", activation="relu6", name="first")
    left = network.conv2d(x, 6, 1, activation="relu", name="left")
    right = network.depthwise_conv2d(x, 3, padding="same", name="depthwise")
    right = network.conv2d(right, 6, 1, name="right")
    x = network.add(left, right, name="sum")
    x = network.flatten(network.global_average_pool2d(x, name="pool"), name="flat")
    network.output(network.softmax(network.dense(x, 5, name="logits"), name="softmax"))
    network.initialize_weights(seed=3)
    network.load_weights({"right.weight": scale * network.weights["right.weight"]}, layout="OHWI")
    return network


def test_a_size_of_networks_without_free_sizes_is_refused() -> None:
    network = small_network()
    assert mpscnn.compare(network, network, size=(12, 10)).equal
    with pytest.raises(mpscnn.ShapeError, match="which have no free size: leave out size"):
        mpscnn.compare(network, network, size=(12, 11))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "small.safetensors"
    small_network().save(path, dtype="float32", preprocess="unit")
    return path


# ---- Differences between networks --------------------------------------------------------------------------------


def test_equal_networks() -> None:
    found = mpscnn.compare(small_network(), small_network())
    assert found.equal
    assert found.first_difference is None
    assert [layer.name for layer in found.layers] == [
        *("first", "left", "depthwise", "right", "sum", "pool", "logits", "softmax")
    ]
    assert {layer.error for layer in found.layers} == {0.0}
    assert found.verdict().startswith("equal: 8 layers compared")


def rounded(network: mpscnn.Network) -> mpscnn.Network:
    """Return the network with its weights rounded to float16."""
    network.load_weights(
        {name: array.astype(np.float16).astype(np.float32) for name, array in network.weights.items()},
        layout="OHWI",
    )
    return network


def test_the_tolerance_allows_for_weights_that_were_rounded_to_halves() -> None:
    exact, halves = small_network(), rounded(small_network())
    for sides in ((exact, halves), (halves, exact)):
        found = mpscnn.compare(*sides)
        assert found.equal
        assert found.tolerance == 0.02
    assert mpscnn.compare(halves, rounded(small_network())).tolerance == 0.001  # the same weights
    assert mpscnn.compare(exact, small_network(scale=1.0001)).tolerance == 0.001  # weights of no narrow type
    assert not mpscnn.compare(exact, rounded(small_network(scale=1.3))).equal


def test_the_tolerance_allows_for_biases_that_were_rounded_to_halves() -> None:
    """Weights that were float16 numbers before do not change when a file stores them in float16. Biases do."""

    def with_biases(convert: Callable[[NDArray[Any]], NDArray[Any]]) -> mpscnn.Network:
        network = rounded(small_network())
        biases = {
            name: np.linspace(0.1, 0.9, array.size, dtype=np.float32)
            for name, array in network.weights.items()
            if name.endswith(".bias")
        }
        network.load_weights({name: convert(array) for name, array in biases.items()}, layout="OHWI")
        return network

    exact = with_biases(lambda array: array)
    halves = with_biases(lambda array: array.astype(np.float16).astype(np.float32))
    for sides in ((exact, halves), (halves, exact)):
        assert mpscnn.compare(*sides).tolerance == 0.02
    lost = with_biases(np.zeros_like)
    assert mpscnn.compare(exact, lost).tolerance == mpscnn.compare(halves, lost).tolerance == 0.001


def test_the_first_difference_is_named() -> None:
    found = mpscnn.compare(small_network(), small_network(scale=1.01))
    layer = found.first_difference
    assert layer is not None
    assert (layer.name, layer.other_name, layer.output) == ("right", "right", False)
    assert layer.relative_error == pytest.approx(0.01 / 1.01, rel=1e-3)
    assert layer.other_value == pytest.approx(1.01 * layer.value, rel=1e-5)
    assert layer.error == pytest.approx(abs(layer.value - layer.other_value), rel=1e-4)
    assert layer.cosine == pytest.approx(1.0, abs=1e-6)
    assert "that differs is right, at [" in found.verdict()
    assert mpscnn.compare(small_network(), small_network(scale=1.01), tolerance=0.02).equal


def test_the_error_about_shapes_names_the_order_of_axes() -> None:
    net = mpscnn.Network(input=(6, 5, 3))
    net.output(net.conv2d(net.input, 2, 3))
    net.initialize_weights()
    with pytest.raises(mpscnn.ShapeError, match=r"got \(1, 3, 6, 5\); x\.transpose\(0, 2, 3, 1\) fits"):
        mpscnn.compare(net, net.copy(), np.zeros((1, 3, 6, 5), np.float32))


def test_orders_of_an_onnx_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file's inputs and outputs have the channels last. It is compared when it is written and when it is read."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    network = mpscnn.Network(input=(12, 10, 3), name="image")
    x = network.conv2d(network.input, 8, 3, activation="relu", name="first")
    network.output(network.conv2d(x, 4, 3, name="second"))
    network.initialize_weights()
    network.save(tmp_path / "a.safetensors", dtype="float32")
    monkeypatch.chdir(tmp_path)
    assert call("convert", "a.safetensors", "a.onnx", "--layout", "nhwc") == 0
    assert "checked against a.onnx (onnxruntime): equal: 2 layers" in capsys.readouterr().out
    assert call("convert", "a.onnx", "b.safetensors") == 0
    assert "checked against a.onnx (onnxruntime): equal: 2 layers" in capsys.readouterr().out
    assert call("compare", "a.onnx", "b.safetensors", "--tolerance", "0.01") == 0
    network.load_weights({"second.weight": -network.weights["second.weight"]}, layout="OHWI")
    assert mpscnn.compare("a.onnx", network).worst.error > 0.1


def test_results_that_are_whole_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Operators such as ONNX' ArgMax give int64."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    types = onnx.TensorProto
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("ArgMax", ["x"], ["y"], axis=1)],
        "places",
        [onnx.helper.make_tensor_value_info("x", types.FLOAT, (1, 3, 4, 4))],
        [onnx.helper.make_tensor_value_info("y", types.INT64, (1, 1, 4, 4))],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, tmp_path / "places.onnx")
    paths = [str(tmp_path / name) for name in ("places.onnx", "places.safetensors")]
    assert call("convert", *paths) == 0
    assert "equal: 1 layers compared, largest relative error 0 " in capsys.readouterr().out


def test_results_without_a_counterpart_differ(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another number of classes changes the last layer's shape, which no layer of the other network has."""
    for classes in (5, 6):
        network = mpscnn.Network(input=(4, 4, 3), name=f"of {classes}")
        x = network.conv2d(network.input, 4, 3, name="body")
        network.output(network.conv2d(x, classes, 1, name="head"))
        network.initialize_weights()
        network.save(tmp_path / f"{classes}.safetensors", dtype="float32")
    paths = [str(tmp_path / f"{classes}.safetensors") for classes in (5, 6)]
    found = mpscnn.compare(*paths)
    assert not found.equal
    assert [layer.name for layer in found.layers] == ["body"]
    assert [name.partition(" of ")[0] for name in found.uncompared] == ["head", "head"]
    assert call("compare", *paths) == 1
    assert "nothing of the other side fits the result head of 5.safetensors" in capsys.readouterr().out


def small_detector(*, plain: bool, offset: float = 0.0) -> mpscnn.Network:
    """Return a detector of three classes with 12 boxes.

    With `plain` it gives edges and probabilities, otherwise codes of anchors and logits with a background. Both of them
    find the same objects. `offset` changes the scores of one class.
    """
    draw = np.random.default_rng(5)
    kernels = {"boxes": draw.normal(size=(4, 1, 1, 3)), "scores": draw.normal(size=(4, 1, 1, 3))}
    biases = {"boxes": np.full(4, 0.5), "scores": np.array([0.0, 0.0, offset, 0.0])}
    network = mpscnn.Network(input=(3, 4, 3), name="plain" if plain else "coded")
    order = {"boxes": [1, 0, 3, 2] if plain else [0, 1, 2, 3], "scores": [1, 2, 3] if plain else [0, 1, 2, 3]}
    for part in ("scores", "boxes") if plain else ("boxes", "scores"):
        count = len(order[part])
        made = network.conv2d(network.input, count, 1, name=f"{network.name} {part}")
        if plain and part == "scores":
            made = network.activation(made, "sigmoid")
        network.output(network.reshape(made, (12, count), name=f"the {part}"))
    network.load_weights(
        {
            name: (kernels if name.endswith("weight") else biases)[part][order[part]].astype(np.float32)
            for part in order
            for name in (f"{network.name} {part}.weight", f"{network.name} {part}.bias")
        },
        layout="OHWI",
    )
    network.detection = mpscnn.DetectionHead(
        {
            "version": 1,
            "boxes": {"output": "the boxes", "order": "xy" if plain else "yx"},
            "scores": {
                "output": "the scores",
                "kind": "probability" if plain else "sigmoid",
                "background": not plain,
            },
            "anchors": {"rule": "none"},
        }
    )
    return network


def test_detectors_are_compared_by_what_they_find() -> None:
    """All raw outputs of the first network and the boxes of the second one have the same shape."""
    coded, plain = small_detector(plain=False), small_detector(plain=True)
    for pair in ((coded, plain), (plain, coded)):
        found = mpscnn.compare(*pair)
        results = [layer for layer in found.layers if layer.output]
        assert [(one.name, one.other_name, one.shape) for one in results] == [
            ("boxes", "boxes", (1, 12, 4)),
            ("scores", "scores", (1, 12, 3)),
        ]
        assert found.equal
    other = mpscnn.compare(coded, small_detector(plain=True, offset=0.5))
    assert not other.equal
    assert other.first_difference is not None
    assert other.first_difference.name == "scores"
    assert other.first_difference.place[-1] == 1


@pytest.mark.parametrize(("suffix", "engine"), [(".onnx", "onnxruntime"), (".tflite", "ai_edge_litert")])
def test_detectors_in_their_files_engine_are_compared_by_what_they_find(
    suffix: str, engine: str, tmp_path: Path
) -> None:
    pytest.importorskip(engine, reason=f"{engine} is not installed")
    path = tmp_path / f"coded{suffix}"
    small_detector(plain=False).save(path)
    for pair in ((path, small_detector(plain=True)), (small_detector(plain=True), path)):
        found = mpscnn.compare(*pair)
        assert [layer.name for layer in found.layers if layer.output] == ["boxes", "scores"]
        assert found.equal
    assert not mpscnn.compare(path, small_detector(plain=True, offset=0.5)).equal


def test_outputs_that_are_not_those_of_the_settings_are_not_decoded() -> None:
    _, (meaning, _) = decoded_sides(
        *map(open_side, (small_detector(plain=False), small_detector(plain=True)))
    )
    boxes, scores = (Value(name, "", np.zeros((1, 12, 4), np.float32)) for name in ("boxes", "scores"))
    assert meaning.fits(Trace((boxes, scores), ("boxes", "scores")))
    assert not meaning.fits(Trace((boxes,), ("boxes",)))
    final = Value("scores", "", np.zeros((1, 7, 4), np.float32))
    assert not meaning.fits(Trace((boxes, final), ("boxes", "scores")))


def test_boxes_that_are_not_numbers_are_compared() -> None:
    coded, plain = small_detector(plain=False), small_detector(plain=True)
    x = np.zeros((1, 3, 4, 3), np.float32)
    x[0, 1, 2] = np.nan
    found = mpscnn.compare(coded, plain, x)
    results = {layer.name: layer for layer in found.layers if layer.output}
    assert found.equal  # both have NaN at the same place
    assert np.isnan(results["boxes"].cosine)


def test_detectors_with_one_coding_are_compared_as_they_are() -> None:
    found = mpscnn.compare(small_detector(plain=False), small_detector(plain=False))
    assert {layer.name for layer in found.layers if layer.output} == {"the boxes", "the scores"}


def test_a_detector_without_the_output_of_its_settings_is_refused() -> None:
    wrong = small_detector(plain=True)
    wrong.detection = mpscnn.DetectionHead({"version": 1, "anchors": {"rule": "none"}})
    with pytest.raises(mpscnn.ParameterError, match="settings of plain name the output 'boxes'"):
        mpscnn.compare(small_detector(plain=False), wrong)


@pytest.mark.parametrize(
    ("engine", "package", "suffix"),
    [("litert", "ai_edge_litert", ".tflite"), ("onnxruntime", "onnxruntime", ".onnx")],
)
def test_precisions_of_other_engines(
    model: Path, tmp_path: Path, engine: str, package: str, suffix: str
) -> None:
    """A network is written for the engine in the named precision. A file keeps its own precision."""
    pytest.importorskip(package, reason=f"{package} is not installed")
    assert mpscnn.compare(f"{model}@{engine}", str(model)).equal
    halves = mpscnn.compare(f"{model}@{engine}@float16", str(model))
    assert halves.equal or engine == "litert"  # its sums of float16 numbers are coarser
    assert 1e-6 < halves.worst.relative_error < 0.01
    path = tmp_path / f"file{suffix}"
    mpscnn.load(model).save(path)
    for given, message in {
        f"{path}@{engine}@float16": "in its own precision",
        f"{model}@{engine}@bfloat16": "float32 or float16",
        f"{model}@{engine}@metal": "on the CPU",
    }.items():
        with pytest.raises(mpscnn.ParameterError, match=message):
            mpscnn.compare(given, str(model))


def test_onnxruntime(model: Path, tmp_path: Path) -> None:
    """The file's layers have other names, and activations are separate layers."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    path = tmp_path / "renamed.onnx"
    export(small_network(name="other"), path, layout="nchw")
    _rename_all(path)
    found = mpscnn.compare(str(model), str(path))
    assert found.equal
    assert len(found.layers) == 8
    assert mpscnn.compare(f"{model}@onnxruntime", str(path)).worst.error == 0.0
    export(small_network(scale=1.1), path, layout="nchw")
    _rename_all(path)
    layer = mpscnn.compare(str(model), str(path)).first_difference
    assert layer is not None
    assert layer.name == "right"


def _rename_all(path: Path) -> None:
    import onnx

    model = onnx.load(path)
    kept = {entry.name for entry in [*model.graph.input, *model.graph.initializer]}
    for node in model.graph.node:
        node.name = ""
        node.input[:] = [name if name in kept or not name else f"t_{name}" for name in node.input]
        node.output[:] = [f"t_{name}" for name in node.output]
    for entry in model.graph.output:
        entry.name = f"t_{entry.name}"
    onnx.save(model, path)


def test_arrays_of_integers_are_pixels_of_photos() -> None:
    """They get the preprocessing of the side that has one, at any size, as in `predict`."""
    model = mpscnn.load()
    photo = Image.open(mpscnn.samples.photo("cat")).convert("RGB")
    expected = mpscnn.compare(model, "cifar10_mobilenet_v2@float16", input=photo)
    for pixels in (np.asarray(photo), np.asarray(photo)[None]):
        assert mpscnn.compare(model, "cifar10_mobilenet_v2@float16", input=pixels).layers == expected.layers


def test_litert(shared: Path, project: Path) -> None:
    pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")
    file = shared / "models" / "google" / "mobilenet_v1_0.25_128_quant.tflite"
    found = mpscnn.compare(f"{file}@cpu", str(file), input=mpscnn.samples.photo("cat"))
    assert found.equal
    assert len(found.layers) >= 29
    assert not found.only_first
    assert found.layers[-1].cosine > 0.99


# ---- Alignment ---------------------------------------------------------------------------------------------------


def value(name: str, kind: str, numbers: Any, **more: Any) -> Value:
    return Value(name, kind, np.asarray([numbers], np.float32), **more)


def test_branches_in_another_order() -> None:
    a = [value("x", "add", [1, 2]), value("y", "add", [5, 6]), value("z", "add", [8, 9])]
    b = [value("q", "add", [5, 6]), value("r", "add", [1, 2]), value("s", "add", [8, 9])]
    pairs = align(Trace(tuple(a), ("z",)), Trace(tuple(b), ("s",)), 1e-6)
    assert [(x.name, y.name) for x, y in pairs] == [("x", "r"), ("y", "q"), ("z", "s")]


def test_an_activation_belongs_to_the_layer_before() -> None:
    values = [
        value("c", "convolution", [1]),
        value("n", "batch_normalization", [2]),
        value("r", "activation", [3]),
    ]
    marked = mark_inner_values(values, {"n": ["c"], "r": ["n"]}, ["r"])
    assert [(entry.kind, entry.inner) for entry in marked] == [
        ("convolution", True),
        ("convolution", True),
        ("convolution", False),
    ]
    assert marked[-1].names == {"c", "n", "r"}
    # A result that is also read by another layer stays a layer.
    marked = mark_inner_values(values, {"n": ["c"], "r": ["n"], "other": ["n"]}, ["r"])
    assert [entry.inner for entry in marked] == [True, False, False]


@pytest.mark.parametrize(
    ("a", "b", "error", "relative"),
    [
        ([1.0, 2.0], [1.0, 4.0], 2.0, 0.5),
        ([0.0, 0.0], [0.0, 0.0], 0.0, 0.0),
        ([1.0, 0.0], [0.0, 0.0], 1.0, np.inf),
        ([np.nan, 1.0], [np.nan, 1.0], 0.0, 0.0),
        ([np.nan, 1.0], [0.0, 1.0], np.inf, np.inf),
        ([np.inf, 1.0], [np.inf, 1.0], 0.0, 0.0),
        ([np.inf, 1.0], [-np.inf, 1.0], np.inf, np.inf),
    ],
)
def test_errors(a: list[float], b: list[float], error: float, relative: float) -> None:
    layer = compare_layer(value("a", "", a), value("b", "", b), output=False)
    assert (layer.error, layer.relative_error) == (error, relative)


# ---- The command -------------------------------------------------------------------------------------------------


def test_command(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.safetensors"
    small_network(scale=2.0).save(other, dtype="float32")
    picture = tmp_path / "errors.png"
    assert call("compare", str(model), str(other), "--output", str(picture)) == 1
    shown = capsys.readouterr().out
    assert "that differs is right" in shown
    assert "differs" in shown
    assert "left" not in shown
    assert picture.stat().st_size > 1000
    assert call("compare", str(model), f"{model}@float16", "--layers") == 0
    assert "depthwise" in capsys.readouterr().out
    photo = save_photo(tmp_path / "photo.png", "red")
    assert call("compare", str(model), str(model), "--input", str(photo), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["equal"]
    assert found["layers"][0]["shape"] == [1, 12, 10, 8]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"second": "b@gpu"}, mpscnn.ParameterError, "after @ expected"),
        ({"second": 5}, mpscnn.ParameterError, "got 5"),
        ({"second": "missing.onnx"}, mpscnn.Error, "missing.onnx"),
        ({"input": np.zeros((1, 5, 5, 3), np.float32)}, mpscnn.ShapeError, "(None, 12, 10, 3)"),
        ({"input": np.zeros((1, 12, 10, 3), "U1")}, mpscnn.ParameterError, "numbers"),
        ({"input": "no.npy"}, mpscnn.ParameterError, "no.npy"),
        ({"input": "empty.npy"}, mpscnn.ParameterError, "empty.npy"),
        ({"input": "text.npy"}, mpscnn.ParameterError, "text.npy: is not a NumPy file"),
        (
            {"input": "huge.npy"},
            mpscnn.ParameterError,
            "huge.npy: is damaged or cut off: its elements have 0",
        ),
        ({"input": "several.npy"}, mpscnn.ParameterError, "several.npy: is not a NumPy file"),
        ({"tolerance": -1.0}, mpscnn.ParameterError, "tolerance"),
        ({"input": "photo.png"}, mpscnn.UnsupportedError, "--preprocess"),
    ],
)
def test_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    (tmp_path / "empty.npy").touch()
    (tmp_path / "text.npy").write_text("text text")
    with (tmp_path / "huge.npy").open("wb") as file:  # its header claims 4 TB
        header = {"descr": "<f4", "fortran_order": False, "shape": (1 << 40,)}
        np.lib.format.write_array_header_1_0(file, header)
    np.savez(tmp_path / "several.npz", a=np.zeros(3))
    (tmp_path / "several.npz").rename(tmp_path / "several.npy")
    monkeypatch.chdir(tmp_path)
    options: dict[str, Any] = {"first": small_network(), "second": small_network()} | change
    first, second = options.pop("first"), options.pop("second")
    with pytest.raises(error) as raised:
        mpscnn.compare(first, second, **options)
    assert message in str(raised.value)


def test_networks_that_have_nothing_in_common() -> None:
    other = mpscnn.Network(input=(12, 10, 3))
    other.output(other.max_pool2d(other.input, 2))
    with pytest.raises(mpscnn.ShapeError, match="no layer of"):
        mpscnn.compare(small_network(), other)
    other = mpscnn.Network(input=(12, 10, 4))
    other.output(other.max_pool2d(other.input, 2))
    with pytest.raises(mpscnn.ShapeError, match="the inputs differ"):
        mpscnn.compare(small_network(), other)
    free = mpscnn.Network(input=(None, None, 3))
    free.output(free.max_pool2d(free.input, 2))
    with pytest.raises(mpscnn.ShapeError, match="leaves the size"):
        mpscnn.compare(free, free)
    assert mpscnn.compare(free, free, size=(8, 8)).layers[0].shape == (1, 4, 4, 3)


def test_state_dicts_have_no_proof(tmp_path: Path) -> None:
    """The reason says what to do instead."""
    network = mpscnn.Network(input=(4, 4, 3))
    for name in ("weights.pth", "weights.safetensors"):
        found, reason = check_conversion(network, [tmp_path / name])
        assert found is None
        assert "not the network that they belong to" in reason
        assert "mpscnn.compare(module, model)" in reason


# ---- Layers that are several on one side -------------------------------------------------------------------------


def whole(kind: str, shape: tuple[int, ...], seed: int) -> Value:
    return Value(kind, kind, np.random.default_rng(seed).normal(size=shape).astype(np.float32))


SHAPE = (1, 4, 4, 3)


def of_parts(name: str, count: int, first: int, *, plain: int) -> list[Value]:
    """Return the parts of one layer. The part with the number `plain` has its name, others NAME/part."""
    names = [name if i == plain else f"{name}/{i}" for i in range(count)]
    return [
        Value(names[i], "", np.random.default_rng(first + i).normal(size=SHAPE).astype(np.float32))
        for i in range(count)
    ]


@pytest.mark.parametrize("parts", [2, 3, 4])
@pytest.mark.parametrize("plain", ["first", "last", "none"])
@pytest.mark.parametrize("error", [0.0, 0.5])
@pytest.mark.parametrize("exchanged", [False, True])
def test_a_layer_that_becomes_several_is_compared_with_the_last(
    parts: int, plain: str, error: float, exchanged: bool
) -> None:
    place = {"first": 0, "last": parts - 1, "none": -1}[plain]
    ours = [*of_parts("a", parts, 10, plain=place), *of_parts("b", parts, 20, plain=place)]
    results = [ours[parts - 1], ours[-1]]
    theirs = [
        Value(name, "", value.array + np.float32(error)) for name, value in zip("ab", results, strict=True)
    ]
    end = Value("end", "", np.ones((1, 2), np.float32))
    sides = Trace((*theirs, end), ("end",)), Trace((*ours, end), ("end",))
    pairs = align(*(sides[::-1] if exchanged else sides), 1e-3)
    found = {frozenset((x.name, y.name)) for x, y in pairs}
    assert found == {
        *(frozenset((mine.name, other.name)) for mine, other in zip(results, theirs, strict=True)),
        frozenset({"end"}),
    }


def test_layers_with_names_of_their_own_are_no_parts() -> None:
    values = [whole(name, SHAPE, i) for i, name in enumerate(("a", "a/relu", "b"))]
    trace = Trace(tuple(values), ("b",))
    assert [(x.name, y.name) for x, y in align(trace, trace, 1e-3)] == [
        ("a", "a"),
        ("a/relu", "a/relu"),
        ("b", "b"),
    ]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # a warning of Keras about NumPy
@pytest.mark.parametrize("behind", [None, "ReLU", "BatchNormalization"])
@pytest.mark.parametrize("layer", ["SeparableConv2D", "Average", "MultiHeadAttention", "Dense"])
def test_layers_of_keras_that_are_several_here(tmp_path: Path, layer: str, behind: str | None) -> None:
    """The results agree, so no layer is reported. A changed weight is reported."""
    keras = pytest.importorskip("keras", reason="keras is not installed")
    first = keras.Input((6, 6, 8) if layer in ("SeparableConv2D", "Average") else (6, 8))
    x = first
    for number in range(2):
        made = {
            "SeparableConv2D": lambda n: keras.layers.SeparableConv2D(8, 3, padding="same", name=f"it{n}"),
            "Average": lambda n: keras.layers.Average(name=f"it{n}"),
            "MultiHeadAttention": lambda n: keras.layers.MultiHeadAttention(2, 4, name=f"it{n}"),
            "Dense": lambda n: keras.layers.Dense(8, activation="relu", name=f"it{n}"),
        }[layer](number)
        if layer == "Average":
            x = made([x, keras.layers.Rescaling(0.5, name=f"half{number}")(x)])
        elif layer == "MultiHeadAttention":
            x = made(x, x)
        else:
            x = made(x)
        if behind is not None:
            x = getattr(keras.layers, behind)(name=f"behind{number}")(x)
    path = tmp_path / "several.keras"
    keras.Model(first, x).save(path)
    found = mpscnn.compare(str(path), f"{path}@cpu")
    assert found.equal, found
    if layer == "SeparableConv2D":
        network = mpscnn.converters.read_network([path])
        network.load_weights({"it1.weight": 2.0 * network.weights["it1.weight"]}, layout="OHWI")
        assert not mpscnn.compare(str(path), network).equal


# ---- Differences caused by storing weights -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "said"),
    [
        ("float16", "with weights rounded to float16, differs from that by"),
        ("float32", "which stores weights in float32, gives the same results to the bit"),
    ],
)
def test_convert_says_what_storing_costs(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    dtype: str,
    said: str,
) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    network = small_network()
    export(network, tmp_path / "a.onnx")
    monkeypatch.chdir(tmp_path)
    assert call("convert", "a.onnx", "b.safetensors", "--dtype", dtype) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(
        line.startswith("before storing: checked against a.onnx (onnxruntime): equal") for line in lines
    )
    (about,) = (line for line in lines if said in line)
    if dtype == "float16":
        stored = mpscnn.Network.from_graph(mpscnn.load("b.safetensors").network.graph)
        read = mpscnn.converters.read_network(["a.onnx"])
        x = np.random.default_rng(0).uniform(-1, 1, (1, 12, 10, 3)).astype(np.float32)
        results = [one.compile(device="cpu", precision="float32").session().run(x) for one in (read, stored)]
        error = np.abs(results[0] - results[1]).max() / np.abs(results[0]).max()
        assert f"differs from that by {error:.2g} of" in about
        assert error > 0


def test_an_engine_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine("no_such_module", "no-such-package")
    monkeypatch.setitem(BY_SUFFIX, ".onnx", replace(BY_SUFFIX[".onnx"], engine=engine))
    path = tmp_path / "net.onnx"
    path.write_bytes(b"x")
    with pytest.raises(
        mpscnn.UnsupportedError, match=r"pip install no-such-package; .*@cpu computes it in mpscnn"
    ):
        mpscnn.compare(path, "digits")


def test_of_many_layers_those_of_equal_names_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time to pair the layers of both sides is linear, however many there are."""
    fitted: list[object] = []
    fit = alignment.fit_shape
    monkeypatch.setattr(alignment, "fit_shape", lambda *given: fitted.append(given) or fit(*given))
    a, b = (
        [Value(f"{number}", "relu", np.full((1, 2), number, np.float32)) for number in order]
        for order in (range(1_002), range(1_001, -1, -1))
    )
    b[500] = Value("other", "relu", b[500].array)
    pairs = align(Trace(tuple(a), ("1001",)), Trace(tuple(b), ("1001",)), 1e-6)
    assert [(x.name, y.name) for x, y in pairs] == [(f"{k}", f"{k}") for k in range(1_002) if k != 501]
    assert len(fitted) < 4_000


def test_names_of_a_chain_of_activations_grow_with_its_length() -> None:
    chain = [value(str(place), "activation", [[1.0]]) for place in range(3000)]
    marked = mark_inner_values(chain, {str(place): [str(place - 1)] for place in range(1, 3000)}, ["2999"])
    assert sum(len(value.names) for value in marked) < 20 * len(marked)


def test_a_thousand_layers_are_paired_soon() -> None:
    """All pairs get a score: 1,000,000 in 1 to 2 processor seconds, also if all results are equal."""
    sides = [
        tuple(Value(f"{side}{place}", "relu", np.ones((1, 2, 2), np.float32)) for place in range(1_000))
        for side in "ab"
    ]
    first, second = (Trace(values, (values[0].name,)) for values in sides)
    begun = time.process_time()
    pairs = align(first, second, 1e-4)
    assert time.process_time() - begun < 6.0
    assert [(x.name[1:], y.name[1:]) for x, y in pairs] == [(str(place),) * 2 for place in range(1_000)]
