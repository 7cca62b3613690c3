"""Compare activation functions that are attached to other layers with the float64 reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ops.single_layer import run_layer, values
from reference.neuron import FUNCTIONS, neuron
from tiers import combinations
from tolerance import assert_close, defined_where_attached, neuron_bound

KINDS = list(FUNCTIONS)


@pytest.mark.cpu("MPS attaches activations of its own to convolutions")
@pytest.mark.parametrize("kind", [*KINDS, "prelu"])
@pytest.mark.parametrize(
    "operation", ["convolution", "depthwise", "fully_connected", "add", "batch_normalization"]
)
def test_attached_and_standing_alone_are_the_same_bits(kind: str, operation: str) -> None:
    channels = 19
    x = values(0, (2, 6, 7, channels))
    function = {"kind": kind, "a": 0.5, "b": 1.0, "c": 2.0}
    inputs, attributes, weights = [x], {}, {}
    if operation == "convolution":
        attributes = {"output_channels": channels, "kernel_height": 3, "kernel_width": 3, "padding": "same"}
        weights = {"weight": values(1, (channels, 3, 3, channels))}
    elif operation == "depthwise":
        attributes = {"output_channels": channels, "groups": channels, "kernel_height": 3, "kernel_width": 3}
        weights = {"weight": values(1, (channels, 3, 3, 1))}
    elif operation == "fully_connected":
        attributes, weights = {"outputs": channels}, {"weight": values(1, (channels, 6, 7, channels))}
    elif operation == "add":
        inputs = [x, values(1, x.shape)]
    else:
        weights = {"mean": values(1, (channels,)), "variance": np.abs(values(2, (channels,)))}
    slope = {"slope": values(3, (channels,))} if kind == "prelu" else {}
    name = "convolution" if operation == "depthwise" else operation
    attached = run_layer(name, inputs, attributes, weights=weights | slope, activation=function)
    plain = run_layer(name, inputs, attributes, weights=weights)
    np.testing.assert_array_equal(attached, run_layer("neuron", [plain], function, weights=slope))


#: Attributes without the number of outputs, and the weight's shape, of layers of 19 channels each.
LAYERS: dict[str, tuple[str, dict[str, Any], tuple[int, ...]]] = {
    "pointwise": ("convolution", {}, (19, 1, 1, 19)),
    "3x3": ("convolution", {"kernel_height": 3, "kernel_width": 3}, (19, 3, 3, 19)),
    "grouped": ("convolution", {"kernel_height": 2, "groups": 19}, (38, 2, 1, 1)),
    "dense": ("fully_connected", {}, (19, 4, 5, 19)),
}


#: Inputs for which formulas may overflow or cancel, and NaN.
EXTREMES = [np.nan, -np.inf, -1e38, -6e4, -1e3, -90, -30, -1e-4, 0, 1e-4, 30, 90, 1e3, 6e4, 1e38, np.inf]
FUNCTIONS = [
    *({"kind": kind, "a": 0.5, "b": 1.0, "c": 2.0} for kind in [*KINDS, "prelu"]),
    {"kind": "relu"},
    {"kind": "relun", "b": 6.0},
    {"kind": "exponential", "a": 1.0, "c": -1.0},
    {"kind": "logarithm", "a": 1.0, "c": -1.0},
]


@pytest.mark.parametrize(
    ("layer", "function", "precision"),
    combinations(["pointwise", "3x3", "dense"], FUNCTIONS, ["float32", "float16"], every=2),
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else None,
)
def test_attached_to_large_sums(
    layer: str, function: dict[str, Any], precision: str, chosen_device: str
) -> None:
    operation, attributes, (_, height, width, _) = LAYERS[layer]
    if layer == "dense":
        height = width = 1
    half = precision == "float16"
    x = np.array([value for value in EXTREMES if not (half and abs(value) == 1e38)], np.float32)
    if half:
        x = x.astype(np.float16).astype(np.float32)
    # Each number is in a separate image, because an infinity times the zeros of other weights would be NaN.
    images = np.zeros((x.size, 1, 1, 2), np.float32)
    images[..., 0] = x[:, None, None]
    weight = np.zeros((3, height, width, 2), np.float32)
    weight[:, height // 2, width // 2] = 1
    slope = np.array([0.5, 0.25, 2.0], np.float32) if function["kind"] == "prelu" else None
    result = run_layer(
        operation,
        [images],
        attributes | ({"outputs": 3} if layer == "dense" else {"output_channels": 3, "padding": "same"}),
        weights={"weight": weight} | ({} if slope is None else {"slope": slope}),
        activation=function,
        precision=precision,
    ).reshape(x.size, 3)
    sums = np.repeat(x[:, None], 3, axis=1)
    reference = neuron(sums, function, slope)
    maximum = 65504.0 if half else np.finfo(np.float32).max
    reference = np.where(np.abs(reference) > maximum, np.copysign(np.inf, reference), reference)
    known = defined_where_attached(function["kind"], sums, chosen_device)
    bound = neuron_bound(sums, function, reference)
    assert_close(result[known], reference[known], bound[known], half=half)
