"""Cases for each operation of networks, with all ways in which an engine may compute it."""

from __future__ import annotations

from typing import Any

from mpscnn.apps.verify.case import Case
from mpscnn.apps.verify.layers import ELEMENTWISE

_IMAGE = (7, 5, 6)
_SAME = {"padding": "same"}
_K3 = {"kernel_height": 3, "kernel_width": 3}
_CONVOLVED = {"output_channels": 5, **_K3, **_SAME}

NEURONS: dict[str, dict[str, Any]] = {
    "relu": {"a": 0.25},
    "linear": {"a": -0.5, "b": 2.0},
    "sigmoid": {},
    "hard_sigmoid": {"a": 0.2, "b": 0.5},
    "tanh": {"a": 1.5, "b": 0.5},
    "absolute": {},
    "softplus": {"a": 1.0, "b": 1.0},
    "softsign": {},
    "elu": {"a": 1.0},
    "prelu": {},
    "relun": {"a": 0.5, "b": 1.5},
    "power": {"a": 0.0625, "b": 8.0, "c": 1.5},
    "exponential": {"a": 0.5, "b": 0.0, "c": -1.0},
    "logarithm": {"a": 0.0625, "b": 8.0, "c": -1.0},
    "gelu": {},
    "hard_swish": {},
    "swish": {"b": 1.5},
    "mish": {},
    "gelu_tanh": {},
    "clamp": {"a": -0.25, "b": 0.5},
    "sign": {},
    "floor": {},
    "ceil": {},
    "round": {},
    "erf": {},
}

_Shapes = list[tuple[int, ...]]

_NORMS: list[tuple[str, _Shapes, dict[str, Any]]] = [
    (f"{norm}, {rule}", [_IMAGE], {"norm": norm, "epsilon_rule": rule, "epsilon": 0.01})
    for norm in ("deviation", "root_mean_square", "l2_norm", "l1_norm")
    for rule in ("inside", "outside", "minimum")
]
_RESIZES: list[tuple[str, _Shapes, dict[str, Any]]] = [
    (f"{kind}, {alignment}", [_IMAGE], {"kind": kind, "alignment": alignment, "height": 9, "width": 12})
    for kind in ("nearest", "bilinear")
    for alignment in ("half_pixel", "corners", "asymmetric", "pytorch_half_pixel")
]
_RESIZES += [
    (
        f"nearest, {rounding}",
        [_IMAGE],
        {"kind": "nearest", "alignment": "asymmetric", "rounding": rounding, "height": 14, "width": 3},
    )
    for rounding in ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")
]
_RESIZES += [
    (f"lanczos, {name}", [_IMAGE], {"kind": "lanczos", **attributes})
    for name, attributes in (
        ("larger", {"height": 9, "width": 12}),
        ("smaller", {"height": 3, "width": 2}),
        ("zeros outside", {"height": 9, "width": 3, "edge": "zero", "offset_y": -1.5}),
    )
]
_RESIZES.append(("nearest, whole factors", [_IMAGE], {"kind": "nearest", "scale_y": 3.0, "scale_x": 2.0}))

