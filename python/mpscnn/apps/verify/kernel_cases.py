"""Build conformance cases for each class of raw kernels."""

from __future__ import annotations

from typing import Any

from mpscnn import kernels
from mpscnn.apps.verify.case import Case
from mpscnn.apps.verify.recipes import IMAGE, noise_recipe, object_recipe
from mpscnn.apps.verify.training_cases import training_cases

#: Classes without a case with default arguments, by what follows "Neuron" in their names.
_NOT_BY_DEFAULTS = ("", "Descriptor", "Gradient", "Logarithm", "PReLU", "Power")


def _convolved(kernel: str, *descriptor: Any, **named: Any) -> dict[str, Any]:
    """Return the recipe of a 3x3 convolution from 6 to 9 channels."""
    return object_recipe(
        kernel,
        object_recipe("ConvolutionDescriptor", 3, 3, 6, 9, *descriptor),
        noise_recipe(9, 3, 3, 6),
        **named,
    )


def _photo_cases() -> list[tuple[str, dict[str, Any], str]]:
    """Return the cases of scaling, alpha and colour spaces."""
    part = {"scale_transform": [1.5, 0.75, -2.0, 1.0], "edge_mode": "zero"}
    scales = [
        (name, object_recipe(f"Image{kind}Scale", *size, **more), bound)
        for kind, bound in (("Bilinear", "sum"), ("Lanczos", "lanczos"))
        for name, size, more in (
            ("9 x 12", (12, 9), {}),
            ("3 x 2", (2, 3), {}),
            ("transform, zeros outside", (9, 6), part),
        )
    ]
    conversions = (
        ("alpha divided out, sRGB to linear", 4, "premultiplied", "non_premultiplied", "srgb", "linear_srgb"),
        (
            "alpha multiplied in, linear to sRGB",
            4,
            "non_premultiplied",
            "premultiplied",
            "linear_srgb",
            "srgb",
        ),
        ("over a background, to gray", 4, "non_premultiplied", "alpha_is_one", "srgb", "gray_gamma_2_2"),
        ("gray to sRGB", 1, "alpha_is_one", "alpha_is_one", "linear_gray", "srgb"),
    )
    return scales + [
        (
            name,
            object_recipe(
                "ImageConversion", before, after, [0.5, 0.25, 1.0][: 3 if channels == 4 else 0], *spaces
            )
            | {"sources": [[*IMAGE[:3], channels]], "positive": [0]},
            "neuron",
        )
        for name, channels, before, after, *spaces in conversions
    ]


