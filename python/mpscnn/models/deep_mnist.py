"""Build Deep MNIST, the network of TensorFlow's tutorial. Read and write the raw files of its weights.

The names, sizes and orders of the files are those of Matt Rajca's "Speeding Up TensorFlow with Metal Performance
Shaders" (2016): float32, little-endian, [out][height][width][in].
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from mpscnn._private.arguments import path_name
from mpscnn._private.files import convert_write_errors, exists, is_folder, read_content, replace_atomically
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn.errors import ParameterError, WeightsError
from mpscnn.graph.network import Network
from mpscnn.graph.weight_layout import OwnWeights, WeightLayout
from mpscnn.models.mobilenet import Weights, weight_arrays

_LAYERS = ("conv1", "conv2", "fc1", "fc2")


@accept_foreign_arguments
def deep_mnist(
    weights: Weights = None,
    *,
    channels: tuple[int, int] = (32, 64),
    hidden: int = 1024,
    output: str = "softmax",
    name: str = "deep_mnist",
    layout: WeightLayout | None = None,
) -> Network:
    """Return Deep MNIST: (n, 28, 28, 1) in 0..1, white digits on black -> (n, 10).

    Layers: conv1 (5x5, ReLU), pool1 (maximum of 2x2), conv2 (5x5, ReLU), pool2, fc1 (ReLU), fc2, softmax.

    Args:
        weights: None (load them later), a mapping as for `Network.load_weights`, the folder of the eight files
            W_conv1, b_conv1 ... W_fc2, b_fc2, or a model file or registry name with exactly this architecture.
        layout: the order of axes of arrays, as for `Network.load_weights`.
        channels: the channels of the two convolutions.
        hidden: the features of fc1. The bundled model "digits" has channels=(16, 32), hidden=128.
        output: "softmax" for probabilities, "logits" for the values before it.
        name: the network's name.

    Raises:
        ParameterError: an argument is out of its range.
        WeightsError: the weights do not fit; the message names the file and the expected size.
    """
    if output not in ("softmax", "logits"):
        raise ParameterError(f"output must be 'softmax' or 'logits', got {output!r}")
    if not isinstance(channels, Sequence) or len(channels) != 2:
        raise ParameterError(f"channels must be two numbers, of conv1 and conv2, got {channels!r}")
    net = Network(input=(28, 28, 1), name=name)
    x = net.conv2d(net.input, channels[0], 5, padding="same", activation="relu", name="conv1")
    x = net.max_pool2d(x, 2, padding="same", name="pool1")
    x = net.conv2d(x, channels[1], 5, padding="same", activation="relu", name="conv2")
    x = net.max_pool2d(x, 2, padding="same", name="pool2")
    x = net.dense(x, hidden, activation="relu", name="fc1")
    x = net.dense(x, 10, name="fc2")
    net.output(net.softmax(x, name="softmax") if output == "softmax" else x)
    if weights is None:
        return net
    if not isinstance(weights, Mapping):
        weights = _read_files(net, Path(weights)) if is_folder(weights) else weight_arrays(weights)
    net.load_weights(weights, layout=layout)
    return net


def export_deep_mnist(network: Network, directory: str | os.PathLike[str]) -> None:
    """Write the eight files of a network from `deep_mnist`. The folder is created if needed.

    Raises:
        WeightsError: the network is not from `deep_mnist` or has no weights, or the folder cannot be written.
    """
    arrays = network.weights
    names = {f"{layer}.{role}": file for layer in _LAYERS for role, file in _files_of(layer).items()}
    if set(arrays) != set(names):
        raise WeightsError(
            f"network {network.name!r}: the eight files hold {', '.join(names)}; it has "
            f"{', '.join(arrays) or 'no weights'}"
        )
    folder = Path(path_name("directory", directory))
    with convert_write_errors(folder, WeightsError):
        folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as files:  # all of them are replaced at its end
        for name, file in names.items():
            stream = files.enter_context(replace_atomically(folder / file, WeightsError))
            stream.write(arrays[name].astype("<f4").tobytes())
            stream.flush()


def is_deep_mnist(directory: Path) -> bool:
    """Return True if a folder holds any of the eight files."""
    return any(exists(directory / file) for layer in _LAYERS for file in _files_of(layer).values())


def _files_of(layer: str) -> dict[str, str]:
    """Return the file names by role."""
    return {"weight": f"W_{layer}", "bias": f"b_{layer}"}


def _read_files(network: Network, directory: Path) -> OwnWeights:
    specs = {
        _files_of(spec["layer"])[spec["role"]]: (f"{spec['layer']}.{spec['role']}", tuple(spec["shape"]))
        for spec in network.weight_specs()
    }
    sizes = {file: 4 * math.prod(shape) for file, (_, shape) in specs.items()}
    weights = {}
    for file, (name, shape) in specs.items():
        path = directory / file
        try:
            content = read_content(path, WeightsError)
        except WeightsError as error:
            listed = ", ".join(f"{file} ({size:,} bytes)" for file, size in sizes.items())
            raise WeightsError(f"{error}; expected are the eight files {listed}") from error
        if len(content) != sizes[file]:
            same = [other for other, size in sizes.items() if size == len(content)]
            raise WeightsError(
                f"{path}: {len(content):,} bytes, but {sizes[file]:,} are expected: float32 "
                f"{''.join(f'[{extent}]' for extent in shape)}"
                + (f"; this is the size of {' and '.join(same)}" if same else "")
            )
        weights[name] = np.frombuffer(content, "<f4").reshape(shape)
    return OwnWeights(weights)