#: Operation: (name, input shapes without the batch, attributes).
_CASES: dict[str, list[tuple[str, _Shapes, dict[str, Any]]]] = {
    "convolution": [
        ("3 x 3, stride 2", [_IMAGE], {"output_channels": 9, **_K3, "stride_y": 2, "stride_x": 2, **_SAME}),
        ("even window", [_IMAGE], {"output_channels": 9, "kernel_height": 4, "kernel_width": 2, **_SAME}),
        (
            "padding on one side",
            [_IMAGE],
            {
                "output_channels": 5,
                "kernel_height": 2,
                "kernel_width": 3,
                "padding": "explicit",
                "pad_top": 2,
                "pad_left": 1,
            },
        ),
        (
            "dilated",
            [_IMAGE],
            {
                "output_channels": 9,
                "kernel_height": 3,
                "kernel_width": 2,
                "dilation_y": 2,
                "dilation_x": 3,
                **_SAME,
            },
        ),
        ("groups of 4 channels", [(7, 5, 8)], {"output_channels": 16, **_K3, "groups": 2, **_SAME}),
        ("groups of 3 channels", [_IMAGE], {"output_channels": 4, **_K3, "groups": 2, **_SAME}),
        ("1 x 1", [(9, 11, 21)], {"output_channels": 30}),
        ("1 x 1, many channels", [(5, 5, 515)], {"output_channels": 70}),
        ("large", [(37, 51, 32)], {"output_channels": 40, **_K3, **_SAME}),
        ("5 x 5", [(23, 19, 8)], {"output_channels": 12, "kernel_height": 5, "kernel_width": 5}),
        (
            "7 x 7 of a wide image",
            [(129, 131, 3)],
            {
                "output_channels": 8,
                "kernel_height": 7,
                "kernel_width": 7,
                "stride_y": 2,
                "stride_x": 2,
                **_SAME,
            },
        ),
        ("depthwise", [_IMAGE], {"output_channels": 6, **_K3, "groups": 6, **_SAME}),
        (
            "depthwise, even window",
            [_IMAGE],
            {
                "output_channels": 12,
                "kernel_height": 2,
                "kernel_width": 4,
                "stride_x": 3,
                "groups": 6,
                **_SAME,
            },
        ),
        (
            "depthwise, large",
            [(65, 67, 33)],
            {"output_channels": 33, **_K3, "stride_y": 2, "stride_x": 2, "groups": 33, **_SAME},
        ),
    ],
    "transposed_convolution": [
        ("stride 2", [_IMAGE], {"output_channels": 5, **_K3, "stride_y": 2, "stride_x": 2}),
        (
            "even window",
            [_IMAGE],
            {
                "output_channels": 5,
                "kernel_height": 4,
                "kernel_width": 2,
                "stride_y": 2,
                "stride_x": 3,
                **_SAME,
            },
        ),
        (
            "groups, dilated",
            [_IMAGE],
            {"output_channels": 4, "kernel_height": 2, "kernel_width": 3, "groups": 2, "dilation_x": 2},
        ),
    ],
    "fully_connected": [
        ("small", [_IMAGE], {"outputs": 5}),
        ("large", [(7, 7, 36)], {"outputs": 1001}),
        ("of features", [(130,)], {"outputs": 33}),
    ],
    "subpixel_convolution": [("3 x 3", [_IMAGE], {"output_channels": 3, "scale": 2, **_K3, **_SAME})],
    "binary_convolution": [
        ("3 x 3", [_IMAGE], {"output_channels": 5, **_K3, **_SAME}),
        ("scaled", [_IMAGE], {"output_channels": 5, **_K3, "beta_scaling": True}),
    ],
    "binary_fully_connected": [("of an image", [_IMAGE], {"outputs": 5})],
    "pooling": [
        (f"{kind}, {name}", [shape], {"kind": kind, **attributes})
        for kind in ("max", "average", "l2_norm")
        for name, shape, attributes in (
            ("stride 2", _IMAGE, {**_K3, "stride_y": 2, "stride_x": 2, **_SAME}),
            ("even window", _IMAGE, {"kernel_height": 2, "kernel_width": 4, **_SAME}),
            ("dilated", _IMAGE, {"kernel_height": 2, "kernel_width": 2, "dilation_y": 2, "dilation_x": 3}),
            ("zeros outside", _IMAGE, {**_K3, **_SAME, "edge": "zero"}),
            ("clamped", _IMAGE, {**_K3, **_SAME, "edge": "clamp"}),
            ("whole image", (9, 11, 21), {"global": True}),
            ("large", (65, 67, 33), {**_K3, "stride_y": 2, "stride_x": 2, **_SAME}),
        )
    ],
    "softmax": [("of pixels", [_IMAGE], {}), ("large", [(1001,)], {})],
    "log_softmax": [("of pixels", [_IMAGE], {}), ("large", [(1001,)], {})],
    "cross_channel_normalization": [
        (f"{size} channels", [(7, 5, 13)], {"kernel_size": size, "alpha": 0.5, "beta": 0.75, "delta": 2.0})
        for size in (4, 5)
    ],
    "spatial_normalization": [
        (
            f"{size} x {size}",
            [_IMAGE],
            {"kernel_height": size, "kernel_width": size, "alpha": 0.5, "beta": 0.75, "delta": 2.0},
        )
        for size in (3, 4)
    ],
    "local_contrast_normalization": [
        (
            f"{size} x {size}",
            [_IMAGE],
            {
                "kernel_height": size,
                "kernel_width": size,
                "alpha": 0.5,
                "beta": 0.75,
                "delta": 2.0,
                "p0": 0.5,
                "pm": 0.25,
                "ps": 2.0,
            },
        )
        for size in (3, 4)
    ],
    "batch_normalization": [("statistics that are weights", [_IMAGE], {"epsilon": 0.01})],
    "batch_statistics": [("two images", [_IMAGE], {})],
    "group_normalization": [("two groups", [_IMAGE], {"groups": 2}), ("instances", [_IMAGE], {"groups": 6})],
    "layer_normalization": [
        ("of pixels", [_IMAGE], {"epsilon": 0.01}),
        ("large", [(19, 192)], {}),
        *_NORMS,
    ],
    "matrix_product": [
        ("plain", [(3, 7, 6), (3, 6, 5)], {}),
        ("first transposed", [(3, 6, 7), (3, 6, 5)], {"transpose_first": True}),
        ("second transposed", [(3, 7, 6), (3, 5, 6)], {"transpose_second": True, "scale": 0.5}),
        ("large", [(3, 197, 64), (3, 197, 64)], {"transpose_second": True, "scale": 0.125}),
    ],
    "constant": [("an image", [_IMAGE], {"shape": [7, 5, 6]}), ("features", [_IMAGE], {"shape": [13]})],
    "transpose": [
        ("channels first", [_IMAGE], {"axes": [3, 1, 2]}),
        ("rows and columns", [_IMAGE], {"axes": [2, 1, 3]}),
        ("five axes", [(3, 5, 2, 4, 3)], {"axes": [4, 2, 1, 5, 3]}),
    ],
    "channel_shuffle": [(f"{groups} groups", [_IMAGE], {"groups": groups}) for groups in (2, 3)],
    "gather": [
        ("channels", [_IMAGE], {"indices": [5, 0, 0, 3, 2, 1, 4]}),
        ("rows", [_IMAGE], {"indices": [6, 0, 2], "axis": 1}),
    ],
    "tile": [("an image", [_IMAGE], {"rows": 2, "columns": 3, "channels": 2})],
    "resize": _RESIZES,
    "padding": [
        ("constant", [_IMAGE], {"top": 1, "right": 2, "back": 3, "value": 0.5}),
        ("mirrored", [_IMAGE], {"top": 2, "bottom": 1, "left": 3, "mode": "mirror"}),
    ],
    "slice": [
        ("a part", [_IMAGE], {"top": 1, "left": 2, "front": 1, "height": 4, "width": 3, "channels": 5}),
        ("backward", [_IMAGE], {"top": -1, "front": 5, "stride_y": -2, "stride_x": 2, "stride_channels": -1}),
    ],
    "reshape": [("of an image", [_IMAGE], {"shape": [5, 6, 7]})],
    "depth_to_space": [
        (order, [(7, 5, 12)], {"scale": 2, "order": order}) for order in ("position_major", "channel_major")
    ],
    "concatenation": [
        ("of channels", [_IMAGE, (7, 5, 3)], {}),
        ("of four channels", [(7, 5, 4), (7, 5, 8)], {}),
    ],
    "add": [
        ("scaled", [_IMAGE, _IMAGE], {"secondary_scale": 0.5}),
        ("broadcast", [_IMAGE, (1, 1, 6)], {"secondary_stride_y": 0, "secondary_stride_x": 0}),
    ],
    "subtract": [("with a bias", [_IMAGE, _IMAGE], {"bias": 0.25})],
    # In noise, no two numbers are equal and none is 0.
    "equal": [("everywhere", [_IMAGE, _IMAGE], {"primary_scale": 0.0, "secondary_scale": 0.0})],
    "mask_out": [("by zeros", [_IMAGE, _IMAGE], {"primary_scale": 0.0})],
    # Small exponents, so that no half overflows.
    "power": [("small", [_IMAGE, _IMAGE], {"secondary_scale": 0.25})],
    "divide": [("limited", [_IMAGE, _IMAGE], {"secondary_scale": 2.0, "minimum": -4.0, "maximum": 4.0})],
    "argument": [(kind, [_IMAGE], {"kind": kind}) for kind in ("max", "min")],
    "reduction": [
        (f"{kind} of {axis}", [_IMAGE], {"kind": kind, "axis": axis})
        for kind in (
            *("max", "min", "sum", "mean", "product", "l2_norm"),
            *("sum_of_squares", "variance", "deviation", "log_sum_exp"),
        )
        for axis in ("height", "width", "channels")
    ],
    "weighted_reduction": [(kind, [_IMAGE, _IMAGE], {"kind": kind}) for kind in ("sum", "mean")],
    "dropout": [("in training", [_IMAGE], {"training": True, "seed": 3})],
    "neuron": [(kind, [_IMAGE], {"kind": kind, **parameters}) for kind, parameters in NEURONS.items()],
}


