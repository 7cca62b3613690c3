"""Recognise detectors and set their outputs to boxes and scores.

These are YOLO networks, whose output is one tensor of boxes and classes, and files that end with non-maximum
suppression (NMS), which reads boxes and scores. The file's decoding of boxes stays in the network. The meaning of a
box's four numbers (two corners, or a centre and a size; x or y first) is found by running the network on one image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.finishing.metadata_entries import ultralytics_names
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.onnx.box_form import find_box_form
from mpscnn.converters.reading.onnx.completion import complete
from mpscnn.converters.reading.onnx.context import Context
from mpscnn.converters.reading.onnx.conversion import compute
from mpscnn.converters.reading.onnx.detection_details import (
    Details,
    Keypoints,
    Masks,
    details_of,
    joined_parts,
)
from mpscnn.converters.reading.onnx.detector_postprocess import SUPPRESSION, PostProcessing
from mpscnn.converters.values.layout import Arranged, Axis
from mpscnn.converters.values.layout_pass import image_rows
from mpscnn.errors import Error
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network
from mpscnn.vision.detector import DetectionHead

# The strides of YOLO's output maps: the pixels of the image for each cell.
_STRIDES = ((8, 16, 32), (16, 32), (8, 16, 32, 64), (4, 8, 16, 32))
_ANCHORS = 3  # the boxes of each cell, in networks with anchors
_LETTERBOX = {"fit": "letterbox", "filter": "bilinear", "letterbox_value": 114.0, "scale": [1.0 / 255.0] * 3}
# The default settings of the programs that are distributed with YOLO networks, with and without anchors.
_WITH_ANCHORS = {"iou_threshold": 0.45, "score_threshold": 0.25, "max_per_class": 300, "max_detections": 300}
_WITHOUT_ANCHORS = _WITH_ANCHORS | {"iou_threshold": 0.7}
_MAX_BOXES = 1000  # a larger limit in a file means that all boxes are kept
# Limits for running the network on one image: no such network needs this much, but a malicious file might. Each is an
# amount for every file, and one for each of its bytes, but at most a third amount.
_OPERATIONS = 10**9, 10_000, 10**12
_MEMORY = 1 << 28, 32, 1 << 31
_PIXELS = 1 << 22, 4, 1 << 24
_MIN_SCORE = 1e-6  # the minimum score threshold


@dataclass
class Heads:
    """The boxes and scores of a detector before suppression.

    Attributes:
        boxes: the tensor with four numbers for each box.
        scores: the tensor with a score for each box and class.
        suppression: the settings of the non-maximum suppression.
        background: whether the first column of the scores is not a class.
        number_axis: the axis of `boxes` that has the four numbers.
        class_axis: the axis of `scores` that has the classes.
        centers: (boxes, 2) centres of the cells in fractions of the image, if they are known.
        corners: whether boxes are two corners, and not a centre and a size; None: the file does not say.
        letterboxed: whether the network takes photos with YOLO's preprocessing (letterbox, divided by 255).
        details: what the network computes of each object besides its box; None: nothing.
    """

    boxes: Arranged
    scores: Arranged
    suppression: dict[str, Any]
    background: bool = False
    number_axis: int = -1
    class_axis: int = -1
    centers: NDArray[np.float64] | None = None
    corners: bool | None = None
    letterboxed: bool = False
    details: Details | None = None


def mark_detection(c: Context, processing: PostProcessing, names: Sequence[str], reasons: list[str]) -> bool:
    """Make boxes and scores the network's outputs. Returns False if these tensors are not boxes and scores.

    If they look like boxes and scores, but their meaning cannot be found, a sentence about that is added to `reasons`.
    """
    if not _takes_one_image(c) or any(name not in c.values for name in names):
        return False
    # The post-processing (the nodes after boxes and scores) has its settings in constants.
    for node in c.file.nodes:
        if not any(node.inputs) and not c.is_constant(node.outputs[0]):
            compute(c.constants, node)
    prototypes = names[1] if len(names) == 2 and c.values[names[1]].rank == 4 else None
    is_one = len(names) == 1 or prototypes is not None
    heads = _yolo(c, processing, names[0], prototypes) if is_one else _boxes_and_scores(c, processing, names)
    if heads is not None and _mark(c, heads):
        return True
    if heads is not None or (is_one and _looks_like_cells(c, names[0])):
        reasons.append(_unknown_note(names))
    return False


def unknown_boxes_note(c: Context, names: Sequence[str]) -> str | None:
    """Return a note that names the outputs that look like a detector's boxes and scores; None if none does.

    This is for files with more outputs than boxes and scores, such as masks.
    """
    found = [
        name for name in names if name in c.values and _takes_one_image(c) and _looks_like_cells(c, name)
    ]
    return _unknown_note(found) if found else None


def _unknown_note(names: Sequence[str]) -> str:
    return (
        f"{', '.join(map(quote_name, names))} look like the boxes and scores of a detector, but what their numbers "
        "mean could not be found, and they stay unchanged: give --detection (`mpscnn convert --help`)"
    )


def _takes_one_image(c: Context) -> bool:
    """Return True if the only input is an image of a fixed size, grey or in colour."""
    image = c.network.inputs[0].shape
    return len(c.network.inputs) == 1 and len(image) == 4 and None not in image[1:] and image[-1] in (1, 3)


def _looks_like_cells(c: Context, name: str) -> bool:
    """Return True if the number of rows or columns of a tensor is that of YOLO's boxes."""
    shape = c.values[name].shape
    return len(shape) == 3 and any(_centers(c, one or 0, 1, _ANCHORS) is not None for one in shape[1:])


