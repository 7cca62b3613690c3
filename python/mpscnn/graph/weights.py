"""Set, initialise and read the weights of a network."""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from os import PathLike
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from mpscnn import _core
from mpscnn._private import toolkit
from mpscnn._private.arguments import name_list, path_name, require_text
from mpscnn._private.files import exists, read_content
from mpscnn._private.names import did_you_mean
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn.errors import ParameterError, UnsupportedError, WeightsError
from mpscnn.graph.flattened import flattened_images
from mpscnn.graph.weight_layout import (
    FixedWeights,
    OwnArray,
    OwnWeights,
    WeightLayout,
    convert_layout,
    from_torch_names,
    is_own,
    own_name,
    reorder_flattened_weights,
    require_named_weights,
    require_no_tensors,
    weight_array,
)


class GraphWeights(ABC):
    """Methods for the weights of a network. `Network` inherits them."""

    graph: _core.Graph
    name: str

    @accept_foreign_arguments
    def load_weights(self, weights: Mapping[str, Any], *, layout: WeightLayout | None = None) -> None:
        """Set all weights from arrays named "<layer>.<role>", for example "conv1.weight".

        Args:
            weights: floating-point arrays with any strides, or PyTorch tensors on any device. float64 is rounded to
                float32.
            layout: the order of axes in convolution weights: "OHWI", `[out][kernel height][kernel width][in]`, or
                PyTorch's "OIHW". PyTorch's transposed convolutions have [in] before [out], and "OIHW" expects that.
                The layout also applies to layers that read a flattened image, which PyTorch flattens channel by
                channel: the columns of dense layers, and the weights of normalizations and PReLU. With "OIHW",
                PyTorch's names of roles are accepted for all layers: "weight", "bias", "running_mean" and
                "running_var". None: the weights of a network (`Network.weights`) or results of them, or arrays that fit
                only one layout. The state dict of a network of torchvision or timm fits the network of that name in
                `mpscnn.models`: its batch normalizations become part of the layers before them.

        Raises:
            WeightsError: a name is unknown, a weight is missing, a shape is wrong, a value is not finite, or `layout`
                is None and a weight fits both layouts, such as a kernel of 3 x 3 on three channels.
            ParameterError: the layout is unknown, or `weights` is not a mapping of names to arrays.
        """
        self.set_weights(weights, layout=layout)
        specs = self.weight_specs()
        missing = [
            f"{spec['layer']}.{spec['role']}" for spec in specs if spec["required"] and not spec["set"]
        ]
        if missing:
            raise WeightsError(f"network {self.name!r}: no values for {', '.join(map(repr, missing[:5]))}")

    @accept_foreign_arguments
    def set_weights(self, weights: Mapping[str, Any], *, layout: WeightLayout | None = None) -> None:
        """Set some weights and keep the others. Arguments and errors are those of `load_weights`."""
        if layout not in (None, *get_args(WeightLayout)):
            raise ParameterError(f"layout must be 'OHWI' or 'OIHW', got {layout!r}")
        require_named_weights(weights)
        if layout is None and isinstance(weights, OwnWeights):
            require_no_tensors(weights)
            layout = "OHWI"
        specs = {f"{spec['layer']}.{spec['role']}": spec for spec in self.weight_specs()}
        if layout == "OIHW":
            weights = from_torch_names(weights, specs)
        unknown = [name for name in weights if name not in specs]
        if unknown:
            folded = None if layout == "OHWI" else self._folded(weights, unknown)
            if folded is not None:
                self.set_weights(folded)
                return
            named = ", ".join(f"{name!r}{_suggestion(name, specs)}" for name in unknown[:5])
            raise WeightsError(
                f"network {self.name!r} has no weight {named}{_torch_hint(weights, unknown, specs)}"
            )
        images = flattened_images(self.graph)
        groups = _transposed_groups(self.graph)
        for name, value in weights.items():
            known = "OHWI" if layout is None and is_own(value) else layout
            array = weight_array(name, value)
            shape = tuple(specs[name]["shape"])
            image = images.get(specs[name]["layer"])
            if image is not None and array.ndim in (1, 2) and specs[name]["role"] != "bias":
                array = reorder_flattened_weights(name, array, image, known)
                array = array.reshape(shape) if array.size == math.prod(shape) else array
            else:
                array = convert_layout(name, array, shape, known, groups.get(specs[name]["layer"]))
            self._set_weight(specs[name], array)

    def _folded(self, weights: Mapping[str, Any], unknown: Sequence[str]) -> OwnWeights | None:
        """Return the weights of this network if its name is that of a state dict's architecture; otherwise None.

        The batch normalizations of the state dict, whose names are unknown, become part of the layers before them.
        """
        if not _has_norms(unknown):
            return None
        try:
            folded: OwnWeights = toolkit.converter().fold_state(weights, self.name)
        except UnsupportedError:
            return None
        return folded

    @accept_foreign_arguments
    def load_raw_weights(
        self, directory: str | PathLike[str], names: Mapping[str, str] | None = None
    ) -> None:
        """Set weights from raw little-endian float32 files in mpscnn's order of axes, one file for each weight.

        Args:
            directory: the folder of the files.
            names: the file name for each role, with {layer} for the layer's name; default: "{layer}_<role>.bin".

        Raises:
            WeightsError: a required file is missing or has the wrong size.
        """
        weights: dict[str, NDArray[Any]] = {}
        folder = Path(path_name("directory", directory))
        for spec in self.weight_specs():
            pattern = (names or {}).get(spec["role"], "{layer}_" + spec["role"] + ".bin")
            path = folder / pattern.format(layer=spec["layer"])
            if not spec["required"] and not exists(path):
                continue
            content = read_content(path, WeightsError)
            shape = tuple(spec["shape"])
            expected = 4 * math.prod(shape)
            if len(content) != expected:
                raise WeightsError(
                    f"{path}: {len(content)} bytes, but {expected} are expected: float32 {shape}"
                )
            weights[f"{spec['layer']}.{spec['role']}"] = np.frombuffer(content, "<f4").reshape(shape)
        self.load_weights(weights, layout="OHWI")

    @accept_foreign_arguments
    def set_quantized_weight(
        self,
        name: str,
        values: NDArray[np.uint8] | NDArray[np.int32],
        scales: Sequence[float] | NDArray[np.float32] | float,
        zero_points: Sequence[float] | NDArray[np.float32] | float,
    ) -> None:
        """Set the weight "<layer>.<role>" from uint8 or int32 values: (values - zero_point) * scale.

        Scales and zero points are one for all, or one for each index of the first axis. int32 is for biases in
        precision "int8".
        """
        layer, _, role = require_text("set_quantized_weight: name", name).rpartition(".")
        scale_list, zero_list = (_numbers(part) for part in (scales, zero_points))
        self.graph.set_weight(layer, role, np.ascontiguousarray(values), scale_list, zero_list)

    @accept_foreign_arguments
    def initialize_weights(self, seed: int = 0, *, layers: Sequence[str] | None = None) -> None:
        """Set random weights (He et al. 2015), zero biases and neutral batch normalizations.

        They are a starting point for training, and suffice for benchmarks and tests.

        The same seed gives the same weights. A layer gets a bias unless it was created with `use_bias=False` or has
        weights without one. A convolution that only batch normalizations read gets no bias, since they would cancel it.

        Args:
            seed: the random seed.
            layers: the names of the layers that get new weights; None: all.
        """
        generator = np.random.default_rng(seed)
        constants = {"gamma": 1.0, "variance": 1.0, "beta": 0.0, "mean": 0.0, "bias": 0.0, "slope": 0.25}
        constants |= {"scale": 1.0, "input_scale": 1.0, "input_bias": 0.0}
        chosen = None if layers is None else set(name_list("layers", layers))
        specs = [spec for spec in self.weight_specs() if chosen is None or spec["layer"] in chosen]
        known = {spec["layer"] for spec in specs if spec["set"] and spec["role"] == "weight"}
        unbiased = self._normalized_layers() | known
        for spec in specs:
            if spec["role"] == "bias" and not (spec["required"] or spec["set"]) and spec["layer"] in unbiased:
                continue
            shape = tuple(spec["shape"])
            if spec["role"] == "weight":
                deviation = np.sqrt(2.0 / max(1, int(np.prod(shape[1:]))))
                values = generator.normal(0.0, deviation, shape).astype(np.float32)
            elif spec["role"] == "value":
                # Class tokens and position embeddings are drawn as in Dosovitskiy et al. 2021.
                values = generator.normal(0.0, 0.02, shape).astype(np.float32)
            else:
                values = np.full(shape, constants[spec["role"]], np.float32)
            self.graph.set_weight(spec["layer"], spec["role"], values)

    def _normalized_layers(self) -> set[str]:
        """Return the convolutions whose results only batch normalizations read."""
        graph = json.loads(self.graph.to_json())
        readers: dict[str, set[str]] = {name: {"output"} for name in graph["outputs"]}
        for node in graph["nodes"]:
            for name in node["inputs"]:
                readers.setdefault(name, set()).add(node["operation"])
        return {
            node["name"]
            for node in graph["nodes"]
            if node["operation"] == "convolution"
            and "activation" not in node
            and readers.get(node["name"]) == {"batch_normalization"}
        }

    def weight_specs(self) -> list[dict[str, Any]]:
        """Return a list of all weights with layer, role, shape, required, set, dtype."""
        specs: list[dict[str, Any]] = json.loads(self.graph.weights())
        without = self._without_bias()
        return [spec for spec in specs if spec["role"] != "bias" or spec["layer"] not in without]

    @abstractmethod
    def _without_bias(self) -> Set[str]:
        """Return the layers created with `use_bias=False`."""

    @property
    def weights(self) -> FixedWeights:
        """Copies of all weights that are set, in their stored type. Integers are dequantised to float32.

        Neither the dictionary nor its arrays can be changed, because the network would not: `set_weights` sets weights.
        A change of `state_dict()` reaches the network with `load_state_dict`. `load_weights` and `set_weights` know the
        order of axes of these arrays, and of their sums and products: `net.set_weights({name: 0.5 *
        net.weights[name]})` needs no layout. They do not know it after `transpose` or `reshape`.
        """
        found = {
            f"{spec['layer']}.{spec['role']}": self.weight(spec["layer"], spec["role"])
            for spec in self.weight_specs()
            if spec["set"]
        }
        for array in found.values():
            array.flags.writeable = False
        return FixedWeights({name: OwnArray.of(array) for name, array in found.items()})

    @accept_foreign_arguments
    def weight(self, layer: str, role: str = "weight") -> NDArray[Any]:
        """Return a copy of one weight in its stored type; integers become float32.

        Raises WeightsError if it is not set.
        """
        return _dequantized(*self.graph.get_weight(layer, role))

    def _set_weight(self, spec: dict[str, Any], array: NDArray[Any]) -> None:
        if array.dtype.kind != "f":
            raise WeightsError(f"{spec['layer']}.{spec['role']}: expected floating point, got {array.dtype}")
        array = np.ascontiguousarray(array, dtype=np.float16 if array.dtype == np.float16 else np.float32)
        expected = tuple(spec["shape"])
        # Depthwise weights are usually written as [channel][multiplier][kernel height][kernel width]. In memory this is
        # the same as the convolution's order.
        is_depthwise = len(expected) == 4 and array.ndim == 4 and expected[3] == 1
        if (
            is_depthwise
            and array.shape != expected
            and array.shape[0] * array.shape[1] == expected[0]
            and array.shape[2:] == expected[1:3]
        ):
            array = array.reshape(expected)
        self.graph.set_weight(spec["layer"], spec["role"], array)


