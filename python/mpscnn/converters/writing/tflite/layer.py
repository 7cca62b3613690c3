"""A layer of the network that is being written, and its TensorFlow Lite operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.reading.tflite.restored_layers import WITHIN
from mpscnn.converters.values.integer_limits import Grid
from mpscnn.converters.writing.tflite.builder import Builder, Value
from mpscnn.converters.writing.tflite.weights import Weights

Array = NDArray[Any]
Neuron = Mapping[str, Any]

LARGEST = float(np.finfo(np.float32).max)

FUSED_LIMITS = {(0.0, 6.0): "RELU6", (-1.0, 1.0): "RELU_N1_TO_1", (0.0, LARGEST): "RELU"}
"""The operators that clip to some limits. Other operators can end with them."""


class Layer:
    """A layer of the network with its inputs, attributes and weights, and methods that add operators for it.

    Attributes:
        builder: the graph.
        name, attributes, inputs: those of the layer.
        shape: the shape of the result for one image.
        weights: writes the layer's weights.
        grid: the quantization of the result if the layer computes in integers; None: it computes in floats.
    """

    def __init__(
        self,
        builder: Builder,
        entry: Mapping[str, Any],
        inputs: list[Value],
        shape: tuple[int, ...],
        weights: Weights,
        grid: Grid | None = None,
    ) -> None:
        self.builder = builder
        self.name: str = entry["name"]
        self.operation: str = entry["operation"]
        self.attributes: Mapping[str, Any] = entry["attributes"]
        self.inputs = inputs
        self.shape = shape
        self.weights = weights
        self.grid = grid
        #: Whether all layers that read the result repeat a batch of one, as elementwise operations do.
        self.repeats_images = False
        self._activation: Neuron | None = entry.get("activation")

    # ---- Operators -------------------------------------------------------------------------------------------------

    def add(
        self,
        kind: str,
        *inputs: Value | None,
        shape: Sequence[int] | None = None,
        like: Value | None = None,
        dtype: str | None = None,
        **options: Any,
    ) -> Value:
        """Add an operator and return its result.

        Args:
            kind: TensorFlow Lite's name of the operator.
            inputs: its operands.
            shape: the shape of the result; None: that of `like`, otherwise the layer's.
            like: a tensor whose type and quantization the result has; None: those of the layer.
            dtype: the type of a result without quantization; None: see `like`.
            options: see `options.written_options`.
        """
        shape = shape if shape is not None else self.shape if like is None else like.shape
        result = self._result(kind, shape, like, dtype)
        self.builder.add(kind, inputs, [result], **options)
        return result

    def _result(self, kind: str, shape: Sequence[int], like: Value | None, dtype: str | None) -> Value:
        grid = None if dtype is not None else self.grid if like is None else like.grid
        if dtype is None:
            dtype = grid.dtype.name if grid is not None else "float32" if like is None else like.dtype
        return self.builder.tensor(f"{self.name}{WITHIN}{kind.lower()}", shape, dtype, grid)

    def add_several(
        self,
        kind: str,
        inputs: Sequence[Value],
        shapes: Sequence[Sequence[int]],
        dtypes: Sequence[str],
        **options: Any,
    ) -> list[Value]:
        """Add an operator with several results of these shapes and types."""
        results = [
            self._result(kind, shape, None, dtype) for shape, dtype in zip(shapes, dtypes, strict=True)
        ]
        self.builder.add(kind, inputs, results, **options)
        return results

    # ---- Activations -----------------------------------------------------------------------------------------------

    def fused(self) -> str:
        """Return the activation that an operator of this layer ends with, by TensorFlow Lite's name.

        Call this only for operators that have a fused activation. `take_activation` returns what remains.
        """
        name = "NONE" if self._activation is None else _fused_name(self._activation)
        if name != "NONE":
            self._activation = None
        return name

    def take_activation(self) -> Neuron | None:
        """Return the activation that no operator ends with; None if there is none."""
        return self._activation

    # ---- Constants -------------------------------------------------------------------------------------------------

    def constant(self, values: Any, role: str) -> Value:
        """Add a constant of float32, or of int32 if `values` are integers."""
        array = np.asarray(values)
        return self.builder.constant(
            array.astype(np.int32 if array.dtype.kind in "iu" else np.float32), f"{self.name}/{role}"
        )

    def number(self, value: float, role: str, like: Value | None = None) -> Value:
        """Add a constant of one number, with the type and quantization of `like`; None: float32."""
        if like is None or like.grid is None:
            return self.builder.constant(np.asarray(value, np.float32), f"{self.name}/{role}")
        return self._of_integers(np.asarray(value), role, like.grid)

    def integers(self, values: Array, role: str) -> Value:
        """Add a constant with the layer's integers nearest to these numbers."""
        assert self.grid is not None
        return self._of_integers(values, role, self.grid)

    def _of_integers(self, values: Array, role: str, grid: Grid) -> Value:
        limits = np.iinfo(grid.dtype)
        steps = values.astype(np.float64) / grid.step
        # Ties are rounded away from zero, as in LiteRT.
        nearest = np.copysign(np.floor(np.abs(steps) + 0.5), steps) + grid.zero_point
        made = self.builder.constant(
            np.clip(nearest, limits.min, limits.max).astype(grid.dtype),
            f"{self.name}/{role}",
            scales=np.asarray([grid.step]),
            zero_points=np.asarray([grid.zero_point]),
        )
        return replace(made, grid=grid)

    def weight(self, role: str) -> NDArray[np.float32] | None:
        """Return a weight of this layer as floats; None if it is not set."""
        return self.weights.numbers(self.name, role)

    def required(self, role: str) -> NDArray[np.float32]:
        """Return a weight of this layer as floats. Raises WeightsError if it is not set."""
        return self.weights.required(self.name, role)

    def parameter(
        self, role: str, order: tuple[int, ...] | None = None, shape: tuple[int, ...] | None = None
    ) -> Value:
        """Add a weight, which must be set, in the type in which the file stores weights.

        Args:
            role: "weight" or "bias".
            order: a transposition of the weight, or None.
            shape: the shape after the transposition; None: unchanged. The axis of the outputs must stay.
        """
        return self.weights.written(self.name, role, order, shape, self.grid)


def _fused_name(neuron: Neuron) -> str:
    """Return TensorFlow Lite's name of an activation that operators can end with; "NONE" for others."""
    kind, a, b = neuron["kind"], neuron["a"], neuron["b"]
    if kind == "relu" and a == 0:
        return "RELU"
    return FUSED_LIMITS.get((a, b), "NONE") if kind in ("relun", "clamp") else "NONE"
