"""List the filter nodes: the raw kernel that provides each node's properties, and the layer that it becomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from mpscnn.errors import UnsupportedError
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network
from mpscnn.kernels import NeuronDescriptor
from mpscnn.nodes.conversion import Placement, add, as_image, neuron_of, require_whole, weight_of
from mpscnn.nodes.filter_node import FilterNode, GradientNode, MPSNNAdditionNode

Conversion = Callable[[Network, FilterNode, list[Tensor], "str | None"], Tensor]

#: The classes of nodes by name, and the functions that convert them to layers.
NODES: dict[str, type[FilterNode]] = {}
GRADIENT_NODES: dict[str, type[GradientNode]] = {}
CONVERSIONS: dict[str, Conversion] = {}


_WEIGHTS = {"weight": "weights", "bias": "bias_terms"}
_SLOPE = {"slope": "neuron_data"}


def _layer(
    operation: str,
    attributes: Callable[[FilterNode, Tensor], Mapping[str, Any]] = lambda _node, _x: {},
    *,
    images: bool = False,
    roles: Mapping[str, str] = MappingProxyType({}),
    fused: bool = False,
) -> Conversion:
    """Return the conversion of a node to one layer, and one more for the activation of the kernel if it has one.

    Args:
        operation: the layer's operation.
        attributes: returns the parameters of the operation for a node and its first source.
        images: whether results of dense layers become images of one pixel. Otherwise that is so if sources differ.
        roles: the weights of the layer, and those of the kernel.
        fused: whether the layer itself has the activation.
    """

    def convert(network: Network, node: FilterNode, sources: list[Tensor], name: str | None) -> Tensor:
        if images or len({len(source.shape) for source in sources}) > 1:
            sources = [as_image(network, source) for source in sources]
        weights = {role: weight_of(node.kernel, own) for role, own in roles.items()}
        properties = {} if node.kernel is None else node.kernel._properties()
        neuron = neuron_of(properties.get("fused_neuron_descriptor"))
        activation = neuron if fused else None
        x = add(
            network,
            operation,
            sources,
            attributes(node, sources[0]),
            name,
            activation=activation,
            weights=weights,
        )
        if neuron is None or fused:
            return x
        slopes = {role: weight_of(node.kernel, own) for role, own in _SLOPE.items()}
        return add(network, "neuron", [x], neuron, None, weights=slopes)

    return convert


def _convolution(network: Network, node: FilterNode, sources: list[Tensor], name: str | None) -> Tensor:
    properties = node.kernel._properties()
    if properties["sub_pixel_scale_factor"] != 1:
        raise UnsupportedError(f"{type(node).__name__}: sub_pixel_scale_factor must be 1 in a graph")
    if not properties["batch_normalization"]:
        roles = {**_WEIGHTS, **_SLOPE}
        made = _layer("convolution", _convolution_attributes, images=True, roles=roles, fused=True)
        return made(network, node, sources, name)
    x = as_image(network, sources[0])
    weights = {role: weight_of(node.kernel, own) for role, own in _WEIGHTS.items()}
    x = add(network, "convolution", [x], _convolution_attributes(node, x), name, weights=weights)
    epsilon = {"epsilon": properties["batch_normalization_epsilon"]}
    normalized = _layer("batch_normalization", lambda *_: epsilon, roles=_same("gamma beta mean variance"))
    return normalized(network, node, [x], None)


def _convolution_attributes(node: FilterNode, x: Tensor) -> dict[str, Any]:
    properties = node.kernel._properties()
    _require_zero_edge(node, properties)
    groups = properties["input_feature_channels"] if properties["depthwise"] else properties["groups"]
    outputs = properties["output_feature_channels"]
    return Placement(node, x).window() | {"output_channels": outputs, "groups": groups}


def _same(names: str) -> dict[str, str]:
    """Return weights that have the same names in layers and kernels."""
    return {name: name for name in names.split()}


def _transposed_attributes(node: FilterNode, _x: Tensor) -> dict[str, Any]:
    properties = node.kernel._properties()
    _require_zero_edge(node, properties)
    attributes: dict[str, Any] = {
        "output_channels": properties["output_feature_channels"],
        "groups": properties["groups"],
        "kernel_use": "gather",
        "padding": "explicit",
    }
    for axis, extent, before, after in (("y", "height", "top", "bottom"), ("x", "width", "left", "right")):
        taps, dilation = properties[f"kernel_{extent}"], properties[f"dilation_rate_{axis}"]
        reach = (taps - 1) * dilation + 1
        # The result covers everything that the windows reach, moved by the kernel offset.
        moved = properties[f"kernel_offset_{axis}"] + reach - 1 - reach // 2
        attributes |= {
            f"kernel_{extent}": taps,
            f"stride_{axis}": properties[f"stride_{axis}"],
            f"dilation_{axis}": dilation,
            f"pad_{before}": moved,
            f"pad_{after}": -moved,
        }
    return attributes


def _binary(operation: str) -> Conversion:
    is_window = operation == "binary_convolution"

    def attributes(node: FilterNode, x: Tensor) -> dict[str, Any]:
        properties = node.kernel._properties()
        made = {"kind": properties["type"], "beta_scaling": properties["use_beta_scaling"]}
        if not is_window:
            return made | {"outputs": properties["output_feature_channels"]}
        _require_zero_edge(node, properties)
        return made | Placement(node, x).window() | {"output_channels": properties["output_feature_channels"]}

    own = {
        "scale": "output_scale_terms",
        "input_bias": "input_bias_terms",
        "input_scale": "input_scale_terms",
    }
    return _layer(operation, attributes, images=is_window, roles={**_WEIGHTS, **own})


def _require_zero_edge(node: FilterNode, properties: dict[str, Any]) -> None:
    if properties["edge_mode"] != "zero":
        raise UnsupportedError(
            f"{type(node).__name__}: edge_mode must be 'zero' in a graph, got {properties['edge_mode']!r}: put an "
            "MPSNNPadNode before it"
        )


def _pooling(kind: str) -> Conversion:
    def attributes(node: FilterNode, x: Tensor) -> dict[str, Any]:
        placement = Placement(node, x)
        kernel = placement.kernel
        made = placement.window() | {"kind": kind, "edge": kernel.edge_mode}
        if kind == "average" and kernel.edge_mode == "clamp":
            made |= {"zero_pad_y": kernel.zero_pad_size_y, "zero_pad_x": kernel.zero_pad_size_x}
        return made

    return _layer("pooling", attributes, images=True)


def _reduction(kind: str, axis: str) -> Conversion:
    def attributes(node: FilterNode, _x: Tensor) -> dict[str, Any]:
        weight = {"weight": node.kernel.weight} if (kind, axis) == ("sum", "channels") else {}
        return {"kind": kind, "axis": axis, **weight}

    return _layer("reduction", attributes, images=True)


def _argument(kind: str) -> Conversion:
    return _layer("argument", lambda *_: {"kind": kind}, images=True)


def _window_normalization(operation: str, *more: str) -> Conversion:
    def attributes(node: FilterNode, x: Tensor) -> dict[str, Any]:
        placement = Placement(node, x)
        names = ("kernel_height", "kernel_width", "alpha", "beta", "delta", *more)
        offset_y, offset_x = placement.offset
        return {
            **{key: getattr(placement.kernel, key) for key in names},
            "offset_y": offset_y,
            "offset_x": offset_x,
            "edge": placement.kernel.edge_mode,
            "height": placement.height,
            "width": placement.width,
        }

    return _layer(operation, attributes, images=True)


def _epsilon(node: FilterNode, _x: Tensor) -> dict[str, Any]:
    return {"epsilon": node.kernel.epsilon}


def _epsilon_and_groups(node: FilterNode, _x: Tensor) -> dict[str, Any]:
    properties = node.kernel._properties()
    groups = properties.get("number_of_groups", properties["number_of_feature_channels"])
    return {"epsilon": properties["epsilon"], "groups": groups}


def _arithmetic_attributes(node: FilterNode, _x: Tensor) -> dict[str, Any]:
    renamed = {"minimum_value": "minimum", "maximum_value": "maximum"}
    names = ["primary_scale", "secondary_scale", "bias", *renamed]
    for source in ("primary", "secondary"):
        names += [f"{source}_stride_x", f"{source}_stride_y", f"{source}_stride_in_feature_channels"]
    return {
        renamed.get(key, key.replace("_in_feature_channels", "_channels")): getattr(node.kernel, key)
        for key in names
    }


def _comparison(network: Network, node: FilterNode, sources: list[Tensor], name: str | None) -> Tensor:
    kernel = node.kernel
    if kernel.threshold != 0:
        raise UnsupportedError(
            f"{type(node).__name__}: threshold must be 0 in a graph, got {kernel.threshold}: Apple's node has none"
        )
    attributes = _arithmetic_attributes(node, sources[0])
    operation = kernel.comparison_type.replace("_or_equal", "_equal")
    if operation.startswith("less"):  # x < y is -x > -y
        operation = operation.replace("less", "greater")
        for scale in ("primary_scale", "secondary_scale"):
            attributes[scale] = -attributes[scale]
    return _layer(operation, lambda *_: attributes)(network, node, sources, name)


def _gram_matrix(network: Network, node: FilterNode, sources: list[Tensor], name: str | None) -> Tensor:
    x = as_image(network, sources[0])
    _, height, width, channels = (extent or 0 for extent in x.shape)
    pixels = add(network, "reshape", [x], {"shape": [1, height * width, channels]}, None)
    attributes = {"transpose_first": True, "scale": node.kernel.alpha}
    return add(network, "matrix_product", [pixels, pixels], attributes, name)


def _upsampled(node: FilterNode, x: Tensor) -> dict[str, Any]:
    placement = Placement(node, x)
    bilinear = not type(node).__name__.endswith("NearestNode")
    return {
        "kind": "bilinear" if bilinear else "nearest",
        "height": placement.height,
        "width": placement.width,
        "alignment": "corners" if bilinear and node.kernel.align_corners else "half_pixel",
    }


def _scale(kind: str) -> Conversion:
    def attributes(node: FilterNode, x: Tensor) -> dict[str, Any]:
        placement = Placement(node, x)
        transform = placement.kernel.scale_transform
        made = {"kind": kind, "edge": placement.kernel.edge_mode}
        made |= {"height": placement.height, "width": placement.width}
        if transform is not None:
            made |= {"magnification_y": transform.scale_y, "magnification_x": transform.scale_x}
            made["offset_y"] = -transform.translate_y / transform.scale_y
            made["offset_x"] = -transform.translate_x / transform.scale_x
        return made

    return _layer("resize", attributes, images=True)


def _dropout(node: FilterNode, _x: Tensor) -> dict[str, Any]:
    kernel = node.kernel
    strides = zip(("x", "y", "channels"), kernel.mask_stride_in_pixels, strict=True)
    return {
        "keep_probability": kernel.keep_probability,
        "seed": kernel.seed,
        **{f"mask_stride_{axis}": stride for axis, stride in strides},
        "training": True,
    }


def _shape(node: FilterNode, _x: Tensor) -> dict[str, Any]:
    kernel = node.kernel
    return {"shape": [kernel.reshaped_height, kernel.reshaped_width, kernel.reshaped_feature_channels]}


def _padding(node: FilterNode, _x: Tensor) -> dict[str, Any]:
    kernel = node.kernel
    attributes: dict[str, Any] = {
        **dict(zip(("left", "top", "front"), kernel.padding_size_before, strict=True)),
        **dict(zip(("right", "bottom", "back"), kernel.padding_size_after, strict=True)),
    }
    if kernel.edge_mode == "constant":
        attributes |= {"value": kernel.fill_value, "values": list(kernel.fill_value_array)}
    elif kernel.edge_mode != "zero":
        attributes["mode"] = kernel.edge_mode
    return attributes


def _row(
    apple: str, kernel: str, conversion: Conversion, *, sources: int | None = 1, **defaults: Any
) -> None:
    def convert(network: Network, node: FilterNode, tensors: list[Tensor], name: str | None) -> Tensor:
        if node.kernel is not None:
            require_whole(node)
        return conversion(network, node, tensors, name)

    what = f"the properties of `mpscnn.kernels.{kernel}`" if kernel else "images only"
    members = {
        "__doc__": f"{apple}: takes {what}; see `FilterNode`.",
        "__module__": "mpscnn.nodes",
        "kernel_class": kernel,
        "source_count": sources,
        "defaults": defaults,
    }
    if apple == MPSNNAdditionNode.__name__:
        NODES[apple] = MPSNNAdditionNode
    else:
        NODES[apple] = type(apple, (FilterNode,), members)
    CONVERSIONS[apple] = convert


#: The gradient node and the raw kernel of each filter node that has a gradient.
_PLAIN = (
    "Convolution FullyConnected ConvolutionTranspose PoolingMax PoolingAverage PoolingL2Norm DilatedPoolingMax "
    "SpatialNormalization LocalContrastNormalization CrossChannelNormalization InstanceNormalization "
    "GroupNormalization BatchNormalization Dropout SoftMax LogSoftMax UpsamplingNearest UpsamplingBilinear"
)
GRADIENTS: dict[str, tuple[str, str]] = {
    f"MPSCNN{name}Node": (f"MPSCNN{name}GradientNode", f"{name}Gradient") for name in _PLAIN.split()
}
GRADIENTS |= {
    f"MPSNN{name}Node": (f"MPSNN{name}GradientNode", kernel and f"{kernel}Gradient")
    for name, kernel in (
        ("Addition", "Add"),
        ("Subtraction", "Subtract"),
        ("Multiplication", "Multiply"),
        ("Reshape", "Reshape"),
        ("Pad", "Pad"),
        ("GramMatrixCalculation", "GramMatrixCalculation"),
        ("Concatenation", ""),
        ("ReductionSpatialMean", "PoolingAverage"),
    )
}


def _add_gradients() -> None:
    """Make the classes of gradient nodes. Those of all neurons have one class."""
    forward: dict[tuple[str, str], list[str]] = {}
    for name in NODES:
        neuron = ("MPSCNNNeuronGradientNode", "NeuronGradient") if name.startswith("MPSCNNNeuron") else None
        names = neuron or GRADIENTS.get(name)
        if names is not None:
            forward.setdefault(names, []).append(name)
    for (apple, kernel), classes in forward.items():
        members = {
            "__doc__": f"{apple}: the gradient of {', '.join(classes)}; see `GradientNode`.",
            "__module__": "mpscnn.nodes",
            "kernel_class": kernel,
            "forward_classes": tuple(classes),
        }
        GRADIENT_NODES[apple] = type(apple, (GradientNode,), members)
        for name in classes:
            NODES[name].gradient_class = GRADIENT_NODES[apple]


_NEURONS = "Absolute ELU Exponential HardSigmoid Linear Logarithm PReLU Power ReLU ReLUN Sigmoid SoftPlus SoftSign TanH"
_row("MPSCNNConvolutionNode", "Convolution", _convolution)
_row(
    "MPSCNNFullyConnectedNode",
    "FullyConnected",
    _layer(
        "fully_connected",
        lambda node, _: {"outputs": node.kernel.output_feature_channels},
        roles={**_WEIGHTS, **_SLOPE},
        fused=True,
    ),
)
_row(
    "MPSCNNConvolutionTransposeNode",
    "ConvolutionTranspose",
    _layer("transposed_convolution", _transposed_attributes, images=True, roles=_WEIGHTS),
)
_row("MPSCNNBinaryConvolutionNode", "BinaryConvolution", _binary("binary_convolution"))
_row("MPSCNNBinaryFullyConnectedNode", "BinaryFullyConnected", _binary("binary_fully_connected"))
_neuron = _layer(
    "neuron", lambda node, _: neuron_of(node.kernel._properties()["neuron_descriptor"]) or {}, roles=_SLOPE
)
for _name in _NEURONS.split():
    _row(f"MPSCNNNeuron{_name}Node", f"Neuron{_name}", _neuron)
_row("MPSCNNNeuronGeLUNode", "Neuron", _neuron, neuron_descriptor=NeuronDescriptor("gelu"))
# In graphs, poolings ignore zeros around the image (MPSNNGraphNodes.h).
_row("MPSCNNPoolingAverageNode", "PoolingAverage", _pooling("average"), edge_mode="clamp")
_row("MPSCNNPoolingL2NormNode", "PoolingL2Norm", _pooling("l2_norm"), edge_mode="clamp")
_row("MPSCNNPoolingMaxNode", "PoolingMax", _pooling("max"), edge_mode="clamp")
_row("MPSCNNDilatedPoolingMaxNode", "DilatedPoolingMax", _pooling("max"))
for _axis, _apple in (("width", "Row"), ("height", "Column"), ("channels", "FeatureChannels")):
    for _kind in ("Min", "Max", "Mean", "Sum"):
        _row(f"MPSNNReduction{_apple}{_kind}Node", f"Reduce{_apple}{_kind}", _reduction(_kind.lower(), _axis))
for _kind in ("Min", "Max"):
    _row(
        f"MPSNNReductionFeatureChannelsArgument{_kind}Node",
        f"ReduceFeatureChannelsArgument{_kind}",
        _argument(_kind.lower()),
    )
_row(
    "MPSNNReductionSpatialMeanNode",
    "",
    _layer("pooling", lambda *_: {"kind": "average", "global": True}, images=True),
)
_row(
    "MPSCNNCrossChannelNormalizationNode",
    "CrossChannelNormalization",
    _layer(
        "cross_channel_normalization",
        lambda node, _: {key: getattr(node.kernel, key) for key in ("kernel_size", "alpha", "beta", "delta")},
    ),
)
_row("MPSCNNSpatialNormalizationNode", "SpatialNormalization", _window_normalization("spatial_normalization"))
_row(
    "MPSCNNLocalContrastNormalizationNode",
    "LocalContrastNormalization",
    _window_normalization("local_contrast_normalization", "p0", "pm", "ps"),
    alpha=1.0,
)
_row(
    "MPSCNNBatchNormalizationNode",
    "BatchNormalization",
    _layer("batch_normalization", _epsilon, roles=_same("gamma beta mean variance")),
)
for _name in ("Group", "Instance"):
    _row(
        f"MPSCNN{_name}NormalizationNode",
        f"{_name}Normalization",
        _layer("group_normalization", _epsilon_and_groups, roles=_same("gamma beta")),
    )
for _apple, _kernel in (
    ("Addition", "Add"),
    ("Subtraction", "Subtract"),
    ("Multiplication", "Multiply"),
    ("Division", "Divide"),
):
    _row(f"MPSNN{_apple}Node", _kernel, _layer(_kernel.lower(), _arithmetic_attributes), sources=2)
_row("MPSNNComparisonNode", "Compare", _comparison, sources=2)
_row("MPSNNGramMatrixCalculationNode", "GramMatrixCalculation", _gram_matrix)
_row("MPSNNConcatenationNode", "", _layer("concatenation"), sources=None)
_row("MPSCNNSoftMaxNode", "SoftMax", _layer("softmax"))
_row("MPSCNNLogSoftMaxNode", "LogSoftMax", _layer("log_softmax"))
_row("MPSCNNDropoutNode", "Dropout", _layer("dropout", _dropout))
_row("MPSNNReshapeNode", "Reshape", _layer("reshape", _shape))
_row("MPSNNPadNode", "Pad", _layer("padding", _padding, images=True))
_row("MPSNNBilinearScaleNode", "ImageBilinearScale", _scale("bilinear"))
_row("MPSNNLanczosScaleNode", "ImageLanczosScale", _scale("lanczos"))
_row("MPSCNNUpsamplingNearestNode", "UpsamplingNearest", _layer("resize", _upsampled, images=True))
_row("MPSCNNUpsamplingBilinearNode", "UpsamplingBilinear", _layer("resize", _upsampled, images=True))
_add_gradients()
