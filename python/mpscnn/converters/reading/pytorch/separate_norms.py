"""Keep batch normalizations of a state dict as separate layers, for networks that will be trained."""

from __future__ import annotations

from collections.abc import Mapping

from mpscnn.converters.reading.pytorch.weights import Epsilons, Fit, Module
from mpscnn.graph.network import Network
from mpscnn.graph.settings import copy_settings


def separate_norms(
    network: Network, modules: Mapping[str, Module], fit: Fit, epsilons: Epsilons
) -> tuple[Network, dict[str, Module], Fit]:
    """Return the network without weights, with a layer for each batch normalization of the state dict.

    The activation moves from the layer before to the batch normalization. A batch normalization stays folded if another
    tensor multiplies the channels after it.

    Returns:
        The network, the modules of its layers in the state dict, and how the state dict fits the network.
    """
    apart = {layer: norm for layer, norm in fit.norms.items() if not modules[layer].scale}
    structure = network.to_dict()
    taken = set(network.layer_names())
    names: dict[str, str] = {}
    nodes = []
    for node in structure["nodes"]:
        layer = str(node["name"])
        inputs = [names.get(name, name) for name in node["inputs"]]
        if layer not in apart:
            nodes.append(node | {"inputs": inputs})
            continue
        names[layer] = norm = _free(apart[layer], taken)
        epsilon = next(value for beginning, value in epsilons if apart[layer].startswith(beginning))
        nodes.append({key: value for key, value in node.items() if key != "activation"} | {"inputs": inputs})
        activation = {"activation": node["activation"]} if "activation" in node else {}
        nodes.append(
            {
                "name": norm,
                "operation": "batch_normalization",
                "inputs": [layer],
                "attributes": {"epsilon": epsilon},
                **activation,
            }
        )
    outputs = [names.get(name, name) for name in structure["outputs"]]
    result = network.restructured(structure | {"nodes": nodes, "outputs": outputs}, {})
    copy_settings(network, result)
    paths = {layer: Module(module.path, scale=module.scale) for layer, module in modules.items()}
    paths |= {names[layer]: Module(norm) for layer, norm in apart.items()}
    folded = {layer: norm for layer, norm in fit.norms.items() if layer not in apart}
    return result, paths, Fit(folded)


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name
