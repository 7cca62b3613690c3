"""Small ONNX files whose layers would take gigabytes or many seconds are read or refused with little memory."""

from __future__ import annotations

import contextlib
import tracemalloc
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from converters.onnx_files import filled, model, node, nodes_of, read

from mpscnn.converters.opening import budget
from mpscnn.converters.opening.read_options import ReadOptions
from mpscnn.converters.reading.onnx import interpolation
from mpscnn.converters.reading.onnx.file import file_from_model
from mpscnn.converters.reading.onnx.interpolation import Interpolation
from mpscnn.converters.reading.onnx.reader import convert
from mpscnn.errors import Error, UnsupportedError
from mpscnn.graph.network import Network

Case = tuple[list[Any], dict[str, Any]]

HALF, WHOLE, TRUE = np.float32(0.5), np.int64(1), np.True_
SIDE = 1 << 13
VECTOR = {"x": (1, 1 << 24)}


def positions(kind: str, *others: str, size: int = 1 << 24, **attributes: Any) -> Case:
    """Return a node that reads positions, all of which are one number."""
    made, constants = filled("i", (1, size), WHOLE)
    return [made, node(kind, ["x", "i", *others], **attributes)], constants


def unpooled() -> Case:
    window = {"kernel_shape": [2, 2], "strides": [2, 2]}
    return [
        node("MaxPool", ["x"], ["pooled", "places"], **window),
        node("MaxUnpool", ["pooled", "places"], **window),
    ], {}


def filled_weights(kind: str, *shapes: tuple[int, ...], **attributes: Any) -> Case:
    nodes, constants = [], {}
    for place, shape in enumerate(shapes):
        made, of_shape = filled(f"w{place}", shape, HALF)
        nodes.append(made)
        constants |= of_shape
    return [
        *nodes,
        node(kind, ["x", *(f"w{place}" for place in range(len(shapes)))], **attributes),
    ], constants


def resized(**attributes: Any) -> Case:
    sizes = np.array([1, 1, SIDE, SIDE])
    return [node("Resize", ["x", "", "", "sizes"], **attributes)], {"sizes": sizes}


def attention() -> Case:
    made, constants = filled("m", (SIDE, SIDE), TRUE)
    return [made, node("Attention", ["x", "x", "x", "m"], q_num_heads=1, kv_num_heads=1)], constants


def joined(kind: str) -> Case:
    return [node(kind, ["x"] * 30_000, **({"axis": 1} if kind == "Concat" else {}))], {}


