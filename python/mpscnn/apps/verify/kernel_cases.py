"""Build conformance cases for each class of raw kernels."""

from __future__ import annotations

from typing import Any

from mpscnn import kernels
from mpscnn.apps.verify.case import Case
from mpscnn.apps.verify.recipes import IMAGE, made, noise
from mpscnn.apps.verify.training_cases import training_cases

#: Classes without a case with default arguments, by what follows "Neuron" in their names.
_NOT_BY_DEFAULTS = ("", "Descriptor", "Gradient", "Logarithm", "PReLU", "Power")


def _convolved(kernel: str, *descriptor: Any, **named: Any) -> dict[str, Any]:
    """Return the recipe of a 3x3 convolution from 6 to 9 channels."""
    return made(kernel, made("ConvolutionDescriptor", 3, 3, 6, 9, *descriptor), noise(9, 3, 3, 6), **named)


def _photo_cases() -> list[tuple[str, dict[str, Any], str]]:
    """Return the cases of scaling, alpha and colour spaces."""
    part = {"scale_transform": [1.5, 0.75, -2.0, 1.0], "edge_mode": "zero"}
    scales = [
        (name, made(f"Image{kind}Scale", *size, **more), bound)
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
            made("ImageConversion", before, after, [0.5, 0.25, 1.0][: 3 if channels == 4 else 0], *spaces)
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
        ("3 x 3", _convolved("Convolution", bias_terms=noise(9, seed=2)), "sum"),
        (
            "3 x 3, stride 2, offset, clamped",
            _convolved("Convolution", 2, 2, edge_mode="clamp", offset=[1, 2]),
            "sum",
        ),
        (
            "with a neuron",
            made("Convolution", made("ConvolutionDescriptor", 1, 1, 6, 9), noise(9, 1, 1, 6)),
            "sum",
        ),
        (
            "depthwise",
            made("Convolution", made("DepthWiseConvolutionDescriptor", 3, 3, 6, 12), noise(12, 3, 3)),
            "sum",
        ),
        (
            "sub-pixel",
            made(
                "Convolution",
                made("SubPixelConvolutionDescriptor", 3, 3, 6, 12, sub_pixel_scale_factor=2),
                noise(12, 3, 3, 6),
            ),
            "sum",
        ),
        ("stride 2", _convolved("ConvolutionTranspose", 2, 2), "sum"),
        (
            "whole image",
            made("FullyConnected", made("ConvolutionDescriptor", 5, 7, 6, 9), noise(9, 7, 5, 6)),
            "sum",
        ),
        ("binary weights", _convolved("BinaryConvolution"), "sum"),
        (
            "whole image",
            made("BinaryFullyConnected", made("ConvolutionDescriptor", 5, 7, 6, 9), noise(9, 7, 5, 6)),
            "sum",
        ),
        ("2 x 3, dilated", made("DilatedPoolingMax", 2, 3, 2, 2), "exact"),
        *(
            (f"3 x 3, {edge}", made("PoolingMax", 3, 3, edge_mode=edge, **windows), "exact")
            for edge in ("zero", "clamp")
        ),
        *(
            (f"3 x 3, {edge}", made("PoolingAverage", 3, 3, edge_mode=edge, **windows), "sum")
            for edge in ("zero", "clamp")
        ),
        *(
            (f"3 x 3, {edge}", made("PoolingL2Norm", 3, 3, edge_mode=edge, **windows), "sum")
            for edge in ("zero", "clamp")
        ),
        ("even window", made("PoolingMax", 2, 4, **windows), "exact"),
        ("even window", made("PoolingAverage", 2, 4, **windows), "sum"),
        ("even window", made("PoolingL2Norm", 2, 4, **windows), "sum"),
        ("of pixels", made("SoftMax"), "softmax"),
        ("of pixels", made("LogSoftMax"), "softmax"),
        *(
            (f"{size} channels", made("CrossChannelNormalization", size, **normal), "normalization")
            for size in (4, 5)
        ),
        *(
            (f"{size} x {size}", made("SpatialNormalization", size, size, **normal), "normalization")
            for size in (3, 4)
        ),
        *(
            (f"{size} x {size}", made("LocalContrastNormalization", size, size, **normal), "normalization")
            for size in (3, 4)
        ),
        ("per image", made("InstanceNormalization", noise(6), noise(6, seed=2)), "normalization"),
        ("two groups", made("GroupNormalization", 2, noise(6), noise(6, seed=2)), "normalization"),
        (
            "given statistics",
            made("BatchNormalization", noise(6), noise(6, seed=2, positive=True), noise(6, seed=3)),
            "normalization",
        ),
        ("into a state", made("BatchNormalizationStatistics") | {"run": "statistics"}, "normalization"),
        ("5 x 6 x 7", made("Reshape", 5, 6, 7), "exact"),
        ("part", made("Slice", source_feature_channel_offset=4), "exact"),
        *((edge, made("Pad", [1, 2, 0], [2, 1, 3], edge_mode=edge), "exact") for edge in ("zero", "clamp")),
        ("2 x 3", made("UpsamplingNearest", 2, 3), "exact"),
        ("2 x 3", made("UpsamplingBilinear", 2, 3), "sum"),
        ("9 x 12", made("ResizeBilinear", 12, 9), "sum"),
        *_photo_cases(),
        ("all pixels", made("GramMatrixCalculation", 0.25), "sum"),
        ("seed 3", made("Dropout", 0.5, 3), "elementwise"),
    ]
    for kind, threshold in (("less", 0.0), ("greater_or_equal", 0.0), ("equal", 0.5), ("not_equal", 0.5)):
        compare = made("Compare", kind, threshold=threshold)
        listed.append((kind, compare | {"sources": [IMAGE, IMAGE]}, "exact"))
    for name in ("Add", "Multiply", "Divide"):
        listed.append(("two images", made(name) | {"sources": [IMAGE, IMAGE]}, "sum"))
    listed.append(
        (
            "two images",
            made("Subtract") | {"sources": [IMAGE, IMAGE], "magnitude": {"kernel": "Add"}},
            "sum",
        )
    )
    for name in kernels.__all__:
        if name.startswith("Reduce") and name not in ("ReduceUnary", "ReduceBinary"):
            weighted = {"sources": [IMAGE, IMAGE]} if "AndWeights" in name else {}
            bound = "exact" if name.endswith(("Max", "Min")) else "sum"
            listed.append(("whole", made(name) | weighted, bound))
        elif name.startswith("Neuron") and name.removeprefix("Neuron") not in _NOT_BY_DEFAULTS:
            listed.append(("defaults", made(name), "neuron"))
    for name, b in (("Logarithm", 4.0), ("Power", 4.0)):
        listed.append(("a = 0.25, b = 4", made(f"Neuron{name}", 0.25, b), "neuron"))
    listed.append(("slopes", made("NeuronPReLU", noise(6)), "neuron"))
    listed.append(("gelu", made("Neuron", made("NeuronDescriptor", "gelu")), "neuron"))
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
