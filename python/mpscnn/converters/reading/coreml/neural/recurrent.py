"""Convert recurrent layers of neural networks.

Their blobs are (steps, sequences, features, 1, 1). In old files a blob is an image (sequences, features, 1, 1), and the
layer computes one step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mpscnn.converters.reading.coreml.neural.layer import Handler, Layer
from mpscnn.converters.reading.coreml.recurrent import Recurrent
from mpscnn.converters.reading.onnx_graph.blocks import split
from mpscnn.converters.reading.onnx_graph.builder import Builder
from mpscnn.converters.values import gates
from mpscnn.converters.values.recurrent_layer import Array, RecurrentWeights
from mpscnn.errors import UnsupportedError, WeightsError

_BLOB_RANK = 5
# Core ML's names of the gates, in ONNX' order: i, o, f and the candidate; z, r and the candidate.
_GATES = {
    "LSTM": ("inputGate", "outputGate", "forgetGate", "blockInput"),
    "GRU": ("updateGate", "resetGate", "outputGate"),
    "RNN": ("",),
}
# Core ML limits the sum of each gate to the range from -50 to 50, and then applies the gate's function.
_MAX_SUM = 50.0
_USUAL_LIMIT = 50.0  # the limit of the cells if the file states 0
# coremltools writes this limit of the cells, or a larger one, for layers without a limit.
_NO_LIMIT = 500.0


# ---- Functions -----------------------------------------------------------------------------------------------------


def _function(curve: Any, *, of_sums: bool) -> tuple[str, float | None, float | None]:
    """Return ONNX' name of a function and its parameters. coremltools leaves parameters at 0 to mean the usual ones."""
    stated = next((name for name in _FUNCTIONS if curve.has(name)), None)
    if stated is None:
        raise UnsupportedError("its function is none of Core ML's recurrent layers")
    name, usual = _FUNCTIONS[stated]
    alpha, beta = (getattr(curve, stated).alpha, getattr(curve, stated).beta) if usual else (0.0, 0.0)
    if usual and not alpha and not beta:
        alpha, beta = usual
    if of_sums and not _ends_before_limit(name, alpha, beta):
        raise UnsupportedError(
            f"its function {stated} depends on sums beyond {_MAX_SUM:.0f}, which Core ML limits to this number; "
            "such limits are not supported"
        )
    return name, *((alpha, beta) if usual else (None, None))


_FUNCTIONS: dict[str, tuple[str, tuple[float, float] | None]] = {
    "linear": ("Affine", (1.0, 0.0)),
    "ReLU": ("Relu", None),
    "tanh": ("Tanh", None),
    "scaledTanh": ("ScaledTanh", (1.0, 1.0)),
    "sigmoid": ("Sigmoid", None),
    "sigmoidHard": ("HardSigmoid", (0.2, 0.5)),
}


def _ends_before_limit(name: str, alpha: float, beta: float) -> bool:
    """Return True if a function is constant, to the precision of float32, beyond the largest sum."""
    if name == "HardSigmoid":
        return abs(alpha) * _MAX_SUM >= max(1.0 - beta, beta, 1.0)
    if name == "ScaledTanh":
        return abs(beta) * _MAX_SUM > 10.0
    return name in ("Sigmoid", "Tanh")


def _functions(curves: Sequence[Any], count: int, *, directions: int = 1) -> tuple[list[str], dict[str, Any]]:
    """Return ONNX' names of the functions of all directions, and the attributes with their parameters."""
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


def _direction(layer: Layer, weights: Any, kind: str, *, has_bias: bool) -> RecurrentWeights:
    prefixes = _GATES[kind]
    features, units = int(layer.p.inputVectorSize), int(layer.p.outputVectorSize)

    def stacked(suffix: str, shape: tuple[int, ...]) -> Array:
        names = [f"{prefix}{suffix}" if prefix else suffix[0].lower() + suffix[1:] for prefix in prefixes]
        return np.concatenate(
            [layer.weights.blob(getattr(weights, name), shape, f"its {name}").array() for name in names]
        ).astype(np.float32)

    return RecurrentWeights(
        gates.ONNX[kind],
        stacked("WeightMatrix", (units, features)),
        stacked("RecursionMatrix", (units, units)),
        stacked("BiasVector", (units,)) if has_bias else np.zeros(len(prefixes) * units, np.float32),
    )


# ---- Blobs ---------------------------------------------------------------------------------------------------------


