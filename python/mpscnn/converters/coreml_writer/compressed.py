"""Compress the weights of Core ML models with coremltools, to 8-bit integers or by palettization."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.errors import UnsupportedError

Array = NDArray[Any]

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
    settings = optimize.OpPalettizerConfig(
        mode="custom", lut_function=lambda weights: _palette(weights, 2**bits)
    )
    return optimize.palettize_weights(model, optimize.OptimizationConfig(settings))


def _palette(weights: Array, most: int) -> tuple[Array, Array]:
    """Return the palette of weights, in ascending order, and the index of each weight.

    Weights that have `most` values or fewer keep them. So a model that was read has the same palettes when it is
    written again.
    """
    flat = weights.reshape(-1)
    if np.unique(flat).size > most:
        from sklearn.cluster import KMeans

        # The settings are those of coremltools' own palettization.
        made = KMeans(most, init="k-means++", tol=1e-2, n_init=1, random_state=0).fit(flat.reshape(-1, 1))
        flat = made.cluster_centers_[:, 0].astype(weights.dtype)[made.labels_]
    values, indices = np.unique(flat, return_inverse=True)
    return np.pad(values, (0, most - values.size), mode="edge"), indices.astype(np.uint8)


def with_halves(tools: Any, model: Any) -> Any:
    """Store weights of a neural network in float16."""
    return _old(tools, model, 16)


def _old(tools: Any, model: Any, bits: int) -> Any:
    changed = tools.models.neural_network.quantization_utils.quantize_weights(model, bits)
    spec = changed.get_spec() if hasattr(changed, "get_spec") else changed
    return tools.models.MLModel(spec, skip_model_load=True)
