"""Measure the layers of a network with one call: `mpscnn.profile`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.other_arguments import accept_foreign_arguments, conversion_hint
from mpscnn.errors import ParameterError
from mpscnn.runtime.profile import Profile
from mpscnn.runtime.program import Program


@accept_foreign_arguments
def profile(model: Any, x: Any = None, *, runs: int = 20, **options: Any) -> Profile:
    """Measure every step of a network, as `Session.profile` does.

    Args:
        model: a `Network`, a `Model` or a `Program`.
        x: the inputs, as for `Session.run`; None: random numbers, for one image.
        runs: the number of measured runs, 1 to 100000.
        options: for a network, the options of `Network.compile`.

    Raises:
        ParameterError: the model has another type, or an option or the number of runs is wrong. The errors of
            `Network.compile` and of `Session.run`.
    """
    program = model if isinstance(model, Program) else getattr(model, "program", None)
    if program is None and hasattr(model, "compile"):
        program = model.compile(**options)
    elif options:
        raise ParameterError(
            f"profile: {next(iter(options))} is for a Network; a {type(model).__name__} is compiled already"
        )
    if not isinstance(program, Program):
        raise ParameterError(
            f"profile: expected a Network, Model or Program, got {type(model).__name__}{conversion_hint(model)}"
        )
    return program.session().profile(_random_inputs(program) if x is None else x, runs=runs)


def _random_inputs(program: Program) -> list[NDArray[np.float32]]:
    for name, shape in program.inputs.items():
        if None in shape[1:]:
            raise ParameterError(f"profile: input {name!r} has the free shape {shape}; give x")
    random = np.random.default_rng(0)
    return [
        random.random((1, *(extent or 1 for extent in shape[1:])), np.float32)
        for shape in program.inputs.values()
    ]