_OF_RECURRENT_LAYER = ".weight_ih_l"  # a part of PyTorch's names
#: Other libraries' names of roles, each with mpscnn's name.
_OTHER_ROLES = {
    "kernel": "weight",
    "weights": "weight",
    "biases": "bias",
    "running_mean": "mean",
    "running_var": "variance",
    "moving_mean": "mean",
    "moving_variance": "variance",
}


def _transposed_groups(graph: _core.Graph) -> dict[str, int]:
    """Return the number of groups of each transposed convolution by its name."""
    return {
        node["name"]: node["attributes"]["groups"]
        for node in json.loads(graph.to_json())["nodes"]
        if node["operation"] == "transposed_convolution"
    }


def _has_norms(unknown: Sequence[str]) -> bool:
    return any(name.endswith((".running_mean", ".mean")) for name in unknown)


def _torch_hint(weights: Mapping[str, Any], unknown: Sequence[str], known: Collection[str]) -> str:
    """Return a hint if unknown weights have the names of a PyTorch module's."""
    if any(_OF_RECURRENT_LAYER in name for name in unknown):
        return "; mpscnn.from_torch(module, example) reads the recurrent layers of PyTorch"
    if all(name is None or name in known for name in (own_name(one, known) for one in weights)):
        return "; these are PyTorch's names, which layout='OIHW' reads"
    if not _has_norms(unknown):
        return ""
    return (
        "; these are batch normalizations, which the network has folded into the layers before them: "
        "mpscnn.from_torch(module, example, fold=False) keeps them, and mpscnn.load(path) folds those of a state dict"
    )


