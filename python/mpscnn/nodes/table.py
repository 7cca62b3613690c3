"""List the filter nodes: the raw kernel that provides each node's properties, and the layer that it becomes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mpscnn.errors import UnsupportedError
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network
from mpscnn.kernels import NeuronDescriptor
from mpscnn.nodes.conversion import Placement, add, as_image, neuron_of, require_whole, weight_of
from mpscnn.nodes.filter_node import FilterNode

Conversion = Callable[[Network, FilterNode, list[Tensor], "str | None"], Tensor]

#: The classes of nodes by name, and the functions that convert them to layers.
NODES: dict[str, type[FilterNode]] = {}
CONVERSIONS: dict[str, Conversion] = {}


def _convolution(network: Network, node: FilterNode, sources: list[Tensor], name: str | None) -> Tensor:
    kernel, properties = node.kernel, node.kernel._properties()
    _require_zero_edge(node, properties)
    if properties["sub_pixel_scale_factor"] != 1:
        raise UnsupportedError(f"{type(node).__name__}: sub_pixel_scale_factor must be 1 in a graph")
    x = as_image(network, sources[0])
    groups = properties["input_feature_channels"] if properties["depthwise"] else properties["groups"]
    attributes = Placement(node, x).window()
    attributes |= {"output_channels": properties["output_feature_channels"], "groups": groups}
    weights = {"weight": weight_of(kernel, "weights"), "bias": weight_of(kernel, "bias_terms")}
    neuron = neuron_of(properties["fused_neuron_descriptor"])
    slopes = weight_of(kernel, "neuron_data")
    if not properties["batch_normalization"]:
        return add(
            network,
            "convolution",
            [x],
            attributes,
            name,
            activation=neuron,
            weights=weights | ({} if slopes is None else {"slope": slopes}),
        )
    x = add(network, "convolution", [x], attributes, name, weights=weights)
    normalized = {role: weight_of(kernel, role) for role in ("gamma", "beta", "mean", "variance")}
    epsilon = {"epsilon": properties["batch_normalization_epsilon"]}
    x = add(network, "batch_normalization", [x], epsilon, None, weights=normalized)
    return x if neuron is None else add(network, "neuron", [x], neuron, None, weights={"slope": slopes})


def _fully_connected(network: Network, node: FilterNode, sources: list[Tensor], name: str | None) -> Tensor:
    kernel, properties = node.kernel, node.kernel._properties()
    neuron = neuron_of(properties["fused_neuron_descriptor"])
    weights = {"weight": weight_of(kernel, "weights"), "bias": weight_of(kernel, "bias_terms")}
    slopes = weight_of(kernel, "neuron_data")
    if slopes is not None:
        weights["slope"] = slopes
    attributes = {"outputs": properties["output_feature_channels"]}
    return add(network, "fully_connected", sources, attributes, name, activation=neuron, weights=weights)


def _transposed_convolution(
    network: Network, node: FilterNode, sources: list[Tensor], name: str | None
) -> Tensor:
    kernel, properties = node.kernel, node.kernel._properties()
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
    weights = {"weight": weight_of(kernel, "weights"), "bias": weight_of(kernel, "bias_terms")}
    x = add(
        network, "transposed_convolution", [as_image(network, sources[0])], attributes, name, weights=weights
    )
    return _fused_neuron(network, node, x)


def _fused_neuron(network: Network, node: FilterNode, x: Tensor) -> Tensor:
    """Add the fused neuron, if there is one, as a separate layer, and return the result."""
    neuron = neuron_of(node.kernel._properties()["fused_neuron_descriptor"])
    if neuron is None:
        return x
    return add(network, "neuron", [x], neuron, None, weights={"slope": weight_of(node.kernel, "neuron_data")})


def _binary(operation: str) -> Conversion:
    def convert(network: Network, node: FilterNode, sources: list[Tensor], name: str | None) -> Tensor:
        kernel, properties = node.kernel, node.kernel._properties()
        attributes: dict[str, Any] = {
            "kind": properties["type"],
            "beta_scaling": properties["use_beta_scaling"],
        }
        x = sources[0]
        if operation == "binary_convolution":
            _require_zero_edge(node, properties)
            x = as_image(network, x)
            attributes |= Placement(node, x).window()
            attributes["output_channels"] = properties["output_feature_channels"]
        else:
            attributes["outputs"] = properties["output_feature_channels"]
        roles = {
            "weight": "weights",
            "bias": "bias_terms",
            "scale": "output_scale_terms",
            "input_bias": "input_bias_terms",
            "input_scale": "input_scale_terms",
        }
        weights = {role: weight_of(kernel, own) for role, own in roles.items()}
        return _fused_neuron(network, node, add(network, operation, [x], attributes, name, weights=weights))

    return convert


def _require_zero_edge(node: FilterNode, properties: dict[str, Any]) -> None:
    if properties["edge_mode"] != "zero":
        raise UnsupportedError(
            f"{type(node).__name__}: edge_mode must be 'zero' in a graph, got {properties['edge_mode']!r}: put an "
            "MPSNNPadNode before it"
        )


def _pooling(kind: str) -> Conversion:
    def convert(network: Network, node: FilterNode, sources: list[Tensor], name: str | None) -> Tensor:
        x = as_image(network, sources[0])
        placement = Placement(node, x)
        kernel = placement.kernel
        attributes = placement.window() | {"kind": kind, "edge": kernel.edge_mode}
        if kind == "average" and kernel.edge_mode == "clamp":
            attributes |= {"zero_pad_y": kernel.zero_pad_size_y, "zero_pad_x": kernel.zero_pad_size_x}
        return add(network, "pooling", [x], attributes, name)

    return convert


def _spatial_mean(network: Network, _node: FilterNode, sources: list[Tensor], name: str | None) -> Tensor:
    x = as_image(network, sources[0])
    return add(network, "pooling", [x], {"kind": "average", "global": True}, name)


def _neuron(network: Network, node: FilterNode, sources: list[Tensor], name: str | None) -> Tensor:
    attributes = neuron_of(node.kernel._properties()["neuron_descriptor"]) or {}
    return add(
        network, "neuron", sources, attributes, name, weights={"slope": weight_of(node.kernel, "neuron_data")}
    )


def _reduction(kind: str, axis: str) -> Conversion:
    def convert(network: Network, node: FilterNode, sources: list[Tensor], name: str | None) -> Tensor:
        attributes: dict[str, Any] = {"kind": kind, "axis": axis}
        if (kind, axis) == ("sum", "channels"):
            attributes["weight"] = node.kernel.weight
        return add(network, "reduction", [as_image(network, sources[0])], attributes, name)

    return convert


def _argument(kind: str) -> Conversion:
    def convert(network: Network, _node: FilterNode, sources: list[Tensor], name: str | None) -> Tensor:
        return add(network, "argument", [as_image(network, sources[0])], {"kind": kind}, name)

    return convert


def _channel_normalization(
    network: Network, node: FilterNode, sources: list[Tensor], name: str | None
) -> Tensor:
    names = ("kernel_size", "alpha", "beta", "delta")
    attributes = {key: getattr(node.kernel, key) for key in names}
    return add(network, "cross_channel_normalization", sources, attributes, name)


def _window_normalization(operation: str, *more: str) -> Conversion:
    def convert(network: Network, node: FilterNode, sources: list[Tensor], name: str | None) -> Tensor:
        x = as_image(network, sources[0])
        placement = Placement(node, x)
        kernel = placement.kernel
        names = ("kernel_height", "kernel_width", "alpha", "beta", "delta", *more)
        attributes = {key: getattr(kernel, key) for key in names}
        offset_y, offset_x = placement.offset
        attributes |= {"offset_y": offset_y, "offset_x": offset_x, "edge": kernel.edge_mode}
        attributes |= {"height": placement.height, "width": placement.width}
        return add(network, operation, [x], attributes, name)

    return convert


def _statistics_normalization(operation: str) -> Conversion:
    def convert(network: Network, node: FilterNode, sources: list[Tensor], name: str | None) -> Tensor:
        kernel, properties = node.kernel, node.kernel._properties()
        attributes = {"epsilon": properties["epsilon"]}
        roles = ["gamma", "beta"]
        if operation == "batch_normalization":
            roles += ["mean", "variance"]
        else:
            channels = properties["number_of_feature_channels"]
            attributes["groups"] = properties.get("number_of_groups", channels)
        weights = {role: weight_of(kernel, role) for role in roles}
        neuron = neuron_of(properties.get("fused_neuron_descriptor"))
        x = add(network, operation, sources, attributes, name, weights=weights)
        if neuron is None:
            return x
        return add(network, "neuron", [x], neuron, None, weights={"slope": weight_of(kernel, "neuron_data")})

    return convert


def _arithmetic_attributes(kernel: Any) -> dict[str, Any]:
    renamed = {"minimum_value": "minimum", "maximum_value": "maximum"}
    names = ["primary_scale", "secondary_scale", "bias", *renamed]
    for source in ("primary", "secondary"):
        names += [f"{source}_stride_x", f"{source}_stride_y", f"{source}_stride_in_feature_channels"]
    return {
        renamed.get(key, key.replace("_in_feature_channels", "_channels")): getattr(kernel, key)
        for key in names
    }


def _arithmetic(operation: str) -> Conversion:
    def convert(network: Network, node: FilterNode, sources: list[Tensor], name: str | None) -> Tensor:
        return add(
            network, operation, _of_one_rank(network, sources), _arithmetic_attributes(node.kernel), name
        )

    return convert


def _of_one_rank(network: Network, sources: list[Tensor]) -> list[Tensor]:
    if len({len(source.shape) for source in sources}) == 1:
        return sources
    return [as_image(network, source) for source in sources]


def _comparison(network: Network, node: FilterNode, sources: list[Tensor], name: str | None) -> Tensor:
    kernel = node.kernel
    if kernel.threshold != 0:
        raise UnsupportedError(
            f"{type(node).__name__}: threshold must be 0 in a graph, got {kernel.threshold}: Apple's node has none"
        )
    attributes = _arithmetic_attributes(kernel)
    operation = kernel.comparison_type.replace("_or_equal", "_equal")
    if operation.startswith("less"):  # x < y is -x > -y
        operation = operation.replace("less", "greater")
        for scale in ("primary_scale", "secondary_scale"):
            attributes[scale] = -attributes[scale]
    return add(network, operation, _of_one_rank(network, sources), attributes, name)


def _gram_matrix(network: Network, node: FilterNode, sources: list[Tensor], name: str | None) -> Tensor:
    x = as_image(network, sources[0])
    _, height, width, channels = (extent or 0 for extent in x.shape)
    pixels = add(network, "reshape", [x], {"shape": [1, height * width, channels]}, None)
    attributes = {"transpose_first": True, "scale": node.kernel.alpha}
    return add(network, "matrix_product", [pixels, pixels], attributes, name)


def _resize(network: Network, node: FilterNode, sources: list[Tensor], name: str | None) -> Tensor:
    x = as_image(network, sources[0])
    placement = Placement(node, x)
    bilinear = not type(node).__name__.endswith("NearestNode")
    attributes = {
        "kind": "bilinear" if bilinear else "nearest",
        "height": placement.height,
        "width": placement.width,
        "alignment": "corners" if bilinear and node.kernel.align_corners else "half_pixel",
    }
    return add(network, "resize", [x], attributes, name)


def _scale(kind: str) -> Conversion:
    def convert(network: Network, node: FilterNode, sources: list[Tensor], name: str | None) -> Tensor:
        x = as_image(network, sources[0])
        placement = Placement(node, x)
        kernel = placement.kernel
        attributes = {"kind": kind, "edge": kernel.edge_mode}
        attributes |= {"height": placement.height, "width": placement.width}
        transform = kernel.scale_transform
        if transform is not None:
            attributes |= {"magnification_y": transform.scale_y, "magnification_x": transform.scale_x}
            attributes["offset_y"] = -transform.translate_y / transform.scale_y
            attributes["offset_x"] = -transform.translate_x / transform.scale_x
        return add(network, "resize", [x], attributes, name)

    return convert


def _dropout(network: Network, node: FilterNode, sources: list[Tensor], name: str | None) -> Tensor:
    kernel = node.kernel
    x, y, channels = kernel.mask_stride_in_pixels
    attributes = {
        "keep_probability": kernel.keep_probability,
        "seed": kernel.seed,
        "mask_stride_x": x,
        "mask_stride_y": y,
        "mask_stride_channels": channels,
        "training": True,
    }
    return add(network, "dropout", sources, attributes, name)


def _concatenation(network: Network, _node: FilterNode, sources: list[Tensor], name: str | None) -> Tensor:
    return add(network, "concatenation", _of_one_rank(network, sources), {}, name)


def _reshape(network: Network, node: FilterNode, sources: list[Tensor], name: str | None) -> Tensor:
    kernel = node.kernel
    shape = [kernel.reshaped_height, kernel.reshaped_width, kernel.reshaped_feature_channels]
    return add(network, "reshape", sources, {"shape": shape}, name)


def _pad(network: Network, node: FilterNode, sources: list[Tensor], name: str | None) -> Tensor:
    kernel = node.kernel
    left, top, front = kernel.padding_size_before
    right, bottom, back = kernel.padding_size_after
    attributes: dict[str, Any] = {
        "top": top,
        "bottom": bottom,
        "left": left,
        "right": right,
        "front": front,
        "back": back,
    }
    if kernel.edge_mode == "constant":
        attributes |= {"value": kernel.fill_value, "values": list(kernel.fill_value_array)}
    elif kernel.edge_mode != "zero":
        attributes["mode"] = kernel.edge_mode
    return add(network, "padding", [as_image(network, sources[0])], attributes, name)


def _plain(operation: str) -> Conversion:
    def convert(network: Network, _node: FilterNode, sources: list[Tensor], name: str | None) -> Tensor:
        return add(network, operation, sources, {}, name)

    return convert


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
    NODES[apple] = type(apple, (FilterNode,), members)
    CONVERSIONS[apple] = convert


_NEURONS = "Absolute ELU Exponential HardSigmoid Linear Logarithm PReLU Power ReLU ReLUN Sigmoid SoftPlus SoftSign TanH"
_row("MPSCNNConvolutionNode", "Convolution", _convolution)
_row("MPSCNNFullyConnectedNode", "FullyConnected", _fully_connected)
_row("MPSCNNConvolutionTransposeNode", "ConvolutionTranspose", _transposed_convolution)
_row("MPSCNNBinaryConvolutionNode", "BinaryConvolution", _binary("binary_convolution"))
_row("MPSCNNBinaryFullyConnectedNode", "BinaryFullyConnected", _binary("binary_fully_connected"))
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
_row("MPSNNReductionSpatialMeanNode", "", _spatial_mean)
_row("MPSCNNCrossChannelNormalizationNode", "CrossChannelNormalization", _channel_normalization)
_row("MPSCNNSpatialNormalizationNode", "SpatialNormalization", _window_normalization("spatial_normalization"))
_row(
    "MPSCNNLocalContrastNormalizationNode",
    "LocalContrastNormalization",
    _window_normalization("local_contrast_normalization", "p0", "pm", "ps"),
    alpha=1.0,
)
for _name in ("Batch", "Group", "Instance"):
    _operation = "batch_normalization" if _name == "Batch" else "group_normalization"
    _row(
        f"MPSCNN{_name}NormalizationNode",
        f"{_name}Normalization",
        _statistics_normalization(_operation),
    )
for _apple, _kernel in (
    ("Addition", "Add"),
    ("Subtraction", "Subtract"),
    ("Multiplication", "Multiply"),
    ("Division", "Divide"),
):
    _row(f"MPSNN{_apple}Node", _kernel, _arithmetic(_kernel.lower()), sources=2)
_row("MPSNNComparisonNode", "Compare", _comparison, sources=2)
_row("MPSNNGramMatrixCalculationNode", "GramMatrixCalculation", _gram_matrix)
_row("MPSNNConcatenationNode", "", _concatenation, sources=None)
_row("MPSCNNSoftMaxNode", "SoftMax", _plain("softmax"))
_row("MPSCNNLogSoftMaxNode", "LogSoftMax", _plain("log_softmax"))
_row("MPSCNNDropoutNode", "Dropout", _dropout)
_row("MPSNNReshapeNode", "Reshape", _reshape)
_row("MPSNNPadNode", "Pad", _pad)
_row("MPSNNBilinearScaleNode", "ImageBilinearScale", _scale("bilinear"))
_row("MPSNNLanczosScaleNode", "ImageLanczosScale", _scale("lanczos"))
_row("MPSCNNUpsamplingNearestNode", "UpsamplingNearest", _resize)
_row("MPSCNNUpsamplingBilinearNode", "UpsamplingBilinear", _resize)
