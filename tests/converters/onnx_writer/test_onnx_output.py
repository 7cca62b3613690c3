"""Test `mpscnn convert MODEL FILE.onnx` and `export_onnx` in float32 and float16. Written files are read again."""

from __future__ import annotations

import resource
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call
from converters.onnx_files import onnx
from converters.onnx_writer.test_onnx_export import CASES, LAYERS, network_of, network_of_case
from exact_engines import onnxruntime_results, onnxruntime_session

import mpscnn
from mpscnn import converters

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


def small_network() -> mpscnn.Network:
    network = mpscnn.Network(input=(16, 12, 3), name="small")
    x = network.conv2d(network.input, 8, 3, strides=2, padding="same", activation="relu6", name="conv")
    y = network.depthwise_conv2d(x, 3, padding="same", activation="relu", name="depthwise")
    x = network.add(x, network.conv2d(y, 8, 1, name="project"), name="add")
    x = network.max_pool2d(x, 2, name="pool")
    x = network.dense(network.flatten(x, name="flat"), 5, name="logits")
    network.output(network.softmax(x, name="softmax"))
    network.initialize_weights(seed=4)
    return network


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float16", 5e-3)])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_types_and_layouts(dtype: str, tolerance: float, layout: str, tmp_path: Path) -> None:
    network, path = small_network(), tmp_path / "model.onnx"
    converters.export_onnx(network, path, dtype=dtype, layout=layout)
    x = np.random.default_rng(0).uniform(-1, 1, (3, 16, 12, 3)).astype(np.float32)
    expected = network.compile(device="cpu").session().run(x)
    given = np.moveaxis(x, -1, 1) if layout == "nchw" else x
    (found,) = onnxruntime_results(path, given.astype(dtype))
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


def test_float16_is_half_as_large(tmp_path: Path) -> None:
    network = mpscnn.Network(input=(1, 1, 64))
    network.output(network.conv2d(network.input, 1024, 1))
    network.initialize_weights()
    sizes = {}
    for dtype in ("float32", "float16"):
        converters.export_onnx(network, tmp_path / "model.onnx", dtype=dtype)
        sizes[dtype] = (tmp_path / "model.onnx").stat().st_size
    assert sizes["float16"] < 0.51 * sizes["float32"]


def test_a_size_that_the_network_cannot_have_is_refused(tmp_path: Path) -> None:
    network = small_network()
    height, width = network.input.shape[1:3]
    assert height is not None
    assert width is not None
    with pytest.raises(mpscnn.ShapeError, match=f"cannot have images of {height + 1} x {width}"):
        converters.export_onnx(network, tmp_path / "model.onnx", size=(height + 1, width))
    assert list(tmp_path.iterdir()) == []
    converters.export_onnx(network, tmp_path / "model.onnx", size=(height, width))
    with pytest.raises(mpscnn.ShapeError, match="cannot have images of 1 x 2"):
        network.describe((1, 2))
    free = mpscnn.Network(input=(None, 8, 3))
    free.output(free.conv2d(free.input, 4, 3))
    with pytest.raises(mpscnn.ShapeError, match="'image' is any x 8"):
        free.describe((9, 9))
    assert free.describe((9, 8))["layers"][0]["output"] == [1, 7, 6, 4]
    vector = mpscnn.Network(input=(5,))
    vector.output(vector.dense(vector.input, 4))
    with pytest.raises(mpscnn.ShapeError, match="it has no image input"):
        vector.describe((9, 8))


def test_a_file_that_cannot_be_written_whole_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    converters.export_onnx(small_network(), path)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(mpscnn.WeightsError, match="File too large"):
            converters.export_onnx(small_network(), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_weights_beyond_float16(tmp_path: Path) -> None:
    network = small_network()
    network.load_weights({"project.bias": np.full(8, 1e5, np.float32)})
    with pytest.raises(mpscnn.WeightsError, match=r"project.bias.*100000.*float32"):
        converters.export_onnx(network, tmp_path / "model.onnx", dtype="float16")
    assert not list(tmp_path.iterdir())
    with pytest.raises(mpscnn.ParameterError, match="int8"):
        converters.export_onnx(network, tmp_path / "model.onnx", dtype="int8")


def _there_and_back(network: mpscnn.Network, folder: Path) -> mpscnn.Network:
    size = (7, 9) if None in network.input.shape[1:] else None
    converters.export_onnx(network, folder / "model.onnx", size=size)
    return converters.read_network([folder / "model.onnx"])


def _all_of(network: mpscnn.Network) -> Any:
    """Return layers and weights. Factors that are not set are ones, and offsets that are not set are zeros."""
    weights = {}
    for spec in network.weight_specs():
        absent = np.full(spec["shape"], float(spec["role"] == "gamma"), np.float32)
        values = network.weight(spec["layer"], spec["role"]) if spec["set"] else absent
        weights[spec["layer"], spec["role"]] = values.tolist()
    return network.to_dict(), weights


#: Networks that have other layers when they are written and read a second time. Their results have the same bits.
OTHER_LAYERS = {
    **dict.fromkeys(
        ("L2 pooling, clamped", "norm of all axes"),
        "the limit of a square root becomes an activation of the layer before it when it is read again",
    ),
    "constant joined": "axes of a constant lie as its neighbour's do, which change each time",
    "spatial normalization, clamped, elsewhere": "borders of edge pixels are written as gathers",
}
UNREADABLE = {"batch normalization by statistics": "means over the batch are not read"}


@pytest.mark.parametrize("layer", sorted(set(LAYERS) - set(UNREADABLE)))
def test_there_and_back_again(layer: str, tmp_path: Path) -> None:
    """A network that is read, written and read again stays the same, with the same weights and bits."""
    check_there_and_back(network_of(LAYERS[layer]), tmp_path, same_layers=layer not in OTHER_LAYERS)


#: Operations that become other layers when they are written and read a second time, with the same bits.
OTHER_OPERATIONS = {
    "lstm": "its steps and its last cell state are cut out of the layer's result and joined again each time"
}
OTHER_KINDS = {
    "l2_norm": "the limit of a square root becomes an activation of the layer before it when it is read again"
}
ONE_IMAGE = [
    case
    for case in CASES
    if "conformance" in case["tags"] and case["operation"] != "batch_statistics" and len(case["inputs"]) == 1
]


@pytest.mark.parametrize("case", ONE_IMAGE, ids=lambda case: case["name"])
def test_every_case_there_and_back_again(case: Mapping[str, Any], tmp_path: Path) -> None:
    same = case["operation"] not in OTHER_OPERATIONS and case["attributes"].get("kind") not in OTHER_KINDS
    check_there_and_back(network_of_case(case), tmp_path, same_layers=same)


def check_there_and_back(network: mpscnn.Network, folder: Path, *, same_layers: bool) -> None:
    once = _there_and_back(network, folder)
    twice = _there_and_back(once, folder)
    if same_layers:
        assert _all_of(twice) == _all_of(once)
    shape = [2, *(extent or 7 for extent in once.input.shape[1:])]
    x = np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)
    results = [one.compile(device="cpu", precision="float32").session().run(x) for one in (once, twice)]
    np.testing.assert_array_equal(results[1], results[0])


