"""Check whether onnxruntime computes the layers of a quantised network as the engine does."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from mpscnn.converters import export_onnx
from mpscnn.graph.network import Network
from mpscnn.quantization.integers import integer_pieces

_IMAGES = 2


def layers_beyond_one_step(network: Network, *, seed: int = 0) -> dict[str, float]:
    """Layers whose results differ by more than one integer, and by how many; each by itself, on random integers.

    Engines round at other places, which makes results differ by one here and there. In a network such differences add
    up, so each layer is looked at alone.

    Args:
        network: quantised, of fixed extents.
        seed: of the integers that layers read.

    Raises ImportError without onnxruntime.
    """
    import onnxruntime

    pieces, _ = integer_pieces(network)
    structure = pieces.to_dict()
    random = np.random.default_rng(seed)
    given = {}
    for tensor, entry in zip(pieces.inputs, structure["inputs"], strict=True):
        stated = entry["quantization"]
        limits = np.iinfo(stated["type"])
        shape = [_IMAGES, *(extent or 1 for extent in tensor.shape[1:])]
        integers = random.integers(limits.min, limits.max + 1, shape) - stated["zero_point"]
        given[tensor.name] = (integers * stated["scale"]).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pieces.onnx"
        export_onnx(pieces, path, layout="nhwc", dtype="uint8")
        session = onnxruntime.InferenceSession(
            path.read_bytes(), exact_options(), providers=["CPUExecutionProvider"]
        )
    names = [argument.name for argument in session.get_inputs()]
    found = session.run(None, dict(zip(names, given.values(), strict=True)))
    computed: Any = pieces.compile(device="cpu", precision="int8").session().run(given)
    right = computed if isinstance(computed, dict) else {pieces.outputs[0].name: computed}
    steps = {node["name"]: node["quantization"]["scale"] for node in structure["nodes"]}
    apart = {
        tensor.name: float(np.abs(own - right[tensor.name]).max() / steps[tensor.name])
        for tensor, own in zip(pieces.outputs, found, strict=True)
    }
    return {name: distance for name, distance in apart.items() if distance > 1.01}


def exact_options() -> Any:
    """Options of a session of onnxruntime's that adds products of integers without limits.

    On x86-64 processors without VNNI it adds pairs of products of bytes in 16 bits otherwise, which saturate: whole
    layers are wrong then. Raises ImportError without onnxruntime.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")
    return options
