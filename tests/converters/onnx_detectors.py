"""Build small detectors with random weights.

As in the files that common programs export, nodes of the graph decode the boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from converters.onnx_files import Array, model, node, onnx, weights

HEIGHT, WIDTH, CLASSES = 64, 96, 3
STRIDES = (8, 16, 32)
CELLS = [(HEIGHT // stride, WIDTH // stride) for stride in STRIDES]
COUNT = sum(rows * columns for rows, columns in CELLS)
IMAGE: dict[str, Sequence[Any]] = {"images": [1, 3, HEIGHT, WIDTH]}


class Graph:
    """Nodes and constants of a graph that is being written."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}
        self.level_maps: list[str] = []

    def add(self, kind: str, *inputs: Any, out: str = "", **attributes: Any) -> str:
        """Add a node. Inputs that are no names become constants."""
        names = []
        for given in inputs:
            if not isinstance(given, str):
                self.constants[f"k{len(self.constants)}"] = given
                given = f"k{len(self.constants) - 1}"
            names.append(given)
        result = out or f"t{len(self.nodes)}"
        self.nodes.append(node(kind, names, result, **attributes))
        return result

    def split(self, x: str, sizes: Sequence[int], axis: int) -> list[str]:
        """Split an axis into parts of these sizes."""
        self.constants[f"k{len(self.constants)}"] = np.array(sizes)
        results = [f"t{len(self.nodes)}_{place}" for place in range(len(sizes))]
        self.nodes.append(node("Split", [x, f"k{len(self.constants) - 1}"], results, axis=axis))
        return results

    def maps(self, x: str = "images") -> list[str]:
        """Add convolutions that give one map for each of the strides 8, 16 and 32."""
        maps = [self.add("Conv", x, weights(8, 3, 8, 8, seed=1) / 6, strides=[8, 8])]
        for seed in (2, 3):
            convolution = self.add("Conv", maps[-1], weights(8, 8, 2, 2, seed=seed), strides=[2, 2])
            maps.append(self.add("Tanh", convolution))
        self.level_maps = maps
        return maps

    def model(self, outputs: Sequence[str], inputs: Any = None, **options: Any) -> Any:
        """Return a model with the outputs of these names."""
        return model(self.nodes, inputs or IMAGE, self.constants, outputs=outputs, **options)


def grid(offset: float) -> tuple[Array, Array]:
    """Return x and y of all cells (2, cells), in cells of their map, and the stride of each cell."""
    points, strides = [], []
    for (rows, columns), stride in zip(CELLS, STRIDES, strict=True):
        y, x = np.mgrid[:rows, :columns] + offset
        points.append(np.stack([x.ravel(), y.ravel()]))
        strides.append(np.full(rows * columns, stride))
    return np.concatenate(points, axis=1).astype(np.float32), np.concatenate(strides).astype(np.float32)


