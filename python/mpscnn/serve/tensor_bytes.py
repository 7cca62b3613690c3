"""What a request's tensors take, known from their shapes before anything is made."""

from __future__ import annotations

import math
from http import HTTPStatus

import numpy as np

from mpscnn.serve.failures import RefusedError
from mpscnn.serve.hosting import Compiled
from mpscnn.serve.tensor_inputs import input_shapes
from mpscnn.serve.tensors import JSON_NUMBER, InferRequest

__all__ = ["tensor_bytes"]


def tensor_bytes(compiled: Compiled, wanted: InferRequest, most: int) -> int:
    """Bytes of the inputs as the network takes them, of its outputs, and of the answer made of them.

    Raises:
        RefusedError: more than `most` (413). ParameterError, ShapeError, UnsupportedError: not inputs of the program.
    """
    program = compiled.model.program
    shapes = input_shapes(compiled, wanted.inputs)
    halves = {
        name
        for name, value in wanted.inputs.items()
        if not isinstance(value, list) and value.dtype == np.float16
    }
    inputs = sum(math.prod(shape) * (2 if name in halves else 4) for name, shape in shapes.items())
    width = 2 if len(halves) == len(shapes) else 4
    found = compiled.output_shapes(tuple(shapes[name] for name in program.inputs))
    counts = dict(zip(program.outputs, map(math.prod, found), strict=True))
    outputs = width * sum(counts.values())
    answered = counts if wanted.outputs is None else wanted.outputs
    answer = sum(counts[name] * (width if wanted.is_binary(name) else JSON_NUMBER) for name in answered)
    total = inputs + outputs + answer
    if total > most:
        as_text = any(not wanted.is_binary(name) for name in answered)
        raise RefusedError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "TooManyTensorBytes",
            f"the request's tensors would take {total:,} bytes: inputs {inputs:,}, outputs {outputs:,}, "
            f"the answer up to {answer:,}; {most:,} are allowed (--max-tensor-bytes): send less at once"
            + (", or ask for binary data" if as_text else ""),
        )
    return total
