"""Ask what an operator requires of its operands."""

from __future__ import annotations

from mpscnn.converters.reading.onnx.node import Node
from mpscnn.converters.reading.vocabulary.adding import matches
from mpscnn.converters.reading.vocabulary.arrays import concatenate
from mpscnn.converters.reading.vocabulary.elementwise import add, divide, maximum, minimum, multiply, subtract
from mpscnn.converters.reading.vocabulary.matrices import gemm, matmul
from mpscnn.converters.reading.vocabulary.normalizations import batch_norm
from mpscnn.converters.reading.vocabulary.windows import convolve, convolve_transposed

_OF_ONE_TYPE = (
    add, batch_norm, concatenate, convolve, convolve_transposed, divide, gemm, matmul, maximum, minimum, multiply,
    subtract,
)  # fmt: skip


def have_one_type(node: Node) -> bool:
    """Return True for an operator whose operands have elements of one type."""
    return matches(node, *_OF_ONE_TYPE)


def axis_of_filters(node: Node) -> int:
    """Return the axis of the weight of a convolution or a dense layer on which its filters are."""
    return 0 if matches(node, convolve) or node.attributes.get("transB") else 1