def yolo_v8(*, corners: bool = False, extra: str = "", out: str = "output0") -> Graph:
    """Return a YOLOv8 (or v9, v11), whose output has the shape (1, 4 + classes, cells).

    The distances from a cell to the four sides of its box are expectations over 16 bins.
    `corners`: boxes as in v10. `extra`: what is computed of each object besides, "angle", "points" (of three numbers),
    "places" (points of two numbers), "mask" (with the tensor "prototypes"), or "presence", which is nothing known.
    """
    g = Graph()
    levels = []
    for number, one in enumerate(g.maps()):
        box = g.add("Conv", one, weights(64, 8, 1, 1, seed=10 + number) / 2)
        label = g.add("Conv", one, weights(CLASSES, 8, 1, 1, seed=20 + number))
        both = g.add("Concat", box, label, axis=1)
        levels.append(g.add("Reshape", both, np.array([1, 64 + CLASSES, -1])))
    box, label = g.split(g.add("Concat", *levels, axis=2), [64, CLASSES], 1)
    bins = g.add("Transpose", g.add("Reshape", box, np.array([1, 4, 16, COUNT])), perm=[0, 2, 1, 3])
    bins = g.add("Softmax", bins, axis=1)
    distances = g.add("Conv", bins, np.arange(16, dtype=np.float32).reshape(1, 16, 1, 1))
    before, after = g.split(g.add("Reshape", distances, np.array([1, 4, COUNT])), [2, 2], 1)
    points, strides = grid(0.5)
    more = [] if not extra else [_more(g, extra, label, points, strides)]
    first = g.add("Sub", points[None], before)
    last = g.add("Add", points[None], after)
    if extra == "angle":
        first, last = _rotated(g, before, after, more[0], points)
    elif not corners:
        center = g.add("Div", g.add("Add", first, last), np.float32(2))
        first, last = center, g.add("Sub", last, first)
    boxes = g.add("Mul", g.add("Concat", first, last, axis=1), strides[None, None])
    parts = [boxes, g.add("Sigmoid", label)]
    if extra:
        parts = [g.add("Concat", *parts, axis=1), *more]
    g.add("Concat", *parts, axis=1, out=out)
    return g


POINTS, PROTOTYPES = 2, 5