def _sequence(b: Builder, blob: str) -> str:
    """Return a blob as (steps, sequences, features)."""
    extents = b.extents(blob)
    if extents[-2:] != (1, 1) or len(extents) not in (4, _BLOB_RANK):
        raise UnsupportedError(f"reads a blob of the shape {extents}; supported are vectors: (..., 1, 1)")
    flat = b.op("Squeeze", blob, [len(extents) - 2, len(extents) - 1])
    return flat if len(extents) == _BLOB_RANK else b.op("Unsqueeze", flat, [0])


def _blob(b: Builder, sequence: str, like: str) -> str:
    """Return (steps, sequences, features) as a blob of the rank that another one has."""
    if b.rank(like) == _BLOB_RANK:
        return b.op("Unsqueeze", sequence, [3, 4])
    return b.op("Unsqueeze", b.op("Squeeze", sequence, [0]), [2, 3])


def _added(b: Builder, layer: Layer, recurrent: Recurrent, state_count: int) -> list[str]:
    """Add a layer with one or more states for each direction. Return the results that the file names."""
    directions, units = len(recurrent.directions), int(layer.p.outputVectorSize)
    count = state_count * directions
    if len(layer.inputs) not in (1, 1 + count) or not 1 <= len(layer.outputs) <= 1 + count:
        raise WeightsError(f"damaged: it has {len(layer.inputs)} inputs and {len(layer.outputs)} outputs")
    x, *given = layer.inputs
    states = []
    for place in range(state_count if given else 0):  # join h of both directions, then c of both
        own = [_sequence(b, blob) for blob in given[place::state_count]]
        states.append(b.op("Concat", *own, axis=0) if len(own) > 1 else own[0])
    steps, *last = recurrent.add(b, _sequence(b, x), states)
    parts = [split(b, b.op("Unsqueeze", state, [0]), 2, [units] * directions) for state in last]
    ordered = [parts[place][direction] for direction in range(directions) for place in range(state_count)]
    return [_blob(b, made, x) for made in [steps, *ordered][: len(layer.outputs)]]


# ---- Layers --------------------------------------------------------------------------------------------------------


def _simple(b: Builder, layer: Layer) -> list[str]:
    p = layer.p
    functions, attributes = _functions([p.activation], 1)
    own = _direction(layer, p, "RNN", has_bias=p.hasBiasVector)
    return _added(
        b, layer, Recurrent("RNN", [own], functions, p.reverseInput, p.sequenceOutput, attributes), 1
    )


def _gru(b: Builder, layer: Layer) -> list[str]:
    p = layer.p
    functions, attributes = _functions(p.activations, 2)
    own = _direction(layer, p, "GRU", has_bias=p.hasBiasVectors)
    return _added(
        b, layer, Recurrent("GRU", [own], functions, p.reverseInput, p.sequenceOutput, attributes), 1
    )


def _lstm(b: Builder, layer: Layer) -> list[str]:
    p = layer.p
    both = layer.kind == "biDirectionalLSTM"
    curves = [*p.activationsForwardLSTM, *p.activationsBackwardLSTM] if both else list(p.activations)
    weights = list(p.weightParams) if both else [p.weightParams]
    if len(weights) != 1 + both:
        raise WeightsError(f"damaged: it has weights of {len(weights)} directions")
    functions, attributes = _functions(curves, 3, directions=1 + both)
    _refuse_settings(b, layer, functions)
    directions = [_direction(layer, own, "LSTM", has_bias=p.params.hasBiasVectors) for own in weights]
    if p.params.forgetBias:
        units = int(p.outputVectorSize)
        for own in directions:
            own.bias[2 * units : 3 * units] += 1.0
    reverse = not both and p.reverseInput
    recurrent = Recurrent("LSTM", directions, functions, reverse, p.params.sequenceOutput, attributes)
    return _added(b, layer, recurrent, 2)


def _refuse_settings(b: Builder, layer: Layer, functions: Sequence[str]) -> None:
    settings = layer.p.params
    if settings.hasPeepholeVectors:
        raise UnsupportedError("with peepholes it is not supported")
    if settings.coupledInputAndForgetGate:
        raise UnsupportedError("with coupled gates it is not supported")
    limit = float(settings.cellClipThreshold) or _USUAL_LIMIT
    steps = b.extents(_sequence(b, layer.inputs[0]))[0]
    # A cell that begins with 0 grows by at most 1 in each step, unless its function returns more than 1.
    is_reached = steps is None or steps > limit or len(layer.inputs) > 1 or "ScaledTanh" in functions
    if limit < _NO_LIMIT and is_reached:
        raise UnsupportedError(f"it limits its cells to {limit:g}, which is not supported")


RECURRENT: dict[str, Handler] = {
    "biDirectionalLSTM": _lstm,
    "gru": _gru,
    "simpleRecurrent": _simple,
    "uniDirectionalLSTM": _lstm,
}
"""The functions that convert layers, by kind."""
