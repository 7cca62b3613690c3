"""Implement the classes of onnx.backend.base with mpscnn's engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.files import convert_read_errors
from mpscnn.errors import ParameterError, UnsupportedError, WeightsError
from mpscnn.onnx_backend.models import BackendModel
from mpscnn.onnx_backend.programs import BoundPrograms
from mpscnn.onnx_backend.type_inference import with_inferred_types
from mpscnn.runtime.library import is_available
from mpscnn.runtime.options import CompileOptions, RunOptions, load_options

if TYPE_CHECKING:
    import onnx

Array = NDArray[Any]
Inputs = Sequence[Array] | Mapping[str, Array] | Array

_base = import_module("onnx.backend.base")
#: ONNX' names of devices, each with mpscnn's name.
_DEVICES = {"CPU": "cpu", "METAL": "metal"}


class PreparedModel(_base.BackendRep):  # type: ignore[misc,name-defined]
    """A model that is prepared for many runs, made by `Backend.prepare`. Several threads may use it."""

    def __init__(self, model: onnx.ModelProto, for_programs: CompileOptions, for_runs: RunOptions) -> None:
        self._model = BackendModel(model)
        self._programs = BoundPrograms(self._model, for_programs, for_runs)
        self._outputs = _base.namedtupledict("Outputs", self._model.outputs)

    def run(self, inputs: Inputs, **_options: Any) -> tuple[Array, ...]:
        """Compute the model.

        Args:
            inputs: an array for each input of the model without an initializer, in the model's order or by name. A
                single input may be one array. Shapes and types are those of the model.

        Returns:
            A named tuple with an array for each output, with the model's types and order of axes.

        Raises:
            ParameterError: another number of inputs, an unknown name, or an array with another type or shape.
            UnsupportedError: an operator that mpscnn lacks; the message names all of them.
        """
        given = self._model.arrays(inputs)
        return self._outputs(*self._programs.run(given))  # type: ignore[no-any-return]


class Backend(_base.Backend):  # type: ignore[misc,name-defined]
    """The backend class for ONNX' tools and tests. All its methods are class methods."""

    @classmethod
    def prepare(
        cls, model: onnx.ModelProto | str | PathLike[str], device: str = "CPU", **options: Any
    ) -> PreparedModel:
        """Prepare a model for many runs.

        A model whose inputs are all floats with known shapes (except the batch) is compiled here, any other one at its
        first run.

        Args:
            model: a model, or the path of its file. All tensors must be in the model itself.
            device: "CPU" or "METAL". ":0" may follow.
            options: the fields of `mpscnn.CompileOptions` except the device, and those of `mpscnn.RunOptions`. Without
                `precision`, a quantised model computes in int8 on the CPU, and any other one in float32.

        Raises:
            WeightsError: the model violates the rules of ONNX.
            ParameterError: no model, an unknown device or an unknown option.
            UnsupportedError: mpscnn lacks an operator; the message names all of them. A model with several inputs or
                free extents, also of the batch, raises it at its first run.
        """
        import onnx

        if isinstance(model, (str, PathLike)):
            with convert_read_errors(model, WeightsError):
                model = onnx.load(model)
        if not isinstance(model, onnx.ModelProto):
            raise ParameterError(
                f"onnx_backend: model must be an onnx.ModelProto or a path, got {type(model).__name__}"
                + ("; mpscnn.InferenceSession reads the bytes of a file" if isinstance(model, bytes) else "")
            )
        name = _device_name(device)
        if name is None:
            raise ParameterError(f"onnx_backend: device must be 'CPU' or 'METAL', got {device!r}")
        try:
            found = load_options({**options, "device": name})  # type: ignore[typeddict-item]
        except TypeError as error:
            raise ParameterError(f"onnx_backend: {error}") from error
        return PreparedModel(model, *found)

    @classmethod
    def run_model(
        cls, model: onnx.ModelProto, inputs: Inputs, device: str = "CPU", **options: Any
    ) -> tuple[Array, ...]:
        """Prepare a model and compute it once. Arguments and errors are those of `prepare` and `PreparedModel.run`."""
        return cls.prepare(model, device, **options).run(inputs)

    @classmethod
    def run_node(
        cls,
        node: onnx.NodeProto,
        inputs: Sequence[Array],
        device: str = "CPU",
        outputs_info: Sequence[tuple[Any, tuple[int, ...]]] | None = None,
        *,
        opset_version: int | None = None,
        **options: Any,
    ) -> tuple[Array, ...]:
        """Compute one operator.

        Args:
            node: the operator.
            inputs: an array for each of its inputs that is not left out.
            device: "CPU" or "METAL".
            outputs_info: the type and shape of each result; None: ONNX infers the types.
            opset_version: the version of ONNX' operators; None: the newest that the package onnx knows.
            options: as for `prepare`.

        Raises:
            Error: the errors of `prepare` and `PreparedModel.run`.
        """
        model = _model_of_node(node, inputs, outputs_info, opset_version)
        return cls.run_model(model, inputs, device, **options)

    @classmethod
    def is_compatible(cls, model: onnx.ModelProto, device: str = "CPU", **options: Any) -> bool:
        """Return True if `prepare` accepts the model.

        A run may still refuse a model with several inputs or free extents, for an operator that mpscnn lacks or for the
        values of inputs that must be constants, such as shapes. Raises the other errors of `prepare`.
        """
        try:
            cls.prepare(model, device, **options)
        except UnsupportedError:
            return False
        return True

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Return True for "CPU", and for "METAL" where there is a GPU that passed its self-check."""
        name = _device_name(device)
        if name == "metal":
            return is_available(name)
        return name is not None


def _device_name(device: object) -> str | None:
    """Return mpscnn's name of ONNX' device, such as "CPU" or "CPU:0"; None if there is no such device."""
    kind, _, number = str(device).partition(":")
    return _DEVICES.get(kind) if number in ("", "0") else None


def _model_of_node(
    node: onnx.NodeProto,
    inputs: Sequence[Array],
    outputs_info: Sequence[tuple[Any, tuple[int, ...]]] | None,
    opset: int | None,
) -> onnx.ModelProto:
    """Return a model of one operator."""
    import onnx

    names = list(dict.fromkeys(name for name in node.input if name))
    if len(names) != len(inputs):
        raise ParameterError(f"onnx_backend: {node.op_type} has {len(names)} inputs, got {len(inputs)}")
    described = [
        onnx.helper.make_tensor_value_info(
            name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
        )
        for name, array in zip(names, map(np.asarray, inputs), strict=True)
    ]
    results = [name for name in node.output if name]
    if outputs_info is None:
        ends = [onnx.ValueInfoProto(name=name) for name in results]
    else:
        ends = [
            onnx.helper.make_tensor_value_info(
                name, onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape
            )
            for name, (dtype, shape) in zip(results, outputs_info, strict=True)
        ]
    graph = onnx.helper.make_graph([node], node.op_type, described, ends)
    version = onnx.defs.onnx_opset_version() if opset is None else opset
    model: onnx.ModelProto = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid(node.domain, version)]
    )
    if outputs_info is not None:
        return model
    return with_inferred_types(model, node.op_type)