def _cases() -> list[tuple[str, dict[str, Any], str]]:
    """Return the cases as (name, recipe, name of the bound).

    Sources have the usual size unless the recipe has others.
    """
    windows = {"stride_x": 2, "stride_y": 2}
    normal = {"alpha": 0.5, "beta": 0.75, "delta": 2.0}
    listed: list[tuple[str, dict[str, Any], str]] = [
        ("3 x 3", _convolved("Convolution", bias_terms=noise_recipe(9, seed=2)), "sum"),
        (
            "3 x 3, stride 2, offset, clamped",
            _convolved("Convolution", 2, 2, edge_mode="clamp", offset=[1, 2]),
            "sum",
        ),
        (
            "with a neuron",
            object_recipe(
                "Convolution", object_recipe("ConvolutionDescriptor", 1, 1, 6, 9), noise_recipe(9, 1, 1, 6)
            ),
            "sum",
        ),
        (
            "depthwise",
            object_recipe(
                "Convolution",
                object_recipe("DepthWiseConvolutionDescriptor", 3, 3, 6, 12),
                noise_recipe(12, 3, 3),
            ),
            "sum",
        ),
        (
            "sub-pixel",
            object_recipe(
                "Convolution",
                object_recipe("SubPixelConvolutionDescriptor", 3, 3, 6, 12, sub_pixel_scale_factor=2),
                noise_recipe(12, 3, 3, 6),
            ),
            "sum",
        ),
        ("stride 2", _convolved("ConvolutionTranspose", 2, 2), "sum"),
        (
            "whole image",
            object_recipe(
                "FullyConnected", object_recipe("ConvolutionDescriptor", 5, 7, 6, 9), noise_recipe(9, 7, 5, 6)
            ),
            "sum",
        ),
        ("binary weights", _convolved("BinaryConvolution"), "sum"),
        (
            "whole image",
            object_recipe(
                "BinaryFullyConnected",
                object_recipe("ConvolutionDescriptor", 5, 7, 6, 9),
                noise_recipe(9, 7, 5, 6),
            ),
            "sum",
        ),
        ("2 x 3, dilated", object_recipe("DilatedPoolingMax", 2, 3, 2, 2), "exact"),
        *(
            (f"3 x 3, {edge}", object_recipe("PoolingMax", 3, 3, edge_mode=edge, **windows), "exact")
            for edge in ("zero", "clamp")
        ),
        *(
            (f"3 x 3, {edge}", object_recipe("PoolingAverage", 3, 3, edge_mode=edge, **windows), "sum")
            for edge in ("zero", "clamp")
        ),
        *(
            (f"3 x 3, {edge}", object_recipe("PoolingL2Norm", 3, 3, edge_mode=edge, **windows), "sum")
            for edge in ("zero", "clamp")
        ),
        ("even window", object_recipe("PoolingMax", 2, 4, **windows), "exact"),
        ("even window", object_recipe("PoolingAverage", 2, 4, **windows), "sum"),
        ("even window", object_recipe("PoolingL2Norm", 2, 4, **windows), "sum"),
        ("of pixels", object_recipe("SoftMax"), "softmax"),
        ("of pixels", object_recipe("LogSoftMax"), "softmax"),
        *(
            (f"{size} channels", object_recipe("CrossChannelNormalization", size, **normal), "normalization")
            for size in (4, 5)
        ),
        *(
            (f"{size} x {size}", object_recipe("SpatialNormalization", size, size, **normal), "normalization")
            for size in (3, 4)
        ),
        *(
            (
                f"{size} x {size}",
                object_recipe("LocalContrastNormalization", size, size, **normal),
                "normalization",
            )
            for size in (3, 4)
        ),
        (
            "per image",
            object_recipe("InstanceNormalization", noise_recipe(6), noise_recipe(6, seed=2)),
            "normalization",
        ),
        (
            "two groups",
            object_recipe("GroupNormalization", 2, noise_recipe(6), noise_recipe(6, seed=2)),
            "normalization",
        ),
        (
            "given statistics",
            object_recipe(
                "BatchNormalization",
                noise_recipe(6),
                noise_recipe(6, seed=2, positive=True),
                noise_recipe(6, seed=3),
            ),
            "normalization",
        ),
        (
            "into a state",
            object_recipe("BatchNormalizationStatistics") | {"run": "statistics"},
            "normalization",
        ),
        ("5 x 6 x 7", object_recipe("Reshape", 5, 6, 7), "exact"),
        ("part", object_recipe("Slice", source_feature_channel_offset=4), "exact"),
        *(
            (edge, object_recipe("Pad", [1, 2, 0], [2, 1, 3], edge_mode=edge), "exact")
            for edge in ("zero", "clamp")
        ),
        ("2 x 3", object_recipe("UpsamplingNearest", 2, 3), "exact"),
        ("2 x 3", object_recipe("UpsamplingBilinear", 2, 3), "sum"),
        ("9 x 12", object_recipe("ResizeBilinear", 12, 9), "sum"),
        *_photo_cases(),
        ("all pixels", object_recipe("GramMatrixCalculation", 0.25), "sum"),
        ("seed 3", object_recipe("Dropout", 0.5, 3), "elementwise"),
    ]
    for kind, threshold in (("less", 0.0), ("greater_or_equal", 0.0), ("equal", 0.5), ("not_equal", 0.5)):
        compare = object_recipe("Compare", kind, threshold=threshold)
        listed.append((kind, compare | {"sources": [IMAGE, IMAGE]}, "exact"))
    for name in ("Add", "Multiply", "Divide"):
        listed.append(("two images", object_recipe(name) | {"sources": [IMAGE, IMAGE]}, "sum"))
    listed.append(
        (
            "two images",
            object_recipe("Subtract") | {"sources": [IMAGE, IMAGE], "magnitude": {"kernel": "Add"}},
            "sum",
        )
    )
    for name in kernels.__all__:
        if name.startswith("Reduce") and name not in ("ReduceUnary", "ReduceBinary"):
            weighted = {"sources": [IMAGE, IMAGE]} if "AndWeights" in name else {}
            bound = "exact" if name.endswith(("Max", "Min")) else "sum"
            listed.append(("whole", object_recipe(name) | weighted, bound))
        elif name.startswith("Neuron") and name.removeprefix("Neuron") not in _NOT_BY_DEFAULTS:
            listed.append(("defaults", object_recipe(name), "neuron"))
    for name, b in (("Logarithm", 4.0), ("Power", 4.0)):
        listed.append(("a = 0.25, b = 4", object_recipe(f"Neuron{name}", 0.25, b), "neuron"))
    listed.append(("slopes", object_recipe("NeuronPReLU", noise_recipe(6)), "neuron"))
    listed.append(("gelu", object_recipe("Neuron", object_recipe("NeuronDescriptor", "gelu")), "neuron"))
    return listed


def _group(kernel: str) -> str:
    """Return the group of a kernel: its module. So similar kernels share a process."""
    return "kernels: " + str(getattr(kernels, kernel).__module__).rpartition(".")[2]


def kernel_cases() -> list[Case]:
    """Return the cases of all classes of `mpscnn.kernels`, on float32 images."""
    return [
        Case(_group(recipe["kernel"]), recipe["kernel"], name, {"sources": [IMAGE], **recipe, "bound": bound})
        for name, recipe, bound in [*_cases(), *training_cases()]
    ]
