"""Test which layers of a converted network get the names of the package's networks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mpscnn
from mpscnn import converters, models
from mpscnn.converters.finishing import architecture_names
from mpscnn.converters.finishing.architecture_names import with_library_names


def with_other_names(network: mpscnn.Network) -> mpscnn.Network:
    """Rename layers, as in a file of another framework. Inputs and outputs keep their names."""
    structure = network.to_dict()
    fixed = {*structure["outputs"], *(tensor.name for tensor in network.inputs)}
    names = {name: name if name in fixed else f"Net/{i}" for i, name in enumerate(network.layer_names())}
    for node in structure["nodes"]:
        node["name"], node["inputs"] = names[node["name"]], [names[source] for source in node["inputs"]]
    renamed = network.restructured(structure, names)
    renamed.detection = network.detection
    return renamed


@pytest.mark.parametrize(
    ("build", "first_other"),
    [(models.ssd_mobilenet_v1, "extra1_reduce"), (models.ssdlite_mobilenet_v2, "extra1_reduce")],
)
@pytest.mark.parametrize(("multiplier", "size"), [(1.0, 64), (0.35, (96, 64))])
def test_detectors_get_the_names_of_their_base(
    build: Callable[..., mpscnn.Network], first_other: str, multiplier: float, size: Any
) -> None:
    network = build(classes=2, depth_multiplier=multiplier, input_size=size)
    network.initialize_weights(1)
    foreign = with_other_names(network)
    assert "pointwise1" not in foreign.layer_names()
    named = with_library_names(foreign)
    base = network.layer_names()[: network.layer_names().index(first_other)]
    assert named.layer_names()[: len(base)] == base
    assert named.layer_names()[len(base)].startswith("Net/")
    assert named.detection is network.detection
    x = np.random.default_rng(0).uniform(-1, 1, (1, *(network.input.shape[1:]))).astype(np.float32)  # type: ignore[arg-type]
    found, expected = named.compile().session().run(x), network.compile().session().run(x)
    assert isinstance(found, dict)
    assert isinstance(expected, dict)
    assert list(found) == list(expected) == ["boxes", "scores"]
    for name in found:
        np.testing.assert_array_equal(found[name], expected[name])


@pytest.mark.parametrize("shallow", [False, True])
def test_a_classifier_without_its_end(shallow: bool) -> None:
    whole = models.mobilenet_v1(depth_multiplier=0.5, input_size=(64, 96), shallow=shallow)
    names = whole.layer_names()
    named = with_library_names(with_other_names(whole.subgraph(["pool"])))
    assert named.layer_names() == names[: names.index("pool") + 1]
    assert [tensor.name for tensor in named.outputs] == ["pool"]


def test_networks_without_layers_and_of_enormous_images() -> None:
    empty = mpscnn.Network(input=(32, 32, 3))
    empty.output(empty.input)
    assert with_library_names(empty) is empty
    enormous = mpscnn.Network(input=(6000, 6000, 3))
    enormous.output(enormous.conv2d(enormous.input, 21, 1))
    assert with_library_names(enormous) is enormous


def test_what_is_not_renamed() -> None:
    beginning = with_other_names(models.mobilenet_v1(input_size=64).subgraph(["pointwise5"]))
    assert with_library_names(beginning) is beginning
    taken = with_other_names(models.ssd_mobilenet_v1(input_size=64))
    names = taken.layer_names()
    structure = taken.to_dict()
    last = names.index("boxes") - 1
    for node in structure["nodes"]:
        node["name"] = "conv1" if node["name"] == names[last] else node["name"]
        node["inputs"] = ["conv1" if source == names[last] else source for source in node["inputs"]]
    clash = taken.restructured(structure, {})
    assert with_library_names(clash) is clash


def test_the_published_feature_extractor(shared: Path) -> None:
    file = shared / "models/google/mobilenet_v1_1.0_224_quant_embedding_extractor.tflite"
    network = converters.read_network([file])
    assert network.layer_names()[-3:] == ["depthwise13", "pointwise13", "pool"]
    part = network.subgraph(["pointwise11", "pointwise13"])
    assert [tensor.shape for tensor in part.outputs] == [(None, 14, 14, 512), (None, 7, 7, 1024)]


def test_a_kept_conversion_imports_no_reader_and_no_architecture(tmp_path: Path) -> None:
    """Loading a file that was converted before takes a fifth of a second, much of it for imports."""
    path = tmp_path / "small.onnx"
    network = models.mobilenet_v1(depth_multiplier=0.25, input_size=32)
    network.initialize_weights(1)
    network.save(path)
    program = (
        "import sys, mpscnn; mpscnn.load(sys.argv[1], device='cpu'); "
        "print([name for name in sys.modules if name.startswith(('mpscnn.models', 'mpscnn.converters.reading.onnx'))])"
    )
    environment = {**os.environ, "MPSCNN_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-c", program, str(path)]
    first, second = (
        subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
        for _ in range(2)
    )
    assert "mpscnn.converters.reading.onnx" in first
    assert second.strip() == "[]"


@pytest.mark.parametrize("multiplier", [0.25, 0.35, 0.5, 0.75, 1.0, 1.3, 1.4])
def test_classifiers_of_every_width_get_the_names_of_the_package(multiplier: float) -> None:
    for build in (models.mobilenet_v2, models.mobilenet_v1):
        network = build(depth_multiplier=multiplier, input_size=32, classes=3)
        network.initialize_weights(1)
        assert with_library_names(with_other_names(network)).layer_names() == network.layer_names()


def test_no_architecture_is_built_for_a_network_without_its_first_layer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Building 24 architectures took a third of the time of loading a file."""
    built: list[str] = []

    def counted(build: Callable[..., mpscnn.Network], *arguments: Any, **options: Any) -> mpscnn.Network:
        built.append(build.__name__)
        return build(*arguments, **options)

    for build in (models.mobilenet_v1, models.mobilenet_v2, models.deeplab_v3, models.deeplab_v3_plus):
        monkeypatch.setattr(architecture_names, build.__name__, partial(counted, build))
    network = mpscnn.Network(input=(64, 64, 3))
    x = network.conv2d(network.input, 32, 3, strides=2, padding=1, activation="relu6")
    x = network.depthwise_conv2d(x, 3, activation="relu6")
    network.softmax(network.dense(network.global_average_pool2d(x), 5))
    assert with_library_names(network) is network
    assert built == []
    begun = mpscnn.Network(input=(64, 64, 3))
    x = begun.conv2d(begun.input, 32, 3, strides=2, padding="same", activation="relu6")
    x = begun.depthwise_conv2d(x, 3, activation="relu6")
    begun.softmax(begun.dense(begun.global_average_pool2d(x), 5))
    assert with_library_names(begun) is begun
    assert built
