"""Trace modules of PyTorch by torch.export."""

from __future__ import annotations

import copy
import itertools
import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from mpscnn._private.given_warnings import warn_caller
from mpscnn.converters.reading.pytorch.calls import Call
from mpscnn.errors import ParameterError, UnsupportedError

_FIXES = "Suggested fixes:"  # a line of PyTorch's messages
_LOST = "is not tracked with proxy"
_ADDRESS = re.compile(r"(?: object)? at 0x[0-9a-f]+")
_ADVICE = ' For more information, run with TORCH_LOGS="+dynamic".'


def exported(module: Any, inputs: Sequence[Any], call: Call, title: str) -> Any:
    """Return the torch.export.ExportedProgram of a module.

    PyTorch's interpreter of bytecode (strict=True) traces some modules that a run of their code cannot trace.
    """
    import torch

    errors = []
    for strict in (False, True):
        try:
            with without_messages(), separate_operators(), torch.no_grad():
                return _traced(module, tuple(inputs), call.dynamic_shapes, strict=strict)
        except Exception as error:  # the module's code and PyTorch's compiler may raise any error
            errors.append(error)
    raise UnsupportedError(f"{title}: torch.export cannot trace it: {_reason(errors[0])}") from errors[0]


def _traced(module: Any, inputs: tuple[Any, ...], shapes: Any, *, strict: bool) -> Any:
    """Call torch.export. If it suggests other free extents, call it again with these; `require_free` reports them."""
    import torch

    with torch.fx.experimental._config.patch(backed_size_oblivious=True):  # an extent of 1 may be free, too
        try:
            return torch.export.export(module, inputs, dynamic_shapes=shapes, strict=strict)
        except torch._dynamo.exc.UserError as error:
            try:
                refined = torch.export.dynamic_shapes.refine_dynamic_shapes_from_suggested_fixes(
                    error.msg, shapes
                )
            except Exception:  # there are no suggestions, or they do not fit the shapes
                raise error from None
            return torch.export.export(module, inputs, dynamic_shapes=refined, strict=strict)


def without_writes(program: Any, title: str) -> Any:
    """Return an exported program whose operators write into no tensor.

    Raises UnsupportedError if PyTorch cannot replace them, such as those that write into a constant.
    """
    try:
        with without_messages():
            return program.run_decompositions({})
    except Exception as error:  # PyTorch's compiler may raise any error
        raise UnsupportedError(
            f"{title}: torch.export cannot replace operators that write into tensors: {_reason(error)}"
        ) from error


def example_tensors(given: Any) -> tuple[Any, ...]:
    """Return the example inputs as float32 tensors on the CPU."""
    import numpy as np
    import torch

    values: Sequence[Any] = given if isinstance(given, (tuple, list)) else (given,)
    tensors = []
    for number, value in enumerate(values):
        if isinstance(value, np.ndarray):
            value = torch.from_numpy(value)
        if not isinstance(value, torch.Tensor):
            raise ParameterError(
                f"from_torch: example input {number} must be a tensor or an array, got {type(value).__name__}"
                f"{'; torch.rand(shape) is an example' if isinstance(value, int) else ''}"
            )
        tensors.append(value.detach().cpu().float() if value.is_floating_point() else value.detach().cpu())
    return tuple(tensors)


def for_inference(module: Any, title: str) -> Any:
    """Return the module if it is in inference mode, on the CPU and in float32. Otherwise return a copy that is."""
    import torch

    training = any(part.training for part in module.modules())
    values = [*module.parameters(), *module.buffers()]
    elsewhere = any(
        value.device.type != "cpu" or (value.is_floating_point() and value.dtype != torch.float32)
        for value in values
    )
    if not training and not elsewhere:
        return module
    if training:
        warn_caller(f"{title} is in training mode; converted is a copy after eval()")
    try:
        copied = copy.deepcopy(module)
    except (RuntimeError, TypeError) as error:
        raise UnsupportedError(
            f"{title}: cannot be copied ({error}); call eval(), cpu() and float() before converting it"
        ) from error
    return copied.eval().cpu().float()


def _reason(error: BaseException) -> str:
    """Return the first line of the original error and its suggested fixes, without PyTorch's general advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines()]
    first = next(filter(None, lines), type(error).__name__).removesuffix(_ADVICE)
    if _LOST in first:  # the rest names objects by their addresses
        return "PyTorch's trace loses a number that the module computes from a size; torch.compile runs the module"
    first = _ADDRESS.sub("", first)[:300]
    if _FIXES not in lines:
        return first
    return " ".join([first, _FIXES, *itertools.takewhile(bool, lines[lines.index(_FIXES) + 1 :])])


@contextmanager
def without_messages() -> Iterator[None]:
    """Suppress log messages and warnings of PyTorch."""
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


@contextmanager
def separate_operators() -> Iterator[None]:
    """Let layers of transformers call the operators they are made of, instead of one fused operator of PyTorch."""
    import torch

    is_fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(is_fused)
