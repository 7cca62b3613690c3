"""Check functions of users by their signatures when they are given, and not when they are called."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence

from mpscnn.errors import ParameterError

_POSITIONAL = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.VAR_POSITIONAL,
)


def require_arguments(what: str, function: object, arguments: Sequence[str]) -> None:
    """Raise ParameterError if the function cannot be called with these positional arguments.

    `what` names the function in messages. Functions of C without a signature are accepted.
    """
    if not callable(function):
        raise ParameterError(f"{what} must be callable, got {type(function).__name__}")
    signature = _signature(function)
    if signature is not None and not _takes(signature, len(arguments)):
        raise ParameterError(
            f"{what} must be a function that takes ({', '.join(arguments)}), got {_shown(function, signature)}"
        )


def takes_output(what: str, function: object, inputs: int) -> bool:
    """Return whether a function takes an array for its result after its inputs. False: it takes only the inputs.

    A further argument with a default is for the result only if it is called `out`. A ufunc of NumPy takes it.

    Raises ParameterError if the function can be called neither way, or is written in C and has no signature.
    """
    if not callable(function):
        raise ParameterError(f"{what} must be callable, got {function!r}")
    if any(base.__module__ == "torch.nn.modules.module" for base in type(function).__mro__):
        raise ParameterError(
            f"{what} gets NumPy arrays, which a PyTorch module does not take: lambda x: "
            "module(torch.from_numpy(x)).numpy(force=True); mpscnn.from_torch(module, example) converts a module"
        )
    signature = _signature(function)
    operands = getattr(function, "nin", inputs)  # a ufunc of NumPy would read `out` as a further operand
    names = ", ".join(["x"] if inputs == 1 else [f"x{number}" for number in range(1, inputs + 1)])
    says_nothing = signature is None and not hasattr(
        getattr(function, "func", function), "nin"
    )  # partial has `func`
    if says_nothing or (signature is not None and _takes_any(signature)):
        name = getattr(function, "__name__", "")
        called = f"{name if name.isidentifier() else 'function'}({names})"
        raise ParameterError(
            f"{what}: {function!r} does not say what it takes; give lambda {names}: {called}"
        )
    if signature is None and operands == inputs:
        return True
    if signature is not None and operands == inputs and _takes(signature, inputs + 1):
        further = [one for one in signature.parameters.values() if one.kind in _POSITIONAL][inputs:]
        return not further or further[0].default is inspect.Parameter.empty or further[0].name == "out"
    if signature is not None and operands == inputs and _takes(signature, inputs):
        return False
    raise ParameterError(
        f"{what} must take ({names}) and return the result, or take ({names}, out) and write it to out, "
        f"got {_shown(function, signature)}"
    )


def _signature(function: Callable[..., object]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


def _takes(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def _takes_any(signature: inspect.Signature) -> bool:
    """Return True if the only positional arguments are *arguments, as those of PyTorch's modules."""
    kinds = {one.kind for one in signature.parameters.values() if one.kind in _POSITIONAL}
    return kinds == {inspect.Parameter.VAR_POSITIONAL}


def _shown(function: object, signature: inspect.Signature | None) -> str:
    if signature is None:
        return f"{function!r}, which takes {getattr(function, 'nin', 0)}"
    return f"{getattr(function, '__name__', type(function).__name__)}{signature}"
