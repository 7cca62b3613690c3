"""Convert recurrent layers of neural networks.

Their blobs are (steps, sequences, features, 1, 1). In old files a blob is an image (sequences, features, 1, 1), and the
layer computes one step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.coreml.neural.layer import Layer, StoredWeight
from mpscnn.converters.reading.coreml.neural.row_calls import Weight, inner, inner_list, stated
from mpscnn.converters.reading.coreml.recurrent import Recurrent
from mpscnn.converters.reading.graph.blocks import split
from mpscnn.converters.reading.graph.builder import Builder
from mpscnn.converters.values import gates
from mpscnn.converters.values.recurrent_layer import Array, RecurrentWeights
from mpscnn.converters.values.rows import Name, Parsed, Row, call, shown
from mpscnn.errors import UnsupportedError, WeightsError

_BLOB_RANK = 5
# Core ML's names of the gates, in ONNX' order: i, o, f and the candidate; z, r and the candidate.
_GATES = {
    "LSTM": ("input_gate", "output_gate", "forget_gate", "block_input"),
    "GRU": ("update_gate", "reset_gate", "output_gate"),
    "RNN": ("",),
}
# Core ML limits the sum of each gate to the range from -50 to 50, and then applies the gate's function.
_MAX_SUM = 50.0
_USUAL_LIMIT = 50.0  # the limit of the cells if the file states 0
# coremltools writes this limit of the cells, or a larger one, for layers without a limit.
_NO_LIMIT = 500.0


# ---- Functions -----------------------------------------------------------------------------------------------------


def _function(
    curve: Mapping[str, Any], *, of_sums: bool
) -> tuple[gates.Function, float | None, float | None]:
    """Return the name of a function and its parameters. coremltools leaves parameters at 0 to mean the usual ones."""
    stated = next(iter(curve), "")
    if stated not in _FUNCTIONS or len(curve) != 1:
        raise UnsupportedError("its function is none of Core ML's recurrent layers")
    name, usual = _FUNCTIONS[stated]
    own = call(_numbers if usual else _no_numbers, (), curve[stated], lambda _, one: one, {})
    alpha, beta = own if any(own) else usual or own
    if of_sums and not _ends_before_limit(name, alpha, beta):
        raise UnsupportedError(
            f"its function {stated} depends on sums beyond {_MAX_SUM:.0f}, which Core ML limits to this number; "
            "such limits are not supported"
        )
    return name, *((alpha, beta) if usual else (None, None))


def _numbers(*, alpha: float = 0.0, beta: float = 0.0) -> tuple[float, float]:
    return alpha, beta


def _no_numbers() -> tuple[float, float]:
    return 0.0, 0.0


_FUNCTIONS: dict[str, tuple[gates.Function, tuple[float, float] | None]] = {
    "linear": ("affine", (1.0, 0.0)),
    "relu": ("relu", None),
    "tanh": ("tanh", None),
    "scaled_tanh": ("scaled_tanh", (1.0, 1.0)),
    "sigmoid": ("sigmoid", None),
    "sigmoid_hard": ("hard_sigmoid", (0.2, 0.5)),
}


def _ends_before_limit(name: str, alpha: float, beta: float) -> bool:
    """Return True if a function is constant, to the precision of float32, beyond the largest sum."""
    if name == "hard_sigmoid":
        return abs(alpha) * _MAX_SUM >= max(1.0 - beta, beta, 1.0)
    if name == "scaled_tanh":
        return abs(beta) * _MAX_SUM > 10.0
    return name in ("sigmoid", "tanh")


def _functions(
    curves: Sequence[Mapping[str, Any]], count: int, *, directions: int = 1
) -> tuple[list[gates.Function], dict[str, Any]]:
    """Return the names of the functions of all directions, and the attributes with their parameters."""
    if len(curves) != count * directions:
        raise WeightsError(f"damaged: it has {len(curves)} functions instead of {count * directions}")
    # The third function of an LSTM is that of the cells, which are no sums.
    made = [_function(curve, of_sums=place % count < 2) for place, curve in enumerate(curves)]
    attributes = {
        f"activation_{role}": [float(one[place]) for one in made if one[place] is not None]  # type: ignore[arg-type]
        for place, role in ((1, "alpha"), (2, "beta"))
    }
    return [name for name, *_ in made], {key: values for key, values in attributes.items() if values}


# ---- Weights -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class LstmWeights:
    """The weights of one direction. Layers with peepholes are refused."""

    input_gate_weight_matrix: Weight | None = None
    forget_gate_weight_matrix: Weight | None = None
    block_input_weight_matrix: Weight | None = None
    output_gate_weight_matrix: Weight | None = None
    input_gate_recursion_matrix: Weight | None = None
    forget_gate_recursion_matrix: Weight | None = None
    block_input_recursion_matrix: Weight | None = None
    output_gate_recursion_matrix: Weight | None = None
    input_gate_bias_vector: Weight | None = None
    forget_gate_bias_vector: Weight | None = None
    block_input_bias_vector: Weight | None = None
    output_gate_bias_vector: Weight | None = None
    input_gate_peephole_vector: Weight | None = None
    forget_gate_peephole_vector: Weight | None = None
    output_gate_peephole_vector: Weight | None = None


@dataclass(frozen=True, kw_only=True)
class LstmParameters:
    """The parameters that both directions of an LSTM share."""

    sequence_output: bool = False
    has_bias_vectors: bool = False
    forget_bias: bool = False
    has_peephole_vectors: bool = False
    coupled_input_and_forget_gate: bool = False
    cell_clip_threshold: float = _USUAL_LIMIT


Parameters = Annotated[LstmParameters, inner(LstmParameters)]
NO_PARAMETERS = LstmParameters()


def _direction(
    weights: Mapping[str, StoredWeight | None], kind: str, features: int, units: int, *, has_bias: bool
) -> RecurrentWeights:
    prefixes = _GATES[kind]

    def stacked(suffix: str, shape: tuple[int, ...]) -> Array:
        names = [f"{prefix}_{suffix}".lstrip("_") for prefix in prefixes]
        blobs = [stated(weights.get(name), name).blob(shape) for name in names]
        return np.concatenate([blob.array() for blob in blobs]).astype(np.float32)

    return RecurrentWeights(
        gates.ONNX[kind],
        stacked("weight_matrix", (units, features)),
        stacked("recursion_matrix", (units, units)),
        stacked("bias_vector", (units,)) if has_bias else np.zeros(len(prefixes) * units, np.float32),
    )


# ---- Blobs ---------------------------------------------------------------------------------------------------------


def _sequence(b: Builder, blob: str) -> str:
    """Return a blob as (steps, sequences, features)."""
    extents = b.extents(blob)
    if extents[-2:] != (1, 1) or len(extents) not in (4, _BLOB_RANK):
        raise UnsupportedError(f"reads a blob of the shape {extents}; supported are vectors: (..., 1, 1)")
    flat = ops.squeeze(b, blob, [len(extents) - 2, len(extents) - 1])
    return flat if len(extents) == _BLOB_RANK else ops.unsqueeze(b, flat, [0])


def _blob(b: Builder, sequence: str, like: str) -> str:
    """Return (steps, sequences, features) as a blob of the rank that another one has."""
    if b.rank(like) == _BLOB_RANK:
        return ops.unsqueeze(b, sequence, [3, 4])
    return ops.unsqueeze(b, ops.squeeze(b, sequence, [0]), [2, 3])


def _added(
    b: Builder, layer: Layer, recurrent: Recurrent, units: int, state_count: int, x: str, given: Sequence[str]
) -> list[str]:
    """Add a layer with one or more states for each direction. Return the results that the file names."""
    directions = len(recurrent.directions)
    count = state_count * directions
    if len(layer.inputs) not in (1, 1 + count) or not 1 <= len(layer.outputs) <= 1 + count:
        raise WeightsError(f"damaged: it has {len(layer.inputs)} inputs and {len(layer.outputs)} outputs")
    states = []
    for place in range(state_count if given else 0):  # join h of both directions, then c of both
        own = [_sequence(b, blob) for blob in given[place::state_count]]
        states.append(ops.concatenate(b, *own, axis=0) if len(own) > 1 else own[0])
    steps, *last = recurrent.add(b, _sequence(b, x), states)
    parts = [split(b, ops.unsqueeze(b, state, [0]), 2, [units] * directions) for state in last]
    ordered = [parts[place][direction] for direction in range(directions) for place in range(state_count)]
    return [_blob(b, made, x) for made in [steps, *ordered][: len(layer.outputs)]]


# ---- Layers --------------------------------------------------------------------------------------------------------


def _curve(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise WeightsError(f"damaged: its {name} is {shown(value)}, expected a function")
    return value


def _curves(value: Any, name: str) -> list[Mapping[str, Any]]:
    if not isinstance(value, list):
        raise WeightsError(f"damaged: its {name} are {shown(value)}, expected functions")
    return value


Curve = Annotated[Mapping[str, Any], Parsed(_curve)]
Curves = Annotated[Sequence[Mapping[str, Any]], Parsed(_curves)]


def _simple(
    b: Builder, layer: Layer, x: Name, *states: Name, activation: Curve, weight_matrix: Weight,
    recursion_matrix: Weight, bias_vector: Weight | None = None, input_vector_size: int = 0,
    output_vector_size: int = 0, sequence_output: bool = False, has_bias_vector: bool = False,
    reverse_input: bool = False,
) -> list[str]:  # fmt: skip
    functions, attributes = _functions([activation], 1)
    weights = {
        "weight_matrix": weight_matrix, "recursion_matrix": recursion_matrix, "bias_vector": bias_vector,
    }  # fmt: skip
    own = _direction(weights, "RNN", input_vector_size, output_vector_size, has_bias=has_bias_vector)
    recurrent = Recurrent("RNN", [own], functions, reverse_input, sequence_output, attributes)
    return _added(b, layer, recurrent, output_vector_size, 1, x, states)


def _gru(
    b: Builder, layer: Layer, x: Name, *states: Name, activations: Curves = (), input_vector_size: int = 0,
    output_vector_size: int = 0, sequence_output: bool = False, has_bias_vectors: bool = False,
    reverse_input: bool = False, update_gate_weight_matrix: Weight, reset_gate_weight_matrix: Weight,
    output_gate_weight_matrix: Weight, update_gate_recursion_matrix: Weight,
    reset_gate_recursion_matrix: Weight, output_gate_recursion_matrix: Weight,
    update_gate_bias_vector: Weight | None = None, reset_gate_bias_vector: Weight | None = None,
    output_gate_bias_vector: Weight | None = None,
) -> list[str]:  # fmt: skip
    functions, attributes = _functions(activations, 2)
    weights = {
        "update_gate_weight_matrix": update_gate_weight_matrix,
        "reset_gate_weight_matrix": reset_gate_weight_matrix,
        "output_gate_weight_matrix": output_gate_weight_matrix,
        "update_gate_recursion_matrix": update_gate_recursion_matrix,
        "reset_gate_recursion_matrix": reset_gate_recursion_matrix,
        "output_gate_recursion_matrix": output_gate_recursion_matrix,
        "update_gate_bias_vector": update_gate_bias_vector,
        "reset_gate_bias_vector": reset_gate_bias_vector,
        "output_gate_bias_vector": output_gate_bias_vector,
    }
    own = _direction(weights, "GRU", input_vector_size, output_vector_size, has_bias=has_bias_vectors)
    recurrent = Recurrent("GRU", [own], functions, reverse_input, sequence_output, attributes)
    return _added(b, layer, recurrent, output_vector_size, 1, x, states)


def _lstm(
    b: Builder, layer: Layer, x: Name, *states: Name, activations: Curves = (), input_vector_size: int = 0,
    output_vector_size: int = 0, params: Parameters = NO_PARAMETERS,
    weight_params: Annotated[LstmWeights, inner(LstmWeights)], reverse_input: bool = False,
) -> list[str]:  # fmt: skip
    functions, attributes = _functions(activations, 3)
    sizes = (input_vector_size, output_vector_size)
    directions = _lstm_directions(b, params, functions, sizes, [weight_params], x, states)
    recurrent = Recurrent("LSTM", directions, functions, reverse_input, params.sequence_output, attributes)
    return _added(b, layer, recurrent, output_vector_size, 2, x, states)


def _lstm_of_both_directions(
    b: Builder, layer: Layer, x: Name, *states: Name, activations_forward_lstm: Curves = (),
    activations_backward_lstm: Curves = (), input_vector_size: int = 0, output_vector_size: int = 0,
    params: Parameters = NO_PARAMETERS,
    weight_params: Annotated[list[LstmWeights], inner_list(LstmWeights)],
) -> list[str]:  # fmt: skip
    if len(weight_params) != 2:
        raise WeightsError(f"damaged: it has weights of {len(weight_params)} directions")
    curves = [*activations_forward_lstm, *activations_backward_lstm]
    functions, attributes = _functions(curves, 3, directions=2)
    sizes = (input_vector_size, output_vector_size)
    directions = _lstm_directions(b, params, functions, sizes, weight_params, x, states)
    recurrent = Recurrent("LSTM", directions, functions, False, params.sequence_output, attributes)
    return _added(b, layer, recurrent, output_vector_size, 2, x, states)


def _lstm_directions(
    b: Builder, parameters: LstmParameters, functions: Sequence[str], sizes: tuple[int, int],
    weights: Sequence[LstmWeights], x: str, states: Sequence[str],
) -> list[RecurrentWeights]:  # fmt: skip
    """Return the weights of an LSTM's directions. Raises UnsupportedError for parameters that are not supported."""
    if parameters.has_peephole_vectors:
        raise UnsupportedError("with peepholes it is not supported")
    if parameters.coupled_input_and_forget_gate:
        raise UnsupportedError("with coupled gates it is not supported")
    limit = parameters.cell_clip_threshold
    steps = b.extents(_sequence(b, x))[0]
    # A cell that begins with 0 grows by at most 1 in each step, unless its function returns more than 1.
    is_reached = steps is None or steps > limit or states or "ScaledTanh" in functions
    if limit < _NO_LIMIT and is_reached:
        raise UnsupportedError(f"it limits its cells to {limit:g}, which is not supported")
    has_bias, (features, units) = parameters.has_bias_vectors, sizes
    directions = [_direction(vars(own), "LSTM", features, units, has_bias=has_bias) for own in weights]
    if parameters.forget_bias:
        for one in directions:
            one.bias[2 * units : 3 * units] += 1.0
    return directions


RECURRENT: dict[str, Row] = {
    "biDirectionalLSTM": _lstm_of_both_directions,
    "gru": _gru,
    "simpleRecurrent": _simple,
    "uniDirectionalLSTM": _lstm,
}
"""The functions that convert layers, by kind."""
