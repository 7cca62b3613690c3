"""Run layers of networks, and compute the allowed difference between two engines' results."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.literals import PrecisionName
from mpscnn.apps.verify.error_bounds import FLOAT32_EPS, HALF_EPS, HALF_TINY, Promise
from mpscnn.graph.network import Network
from mpscnn.runtime.library import operations
from mpscnn.runtime.program import named_results
from mpscnn.runtime.slow_precision import on_trial

Arrays = dict[str, NDArray[np.float32]]

#: Elementwise operations on two tensors.
ELEMENTWISE = {
    entry["name"]
    for entry in operations()
    if any(parameter["name"] == "primary_scale" for parameter in entry["parameters"])
}
#: Operations that add products of inputs and weights. With absolute values of both they give the sum of magnitudes.
_SUMS = ELEMENTWISE | {
    "binary_convolution",
    "binary_fully_connected",
    "convolution",
    "fully_connected",
    "matrix_product",
    "pooling",
    "reduction",
    "resize",
    "subpixel_convolution",
    "transposed_convolution",
    "weighted_reduction",
}
# Reductions that sum terms of one sign, or take the root of such a sum.
_SPREADS = {"deviation", "l2_norm", "sum_of_squares", "variance"}
_NORMALIZATIONS = {
    "batch_normalization",
    "cross_channel_normalization",
    "group_normalization",
    "layer_normalization",
    "local_contrast_normalization",
    "spatial_normalization",
}
_RECURRENT = {"gru", "lstm"}
_ROUNDED = {entry["name"] for entry in operations() if entry["rounding_point"]}


def run(network: Network, inputs: Arrays, device: str, precision: PrecisionName) -> Arrays:
    """Run a network and return all outputs by name."""
    with on_trial():
        session = network.compile(device=device, precision=precision).session()
    return named_results(session, inputs)


def bounds(
    separated: Network, given: Arrays, precision: PrecisionName, promises: tuple[Promise, Promise]
) -> Arrays:
    """Return for each layer the allowed difference between two engines with these promises.

    The layers of `separated` read only inputs of the network. In float16 the inputs `given` are rounded to halves.
    """
    nodes = separated.to_dict()["nodes"]
    plain = run(_without_activations(separated), given, "cpu", "float32")
    sums = _magnitudes(separated, given)
    found: Arrays = {}
    for node in nodes:
        name = node["name"]
        reads = [given[source] for source in node["inputs"]]
        found[name] = sum(
            _bound(promise, separated, node, reads, plain[name], sums.get(name), precision)
            for promise in promises
        )
    return found


def _bound(
    promise: Promise,
    separated: Network,
    node: dict[str, Any],
    reads: list[NDArray[np.float32]],
    plain: NDArray[np.float32],
    sums: NDArray[np.float32] | None,
    precision: PrecisionName,
) -> Any:
    """Return the largest allowed distance of one engine's result from the exact one.

    If `precision` is "float16", it includes the error of rounding the result to half.
    """
    operation = node["operation"]
    bound: Any = _plain_bound(promise, node, reads, plain, sums)
    result: NDArray[Any] = plain
    if "activation" in node:
        result, bound = _through(promise, separated, node, plain, bound)
    # Each step rounds the states that the next one reads.
    if precision == "float16" and operation in _RECURRENT:
        bound = bound + reads[0].shape[1] * HALF_EPS
    if precision == "float16" and operation in _ROUNDED:
        sizes = np.nan_to_num(np.abs(result))  # powers can be NaN, which is not rounded
        bound = bound + (sizes + bound) * HALF_EPS / 2 + HALF_TINY / 2
    return np.broadcast_to(bound, plain.shape)


def _plain_bound(
    promise: Promise,
    node: dict[str, Any],
    reads: list[NDArray[np.float32]],
    plain: NDArray[np.float32],
    sums: NDArray[np.float32] | None,
) -> Any:
    operation, attributes = node["operation"], node.get("attributes", {})
    if operation == "softmax":
        return promise.softmax_bound(reads[0], plain)
    if operation == "log_softmax":
        return promise.log_softmax_bound(reads[0], plain)
    if operation == "neuron":
        return promise.neuron_bound(reads[0], attributes, plain)
    if operation == "batch_statistics":
        return promise.statistics_bound(plain)
    if operation in _RECURRENT:
        return promise.recurrent_bound(reads[0].shape[1], plain)
    if operation == "dropout":
        return promise.ulp_bound(plain)
    if operation == "power":  # NaN for negative bases
        return np.nan_to_num(promise.ulp_bound(plain, promise.neuron_ulps))
    if operation in _NORMALIZATIONS:
        ulps = promise.power_ulps * (1 + abs(attributes.get("beta", 0.0))) + promise.statistics_ulps
        largest = max(float(np.abs(plain).max()), float(np.abs(reads[0]).max()))
        return np.full(plain.shape, ulps * FLOAT32_EPS * largest)
    if operation == "resize" and attributes.get("kind") == "lanczos":  # its weights have both signs
        return np.full(plain.shape, promise.lanczos_bound(float(np.abs(reads[0]).max())))
    if operation == "reduction" and attributes.get("kind") in _SPREADS:
        return promise.spread_bound(plain)
    if operation == "reduction" and attributes.get("kind") == "log_sum_exp":
        return promise.log_sum_exp_bound(plain)
    exact = operation not in _SUMS or attributes.get("kind") in ("max", "min", "nearest")
    if exact or sums is None:
        return np.zeros(plain.shape)
    return promise.linear_bound(sums)


def _through(
    promise: Promise, separated: Network, node: dict[str, Any], plain: NDArray[np.float32], bound: Any
) -> tuple[NDArray[Any], Any]:
    """Apply the activation to a value that has an error of at most `bound`.

    Returns the result and the bound of its error.
    """
    network = Network(input=plain.shape[1:], name="activation")
    layer = network.layer("neuron", [network.input], node["activation"], name="activation")
    network.output(layer)
    slope = f"{node['name']}.slope"
    if slope in separated.weights:
        network.load_weights({"activation.slope": separated.weights[slope]})
    session = network.compile(device="cpu", precision="float32").session()

    def apply(x: Any) -> NDArray[Any]:
        result = session.run(np.asarray(x, np.float32))
        assert isinstance(result, np.ndarray)
        return result.astype(np.float64)

    result = apply(plain)
    moved = np.maximum(*(np.abs(apply(plain + side * bound) - result) for side in (-1, 1)))
    return result, moved + promise.neuron_bound(plain, node["activation"], result)


def _without_activations(separated: Network) -> Network:
    structure = separated.to_dict()
    for node in structure["nodes"]:
        node.pop("activation", None)
    return _restructured(separated, structure)


def _magnitudes(separated: Network, given: Arrays) -> Arrays:
    """Return the sums of the magnitudes of all terms, for the layers that compute sums."""
    structure = separated.to_dict()
    structure["nodes"] = [node for node in structure["nodes"] if node["operation"] in _SUMS]
    if not structure["nodes"]:
        return {}
    for node in structure["nodes"]:
        node.pop("activation", None)
        attributes = node.get("attributes", {})
        if node["operation"] == "subtract":
            node["operation"] = "add"
        if node["operation"] in ELEMENTWISE:
            for name in ("primary_scale", "secondary_scale", "bias"):
                attributes[name] = abs(attributes.get(name, 0.0 if name == "bias" else 1.0))
            attributes.pop("minimum", None)
            attributes.pop("maximum", None)
        if "scale" in attributes and node["operation"] == "matrix_product":
            attributes["scale"] = abs(attributes["scale"])
    structure["outputs"] = [node["name"] for node in structure["nodes"]]
    read = {name for node in structure["nodes"] for name in node["inputs"]}
    structure["inputs"] = [entry for entry in structure["inputs"] if entry["name"] in read]
    network = _restructured(separated, structure)
    network.load_weights({name: np.abs(values) for name, values in network.weights.items()}, layout="OHWI")
    return run(network, {name: np.abs(x) for name, x in given.items() if name in read}, "cpu", "float32")


def _restructured(network: Network, structure: dict[str, Any]) -> Network:
    """Return a network with this structure, and the weights that its layers still need.

    For example, slopes of removed activations are left out.
    """
    result = network.restructured(structure, {})
    known = {f"{spec['layer']}.{spec['role']}" for spec in result.weight_specs()}
    kept = {name: values for name, values in network.weights.items() if name in known}
    result.load_weights(kept, layout="OHWI")
    return result
