"""Check that onnxruntime computes the layers of a quantised network like the engine."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from mpscnn.comparison.confined_engine import onnxruntime_results
from mpscnn.converters import export_onnx
from mpscnn.graph.network import Network
from mpscnn.quantization.integers import separate_integer_layers
from mpscnn.runtime.program import named_results

_IMAGES = 2


def layers_beyond_one_step(network: Network, *, seed: int = 0) -> dict[str, float]:
    """Return the layers whose results differ by more than one integer, with the difference.

    Each layer is checked separately on random integers. Engines round at different places, so single results differ by
    one. In a network such differences would add up.

    Args:
        network: a quantised network with fixed extents.
        seed: the random seed of the integers.

    Raises UnsupportedError without onnxruntime, or if its process cannot be confined.
    """
    separated, _ = separate_integer_layers(network)
    structure = separated.to_dict()
    random = np.random.default_rng(seed)
    given = {}
    for tensor, entry in zip(separated.inputs, structure["inputs"], strict=True):
        stated = entry["quantization"]
        limits = np.iinfo(stated["type"])
        shape = [_IMAGES, *(extent or 1 for extent in tensor.shape[1:])]
        integers = random.integers(limits.min, limits.max + 1, shape) - stated["zero_point"]
        given[tensor.name] = (integers * stated["scale"]).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "separated.onnx"
        export_onnx(separated, path, layout="nhwc", dtype="uint8")
        found = onnxruntime_results(path.read_bytes(), list(given.values()))
    right = named_results(separated.compile(device="cpu", precision="int8").session(), given)
    steps = {node["name"]: node["quantization"]["scale"] for node in structure["nodes"]}
    apart = {
        tensor.name: float(np.abs(own - right[tensor.name]).max() / steps[tensor.name])
        for tensor, own in zip(separated.outputs, found, strict=True)
    }
    return {name: distance for name, distance in apart.items() if distance > 1.01}
