"""Compiled networks and the sessions that run them."""

from __future__ import annotations

import copyreg
import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy as np

from mpscnn import _core
from mpscnn._private.arguments import byte_limit, thread_count, whole_number, whole_numbers
from mpscnn._private.arrays import FLOAT32, as_input, check_output, is_plain, naming_remedy
from mpscnn._private.copies import NoCopies, reduce_graph
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn._private.other_names import Expected
from mpscnn.errors import ParameterError, UnsupportedError
from mpscnn.runtime.device_name import named_device
from mpscnn.runtime.options import CompileOptions, RunOptions
from mpscnn.runtime.request import Request

if TYPE_CHECKING:  # other modules are imported where they are used, so that running a network starts quickly
    from typing import Literal, TypedDict

    from numpy.typing import NDArray
    from typing_extensions import Unpack

    from mpscnn._private.literals import KernelsOfMetal, PrecisionName
    from mpscnn.runtime.commands import CommandBuffer
    from mpscnn.runtime.explanation import Explanation
    from mpscnn.runtime.feature_image import Image
    from mpscnn.runtime.options import RunArguments
    from mpscnn.runtime.profile import Profile

    Given = TypeVar("Given", NDArray[Any], Mapping[str, NDArray[Any]], Sequence[NDArray[Any]])
    Result = NDArray[Any] | dict[str, NDArray[Any]]
    _Source = tuple[_core.Graph, list[str], CompileOptions]

    class _Description(TypedDict):
        name: str
        device_name: str
        precision: PrecisionName
        reason: str
        weight_type: str
        accumulate_dtype: Literal["float32", "float16"]
        winograd: bool
        metal_kernels: KernelsOfMetal
        weight_bytes: int
        max_memory: int


# The smallest number of bytes for which a GPU-shared array is faster than a copy: mapping pages takes time, too.
_WORTH_PAGES = 1 << 16


