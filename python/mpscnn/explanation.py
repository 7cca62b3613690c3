"""What the CPU engine does with each layer, and why: `Program.explain`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from mpscnn.errors import ShapeError
from mpscnn.summary import bytes_text, text_table

__all__ = ["Alternative", "ExplainedStep", "Explanation"]


@dataclass(frozen=True)
class Alternative:
    """A way to compute some layers that was not chosen.

    Args:
        layers: their names; more than the step's where the way takes neighbours in.
        choice: "alone", "each alone", "in bands of 4 rows", "in panels of 64 channels", ...
        predicted_us: microseconds that the cost model expects.
    """

    layers: tuple[str, ...]
    choice: str
    predicted_us: float


@dataclass(frozen=True)
class ExplainedStep:
    """One kernel call.

    Args:
        layers: names of the layers that it computes; none for a copy of an output.
        kernel: what computes it, "convolution", "depthwise", "chain", ...
        choice: how, as for `Alternative`.
        predicted_us: microseconds that the cost model expects; None where it chose nothing, as of layers that have no
            other way and of chains that MPSCNN_FUSION forces though they do not fit the caches.
        reason: for people.
        alternatives: other ways that were thought of.
    """

    layers: tuple[str, ...]
    kernel: str
    choice: str
    predicted_us: float | None
    reason: str
    alternatives: tuple[Alternative, ...]


@dataclass(frozen=True, repr=False)
class Explanation:
    """The steps of a session's run, in order. Printing it shows a table.

    Args:
        name: the network's.
        threads: for which the choice was made.
        instruction_set: of the kernels.
        near_bytes, far_bytes: of a core's own and of the last cache that the choice counts on.
        arena_bytes: of intermediate results in memory.
        steps: the kernel calls.
    """

    name: str
    threads: int
    instruction_set: str
    near_bytes: int
    far_bytes: int
    arena_bytes: int
    steps: tuple[ExplainedStep, ...]

    def __repr__(self) -> str:
        headers = ("layers", "kernel", "choice", "predicted us", "why")
        rows = [
            (
                " + ".join(step.layers) or "(output)",
                step.kernel,
                step.choice,
                "" if step.predicted_us is None else f"{step.predicted_us:.1f}",
                step.reason,
            )
            for step in self.steps
        ]
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return (
            f"{self.name}, {threads}, {self.instruction_set}; {bytes_text(self.arena_bytes)} of intermediate results\n"
            + text_table(headers, rows, right=(3,))
        )


def fixed_shape(name: str, shape: Sequence[int | None]) -> tuple[int, ...]:
    """One image for an input whose size the network fixes."""
    fixed = [1, *shape[1:]]
    if None in fixed:
        raise ShapeError(f"input {name!r} may have any size: give its shape, batch included")
    return tuple(extent for extent in fixed if extent is not None)


def explanation(name: str, text: str) -> Explanation:
    """From the JSON of mpscnn_program_explain."""
    described = json.loads(text)
    steps = tuple(
        ExplainedStep(
            tuple(step["layers"]),
            step["kernel"],
            step["choice"],
            step["predicted_us"],
            step["reason"],
            tuple(
                Alternative(tuple(other["layers"]), other["choice"], other["predicted_us"])
                for other in step["alternatives"]
            ),
        )
        for step in described["steps"]
    )
    return Explanation(
        name=name,
        threads=described["threads"],
        instruction_set=described["instruction_set"],
        near_bytes=described["near_bytes"],
        far_bytes=described["far_bytes"],
        arena_bytes=described["arena_bytes"],
        steps=steps,
    )
