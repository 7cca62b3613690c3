"""Test operators of TensorFlow beside NumPy; oracle tests compare more of them with TensorFlow itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.tensorflow_writer import Graph, Type
from numpy.typing import NDArray

import mpscnn
from mpscnn.converters import read_network

Array = NDArray[Any]
X = np.random.default_rng(13).normal(0, 1, (2, 4, 5, 3)).astype(np.float32)
STATISTICS = [
    np.array(row, np.float32) for row in ([0.1, -0.2, 0.3], [1.0, 2.0, 0.5], [3, -1, 0], [0.5, 2, -1])
]


def keys(distance: Array, a: float) -> Array:
    """Return the weights of cubic interpolation for distances from pixels (Keys 1981)."""
    d = np.abs(distance)
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


def cubic(extent: int, size: int, *, centers: bool) -> Array:
    """Return the weights (size, extent) of TensorFlow's ResizeBicubic along an axis."""
    made = np.zeros((size, extent))
    for row in range(size):
        at = (row + 0.5) * extent / size - 0.5 if centers else row * extent / size
        for place in range(int(np.floor(at)) - 1, int(np.floor(at)) + 3):
            weight = float(keys(np.array(at - place), -0.5 if centers else -0.75))
            if centers and not 0 <= place < extent:
                continue
            made[row, min(max(place, 0), extent - 1)] += weight
    return made / made.sum(1, keepdims=True)


def bicubic(x: Array, *, centers: bool) -> Array:
    return np.einsum("yh,xw,nhwc->nyxc", cubic(4, 7, centers=centers), cubic(5, 3, centers=centers), x)


def normalized(x: Array) -> Array:
    mean, variance, offset, scale = STATISTICS
    return (x - mean) / np.sqrt(variance + 0.1) * scale + offset


def ordered(graph: Graph, x: str) -> str:
    """Add the sum of the two largest channels times their indices + 1."""
    graph.node("TopKV2", x, graph.constant(2), name="top")
    numbers = graph.node("Cast", "top:1", DstT=Type("float32"))
    return graph.node("Mul", "top", graph.node("AddV2", numbers, graph.constant(1.0)))


def top(x: Array) -> Array:
    places = np.argsort(-x, -1, kind="stable")[..., :2]
    values: Array = np.take_along_axis(x, places, -1) * (places + 1)
    return values


def positions(graph: Graph, x: str) -> str:
    """Add the sum of the maxima of windows and of their positions."""
    graph.node("MaxPoolWithArgmax", x, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="VALID", name="pool")
    numbers = graph.node("Cast", "pool:1", DstT=Type("float32"))
    return graph.node("AddV2", "pool", numbers)


def greatest(x: Array) -> Array:
    windows = x[:, :, :4].reshape(1, 2, 2, 2, 2, 3).transpose(0, 1, 3, 5, 2, 4).reshape(1, 2, 2, 3, 4)
    best = windows.argmax(-1)
    rows = 2 * np.arange(2)[None, :, None, None] + best // 2
    columns = 2 * np.arange(2)[None, None, :, None] + best % 2
    return np.asarray(windows.max(-1) + (rows * 5 + columns) * 3 + np.arange(3))


