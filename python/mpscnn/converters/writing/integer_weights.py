"""Give networks the 8-bit weights of the files to which they are written."""

from __future__ import annotations

from mpscnn.graph.model_file import quantize
from mpscnn.graph.network import Network
from mpscnn.graph.quantized import stored_type
from mpscnn.graph.settings import copy_settings

__all__ = ["of_stored_type"]


def of_stored_type(network: Network, dtype: str | None, floats: str) -> tuple[Network, str]:
    """Return the network to write to a file, and the type of its weights. See `quantized.stored_type`.

    For "uint8" the network has the integers that a model file of this type would have.
    """
    if dtype != "uint8":
        return network, stored_type(network, dtype, floats)
    structure = network.to_dict()
    kept = {node["name"] for node in structure["nodes"] if node.get("keep_float32")}
    layers = [
        spec["layer"]
        for spec in network.weight_specs()
        if spec["set"] and spec["role"] == "weight" and spec["dtype"] != "uint8" and spec["layer"] not in kept
    ]
    if not layers:
        return network, dtype
    made = network.restructured(structure)
    copy_settings(network, made)
    for layer in layers:
        values, _, _ = network.graph.get_weight(layer, "weight")
        made.set_quantized_weight(f"{layer}.weight", *quantize(values))
    return made, dtype
