"""A call of a Keras layer that is being converted.

It has the arguments of the call, the weights and the name of the layer. Its methods add what several layers need.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.budget import Cost
from mpscnn.converters.opening.layer_names import LayerNames
from mpscnn.converters.reading.keras.config import KerasLayer
from mpscnn.converters.reading.keras.functions import Function, resolve_activation
from mpscnn.converters.reading.keras.weights import Path, Weights, WeightSource
from mpscnn.converters.values.affine import affine
from mpscnn.converters.values.broadcast import varying_atoms
from mpscnn.converters.values.contractions import pointwise
from mpscnn.converters.values.layout import Axis, in_memory_order
from mpscnn.converters.values.layout_pass import Arranger
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network

Numbers = NDArray[np.generic]


class LayerCall:
    """One call of a layer, for the functions that convert layers. `arguments` has tensors, constants, and lists."""

    def __init__(
        self,
        arranger: Arranger,
        layer: KerasLayer,
        path: Path,
        arguments: list[Any],
        keywords: dict[str, Any],
        *,
        names: LayerNames,
        weights: WeightSource,
        generation: int,
        samples_corners: bool,
        is_again: bool,
    ) -> None:
        self.arranger = arranger
        self.network: Network = arranger.network
        self.layer = layer
        self.arguments = arguments
        self.keywords = keywords
        self.generation = generation
        self.samples_corners = samples_corners
        self._stem = "/".join(path)
        self._path = path
        self._names = names
        self._weights = weights
        self._is_again = is_again
        self._read: Weights | None = None

    def name(self, suffix: str = "") -> str:
        """Return a unique name for a layer of the network: "model/layer" plus a suffix."""
        return self._names.unique(self._stem + suffix)

    @contextmanager
    def under(self, suffix: str) -> Iterator[None]:
        """Add a suffix to the names of all layers that are added in a `with` block."""
        before = self._stem
        self._stem += suffix
        try:
            yield
        finally:
            self._stem = before

    # ---- Inputs ----------------------------------------------------------------------------------------------------

    def inputs(self) -> list[FileTensor]:
        """Return the tensors that the layer is called with, at least one."""
        first = self.arguments[0] if self.arguments else None
        given = first if isinstance(first, list) else self.arguments
        tensors = [one for one in given if isinstance(one, FileTensor)]
        if not tensors or len(tensors) < len(given):
            raise UnsupportedError("is called with something other than results of layers")
        return tensors

    def x(self) -> FileTensor:
        """Return the tensor that the layer is called with. Raises WeightsError for several."""
        tensors = self.inputs()
        if len(tensors) != 1:
            raise WeightsError(f"damaged: it has {len(tensors)} inputs instead of one")
        return tensors[0]

    @property
    def is_sequence(self) -> bool:
        """True for a layer of sequences. The names of their classes contain 1D."""
        return "1D" in self.layer.kind

    def image(self, x: FileTensor) -> Tensor:
        """Return an image, or a sequence as an image of one row."""
        if x.rank != (3 if self.is_sequence else 4):
            kind = "sequences" if self.is_sequence else "images"
            raise UnsupportedError(f"it takes {kind}, its input is {x.shown}")
        return self.tensor(x.expand_dims([1]) if self.is_sequence else x)

    def operands(self, count: int) -> list[Any]:
        """Return the operands of a function: tensors, numbers and arrays of numbers."""
        first = self.arguments[0] if self.arguments else None
        given = list(first if len(self.arguments) == 1 and isinstance(first, list) else self.arguments)
        given += [self.keywords[key] for key in ("x1", "x", "y", "x2") if self.keywords.get(key) is not None]
        if len(given) != count:
            raise UnsupportedError(f"an operator with {len(given)} operands")
        for value in given:
            if not isinstance(value, (FileTensor, int, float, np.ndarray)):
                raise UnsupportedError("an operand is neither the result of a layer nor a number")
        if len({value.rank for value in given if isinstance(value, FileTensor)}) > 1:
            # Functions broadcast from the last axis, unlike layers, so the batch would be combined with another axis.
            shown = [value.shown for value in given if isinstance(value, FileTensor)]
            raise UnsupportedError(f"its operands {shown} have different numbers of axes")
        return given

    def tensor(self, x: FileTensor) -> Tensor:
        """Return the network's tensor (n, other axes) for a value whose first axis is the batch."""
        if not x.has_batch_first or x.rank < 2:
            raise UnsupportedError(f"changes the batch: its input is {x.shown}")
        return self.arranger.physical(x, x.axes[1:])

    def wrap(self, tensor: Tensor) -> FileTensor:
        """Return a tensor of the network as a tensor of the file with the same axes."""
        return FileTensor.from_tensor(self.arranger, tensor)

    def constant(self, shape: Sequence[int], make: Callable[[], Numbers], suffix: str) -> FileTensor:
        """Return a constant as a tensor without a batch. `make` is called after the constant's bytes are counted."""
        tensor = self.arranger.constant(self.name(suffix), shape, make)
        axes = tuple(self.arranger.atoms(shape))
        return FileTensor(tensor, axes, tuple(atom for axis in axes for atom in axis), arranger=self.arranger)

    # ---- Layers with weights ---------------------------------------------------------------------------------------

    def weights(self) -> Weights:
        """Return the layer's weights by role."""
        if self._read is None:
            self._read = self._weights.of(self._path, self.layer)
        return self._read

    def set_weights(self, layer: str, **weights: Numbers | None) -> None:
        """Set weights of a layer of the network. A role whose values are None has no weight.

        Copies of weights for further calls of the layer are counted.
        """
        for role, values in weights.items():
            if values is not None and self._is_again:
                self.arranger.budget.copy(values.nbytes)
            if values is not None:
                self.network.graph.set_weight(layer, role, np.asarray(values, np.float32))

    def along(
        self,
        x: FileTensor,
        axes: Sequence[int],
        layer: Callable[..., Tensor],
        weights: Mapping[str, str],
        *,
        in_order: bool = False,
        **settings: Any,
    ) -> FileTensor:
        """Apply a layer that computes along its channels, with these axes of the file as the channels.

        Args:
            x: the input.
            axes: the numbers of the axes.
            layer: a function that gets a tensor, the settings and a name, and adds the layer.
            weights: the file's role of each weight for the indices of these axes, by the network's role.
            in_order: whether the channels must have the file's order.
            settings: arguments of the layer.
        """
        if not axes:
            raise WeightsError("damaged: its list of axes is empty")
        count, atoms = x.fixed_count(axes), x.atoms_of(axes)
        if in_order:
            x = x.wrap(self.arranger.make_contiguous(x, atoms))
        tensor, rest, tail = self.arranger.channels_last(x, atoms)
        name = self.name()
        y = layer(tensor, name=name, **settings)
        for role, source in weights.items():
            values = self.weights().get(source)
            if values is not None and values.size != count:
                raise WeightsError(f"damaged: its {source} has the shape {values.shape} for {x.shown}")
            if values is not None:
                self.set_weights(name, **{role: in_memory_order(values.reshape(-1), atoms, tail)})
        return x.with_tensor(y, rest + tail)

    def channels(self, x: FileTensor, *weights: Numbers) -> tuple[Tensor, list[Numbers], Axis]:
        """Return x with all axes as channels along which weights vary, and the weights for these channels.

        The axes of each array of weights are the last ones of x; an extent of 1 broadcasts. The last result is the
        order of a layer's result, for `FileTensor.with_tensor`.
        """
        if any(
            values.ndim >= x.rank and values.shape[: values.ndim - x.rank + 1] != (1,) for values in weights
        ):
            raise WeightsError(f"damaged: it has weights {[one.shape for one in weights]} for {x.shown}")
        alike = np.broadcast_arrays(*weights)
        varying = [axis for axis, extent in enumerate(alike[0].shape, start=-alike[0].ndim) if extent > 1]
        positions = math.prod(extent or 1 for extent in x.shape[min(varying, default=-1) :])
        self.arranger.budget.spend(Cost(positions * len(weights), positions))
        found = [varying_atoms(x, values) for values in alike]
        tensor, rest, tail = self.arranger.channels_last(x, found[0][0] or x.axes[-1])
        count = tensor.shape[-1] or 1
        given: list[Numbers] = [np.array(np.broadcast_to(values, (count,))) for _, values in found]
        return tensor, given, rest + tail

    def affine(self, x: FileTensor, scale: Numbers | None, offset: Numbers | None) -> FileTensor:
        """Return x * scale + offset. The axes of scale and offset are the last ones of x. None: a scale of 1, or 0."""
        given = {role: one for role, one in (("scale", scale), ("offset", offset)) if one is not None}
        tensor, found, order = self.channels(x, *given.values())
        along = dict(zip(given, found, strict=True))
        y = affine(
            self.network, tensor, scale=along.get("scale"), offset=along.get("offset"), name=self.name()
        )
        return x.with_tensor(y, order)

    def dense(
        self, x: FileTensor, kernel: Numbers, bias: Numbers | None, activation: Activation = None
    ) -> FileTensor:
        """Add a dense layer over the last axis of x, with a kernel (features, units), at each other position."""
        features, units = kernel.shape
        if x.shape[-1] != features:
            raise WeightsError(f"damaged: weights for {features} features, but its input is {x.shown}")
        name, weight = self.name(), kernel.T
        if len(x.order) == len(x.axes[-1]):
            tensor = x.tensor if len(x.tensor.shape) in (2, 4) else self.arranger.physical(x, (x.order,))
            tail, extents = x.order, [extent or 1 for extent in tensor.shape[1:]]
            y = self.network.dense(tensor, units, activation=activation, name=name)
            (new,) = self.arranger.atoms([units])
            made = replace(x, tensor=y, axes=(*x.axes[:-1], new), order=new)
        else:
            value, tail = pointwise(self.arranger, x, x.rank - 1, units, name, activation)
            made, extents = x.wrap(value), [1, 1, features]
        ordered = in_memory_order(weight, x.axes[-1], tail, axis=1)
        self.set_weights(name, weight=ordered.reshape(units, *extents), bias=bias)
        return made

    # ---- Activations -----------------------------------------------------------------------------------------------

    def function(self, activation: Any) -> Function:
        """Return the function of a setting `activation`."""
        return resolve_activation(activation, self.generation)

    def finished(self, y: FileTensor, function: Function) -> FileTensor:
        """Add the layers of an activation function that is not a neuron (see `Function`); others are fused already."""
        if function.layers is None:
            return y
        with self.under("/activation"):
            return function.layers(y)
