"""Show a network in notebooks: a table of its layers and a drawing of its graph."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mpscnn._private.html_view import Html, details, escape, lines, scroll_box, svg_image, table
from mpscnn.graph.layer_arguments import activation_name
from mpscnn.graph.layering import Point, assign_rows
from mpscnn.graph.structure import NetworkStructure

_BOX, _GAPS = (236.0, 36.0), (16.0, 20.0)
_MAX_NAME_LENGTH, _MAX_DETAIL_LENGTH = 30, 42
_MAX_DRAWN = 600
_PLAIN = "#eeeeee"
#: The colour of a box, by a word in the operation's name.
_COLORS = {
    "convolution": "#cfe2f7",
    "connected": "#e3d6f5",
    "matrix": "#e3d6f5",
    "pooling": "#d5efd9",
    "reduction": "#d5efd9",
    "normalization": "#fbeebf",
    "neuron": "#fbdccb",
    "softmax": "#fbdccb",
    "input": "#ffffff",
}

Layer = Mapping[str, Any]


@dataclass(frozen=True)
class _DrawnLayer:
    """An input or a layer as it is drawn."""

    name: str
    operation: str
    text: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]

    @property
    def extents(self) -> str:
        """The shape of one image; "?" is a free extent."""
        return " x ".join("?" if extent < 0 else str(extent) for extent in self.shape[1:])


def network_html(network: NetworkStructure) -> Html:
    """Return a table of the layers with shapes and parameters, next to a drawing of the graph (SVG)."""
    structure, parameters = network.to_dict(), _parameters(network)
    names = [entry["name"] for entry in (*structure["inputs"], *structure["nodes"])]
    shapes = {name: network.graph.shape(index) for index, name in enumerate(names)}
    layers = [
        _DrawnLayer(entry["name"], "input", "", (), shapes[entry["name"]]) for entry in structure["inputs"]
    ]
    for node in structure["nodes"]:
        read, own = shapes[node["inputs"][0]], shapes[node["name"]]
        text = describe_layer(node, read[-1])
        layers.append(_DrawnLayer(node["name"], node["operation"], text, tuple(node["inputs"]), own))
    total = f"{sum(parameters.values()):,}"
    count = len(structure["nodes"])
    rows = [
        (
            layer.name,
            layer.text or "input",
            layer.extents,
            f"{parameters.get(layer.name, 0):,}" * bool(layer.text),
        )
        for layer in layers
    ]
    listed = table(
        ("layer", "operation", "output", "parameters"), rows, right=(3,), footer=("total", "", "", total)
    )
    if count > _MAX_DRAWN:
        drawing = lines(f"The graph is not drawn: it has more than {_MAX_DRAWN} layers.")
    else:
        drawing = scroll_box(_graph_svg(layers, structure["outputs"]))
    return Html(
        f"<div>{lines(Html(f'<b>{escape(network.name)}</b>: {count:,} layers, {total} parameters'))}"
        '<div style="display:flex;flex-wrap:wrap;gap:24px">'
        f"{details('Layers', scroll_box(listed), opened=True)}{details('Graph', drawing, opened=True)}</div></div>"
    )


def _parameters(network: NetworkStructure) -> dict[str, int]:
    """Return the number of parameters of each layer that has parameters."""
    parameters: dict[str, int] = {}
    for spec in network.weight_specs():
        if spec["set"] or spec["required"]:
            parameters[spec["layer"]] = parameters.get(spec["layer"], 0) + math.prod(spec["shape"])
    return parameters


def describe_layer(layer: Layer, channels: int) -> str:
    """Return a layer's operation with its window, such as "depthwise convolution 3 x 3 / 2, relu6".

    Args:
        layer: a node of `Network.to_dict`.
        channels: the number of channels of its first input.
    """
    attributes, operation = layer["attributes"], layer["operation"]
    if operation == "neuron":
        return activation_name(attributes)
    text = str(operation).replace("_", " ")
    if operation in ("pooling", "reduction", "resize"):
        text = f"{'global ' if attributes.get('global') else ''}{attributes['kind']} {text}"
    if (groups := attributes.get("groups", 1)) > 1:
        text = f"depthwise {text}" if groups == channels else f"{text} in {groups} groups"
    if "kernel_height" in attributes and not attributes.get("global"):
        text += f" {attributes['kernel_height']} x {attributes['kernel_width']}"
        strides = attributes.get("stride_y", 1), attributes.get("stride_x", 1)
        if strides != (1, 1):
            text += f" / {strides[0] if strides[0] == strides[1] else strides}"
    return f"{text}, {activation_name(layer['activation'])}" if "activation" in layer else text


def _graph_svg(layers: Sequence[_DrawnLayer], outputs: Sequence[str]) -> Html:
    """Draw the graph with its inputs at the top. Outputs have a thick border."""
    layering = assign_rows({layer.name: layer.inputs for layer in layers}, box=_BOX, gaps=_GAPS)
    parts = [
        f'<path d="{_path(line)}" fill="none" stroke="#888888" stroke-width="1.2"/>'
        for line in layering.lines
    ]
    width, height = _BOX
    for layer in layers:
        place = layering.places[layer.name]
        left, top = place.x - width / 2, place.y - height / 2
        detail = ", ".join(filter(None, (layer.text.partition(",")[0], layer.extents)))
        border = 'stroke="black" stroke-width="2"' if layer.name in outputs else 'stroke="#888888"'
        parts.append(
            f"<g><title>{escape(layer.name)}: {escape(layer.text or 'input')}, {layer.extents}</title>"
            f'<rect x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}" rx="5" '
            f'fill="{_color(layer.operation)}" {border}/>'
            f"{_text(place.x, place.y - 3, _cut(layer.name, _MAX_NAME_LENGTH), 'bold')}"
            f"{_text(place.x, place.y + 11, _cut(detail, _MAX_DETAIL_LENGTH), 'normal')}</g>"
        )
    return svg_image(layering.width, layering.height, parts, font_size=10)


def _path(line: Sequence[Point]) -> str:
    """Return an SVG path through the corners that leaves and enters boxes vertically."""
    (x, y), *rest = line
    steps = [f"M{x:g} {y:g}"]
    for next_x, next_y in rest:
        if next_x == x:
            steps.append(f"V{next_y:g}")
        else:
            middle = (y + next_y) / 2
            steps.append(f"C{x:g} {middle:g} {next_x:g} {middle:g} {next_x:g} {next_y:g}")
        x, y = next_x, next_y
    return "".join(steps)


def _text(x: float, y: float, text: str, weight: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="middle" font-weight="{weight}">{escape(text)}</text>'


def _cut(text: str, longest: int) -> str:
    """Shorten text to fit in a box: keep its beginning and end."""
    return text if len(text) <= longest else f"{text[: longest - 13]}...{text[-10:]}"


def _color(operation: str) -> str:
    return next((color for word, color in _COLORS.items() if word in operation), _PLAIN)
