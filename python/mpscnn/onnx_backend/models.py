"""A model in memory: its inputs and outputs, and checks of the arrays for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.arrays import remedy_for
from mpscnn._private.names import shown_names
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.errors import Error, ParameterError, UnsupportedError, WeightsError
from mpscnn.onnx_backend.type_inference import reason_of, with_inferred_types

if TYPE_CHECKING:
    import onnx

Array = NDArray[Any]

_FLOATS = frozenset({"float32", "float16", "bfloat16"})


@dataclass(frozen=True)
class Port:
    """An input or output: its name, element type and shape, as far as the model defines them."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...] | None

    @property
    def is_data(self) -> bool:
        """True if the engine can take it as an input; otherwise it becomes a constant."""
        return self.dtype.name in _FLOATS


class BackendModel:
    """A checked model.

    Args:
        model: the model.

    Attributes:
        proto: the model.
        inputs: the inputs without an initializer.
        outputs: the names of the outputs.

    Raises:
        WeightsError: the model violates the rules of ONNX.
        UnsupportedError: an input or output is not a tensor.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        with _explained(WeightsError, f"damaged: model {quote_name(model.graph.name)}"):
            _check(model)
        self.proto = model
        graph = self.proto.graph
        self.title = graph.name or "model"
        known = {tensor.name for tensor in graph.initializer}
        self.inputs = [self._port(info, "input") for info in graph.input if info.name not in known]
        self._ends = [self._port(info, "output") for info in _with_types(self.proto).graph.output]
        self.outputs = [port.name for port in self._ends]

    def arrays(self, inputs: Sequence[Array] | Mapping[str, Array] | Array) -> list[Array]:
        """Return the arrays in the order of `inputs`. Raises ParameterError if they do not match the model's inputs."""
        given: Sequence[Any]
        if isinstance(inputs, Mapping):
            names = [port.name for port in self.inputs]
            if unknown := [name for name in inputs if name not in names]:
                raise ParameterError(
                    f"{self.title}: there is no input {quote_name(str(unknown[0]))}; inputs are {shown_names(names)}"
                )
            if missing := [name for name in names if name not in inputs]:
                raise ParameterError(f"{self.title}: input {quote_name(missing[0])} is missing")
            given = [inputs[name] for name in names]
        elif isinstance(inputs, np.ndarray) and len(self.inputs) == 1:
            given = [inputs]
        else:
            given = list(inputs)
        if len(given) != len(self.inputs):
            raise ParameterError(f"{self.title}: it has {len(self.inputs)} inputs, got {len(given)}")
        return [self._fitting(port, one) for port, one in zip(self.inputs, given, strict=True)]

    def typed(self, results: Sequence[Array]) -> list[Array]:
        """Convert results to the types that the model defines."""
        return [
            result.astype(port.dtype, copy=False) for port, result in zip(self._ends, results, strict=True)
        ]

    def _port(self, info: onnx.ValueInfoProto, what: str) -> Port:
        import onnx

        kind = info.type.WhichOneof("value")
        where = f"{self.title}: {what} {quote_name(info.name)}"
        if kind is None:
            raise UnsupportedError(f"{where} has no stated type")
        if kind != "tensor_type":
            raise UnsupportedError(f"{where} is a {kind.removesuffix('_type')}; supported are tensors")
        tensor = info.type.tensor_type
        shape: tuple[int | None, ...] | None = None
        if tensor.HasField("shape"):
            shape = tuple(  # some writers state -1 for an extent that is free
                one.dim_value if one.HasField("dim_value") and one.dim_value >= 0 else None
                for one in tensor.shape.dim
            )
        try:
            dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
        except KeyError as error:
            raise UnsupportedError(f"{where} has an unknown element type, {tensor.elem_type}") from error
        if dtype.kind in "OSU":
            raise UnsupportedError(f"{where} is text; supported are numbers")
        return Port(info.name, dtype, shape)

    def _fitting(self, port: Port, given: Any) -> Array:
        where = f"{self.title}: input {quote_name(port.name)}"
        try:
            array = np.asarray(given)
        except ValueError as error:  # lists of different lengths
            raise ParameterError(f"{where} is not an array: {error}") from error
        if isinstance(given, list) and np.can_cast(array.dtype, port.dtype, "same_kind"):
            array = array.astype(port.dtype)  # numbers of Python have no element type
        if array.dtype != port.dtype:
            raise ParameterError(f"{where} is of {port.dtype}, got {array.dtype}")
        fits = port.shape is None or (
            len(port.shape) == array.ndim
            and all(own in (None, extent) for own, extent in zip(port.shape, array.shape, strict=True))
        )
        if not fits:
            remedy = "" if port.shape is None else remedy_for([port.shape], [array])
            raise ParameterError(
                f"{where} has the shape {port.shape}, got {array.shape}{remedy and f'; {remedy} fits'}"
            )
        return array


def _check(model: onnx.ModelProto) -> None:
    """Raise ValidationError for a model that violates the rules of ONNX.

    GroupNormalization of opset 18 is accepted, which ONNX deprecates and runtimes have. Then ONNX' checker does not
    check the nodes after it; the reader of ONNX files does.
    """
    import onnx

    try:
        onnx.checker.check_model(_with_ranks(model))
    except onnx.checker.ValidationError as error:
        if "is deprecated in domain_version of" not in str(error):
            raise


def _with_ranks(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with a shape for each input and output, as ONNX' checker asks for.

    onnxruntime runs models without them, and tools that change graphs, such as onnx-graphsurgeon, write such models.
    """
    tensors = [info.type.tensor_type for info in (*model.graph.input, *model.graph.output)]
    if all(tensor.HasField("shape") or not tensor.elem_type for tensor in tensors):
        return model
    copy = type(model)()
    copy.CopyFrom(model)
    for info in (*copy.graph.input, *copy.graph.output):
        if info.type.tensor_type.elem_type:
            info.type.tensor_type.shape.SetInParent()
    return copy


def _with_types(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with the types of its outputs."""
    if all(info.type.WhichOneof("value") for info in model.graph.output):
        return model
    return with_inferred_types(model, f"model {quote_name(model.graph.name)}")


@contextmanager
def _explained(kind: type[Error], failure: str) -> Iterator[None]:
    """Turn errors of the package onnx into errors of `kind` whose messages begin with `failure`."""
    import onnx

    try:
        yield
    except (onnx.checker.ValidationError, RuntimeError, ValueError) as error:
        raise kind(f"{failure}: {reason_of(error)}") from error
