"""Run one network file on mpscnn and on other engines, through adapters with the same methods.

Only worker.py imports this file: by its path, in a process that runs a single engine. Each engine gets its best
conditions: images in the layout of its kernels, its fastest settings, and preallocated results.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypedDict

import numpy as np
from numpy.typing import NDArray

Arrays = list[NDArray[Any]]


class Setup(TypedDict):
    """The settings of an engine, as JSON has them. See `EngineSetup`."""

    path: str
    input: str
    threads: int
    options: dict[str, Any]


class Engine(Protocol):
    """A network loaded into an engine, with its input."""

    @property
    def note(self) -> str:
        """The device and the number format, for the table of results."""

    def run(self) -> None:
        """Run the network once. This is what is timed."""

    def outputs(self) -> Arrays:
        """Return the outputs of the last run, images as (n, height, width, channels)."""


class Mpscnn:
    """mpscnn, on a model file."""

    def __init__(self, setup: Setup, x: NDArray[np.float32]) -> None:
        import mpscnn

        path = Path(setup["path"])
        program = mpscnn.load(path, **setup["options"]).program
        self._program = program
        self._session = program.session(threads=setup["threads"])
        self._input = x
        self._outputs = {
            name: np.empty(shape, np.float32)
            for name, shape in zip(program.outputs, program.output_shapes(x.shape), strict=True)
        }

    @property
    def note(self) -> str:
        """The device and the number format, for the table of results."""
        return f"{self._program.device_name}, {self._program.numbers}"

    def run(self) -> None:
        """Run the network once."""
        out = self._outputs if len(self._outputs) > 1 else next(iter(self._outputs.values()))
        self._session.run(self._input, out=out)

    def outputs(self) -> Arrays:
        """Return the outputs of the last run, images as (n, height, width, channels)."""
        return list(self._outputs.values())


class OnnxRuntime:
    """onnxruntime on an exported graph, with images in its native layout NCHW."""

    def __init__(self, setup: Setup, x: NDArray[np.float32]) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # Without this setting, sums of integers saturate on processors without VNNI, which gives wrong results.
        options.add_session_config_entry("session.x64quantprecision", "1")
        options.intra_op_num_threads = setup["threads"]
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            setup["path"], options, providers=["CPUExecutionProvider"]
        )
        self.note = f"CPU, {_numbers(setup)}"
        self._binding = self._session.io_binding()
        name = self._session.get_inputs()[0].name
        self._binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(planes(x)))
        for port in self._session.get_outputs():
            self._binding.bind_output(port.name)

    def run(self) -> None:
        """Run the network once."""
        self._session.run_with_iobinding(self._binding)

    def outputs(self) -> Arrays:
        """Return the outputs of the last run, images as (n, height, width, channels)."""
        return [pixels(array) for array in self._binding.copy_outputs_to_cpu()]


class LiteRt:
    """LiteRT (TensorFlow Lite) with XNNPACK. Quantised files run in integers."""

    def __init__(self, setup: Setup, x: NDArray[np.float32]) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(model_path=setup["path"], num_threads=setup["threads"])
        (source,) = self._interpreter.get_input_details()
        self._interpreter.resize_tensor_input(source["index"], x.shape)
        self._interpreter.allocate_tensors()
        self._results = self._interpreter.get_output_details()
        self.note = f"CPU, {np.dtype(source['dtype']).name}"
        self._interpreter.set_tensor(source["index"], quantize(x, source))

    def run(self) -> None:
        """Run the network once."""
        self._interpreter.invoke()

    def outputs(self) -> Arrays:
        """Return the outputs of the last run, images as (n, height, width, channels)."""
        return [dequantize(self._interpreter.get_tensor(entry["index"]), entry) for entry in self._results]


class OpenVino:
    """OpenVINO on the ONNX file written for onnxruntime, with its settings for low latency."""

    def __init__(self, setup: Setup, x: NDArray[np.float32]) -> None:
        import openvino

        self._input = planes(x)
        core = openvino.Core()
        model = core.read_model(setup["path"])
        model.reshape(self._input.shape)
        settings = {
            "INFERENCE_NUM_THREADS": setup["threads"],
            "INFERENCE_PRECISION_HINT": "bf16" if setup["options"]["precision"] == "bfloat16" else "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,  # without pinning it is as fast on an idle machine and faster on a busy one
        }
        self._request = core.compile_model(model, "CPU", settings).create_infer_request()
        self._request.set_input_tensor(openvino.Tensor(self._input, shared_memory=True))
        self.note = f"CPU, {'int8' if _numbers(setup) == 'int8' else settings['INFERENCE_PRECISION_HINT']}"

    def run(self) -> None:
        """Run the network once."""
        self._request.infer()

    def outputs(self) -> Arrays:
        """Return the outputs of the last run, images as (n, height, width, channels)."""
        return [pixels(np.array(tensor.data)) for tensor in self._request.output_tensors]


class Ncnn:
    """ncnn. It has no batches, so the images run one by one."""

    def __init__(self, setup: Setup, x: NDArray[np.float32]) -> None:
        import ncnn

        half = setup["options"]["precision"] == "bfloat16"
        self._net = ncnn.Net()
        options = self._net.opt
        options.num_threads = setup["threads"]
        options.use_fp16_packed = options.use_fp16_storage = options.use_fp16_arithmetic = False
        options.use_bf16_packed = options.use_bf16_storage = half
        param = Path(setup["path"])
        self._net.load_param(str(param))
        self._net.load_model(str(param.with_suffix(".bin")))
        self._images = [ncnn.Mat(image).clone() for image in planes(x)]
        self._names = self._net.output_names()
        self._results: list[list[Any]] = []
        self.note = f"CPU, {'bf16' if half else 'float32'}"

    def run(self) -> None:
        """Run the network once."""
        self._results = [self._one(image) for image in self._images]

    def _one(self, image: Any) -> list[Any]:
        extractor = self._net.create_extractor()
        extractor.input("in0", image)
        return [extractor.extract(name)[1] for name in self._names]

    def outputs(self) -> Arrays:
        """Return the outputs of the last run, images as (n, height, width, channels)."""
        return [
            pixels(np.stack([np.array(result) for result in port]))
            for port in zip(*self._results, strict=True)
        ]


class Mnn:
    """MNN on the ONNX file written for onnxruntime, converted to MNN's format."""

    def __init__(self, setup: Setup, x: NDArray[np.float32]) -> None:
        import MNN

        half = setup["options"]["precision"] == "bfloat16"
        self._interpreter = MNN.Interpreter(setup["path"])
        settings = {
            "backend": "CPU",
            "precision": "low_bf" if half else "high",
            "numThread": setup["threads"],
        }
        self._session = self._interpreter.createSession(settings)
        self._planes = planes(x)
        shape = self._planes.shape
        self._interpreter.resizeTensor(self._interpreter.getSessionInput(self._session), shape)
        self._interpreter.resizeSession(self._session)
        # Get the input again, because resizing moves it to other memory.
        self._source = self._interpreter.getSessionInput(self._session)
        kind = MNN.Tensor_DimensionType_Caffe
        self._input = MNN.Tensor(shape, MNN.Halide_Type_Float, self._planes, kind)
        self._mnn = MNN
        self.note = f"CPU, {'bf16' if half else _numbers(setup)}"

    def run(self) -> None:
        """Run the network once."""
        # Copy the input before every run, because a run overwrites the input's memory with other tensors.
        self._source.copyFrom(self._input)
        self._interpreter.runSession(self._session)

    def outputs(self) -> Arrays:
        """Return the outputs of the last run, images as (n, height, width, channels)."""
        tensors = self._interpreter.getSessionOutputAll(self._session)
        return [pixels(self._array(tensors[name])) for name in sorted(tensors)]

    def _array(self, tensor: Any) -> NDArray[np.float32]:
        result = np.empty(tensor.getShape(), np.float32)
        kind = self._mnn.Tensor_DimensionType_Caffe
        host = self._mnn.Tensor(result.shape, self._mnn.Halide_Type_Float, result, kind)
        tensor.copyToHostTensor(host)
        values: NDArray[np.float32] = np.array(host.getNumpyData(), np.float32)
        shaped: NDArray[np.float32] = values.reshape(result.shape)
        return shaped


