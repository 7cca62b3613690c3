"""The backend "mpscnn" of torch.compile: inference graphs run on mpscnn's engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mpscnn._private.given_warnings import warn_caller
from mpscnn.errors import ParameterError
from mpscnn.runtime.options import CompileOptions

__all__ = ["backend"]

#: The modes of `torch.compile`. They choose between ways of torch's own compiler, and change no results.
_MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")
_THREADS = ("threads", "num_threads", "n_jobs")
_GRADIENTS = (
    'torch.compile(backend="mpscnn") runs inference only, and this call needs gradients: torch computes it. '
    "Call the module under torch.inference_mode() or torch.no_grad()"
)


def backend(
    graph: Any,
    example_inputs: Sequence[Any],
    *,
    options: Mapping[str, Any] | None = None,
    mode: str | None = None,
) -> Callable[..., Any]:
    """Compile a graph of Dynamo: `torch.compile(module, backend="mpscnn")` calls this.

    Parts of the graph become networks with the module's weights. PyTorch runs operators that mpscnn does not support.
    It also runs calls that need gradients, which causes a warning once. The logger `mpscnn.torch_backend` reports at
    level INFO which parts of each graph became networks.

    Args:
        graph: Dynamo's graph.
        example_inputs: the arguments of the graph, including parameters.
        options: the options of `mpscnn.CompileOptions`. The default `device` is "cpu", where the tensors are, and the
            default `precision` is that of the module's layers.
        mode: one of torch's modes. They tune torch's own compiler and GPUs, so they have no effect here.

    Raises:
        ParameterError: an unknown option or mode.
    """
    if not isinstance(options, Mapping | None):
        raise ParameterError(f'torch.compile(backend="mpscnn"): options must be a dict, got {options!r}')
    if options and not options.keys().isdisjoint(_THREADS):
        raise ParameterError(
            'torch.compile(backend="mpscnn"): networks run on as many threads as torch.set_num_threads says'
        )
    try:
        chosen = CompileOptions(device="cpu").replaced(**(options or {}))
    except TypeError as error:
        raise ParameterError(f'torch.compile(backend="mpscnn"): {error}') from error
    if chosen.precision == "int8":
        raise ParameterError(
            'torch.compile(backend="mpscnn"): precision "int8" is for quantised networks, which modules do not become'
        )
    if mode is not None and mode not in _MODES:
        raise ParameterError(
            f'torch.compile(backend="mpscnn"): mode must be one of {", ".join(_MODES)}, got {mode!r}'
        )
    import torch

    if torch.is_grad_enabled() and any(getattr(value, "requires_grad", False) for value in example_inputs):
        warn_caller(_GRADIENTS)
        return graph.forward  # type: ignore[no-any-return]
    from mpscnn.torch_backend.compiled import CompiledGraph

    return CompiledGraph(graph, example_inputs, title="torch_graph", options=chosen)
