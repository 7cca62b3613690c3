"""Names of outputs survive in every format that is written, or a warning names those that change."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

import mpscnn
from mpscnn.converters import read_network

NEEDS = {".onnx": "onnx", ".mlpackage": "coremltools", ".mlmodel": "coremltools"}
_NAMES = [("scores", "boxes"), ("a b", "x/y"), ("a_b", "a b"), ("né", "0abc"), ("out:0", "in.put")]


@pytest.mark.parametrize("suffix", [".safetensors", ".onnx", ".tflite", ".mlpackage", ".mlmodel"])
@pytest.mark.parametrize("names", _NAMES)
def test_names_of_outputs_stay_or_are_told(tmp_path: Path, names: tuple[str, str], suffix: str) -> None:
    """The first test takes 4 seconds, because it imports coremltools."""
    if suffix in NEEDS:
        pytest.importorskip(NEEDS[suffix], reason=f"needs {NEEDS[suffix]}")
    network = mpscnn.Network(input=(4, 4, 2))
    network.output(network.max_pool2d(network.input, 2, name=names[0]))
    network.output(network.activation(network.input, "tanh", name=names[1]))
    path = tmp_path / f"model{suffix}"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        network.save(path)
    read = mpscnn.Network.load(path) if suffix == ".safetensors" else read_network(path)
    found = [tensor.name for tensor in read.outputs]
    told = " ".join(str(one.message) for one in caught)
    for name, now in zip(names, found, strict=True):
        assert now == name or f"'{name}' to '{now}'" in told