def planes(x: NDArray[Any]) -> NDArray[Any]:
    """Convert images to planes, (n, channels, height, width). Other arrays stay unchanged."""
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if x.ndim == 4 else x


def pixels(array: NDArray[Any]) -> NDArray[Any]:
    """Convert planes to images, (n, height, width, channels). Other arrays stay unchanged."""
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 else array


def _numbers(setup: Setup) -> str:
    """Return the number format of a graph: "int8" if that precision is set, otherwise "float32"."""
    return "int8" if setup["options"]["precision"] == "int8" else "float32"


def quantize(x: NDArray[np.float32], tensor: dict[str, Any]) -> NDArray[Any]:
    """Quantise numbers to the type, scale and zero point of a LiteRT tensor."""
    dtype = np.dtype(tensor["dtype"])
    if dtype.kind == "f":
        return x
    scale, zero_point = tensor["quantization"]
    limits = np.iinfo(dtype)
    quantized: NDArray[Any] = np.clip(np.rint(x / scale) + zero_point, limits.min, limits.max).astype(dtype)
    return quantized


def dequantize(values: NDArray[Any], tensor: dict[str, Any]) -> NDArray[Any]:
    """Convert the values of a LiteRT tensor to floats by its scale and zero point."""
    if values.dtype.kind == "f":
        return values
    scale, zero_point = tensor["quantization"]
    floats: NDArray[Any] = (values.astype(np.float32) - zero_point) * np.float32(scale)
    return floats


ENGINES: dict[str, Callable[[Setup, NDArray[np.float32]], Engine]] = {
    "mpscnn": Mpscnn,
    "onnxruntime": OnnxRuntime,
    "litert": LiteRt,
    "openvino": OpenVino,
    "ncnn": Ncnn,
    "mnn": Mnn,
}
