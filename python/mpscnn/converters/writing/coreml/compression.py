"""Compress the weights of Core ML models with coremltools, to 8-bit integers or by palettization."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Set
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.errors import UnsupportedError

Array = NDArray[Any]

#: The allowed bits per weight for palettization.
PALETTE_BITS = (1, 2, 4, 6, 8)
# A scale is rounded to at least 10 and at most 12 significant bits, so that products of integers and scales are exact.
# With fewer than 10 bits, the largest integer of a channel could become less than 255.
_BITS_OF_STEP = (10, 12)


def quantize_weights(tools: Any, model: Any, *, is_program: bool, kept: Set[str] = frozenset()) -> Any:
    """Store weights as 8-bit integers with a scale for each output channel.

    The operations named in `kept` keep their weights.
    """
    if not is_program:
        made = _old(tools, model, 8, _selector(tools, kept))
        _set_exact_steps(model._spec, made._spec)
        return made
    optimize = tools.optimize.coreml
    settings = optimize.OpLinearQuantizerConfig(mode="linear_symmetric")
    names = dict.fromkeys(kept)  # None for a name: the operation is not quantised
    return optimize.linear_quantize_weights(
        model, optimize.OptimizationConfig(settings, op_name_configs=names)
    )


def palettize_weights(tools: Any, model: Any, bits: int) -> Any:
    """Store weights of a program as indices into a table of 2 ** `bits` values, found by k-means for each layer."""
    if importlib.util.find_spec("sklearn") is None:
        raise UnsupportedError("palettes need k-means of scikit-learn: pip install scikit-learn")
    optimize = tools.optimize.coreml
    settings = optimize.OpPalettizerConfig(
        mode="custom", lut_function=lambda weights: _palette(weights, 2**bits)
    )
    return optimize.palettize_weights(model, optimize.OptimizationConfig(settings))


def _palette(weights: Array, maximum: int) -> tuple[Array, Array]:
    """Return the palette of weights, in ascending order, and the index of each weight.

    Weights that have `maximum` values or fewer keep them. So a model that was read has the same palettes when it is
    written again.
    """
    flat = weights.reshape(-1)
    if np.unique(flat).size > maximum:
        from sklearn.cluster import KMeans

        # The settings are those of coremltools' own palettization.
        made = KMeans(maximum, init="k-means++", tol=1e-2, n_init=1, random_state=0).fit(flat.reshape(-1, 1))
        flat = made.cluster_centers_[:, 0].astype(weights.dtype)[made.labels_]
    values, indices = np.unique(flat, return_inverse=True)
    return np.pad(values, (0, maximum - values.size), mode="edge"), indices.astype(np.uint8)


def cast_weights_to_float16(tools: Any, model: Any) -> Any:
    """Store weights of a neural network in float16."""
    return _old(tools, model, 16)


def _set_exact_steps(before: Any, after: Any) -> None:
    """Requantize all weights that coremltools has quantized in a model, with the scales of `_exact_steps`.

    A model that is read and written again then keeps its integers, scales and offsets. A second reason is that
    coremltools makes all integers 0 if a scale is below 1e-6.

    Args:
        before: the message with weights in float32.
        after: the same message with integers, which is changed.
    """
    for field, value in before.ListFields():
        if field.message_type is None or field.message_type.GetOptions().map_entry:
            continue
        changed = getattr(after, field.name)
        is_single = hasattr(value, "ListFields")
        for one, other in [(value, changed)] if is_single else zip(value, changed, strict=True):
            if field.message_type.name != "WeightParams":
                _set_exact_steps(one, other)
            elif other.quantization.HasField("linearQuantization"):
                is_transposed = bool(getattr(before, "isDeconvolution", False)) and field.name == "weights"
                _quantize(one, other, before.kernelChannels if is_transposed else 1)


def _quantize(before: Any, after: Any, rows: int) -> None:
    """Set the integers, scales and offsets of one weight [rows][channels][elements]."""
    linear = after.quantization.linearQuantization
    weights = np.asarray(before.floatValue, np.float64).reshape(rows, len(linear.scale), -1)
    low, high = weights.min(axis=(0, 2)), weights.max(axis=(0, 2))
    step, offset = _exact_steps(low, high)
    divisor = np.where(step > 0.0, step, 1.0)[:, None]
    integers = np.clip(np.rint((weights - offset[:, None]) / divisor), 0, 255).astype(np.uint8)
    del linear.scale[:], linear.bias[:]
    linear.scale.extend(step.astype(np.float32))
    linear.bias.extend(offset.astype(np.float32))
    after.rawValue = integers.tobytes()


def _exact_steps(low: Array, high: Array) -> tuple[Array, Array]:
    """Return scales and offsets of 8-bit integers for numbers between two limits, for each channel.

    A scale has few bits, and the offset is a multiple of its last bit. So integer * scale + offset is exact in float32,
    and the limits of these numbers give the same scale and offset again. This holds for channels whose numbers lie no
    farther from 0 than 60 times their range.
    """
    exact = step = (high - low) / 255.0
    offset = low
    for _ in range(3):  # rounding up may change the exponent, and with it the number of bits
        exponent = np.frexp(step)[1]
        room = np.abs(offset) / np.ldexp(1.0, exponent) + 256.0
        bits = np.clip(np.floor(np.log2(2.0**24 / room)), *_BITS_OF_STEP).astype(int)
        unit = np.ldexp(1.0, exponent - bits)
        step, offset = np.ceil(exact / unit) * unit, np.floor(low / unit) * unit
    return step, np.where(high > low, offset, low)


def _selector(tools: Any, kept: Set[str]) -> dict[str, Any]:
    """Return the argument of coremltools that excludes some layers of a neural network."""
    base: Any = tools.models.neural_network.quantization_utils.QuantizedLayerSelector

    class Others(base):  # type: ignore[misc]
        def do_quantize(self, layer: Any, **options: Any) -> bool:
            return bool(layer.name not in kept and super().do_quantize(layer, **options))

    return {"selector": Others()}


def _old(tools: Any, model: Any, bits: int, options: Mapping[str, Any] | None = None) -> Any:
    changed = tools.models.neural_network.quantization_utils.quantize_weights(model, bits, **(options or {}))
    spec = changed.get_spec() if hasattr(changed, "get_spec") else changed
    return tools.models.MLModel(spec, skip_model_load=True)
