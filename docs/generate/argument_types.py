"""Tables for the declarations of raw kernels: types of arguments, and arguments of kernels that are written by hand."""

from __future__ import annotations

#: The types of named arguments of the bases that say which images a kernel has.
ROOTS = {
    "Kernel": "LabelProperties",
    "UnaryKernel": "UnaryProperties",
    "BinaryKernel": "BinaryProperties",
    "GradientKernel": "GradientProperties",
}
#: Named arguments of kernels that are written by hand, in addition to the properties of their base.
NAMED = {
    "BatchNormalization": ("BatchNormalization", "number_of_feature_channels epsilon"),
    "LossGradient": ("LossGradient", ""),
    "OptimizerAdam": ("OptimizerAdam", "time_step"),
    "ScaledNormalization": ("InstanceNormalization", "epsilon"),
    "ScaledNormalizationGradient": ("InstanceNormalizationGradient", "epsilon"),
    "Transpose": ("ConvolutionTranspose", "kernel_offset_x kernel_offset_y"),
}
#: Properties that Python's objects keep, with their types.
KEPT = {
    "LossGradient": {"compute_label_gradients": "bool"},
    "PoolingGradient": {"source_size": "Extent | tuple[int, int] | None"},
}
#: The modules of the bases.
MODULES = {
    "arithmetic": "Arithmetic ArithmeticKernel",
    "arithmetic_gradient": "ArithmeticGradient",
    "families": "Pooling ReduceBinary ReduceUnary Upsampling UpsamplingGradient",
    "gradient": "DifferentiableKernel GradientKernel",
    "image": "ImageScale",
    "kernel": "BinaryKernel Kernel UnaryKernel",
    "neuron": "Neuron",
    "pooling": "PoolingGradient",
}

#: The types of properties as arguments.
TYPES = {
    "boolean": "bool",
    "integer": "int",
    "neuron descriptor": "NeuronDescriptor | None",
    "number": "float",
    "numbers": "Sequence[float]",
    "offset": "Place",
    "padding": "DefaultPadding | PaddingMethod",
    "region": "Clip",
    "scale transform": "tuple[float, float, float, float] | None",
    "size": "tuple[int, int, int]",
    "string": "str",
}
#: Types for some of the properties that have names as values.
LITERALS = {
    "source_alpha": "AlphaName",
    "source_color_space": "ColorSpaceName",
    "comparison_type": "ComparisonName",
}
