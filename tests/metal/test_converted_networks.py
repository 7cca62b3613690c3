"""Compare networks of other frameworks' files on the Metal engine with the CPU engine.

tests/converters and tests/oracles compare the CPU engine with the frameworks' own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mpscnn
from mpscnn import models
from mpscnn.converters import read_network

TOLERANCE = 1e-5  # relative to the largest result
SIZE = (48, 64)


def outputs(network: mpscnn.Network, device: str) -> dict[str, Any]:
    shape = (1, *(extent or 1 for extent in network.input.shape[1:]))
    x = np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)
    found = network.compile(device=device, precision="float32").session().run(x)
    return found if isinstance(found, dict) else {network.outputs[0].name: found}


def assert_same(network: mpscnn.Network) -> dict[str, Any]:
    """Run a network on both engines and compare. Returns Metal's results."""
    expected, found = outputs(network, "cpu"), outputs(network, "metal")
    for name, values in expected.items():
        scale = float(np.abs(values).max())
        assert scale > 0
        np.testing.assert_allclose(found[name], values, rtol=0, atol=TOLERANCE * scale)
    return found


ULTRAFACE = [
    ["slim-320.caffemodel", "slim-320.prototxt"],
    ["version-slim-320.onnx"],
    ["version-slim-320_simplified.onnx"],
    ["version-slim-320.pth"],
    ["version-slim-320_without_postprocessing.onnx"],
    ["version-slim-320_without_postprocessing.tflite"],
]


def test_ultraface_in_every_form(shared: Path) -> None:
    """All forms of the file give the same boxes, including the form with nodes that decode boxes."""
    folder = shared / "models" / "ultraface"
    detector = models.ultraface_head().detector((240, 320))
    forms = []
    for files in ULTRAFACE:
        found = assert_same(read_network([folder / file for file in files]))
        by_columns = {values.shape[-1]: values[0] for values in found.values()}
        boxes, scores = by_columns[4], by_columns[2]
        decoded = files == ["version-slim-320.onnx"]
        forms.append((boxes if decoded else detector.decode(boxes), scores))
    for boxes, scores in forms[1:]:
        np.testing.assert_allclose(boxes, forms[0][0], rtol=0, atol=1e-3)
        np.testing.assert_allclose(scores, forms[0][1], rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    "file",
    [
        "vww_96.h5",
        "vww_96_float.tflite",
        "vww_96_int8.tflite",
        "pretrainedResnet.h5",
        "pretrainedResnet.tflite",
        "pretrainedResnet_quant.tflite",
    ],
)
def test_networks_of_keras_and_tensorflow_lite(shared: Path, file: str) -> None:
    assert_same(read_network([shared / "models" / "mlperf_tiny" / file]))


SMALL = [
    models.mobilenet_v2_torch,
    models.mobilenet_v3_small,
    models.mnasnet0_5,
    models.resnet18,
    models.shufflenet_v2_x0_5,
    models.squeezenet1_1,
]
LARGE = [
    models.efficientnet_b0,
    models.efficientnet_b2,
    models.efficientnet_v2_s,
    models.lraspp_mobilenet_v3_large,
    models.mobilenet_v3_large,
    models.mobilenet_v4_conv_small,
    models.resnet50,
    models.ssdlite320_mobilenet_v3_large,
]


def name_of(build: Any) -> str:
    return str(getattr(build, "name", getattr(build, "__name__", "")))


@pytest.mark.parametrize(
    "build", [*SMALL, *(pytest.param(one, marks=pytest.mark.full) for one in LARGE)], ids=name_of
)
def test_networks_of_state_dicts(build: Any) -> None:
    network = build(classes=10, input_size=SIZE)
    network.initialize_weights(2)
    # Weights are scaled so that numbers stay small. With large numbers, gates would amplify rounding differences.
    damped = {name: 0.7 * values for name, values in network.weights.items() if name.endswith(".weight")}
    network.load_weights(damped, layout="OHWI")
    assert_same(network)


def test_detectors_of_onnx_files() -> None:
    from converters.onnx_detectors import yolo_v5, yolo_v8
    from converters.onnx_files import read

    for graph, output in ((yolo_v8(), "output0"), (yolo_v5()[0], "output")):
        network = read(graph.model([output]))
        assert network.detection is not None
        assert_same(network)


def test_numbers_for_more_cells_than_images_have_channels() -> None:
    """Tensors of a YOLO detector, (n, 4, cells), may have more cells than an image has channels (8192)."""
    from converters.onnx_files import model, node, read, weights

    cells = 8400
    made = model(
        [
            node("Reshape", ["x", "rows"], "r"),
            node("Softmax", ["r"], "s", axis=1),
            node("ReduceMax", ["s"], "m", axes=[1], keepdims=0),
            node("Mul", ["m", "strides"], "scaled"),
            node("Add", ["scaled", "grid"], "boxes"),
            node("Transpose", ["boxes"], perm=[0, 2, 1]),
        ],
        {"x": [1, 64, 70, 120]},
        {"rows": np.array([1, 16, 4, cells]), "strides": weights(1, cells), "grid": weights(1, 4, cells)},
    )
    assert_same(read(made))
