"""The order of the gates in weights of recurrent layers, which differs between formats."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# The gates i, f and o and the candidate g of an LSTM; the gates z and r and the candidate n of a GRU.
MPSCNN = {"LSTM": "ifog", "GRU": "zrn"}
ONNX = {"LSTM": "iofg", "GRU": "zrn"}
CORE_ML = {"LSTM": "ifog", "GRU": "rnz"}
KERAS = {"LSTM": "ifgo", "GRU": "zrn"}


def reordered(values: NDArray[Any], given: str, wanted: str) -> NDArray[Any]:
    """Return weights or biases in another order of gates. Their first axis has all units of each gate in turn."""
    parts = values.reshape(len(given), -1, *values.shape[1:])
    return np.ascontiguousarray(parts[[given.index(gate) for gate in wanted]].reshape(values.shape))
