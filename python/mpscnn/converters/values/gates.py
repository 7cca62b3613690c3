"""Define the order of the gates in weights of recurrent layers, and the names of their functions, in each format."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

# The order of the gates in the weights. LSTM: the gates i, f and o, and the candidate g. GRU: the gates z and r, and
# the candidate n. RNN, a simple recurrent layer: n only.
MPSCNN = {"LSTM": "ifog", "GRU": "zrn"}
ONNX = {"LSTM": "iofg", "GRU": "zrn", "RNN": "n"}
CORE_ML = {"LSTM": "ifog", "GRU": "rnz", "RNN": "n"}
KERAS = {"LSTM": "ifgo", "GRU": "zrn"}
PYTORCH = {"LSTM": "ifgo", "GRU": "rzn", "RNN": "n"}
TENSORFLOW_LITE = {"LSTM": "ifgo"}

ONNX_FUNCTIONS: dict[str, dict[str, Any]] = {
    "Affine": {"kind": "linear", "a": 1.0, "b": 0.0},
    "Elu": {"kind": "elu", "a": 1.0},
    "HardSigmoid": {"kind": "hard_sigmoid", "a": 0.2, "b": 0.5},
    "LeakyRelu": {"kind": "relu", "a": 0.01},
    "Relu": {"kind": "relu", "a": 0.0},
    "ScaledTanh": {"kind": "tanh", "a": 1.0, "b": 1.0},
    "Sigmoid": {"kind": "sigmoid"},
    "Softplus": {"kind": "softplus", "a": 1.0, "b": 1.0},
    "Softsign": {"kind": "softsign"},
    "Tanh": {"kind": "tanh", "a": 1.0, "b": 1.0},
}
"""The functions of ONNX' recurrent layers, as neurons with ONNX' default parameters."""

ONNX_PARAMETERS = {"Affine": "ab", "Elu": "a", "HardSigmoid": "ab", "LeakyRelu": "a", "ScaledTanh": "ab"}
"""The parameters that the attributes activation_alpha (a) and activation_beta (b) state, by ONNX' function."""

Function = Literal["affine", "hard_sigmoid", "relu", "scaled_tanh", "sigmoid", "tanh"]
"""The names of functions of recurrent layers in the vocabulary of the readers."""

FUNCTIONS: dict[Function, str] = {
    "affine": "Affine",
    "hard_sigmoid": "HardSigmoid",
    "relu": "Relu",
    "scaled_tanh": "ScaledTanh",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
}
"""For the vocabulary's name of a function, that of ONNX."""

CORE_ML_FUNCTIONS: dict[str, Function] = {
    "hard_sigmoid": "hard_sigmoid",
    "linear": "affine",
    "relu": "relu",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
}
"""For the name of a function in Core ML's programs, that of the vocabulary."""


def reorder_gates(values: NDArray[Any], given: str, wanted: str) -> NDArray[Any]:
    """Return weights or biases with the gates in another order. The first axis lists the units gate by gate."""
    parts = values.reshape(len(given), -1, *values.shape[1:])
    return np.ascontiguousarray(parts[[given.index(gate) for gate in wanted]].reshape(values.shape))
