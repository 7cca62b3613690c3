"""Give convolutions the constants that are added to their results. Core AI's convolutions have no biases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from math import prod

from mpscnn.converters.reading.coreai.program import Operation, TensorType, tensor_type

_TAKES_BIAS = ("conv2d", "conv_transpose2d")
_ADDS = ("add", "broadcasting_add")
_IMAGE_RANK = 4


def with_biases(operations: Sequence[Operation]) -> list[Operation]:
    """Return the operations, in which a convolution has the bias that its only consumer adds as a further operand.

    The convolution moves to the place of the addition, and the operation that adds is left out.
    """
    makers = {number: one for one in operations for number, _ in one.results}
    uses = Counter(number for one in operations for number in one.operands)
    found: list[Operation] = []
    moved: dict[int, Operation] = {}  # by the result of the convolution
    for operation in operations:
        if operation.kind in _ADDS and len(operation.operands) == 2:
            for own, other in (operation.operands, operation.operands[::-1]):
                window, constant = makers.get(own), makers.get(other)
                if window is None or constant is None or uses[own] != 1 or window.kind not in _TAKES_BIAS:
                    continue
                if constant.stored is None or not _fits(constant.stored.type, window):
                    continue
                flat = _flattened(constant, len(makers) + len(moved))
                moved[own] = replace(
                    window, operands=[*window.operands, flat.results[0][0]], results=operation.results
                )
                found += [flat, moved[own]]
                break
            else:
                found.append(operation)
        else:
            found.append(operation)
    return [one for one in found if not (one.results and one.results[0][0] in moved)]


def _fits(bias: TensorType, window: Operation) -> bool:
    """Return True if a constant has one number for each channel of the convolution's result."""
    result = tensor_type(window.results[0][1])
    if result is None or len(result.extents) != _IMAGE_RANK or None in bias.extents:
        return False
    extents = (1,) * (_IMAGE_RANK - len(bias.extents)) + bias.extents
    return len(extents) == _IMAGE_RANK and extents == (1, result.extents[1], 1, 1)


def _flattened(constant: Operation, number: int) -> Operation:
    """Return a constant as a vector, with another number."""
    assert constant.stored is not None
    kind = constant.stored.type
    extent = prod(one or 0 for one in kind.extents)
    vector = replace(constant.stored, type=TensorType((extent,), kind.element))
    return replace(constant, results=[(-number - 1, f"tensor<{extent}x{kind.element}>")], stored=vector)
