"""Let onnxruntime add products of integers exactly on each processor."""

from __future__ import annotations

from typing import Any

import numpy as np

#: The positions of three inputs of operators that multiply integers: the weights, their zero point, and the zero point
#: of the other factor. The last one shows the factor's type; None if it may differ from the type of the weights.
OPERATORS: dict[str, tuple[int, int, int | None]] = {
    "QLinearConv": (3, 5, 2),
    "QLinearMatMul": (3, 5, 2),
    "MatMulInteger": (1, 3, None),
    "QGemm": (3, 5, 2),
    "DynamicQuantizeMatMul": (1, 3, None),
    "MatMulIntegerToFloat": (1, 5, None),
    "QAttention": (1, 7, None),
}


def opened_exactly(model: bytes | str) -> bytes | str:
    """Return the content or the path of an ONNX model whose products of integers onnxruntime adds exactly.

    On x86-64 processors without VNNI, onnxruntime adds pairs of products of uint8 and int8 in 16 bits, which saturate.
    It adds products of uint8 exactly. So the constant int8 weights of such products become uint8, with 128 added to
    them and to their zero points, which changes no result.

    Args:
        model: the content of the file, or its path. A path stays one if no weights change.

    Raises ImportError without the package onnx.
    """
    import onnx

    known = (
        onnx.load(model, load_external_data=False) if isinstance(model, str) else onnx.load_from_string(model)
    )
    if not any(node.op_type in OPERATORS for node in known.graph.node):
        return model
    if isinstance(model, str):
        known = onnx.load(model)  # with the data of other files
    _make_weights_unsigned(known.graph)
    content: bytes = known.SerializeToString()
    return content


def _make_weights_unsigned(graph: Any) -> None:
    constants = _constants_of(graph)
    for number, node in enumerate(graph.node):
        if node.op_type not in OPERATORS:
            continue
        weights, zero_point, other = OPERATORS[node.op_type]
        if _type_of(constants, node, weights) != "int8" or (
            other is not None and _type_of(constants, node, other) != "uint8"
        ):
            continue
        if (
            zero_point < len(node.input)
            and node.input[zero_point]
            and node.input[zero_point] not in constants
        ):
            continue
        node.input.extend([""] * (zero_point + 1 - len(node.input)))
        for place in (weights, zero_point):
            node.input[place] = _add_unsigned(
                graph, constants, node.input[place], f"unsigned {number} {place}"
            )


def _constants_of(graph: Any) -> dict[str, Any]:
    """Return the constant tensors of a graph by name."""
    found = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            found |= {
                name: entry.t for name in node.output for entry in node.attribute if entry.name == "value"
            }
    return found


def _type_of(constants: dict[str, Any], node: Any, place: int) -> str:
    """Return the type of a constant input of an operator; "" for a tensor that is computed."""
    import onnx

    tensor = constants.get(node.input[place]) if place < len(node.input) else None
    return "" if tensor is None else onnx.TensorProto.DataType.Name(tensor.data_type).lower()


def _add_unsigned(graph: Any, constants: dict[str, Any], name: str, added: str) -> str:
    """Add a constant of int8 as uint8 to the graph, 0 for the name "", and return its name."""
    import onnx

    signed = onnx.numpy_helper.to_array(constants[name]) if name else np.int8(0)
    unsigned = (np.asarray(signed, np.int16) + 128).astype(np.uint8)
    graph.initializer.append(onnx.numpy_helper.from_array(unsigned, added))
    return added