Case = tuple[Callable[[Graph, str], str], Callable[[Array], Array]]
CASES: dict[str, Case] = {
    "ResizeBicubic": (
        lambda g, x: g.node("ResizeBicubic", x, g.constant([7, 3])), lambda x: bicubic(x, centers=False)
    ),
    "ResizeBicubic of centers": (
        lambda g, x: g.node("ResizeBicubic", x, g.constant([7, 3]), half_pixel_centers=True),
        lambda x: bicubic(x, centers=True),
    ),
    "BatchNormWithGlobalNormalization": (
        lambda g, x: g.node(
            "BatchNormWithGlobalNormalization", x, *map(g.constant, STATISTICS),
            variance_epsilon=0.1, scale_after_normalization=True,
        ),
        normalized,
    ),
    "Cumsum": (lambda g, x: g.node("Cumsum", x, g.constant(-2)), lambda x: np.cumsum(x, 2)),
    "TopKV2": (ordered, top),
    "Roll": (
        lambda g, x: g.node("Roll", x, g.constant([-1, 7]), g.constant([1, 3])), lambda x: np.roll(x, (-1, 7), (1, 3))
    ),
    "Sin": (lambda g, x: g.node("Sin", x), np.sin),
    "Cos": (lambda g, x: g.node("Cos", x), np.cos),
    "Tan": (lambda g, x: g.node("Tan", x), np.tan),
    "Asinh": (lambda g, x: g.node("Asinh", x), np.arcsinh),
    "FloorMod": (lambda g, x: g.node("FloorMod", x, g.constant(-0.3)), lambda x: np.mod(x, np.float32(-0.3))),
    "TruncateMod": (lambda g, x: g.node("TruncateMod", x, g.constant(0.3)), lambda x: np.fmod(x, np.float32(0.3))),
    "Mod": (lambda g, x: g.node("Mod", x, g.constant(0.7)), lambda x: np.fmod(x, np.float32(0.7))),
    "MirrorPad": (
        lambda g, x: g.node("MirrorPad", x, g.constant([[0, 0], [2, 4], [5, 0], [1, 3]]), mode="SYMMETRIC"),
        lambda x: np.pad(x, [(0, 0), (2, 4), (5, 0), (1, 3)], "symmetric"),
    ),
    "ClipByValue with the limits in the wrong order": (
        lambda g, x: g.node("ClipByValue", x, g.constant(0.5), g.constant(-0.25)), lambda x: np.full_like(x, 0.5)
    ),
    "FloorDiv": (lambda g, x: g.node("FloorDiv", x, g.constant(0.3)), lambda x: np.floor(x / np.float32(0.3))),
}  # fmt: skip


#: Operators that address elements of all images together, so they are read for a batch of one image.
OF_ONE_IMAGE: dict[str, Case] = {
    "GatherNd": (
        lambda g, x: g.node("GatherNd", x, g.constant([[[0, 2, 1], [0, 0, 3]]])), lambda x: x[0, [2, 0], [1, 3]][None]
    ),
    "MaxPoolWithArgmax": (positions, greatest),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES | OF_ONE_IMAGE)
def test_operators(name: str, tmp_path: Path) -> None:
    build, expected = (CASES | OF_ONE_IMAGE)[name]
    graph, x = Graph(), X[:1] if name in OF_ONE_IMAGE else X
    build(graph, graph.placeholder(1 if name in OF_ONE_IMAGE else -1, 4, 5, 3))
    network = read_network([graph.save(tmp_path / "graph.pb")])
    np.testing.assert_allclose(network.compile().run(x), expected(x), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize(
    ("kind", "attributes", "message"),
    [
        ("MirrorPad", {"mode": "CIRCULAR"}, "its mode is 'CIRCULAR'; supported are REFLECT and SYMMETRIC"),
        ("CropAndResize", {}, "cuts boxes out of images"),
    ],
)
def test_refused_settings(kind: str, attributes: dict[str, Any], message: str, tmp_path: Path) -> None:
    graph = Graph()
    graph.node(
        kind, graph.placeholder(-1, 4, 5, 3), graph.constant([[0, 0]] * 4), name="result", **attributes
    )
    with pytest.raises(mpscnn.UnsupportedError, match=f"'result' .*{message}"):
        read_network([graph.save(tmp_path / "graph.pb")])


@pytest.mark.parametrize("kind", ["int8", "uint8", "int16", "uint16", "int32", "int64"])
def test_casts_stay_within_their_type(kind: str, tmp_path: Path) -> None:
    """TensorFlow does not define floats beyond the range, but no result is outside of it."""
    graph = Graph()
    scaled = graph.node("Mul", graph.placeholder(-1, 4, 5, 3), graph.constant(1e5))
    whole = graph.node("Cast", scaled, SrcT=Type("float32"), DstT=Type(kind))
    graph.node("Cast", whole, SrcT=Type(kind), DstT=Type("float32"), name="result")
    found = read_network([graph.save(tmp_path / "graph.pb")]).compile().run(X)
    limits = np.iinfo(kind)
    np.testing.assert_array_equal(found, np.clip(np.trunc(X * np.float32(1e5)), limits.min, limits.max))


def test_quotients_of_computed_integers_are_refused(tmp_path: Path) -> None:
    """The quotient of floats would be rounded in another way."""
    graph = Graph()
    best = graph.node("ArgMax", graph.placeholder(-1, 4, 5, 3), graph.constant(3))
    graph.node("FloorDiv", best, graph.constant(2), name="result")
    with pytest.raises(mpscnn.UnsupportedError, match=r"'result' .*divides integers"):
        read_network([graph.save(tmp_path / "graph.pb")])
