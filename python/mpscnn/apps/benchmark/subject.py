"""Find the network of a benchmark, and its source file if another engine can read it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mpscnn import models, registry
from mpscnn.errors import ParameterError
from mpscnn.graph.network import Network
from mpscnn.graph.structure import leaves_size_free
from mpscnn.opening_models import model_path, open_model


def _architectures() -> dict[str, Callable[[], Network]]:
    """Return functions that build the complete networks of `mpscnn.models`, by name.

    Classifiers end with logits if possible, because softmax would hide differences between engines.
    """
    found: dict[str, Callable[[], Network]] = {}
    for name in models.__all__:
        build = getattr(models, name)
        known = inspect.signature(build).parameters
        if "extract_layers" not in known and ("output" in known or "input_size" in known):
            found[name] = partial(build, output="logits") if "output" in known else build
    return found


ARCHITECTURES = _architectures()


@dataclass(frozen=True)
class Subject:
    """A network for a benchmark."""

    name: str
    network: Network
    tflite: Path | None = None
    """The TensorFlow Lite file from which the network was read, for LiteRT. None: a file is written for it."""
    batch: int = 1
    """The number of images (or vectors) in one run."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of the input of one run. Raises ParameterError for networks with several inputs or a free size."""
        inputs = [tensor.name for tensor in self.network.inputs]
        if len(inputs) != 1:
            raise ParameterError(
                f"{self.name} has the inputs {', '.join(inputs)}: only networks of one are measured"
            )
        shape = (self.batch, *self.network.input.shape[1:])
        if None in shape:
            raise ParameterError(f"network {self.name!r} leaves its input's size free: {shape}")
        return tuple(extent for extent in shape if extent is not None)

    def of_size(self, size: tuple[int, int]) -> Subject:
        """Return the network with this height and width for all inputs whose size is free."""
        structure = self.network.to_dict()
        for described, tensor in zip(structure["inputs"], self.network.inputs, strict=True):
            if leaves_size_free(tensor.shape):
                described["shape"][1:3] = size
        return replace(self, network=self.network.restructured(structure), tflite=None)

    @property
    def is_quantized(self) -> bool:
        """True if the network is quantised. Engines that read ONNX files then run in integers, too."""
        return "quantization" in self.network.to_dict()["inputs"][0]

    def random_input(self, seed: int = 0) -> NDArray[np.float32]:
        """Return a random input for one run, with numbers uniform from -1 to 1."""
        return np.random.default_rng(seed).uniform(-1.0, 1.0, self.input_shape).astype(np.float32)

    @property
    def flops(self) -> int:
        """The floating-point operations of one run. A multiply-accumulate counts as two."""
        one_image: int = sum(layer["flops"] for layer in self.network.describe()["layers"])
        return self.batch * one_image


def open_subject(model: str, *, random_weights: bool = False) -> Subject:
    """Open the network for a benchmark.

    `model` is a registry name, a model file or a file of another framework. With `random_weights` it is the name of an
    architecture.
    """
    if random_weights:
        return _architecture(model)
    network = Network.from_graph(open_model(model_path(model)).graph())
    if not registry.is_path(model):
        return Subject(model, network)
    path = Path(model)
    return Subject(path.name, network, path if path.suffix.lower() == ".tflite" else None)


def _architecture(name: str) -> Subject:
    if name not in ARCHITECTURES:
        raise ParameterError(
            f"random weights are for the architectures {', '.join(ARCHITECTURES)}, got {name!r}"
        )
    network = ARCHITECTURES[name]()
    network.initialize_weights()
    return Subject(name, network)