# ---- YOLO ----------------------------------------------------------------------------------------------------------


def _yolo(c: Context, processing: PostProcessing, name: str, prototypes: str | None) -> Heads | None:
    """Return the boxes and scores of a YOLO output; None for other tensors.

    Its shape is (n, 4 + classes, cells) without anchors, or (n, boxes, 4 + 1 + classes) with anchors, where the fifth
    number is the probability of an object. More columns after the classes have `details`: with anchors, coefficients
    of masks only.
    """
    node, value = c.file.makers.get(name), c.values[name]
    if not ops.matches(node, ops.concatenate) or value.rank != 3 or None in value.shape[1:]:
        return None
    first, second = (extent or 0 for extent in value.shape[1:])
    c.naming.begin(node)
    if (
        first > 4
        and (centers := _centers(c, second, 1)) is not None
        and (count := _classes(c, processing, parts := joined_parts(c, node)))
    ):
        boxes, classes = value.slice_axis(1, range(4)), value.slice_axis(1, range(4, 4 + count))
        details = None
        if first > 4 + count or prototypes is not None:
            more = value.slice_axis(1, range(4 + count, first))
            details = details_of(c, processing, parts, more, 1, prototypes)
            if details is None:
                return None
        chosen_by_network = bool(processing.nodes) and not processing.suppressions
        suppression = _WITHOUT_ANCHORS | ({"iou_threshold": 1.0} if chosen_by_network else {})
        heads = Heads(
            boxes, classes, suppression, number_axis=1, class_axis=1, letterboxed=True, details=details
        )
    elif (end := second - _masks(c, prototypes)) > 5 and (
        centers := _centers(c, first, _ANCHORS, 1)
    ) is not None:
        boxes, objects = value.slice_axis(2, range(4)), value.slice_axis(2, range(4, 5))
        scores = value.slice_axis(2, range(5, end)).combine("multiply", objects, "/scores")
        has_anchors = _centers(c, first, 1) is None
        details = None
        if prototypes is not None:
            details = Masks(value.slice_axis(2, range(end, second)), 2, c.values[prototypes])
        heads = Heads(boxes, scores, dict(_WITH_ANCHORS), letterboxed=has_anchors, details=details)
    else:
        return None
    heads.centers = centers
    heads.suppression |= _stated_limits(c, processing)
    return heads


def _masks(c: Context, prototypes: str | None) -> int:
    """Return the number of coefficients of an object's mask, which is that of the prototypes."""
    return 0 if prototypes is None else c.values[prototypes].shape[1] or 0


