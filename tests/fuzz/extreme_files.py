"""Draw small ONNX files with one operator each, whose operands and settings are extreme.

The walk over all operators asks what a small file may cost: huge and empty shapes, many axes, constants that one number
fills, and settings at the limits of their types.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import onnx

from mpscnn.converters.reading.onnx.node import OwnKind
from mpscnn.converters.reading.onnx.operators import ROWS, ROWS_OF_CONSTANTS

sys.path.append(str(Path(__file__).parent.parent))
from converters.onnx_files import filled, node  # type: ignore[import-not-found]

OPSET = 24
# Extents of the input: channels, height and width.
_WORLDS = (
    (1 << 13, 1, 1),
    (1 << 24, 1, 1),
    (1 << 13, 1 << 11, 1),
    (3, 1 << 12, 1 << 12),
    (1 << 7, 1 << 8, 1 << 8),
    (2, 1 << 14, 3),
    (4, 6, 6),
)
_INTEGERS = (0, 1, -1, 2, 3, 1 << 13, 1 << 20, 1 << 24, (1 << 31) - 1, 1 << 62, -(1 << 63))
_FLOATS = (0.0, 1.0, 0.5, -1.0, 1e38, float("nan"), float("inf"))
_TYPES = {
    "tensor(float)": np.float32,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
}
KINDS = sorted(kind for kind in {*ROWS, *ROWS_OF_CONSTANTS} - {"Upsample"} if not isinstance(kind, OwnKind))


def draw(kind: str, random: Random) -> bytes:
    """Return a file with a node of a kind, after nodes that fill its constant operands."""
    schema = onnx.defs.get_schema(kind, OPSET)
    channels, height, width = random.choice(_WORLDS)
    image = random.choice(
        [(1, channels, height, width), (1, channels, height), (1, channels), (channels, 1, height)]
    )
    extents = [1, 2, 3, channels, height, width, 4 * channels]
    nodes: list[Any] = []
    constants: dict[str, Any] = {}
    names: list[str] = []
    folds = kind in ROWS_OF_CONSTANTS and random.random() < 0.4
    for place in range(_count(schema, random)):
        given = schema.inputs[min(place, len(schema.inputs) - 1)]
        if place >= schema.min_input and random.random() < 0.4:
            names.append("")
        elif (place == 0 and not folds) or random.random() < 0.1:
            names.append("x")
        else:
            names.append(f"c{place}")
            dtype = _dtype(given, schema, random)
            _add_constant(nodes, constants, names[-1], dtype, extents, image, random)
    while names and not names[-1]:
        names.pop()
    settings = {
        name: value
        for name, attribute in schema.attributes.items()
        if attribute.required or random.random() < 0.4
        if (value := _setting(attribute, extents, random)) is not None
    }
    results = [f"y{place}" for place in range(max(schema.min_output, random.choice((1, 1, 2, 16))))]
    if len(schema.outputs) == len(results) or schema.max_output >= len(results):
        nodes.append(node(kind, names, results, **settings))
    else:
        nodes.append(node(kind, names, results[:1], **settings))
    if folds:
        nodes.append(
            node(random.choice(("Add", "Mul", "Where", "Gather")), ["x", nodes[-1].output[0]], "y0r")
        )
    return _file(nodes, constants, image, nodes[-1].output[0])


def _count(schema: Any, random: Random) -> int:
    return int(min(max(schema.min_input, random.randint(1, 4)), schema.max_input, 8)) if schema.inputs else 0


def _dtype(given: Any, schema: Any, random: Random) -> type[np.generic]:
    allowed = next(
        (one.allowed_type_strs for one in schema.type_constraints if one.type_param_str == given.type_str),
        [given.type_str],
    )
    return random.choice([_TYPES[one] for one in allowed if one in _TYPES] or [np.float32])


def _add_constant(
    nodes: list[Any],
    constants: dict[str, Any],
    name: str,
    dtype: type[np.generic],
    extents: Sequence[int],
    image: Sequence[int],
    random: Random,
) -> None:
    """Add a constant: a few numbers, one number at every place, or one that varies along some axes of a large shape."""
    number = random.choice(_INTEGERS if np.dtype(dtype).kind in "iu" else _FLOATS)
    with np.errstate(all="ignore"):
        value = np.array(number if np.dtype(dtype).kind == "f" else int(np.nan_to_num(number)) % 128).astype(
            dtype
        )
        if np.dtype(dtype) == np.int64 and random.random() < 0.3:
            value = np.array(number, np.int64)
    shape = [random.choice(extents) for _ in range(random.choice((0, 1, 1, 2, 2, 3, 4)))]
    form = random.choice(("few", "few", "filled", "filled", "image", "varying", "empty", "axes"))
    if form == "few":
        count = random.choice((0, 1, 1, 2, 3, 4, 8))
        values = [random.choice(_INTEGERS[:6]) for _ in range(count)]
        constants[name] = np.array(values if count else values[0:1]).astype(dtype)
        return
    if form == "empty":
        constants[name] = (
            np.zeros([*shape, 0], dtype) if np.prod(shape, dtype=object) < 100 else np.zeros(0, dtype)
        )
        return
    if form == "image":
        shape = list(image)
    if form == "axes":
        shape = [1] * random.choice((8, 33, 60)) + shape[:1]
    made, held = filled(name, shape, value[()])
    if form == "varying":
        nodes += [node("Range", [f"{name}.a", f"{name}.b", f"{name}.s"], f"{name}.r")]
        constants |= {
            f"{name}.a": dtype(0),
            f"{name}.b": dtype(min(shape[-1] if shape else 1, 100)),
            f"{name}.s": dtype(1),
        }
        nodes += [node("Expand", [f"{name}.r", f"{name}.e"], name)]
        constants[f"{name}.e"] = np.array([*shape[:-1], 1], np.int64)
        return
    nodes.append(made)
    constants |= held


def _setting(attribute: Any, extents: Sequence[int], random: Random) -> Any:
    kinds = onnx.AttributeProto
    kind = getattr(attribute.type, "value", attribute.type)
    integers = (*_INTEGERS, *extents)
    if kind == kinds.INT:
        return random.choice((0, 1, 1, 2, *integers))
    if kind == kinds.FLOAT:
        return random.choice(_FLOATS)
    if kind == kinds.INTS:
        return [
            random.choice((1, 1, 1, 2, 0, *integers)) for _ in range(random.choice((1, 2, 2, 3, 4, 4, 8)))
        ]
    if kind == kinds.FLOATS:
        return [random.choice(_FLOATS) for _ in range(random.choice((1, 2, 4)))]
    texts = {"mode": ("linear", "cubic", "nearest", "constant", "reflect", "edge", "wrap", "DCR", "CRD")}
    if kind == kinds.STRING and attribute.name in texts:
        return random.choice(texts[attribute.name])
    if kind == kinds.STRING and attribute.name == "direction":
        return random.choice(("forward", "reverse", "bidirectional"))
    if kind == kinds.STRING and attribute.name == "equation":
        return random.choice(("abc,cd->abd", "abcd,cd->abc", "ab,b->a", "abc,dc->abd"))
    return None


def _file(nodes: list[Any], constants: dict[str, Any], image: Sequence[int], output: str) -> bytes:
    helper = onnx.helper
    graph = helper.make_graph(
        nodes,
        "extreme",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, image)],
        [onnx.ValueInfoProto(name=output)],
        [onnx.numpy_helper.from_array(np.asarray(values), name) for name, values in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    return bytes(made.SerializeToString())


# ---- Examples of ONNX ----------------------------------------------------------------------------------------------

_LARGE = (1 << 13, 1 << 20, 1 << 24)
_FEW = 16  # constants with at most this many elements keep them


def examples() -> Iterator[tuple[str, Any, Sequence[Any]]]:
    """Yield the name, the model and the inputs of each example of an operator in the package onnx."""
    from onnx.backend.test.case.node import collect_testcases

    for case in collect_testcases(None):
        assert case.model is not None
        assert case.data_sets is not None
        graph = case.model.graph
        if len(graph.node) == 1 and graph.node[0].op_type in KINDS and len(graph.input):
            inputs = [value for value in case.data_sets[0][0] if isinstance(value, np.ndarray)]
            if len(inputs) == len(graph.input):
                yield case.name, case.model, inputs


def enlarged(given: Any, inputs: Sequence[Any], old: int, new: int) -> bytes:
    """Return an example in which one extent has another number everywhere: in shapes, constants and settings.

    The first input remains an input. The others become constants, of which large ones are one number.
    """
    graph = onnx.GraphProto(name="enlarged")
    shapes = [[new if extent == old else extent for extent in array.shape] for array in inputs]
    for place, (info, array, shape) in enumerate(zip(given.graph.input, inputs, shapes, strict=True)):
        if place == 0:
            kind = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
            graph.input.append(onnx.helper.make_tensor_value_info(info.name, kind, shape))
        elif array.size <= _FEW and shape == list(array.shape):
            values = (
                np.where(array == old, new, array).astype(array.dtype) if array.dtype.kind in "iu" else array
            )
            graph.initializer.append(onnx.numpy_helper.from_array(values, info.name))
        else:
            made, held = filled(info.name, shape, array.reshape(-1)[0] if array.size else array.dtype.type(0))
            graph.node.append(made)
            graph.initializer.extend(onnx.numpy_helper.from_array(one, name) for name, one in held.items())
    last = graph.node.add()
    last.CopyFrom(given.graph.node[0])
    for attribute in last.attribute:
        attribute.ints[:] = [new if one == old else one for one in attribute.ints]
        attribute.i = new if attribute.i == old and attribute.name != "to" else attribute.i
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in last.output if name)
    made = onnx.helper.make_model(graph, opset_imports=given.opset_import)
    return bytes(made.SerializeToString())


def enlarged_examples() -> Iterator[tuple[str, bytes]]:
    """Yield the examples of ONNX, each with one extent made large."""
    for name, given, inputs in examples():
        extents = {extent for array in inputs for extent in array.shape if extent > 1}
        for old in sorted(extents):
            for new in _LARGE:
                yield f"{name}-{old}-{new}", enlarged(given, inputs, old, new)


def draws(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Yield `count` files for each operator, with their names."""
    for kind in KINDS:
        for number in range(count):
            yield f"{kind}-{seed}-{number}", draw(kind, Random(f"{kind}/{seed}/{number}"))
