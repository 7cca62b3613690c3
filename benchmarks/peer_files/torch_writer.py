"""Write networks as TorchScript files. Their images have the layout (n, channels, height, width)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from mpscnn.converters.values.layout import TO_NCHW, TO_NHWC
from mpscnn.graph.network import Network
from peer_files.layer import PeerLayer, Shape, peer_layers

_NEURONS: dict[str, Callable[..., Any]] = {
    "relu": functional.relu,
    "relu6": functional.relu6,
    "sigmoid": torch.sigmoid,
    "hard_sigmoid": functional.hardsigmoid,
    "hard_swish": functional.hardswish,
    "swish": functional.silu,
}


def write_torch(network: Network, input_shape: Shape, path: Path) -> None:
    """Write the network as TorchScript. Its extra file "fusion" says whether oneDNN's graph compiler may be used.

    Raises UnsupportedError for a layer that this writer lacks.
    """
    module = torch_module(network, input_shape)
    image = torch.rand(tuple(input_shape[axis] for axis in TO_NCHW)) * 2 - 1
    image = image.to(memory_format=torch.channels_last)
    with torch.no_grad():
        traced = torch.jit.trace(module, image, check_trace=False)
    fusion = b"right" if _is_fused_rightly(traced, image) else b"wrong"
    torch.jit.save(traced, path, _extra_files={"fusion": fusion})


def torch_module(network: Network, input_shape: Shape) -> Any:
    """Return the network as a module of torch whose images and weights are channels last.

    Raises UnsupportedError for a layer not known here.
    """
    program = _Program()
    values = {network.input.name: program.graph.placeholder("image")}
    for layer in peer_layers(network, input_shape[0]):
        if layer.operation not in _LAYERS:
            raise layer.refuse("torch", layer.operation)
        result = _LAYERS[layer.operation](program, layer, *(values[name] for name in layer.inputs))
        if layer.neuron:
            result = program.graph.call_function(_NEURONS[layer.neuron], (result,))
        values[layer.name] = result
    program.graph.output(tuple(values[name] for name in network.to_dict()["outputs"]))
    module = torch.fx.GraphModule(program.modules, program.graph).eval()
    return module.to(memory_format=torch.channels_last)


def _is_fused_rightly(traced: Any, image: Any) -> bool:
    """Return True if oneDNN's graph compiler does not change the results.

    torch 2.13 computes wrong results if a sum is computed in place of an operand that is read again later.
    """
    enabled = torch.jit.onednn_fusion_enabled()
    with torch.inference_mode():
        plain = traced(image)
        torch.jit.enable_onednn_fusion(True)
        try:
            fused = torch.jit.freeze(traced)
            for _ in range(2):  # the graph compiler compiles in the first two runs
                fused(image)
            answers = fused(image)
        finally:
            torch.jit.enable_onednn_fusion(enabled)
    return all(
        float((a - b).abs().max()) <= 1e-3 * float(b.abs().max()) for a, b in zip(answers, plain, strict=True)
    )


class _Program:
    """A torch program that is being built."""

    def __init__(self) -> None:
        self.graph = torch.fx.Graph()
        self.modules: dict[str, Any] = {}

    def module(self, module: Any, layer: PeerLayer, weight: NDArray[np.float32], x: Any) -> Any:
        """Add a layer with its weights, and return its result."""
        with torch.no_grad():
            module.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight)))
            if module.bias is not None:
                module.bias.copy_(torch.from_numpy(layer.weights["bias"]))
        name = f"layer{len(self.modules)}"
        self.modules[name] = module
        return self.graph.call_module(name, (x,))

    def reordered(self, x: Any, order: tuple[int, ...]) -> Any:
        """Add a permutation of an image's axes, and return its result."""
        return self.graph.call_function(torch.permute, (x, order))


def _padded(program: _Program, layer: PeerLayer, x: Any, fill: float) -> tuple[Any, list[int]]:
    """Return an input and its padding. torch pads both sides alike, so unequal padding is a separate step."""
    top, left, bottom, right = layer.window.pads
    if (top, left) == (bottom, right):
        return x, [top, left]
    sides = (left, right, top, bottom)
    return program.graph.call_function(functional.pad, (x, sides, "constant", fill)), [0, 0]