def _centers(c: Context, count: int, *anchors: int) -> NDArray[np.float64] | None:
    """Return the centres of YOLO's cells in fractions of the image; None if `count` is not YOLO's number of boxes.

    `anchors` has the numbers of boxes for each cell to try.
    """
    height, width, _ = (extent or 0 for extent in c.network.inputs[0].shape[1:])
    if height * width > _PIXELS[-1]:
        return None
    for boxes in anchors:
        for strides in _STRIDES:
            maps = [(-(-height // stride), -(-width // stride)) for stride in strides]
            if boxes * sum(rows * columns for rows, columns in maps) == count:
                return np.concatenate([np.tile(_grid(*one), (boxes, 1)) for one in maps])
    return None


def _grid(rows: int, columns: int) -> NDArray[np.float64]:
    y, x = np.mgrid[:rows, :columns] + 0.5
    centers: NDArray[np.float64] = np.stack([x.ravel() / columns, y.ravel() / rows], axis=1)
    return centers


def _classes(c: Context, processing: PostProcessing, parts: Sequence[str]) -> int:
    """Return the number of classes if these tensors are boxes, class probabilities and maybe more; otherwise 0."""
    if len(parts) < 2 or any(name not in c.values for name in parts[:2]) or c.values[parts[0]].shape[1] != 4:
        return 0
    maker = c.file.makers.get(processing.unmoved(parts[1]))
    return (c.values[parts[1]].shape[1] or 0) if ops.matches(maker, ops.sigmoid) else 0


def undecoded_note(network: Network) -> str | None:
    """Return a note if the outputs look like YOLO's maps before decoding to boxes; otherwise None."""
    shapes = [output.shape[1:] for output in network.outputs]
    image = network.inputs[0].shape[1:]
    if len(network.inputs) != 1 or len(image) != 3 or None in image or any(len(one) < 3 for one in shapes):
        return None
    numbers = {shape[-1] if len(shape) == 4 else (shape[-1] or 1) / _ANCHORS for shape in shapes}
    found = {shape[-3:-1] for shape in shapes}
    fits = any(
        found == {tuple(-(-(side or 0) // stride) for side in image[:2]) for stride in strides}
        for strides in _STRIDES
    )
    number = numbers.pop() or 0
    if not fits or len(found) != len(shapes) or numbers or number != int(number) or number < 6:
        return None
    return (
        "its outputs look like maps of a YOLO that are not decoded, and stay as they are: the sizes of its anchors are "
        "not in the file. Export it with its decoding to get boxes"
    )


# ---- Boxes and scores of a suppression -----------------------------------------------------------------------------


def _boxes_and_scores(c: Context, processing: PostProcessing, names: Sequence[str]) -> Heads | None:
    """Find which of two tensors has four numbers for each box, and which has a score for each class."""
    if not processing.suppressions or len(names) != 2:
        return None
    fitting = []
    for name, other in (names, names[::-1]):
        boxes, scores = c.values[name], c.values[other]
        extents = [extent for extent in _own_extents(boxes) if extent != 1]
        background = _leaves_out_background(c, processing, other, scores)
        if extents[1:] == [4] and extents[0] in _own_extents(scores) and background is not None:
            fitting.append((boxes, scores, extents[0], background))
    if len(fitting) != 1:
        return None
    boxes, scores, count, background = fitting[0]
    of_boxes = max(axis for axis in range(scores.rank) if _extent(scores, axis) == count)
    others = [axis for axis in range(scores.rank) if axis != of_boxes and _extent(scores, axis) != 1]
    free = [axis for axis in range(scores.rank) if axis != of_boxes and not _has_batch(scores, axis)]
    if not (others or free) or len(others) > 1:
        return None
    suppression = {"max_per_class": 100, "max_detections": 100} | _stated_limits(c, processing)
    return Heads(
        boxes,
        scores,
        suppression,
        background,
        class_axis=(others or free)[-1],
        corners=_in_corners(processing),
    )


def _in_corners(processing: PostProcessing) -> bool:
    return not any(
        node.flag("center_point_box", default=False) or node.integer("box_coding", 0)
        for node in processing.suppressions
    )


def _leaves_out_background(
    c: Context, processing: PostProcessing, name: str, scores: Arranged
) -> bool | None:
    """Return True if the nodes after the scores read all classes but the first, and False if they read all.

    Return None if this cannot be told.
    """
    if any(
        processing.unmoved(node.inputs[1]) == processing.unmoved(name) for node in processing.suppressions
    ):
        return False
    users = c.users(name)
    numbers = []
    for node in users:
        is_gather = ops.matches(node, ops.gather) and len(node.inputs) == 2
        index = c.constants.find(node.inputs[1]) if is_gather else None
        if index is None or index.low.size != 1 or scores.axis(node.integer("axis", 0)) != scores.rank - 1:
            return None
        numbers.append(int(index.low.reshape(-1)[0]))
    columns = scores.shape[-1] or 0
    taken = sorted(set(numbers))
    if taken == list(range(1, columns)):
        return True
    return False if taken == list(range(columns)) else None


def _own_extents(value: Arranged) -> list[int | None]:
    return [_extent(value, axis) for axis in range(value.rank)]


def _extent(value: Arranged, axis: int) -> int | None:
    """Return the extent of an axis without the batch; None if it is free."""
    extent = 1
    for atom in value.axes[axis]:
        if atom.is_batch:
            continue
        if atom.extent is None:
            return None
        extent *= atom.extent
    return extent


def _has_batch(value: Arranged, axis: int) -> bool:
    return any(atom.is_batch for atom in value.axes[axis])


def _stated_limits(c: Context, processing: PostProcessing) -> dict[str, Any]:
    """Return the settings of the file's suppression that are constant."""
    limits: dict[str, Any] = {}
    for node in processing.suppressions:
        if node.kind != SUPPRESSION:
            iou, score = node.number("iou_threshold", 0.0), node.number("score_threshold", 0.0)
        else:
            iou, score = (_constant(c, node.input(place)) for place in (3, 4))
        # ONNX removes a box whose overlap is above the limit, and a box whose score is not above its limit.
        if 0.0 < iou <= 1.0:
            limits["iou_threshold"] = iou
        if 0.0 < score <= 1.0:
            limits["score_threshold"] = score
        max_boxes = _constant(c, node.input(2)) if node.kind == SUPPRESSION else 0.0
        if 1.0 <= max_boxes <= _MAX_BOXES:
            limits["max_per_class"] = limits["max_detections"] = int(max_boxes)
    if "score_threshold" not in limits:
        comparisons = (ops.greater, ops.greater_or_equal)
        compared = [_constant(c, node.input(1)) for node in c.file.nodes if ops.matches(node, *comparisons)]
        stated = {one for one in compared if 0.0 < one <= 1.0}
        if len(stated) == 1:
            limits["score_threshold"] = max(stated.pop(), _MIN_SCORE)
    return limits


def _constant(c: Context, name: str | None) -> float:
    """Return the number of a constant tensor; 0 if the tensor is not one constant number."""
    constant = c.constants.find(name) if name else None
    if constant is None or constant.low.size != 1 or constant.low.dtype.kind not in "fiu":
        return 0.0
    return float(constant.low.reshape(-1)[0])


# ---- Outputs -------------------------------------------------------------------------------------------------------


def _mark(c: Context, heads: Heads) -> bool:
    boxes, edges = _edges(c, heads)
    scores = _rows(c, heads.scores, heads.class_axis)
    if boxes.shape[1] != scores.shape[1]:
        return False
    details = heads.details
    more = [] if details is None else details.add(c, _table(c, details.columns, details.axis))
    for tensor in (boxes, scores, *more):
        c.network.output(tensor)
    complete(c)
    form = _form(c, heads)
    if form is None:
        return False
    _, height, width, _ = c.network.inputs[0].shape
    weight, description = form
    boxes, scores, *more = c.network.outputs
    c.weights.set(c.naming.planned.final_of(edges), "weight", weight.reshape(4, 1, 1, 4))
    c.network.detection = DetectionHead(
        {
            "version": 1,
            "boxes": {"output": boxes.name, "order": "xy"},
            "scores": {"output": scores.name, "kind": "probability", "background": heads.background},
            "anchors": {"rule": "none"},
            "suppression": heads.suppression,
            **(details.settings([tensor.name for tensor in more]) if details is not None else {}),
        }
    )
    if isinstance(details, Keypoints):
        details.set_weights(c, (float(weight[0, 0]), float(weight[1, 1])))
    if details is not None:
        c.notes.append(f"it computes {details.what} of the objects, too")
    c.network.labels = ultralytics_names(c.file.metadata)
    c.notes.append(f"a detector: its boxes are read as {description} of {width}x{height}")
    if heads.letterboxed and c.network.inputs[0].shape[-1] == 3:
        c.network.preprocess = dict(_LETTERBOX)
        c.notes.append(
            "photos become its input as YOLO's do, which the file does not say: letterboxed, divided by 255"
        )
    return True


def _edges(c: Context, heads: Heads) -> tuple[Tensor, str]:
    """Add a pointwise convolution that computes a box's edges from its four numbers.

    Its weights are the identity until the meaning of the numbers is found. Returns the boxes, and the layer's name.
    """
    rows, numbers = _two_axes(heads.boxes, heads.number_axis)
    image = c.arranger.physical(heads.boxes, (*image_rows(rows), numbers))
    name = c.naming.planned.unique("edges")
    y = c.network.conv2d(image, 4, 1, name=name)
    c.weights.set(name, "weight", np.eye(4).reshape(4, 1, 1, 4))
    return c.network.reshape(y, (-1, 4), name=c.naming.planned.unique("boxes")), name


def _rows(c: Context, value: Arranged, column_axis: int) -> Tensor:
    """Return scores as a tensor (n, boxes, columns)."""
    return c.network.activation(
        _table(c, value, column_axis), {"kind": "none"}, name=c.naming.planned.unique("scores")
    )


def _table(c: Context, value: Arranged, column_axis: int) -> Tensor:
    """Return the value as a tensor (n, boxes, columns)."""
    return c.arranger.physical(value, _two_axes(value, column_axis))


def _two_axes(value: Arranged, column_axis: int) -> tuple[Axis, Axis]:
    """Return the atoms of the axis of boxes, and those of the axis with the numbers of each box."""
    columns = value.axis(column_axis)
    own = [tuple(atom for atom in axis if not atom.is_batch) for axis in value.axes]
    rows = tuple(atom for place, axis in enumerate(own) if place != columns for atom in axis)
    return rows, own[columns]


def _allowed(c: Context, limits: tuple[int, int, int]) -> int:
    """Return the limit for a file of this size."""
    free, per_byte, maximum = limits
    return min(free + per_byte * c.file.bytes_with_external, maximum)


def _form(c: Context, heads: Heads) -> tuple[NDArray[np.float64], str] | None:
    """Find the matrix that computes a box's edges from its numbers, by running the network on one image.

    Returns the matrix and a description; None if it is not found.
    """
    height, width, channels = (extent or 1 for extent in c.network.inputs[0].shape[1:])
    operations = sum(layer["flops"] for layer in c.network.describe()["layers"])
    if operations > _allowed(c, _OPERATIONS) or height * width > _allowed(c, _PIXELS):
        return None
    image = np.random.default_rng(0).random((1, height, width, channels), np.float32)
    try:
        program = c.network.compile(device="cpu", precision="float32", max_memory=_allowed(c, _MEMORY))
        results = program.session(threads=1).run(image)
    except Error:
        return None
    if not isinstance(results, dict):
        return None
    numbers, scores, *more = (one[0].astype(np.float64) for one in results.values())
    if heads.details is not None and not heads.details.fits(more[0]):
        return None
    return find_box_form(numbers, scores, (height, width), heads.centers, heads.corners)
