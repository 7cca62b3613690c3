"""Compress the weights of Core ML models with coremltools, to 8-bit integers or by palettization."""

from __future__ import annotations

import importlib.util
from typing import Any

from mpscnn.errors import UnsupportedError

#: The allowed bits per weight for palettization.
PALETTE_BITS = (1, 2, 4, 6, 8)


def with_integers(tools: Any, model: Any, *, is_program: bool) -> Any:
    """Store weights as 8-bit integers with a scale for each output channel."""
    if not is_program:
        return _old(tools, model, 8)
    optimize = tools.optimize.coreml
    settings = optimize.OpLinearQuantizerConfig(mode="linear_symmetric")
    return optimize.linear_quantize_weights(model, optimize.OptimizationConfig(settings))


def with_palette(tools: Any, model: Any, bits: int) -> Any:
    """Store weights of a program as indices into a table of 2 ** `bits` values, found by k-means for each layer."""
    if importlib.util.find_spec("sklearn") is None:
        raise UnsupportedError("palettes need k-means of scikit-learn: pip install scikit-learn")
    optimize = tools.optimize.coreml
    settings = optimize.OpPalettizerConfig(mode="kmeans", nbits=bits)
    return optimize.palettize_weights(model, optimize.OptimizationConfig(settings))


def with_halves(tools: Any, model: Any) -> Any:
    """Store weights of a neural network in float16."""
    return _old(tools, model, 16)


def _old(tools: Any, model: Any, bits: int) -> Any:
    changed = tools.models.neural_network.quantization_utils.quantize_weights(model, bits)
    spec = changed.get_spec() if hasattr(changed, "get_spec") else changed
    return tools.models.MLModel(spec, skip_model_load=True)
