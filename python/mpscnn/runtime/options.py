"""Define the options for compiling and running networks, which functions, classes and commands share.

Dataclasses would be shorter, but would add 2 ms to `import mpscnn`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

from mpscnn._private.arguments import byte_limit, require_bool, require_text, thread_count
from mpscnn._private.other_arguments import device_text, number_format, option_error
from mpscnn._private.other_names import Expected

if TYPE_CHECKING:
    from typing import Literal, TypedDict

    from typing_extensions import Self, Unpack

    from mpscnn._private.literals import AccumulateName, MetalKernelsName, PrecisionName, WeightsName

    class CompileArguments(TypedDict, total=False):
        """The fields of `CompileOptions` as keyword arguments, for type checkers."""

        device: str
        precision: PrecisionName
        weights: WeightsName
        accumulate_dtype: AccumulateName
        winograd: bool
        metal_kernels: MetalKernelsName
        neural_engine: bool
        max_memory: int | None

    class RunArguments(TypedDict, total=False):
        """The fields of `RunOptions` as keyword arguments, for type checkers."""

        threads: int | Literal["auto"]
        check_finite: bool

    class LoadArguments(CompileArguments, RunArguments, total=False):
        """The arguments of functions that compile a network and run it, for type checkers."""


Value = TypeVar("Value")


class Option:
    """The definition of an option.

    Args:
        default: the default value.
        check: a function of the name and a value. It returns the value or raises ParameterError.
        text: the documentation.
        core_default: the value that stands for the default in the core; None: the default itself.
    """

    def __init__(
        self, default: Any, check: Callable[[str, Any], Any], text: str, core_default: Any = None
    ) -> None:
        self.default = default
        self.check = check
        self.text = text
        self.core_default = default if core_default is None else core_default


def _option(
    default: Value, check: Callable[[str, Any], Any], text: str, core_default: object = None
) -> Value:
    return Option(default, check, text, core_default)  # type: ignore[return-value]


class _Options(Expected):
    """Base class of immutable sets of options. Class attributes are `Option`s, attributes of objects are values."""

    fields: dict[str, Option]

    def __init_subclass__(cls) -> None:
        cls.fields = {name: value for name, value in vars(cls).items() if isinstance(value, Option)}
        described = (f"    {name}: {option.text}" for name, option in cls.fields.items())
        cls.__doc__ = "\n".join([f"{cls.__doc__}\n\nArgs:", *described])

    def __init__(self, **given: Any) -> None:
        """Check the values. Raises ParameterError for a wrong value, and TypeError for an unknown option."""
        values = self.__dict__
        for name, option in self.fields.items():
            values[name] = option.check(name, given.pop(name)) if name in given else option.default
        if given:
            raise option_error(next(iter(given)), self.fields)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable; make another one by replaced({name}=...)")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.__dict__ == self.__dict__

    def __hash__(self) -> int:
        return hash(tuple(self.__dict__.values()))

    def __repr__(self) -> str:
        given = [
            f"{name}={value!r}" for name, value in self.__dict__.items() if value != self.fields[name].default
        ]
        return f"{type(self).__name__}({', '.join(given)})"

    def replaced(self, **changes: Any) -> Self:
        """Return a copy with some other values."""
        return type(self)(**{**self.__dict__, **changes})

    def to_dict(self) -> dict[str, Any]:
        """Return the values by name, for JSON."""
        return dict(self.__dict__)

    def for_core(self) -> dict[str, Any]:
        """Return the values by name, in the form for the core."""
        return {
            name: option.core_default if self.__dict__[name] == option.default else self.__dict__[name]
            for name, option in self.fields.items()
        }


def _number_format(what: str, value: object) -> str:
    return require_text(what, number_format(value))


def _device(_: str, value: object) -> str:
    return device_text(value)


def _bytes(_: str, value: int | None) -> int | None:
    return byte_limit(value) or None


def _threads(_: str, value: int | str) -> int | str:
    return thread_count(value) or "auto"


class CompileOptions(_Options):
    """Options for compiling a network: arguments of `Network.compile`, `load` and all other functions that compile."""

    device: str = _option(
        "auto",
        _device,
        'where to compute: "cpu", "metal" (the default GPU), or a GPU by name or registry id, such as '
        "'metal:Apple M2'; `mpscnn.devices` lists them. "
        '"coreml" lets Core ML run the network on a Mac, "coreml:cpuAndNeuralEngine" on these compute units. '
        '"auto" is the device that the environment variable MPSCNN_DEVICE names; without it a GPU that passed its '
        "self-check, can run every layer and ran the network faster than the CPU did; "
        "otherwise the CPU.",
    )
    precision: PrecisionName = _option(
        "auto",
        _number_format,
        'the number format of the computation. "auto" is float32, or with `within` the fastest precision; '
        '"bfloat16" runs on most processors (mpscnn.devices() lists it); "int8" runs a quantised model in integers, '
        "on the CPU.",
    )
    weights: WeightsName = _option(
        "auto",
        require_text,
        'the number format of the weights of convolutions and dense layers. "auto" is the same as the precision; '
        '"int8" stores 8-bit integers with a range for each output channel, if the precision is float32 or float16.',
    )
    accumulate_dtype: AccumulateName = _option(
        "auto",
        _number_format,
        'the number format in which convolutions and dense layers add their products. "auto" and "float32" mean '
        'float32. "float16" adds in half precision, as a phone\'s GPU may do; it requires precision float16.',
    )
    winograd: bool = _option(
        True,
        require_bool,
        "whether large 3x3 and 5x5 convolutions use Winograd's algorithm on the CPU. It is faster, but less exact next "
        "to very large values. Metal refuses to do without it, since Apple's library chooses the algorithm there.",
    )
    metal_kernels: MetalKernelsName = _option(
        "mps",
        require_text,
        'which kernels compute convolutions on Metal. "mps" takes those of Metal Performance Shaders where they have '
        'them, "own" mpscnn\'s own kernels on arrays for all with constant weights. "auto" takes what '
        "`mpscnn benchmark --device metal --metal-kernels auto` measured to be faster for the network on this GPU, and "
        'otherwise "mps". No effect on the CPU.',
    )
    neural_engine: bool = _option(
        False,
        require_bool,
        'whether device "auto" may also choose the neural engine, which computes in float16. It does so if Core ML ran '
        "the network faster there and its results are right. It needs precision float16. It has no effect on "
        'a device that is named: device="metal" always computes on the GPU.',
    )
    max_memory: int | None = _option(
        None,
        _bytes,
        "the limit in bytes for packed weights and one session's intermediate results together. By default it is "
        "the memory of the machine, or the limit of the process's container (its control group).",
        core_default=0,
    )

    if TYPE_CHECKING:

        def __init__(self, **options: Unpack[CompileArguments]) -> None: ...


class RunOptions(_Options):
    """Options for running a program: arguments of `Program.session`, `Runner`, `load` and others that run."""

    threads: int | Literal["auto"] = _option(
        "auto",
        _threads,
        'the number of CPU threads of each run, 1 to 1024. "auto" uses at most the number that this process may use '
        "(its CPU affinity and its container's quota), and fewer where that is faster.",
        core_default=0,
    )
    check_finite: bool = _option(
        False,
        require_bool,
        "whether to raise an error that names the first layer whose result has a NaN or an infinity.",
    )

    if TYPE_CHECKING:

        def __init__(self, **options: Unpack[RunArguments]) -> None: ...


#: The names of all options.
LOAD_FIELDS = (*CompileOptions.fields, *RunOptions.fields)


def load_options(arguments: LoadArguments) -> tuple[CompileOptions, RunOptions]:
    """Sort arguments into options for compiling and options for running. Raises the errors of their constructors."""
    given = dict(arguments)
    for_runs = {name: given.pop(name) for name in RunOptions.fields if name in given}
    for name in given:
        if name not in CompileOptions.fields:
            raise option_error(name, LOAD_FIELDS)
    return CompileOptions(**cast("CompileArguments", given)), RunOptions(**cast("RunArguments", for_runs))
