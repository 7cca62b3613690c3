"""Build conformance cases for each class of raw kernels."""

from __future__ import annotations

from typing import Any

from mpscnn import kernels
from mpscnn.apps.verify.case import Case
from mpscnn.apps.verify.recipes import IMAGE, Bounded, Recipe, made, noise
from mpscnn.apps.verify.training_cases import training_cases

#: Classes without a case with default arguments, by what follows "Neuron" in their names.
_NOT_BY_DEFAULTS = ("", "Descriptor", "Gradient", "Logarithm", "PReLU", "Power")
_PAIR = {"sources": [IMAGE, IMAGE]}
_NORMAL = {"alpha": 0.5, "beta": 0.75, "delta": 2.0}


def _convolved(kernel: str, *descriptor: Any, **named: Any) -> Recipe:
    """Return the recipe of a 3x3 convolution from 6 to 9 channels."""
    return made(kernel, made("ConvolutionDescriptor", 3, 3, 6, 9, *descriptor), noise(9, 3, 3, 6), **named)


def _whole(kernel: str) -> Recipe:
    """Return the recipe of a kernel whose window is the whole image."""
    return made(kernel, made("ConvolutionDescriptor", 5, 7, 6, 9), noise(9, 7, 5, 6))


def _weighted() -> Bounded:
    """Return the cases of kernels with weights or statistics."""
    one = made("ConvolutionDescriptor", 1, 1, 6, 9)
    depthwise = made("DepthWiseConvolutionDescriptor", 3, 3, 6, 12)
    subpixel = made("SubPixelConvolutionDescriptor", 3, 3, 6, 12, sub_pixel_scale_factor=2)
    gamma, beta = noise(6), noise(6, seed=2)
    return {
        "sum": [
            ("3 x 3", _convolved("Convolution", bias_terms=noise(9, seed=2))),
            (
                "3 x 3, stride 2, offset, clamped",
                _convolved("Convolution", 2, 2, edge_mode="clamp", offset=[1, 2]),
            ),
            ("with a neuron", made("Convolution", one, noise(9, 1, 1, 6))),
            ("depthwise", made("Convolution", depthwise, noise(12, 3, 3))),
            ("sub-pixel", made("Convolution", subpixel, noise(12, 3, 3, 6))),
            ("stride 2", _convolved("ConvolutionTranspose", 2, 2)),
            ("whole image", _whole("FullyConnected")),
            ("binary weights", _convolved("BinaryConvolution")),
            ("whole image", _whole("BinaryFullyConnected")),
        ],
        "normalization": [
            ("per image", made("InstanceNormalization", gamma, beta)),
            ("two groups", made("GroupNormalization", 2, gamma, beta)),
            (
                "given statistics",
                made("BatchNormalization", gamma, noise(6, seed=2, positive=True), noise(6, seed=3)),
            ),
            ("into a state", made("BatchNormalizationStatistics") | {"run": "statistics"}),
        ],
    }


def _windows() -> Bounded:
    """Return the cases of poolings and normalizations."""
    strides = {"stride_x": 2, "stride_y": 2}
    pooled: dict[str, list[tuple[str, Recipe]]] = {
        kind: [
            *((f"3 x 3, {edge}", made(kind, 3, 3, edge_mode=edge, **strides)) for edge in ("zero", "clamp")),
            ("even window", made(kind, 2, 4, **strides)),
        ]
        for kind in ("PoolingMax", "PoolingAverage", "PoolingL2Norm")
    }
    return {
        "exact": [("2 x 3, dilated", made("DilatedPoolingMax", 2, 3, 2, 2)), *pooled["PoolingMax"]],
        "sum": [*pooled["PoolingAverage"], *pooled["PoolingL2Norm"]],
        "normalization": [
            *((f"{n} channels", made("CrossChannelNormalization", n, **_NORMAL)) for n in (4, 5)),
            *(
                (f"{n} x {n}", made(f"{kind}Normalization", n, n, **_NORMAL))
                for kind in ("Spatial", "LocalContrast")
                for n in (3, 4)
            ),
        ],
    }


