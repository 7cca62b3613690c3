"""Convert weights and biases to integers, with a scale for each output."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpscnn.graph.integer_layers import Scale
from mpscnn.graph.network import Network

_MOST = 127
#: The largest magnitude of a sum of products and the bias.
_MAX_SUM = 2.0**31 - 1.0
#: The largest magnitude of a bias, which leaves room for the products.
_MAX_BIAS = 2.0**30
_STORED_ZERO = 128  # model files store weights as uint8
#: For an output whose weights are all 0: the minimum scale of the products, relative to the scale of the result.
_FINER = 2.0**-8


@dataclass(frozen=True)
class IntegerWeights:
    """The arguments of `Network.set_quantized_weight`. All scales are float32 numbers, one for each output."""

    values: NDArray[np.uint8]
    scales: NDArray[np.float32]
    bias: NDArray[np.int32]
    bias_scales: NDArray[np.float32]

    def set_in(self, network: Network, layer: str) -> None:
        """Set these weights in a layer."""
        outputs = len(self.scales)
        zeros = np.full(outputs, _STORED_ZERO, np.float32)
        network.set_quantized_weight(f"{layer}.weight", self.values, self.scales, zeros)
        none = np.zeros(outputs, np.float32)
        network.set_quantized_weight(f"{layer}.bias", self.bias, self.bias_scales, none)

    def numbers(self) -> NDArray[np.float64]:
        """Return the numbers that the integers represent."""
        steps = self.values.astype(np.float64) - _STORED_ZERO
        return steps * self.scales.astype(np.float64).reshape(-1, *[1] * (steps.ndim - 1))


def integer_weights(
    weight: NDArray[np.floating], bias: NDArray[np.floating], source: Scale, result: Scale
) -> IntegerWeights:
    """Return symmetric 8-bit weights from -127 to 127 for each output, and the bias with the scale of the products.

    Args:
        weight: [out][...].
        bias: (out,).
        source: the scale of the layer's input.
        result: the scale of the layer's result.

    The scale of an output is the largest magnitude of its weights, divided by 127. It is larger if all weights of the
    output are 0, if they are so small that the bias would not fit into 32 bits, or if sums of many products would not.
    """
    flat = np.asarray(weight, np.float64).reshape(len(weight), -1)
    bias = np.asarray(bias, np.float64)
    largest = np.abs(flat).max(axis=1, initial=0.0)
    # Both scales, and the product of the weights' scale with the input's, must be normal float32 numbers.
    minimum = np.maximum(np.abs(bias) / (_MAX_BIAS * source.scale), 2.0**-60)
    dead = largest == 0.0
    minimum = np.where(dead, np.maximum(minimum, _FINER * result.scale / source.scale), minimum)
    scales = np.maximum(largest / _MOST, minimum).astype(np.float32)
    for _ in range(2):
        wide = scales.astype(np.float64)
        steps = np.clip(np.rint(flat / wide[:, None]), -_MOST, _MOST)
        bias_steps = np.rint(bias / (wide * source.scale))
        sums = 255.0 * np.abs(steps).sum(axis=1) + np.abs(bias_steps)
        if (sums <= _MAX_SUM).all():
            break
        # Larger scales of weights keep the sums of many products within 32 bits.
        scales = (wide * np.maximum(sums / (_MAX_SUM * 0.99), 1.0)).astype(np.float32)
    values = (steps + _STORED_ZERO).astype(np.uint8).reshape(weight.shape)
    bias_scales = (scales.astype(np.float64) * source.scale).astype(np.float32)
    return IntegerWeights(values, scales, bias_steps.astype(np.int32), bias_scales)
