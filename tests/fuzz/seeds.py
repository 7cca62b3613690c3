"""Write the first inputs of the fuzzers of settings and model files, because mutations seldom find a whole network.

python tests/fuzz/seeds.py build/corpus
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def node(name: str, operation: str, inputs: list[str], **attributes: Any) -> dict[str, Any]:
    return {"name": name, "operation": operation, "inputs": inputs, "attributes": attributes}


def graph(shape: list[int], nodes: list[dict[str, Any]], outputs: list[str]) -> dict[str, Any]:
    return {"name": "seed", "inputs": [{"name": "x", "shape": shape}], "nodes": nodes, "outputs": outputs}


SMALL = graph([-1, 4, 4, 3], [node("a", "neuron", ["x"], kind="tanh", a=1.0, b=1.0)], ["a"])
CLASSIFIER = graph(
    [-1, -1, -1, 3],
    [
        node("c", "convolution", ["x"], output_channels=4, kernel_height=3, kernel_width=3, padding="same")
        | {"activation": {"kind": "relun", "a": 0.0, "b": 6.0}},
        node("n", "batch_normalization", ["c"]),
        node("s", "addition", ["n", "c"]),
        node("j", "concatenation", ["s", "c"]),
        node("p", "pooling", ["j"], kind="average", **{"global": True}),
        node("d", "fully_connected", ["p"], outputs=5),
    ],
    ["d"],
)
DETECTOR = graph(
    [-1, 8, 8, 3],
    [
        node("b", "convolution", ["x"], output_channels=4),
        node("boxes", "reshape", ["b"], shape=[-1, 64, 4]),
        node("t", "convolution", ["x"], output_channels=3),
        node("scores", "reshape", ["t"], shape=[-1, 64, 3]),
    ],
    ["boxes", "scores"],
)
SIZES = {
    "version": 1,
    "anchors": {"rule": "sizes", "strides": [1], "sizes": [[[2.0, 3.0]]]},
    "suppression": {"method": "gaussian", "score_threshold": 0.0, "max_detections": 50},
}
SCALES = {
    "version": 1,
    "anchors": {"rule": "scales", "strides": [4, 8]},
    "boxes": {"order": "yx"},
    "scores": {"kind": "softmax", "background": True},
    "suppression": {"method": "linear", "per_class": False, "classes_per_box": 2},
}
PREPROCESSING = {"fit": "letterbox", "order": "bgr", "mean": [127.0] * 3, "filter": "bilinear"}


def header(**metadata: Any) -> bytes:
    """Return an input of model_fuzz.cpp: bytes for batch and side, a byte 1 for a whole header, and the header."""
    texts = {"mpscnn.version": "1"} | {f"mpscnn.{key}": json.dumps(value) for key, value in metadata.items()}
    return bytes([0, 5, 1]) + json.dumps({"__metadata__": texts}).encode()


def metadata(*values: Any) -> bytes:
    """Return an input of model_fuzz.cpp with texts of metadata.

    Each text follows its size. A byte 0 after a text means that the text is used unchanged.
    """
    result = bytes([0, 5, 0, len(values) - 1])
    for value in values:
        text = json.dumps(value).encode()
        result += len(text).to_bytes(2, "little") + text + b"\0"
    return result.removesuffix(b"\0")


def settings(kind: int, value: Any) -> bytes:
    """Return an input of settings_fuzz.cpp: kind and size of a text, decisions, the text, and further decisions.

    The first decisions are to use the text unchanged (0), and three channels (1).
    """
    text = json.dumps(value).encode()
    return bytes([kind]) + len(text).to_bytes(2, "little") + b"\0\1" + text + bytes(range(48, 80))


SEEDS = {
    "model_fuzz/header": header(graph=SMALL, preprocess="tensorflow", labels=["a", "b", "c"]),
    "model_fuzz/classifier": metadata(CLASSIFIER),
    "model_fuzz/detector": metadata(DETECTOR, "tensorflow", SIZES),
    "settings_fuzz/classifier": settings(0, CLASSIFIER),
    "settings_fuzz/detector": settings(0, DETECTOR),
    "settings_fuzz/preprocessing": settings(1, PREPROCESSING),
    "settings_fuzz/sizes": settings(2, SIZES),
    "settings_fuzz/scales": settings(2, SCALES),
}


if __name__ == "__main__":
    for name, content in SEEDS.items():
        path = Path(sys.argv[1]) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