def _photos() -> Bounded:
    """Return the cases of scaling, alpha and colour spaces."""
    part = {"scale_transform": [1.5, 0.75, -2.0, 1.0], "edge_mode": "zero"}
    sizes = [("9 x 12", [12, 9], {}), ("3 x 2", [2, 3], {}), ("transform, zeros outside", [9, 6], part)]

    def scaled(kind: str) -> list[tuple[str, Recipe]]:
        return [(name, made(f"Image{kind}Scale", *size, **more)) for name, size, more in sizes]

    def converted(channels: int, *spaces: Any) -> Recipe:
        background = [0.5, 0.25, 1.0][: 3 if channels == 4 else 0]
        kernel = made("ImageConversion", *spaces[:2], background, *spaces[2:])
        return kernel | {"sources": [[*IMAGE[:3], channels]], "positive": [0]}

    plain, multiplied, opaque = "non_premultiplied", "premultiplied", "alpha_is_one"
    return {
        "sum": scaled("Bilinear"),
        "lanczos": scaled("Lanczos"),
        "neuron": [
            ("alpha divided out, sRGB to linear", converted(4, multiplied, plain, "srgb", "linear_srgb")),
            ("alpha multiplied in, linear to sRGB", converted(4, plain, multiplied, "linear_srgb", "srgb")),
            ("over a background, to gray", converted(4, plain, opaque, "srgb", "gray_gamma_2_2")),
            ("gray to sRGB", converted(1, opaque, opaque, "linear_gray", "srgb")),
        ],
    }


def _others() -> Bounded:
    """Return the cases of other kernels on one or two images."""
    compared = (("less", 0.0), ("greater_or_equal", 0.0), ("equal", 0.5), ("not_equal", 0.5))
    subtract = made("Subtract") | _PAIR | {"magnitude": {"kernel": "Add"}}
    return {
        "exact": [
            ("5 x 6 x 7", made("Reshape", 5, 6, 7)),
            ("part", made("Slice", source_feature_channel_offset=4)),
            *((edge, made("Pad", [1, 2, 0], [2, 1, 3], edge_mode=edge)) for edge in ("zero", "clamp")),
            ("2 x 3", made("UpsamplingNearest", 2, 3)),
            *((kind, made("Compare", kind, threshold=threshold) | _PAIR) for kind, threshold in compared),
        ],
        "sum": [
            ("2 x 3", made("UpsamplingBilinear", 2, 3)),
            ("9 x 12", made("ResizeBilinear", 12, 9)),
            ("all pixels", made("GramMatrixCalculation", 0.25)),
            *(("two images", made(name) | _PAIR) for name in ("Add", "Multiply", "Divide")),
            ("two images", subtract),
        ],
        "softmax": [("of pixels", made("SoftMax")), ("of pixels", made("LogSoftMax"))],
        "elementwise": [("seed 3", made("Dropout", 0.5, 3))],
        "neuron": [
            *(("a = 0.25, b = 4", made(f"Neuron{name}", 0.25, 4.0)) for name in ("Logarithm", "Power")),
            ("slopes", made("NeuronPReLU", noise(6))),
            ("gelu", made("Neuron", made("NeuronDescriptor", "gelu"))),
        ],
    }


def _by_name() -> Bounded:
    """Return the cases of reductions and neurons with default arguments, for each class of these."""
    reductions = [
        name
        for name in kernels.__all__
        if name.startswith("Reduce") and name not in ("ReduceUnary", "ReduceBinary")
    ]
    exact = [name for name in reductions if name.endswith(("Max", "Min"))]
    neurons = [name for name in kernels.__all__ if name.startswith("Neuron")]
    return {
        "exact": [("whole", made(name)) for name in exact],
        "sum": [
            ("whole", made(name) | (_PAIR if "AndWeights" in name else {}))
            for name in reductions
            if name not in exact
        ],
        "neuron": [
            ("defaults", made(name))
            for name in neurons
            if name.removeprefix("Neuron") not in _NOT_BY_DEFAULTS
        ],
    }


def _group(kernel: str) -> str:
    """Return the group of a kernel: its module. So similar kernels share a process."""
    return "kernels: " + str(getattr(kernels, kernel).__module__).rpartition(".")[2]


def kernel_cases() -> list[Case]:
    """Return the cases of all classes of `mpscnn.kernels`, on float32 images."""
    tables = (_weighted(), _windows(), _photos(), _others(), _by_name(), *training_cases())
    return [
        Case(_group(recipe["kernel"]), recipe["kernel"], name, {"sources": [IMAGE], **recipe, "bound": bound})
        for table in tables
        for bound, cases in table.items()
        for name, recipe in cases
    ]
