"""For each row of the core's table of refusals what it refuses, and what lies beside that and is allowed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import mpscnn
from mpscnn import _core

ROWS: list[dict[str, Any]] = json.loads(_core.refusals())


@dataclass
class Layer:
    """A network of one layer, or with a dense layer behind it."""

    operation: str
    shapes: list[tuple[int | None, ...]]
    attributes: dict[str, Any] = field(default_factory=dict)
    activation: dict[str, Any] | None = None
    precision: str = "float32"
    dense: bool = False
    given: list[tuple[int, ...]] | None = None  # extents of a run where they are free; without the batch
    check_finite: bool = False

    def network(self) -> mpscnn.Network:
        """With weights."""
        net = mpscnn.Network(input={f"x{i}": shape for i, shape in enumerate(self.shapes)}, name="one layer")
        result = net.layer(
            self.operation, net.inputs, self.attributes, activation=self.activation, name="layer"
        )
        net.output(net.dense(result, 2) if self.dense else result)
        net.initialize_weights()
        return net


@dataclass
class Case:
    """A row by engine, operation and field, a layer that it refuses, and one that it allows."""

    engine: str
    operation: str
    field: str
    refused: Layer
    allowed: Layer
    value: str  # what the message says was given

    def __str__(self) -> str:
        return " ".join(self.key())

    def key(self) -> tuple[str, str, str]:
        """What tells rows apart."""
        return self.engine, self.operation, self.field

    def row(self) -> dict[str, Any]:
        """The row of the core's table."""
        return next(row for row in ROWS if (row["engine"], row["operation"], row.get("field")) == self.key())


IMAGE = (4, 4, 4)
SIX = (4, 4, 6)
HALVES = {"output_channels": 6, "groups": 2}
DEPTHWISE = {"output_channels": 6, "groups": 6}
FAR = {"kernel_height": 2, "padding": "same"}
PRELU = {"kind": "prelu"}

CASES = [
    Case(
        "any",
        "argument",
        "feature channels",
        Layer("argument", [(2050,)], precision="float16"),
        Layer("argument", [(2049,)], precision="float16"),
        "2050",
    ),
    Case("metal", "any", "tensors", Layer("softmax", [(4, 3)]), Layer("softmax", [(1, 4, 3)]), "(n, 4, 3)"),
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
        Layer("neuron", [(16384, 16384, 9)]),
        Layer("neuron", [(16384, 1, 9)]),
        "(n, 16384, 16384, 9)",
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
        "metal",
        "any",
        "activation",
        Layer("add", [IMAGE, IMAGE], activation={"kind": "gelu"}),
        Layer("add", [IMAGE, IMAGE], activation={"kind": "relu"}),
        "gelu",
    ),
    Case(
        "metal",
        "add",
        "parameters",
        Layer("add", [IMAGE, IMAGE], {"bias": 1.0}),
        Layer("add", [IMAGE, IMAGE], {"bias": 0.0}),
        "bias 1",
    ),
    Case(
        "metal",
        "concatenation",
        "channels joined",
        Layer("concatenation", [SIX, IMAGE]),
        Layer("concatenation", [IMAGE, SIX]),
        "6 channels of input 0",
    ),
    Case(
        "metal",
        "convolution",
        "groups",
        Layer("convolution", [SIX], HALVES),
        Layer("convolution", [(4, 4, 8)], {"output_channels": 16, "groups": 2}),
        "2 groups of 3 input and 3 output channels",
    ),
    Case(
        "metal",
        "convolution",
        "activation",
        Layer("convolution", [SIX], {"output_channels": 6}, activation=PRELU),
        Layer("convolution", [SIX], DEPTHWISE, activation=PRELU),
        "prelu",
    ),
    Case(
        "metal",
        "convolution",
        "window",
        Layer("convolution", [SIX], DEPTHWISE | FAR | {"kernel_height": 65, "dilation_y": 1 << 23}),
        Layer("convolution", [SIX], DEPTHWISE | FAR | {"kernel_height": 63, "dilation_y": 1 << 23}),
        "536870913 x 1",
    ),
    Case(
        "metal",
        "fully_connected",
        "activation",
        Layer("fully_connected", [IMAGE], {"outputs": 3}, activation=PRELU),
        Layer("fully_connected", [IMAGE], {"outputs": 3}, activation={"kind": "relu"}),
        "prelu",
    ),
    Case(
        "metal",
        "neuron",
        "kind",
        Layer("neuron", [IMAGE], {"kind": "gelu"}),
        Layer("neuron", [IMAGE], {"kind": "prelu"}),
        "gelu",
    ),
    Case(
        "metal",
        "pooling",
        "kind",
        Layer("pooling", [IMAGE], {"kind": "l2_norm"}),
        Layer("pooling", [IMAGE], {"kind": "average"}),
        "l2_norm",
    ),
    Case(
        "metal",
        "pooling",
        "edge",
        Layer("pooling", [IMAGE], {"edge": "clamp"}),
        Layer("pooling", [IMAGE], {"edge": "exclude"}),
        "clamp",
    ),
    Case(
        "metal",
        "pooling",
        "zero_pad_y and zero_pad_x",
        Layer("pooling", [IMAGE], {"kind": "average", "zero_pad_x": 1}),
        Layer("pooling", [IMAGE], {"kind": "average", "zero_pad_x": 0}),
        "0 and 1",
    ),
    Case(
        "metal",
        "pooling",
        "window",
        Layer("pooling", [IMAGE], FAR | {"kernel_height": 65, "dilation_y": 1 << 23}),
        Layer("pooling", [IMAGE], FAR | {"kernel_height": 63, "dilation_y": 1 << 23}),
        "536870913 x 1",
    ),
    Case(
        "metal",
        "reshape",
        "shape",
        Layer("reshape", [IMAGE], {"shape": [64]}),
        Layer("reshape", [IMAGE], {"shape": [64]}, dense=True),
        "(n, 4, 4, 4) to (n, 64)",
    ),
]
