"""The result of `Program.explain`: how the CPU engine computes each layer, and why."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mpscnn._private.summary import bytes_text, prose, text_table
from mpscnn.errors import ShapeError


@dataclass(frozen=True)
class Alternative:
    """Another way to compute some layers, which the cost model did not choose.

    Args:
        layers: the layers' names. They may include neighbours of the step's layers.
        choice: the way to compute: "alone", "each alone", "in bands of 4 rows", "in panels of 64 channels", ...
        predicted_us: the predicted time in microseconds.
    """

    layers: tuple[str, ...]
    choice: str
    predicted_us: float


@dataclass(frozen=True)
class ExplainedStep:
    """One kernel call, and why it was chosen.

    Args:
        layers: the names of the layers that it computes; none for a copy of an output.
        kernel: the kind of kernel: "convolution", "depthwise", "chain", ...
        choice: the way to compute, as for `Alternative`.
        predicted_us: the predicted time in microseconds. The cost model assumes a typical processor, so compare these
            times only with each other. None if there is no prediction: for operations other than convolutions, dense
            layers, poolings, resizes, arithmetic, softmax and copies, and for chains that MPSCNN_FUSION forces although
            they do not fit into the caches.
        reason: a sentence for people; its wording may change.
        alternatives: other ways that were compared.
    """

    layers: tuple[str, ...]
    kernel: str
    choice: str
    predicted_us: float | None
    reason: str
    alternatives: tuple[Alternative, ...]


@dataclass(frozen=True)
class ExplainedTensor:
    """An input, or a layer's result that is written to memory. All are NHWC.

    Args:
        name: the input's or the layer's name.
        shape: the shape with the batch.
        memory: "input" and "output" are the caller's arrays (or the arena, if kernels cannot use these in place);
            "arena" is the session's memory for intermediate results; a tensor of a "chain" is never complete: each
            thread has some of its rows in scratch memory.
        pixel_pitch: the distance between pixels in the arena in elements. It exceeds the number of channels if pixels
            are padded to whole vectors, or if the tensor is a part of a wider one. None outside of the arena.
        within: the tensor of which it is a part, or whose memory it shares; None if it has its own memory.
        rows: the number of rows that a chain keeps; None outside of chains, and if a pooling determines it.
        panel_channels: the approximate number of channels that a chain keeps at a time; None for all.
    """

    name: str
    shape: tuple[int, ...]
    memory: Literal["input", "output", "arena", "chain"]
    pixel_pitch: int | None
    within: str | None
    rows: int | None
    panel_channels: int | None

    @property
    def layout(self) -> str:
        """The layout as text, in elements: "32 a pixel, 8 padding", "4 of 56 rows, panels of 64 channels", ..."""
        if self.memory == "chain":
            return self._kept_text()
        if self.pixel_pitch is None:
            return "as the array's strides say"
        unused = self.pixel_pitch - self.shape[-1]
        return f"{self.pixel_pitch} a pixel" + (
            f", {unused} padding" if unused and self.within is None else ""
        )

    def _kept_text(self) -> str:
        if self.rows is None:
            return "some rows, until they are pooled"
        height = self.shape[1]
        rows = "all rows" if self.rows == height else f"{self.rows} of {height} rows"
        return rows if self.panel_channels is None else f"{rows}, panels of {self.panel_channels} channels"


@dataclass(frozen=True, repr=False)
class Explanation:
    """The steps of a session's run in order, and the memory of its tensors. Printing it shows two tables.

    Args:
        name: the network's name.
        threads: the number of threads for which the choice was made.
        precision: "float32", "float16", "bfloat16" or "int8".
        numbers: `Program.numbers`.
        instruction_set: the instruction set of the kernels.
        l2_bytes, last_level_bytes: the sizes of the L2 and last-level caches that the cost model assumes.
        arena_bytes: the memory for intermediate results.
        reason: why the network runs on this device, such as the check of a GPU that has not ended.
        steps: the kernel calls.
        tensors: the inputs and the layers' results in order, except results that exist only in registers.
    """

    name: str
    threads: int
    precision: str
    numbers: str
    instruction_set: str
    l2_bytes: int
    last_level_bytes: int
    arena_bytes: int
    reason: str
    steps: tuple[ExplainedStep, ...]
    tensors: tuple[ExplainedTensor, ...]

    def __repr__(self) -> str:
        return self.table()

    def table(self, *, width: int | None = None) -> str:
        """Return both tables as text. Lines have at most `width` characters if possible."""
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
        tensor_headers = ("tensor", "shape", "memory", "layout (numbers)")
        tensor_rows = [
            (
                tensor.name,
                " x ".join(map(str, tensor.shape)),
                tensor.memory if tensor.within is None else f"{tensor.memory}, in {tensor.within}",
                tensor.layout,
            )
            for tensor in self.tensors
        ]
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        title = (
            f"{self.name}, {self.numbers}, {threads}, {self.instruction_set}; "
            f"{bytes_text(self.arena_bytes)} of intermediate results"
        )
        head = "\n".join([*prose(title, width), *prose(f"on the CPU: {self.reason}", width)])
        return (
            f"{head}\n"
            + text_table(headers, rows, right=(3,), drop=("predicted us", "kernel"), width=width)
            + "\n\n"
            + text_table(tensor_headers, tensor_rows, whole=(1,), drop=("shape",), width=width)
        )


def fixed_shape(name: str, shape: Sequence[int | None]) -> tuple[int, ...]:
    """Return the shape of one image for an input. Raises ShapeError if its size is free."""
    fixed = [1, *shape[1:]]
    if None in fixed:
        raise ShapeError(f"input {name!r} may have any size: give its shape, batch included")
    return tuple(extent for extent in fixed if extent is not None)


def explanation(name: str, numbers: str, reason: str, text: str) -> Explanation:
    """Build the explanation from the JSON of mpscnn_program_explain."""
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
        precision=described["precision"],
        numbers=numbers,
        instruction_set=described["instruction_set"],
        l2_bytes=described["l2_bytes"],
        last_level_bytes=described["last_level_bytes"],
        arena_bytes=described["arena_bytes"],
        reason=reason,
        steps=steps,
        tensors=tuple(_tensor(entry) for entry in described["tensors"]),
    )


def _tensor(entry: dict[str, Any]) -> ExplainedTensor:
    return ExplainedTensor(
        entry["name"],
        tuple(entry["shape"]),
        entry["memory"],
        entry.get("pixel_pitch"),
        entry.get("within"),
        entry.get("rows") or None,
        entry.get("panel_channels") or None,
    )
