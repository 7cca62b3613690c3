"""Define literal types of argument values, with which type checkers find wrong names."""

from __future__ import annotations

from typing import Literal

from mpscnn._private.plain_activations import PlainActivationName

PrecisionName = Literal["auto", "float32", "float16", "bfloat16", "int8"]
WeightsName = Literal["auto", "int8"]
AccumulateName = Literal["auto", "float32", "float16"]
KernelsOfMetal = Literal["mps", "own"]
MetalKernelsName = Literal["mps", "own", "auto"]
ScoresName = Literal["softmax", "sigmoid", "as is"]
StoredTypeName = Literal["float16", "float32", "uint8"]
ImageFormatName = Literal["float32", "float16", "unorm8", "unorm16"]
ChannelOrderName = Literal["gray", "gray_alpha", "rgb", "rgba", "rgbx", "bgr", "bgra", "bgrx"]
ActivationName = Literal[
    "linear",
    "relu",
    "relu6",
    "leaky_relu",
    "elu",
    "hard_sigmoid",
    "swish",
    "tanh",
    "softplus",
    "exponential",
    "logarithm",
    PlainActivationName,
]
PaddingName = Literal["valid", "same", "full"]
EdgeName = Literal["zero", "clamp"]
EpsilonRuleName = Literal["inside", "outside", "minimum"]
PoolingEdgeName = Literal["exclude", "zero", "clamp"]
BorderName = Literal["constant", "clamp", "mirror", "mirror_with_edge"]
# The registry's models by task: type checkers know what `load` returns for these names.
ClassifierName = Literal[
    "cifar10_mobilenet_v2",
    "digits",
    "mobilenet_v2",
    "mobilenet_v1",
    "mobilenet_v1_0.75_192",
    "mobilenet_v1_0.25_128",
]
DetectorName = Literal["page_digits", "ssd_mobilenet_v1_coco"]
SegmenterName = Literal["deeplab_v3"]
