"""Merge the padding of an image with zeros into the convolution after it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mpscnn.converters.finishing.renaming import name_without_number
from mpscnn.converters.finishing.simplify.layers import Node

_SIDES = ("top", "bottom", "left", "right")


@dataclass(frozen=True)
class Padded:
    """Layers with the padding in the convolutions.

    Attributes:
        nodes: the descriptions of the layers, in order.
        names: new names of convolutions whose number comes from a border of the same name. A file that was written from
            one layer has two nodes of its name.
    """

    nodes: list[Node]
    names: dict[str, str]


def merge_padding(
    nodes: Sequence[Node], outputs: Collection[str], integers: Mapping[str, object]
) -> Padded | None:
    """Return the layers with the padding in the convolutions; None if there is none.

    Args:
        nodes: the descriptions of the layers, in order.
        outputs: the names of the network's outputs, which stay.
        integers: the quantizations of inputs and layers, by name. A padding with another one than its input stays.
    """
    readers = Counter(name for node in nodes for name in node["inputs"])
    borders = {
        node["name"]: node
        for node in nodes
        if _is_zero_border(node)
        and readers[node["name"]] == 1
        and node["name"] not in outputs
        and integers.get(node["name"]) in (None, integers.get(node["inputs"][0]))
    }
    merged: dict[str, str] = {}
    made = [_padded(node, borders, merged) for node in nodes]
    if not merged:
        return None
    names = {
        layer: stem for border, layer in merged.items() if (stem := name_without_number(layer, {border}))
    }
    return Padded([node for node in made if node["name"] not in merged], names)


def _is_zero_border(node: Node) -> bool:
    """Return True for a layer that adds zeros around an image, or crops it."""
    attributes = node["attributes"]
    return bool(
        node["operation"] == "padding"
        and (attributes["mode"], attributes["value"]) == ("constant", 0.0)
        and not (attributes["front"] or attributes["back"] or any(attributes["values"]))
    )


def _padded(node: Node, borders: Mapping[str, Node], merged: dict[str, str]) -> Node:
    """Return the layer with the borders before it, if it is a convolution.

    The name of the layer is added to `merged` for the name of each border.
    """
    while node["operation"] == "convolution" and (border := borders.get(node["inputs"][0])) is not None:
        pads = _sum(node["attributes"], border["attributes"])
        if pads is None or node.get("keep_float32", False) != border.get("keep_float32", False):
            break
        merged[border["name"]] = node["name"]
        node = {**node, "inputs": border["inputs"], "attributes": {**node["attributes"], **pads}}
    return node


def _sum(window: Mapping[str, Any], border: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the padding of a window on an image without the border; None if it depends on the border.

    A border that crops leaves out pixels, so the window must have no padding on that side.
    """
    if window["padding"] not in ("valid", "explicit") or window["ceil_mode"]:
        return None
    pads = {}
    for side in _SIDES:
        own = window[f"pad_{side}"] if window["padding"] == "explicit" else 0
        if own < 0 or (own > 0 and border[side] < 0):
            return None
        pads[f"pad_{side}"] = own + border[side]
    return {"padding": "explicit", **pads}