def _suggestion(name: str, known: Iterable[str]) -> str:
    """Return a hint for the error about an unknown weight: its name in mpscnn, the layer's weights or similar names."""
    layer, _, role = name.rpartition(".")
    same = f"{layer}.{_OTHER_ROLES.get(role, '')}"
    names = list(known)
    if same in names:
        return f"; did you mean {same!r}?"
    own = [other for other in names if other.rpartition(".")[0] == layer]
    return f"; the layer has {', '.join(map(repr, own))}" if own else did_you_mean(name, names)


@accept_foreign_arguments
def unpack_binary_weights(words: NDArray[np.uint32], channels: int) -> NDArray[np.float32]:
    """Return the weights -1 and +1 of a binary convolution from Apple's packed format.

    Args:
        words: uint32 `[...][ceil(channels / 32)]`, for example `[out][kernel height][kernel width][words]`. Bit i of
            word w, counted from the least significant one, is channel 32 * w + i; 1 means +1.
        channels: the number of input channels. Bits after the last one are ignored.

    Raises WeightsError for other types or another number of words. Returns `[...][channels]`.
    """
    if words.dtype != np.uint32:
        raise WeightsError(f"expected uint32 words, got {words.dtype}")
    if words.ndim == 0 or words.shape[-1] != -(-channels // 32):
        raise WeightsError(
            f"{channels} channels take {-(-channels // 32)} words, got {words.shape[-1] if words.ndim else 0}"
        )
    octets = np.ascontiguousarray(words, "<u4").view(np.uint8)
    bits = np.unpackbits(octets, axis=-1, bitorder="little")[..., :channels]
    signs: NDArray[np.float32] = bits.astype(np.float32) * np.float32(2) - np.float32(1)
    return signs


def _dequantized(values: NDArray[Any], scales: Sequence[float], zero_points: Sequence[float]) -> NDArray[Any]:
    if not scales:
        return values
    per_channel = (-1,) + (1,) * (values.ndim - 1)
    wide = np.float32 if values.dtype == np.uint8 else np.float64  # the same types as in the core
    scale, zero_point = (
        np.asarray(part, np.float32).astype(wide).reshape(per_channel) for part in (scales, zero_points)
    )
    result: NDArray[Any] = ((values.astype(wide) - zero_point) * scale).astype(np.float32)
    return result


def _numbers(given: Any) -> list[float]:
    """Return scales or zero points as a list."""
    try:
        numbers = np.asarray(given, np.float32)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"scales and zero points must be numbers, got {given!r}") from error
    return [float(number) for number in numbers.reshape(-1)]
