"""Find the post-processing in a detector's file (NMS, top k) and the tensors that it reads."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence

from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.onnx.file import OnnxFile
from mpscnn.converters.reading.onnx.node import Node

SUPPRESSION = "NonMaxSuppression"
"""ONNX' own suppression, whose settings are operands. The vocabulary has none, since no network has such a layer."""

SUPPRESSIONS = frozenset(
    {
        SUPPRESSION,
        *(
            f"{domain}.{kind}"
            for domain in ("TRT", "trt.plugins", "mmdeploy")
            for kind in ("EfficientNMS_TRT", "BatchedNMS_TRT", "BatchedNMSDynamic_TRT", SUPPRESSION)
        ),
    }
)
# Operators that select boxes, besides the largest ones. The shape of their result depends on the content of the image.
_SELECTIONS = SUPPRESSIONS | {"NonZero"}
# The maximum number of outputs of a YOLO file: the boxes, and the maps that they are computed from.
_MAX_OUTPUTS = 8
# Operators whose result has the elements of their first operand.
_MOVES = (ops.cast, ops.flatten, ops.identity, ops.reshape, ops.squeeze, ops.transpose, ops.unsqueeze)


def required_nodes(file: OnnxFile, wanted: Sequence[str]) -> list[Node]:
    """Return the nodes that some tensors depend on."""
    names = set(wanted)
    nodes = []
    for node in reversed(file.nodes):
        if not names.isdisjoint(node.outputs):
            nodes.append(node)
            names.update(node.inputs)
    return nodes[::-1]


class PostProcessing:
    """The post-processing of a file: the nodes that select boxes (NMS, TopK, NonZero), and all nodes after them.

    Args:
        file: the file.
        wanted: the names of its outputs.
    """

    def __init__(self, file: OnnxFile, wanted: Sequence[str]) -> None:
        self._file = file
        self._computed = _computed(file)
        self._position = {
            name: place for place, node in enumerate(file.nodes) for name in node.outputs if name
        }
        nodes = required_nodes(file, wanted)
        self.made: set[str] = set()
        self.nodes: list[Node] = []
        for node in nodes:
            selects = node.kind in _SELECTIONS or ops.matches(node, ops.top_k)
            if selects or not self.made.isdisjoint(node.inputs):
                self.nodes.append(node)
                self.made.update(filter(None, node.outputs))
        self.suppressions = [node for node in self.nodes if node.kind in SUPPRESSIONS]

    def front(self) -> list[str]:
        """Return the computed tensors that the post-processing reads."""
        read = dict.fromkeys(name for node in self.nodes for name in node.inputs)
        return [name for name in read if name in self._computed and name not in self.made]

    def narrow_places(self, front: Sequence[str]) -> Iterator[list[str]]:
        """Yield sets of one or two tensors from which all tensors in `front` can be computed.

        The search goes from the end of the graph to its beginning. It yields the first pair, and then single tensors.
        """
        waiting = {name: -self._position.get(name, -1) for name in front if name in self._computed}
        queue = [(place, name) for name, place in waiting.items()]
        heapq.heapify(queue)
        told = 3
        while queue:
            if len(queue) == 1 or len(queue) == 2 < told:
                told = len(queue)
                yield sorted(waiting, key=self._place)
            _, name = heapq.heappop(queue)
            del waiting[name]
            maker = self._file.makers.get(name)
            for given in maker.inputs if maker else ():
                if given in self._computed and given not in waiting:
                    waiting[given] = -self._place(given)
                    heapq.heappush(queue, (waiting[given], given))

    def unmoved(self, name: str) -> str:
        """Return the tensor with the same elements before all reshapes, transpositions and casts."""
        makers = self._file.makers
        while ops.matches(maker := makers.get(name), *_MOVES) and maker.inputs:
            name = maker.inputs[0]
        return name

    def leads_to(self, names: Sequence[str], name: str) -> bool:
        """Return True if the tensor `name` depends on all of `names`."""
        before = {one for node in required_nodes(self._file, [name]) for one in node.outputs}
        return all(one in before for one in names)

    def _place(self, name: str) -> int:
        return self._position.get(name, -1)


def candidates(processing: PostProcessing, file: OnnxFile, wanted: Sequence[str]) -> list[list[str]]:
    """Return candidates for a detector's outputs: one tensor of boxes and classes, or a pair of boxes and scores."""
    if not processing.nodes and len(wanted) <= _MAX_OUTPUTS:
        names = [processing.unmoved(name) for name in wanted]
        joined = [name for name in dict.fromkeys(names) if _is_joined(file, name)]
        ends = [[name] for name in joined if processing.leads_to(names, name)]
        return (ends or _with_prototypes(processing, names, joined))[:1]
    found: list[list[str]] = []
    for names in processing.narrow_places(processing.front()):
        if len(names) == 1 and not _is_joined(file, names[0]):
            continue
        found.append(names)
        if len(names) == 1:
            found = [*_with_prototypes(processing, [*names, *wanted], names), *found]
            break
    return sorted(found, key=len)


def _with_prototypes(
    processing: PostProcessing, names: Sequence[str], joined: Sequence[str]
) -> list[list[str]]:
    """Return pairs of a joined tensor and the only other tensor that it does not depend on: prototypes of masks."""
    pairs = []
    for name in joined:
        others = [one for one in names if one not in processing.made and not processing.leads_to([one], name)]
        if len(others) == 1:
            pairs.append([name, others[0]])
    return pairs


def _is_joined(file: OnnxFile, name: str) -> bool:
    return ops.matches(file.makers.get(name), ops.concatenate)


def _computed(file: OnnxFile) -> set[str]:
    """Return all tensors that depend on the elements of the inputs, not only on their shapes."""
    names = {described.name for described in file.inputs}
    for node in file.nodes:
        is_shape = ops.matches(node, ops.extents, ops.number_of_elements)
        if not is_shape and not names.isdisjoint(node.inputs):
            names.update(filter(None, node.outputs))
    return names
