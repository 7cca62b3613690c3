"""Draw small TensorFlow graphs with one operator each, whose operands and settings are extreme."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from mpscnn.converters.reading.tensorflow.operators import ROWS
from mpscnn.converters.values.rows import schema_of

sys.path.append(str(Path(__file__).parent.parent))
from converters.tensorflow_writer import Graph, set_shape  # type: ignore[import-not-found]

KINDS = sorted(ROWS)
_INTEGERS = (0, 1, 2, 3, -1, 1 << 13, 1 << 20, 1 << 24, (1 << 31) - 1)
_IMAGES = (
    (1, 8, 8, 4),
    (-1, 8, 8, 4),
    (1, 1 << 12, 1 << 12, 3),
    (1, 4),
    (1, 1 << 24),
    (1, 1, 1 << 13, 1 << 11),
)
_WEIGHTS = ((4,), (3, 3, 4, 4), (4, 4), (1, 1, 4, 8))


def draw(kind: str, random: Random) -> Any:
    """Return the message of a graph with a node of a kind."""
    graph = Graph()
    image = graph.placeholder(*random.choice(_IMAGES))
    operands = [image] if random.random() < 0.8 else []
    operands += [_operand(graph, image, random) for _ in range(random.choice((0, 1, 1, 2, 2, 3, 4)))]
    settings = {
        "axis": random.choice(_INTEGERS),
        "num": random.choice((1, 4, 8, 1024)),
        "num_split": random.choice((1, 2, 4, 1024)),
        "strides": [1, random.choice((1, 2, 1 << 20)), 1, 1],
        "ksize": [1, random.choice((1, 2, 1 << 13)), 2, 1],
        "padding": random.choice(("SAME", "VALID")),
        "block_size": random.choice((1, 2, 4, 1 << 13)),
        "depth_radius": random.choice((1, 5, 1 << 20)),
    }
    schema = schema_of(ROWS[kind])
    known = {name: settings[name] for name in settings if name in schema.settings or schema.passes_on}
    most = None if schema.operands and schema.operands[-1].is_rest else len(schema.operands)
    graph.node(kind, *operands[:most], name="extreme", **known)
    graph.node("Relu", "extreme", name="result")
    return graph.message


def _operand(graph: Any, image: str, random: Random) -> str:
    form = random.choice(("image", "integers", "integer", "filled", "weights"))
    if form == "image":
        return image
    if form == "integers":
        count = random.choice((1, 2, 3, 4, 4))
        return str(graph.constant(np.array([random.choice(_INTEGERS) for _ in range(count)], np.int32)))
    if form == "integer":
        return str(graph.constant(np.int32(random.choice(_INTEGERS))))
    if form == "weights":
        return str(graph.constant(np.ones(random.choice(_WEIGHTS), np.float32)))
    made = str(graph.constant(np.float32(0.5)))  # one number, which stands for all elements of the shape
    (value,) = (entry.value for entry in graph.message.node[-1].attr if entry.key == "value")
    extents = (3, 4, 8, 1 << 11, 1 << 13, 1 << 22)
    value.tensor.ClearField("tensor_content")
    value.tensor.float_val.append(0.5)
    set_shape(value.tensor.tensor_shape, [random.choice(extents) for _ in range(random.choice((1, 2, 4)))])
    return made


def draws(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Yield `count` files for each operator, with their names."""
    for kind in KINDS:
        for number in range(count):
            made = draw(kind, Random(f"{kind}/{seed}/{number}"))
            yield f"{kind}-{seed}-{number}", bytes(made.SerializeToString())
