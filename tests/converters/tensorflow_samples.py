"""Samples of TensorFlow's operators that have settings; TensorFlow itself computes what they are compared with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import agreement
import numpy as np
from converters.setting_samples import Sample
from converters.tensorflow_writer import Graph, Type
from numpy.typing import NDArray

import mpscnn
from mpscnn import converters
from mpscnn.converters.reading.tensorflow.operators import ROWS
from mpscnn.converters.values.rows import schema_of

Array = NDArray[Any]
_DRAW = np.random.default_rng(11)
_X = _DRAW.uniform(-1, 1, (1, 8, 10, 8)).astype(np.float32)
_FLOAT, _INT = Type("float32"), Type("int32")
_WINDOWS = {"strides": [1, 2, 1, 1], "padding": "SAME"}
_EXPLICIT = {"strides": [1, 2, 1, 1], "padding": "EXPLICIT", "explicit_paddings": [0, 0, 1, 2, 0, 1, 0, 0]}


def _weights(*shape: int) -> Array:
    return _DRAW.normal(0, 0.5, shape).astype(np.float32)


def _positive(*shape: int) -> Array:
    return _DRAW.uniform(0.5, 1.5, shape).astype(np.float32)


def _integers(*numbers: int) -> Array:
    return np.array(numbers, np.int32)


class Node(NamedTuple):
    """A node: its operands after the image, or around it where one is None, its settings, and its types.

    Attributes:
        results: the ports of the results that are compared.
        counts: attributes that count operands or results. The row does not read them as settings.
    """

    kind: str
    operands: tuple[Array | None, ...]
    stated: Mapping[str, Any]
    types: Mapping[str, Type] = {"T": _FLOAT}
    results: tuple[int, ...] = (0,)
    counts: Mapping[str, int] = {}


_NORM = (None, _positive(8), _weights(8), _weights(8), _positive(8))
_REDUCING = {"T": _FLOAT, "Tidx": _INT}
_RESIZED = (None, _integers(11, 5))

NODES: dict[str, Node] = {
    "Conv2D": Node("Conv2D", (None, _weights(3, 2, 8, 5)), {**_WINDOWS, "dilations": [1, 1, 1, 1]}),
    "Conv2D, explicit": Node("Conv2D", (None, _weights(3, 2, 8, 5)), _EXPLICIT),
    "DepthwiseConv2dNative": Node(
        "DepthwiseConv2dNative",
        (None, _weights(3, 2, 8, 2)),
        {"strides": [1, 2, 2, 1], "padding": "VALID", "dilations": [1, 1, 1, 1]},
    ),
    "Conv2DBackpropInput": Node(
        "Conv2DBackpropInput",
        (_integers(1, 16, 10, 4), _weights(3, 2, 4, 8), None),
        {**_WINDOWS, "dilations": [1, 1, 1, 1]},
    ),
    "MaxPool": Node("MaxPool", (None,), {"ksize": [1, 3, 2, 1], **_WINDOWS}),
    "MaxPool, explicit": Node("MaxPool", (None,), {"ksize": [1, 3, 2, 1], **_EXPLICIT}),
    "MaxPoolWithArgmax": Node(
        "MaxPoolWithArgmax",
        (None,),
        {"ksize": [1, 3, 2, 1], **_WINDOWS, "include_batch_in_index": False},
        {"T": _FLOAT, "Targmax": Type("int64")},
    ),
    "AvgPool": Node("AvgPool", (None,), {"ksize": [1, 3, 2, 1], **_WINDOWS}),
    "BatchNormWithGlobalNormalization": Node(
        "BatchNormWithGlobalNormalization",
        (None, _weights(8), _positive(8), _weights(8), _positive(8)),
        {"variance_epsilon": 0.01, "scale_after_normalization": True},
    ),
    "BiasAdd": Node("BiasAdd", (None, _weights(8)), {"data_format": "NHWC"}),
    "FusedBatchNorm": Node("FusedBatchNorm", _NORM, {"epsilon": 0.01, "is_training": False}),
    "FusedBatchNormV3": Node(
        "FusedBatchNormV3", _NORM, {"epsilon": 0.01, "is_training": False}, {"T": _FLOAT, "U": _FLOAT}
    ),
    "LRN": Node("LRN", (None,), {"depth_radius": 2, "bias": 1.5, "alpha": 0.3, "beta": 0.7}),
    **{
        kind: Node(kind, (None, _integers(1, 2)), {"keep_dims": True}, _REDUCING)
        for kind in ("Max", "Mean", "Min", "Prod", "Sum")
    },
    "BatchMatMulV2": Node("BatchMatMulV2", (None, _weights(1, 8, 8, 10)), {"adj_x": False, "adj_y": False}),
    "BatchMatMulV2, transposed": Node(
        "BatchMatMulV2", (None, _weights(1, 8, 10, 8)), {"adj_x": False, "adj_y": True}
    ),
    "Cumsum": Node("Cumsum", (None, np.int32(2)), {"exclusive": True, "reverse": False}, _REDUCING),
    "LeakyRelu": Node("LeakyRelu", (None,), {"alpha": 0.3}),
    "DepthToSpace": Node("DepthToSpace", (None,), {"block_size": 2, "data_format": "NHWC"}),
    "SpaceToDepth": Node("SpaceToDepth", (None,), {"block_size": 2, "data_format": "NHWC"}),
    "GatherV2": Node(
        "GatherV2",
        (None, _integers(4, 0, 2), np.int32(2)),
        {"batch_dims": 0},
        {"Tparams": _FLOAT, "Tindices": _INT, "Taxis": _INT},
    ),
    "MirrorPad": Node(
        "MirrorPad",
        (None, np.array([[0, 0], [1, 2], [3, 0], [0, 0]], np.int32)),
        {"mode": "SYMMETRIC"},
        {"T": _FLOAT, "Tpaddings": _INT},
    ),
    "Pack": Node("Pack", (None, None), {"axis": 1}, counts={"N": 2}),
    "Unpack": Node("Unpack", (None,), {"axis": 2}, results=(0, 9), counts={"num": 10}),
    "Split": Node("Split", (np.int32(3), None), {"num_split": 2}, results=(1,)),
    **{
        kind: Node(kind, _RESIZED, {"align_corners": False, "half_pixel_centers": True})
        for kind in ("ResizeBicubic", "ResizeBilinear", "ResizeNearestNeighbor")
    },
    "StridedSlice": Node(
        "StridedSlice",
        (None, _integers(0, 1, 2, 1), _integers(2, 7, 9, 7), _integers(1, 2, 3, 1)),
        dict.fromkeys(("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"), 0),
        {"T": _FLOAT, "Index": _INT},
    ),
}


def message_of(node: Node, settings: Mapping[str, Any]) -> Any:
    """Return the message of a graph of one node. Its results are the nodes "y0", "y1", ...

    Raises LookupError if a setting is an operand.
    """
    if not settings.keys() <= schema_of(ROWS[node.kind]).settings.keys():
        raise LookupError("constants are operands of TensorFlow's graphs")
    graph = Graph()
    image = graph.placeholder(*_X.shape)
    operands = [image if one is None else graph.constant(one) for one in node.operands]
    values = {
        name: float(value) if isinstance(value, (int, float)) and name in _FLOATS else value
        for name, value in settings.items()
    }
    made = graph.node(node.kind, *operands, name="node", **node.types, **{**node.counts, **values})
    for place, port in enumerate(node.results):
        graph.node("Identity", f"{made}:{port}", name=f"y{place}", T=_FLOAT)
    return graph.message


_FLOATS = ("epsilon", "variance_epsilon", "alpha", "bias", "beta")


def tensorflow_samples(folder: Path) -> Iterator[Sample]:
    """Yield operators of TensorFlow as frozen graphs. Their engine needs the package tensorflow."""
    path = folder / "graph.pb"

    def read(made: Any) -> mpscnn.Network:
        path.write_bytes(made.SerializeToString())
        return converters.read_network([path])

    def ours(made: Any) -> list[Array]:
        return agreement.results(read(made), _X)

    for name, node in NODES.items():

        def write(settings: Mapping[str, Any], node: Node = node) -> Any:
            return message_of(node, settings)

        def theirs(made: Any, node: Node = node) -> list[Array]:
            import tensorflow as tf

            definition = tf.compat.v1.GraphDef.FromString(made.SerializeToString())
            with tf.Graph().as_default() as graph, tf.compat.v1.Session() as session:
                tf.import_graph_def(definition, name="")
                fetched = [f"y{place}:0" for place in range(len(node.results))]
                return [
                    np.asarray(one) for one in session.run(fetched, {graph.get_tensor_by_name("image:0"): _X})
                ]

        yield Sample(name, ROWS[node.kind], node.stated, write, read, ours, theirs)
