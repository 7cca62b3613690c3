"""Compute a step of the optimisers of MPSNNOptimizers: changed gradients, moments and new weights."""

from __future__ import annotations

from typing import Any

import numpy as np


def optimizer_gradient(gradient: Any, weights: Any, factor: Any, attributes: dict[str, Any]) -> Any:
    gradient, weights = np.asarray(gradient, np.float64), np.asarray(weights, np.float64)
    if factor is not None:
        gradient = gradient * float(factor[0, 0])
    if attributes.get("clip", False):
        gradient = np.clip(gradient, attributes.get("minimum", -1.0), attributes.get("maximum", 1.0))
    penalty = {"none": 0 * weights, "l1": np.sign(weights), "l2": weights}
    scale = attributes.get("regularization_scale", 0.0)
    kind = attributes.get("regularization", "none")
    return gradient * attributes.get("rescale", 1.0) + scale * penalty[kind]


def moving_average(average: Any, x: Any, attributes: dict[str, Any]) -> Any:
    rate, x = attributes.get("rate", 0.9), np.asarray(x, np.float64)
    return rate * np.asarray(average, np.float64) + (1 - rate) * (x * x if attributes.get("squares") else x)


def momentum_update(moment: Any, gradient: Any, rates: Any, attributes: dict[str, Any]) -> Any:
    factor = 1.0 if attributes.get("nesterov") else float(rates[0, 0])
    kept = attributes.get("momentum", 0.9) * np.asarray(moment, np.float64)
    return kept + factor * np.asarray(gradient, np.float64)


def sgd_update(weights: Any, gradient: Any, rates: Any, moment: Any, attributes: dict[str, Any]) -> Any:
    rate = float(rates[0, 0])
    kept = np.asarray(weights, np.float64) * (1 - rate * attributes.get("weight_decay", 0.0))
    if moment is None:
        return kept - rate * np.asarray(gradient, np.float64)
    moment = np.asarray(moment, np.float64)
    if attributes.get("nesterov"):
        return kept - rate * (gradient + attributes.get("momentum", 0.9) * moment)
    return kept - moment


def adaptive_update(weights: Any, first: Any, second: Any, rates: Any, attributes: dict[str, Any]) -> Any:
    rate, step = (float(x) for x in rates[0])
    kept = np.asarray(weights, np.float64) * (1 - rate * attributes.get("weight_decay", 0.0))
    root = np.sqrt(np.asarray(second, np.float64)) + attributes.get("epsilon", 1e-8)
    return kept - step * np.asarray(first, np.float64) / root


def squared_sum(x: Any, _attributes: dict[str, Any]) -> Any:
    return (np.asarray(x, np.float64) ** 2).sum().reshape(1, 1)
