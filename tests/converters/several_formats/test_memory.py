"""Converting and loading a file take at most twice its size in memory: for the network, and for a layer of the file.

The full tier measures that. The default tier finds only a use that is larger by an order of magnitude.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.torch_writer import safetensors_file, state_dict_file, state_of
from systems import MEMORY_CODE, needs_proc
from tiers import with_full

import mpscnn
from mpscnn import models
from mpscnn.converters import export_onnx
from mpscnn.converters.opening.file_bytes import FileBytes

_PROGRAM = f"""
import os, sys
from mpscnn.converters import convert_files
from mpscnn.converters.formats.conversion_cache import convert_cached

{MEMORY_CODE}
def used(name):
    if sys.argv[1] == "cache":
        return convert_cached(name)
    return convert_files([name], "result.safetensors", dtype=sys.argv[1])

used(sys.argv[2])  # what is imported and kept
before, size = memory("VmRSS"), os.path.getsize(sys.argv[3])
network = used(sys.argv[3])
print((memory("VmHWM") - before) / size)
kept = b"x" * (20 * size)  # that memory is counted at all
print((memory("VmHWM") - before) / size)
assert "torch" not in sys.modules and "tensorflow" not in sys.modules and "keras" not in sys.modules
"""


def _onnx(network: mpscnn.Network, path: Path) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    export_onnx(network, path)


def _pth(network: mpscnn.Network, path: Path) -> None:
    path.write_bytes(state_dict_file(state_of(network.weights)))


def _legacy_pth(network: mpscnn.Network, path: Path) -> None:
    path.write_bytes(state_dict_file(state_of(network.weights), "legacy"))


def _safetensors(network: mpscnn.Network, path: Path) -> None:
    path.write_bytes(safetensors_file(state_of(network.weights)))


def _tflite(network: mpscnn.Network, path: Path) -> None:
    network.save(path, dtype="float32")


def _h5(network: mpscnn.Network, path: Path) -> None:
    keras_writer = pytest.importorskip("converters.keras_writer", reason="h5py is not installed")
    shapes, model = _keras_model(network, keras_writer)
    weights = {name: {f"{name}/kernel": np.ones(shape, np.float32)} for name, shape in shapes.items()}
    keras_writer.write_h5(path, model, weights)


def _keras(network: mpscnn.Network, path: Path) -> None:
    keras_writer = pytest.importorskip("converters.keras_writer", reason="h5py is not installed")
    shapes, model = _keras_model(network, keras_writer)
    places = {
        f"layers/conv2d{'' if number == 0 else f'_{number}'}": [np.ones(shape, np.float32)]
        for number, shape in enumerate(shapes.values())
    }
    keras_writer.write_keras(path, model, places)


def _caffemodel(network: mpscnn.Network, path: Path) -> None:
    caffe_writer = pytest.importorskip("converters.caffe_writer", reason="protobuf is not installed")
    text, blobs, x, channels = caffe_writer.image(1, 3, 8, 8), {}, "data", 3
    for filters in _filters(network):
        name = f"c{len(blobs)}"
        parameters = f"convolution_param {{ num_output: {filters} kernel_size: 1 bias_term: false }}"
        text += caffe_writer.layer("Convolution", name, x, parameters)
        blobs[name] = [np.ones((filters, channels, 1, 1), np.float32)]
        x, channels = name, filters
    path.with_suffix(".prototxt").write_text(text)
    path.write_bytes(caffe_writer.weights(blobs))


def _keras_model(network: mpscnn.Network, writer: Any) -> tuple[dict[str, tuple[int, ...]], Any]:
    """Return 1x1 convolutions with the network's numbers of channels, and their weights' shapes."""
    layers, shapes, x, channels = [writer.image(8, 8, 3)], {}, "image", 3
    for filters in _filters(network):
        name = f"c{len(layers)}"
        layers.append(writer.layer("Conv2D", name, x, filters=filters, kernel_size=[1, 1], use_bias=False))
        shapes[name] = (1, 1, channels, filters)
        x, channels = name, filters
    return shapes, writer.functional(layers)


def _filters(network: mpscnn.Network) -> list[int]:
    """Return the numbers of outputs of the layers that are not depthwise."""
    specs = [spec for spec in network.weight_specs() if spec["role"] == "weight"]
    return [spec["shape"][0] for spec in specs if min(spec["shape"][0], spec["shape"][-1]) > 1]


_WRITERS: dict[str, Callable[[mpscnn.Network, Path], None]] = {
    "net.onnx": _onnx,
    "net.pth": _pth,
    "legacy.pth": _legacy_pth,
    "net.safetensors": _safetensors,
    "net.tflite": _tflite,
    "net.h5": _h5,
    "net.keras": _keras,
    "net.caffemodel": _caffemodel,
}


def _max_used(folder: Path, name: str) -> float:
    """Return the most memory that any way of reading takes, as a multiple of the file's size."""
    for build, file in ((models.mnasnet0_5, f"small_{name}"), (models.mnasnet1_3, name)):
        network = build(classes=1000)
        network.initialize_weights(seed=1)
        _WRITERS[name](network, folder / file)
    environment = {**os.environ, "MPSCNN_CACHE": str(folder / "cache")}
    maximum = 0.0
    for what in ("float16", "float32", "cache"):
        program = [sys.executable, "-c", _PROGRAM, what, f"small_{name}", name]
        result = subprocess.run(
            program, cwd=folder, env=environment, check=True, capture_output=True, text=True
        )
        used, with_kept = map(float, result.stdout.split())
        assert with_kept > 10, result.stdout
        maximum = max(maximum, used)
    return maximum


@needs_proc
@pytest.mark.parametrize("name", with_full(["net.onnx"], ["net.safetensors"]))
def test_no_more_than_some_sizes_of_the_file(tmp_path: Path, name: str) -> None:
    assert _max_used(tmp_path, name) < 8.0


@needs_proc
@pytest.mark.full
@pytest.mark.parametrize("name", _WRITERS)
def test_at_max_twice_the_size_of_the_file(tmp_path: Path, name: str) -> None:
    assert _max_used(tmp_path, name) < 2.0


def test_bytes_of_a_file_wherever_they_are_wanted(tmp_path: Path) -> None:
    path = tmp_path / "bytes"
    content = np.random.default_rng(0).bytes(3_000_000)
    path.write_bytes(content)
    file, generator = FileBytes(path), np.random.default_rng(1)
    part = file.part(100_000, 2_000_000)
    for _ in range(2000):
        start, size = int(generator.integers(0, 3_000_100)), int(2 ** generator.uniform(0, 18)) - 1
        assert file.read(start, size) == content[start : start + size]
        assert part.read(start, size) == content[100_000:2_100_000][start : start + size]
