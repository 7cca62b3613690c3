"""Run ONNX files with the calls of the package onnxruntime, on mpscnn's engine.

    import mpscnn.onnxruntime as onnxruntime

    session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
    results = session.run(None, {"x": images})

Names, shapes, element types and the order of axes are those of the file. It needs the package onnx.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from mpscnn import _core
from mpscnn._private.files import convert_read_errors, is_folder, require_regular
from mpscnn._private.given_warnings import warn_caller
from mpscnn._private.installation import install_command
from mpscnn._private.names import did_you_mean, shown_names
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn._private.other_names import Expected, explain_unknown_names
from mpscnn.errors import Error, ParameterError, UnsupportedError, WeightsError
from mpscnn.onnx_backend.io_binding import IOBinding, OrtValue, type_text
from mpscnn.runtime.library import is_available

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

__all__ = [
    "ExecutionMode",
    "GraphOptimizationLevel",
    "IOBinding",
    "InferenceSession",
    "ModelMetadata",
    "NodeArg",
    "OrtValue",
    "RunOptions",
    "SessionOptions",
    "get_all_providers",
    "get_available_providers",
    "get_device",
    "set_default_logger_severity",
    "set_default_logger_verbosity",
]

__version__ = _core.version()
_PROFILES = (
    "a session has no profile; mpscnn.load(path) makes a Model, whose layers mpscnn.profile(model) measures"
)
_CPU = "CPUExecutionProvider"
#: onnxruntime's names of providers that mpscnn has, each with mpscnn's name of the device.
_DEVICES = {"CoreMLExecutionProvider": "METAL", _CPU: "CPU"}


class GraphOptimizationLevel(IntEnum):
    """Levels of onnxruntime's optimisation of graphs. mpscnn accepts them, and always optimises."""

    ORT_DISABLE_ALL = 0
    ORT_ENABLE_BASIC = 1
    ORT_ENABLE_EXTENDED = 2
    ORT_ENABLE_LAYOUT = 3
    ORT_ENABLE_ALL = 99


class ExecutionMode(IntEnum):
    """onnxruntime's orders in which operators run. mpscnn accepts them, and chooses the order itself."""

    ORT_SEQUENTIAL = 0
    ORT_PARALLEL = 1


class _Options:
    """Attributes that can be set. Setting an unknown one raises AttributeError with similar names."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not hasattr(type(self), name):
            raise AttributeError(
                f"{type(self).__name__} has no option {name!r}{did_you_mean(name, _public(type(self)))}"
            )
        super().__setattr__(name, value)


class SessionOptions(_Options):
    """The options of a session. Only the number of threads has an effect; options that change results are refused."""

    intra_op_num_threads: int = 0
    """The number of threads; 0: mpscnn chooses."""
    inter_op_num_threads: int = 0
    graph_optimization_level: GraphOptimizationLevel = GraphOptimizationLevel.ORT_ENABLE_ALL
    execution_mode: ExecutionMode = ExecutionMode.ORT_SEQUENTIAL
    enable_cpu_mem_arena: bool = True
    enable_mem_pattern: bool = True
    enable_mem_reuse: bool = True
    use_deterministic_compute: bool = False
    log_severity_level: int = -1
    log_verbosity_level: int = 0
    logid: str = ""
    enable_profiling: bool = False
    optimized_model_filepath: str = ""

    def __init__(self) -> None:
        object.__setattr__(self, "_entries", {})

    def add_session_config_entry(self, key: str, value: str) -> None:
        """Store an entry of onnxruntime's configuration, which mpscnn does not read."""
        self.__dict__["_entries"][key] = value

    def get_session_config_entry(self, key: str) -> str:
        """Return a stored entry. Raises ParameterError if there is none."""
        entries: dict[str, str] = self.__dict__["_entries"]
        if key not in entries:
            raise ParameterError(f"SessionOptions: there is no entry {key!r}")
        return entries[key]

    def _check(self) -> None:
        if self.enable_profiling:
            raise UnsupportedError(f"SessionOptions: {_PROFILES}")
        if self.optimized_model_filepath:
            raise UnsupportedError(
                "SessionOptions: optimized_model_filepath is not supported; `mpscnn convert` writes networks"
            )


class RunOptions(_Options):
    """The options of a run. They change nothing."""

    log_severity_level: int = -1
    log_verbosity_level: int = 0
    logid: str = ""
    only_execute_path_to_fetches: bool = False