def _shapes(given: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
    return [tuple(whole_numbers("the shape of an input", shape)) for shape in given]


class Program(Expected):
    """A network compiled for a device, with packed weights and chosen kernels. Made by `Network.compile`.

    It is immutable, and several threads may use it; each thread needs its own session.
    """

    def __init__(self, program: _core.Program, source: _Source) -> None:
        self._program = program
        self._source = source
        self._idle: deque[Session] = deque()  # a deque needs no lock
        self.device = program.device()
        """The device: "cpu", "metal" or "coreml"."""
        self.inputs = program.inputs()
        """The inputs' shapes by name; None is a free extent."""
        self.outputs = program.outputs()
        """The outputs' shapes by name; None is a free extent."""
        self._known_shapes: tuple[tuple[int, ...], list[tuple[int, ...]]] | None = None
        """The shapes of the last inputs and outputs.

        Frames of a stream have the same size, so this saves computing them.
        """
        if warning := program.warning():
            from mpscnn._private.given_warnings import warn_once

            warn_once(warning)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the network and the options. Unpickling compiles the network again."""
        return compile_graph, self._source

    def __copy__(self) -> Program:
        """Return the program itself, because it is immutable."""
        return self

    def __deepcopy__(self, _memo: Any) -> Program:
        """Return the program itself, because it is immutable."""
        return self

    def __repr__(self) -> str:
        return f"<Program {self.name!r} on {self.device} ({self.device_name}), {self.numbers}>"

    @property
    def name(self) -> str:
        """The network's name."""
        return self._description["name"]

    @property
    def device_name(self) -> str:
        """The name of the processor or GPU."""
        return self._description["device_name"]

    @property
    def precision(self) -> PrecisionName:
        """One of "float32", "float16", "bfloat16" and "int8"."""
        return self._description["precision"]

    @property
    def reason(self) -> str:
        """The reason for this device and precision."""
        return self._description["reason"]

    @property
    def weight_type(self) -> str:
        """The type in which weights of convolutions and dense layers are stored: the precision, or "int8"."""
        return self._description["weight_type"]

    @property
    def accumulate_dtype(self) -> Literal["float32", "float16"]:
        """The type in which convolutions and dense layers add their products."""
        return self._description["accumulate_dtype"]

    @property
    def winograd(self) -> bool:
        """True if convolutions may use Winograd's algorithm, which they do if it is faster."""
        return self._description["winograd"]

    @property
    def metal_kernels(self) -> KernelsOfMetal:
        """The kernels that compute convolutions on Metal: "mps" or "own". It means nothing on the CPU."""
        return self._description["metal_kernels"]

    @property
    def numbers(self) -> str:
        """The precision, and the types of weights and sums if they differ from it: "float16, sums in halves"."""
        kept = [] if self.weight_type == self.precision else [f"weights {self.weight_type}"]
        summed = ["sums in halves"] if self.accumulate_dtype == "float16" else []
        return ", ".join([self.precision, *kept, *summed])

    @property
    def weight_bytes(self) -> int:
        """The bytes of the packed weights."""
        return self._description["weight_bytes"]

    @property
    def max_memory(self) -> int:
        """The limit in bytes for packed weights and the intermediate results of one session together."""
        return self._description["max_memory"]

    @cached_property
    def _description(self) -> _Description:
        # This import takes 2 ms, which programs that only run a network should not pay.
        import json

        described: _Description = json.loads(self._program.describe())
        return described

    def session(
        self, *, inflight: int = 3, max_memory: int | None = None, **options: Unpack[RunArguments]
    ) -> Session:
        """Return a session, which runs this program for one caller at a time.

        Args:
            inflight: the largest number of unfinished requests of `Session.submit`, 1 to 32. On a GPU each has its own
                memory. The CPU always computes one at a time.
            max_memory: the limit in bytes for packed weights and this session's intermediate results; None: the
                program's `max_memory`. A run that needs more raises ShapeError.
            options: the fields of `RunOptions`, such as `threads`.
        """
        wanted = whole_number("inflight", inflight, maximum=32)
        return Session(self, RunOptions(**options), inflight=wanted, max_memory=byte_limit(max_memory))

    def run(self, x: Any, *more: Any, out: Any = None, **unknown: Any) -> Any:
        """Compute the outputs for `x` with a session that is kept for later calls. See `Session.run`."""
        if more or unknown:
            raise _several_arguments(unknown)
        try:
            session = self._idle.pop()
        except IndexError:
            session = self.session()
        try:
            return session.run(x, out=out)
        finally:
            self._idle.append(session)

    __call__ = run

    def output_shapes(self, *input_shapes: Sequence[int]) -> list[tuple[int, ...]]:
        """Return the shapes of the outputs for these input shapes, with the batch. Raises ShapeError."""
        shapes, _ = self._program.output_shapes(_shapes(input_shapes))
        return [tuple(shape) for shape in shapes]

    def arena_bytes(self, *input_shapes: Sequence[int]) -> int:
        """Return the bytes that a session needs for intermediate results with these input shapes."""
        _, arena = self._program.output_shapes(_shapes(input_shapes))
        return arena

    def explain(self, *input_shapes: Sequence[int], threads: int | str = "auto") -> Explanation:
        """Explain how a session computes each layer on the CPU, alone or fused with others.

        Args:
            input_shapes: the shapes of the inputs with the batch; without them one image of the network's own size.
            threads: the session's threads; "auto": all that this process may use.

        Raises UnsupportedError for a program on a GPU, with the reason for that device, and ShapeError if no shapes are
        given and the network accepts any size.
        """
        from mpscnn.runtime.explanation import explanation

        shapes = self._shapes_or_own(input_shapes)
        try:
            text = self._program.explain(shapes, thread_count(threads))
        except UnsupportedError as error:
            raise UnsupportedError(f"{error}. It runs on {self.device_name}: {self.reason}") from error
        return explanation(self.name, self.numbers, self.reason, text)

    def fingerprint(self, *input_shapes: Sequence[int], threads: int | str = "auto") -> str:
        """Return a hash of the results for fixed inputs, 16 hexadecimal digits.

        Programs with the same fingerprint compute the same bits. Compare it between machines, or with a recorded one.
        docs/precision.md lists the processors for which it is the same. The inputs are noise in [-1, 1]. The hash
        (FNV-1a) covers each output's extents and the bits of its float32 numbers; all NaNs count as equal.

        Args:
            input_shapes: the shapes of the inputs with the batch; without them one image of the network's own size.
            threads: the threads for the run, which do not affect the hash. "auto": all that this process may use.

        Raises ShapeError if no shapes are given and the network accepts any size.
        """
        shapes = self._shapes_or_own(input_shapes)
        return f"{self._program.fingerprint(shapes, thread_count(threads)):016x}"

    def _shapes_or_own(self, given: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
        from mpscnn.runtime.explanation import fixed_shape

        return _shapes(given) or [fixed_shape(name, shape) for name, shape in self.inputs.items()]

    def _arrays(self, x: Any, out: Any) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
        known = self._known_shapes
        if out is None and known is not None and is_plain(x) and x.shape == known[0]:
            return [x], [self._new_output(shape, FLOAT32) for shape in known[1]]
        given = self._by_name("input", self.inputs, x)
        inputs = [as_input(name, value, self.inputs[name]) for name, value in given]
        if out is not None:
            named = self._by_name("output", self.outputs, out)
            return inputs, [check_output(name, value) for name, value in named]
        dtype = np.float16 if all(array.dtype == np.float16 for array in inputs) else np.float32
        with naming_remedy([*self.inputs.values()], inputs, x):
            shapes, _ = self._program.output_shapes([array.shape for array in inputs])
        if len(inputs) == 1:
            self._known_shapes = (inputs[0].shape, shapes)
        return inputs, [self._new_output(shape, np.dtype(dtype)) for shape in shapes]

    def _new_output(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Allocate an output. For a GPU, a large one gets its own pages, which the GPU can write directly."""
        if self.device == "metal" and dtype.itemsize * math.prod(shape) >= _WORTH_PAGES:
            return _core.pages(shape, dtype)
        return np.empty(shape, dtype)

    def _result(self, outputs: list[NDArray[Any]], out: Any) -> Result:
        if out is not None:
            return out  # type: ignore[no-any-return]
        names = self.outputs
        return outputs[0] if len(outputs) == 1 else dict(zip(names, outputs, strict=True))

    def _by_name(self, role: str, names: Mapping[str, Any], given: Any) -> Iterable[tuple[str, Any]]:
        count = len(names)
        values: Sequence[Any]
        if count == 1 and isinstance(given, np.ndarray):
            values = (given,)
        elif (
            isinstance(given, (list, tuple))
            and len(given) == count
            and (count > 1 or hasattr(given[0], "shape"))
        ):
            values = given
        elif isinstance(given, Mapping):
            if set(given) != set(names):
                raise ParameterError(f"{role}s: expected {list(names)}, got {sorted(map(str, given))}")
            values = [given[name] for name in names]
        elif count == 1:
            values = (given,)
        else:
            raise ParameterError(
                f"{role}s: expected {count} arrays ({', '.join(names)}), got {type(given).__name__}"
            )
        return zip(names, values, strict=True)


class Session(NoCopies, Expected):
    """Runs a program for one caller at a time. A second caller at the same time gets a StateError.

    The interpreter lock is released during the computation, so sessions in several threads run in parallel.
    """

    _instead = "it has threads and memory of its own; copy its program, and make another session of that"

    def __init__(self, program: Program, options: RunOptions, *, inflight: int, max_memory: int) -> None:
        self.program = program
        self._session = _core.Session(
            program._program, **options.for_core(), inflight=inflight, max_memory=max_memory
        )
        # Unfinished requests, whose arrays must stay alive even if nobody holds the request any more.
        self._under_way: list[Request] = []

    def __repr__(self) -> str:
        return f"<Session of {self.program!r}>"

    @overload
    def run(self, x: Any, *, out: None = None) -> NDArray[Any] | Any: ...
    @overload
    def run(self, x: Any, *, out: Given) -> Given: ...
    def run(self, x: Any, *more: Any, out: Any = None, **unknown: Any) -> Any:
        """Compute the outputs for `x`.

        float32 and float16 arrays with any strides are read in place. float64 arrays are converted to float32;
        byte-swapped and unaligned arrays, and those that repeat one number (`numpy.broadcast_to`), are copied. Objects
        with the buffer protocol or DLPack are accepted. Integers of 32 and 64 bits, such as positions for an embedding,
        and truth values become float32, except for images. Other element types are refused; for photos use
        `Model.predict` or `mpscnn.preprocess`. Signals such as Ctrl-C are handled after the run.

        Args:
            x: (n, height, width, channels) or (n, features); for several inputs a mapping by name, or a sequence.
            out: writable float32 or float16 array(s) for the outputs, with any strides. They are written in place, and
                nothing is allocated if shapes repeat. They must not overlap `x`.

        Returns:
            The output, or a dict by layer name if there are several; `out` itself if given. Without `out`, the outputs
            are float16 if all inputs are float16, otherwise float32.

        Raises:
            ShapeError: a shape or element type does not fit.
            ParameterError: `out` is read-only or overlaps `x`.
            StateError: the session is running in another thread.
        """
        if more or unknown:
            raise _several_arguments(unknown)
        sources, results = self.program.inputs, self.program.outputs
        if out is not None and self._session.run_plain(x, len(sources), out, len(results)):
            return out
        inputs, outputs = self.program._arrays(x, out)
        self._session.run(inputs, outputs)
        return self.program._result(outputs, out)

    __call__ = run

    def submit(self, x: Any, *, out: Any = None) -> Request:
        """Start `run`, and return while the device computes, so that the next input can be prepared in the meantime.

        If `inflight` requests are unfinished, it first waits for one of them. The CPU engine has finished when this
        returns, because all its threads work for one request.

        Args:
            x, out: as for `run`. Do not write `x` or read `out` before the request is done.

        Raises:
            Error: the errors of `run`. `Request.result` raises failures of the device.
        """
        inputs, outputs = self.program._arrays(x, out)
        self._under_way = [request for request in self._under_way if not request.done()]
        request = Request(
            self._session.submit(inputs, outputs), inputs, outputs, self.program._result(outputs, out)
        )
        self._under_way.append(request)
        return request

    def profile(self, x: Any, *, runs: int = 20) -> Profile:
        """Measure every step: its kernel, time, GFLOP/s, share of the processor's peak, and bytes.

        The network runs once without measuring, then `runs` times. The first profile of a process also measures the
        peak, which takes some hundredths of a second. Other runs are not slowed down.

        Args:
            x: as for `run`. The results are discarded.
            runs: the number of measured runs, 1 to 100000.

        Raises:
            Error: the errors of `run`. ParameterError: `runs` is out of its range.
        """
        count = whole_number("runs", runs, maximum=100_000)
        from mpscnn.runtime.profile import Profile

        inputs, outputs = self.program._arrays(x, None)
        description, trace = self._session.profile(inputs, outputs, count)
        return Profile.parsed(description, trace)

    @accept_foreign_arguments
    def encode(
        self, commands: CommandBuffer, images: Image | Sequence[Image] | Mapping[str, Image]
    ) -> Image | dict[str, Image]:
        """Append the whole network to a command buffer, between raw kernels.

        Args:
            commands: the command buffer. When it runs, it uses this session; until then the session is free.
            images: an image for each input, (height, width, channels); (features,) is an image of one pixel.

        Returns:
            The image that will hold the output, or a mapping from names to images if there are several.

        Raises:
            ShapeError: an image does not fit.
            StateError: see `UnaryKernel.encode`. Waiting for the command buffer also raises it if another caller used
                the session in the meantime.
        """
        from mpscnn.runtime.feature_image import Image

        if len(self.program.inputs) == 1 and isinstance(images, (list, tuple)) and len(images) == 1:
            (images,) = images
        given = [image for _, image in self.program._by_name("input", self.program.inputs, images)]
        shapes = []
        for image, ported in zip(given, self.program.inputs.values(), strict=True):
            if not isinstance(image, Image):
                raise ParameterError(f"Session.encode: expected an Image, got {type(image).__name__}")
            size = image.descriptor
            rows = (size.height, size.width) if len(ported) == 4 else ()
            shapes.append((size.number_of_images, *rows, size.feature_channels))
        results = []
        for shape in self.program._program.output_shapes(shapes)[0]:
            height, width = shape[1:3] if len(shape) == 4 else (1, 1)
            results.append(Image(width, height, shape[-1], shape[0]))
        sources, destinations = [image._image for image in given], [image._image for image in results]
        commands._commands.encode_session(self._session, sources, destinations)
        outputs = self.program.outputs
        return results[0] if len(results) == 1 else dict(zip(outputs, results, strict=True))


def compile_graph(graph: _core.Graph, outputs: Sequence[str], options: CompileOptions) -> Program:
    """Compile a graph, and warn of a precision that is slower than float32. See `Network.compile`."""
    program = _compiled_graph(graph, outputs, options)
    if options.precision in ("bfloat16", "float16"):
        from mpscnn.runtime.slow_precision import tell_slow_precision

        tell_slow_precision(graph, options.precision, program.device)
    return program


def _compiled_graph(graph: _core.Graph, outputs: Sequence[str], options: CompileOptions) -> Program:
    # The copy shares the weights' memory. The network itself may change later.
    source = graph.copy(), list(outputs), options
    if options.metal_kernels != "auto":
        return Program(_compiled(source, options.metal_kernels), source)
    from mpscnn.runtime.metal_choice import faster_kernels

    faster = faster_kernels(*source)
    if "own" in faster.values():
        program = Program(_compiled(source, "own"), source)
        # The options may mean another GPU than the one that was measured.
        if program.device == "cpu" or faster.get(program.device_name) == "own":
            return program
    return Program(_compiled(source, "mps"), source)


def _compiled(source: _Source, kernels: KernelsOfMetal) -> _core.Program:
    graph, outputs, options = source
    with named_device(options.device) as device:
        chosen = {**options.for_core(), "device": device, "metal_kernels": kernels}
        return _core.Program.compile(graph, outputs, **chosen)


copyreg.pickle(_core.Graph, reduce_graph)


def _several_arguments(unknown: Mapping[str, Any]) -> TypeError:
    there_is = f"there is no argument {next(iter(unknown))!r}: " if unknown else ""
    return TypeError(
        f"run(): {there_is}it takes one input, or several as a mapping or sequence; by name out=. "
        "mpscnn.InferenceSession(path) has onnxruntime's run(None, {name: array})"
    )


def named_results(session: Session, inputs: Any) -> dict[str, NDArray[Any]]:
    """Run a session, and return its results by name, also a single one."""
    results = session.run(inputs)
    return results if isinstance(results, dict) else {next(iter(session.program.outputs)): results}