def test_a_network_there_and_back_again(tmp_path: Path) -> None:
    once = _there_and_back(small_network(), tmp_path)
    x = np.random.default_rng(1).uniform(-1, 1, (2, 16, 12, 3)).astype(np.float32)
    twice = _there_and_back(once, tmp_path)
    assert _all_of(twice) == _all_of(once)
    results = [network.compile(device="cpu").session().run(x) for network in (small_network(), once, twice)]
    np.testing.assert_allclose(results[1], results[0], rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(results[2], results[1])


@pytest.mark.parametrize("build", [mpscnn.models.mobilenet_v3_small, mpscnn.models.squeezenet1_1])
def test_layers_keep_their_names(build: Any, tmp_path: Path) -> None:
    network = build(classes=5)
    network.initialize_weights(1)
    once = _there_and_back(network, tmp_path)
    assert {node["name"] for node in once.to_dict()["nodes"]} <= {
        *(node["name"] for node in network.to_dict()["nodes"]),
        "flatten/reshape",
    }
    assert _there_and_back(once, tmp_path).to_dict() == once.to_dict()


NEURONS: list[Any] = [
    {"kind": "linear", "a": 2.0, "b": 0.5},
    {"kind": "linear", "a": -1.0, "b": 1.0},
    {"kind": "linear", "a": 1.0, "b": 0.0},
    {"kind": "power", "a": 1.0, "b": 3.0, "c": 0.5},
    {"kind": "power", "a": 1.0, "c": 2.0},
    {"kind": "tanh", "a": 1.7, "b": 0.6},
    {"kind": "softplus", "a": 2.0, "b": 3.0},
    {"kind": "logarithm", "a": 1.0, "b": 9.0, "c": 2.0},
    {"kind": "exponential", "a": 0.5, "b": 0.1, "c": 2.0},
    {"kind": "exponential", "a": 1.0, "c": -1.0},
]


@pytest.mark.parametrize("neuron", NEURONS, ids=str)
def test_functions_there_and_back_again(neuron: Any, tmp_path: Path) -> None:
    """Factors of 1 and offsets of 0 of functions do not become layers."""

    def both(network: mpscnn.Network, x: mpscnn.Tensor) -> mpscnn.Tensor:
        x = network.conv2d(x, 4, 1, activation=neuron)
        return network.activation(network.conv2d(x, 4, 1), neuron)

    once = _there_and_back(network_of(both), tmp_path)
    twice = _there_and_back(once, tmp_path)
    assert _all_of(twice) == _all_of(once)


@pytest.mark.parametrize("layer", sorted(set(LAYERS) - {"elementwise power", "comparisons"}))
def test_layers_as_halves(layer: str, tmp_path: Path) -> None:
    """Layers can be written in float16, and onnxruntime accepts them. Those that jump or overflow are left out."""
    path = tmp_path / "model.onnx"
    network = network_of(LAYERS[layer])
    size = (7, 9) if None in network.input.shape[1:] else None
    converters.export_onnx(network, path, size=size, dtype="float16")
    onnx.checker.check_model(str(path), full_check=True)
    session = onnxruntime_session(path)
    assert session.get_outputs()[0].type == "tensor(float16)"


# ---- The command -------------------------------------------------------------------------------------------------


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, output = tmp_path / "model.safetensors", tmp_path / "model.onnx"
    small_network().save(model, dtype="float32")
    assert call("convert", str(model), str(output)) == 0
    shown = capsys.readouterr().out
    assert "(float32, nchw)" in shown
    assert "equal: " in shown
    assert call("convert", str(model), str(output), "--overwrite", "--dtype", "float16") == 0
    assert "(float16, nchw)" in capsys.readouterr().out
    assert call("convert", "cifar10_mobilenet_v2", str(output), "--overwrite", "--layout", "nhwc") == 0
    assert onnxruntime_results(output, np.zeros((1, 64, 64, 3), np.float32))[0].shape == (1, 10)
    assert call("convert", str(model), str(output), "--overwrite", "--dtype", "uint8") == 0
    assert "equal: " in capsys.readouterr().out
    assert call("convert", str(model), str(model), str(output)) == 2