class NodeArg:
    """An input or output of a model: its `name`, `type` such as "tensor(float)", and `shape`.

    Extents are numbers, names of free extents, or None.
    """

    def __init__(self, info: onnx.ValueInfoProto) -> None:
        import onnx

        tensor = info.type.tensor_type
        self.name: str = info.name
        self.type: str = type_text(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
        self.shape: list[int | str | None] = [
            extent.dim_value
            if extent.HasField("dim_value") and extent.dim_value >= 0  # -1 stands for a free extent
            else extent.dim_param or None
            for extent in tensor.shape.dim
        ]

    def __repr__(self) -> str:
        return f"NodeArg(name={self.name!r}, type={self.type!r}, shape={self.shape})"


class ModelMetadata:
    """The texts of a file about itself, with onnxruntime's names."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.custom_metadata_map = {entry.key: entry.value for entry in model.metadata_props}
        self.description: str = model.doc_string
        self.domain: str = model.domain
        self.graph_description: str = model.graph.doc_string
        self.graph_name: str = model.graph.name
        self.producer_name: str = model.producer_name
        self.version: int = model.model_version


class InferenceSession(Expected):
    """A compiled ONNX model with the methods of onnxruntime's class. Several threads may use it.

    Args:
        path_or_bytes: a file, or its content.
        sess_options: the options; None: the defaults.
        providers: onnxruntime's names of devices in order, also with options as pairs: "CPUExecutionProvider", and
            "CoreMLExecutionProvider" for Metal. A warning names those that are not there. None: the CPU.
        provider_options: accepted, and not read.

    Raises:
        WeightsError: the file is missing or damaged, or violates the rules of ONNX.
        UnsupportedError: mpscnn lacks an operator, which a model of free extents may raise at its first run; an option
            is not supported; or the package onnx is missing.
    """

    def __init__(
        self,
        path_or_bytes: str | os.PathLike[str] | bytes,
        sess_options: SessionOptions | None = None,
        providers: Sequence[Any] | None = None,
        provider_options: Sequence[Mapping[str, Any]] | None = None,  # noqa: ARG002 - as onnxruntime's
        **_ignored: Any,
    ) -> None:
        options = SessionOptions() if sess_options is None else sess_options
        if not isinstance(options, SessionOptions):
            raise ParameterError(
                f"sess_options must be a SessionOptions of mpscnn.onnxruntime, got {type(options).__name__}"
            )
        options._check()
        self._options = options
        chosen = _chosen(providers)
        self._model = _read(path_or_bytes)
        graph = self._model.graph
        known = {tensor.name for tensor in graph.initializer}
        self._prepare(chosen)
        self._inputs = [NodeArg(info) for info in graph.input if info.name not in known]
        self._overridable = [NodeArg(info) for info in graph.input if info.name in known]
        self._outputs = [NodeArg(info) for info in graph.output]

    def _prepare(self, providers: list[str]) -> None:
        from mpscnn import onnx_backend

        threads = self._options.intra_op_num_threads
        options = {"threads": threads} if threads else {}
        self._prepared = onnx_backend.prepare(self._model, _DEVICES[providers[0]], **options)
        self._providers = providers

    def get_inputs(self) -> list[NodeArg]:
        """Return the inputs in the file's order."""
        return self._inputs

    def get_outputs(self) -> list[NodeArg]:
        """Return the outputs in the file's order."""
        return self._outputs

    def get_overridable_initializers(self) -> list[NodeArg]:
        """Return the inputs that have a value in the file. A run cannot replace them."""
        return self._overridable

    def get_modelmeta(self) -> ModelMetadata:
        """Return the texts of the file about itself."""
        return ModelMetadata(self._model)

    def get_providers(self) -> list[str]:
        """Return onnxruntime's name of the device in use."""
        return self._providers

    def set_providers(
        self,
        providers: Sequence[Any] | None = None,
        provider_options: Sequence[Mapping[str, Any]] | None = None,  # noqa: ARG002 - as onnxruntime's
    ) -> None:
        """Compile the model for another device. Arguments and warnings are those of the class."""
        self._prepare(_chosen(providers))

    def disable_fallback(self) -> None:
        """Change nothing: a run that fails is an error, and no other device repeats it."""

    def enable_fallback(self) -> None:
        """Change nothing, as `disable_fallback`."""

    def get_provider_options(self) -> dict[str, dict[str, str]]:
        """Return an empty dict for the device in use."""
        return {name: {} for name in self._providers}

    def get_session_options(self) -> SessionOptions:
        """Return the options."""
        return self._options

    @accept_foreign_arguments
    def run(
        self,
        output_names: Sequence[str] | None,
        input_feed: Mapping[str, NDArray[Any]],
        run_options: RunOptions | None = None,  # noqa: ARG002 - as onnxruntime's
    ) -> list[NDArray[Any]]:
        """Compute outputs.

        Args:
            output_names: the names of the outputs to return; None or []: all.
            input_feed: an array for each input by name, with the file's element type and order of axes, such as
                (n, channels, height, width). Nested lists become arrays of the file's element type.
            run_options: accepted, and not read.

        Raises:
            ParameterError: an unknown name, a missing input, or an array with another type or shape.
            UnsupportedError: an operator that mpscnn lacks; the message names all of them.
        """
        if not isinstance(input_feed, Mapping):
            raise ParameterError(
                f"run: the inputs must be a dict of arrays by name, got {type(input_feed).__name__}; the names are "
                f"{shown_names([one.name for one in self._inputs])}"
            )
        known = [output.name for output in self._outputs]
        wanted = list(output_names) if output_names else known
        for name in wanted:
            if name not in known:
                raise ParameterError(
                    f"run: there is no output {name!r}{did_you_mean(name, known)}; outputs are {shown_names(known)}"
                )
        found = dict(zip(known, self._prepared.run(input_feed), strict=True))
        return [found[name] for name in wanted]

    def io_binding(self) -> IOBinding:
        """Return a binding without inputs and outputs, for `run_with_iobinding`."""
        return IOBinding(
            [one.name for one in (*self._inputs, *self._overridable)], [one.name for one in self._outputs]
        )

    def run_with_iobinding(self, iobinding: IOBinding, run_options: RunOptions | None = None) -> None:
        """Compute the outputs of a binding from its inputs.

        Raises the errors of `run`. ParameterError: no output is bound, or a bound output has another shape or type.
        """
        iobinding.run(lambda names, feed: self.run(names, feed, run_options))

    def run_with_ort_values(
        self,
        output_names: Sequence[str] | None,
        input_dict_ort_values: Mapping[str, OrtValue],
        run_options: RunOptions | None = None,
    ) -> list[OrtValue]:
        """Compute outputs from values, as `run` does from arrays, with the same errors."""
        feed = {name: value.numpy() for name, value in input_dict_ort_values.items()}
        return [OrtValue(array) for array in self.run(output_names, feed, run_options)]

    def run_with_ortvaluevector(
        self,
        run_options: RunOptions | None,
        feed_names: Sequence[str],
        feeds: Sequence[OrtValue],
        fetch_names: Sequence[str],
        fetches: list[OrtValue],
        fetch_devices: Sequence[Any] = (),  # noqa: ARG002 - as onnxruntime's
    ) -> None:
        """Compute outputs from values, and append them to `fetches`. The errors are those of `run`."""
        named = dict(zip(feed_names, feeds, strict=True))
        fetches += self.run_with_ort_values(fetch_names, named, run_options)

    def run_async(
        self,
        output_names: Sequence[str] | None,
        input_feed: Mapping[str, NDArray[Any]],
        callback: Callable[[list[NDArray[Any]], Any, str], object],
        user_data: Any,
        run_options: RunOptions | None = None,
    ) -> None:
        """Compute outputs in another thread, and call `callback(results, user_data, error)` there.

        The last argument of the callback is the text of the error, or "". The results are then []. A run in progress
        ends before the process does. The inputs are copied, so their arrays may be written again at once.
        """
        inputs = input_feed
        if isinstance(input_feed, Mapping):
            inputs = {
                name: one.copy() if isinstance(one, np.ndarray) else one for name, one in input_feed.items()
            }

        def compute() -> None:
            try:
                results, error = self.run(output_names, inputs, run_options), ""
            except Error as failure:
                results, error = [], str(failure)
            callback(results, user_data, error)

        threading.Thread(target=compute, name="mpscnn run_async").start()

    def create_ortvalue_from_shape_and_type(
        self, shape: Sequence[int], element_type: Any, device_type: str = "cpu", device_id: int = 0
    ) -> OrtValue:
        """Return a value with new memory, as `OrtValue.ortvalue_from_shape_and_type`."""
        return OrtValue.ortvalue_from_shape_and_type(shape, element_type, device_type, device_id)

    def get_profiling_start_time_ns(self) -> int:
        """Return 0: a session has no profile, and `mpscnn.profile(model)` measures layers."""
        return 0

    def end_profiling(self) -> NoReturn:
        """Refuse profiles as files. Raises UnsupportedError."""
        raise UnsupportedError(f"InferenceSession: {_PROFILES}")

    def get_input_memory_infos(self) -> list[str]:
        """Return "cpu" for each input, whose memory is the CPU's."""
        return ["cpu"] * len(self._inputs)

    def get_output_memory_infos(self) -> list[str]:
        """Return "cpu" for each output, whose memory is the CPU's."""
        return ["cpu"] * len(self._outputs)

    def get_input_epdevices(self) -> list[str]:
        """Return the device in use for each input, by onnxruntime's name."""
        return [self._providers[0]] * len(self._inputs)

    def get_provider_graph_assignment_info(self) -> NoReturn:
        """Refuse a table of the devices of operators. Raises UnsupportedError."""
        raise UnsupportedError(
            f"InferenceSession: all operators run on {self._providers[0]}, so there is no table of their devices"
        )

    def get_tuning_results(self) -> list[Any]:
        """Return []: there is nothing to tune."""
        return []

    def set_tuning_results(self, results: Sequence[Any], *, error_on_invalid: bool = False) -> None:
        """Change nothing: there is nothing to tune."""

    def set_ep_dynamic_options(self, options: Mapping[str, str]) -> NoReturn:
        """Refuse options of onnxruntime's devices. Raises UnsupportedError."""
        raise UnsupportedError(
            f"InferenceSession: there are no options of devices, got {shown_names([*options])}; "
            "SessionOptions.intra_op_num_threads sets the threads"
        )

    def release_captured_graph(self, graph_annotation_id: int) -> None:
        """Change nothing: no graphs of CUDA are captured."""

    def __repr__(self) -> str:
        return f"<InferenceSession of {self._model.graph.name!r} on {self._providers[0]}>"


def get_available_providers() -> list[str]:
    """Return onnxruntime's names of the devices of this machine, the fastest first."""
    has_gpu = is_available("metal")
    return [name for name, device in _DEVICES.items() if device == "CPU" or has_gpu]


def get_all_providers() -> list[str]:
    """Return onnxruntime's names of all devices that mpscnn has on some machine, the fastest first."""
    return list(_DEVICES)


def set_default_logger_severity(severity: int) -> None:
    """Change nothing: mpscnn reports problems as errors and warnings, and not in a log."""


def set_default_logger_verbosity(verbosity: int) -> None:
    """Change nothing, as `set_default_logger_severity`."""


def get_device() -> str:
    """Return "CPU", onnxruntime's name of the default device."""
    return "CPU"


def _public(kind: type) -> list[str]:
    return [name for name in dir(kind) if not name.startswith("_")]


def _chosen(providers: Sequence[Any] | None) -> list[str]:
    """Return the first provider of the list that is available; the CPU if there is none."""
    if isinstance(providers, str):
        raise ParameterError(f"providers must be a list of names, got {providers!r}")
    names = [one if isinstance(one, str) else one[0] for one in providers or (_CPU,)]
    available = get_available_providers()
    if absent := [name for name in names if name not in available]:
        warn_caller(
            f"providers that are not available: {shown_names(absent)}; available are {', '.join(available)}",
        )
    return [next((name for name in names if name in available), _CPU)]


def _read(given: Any) -> onnx.ModelProto:
    """Return the model of a file or of its content."""
    load: Callable[[], Any]
    try:
        import onnx

        damaged = import_module("google.protobuf.message").DecodeError
    except ImportError as error:
        raise UnsupportedError(
            f"mpscnn.InferenceSession needs: {install_command('convert')} ({error})"
        ) from error
    if isinstance(given, (bytes, bytearray, memoryview)):
        what, load = "the model's bytes", lambda: onnx.load_model_from_string(bytes(given))
    elif isinstance(given, (str, os.PathLike)):
        what, load = os.fspath(given), lambda: onnx.load(os.fspath(given))
        with convert_read_errors(what, WeightsError):
            if is_folder(what):
                raise WeightsError(
                    f"{what}: is a directory, not an ONNX file; mpscnn.load reads other formats"
                )
            require_regular(what, WeightsError)
    else:
        raise ParameterError(f"expected the path or the bytes of an ONNX file, got {type(given).__name__}")
    try:
        with convert_read_errors(what, WeightsError):
            model: onnx.ModelProto = load()
    except (damaged, ValueError, RecursionError) as error:
        raise WeightsError(
            f"{what}: is not an ONNX file; mpscnn.load reads other formats ({error})"
        ) from error
    return model


explain_unknown_names(__name__)