def _convolution(program: _Program, layer: PeerLayer, x: Any) -> Any:
    x, padding = _padded(program, layer, x, 0.0)
    window = layer.window
    module = torch.nn.Conv2d(
        layer.input_shapes[0][3],
        layer.shape[3],
        window.kernel,
        window.strides,
        padding,
        window.dilations,
        layer.attributes["groups"],
        bias="bias" in layer.weights,
    )
    return program.module(module, layer, layer.weights["weight"].transpose(TO_NCHW), x)


def _transposed_convolution(program: _Program, layer: PeerLayer, x: Any) -> Any:
    kernel, strides = layer.unpadded_transposed("torch")
    module = torch.nn.ConvTranspose2d(
        layer.input_shapes[0][3], layer.shape[3], kernel, strides, bias="bias" in layer.weights
    )
    return program.module(module, layer, layer.weights["weight"].transpose(3, 0, 1, 2), x)


def _fully_connected(program: _Program, layer: PeerLayer, x: Any) -> Any:
    weight = layer.weights["weight"]
    if weight.ndim == 4:
        weight = weight.transpose(TO_NCHW)
    weight = weight.reshape(len(weight), -1)
    module = torch.nn.Linear(weight.shape[1], len(weight), bias="bias" in layer.weights)
    return program.module(module, layer, weight, program.graph.call_function(torch.flatten, (x, 1)))


def _pooling(program: _Program, layer: PeerLayer, x: Any) -> Any:
    kind = layer.attributes["kind"]
    if layer.attributes["global"] and kind == "average":
        return program.graph.call_function(functional.adaptive_avg_pool2d, (x, 1))
    if kind != "max" or layer.attributes["global"]:
        raise layer.refuse("torch", f"{kind} pooling like this")
    x, padding = _padded(program, layer, x, -float("inf"))
    window = layer.window
    arguments = (x, window.kernel, window.strides, padding, window.dilations)
    return program.graph.call_function(functional.max_pool2d, arguments)


def _arithmetic(function: Callable[..., Any]) -> Callable[..., Any]:
    def write(program: _Program, layer: PeerLayer, a: Any, b: Any) -> Any:
        layer.require_plain_arithmetic("torch")
        return program.graph.call_function(function, (a, b))

    return write


def _concatenation(program: _Program, layer: PeerLayer, *inputs: Any) -> Any:
    rank = len(layer.shape)
    axis = layer.attributes["axis"] % rank
    return program.graph.call_function(torch.cat, (inputs, TO_NCHW.index(axis) if rank == 4 else axis))


def _reshape(program: _Program, layer: PeerLayer, x: Any) -> Any:
    if len(layer.input_shapes[0]) == 4:
        x = program.reordered(x, TO_NHWC)
    x = program.graph.call_function(torch.reshape, (x, layer.shape))
    return program.reordered(x, TO_NCHW) if len(layer.shape) == 4 else x


def _resize(program: _Program, layer: PeerLayer, x: Any) -> Any:
    kinds: dict[str, dict[str, Any]] = {
        "bilinear, corners": {"mode": "bilinear", "align_corners": True},
        "bilinear, half_pixel": {"mode": "bilinear", "align_corners": False},
        "nearest, asymmetric": {"mode": "nearest"},
    }
    options = kinds[layer.resize_kind("torch")]
    return program.graph.call_function(functional.interpolate, (x,), {"size": layer.shape[1:3], **options})


def _channels(program: _Program, layer: PeerLayer, x: Any) -> Any:
    first, count = layer.channels("torch")
    return program.graph.call_function(torch.narrow, (x, 1, first, count))


def _channel_shuffle(program: _Program, layer: PeerLayer, x: Any) -> Any:
    return program.graph.call_function(functional.channel_shuffle, (x, layer.attributes["groups"]))


def _softmax(program: _Program, layer: PeerLayer, x: Any) -> Any:
    return program.graph.call_function(torch.softmax, (x, 1 if len(layer.shape) == 4 else -1))


_LAYERS: dict[str, Callable[..., Any]] = {
    "convolution": _convolution,
    "transposed_convolution": _transposed_convolution,
    "fully_connected": _fully_connected,
    "pooling": _pooling,
    "add": _arithmetic(torch.add),
    "multiply": _arithmetic(torch.mul),
    "concatenation": _concatenation,
    "reshape": _reshape,
    "resize": _resize,
    "slice": _channels,
    "channel_shuffle": _channel_shuffle,
    "softmax": _softmax,
}
