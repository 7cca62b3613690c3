"""List the classes of raw kernels that are made from the core's table, with their bases and constructors.

The core's table has the names, properties, defaults and meanings of kernels. `made_classes.py` makes the classes.
"""

from __future__ import annotations

from typing import NamedTuple


class Base(NamedTuple):
    """A base class of kernels.

    Attributes:
        base: the name of its own base class.
        like: names of kernels. The class has the properties that all of them have.
        takes: the arguments of its constructor, as in Python; `name=` has the default of the core's table. None: the
            constructor is written by hand, or inherited.
    """

    base: str
    like: str
    takes: str | None = None


POOLING = "kernel_width, kernel_height, *, stride_x=, stride_y="
DILATED = POOLING.replace("*", "dilation_rate_x, dilation_rate_y, *")
SCALES = "scale_factor_x, scale_factor_y"
CONVERSION = (
    "source_alpha=, destination_alpha=, background_color=, source_color_space=, destination_color_space="
)
#: The bases by name. `mpscnn.kernels.fields` has a class <name>Fields for each of them.
BASES = {
    "Kernel": Base("", "Add Loss"),
    "PlacedKernel": Base("Kernel", "Add Slice"),
    "UnaryKernel": Base("PlacedKernel", "Slice"),
    "BinaryKernel": Base("PlacedKernel", "SoftMaxGradient"),
    "GradientKernel": Base("BinaryKernel", "ReshapeGradient"),
    "ArithmeticKernel": Base("BinaryKernel", "Add", ""),
    "ArithmeticGradient": Base("ArithmeticKernel", "AddGradient", "is_secondary_source_filter="),
    "BatchNormalizationGradient": Base(
        "Kernel", "BatchNormalizationGradient", "number_of_feature_channels, *, fused_neuron_descriptor="
    ),
    "BinaryConvolution": Base("UnaryKernel", "BinaryConvolution"),
    "Convolution": Base("UnaryKernel", "Convolution"),
    "ConvolutionTranspose": Base("UnaryKernel", "ConvolutionTranspose"),
    "Dropout": Base("UnaryKernel", "Dropout", "keep_probability=, seed="),
    "FullyConnected": Base("UnaryKernel", "FullyConnected"),
    "ImageConversion": Base("UnaryKernel", "ImageConversion", CONVERSION),
    "ImageScale": Base("UnaryKernel", "ImageBilinearScale", "resize_width=, resize_height="),
    "Loss": Base("Kernel", "Loss"),
    "Neuron": Base("UnaryKernel", "Neuron"),
    "ScaledNormalization": Base("UnaryKernel", "InstanceNormalization"),
    "BatchNormalization": Base("ScaledNormalization", "BatchNormalization"),
    "GroupNormalization": Base("ScaledNormalization", "GroupNormalization"),
    "Optimizer": Base("Kernel", "OptimizerRMSProp OptimizerStochasticGradientDescent"),
    "OptimizerAdam": Base("Optimizer", "OptimizerAdam"),
    "OptimizerRMSProp": Base("Optimizer", "OptimizerRMSProp"),
    "OptimizerStochasticGradientDescent": Base("Optimizer", "OptimizerStochasticGradientDescent"),
    "Pooling": Base("UnaryKernel", "PoolingMax", POOLING),
    "PoolingGradient": Base("GradientKernel", "PoolingMaxGradient", POOLING),
    "ReduceUnary": Base("UnaryKernel", "ReduceRowMax", ""),
    "ReduceBinary": Base("BinaryKernel", "ReduceFeatureChannelsAndWeightsMean", ""),
    "Upsampling": Base("UnaryKernel", "UpsamplingNearest", SCALES),
    "UpsamplingGradient": Base("GradientKernel", "UpsamplingNearestGradient", SCALES),
    "YOLOLoss": Base("Kernel", "YOLOLoss"),
}
#: Bases that add methods only.
PLAIN = {"Arithmetic": "ArithmeticKernel", "DifferentiableKernel": "UnaryKernel"}

WINDOW = "kernel_width, kernel_height"
RESHAPED = "reshaped_width, reshaped_height, reshaped_feature_channels"
#: The kernels of `mpscnn.kernels.classes` by their base, with the arguments of constructors that are not the base's.
CLASSES = {
    "Arithmetic": "Add; Subtract; Multiply; Divide",
    "ArithmeticKernel": "Compare(comparison_type=)",
    "ArithmeticGradient": "AddGradient; SubtractGradient; MultiplyGradient",
    "UnaryKernel": "Slice; SoftMax; LogSoftMax; ResizeBilinear(resize_width, resize_height)",
    "BinaryKernel": "SoftMaxGradient; LogSoftMaxGradient",
    "DifferentiableKernel": "CrossChannelNormalization(kernel_size=); GramMatrixCalculation(alpha=);"
    f"LocalContrastNormalization({WINDOW}); SpatialNormalization({WINDOW}); Reshape({RESHAPED});"
    "Pad(padding_size_before=, padding_size_after=)",
    "GradientKernel": "CrossChannelNormalizationGradient(kernel_size=); GramMatrixCalculationGradient(alpha=);"
    f"LocalContrastNormalizationGradient({WINDOW}); SpatialNormalizationGradient({WINDOW}); PadGradient;"
    "DropoutGradient(keep_probability=, seed=)",
    "ImageScale": "ImageBilinearScale; ImageLanczosScale",
    "Neuron": "NeuronAbsolute(); NeuronELU(a=); NeuronExponential(a=, b=, c=); NeuronHardSigmoid(a=, b=);"
    "NeuronLinear(a=, b=); NeuronLogarithm(a=, b=, c=); NeuronPReLU(a); NeuronPower(a=, b=, c=);"
    "NeuronReLU(a=); NeuronReLUN(a=, b=); NeuronSigmoid(); NeuronSoftPlus(a=, b=); NeuronSoftSign();"
    "NeuronTanH(a=, b=)",
    "Pooling": f"PoolingMax; PoolingAverage; PoolingL2Norm; DilatedPoolingMax({DILATED})",
    "PoolingGradient": "PoolingMaxGradient; PoolingAverageGradient; PoolingL2NormGradient;"
    f"DilatedPoolingMaxGradient({DILATED})",
    "ReduceUnary": "; ".join(
        f"Reduce{axis}{kind}"
        for axis in ("Row", "Column", "FeatureChannels")
        for kind in ("Max", "Min", "Sum", "Mean")
    )
    + "; ReduceFeatureChannelsArgumentMax; ReduceFeatureChannelsArgumentMin",
    "ReduceBinary": "ReduceFeatureChannelsAndWeightsMean;"
    "ReduceFeatureChannelsAndWeightsSum(do_weighted_sum_by_non_zero_weights=)",
    "Upsampling": "UpsamplingNearest; UpsamplingBilinear",
    "UpsamplingGradient": "UpsamplingNearestGradient; UpsamplingBilinearGradient",
}
#: Descriptors: the base whose properties they hold, and the property that has no default.
DESCRIPTORS = {
    "LossDescriptor": ("Loss", "loss_type"),
    "OptimizerDescriptor": ("Optimizer", ""),
    "YOLOLossDescriptor": ("YOLOLoss", "anchor_boxes"),
}