def detected() -> Case:
    """Return nodes whose result has the shape of the boxes and classes of a detector with strides 16 and 32."""
    return [
        node("MaxPool", ["x"], ["p16"], kernel_shape=[16, 16], strides=[16, 16]),
        node("MaxPool", ["p16"], ["p32"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Reshape", ["p16", "rows"], ["r16"]),
        node("Reshape", ["p32", "rows"], ["r32"]),
        node("Concat", ["r16", "r32"], ["r"], axis=2),
        node("Slice", ["r", "0", "1", "1"], ["one"]),
        *nodes_of("boxes = Concat<axis=1>(r, one); classes = Sigmoid(r); y = Concat<axis=1>(boxes, classes)"),
    ], {"rows": np.array([1, 3, -1]), "0": np.array([0]), "1": np.array([1])}


# Small files, by what they do, with the shape of their input. Reading each would take gigabytes or many seconds, if the
# reader made what the file describes before it counted.
SMALL_FILES: dict[str, tuple[Case, dict[str, tuple[int, ...]]]] = {
    "gathers one place": (positions("Gather", axis=1), VECTOR),
    "gathers elements": (positions("GatherElements", axis=1), VECTOR),
    "scatters": (positions("ScatterElements", "x", axis=1), VECTOR),
    "unpools": (unpooled(), {"x": (1, 1, SIDE, SIDE)}),
    "sums along an axis": (([node("CumSum", ["x", "a"])], {"a": np.array(1)}), {"x": (1, SIDE)}),
    "sums even windows": (([node("LRN", ["x"], size=4)], {}), {"x": (1, SIDE, 1, 1)}),
    "normalises by one scale": (
        filled_weights("LayerNormalization", (1,), axis=1),
        {"x": (1, SIDE, 8 * SIDE)},
    ),
    "normalises by a filled scale": (
        filled_weights("LayerNormalization", (SIDE, 8 * SIDE), axis=1),
        {"x": (1, SIDE, 8 * SIDE)},
    ),
    "normalises channels": (
        filled_weights("InstanceNormalization", (1 << 24,), (1 << 24,)),
        {"x": (1, 1 << 24, 2)},
    ),
    "multiplies": (filled_weights("MatMul", (SIDE, 4 * SIDE)), {"x": (1, SIDE)}),
    "convolves moved channels": (filled_weights("Conv", (4 * SIDE, SIDE, 1, 1)), {"x": (1, SIDE, 2, 2)}),
    "repeats a state": (
        filled_weights("LSTM", (1, 4 * SIDE, SIDE), (1, 4 * SIDE, SIDE), hidden_size=SIDE),
        {"x": (2, 1, SIDE)},
    ),
    "states many units": (
        filled_weights("LSTM", (1, 8, 8), (1, 8, 8), hidden_size=1 << 30),
        {"x": (2, 1, 8)},
    ),
    "interpolates": (resized(mode="cubic"), {"x": (1, 1, SIDE, SIDE - 1)}),
    "averages": (resized(mode="linear", antialias=1), {"x": (1, 1, SIDE, SIDE - 1)}),
    "masks": (attention(), {"x": (1, SIDE, 1)}),
    "hides later keys": (
        ([node("Attention", ["x", "x", "x"], q_num_heads=1, kv_num_heads=1, is_causal=1)], {}),
        {"x": (1, SIDE, 1)},
    ),
    "repeats heads": (
        ([node("Attention", ["x", "k", "k"], q_num_heads=1 << 24, kv_num_heads=1)], {}),
        {"x": (1, 1, 1 << 24), "k": (1, 1, 1)},
    ),
    "repeats the image around it": (
        ([node("Pad", ["x", "p"], mode="wrap")], {"p": np.array([0, 0, 1 << 27, 0, 0, 0, 0, 1])}),
        {"x": (1, 1, 4, 4)},
    ),
    "adds a filled tensor": (filled_weights("Add", (1, SIDE, SIDE)), {"x": (1, SIDE, SIDE)}),
    "joins 30,000 tensors": (joined("Concat"), {"x": (1, 4)}),
    "detects in a huge image": (detected(), {"x": (1, 3, SIDE, SIDE)}),
}


@pytest.mark.parametrize("name", SMALL_FILES)
def test_layers_of_a_small_file_take_little_memory(name: str) -> None:
    """A file is read or refused, with memory for a few constants of the largest size that the reader makes itself."""
    (nodes, constants), inputs = SMALL_FILES[name]
    made = model(nodes, inputs, constants, opset=23)
    small = model([node("Relu", ["x"])], {"x": (1, 4)})
    read(small)  # imports modules and fills caches
    tracemalloc.start()
    try:
        with contextlib.suppress(Error):
            read(made)
        assert tracemalloc.get_traced_memory()[1] < 200 << 20
    finally:
        tracemalloc.stop()


def test_a_small_detector_of_large_images_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The meaning of boxes is found by running the network, which for this file would take 1.6 GB."""
    nodes, constants = detected()
    runs: list[int] = []

    def compiled(_: Network, **options: Any) -> Any:
        runs.append(options["max_memory"])
        raise UnsupportedError("is not run")

    monkeypatch.setattr(Network, "compile", compiled)
    for side in (1 << 9, 1 << 12):
        network = read(model(nodes, {"x": (1, 3, side, side)}, constants, opset=23))
        assert network.detection is None
    assert len(runs) == 1
    assert runs[0] < 300 << 20


@pytest.mark.parametrize("kind", ["Max", "Sum"])
def test_an_operator_of_many_operands_looks_at_each_operand_once(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name is made for each layer. The search for it may not visit all operands of the node each time."""
    seen = []
    get = dict.__contains__

    class Makers(dict[str, Any]):
        def __contains__(self, name: object) -> bool:
            seen.append(name)
            return get(self, name)

    (nodes, _) = joined(kind)
    del nodes[0].input[2_000:]
    file = file_from_model(model(nodes, {"x": (1, 4)}), "model.onnx")
    monkeypatch.setattr(file, "makers", Makers(file.makers))
    convert(file, ReadOptions("model"))
    assert len(seen) < 100 * 2_000


def test_a_sequence_may_not_be_joined_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "OPERATIONS_FREE", 1 << 20)
    parts = [node("SequenceConstruct", ["x"] * 1_000, "parts")]
    joins = [node("ConcatFromSequence", ["parts"], f"y{place}", axis=1) for place in range(100)]
    total = node("Sum", [f"y{place}" for place in range(100)])
    with pytest.raises(UnsupportedError, match="operations"):
        read(model([*parts, *joins, total], {"x": (1, 4)}))


def test_weights_of_interpolation_are_those_of_each_position() -> None:
    """Many positions are computed together. Each has the weights that it has alone."""
    by = Interpolation("cubic", "half_pixel", antialias=True)
    scale = Fraction(3, 17)
    wanted = by.matrix(17, 3, scale)
    np.testing.assert_allclose(wanted.sum(axis=1), 1.0, rtol=1e-6)
    for chunk in (1, 7, 40):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(interpolation, "_CHUNK", chunk)
            np.testing.assert_allclose(by.matrix(17, 3, scale), wanted, rtol=1e-6, atol=1e-7)