def _more(g: Graph, extra: str, label: str, points: Array, strides: Array) -> str:
    """Return the columns that follow the classes, by the formulas of Ultralytics' heads."""
    if extra == "presence":
        return g.add("Sigmoid", g.add("ReduceMax", label, axes=[1], keepdims=1))
    numbers = {"angle": 1, "points": 3 * POINTS, "places": 2 * POINTS, "mask": PROTOTYPES}[extra]
    raw = [
        g.add(
            "Reshape",
            g.add("Conv", one, weights(numbers, 8, 1, 1, seed=40 + place)),
            np.array([1, numbers, -1]),
        )
        for place, one in enumerate(g.level_maps)
    ]
    columns = g.add("Concat", *raw, axis=2)
    if extra == "mask":
        _prototypes(g)
        return columns
    if extra == "angle":
        turns = g.add("Sub", g.add("Sigmoid", columns), np.float32(0.25))
        return g.add("Mul", turns, np.float32(np.pi))
    each = g.add("Reshape", columns, np.array([1, POINTS, numbers // POINTS, COUNT]))
    place, *seen = g.split(each, [2, 1], 2) if extra == "points" else [each]
    place = g.add("Add", g.add("Mul", place, np.float32(2)), (points - np.float32(0.5))[None, None])
    place = g.add("Mul", place, strides[None, None, None])
    if seen:
        place = g.add("Concat", place, g.add("Sigmoid", seen[0]), axis=2)
    return g.add("Reshape", place, np.array([1, numbers, COUNT]))


def _rotated(g: Graph, before: str, after: str, angle: str, points: Array) -> tuple[str, str]:
    """Return centres and sizes of rotated boxes (Ultralytics' dist2rbox)."""
    c, s = g.add("Cos", angle), g.add("Sin", angle)
    x, y = g.split(g.add("Div", g.add("Sub", after, before), np.float32(2)), [1, 1], 1)
    moved = (
        g.add("Sub", g.add("Mul", x, c), g.add("Mul", y, s)),
        g.add("Add", g.add("Mul", x, s), g.add("Mul", y, c)),
    )
    center = g.add("Add", g.add("Concat", *moved, axis=1), points[None])
    return center, g.add("Add", before, after)


def yolo_v5(
    *, extra_maps: bool = False, one_anchor: bool = False, power: bool = True, masks: bool = False
) -> tuple[Graph, list[str]]:
    """Return a YOLOv5 (or v3, v7) with anchors in cells, and the names of its outputs.

    The first output has the shape (1, anchors, 5 + classes). `extra_maps`: the maps before decoding are outputs, too.
    `one_anchor`: one anchor for each cell, as in YOLOv6 and YOLOX. `power`: squares by Pow rather than by a product.
    `masks`: the coefficients of masks follow the classes, and the second output has their prototypes.
    """
    g = Graph()
    anchors = 1 if one_anchor else 3
    columns = 5 + CLASSES + (PROTOTYPES if masks else 0)
    rows, raw = [], []
    for number, (one, (height, width), stride) in enumerate(zip(g.maps(), CELLS, STRIDES, strict=True)):
        y = g.add("Conv", one, weights(anchors * columns, 8, 1, 1, seed=30 + number))
        y = g.add("Reshape", y, np.array([1, anchors, columns, height, width]))
        y = g.add("Transpose", y, perm=[0, 1, 3, 4, 2])
        raw.append(y)
        if masks:
            center, size, rest, mask = g.split(y, [2, 2, 1 + CLASSES, PROTOTYPES], 4)
            center, size, rest = (g.add("Sigmoid", part) for part in (center, size, rest))
        else:
            center, size, rest = g.split(g.add("Sigmoid", y), [2, 2, 1 + CLASSES], 4)
        cells = np.stack(np.mgrid[:height, :width][::-1], axis=-1).astype(np.float32) - 0.5
        center = g.add("Add", g.add("Mul", center, np.float32(2)), cells[None, None])
        center = g.add("Mul", center, np.float32(stride))
        size = g.add("Mul", size, np.float32(2))
        size = g.add("Pow", size, np.float32(2)) if power else g.add("Mul", size, size)
        shapes = np.arange(1, 2 * anchors + 1, dtype=np.float32).reshape(1, anchors, 1, 1, 2) * stride
        parts = [center, g.add("Mul", size, shapes), rest, *([mask] if masks else [])]
        level = g.add("Concat", *parts, axis=4)
        rows.append(g.add("Reshape", level, np.array([1, -1, columns])))
    g.add("Concat", *rows, axis=1, out="output")
    if masks:
        return g, ["output", _prototypes(g)]
    return g, ["output", *(raw if extra_maps else [])]


def _prototypes(g: Graph) -> str:
    return g.add("Conv", "images", weights(PROTOTYPES, 3, 4, 4, seed=50), strides=[4, 4], out="prototypes")


def named(made: Any, **metadata: str) -> Any:
    """Add metadata to the model."""
    onnx.helper.set_model_props(made, metadata)
    return made


def suppressed_v8(g: Graph) -> Any:
    """Add Ultralytics's suppression (nms=True): each box has its best class, and offsets keep classes apart."""
    rows = g.add("Transpose", "output0", perm=[0, 2, 1])
    boxes, scores = g.split(rows, [4, CLASSES], 2)
    best = g.add("ReduceMax", scores, axes=[2], keepdims=0)
    label = g.add("ArgMax", scores, axis=2, keepdims=0)
    kept = g.add("TopK", best, np.array([50]), out="top", axis=1)
    g.nodes[-1].output.append("places")
    center, size = g.split(boxes, [2, 2], 2)
    half = g.add("Mul", size, np.float32(0.5))
    corners = g.add("Concat", g.add("Sub", center, half), g.add("Add", center, half), axis=2)
    offset = g.add("Mul", g.add("Cast", label, to=1), np.float32(1000))
    moved = g.add("Add", corners, g.add("Unsqueeze", offset, np.array([2])))
    places = g.add("Squeeze", "places", np.array([0]))
    moved = g.add("Gather", moved, places, axis=1)
    score = g.add("Unsqueeze", kept, np.array([1]))
    limits = (np.array([100]), np.array([0.55], np.float32), np.array([0.2], np.float32))
    selected = g.add("NonMaxSuppression", moved, score, *limits)
    g.add("Gather", corners, g.add("Gather", selected, np.array(2), axis=1), axis=1, out="found")
    return g.model(["found"])


def chosen_v10(g: Graph) -> Any:
    """Add the choice of the best boxes, for a network that needs no suppression."""
    rows = g.add("Transpose", "output0", perm=[0, 2, 1])
    boxes, scores = g.split(rows, [4, CLASSES], 2)
    g.add("TopK", g.add("ReduceMax", scores, axes=[2], keepdims=0), np.array([50]), out="top", axis=1)
    g.nodes[-1].output.append("places")
    places = g.add("Expand", g.add("Unsqueeze", "places", np.array([2])), np.array([1, 50, 4]))
    g.add("GatherElements", boxes, places, out="best", axis=1)
    return g.model(["best", "top"])


def suppressed_v7(g: Graph) -> Any:
    """Add YOLOv7's suppression (--include-nms): corners by a matrix product, and scores of classes times objects."""
    box, thing, classes = g.split("output", [4, 1, CLASSES], 2)
    matrix = np.array([[1, 0, 1, 0], [0, 1, 0, 1], [-0.5, 0, 0.5, 0], [0, -0.5, 0, 0.5]], np.float32)
    corners = g.add("MatMul", box, matrix)
    scores = g.add("Transpose", g.add("Mul", classes, thing), perm=[0, 2, 1])
    limits = (np.array([100]), np.array([0.35], np.float32), np.array([0.25], np.float32))
    selected = g.add("NonMaxSuppression", corners, scores, *limits)
    g.add("Gather", corners, g.add("Gather", selected, np.array(2), axis=1), axis=1, out="found")
    return g.model(["found"])


SSD_HEIGHT, SSD_WIDTH, SSD_CLASSES = 64, 96, 3  # without the background


def ssd_anchors() -> Array:
    """Return anchors (anchors, 4): centre x, centre y, width, height in pixels, two for each cell of two maps."""
    found = []
    for stride in (8, 16):
        y, x = np.mgrid[: SSD_HEIGHT // stride, : SSD_WIDTH // stride] + 0.5
        cells = np.stack([x.ravel(), y.ravel()], axis=1) * stride
        for cell in cells:
            found += [(*cell, 2.0 * stride, 2.0 * stride), (*cell, 3.0 * stride, 1.5 * stride)]
    return np.array(found, np.float32)


def ssd(g: Graph, x: str, *, channels: int = SSD_CLASSES + 1) -> tuple[str, str]:
    """Add codes (1, anchors, 4) and logits (1, anchors, channels) of two maps."""
    first, second, _ = g.maps(x)
    results = []
    for columns, seed in ((4, 40), (channels, 50)):
        rows = []
        for number, one in enumerate((first, second)):
            y = g.add("Conv", one, weights(2 * columns, 8, 1, 1, seed=seed + number))
            y = g.add("Reshape", y, np.array([1, 2, columns, *_cells_of(number)]))
            y = g.add("Transpose", y, perm=[0, 3, 4, 1, 2])
            rows.append(g.add("Reshape", y, np.array([1, -1, columns])))
        results.append(g.add("Concat", *rows, axis=1))
    return results[0], results[1]


def _cells_of(number: int) -> tuple[int, int]:
    stride = 8 << number
    return SSD_HEIGHT // stride, SSD_WIDTH // stride


def torchvision_ssd() -> Any:
    """Return an SSD as torch.onnx exports torchvision's: no batch, an unrolled loop over classes, boxes in pixels."""
    g = Graph()
    x = g.add("Sub", "images", np.float32([0.5, 0.4, 0.3]).reshape(3, 1, 1))
    x = g.add("Div", x, np.float32([0.2, 0.3, 0.25]).reshape(3, 1, 1))
    x = g.add("Unsqueeze", x, np.array([0]))
    x = g.add("Unsqueeze", g.add("Gather", x, np.array(0), axis=0), np.array([0]))
    codes, logits = ssd(g, x)
    scores = g.add("Softmax", logits, axis=-1)
    scores = g.add("Squeeze", scores, np.array([0]), out="scores")
    codes = g.add("Squeeze", codes, np.array([0]))
    anchors = ssd_anchors()
    numbers = [
        g.add("Div", g.add("Slice", codes, *(np.array([one]) for one in (i, 10000, 1, 4))), np.float32(v))
        for i, v in enumerate((10, 10, 5, 5))
    ]
    edges: list[list[str]] = [[], []]
    for axis in (0, 1):
        center = g.add("Add", g.add("Mul", numbers[axis], anchors[:, 2 + axis, None]), anchors[:, axis, None])
        size = g.add("Exp", g.add("Clip", numbers[2 + axis], "", np.float32(4.1)))
        half = g.add("Mul", np.float32(0.5), g.add("Mul", size, anchors[:, 2 + axis, None]))
        for side, kind in enumerate(("Sub", "Add")):
            limited = g.add("Max", g.add(kind, center, half), np.float32(0))
            limit = np.float32((SSD_WIDTH, SSD_HEIGHT)[axis])
            edges[side].append(g.add("Unsqueeze", g.add("Min", limited, limit), np.array([2])))
    both = [g.add("Concat", *pair, axis=2) for pair in edges]
    boxes = g.add("Flatten", g.add("Concat", *both, axis=2), out="boxes")
    kept_boxes, kept_scores = [], []
    for label in range(1, SSD_CLASSES + 1):
        score = g.add("Gather", scores, np.array(label), axis=1)
        enough = g.add("Greater", score, np.float32(0.01))
        kept_scores.append(
            g.add("GatherND", score, g.add("Transpose", g.add("NonZero", enough), perm=[1, 0]))
        )
        kept_boxes.append(g.add("GatherND", boxes, g.add("Transpose", g.add("NonZero", enough), perm=[1, 0])))
    boxes, scores = (g.add("Concat", *one, axis=0) for one in (kept_boxes, kept_scores))
    row = g.add("Unsqueeze", g.add("Unsqueeze", scores, np.array([0])), np.array([0]))
    limits = (np.array([1000]), np.array([0.45], np.float32))
    selected = g.add("NonMaxSuppression", g.add("Unsqueeze", boxes, np.array([0])), row, *limits)
    g.add("Gather", boxes, g.add("Gather", selected, np.array(2), axis=1), axis=0, out="found")
    return g.model(["found"], {"images": [3, SSD_HEIGHT, SSD_WIDTH]})


def tensorflow_ssd(*, best_only: bool = False) -> Any:
    """Return an SSD as converted from TensorFlow: corners with y first, as fractions, and a sigmoid for each class.

    With `best_only` there is no sigmoid: the scores are logits.
    """
    g = Graph()
    codes, logits = ssd(g, "images", channels=SSD_CLASSES)
    anchors = ssd_anchors() / (SSD_WIDTH, SSD_HEIGHT, SSD_WIDTH, SSD_HEIGHT)
    numbers = g.split(codes, [1, 1, 1, 1], 2)
    edges: list[list[str]] = [[], []]
    for place, axis in enumerate((1, 0)):
        center = g.add("Mul", numbers[place], np.float32(0.1) * anchors[None, :, 2 + axis, None])
        center = g.add("Add", center, anchors[None, :, axis, None])
        size = g.add("Exp", g.add("Mul", numbers[2 + place], np.float32(0.2)))
        half = g.add("Mul", size, anchors[None, :, 2 + axis, None] / 2)
        edges[0].append(g.add("Sub", center, half))
        edges[1].append(g.add("Add", center, half))
    g.add("Concat", *edges[0], *edges[1], axis=2, out="boxes")
    g.add("Transpose", logits if best_only else g.add("Sigmoid", logits), perm=[0, 2, 1], out="scores")
    limits = (np.array([7]), np.array([0.5], np.float32), np.array([0.4], np.float32))
    g.add("NonMaxSuppression", "boxes", "scores", *limits, out="selected")
    return g.model(["selected"])
