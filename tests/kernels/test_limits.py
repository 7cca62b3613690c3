"""Every property of every kernel refuses values outside its limits and of other types, and names the property."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

import mpscnn
from mpscnn import _core

KERNELS = {entry["name"]: entry for entry in json.loads(_core.kernels())}
LARGEST = 1 << 24
WHOLE = """kernel_width kernel_height kernel_size stride_x stride_y dilation_rate_x dilation_rate_y groups
    number_of_groups input_feature_channels output_feature_channels number_of_feature_channels number_of_classes
    scale_factor_x scale_factor_y sub_pixel_scale_factor reshaped_width reshaped_height reshaped_feature_channels"""
FROM_ZERO = """primary_stride_x primary_stride_y secondary_stride_x secondary_stride_y zero_pad_size_x
    zero_pad_size_y time_step"""
CHANNEL_STRIDES = "primary_stride_in_feature_channels", "secondary_stride_in_feature_channels"
#: The least and the largest value of each property with such limits.
LIMITS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(WHOLE.split(), (1, LARGEST)),
    **dict.fromkeys(FROM_ZERO.split(), (0, LARGEST)),
    **dict.fromkeys(CHANNEL_STRIDES, (0, 1)),
    **dict.fromkeys(("kernel_offset_x", "kernel_offset_y"), (-LARGEST, LARGEST)),
    **dict.fromkeys(("beta1", "beta2", "decay", "momentum_scale", "label_smoothing"), (0.0, 1.0)),
    **dict.fromkeys(("learning_rate", "regularization_scale", "threshold", "epsilon"), (0.0, 3e38)),
}
#: Values that no property of a type allows.
WRONG: dict[str, tuple[Any, ...]] = {
    "integer": (0.5, "1"),
    "number": (1e39, -1e39, "1"),
    "boolean": (1, "yes"),
    "offset": ((0, 1 << 40, 0), (0.5, 0, 0), 1),
    "region": (1,),
    "string": (1,),
}
#: Further values that a property does not allow.
REFUSED: dict[str, tuple[Any, ...]] = {
    "keep_probability": (0.0, 1.0, -0.5),
    "mask_stride_in_pixels": ((1, 2, 1),),
    "padding_size_before": ((0, -1, 0),),
    "padding_size_after": ((0, -1, 0),),
}
#: The kernels of neurons that have slopes, and fixed properties whose defaults are no values.
SLOPES = {"NeuronPReLU": {"data_count": 4}}
WITHOUT_DEFAULT = ("_feature_channels", "resize_width", "resize_height")


def wrong_values(entry: dict[str, Any]) -> Iterator[Any]:
    yield from ("no such choice", 1) if entry.get("allowed") else WRONG.get(entry["type"], ())
    yield from REFUSED.get(entry["name"], ())
    if entry["name"] in LIMITS:
        least, largest = LIMITS[entry["name"]]
        step = 1 if entry["type"] == "integer" else 1e-3
        yield from (least - step, *([largest + step] if largest < 3e38 else []))


@pytest.mark.parametrize("kernel", KERNELS)
def test_values_that_no_kernel_can_use_are_refused_by_name(kernel: str) -> None:
    fixed, others = KERNELS[kernel]["fixed"], KERNELS[kernel]["properties"]
    given = {p["name"]: 4 for p in fixed if p["default"] == 0 and p["name"].endswith(WITHOUT_DEFAULT)}
    given |= SLOPES.get(kernel, {})
    for entry in fixed + others:
        for value in wrong_values(entry):
            with pytest.raises(mpscnn.Error, match=entry["name"]):
                _core.Kernel(kernel, json.dumps(given | {entry["name"]: value}))
