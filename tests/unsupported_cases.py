"""For each row of the table of unsupported features, a layer that it refuses, and a similar one that is allowed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import mpscnn
from mpscnn import _core

ROWS: list[dict[str, Any]] = json.loads(_core.unsupported_features())


@dataclass
class Layer:
    """A description of a network of one layer, or with `dense`, of this layer and a dense layer.

    `precision`, `winograd`, `weights` and `accumulate_dtype` are options of `compile`, and `check_finite` is an option
    of `session`.
    """

    operation: str
    shapes: list[tuple[int | None, ...]]
    attributes: dict[str, Any] = field(default_factory=dict)
    activation: dict[str, Any] | None = None
    precision: str = "float32"
    dense: bool = False
    given: list[tuple[int, ...]] | None = None  # extents of a run, if `shapes` has free ones
    check_finite: bool = False
    winograd: bool = True
    weights: str = "auto"
    accumulate_dtype: str = "auto"
    variable: tuple[int, ...] | None = None  # the shape of a weight that is a tensor of the graph
    quantized: bool = False  # whether all tensors are quantized

    def options(self) -> dict[str, Any]:
        """Return the options of `compile`, without the device."""
        names = ("precision", "winograd", "weights", "accumulate_dtype")
        return {name: getattr(self, name) for name in names}

    def network(self) -> mpscnn.Network:
        """Return the network with initialized weights."""
        if self.variable:
            return self._network_of_variables(self.variable)
        net = mpscnn.Network(input={f"x{i}": shape for i, shape in enumerate(self.shapes)}, name="one layer")
        result = net.layer(
            self.operation, net.inputs, self.attributes, activation=self.activation, name="layer"
        )
        for tensor in (*net.inputs, result) if self.quantized else ():
            net.quantize(tensor, "uint8", 0.5, 128)
        net.output(net.dense(result, 2) if self.dense else result)
        net.initialize_weights()
        return net

    def _network_of_variables(self, shape: tuple[int, ...]) -> mpscnn.Network:
        graph = _core.Graph("one layer")
        source = graph.add_input("x", (-1, *self.shapes[0]))
        weight = graph.add_variable("weight", shape)
        layer = graph.add_node(
            self.operation,
            "layer",
            [source],
            json.dumps(self.attributes),
            json.dumps(self.activation) if self.activation else "",
        )
        graph.use_variable(layer, "weight", weight)
        graph.mark_output(layer)
        return mpscnn.Network.from_graph(graph)


@dataclass
class Case:
    """A row, identified by engine, operation and field; a layer that it refuses; and one that it allows.

    `environment` has environment variables that the test of the CPU sets, so that the CPU refuses the layer.
    """

    engine: str
    operation: str
    field: str
    refused: Layer
    allowed: Layer
    value: str  # the refused value in the message
    environment: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return " ".join(self.key())

    def key(self) -> tuple[str, str, str]:
        """Return the values that identify the row."""
        return self.engine, self.operation, self.field

    def row(self) -> dict[str, Any]:
        """Return this case's row of the core's table of unsupported features."""
        return next(row for row in ROWS if (row["engine"], row["operation"], row.get("field")) == self.key())


IMAGE = (4, 4, 4)
SIX = (4, 4, 6)
DEPTHWISE = {"output_channels": 6, "groups": 6}
FAR = {"kernel_height": 63, "dilation_y": 1 << 23, "padding": "same"}
TOO_FAR = FAR | {"kernel_height": 65}
MEANS = {"kind": "average", "kernel_height": 2}
TRANSPOSED = {"output_height": 4}

CASES = [
    Case(
        "any",
        "argument",
        "feature channels",
        Layer("argument", [(2050,)], precision="float16"),
        Layer("argument", [(2049,)], precision="float16"),
        "2050",
    ),
    Case(
        "any",
        "top_k",
        "feature channels",
        Layer("top_k", [(2050,)], precision="float16"),
        Layer("top_k", [(2049,)], precision="float16"),
        "2050",
    ),
    Case(
        "any",
        "any",
        "precision",
        Layer("softmax", [IMAGE], precision="bfloat16"),
        Layer("softmax", [IMAGE], precision="float16"),
        "bfloat16",
        {"MPSCNN_CPU": "baseline"},  # kernels without bfloat16
    ),
    Case(
        "any",
        "any",
        "weights",
        Layer("transposed_convolution", [IMAGE], {"output_channels": 3}, variable=(3, 1, 1, 4)),
        Layer("convolution", [IMAGE], {"output_channels": 3}, variable=(3, 1, 1, 4)),
        "variables",
    ),
    Case(
        "cpu",
        "any",
        "weights",
        Layer("fully_connected", [(4,)], {"outputs": 3}, precision="float16", variable=(3, 4)),
        Layer("fully_connected", [(4,)], {"outputs": 3}, variable=(3, 4)),
        "variables",
    ),
    Case(
        "cpu",
        "any",
        "tensors in int8",
        Layer("pooling", [IMAGE], MEANS, precision="int8"),
        Layer("pooling", [IMAGE], MEANS, precision="int8", quantized=True),
        "a tensor without; mpscnn quantize",
    ),
    Case(
        "cpu",
        "any",
        "layers in int8",
        Layer("pooling", [IMAGE], {"kind": "l2_norm"}, precision="int8", quantized=True),
        Layer("pooling", [IMAGE], MEANS, precision="int8", quantized=True),
        "pooling",
    ),
    Case(
        "metal",
        "any",
        "precision",
        Layer("pooling", [IMAGE], MEANS, precision="int8", quantized=True),
        Layer("pooling", [IMAGE], MEANS, precision="float16", quantized=True),
        "int8",
    ),
    Case(
        "metal",
        "any",
        "feature channels",
        Layer("neuron", [(8193,)]),
        Layer("neuron", [(8192,)]),
        "8193",
    ),
    Case(
        "metal",
        "any",
        "rows and columns",
        Layer("neuron", [(None, 1, 1)], given=[(16385, 1, 1)]),
        Layer("neuron", [(None, 1, 1)], given=[(16384, 1, 1)]),
        "(1, 16385, 1, 1)",
    ),
    Case(
        "metal",
        "any",
        "elements of one image",
        Layer("resize", [(None, None, 9)], {"scale_y": 1024, "scale_x": 1024}, given=[(16, 16, 9)]),
        Layer("resize", [(None, None, 9)], {"scale_y": 1024, "scale_x": 1024}, given=[(1, 1, 9)]),
        "(1, 16384, 16384, 9)",
    ),
    Case(
        "metal",
        "any",
        "winograd",
        Layer("softmax", [IMAGE], winograd=False),
        Layer("softmax", [IMAGE]),
        "false",
    ),
    Case(
        "metal",
        "any",
        "check_finite",
        Layer("softmax", [IMAGE], check_finite=True),
        Layer("softmax", [IMAGE]),
        "true",
    ),
    Case(
        "coreml",
        "any",
        "precision",
        Layer("pooling", [IMAGE], MEANS, precision="int8", quantized=True),
        Layer("pooling", [IMAGE], MEANS, precision="float16", quantized=True),
        "int8",
    ),
    Case(
        "coreml",
        "any",
        "winograd",
        Layer("softmax", [IMAGE], winograd=False),
        Layer("softmax", [IMAGE]),
        "false",
    ),
    Case(
        "coreml",
        "any",
        "weights",
        Layer("fully_connected", [(3,)], {"outputs": 2}, weights="int8"),
        Layer("fully_connected", [(3,)], {"outputs": 2}),
        "int8",
    ),
    Case(
        "coreml",
        "any",
        "accumulate_dtype",
        Layer("softmax", [IMAGE], precision="float16", accumulate_dtype="float16"),
        Layer("softmax", [IMAGE], precision="float16", accumulate_dtype="float32"),
        "float16",
    ),
    Case(
        "coreml",
        "any",
        "check_finite",
        Layer("softmax", [IMAGE], check_finite=True),
        Layer("softmax", [IMAGE]),
        "true",
    ),
    Case(
        "metal",
        "binary_convolution",
        "window",
        Layer("binary_convolution", [SIX], {"output_channels": 2} | TOO_FAR),
        Layer("binary_convolution", [SIX], {"output_channels": 2} | FAR),
        "536870913 x 1",
    ),
    Case(
        "metal",
        "convolution",
        "window",
        Layer("convolution", [SIX], DEPTHWISE | TOO_FAR),
        Layer("convolution", [SIX], DEPTHWISE | FAR),
        "536870913 x 1",
    ),
    Case(
        "metal",
        "pooling",
        "window",
        Layer("pooling", [IMAGE], TOO_FAR),
        Layer("pooling", [IMAGE], FAR),
        "536870913 x 1",
    ),
    Case(
        "metal",
        "subpixel_convolution",
        "window",
        Layer("subpixel_convolution", [SIX], {"output_channels": 2} | TOO_FAR),
        Layer("subpixel_convolution", [SIX], {"output_channels": 2} | FAR),
        "536870913 x 1",
    ),
    Case(
        "metal",
        "gru",
        "units",
        Layer("gru", [(1, 1, 3 * 2049)]),
        Layer("gru", [(1, 1, 3 * 2048)]),
        "2049",
    ),
    Case(
        "metal",
        "subpixel_convolution",
        "channels of the convolution",
        Layer("subpixel_convolution", [(1, 1, 1)], {"output_channels": 513, "scale": 4}),
        Layer("subpixel_convolution", [(1, 1, 1)], {"output_channels": 512, "scale": 4}),
        "8208",
    ),
    Case(
        "metal",
        "transposed_convolution",
        "window",
        Layer("transposed_convolution", [SIX], {"output_channels": 2} | TRANSPOSED | TOO_FAR),
        Layer("transposed_convolution", [SIX], {"output_channels": 2} | TRANSPOSED | FAR),
        "536870913 x 1",
    ),
]