for _name in ELEMENTWISE:
    _CASES.setdefault(_name, [("plain", [_IMAGE, _IMAGE], {})])


def layer_cases() -> list[Case]:
    """Every operation in float32 and float16, and a convolution, a 1 x 1 one and a dense layer with each neuron."""
    return [case for precision in ("float32", "float16") for case in _cases_in(precision)]


def _cases_in(precision: str) -> list[Case]:
    found = [
        _case(operation, name, shapes, precision, attributes=attributes)
        for operation, listed in _CASES.items()
        for name, shapes, attributes in listed
    ]
    for kind, parameters in NEURONS.items():
        activation = {"kind": kind, **parameters}
        for name, operation, attributes in (
            (f"3 x 3 with {kind}", "convolution", _CONVOLVED),
            (f"1 x 1 with {kind}", "convolution", {"output_channels": 5}),
            (f"with {kind}", "fully_connected", {"outputs": 5}),
        ):
            found.append(
                _case(operation, name, [_IMAGE], precision, attributes=attributes, activation=activation)
            )
    return found


def _case(operation: str, name: str, shapes: _Shapes, precision: str, **others: Any) -> Case:
    inputs = [list(shape) for shape in shapes]
    recipe = {"operation": operation, "inputs": inputs, "precision": precision, **others}
    return Case(operation, operation, f"{name}, {precision}", recipe)
