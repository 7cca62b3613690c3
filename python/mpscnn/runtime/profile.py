"""The result of `Session.profile`: the time of each step of a network."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from mpscnn._private.files import replace_atomically
from mpscnn._private.other_names import Expected
from mpscnn._private.report import Cell, Column, Drawable, Report
from mpscnn._private.summary import prose, text_table
from mpscnn.errors import ParameterError

if TYPE_CHECKING:
    from PIL import Image as PillowImage

#: The columns of `to_pandas` and `to_csv`: times in milliseconds, shares from 0 to 1.
_NAMES = (
    *("layers", "kind", "kernel", "minimum", "median", "share", "flops", "bytes"),
    *("gflops_per_second", "peak_share", "gigabytes_per_second"),
)
_KIND_HEADERS = ("kernels", "steps", "ms", "% of time", "GFLOP/s", "% of peak")


class _Work:
    """FLOPs, and the figures that follow from them and from the milliseconds that they take."""

    flops: int
    peak: float | None

    @property
    def _time(self) -> float:
        raise NotImplementedError

    @property
    def gflops_per_second(self) -> float:
        """The GFLOP/s at the minimum time, or at the sum of minimum times."""
        return _rate(self.flops, self._time)

    @property
    def peak_share(self) -> float | None:
        """The GFLOP/s divided by the peak; None if it is unknown. Winograd's algorithm may reach more than 1."""
        return None if self.peak is None else self.gflops_per_second / self.peak

    @property
    def lost(self) -> float | None:
        """The milliseconds beyond the FLOPs' time at the peak, or None if the peak is unknown.

        It is negative if `peak_share` is above 1.
        """
        return None if self.peak is None else self._time - self.flops / self.peak / 1e6


@dataclass(frozen=True)
class ProfileStep(Expected, _Work):
    """The times of one step: usually one kernel call, for one layer or several fused ones."""

    layers: tuple[str, ...]
    """The layers that this step completes; none for a copy of an input or output."""
    part_of: tuple[str, ...]
    """The layers that this step computes a part of. A later step completes them."""
    kind: str
    """The kind of kernel: "pointwise", "depthwise", "pooling", ..."""
    kernel: str
    """The kernel: "depthwise 3x3/2" has a stride of 2; parentheses name the variant."""
    flops: int
    """FLOPs by the layers' definitions. A multiply-accumulate counts as two; folded batch normalization has none."""
    bytes: int
    """Bytes of the tensors that the step reads and writes and of its packed weights, each counted once."""
    milliseconds: tuple[float, ...]
    """The time of each run in milliseconds."""
    share: float
    """The step's minimum time divided by the sum of the minimum times of all steps, 0 to 1."""
    peak: float | None
    """The GFLOP/s that the session's threads reach with FMAs alone; None if unknown."""

    @property
    def minimum(self) -> float:
        """The shortest time in milliseconds."""
        return min(self.milliseconds)

    @property
    def median(self) -> float:
        """The median time in milliseconds."""
        return statistics.median(self.milliseconds)

    @property
    def gigabytes_per_second(self) -> float:
        """The GB/s at the minimum time, from memory or any cache."""
        return _rate(self.bytes, self.minimum)

    _time = minimum

    @property
    def name(self) -> str:
        """The layers as a short text: "conv1", "expand2 ... add2 (4 layers)"."""
        if not self.layers and self.part_of:
            return "part of " + " + ".join(self.part_of)
        if len(self.layers) <= 2:
            return " + ".join(self.layers)
        return f"{self.layers[0]} ... {self.layers[-1]} ({len(self.layers)} layers)"


@dataclass(frozen=True)
class KindTotal(_Work):
    """The sums over all steps with one kind of kernel."""

    kind: str
    steps: int
    milliseconds: float
    """The sum of the minimum times in milliseconds."""
    share: float
    flops: int
    peak: float | None

    @property
    def _time(self) -> float:
        return self.milliseconds


@dataclass(frozen=True, repr=False)
class Profile(Report, Drawable):
    """The time of every step of a network in several consecutive runs.

    A run's time also includes starting the steps in the threads, but not checking arguments, Python and allocating
    outputs. On a GPU, steps are measured separately from the run, so they may add up to more than the run.
    """

    _other_names: ClassVar[tuple[tuple[str, str], ...]] = (
        *Drawable._other_names,
        ("steps", "layers kernels by_layer"),
    )

    network: str
    device: str
    device_name: str
    precision: str
    instruction_set: str | None
    """The instruction set of the CPU; None on a GPU."""
    threads: int | None
    """The threads of the session; None on a GPU."""
    peak_of_one_thread: float | None
    """The GFLOP/s of one thread with FMAs alone, measured in this process; None on a GPU."""
    peak: float | None
    """The GFLOP/s of all the session's threads together with FMAs alone. `peak_share` is relative to it."""
    input_shapes: tuple[tuple[int, ...], ...]
    milliseconds: tuple[float, ...]
    """The time of each run, from the start of the first step to the end of the last one."""
    steps: tuple[ProfileStep, ...]
    """The steps in the order in which they run."""
    layers_without_step: tuple[str, ...]
    """Layers that need no computation, such as reshapes, and concatenations whose operands are already in place."""
    _description: dict[str, Any] = field(repr=False, compare=False)
    _trace: dict[str, Any] | None = field(default=None, repr=False, compare=False)

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> Profile:
        """Return the profile from the result of `to_dict`. It has no trace."""
        return cls._made(description, None)

    @classmethod
    def parsed(cls, description: str, trace: str) -> Profile:
        """Return the profile from the core's two JSON texts."""
        return cls._made(json.loads(description), json.loads(trace))

    @classmethod
    def _made(cls, description: Mapping[str, Any], trace: dict[str, Any] | None) -> Profile:
        peaks = description["peak_flops_per_second"]
        peak = peaks and peaks["all_threads"] / 1e9
        sum_of_minima = sum(min(step["milliseconds"]) for step in description["steps"])
        same = ("network", "device", "device_name", "precision", "instruction_set", "threads")
        return cls(
            **{name: description[name] for name in same},
            peak_of_one_thread=peaks and peaks["one_thread"] / 1e9,
            peak=peak,
            input_shapes=tuple(tuple(shape) for shape in description["inputs"]),
            milliseconds=tuple(description["milliseconds"]),
            steps=tuple(_step(step, sum_of_minima, peak) for step in description["steps"]),
            layers_without_step=tuple(description["layers_without_step"]),
            _description=dict(description),
            _trace=trace,
        )

    @property
    def minimum(self) -> float:
        """The shortest run in milliseconds."""
        return min(self.milliseconds)

    @property
    def median(self) -> float:
        """The median of the runs in milliseconds."""
        return statistics.median(self.milliseconds)

    @property
    def flops(self) -> int:
        """FLOPs of one run."""
        return sum(step.flops for step in self.steps)

    def by_kind(self) -> list[KindTotal]:
        """Return the sums for each kind of kernel, the longest time first."""
        kinds: dict[str, list[ProfileStep]] = {}
        for step in self.steps:
            kinds.setdefault(step.kind, []).append(step)
        totals = [_total(kind, steps, self.peak) for kind, steps in kinds.items()]
        return sorted(totals, key=lambda total: -total.milliseconds)

    def to_dict(self) -> dict[str, Any]:
        """Return all figures for JSON: see `mpscnn_session_profile` in mpscnn.h."""
        return dict(self._description)

    def chrome_trace(self) -> dict[str, Any]:
        """Return the fastest run as trace events for chrome://tracing and Perfetto.

        There is a row of steps, and one row for each thread.

        Raises:
            ParameterError: the profile is from `from_dict`, and so has no trace.
        """
        if self._trace is None:
            raise ParameterError("a profile that was read from a dictionary has no trace")
        return dict(self._trace)

    def save_trace(self, path: str | os.PathLike[str]) -> None:
        """Write `chrome_trace` to a file. Raises ParameterError if it cannot be written."""
        text = json.dumps(self.chrome_trace())
        with replace_atomically(path, ParameterError) as file:
            file.write(text.encode())

    def draw(self) -> PillowImage.Image:
        """Return a picture with a bar for the minimum time of each step."""
        from mpscnn._private.bars import bar_picture

        bars = [
            (f"{step.name}   {step.minimum:.3f} ms, {step.share:.1%}", step.minimum) for step in self.steps
        ]
        return bar_picture(f"{self.network}: {self.minimum:.3f} ms on {self.device_name}", bars)

    def _entries(self) -> tuple[ProfileStep, ...]:
        return self.steps

    def _named_rows(self) -> tuple[tuple[str, ...], list[tuple[Cell, ...]]]:
        fields = ("name", *_NAMES[1:])
        return _NAMES, [tuple(getattr(step, field) for field in fields) for step in self.steps]

    def _columns(self) -> tuple[Column, ...]:
        return (
            Column("layers", lambda step: step.name),
            Column("kernel", lambda step: step.kernel),
            Column("ms", lambda step: f"{step.minimum:.3f}", right=True),
            Column("median", lambda step: f"{step.median:.3f}", right=True),
            Column("% of time", lambda step: f"{100 * step.share:.1f}", right=True),
            Column("GFLOP/s", lambda step: _rates(step.flops, step.minimum, step.peak)[0], right=True),
            Column("% of peak", lambda step: _rates(step.flops, step.minimum, step.peak)[1], right=True),
            Column("GB/s", lambda step: f"{step.gigabytes_per_second:.1f}", right=True),
        )

    def _dropped(self) -> tuple[str, ...]:
        return "median", "GB/s", "GFLOP/s", "% of peak", "kernel"

    def table(self, *, steps: Sequence[ProfileStep] | None = None, width: int | None = None) -> str:
        """Return the figures as a table.

        Args:
            steps: the steps to show, in this order; None: all, in the order of the run.
            width: the largest number of characters in a line, if possible; None: no limit.
        """
        total = sum(step.minimum for step in self.steps)
        rates = _rates(self.flops, total, self.peak)
        footer = ("sum of all steps", "", f"{total:.3f}", "", "100.0", *rates, "")
        body = self._text(self.steps if steps is None else steps, width, footer)
        title = "\n".join(part for line in self._title() for part in prose(line, width))
        return f"{title}\n\n{body}\n\n{self._kinds_table(width)}"

    def _title(self) -> list[str]:
        shapes = ", ".join(" x ".join(map(str, shape)) for shape in self.input_shapes)
        threads = "" if self.threads is None else ", " + _counted(self.threads, "thread")
        runs = _counted(len(self.milliseconds), "run")
        title = f"{self.network}: input {shapes}, {self.device_name}, {self.precision}{threads}"
        times = f"a run takes {self.minimum:.3f} ms, median {self.median:.3f} ms of {runs}"
        if self.threads is None:
            return [title, f"{times} of the GPU; each step has its own command buffer"]
        return [title, times if self.peak is None else f"{times}; FMA peak {self.peak:.1f} GFLOP/s"]

    def _kinds_table(self, width: int | None) -> str:
        right = range(1, len(_KIND_HEADERS))
        drop = ("GFLOP/s", "steps", "% of peak")
        return text_table(_KIND_HEADERS, self._kind_rows(), right=right, drop=drop, width=width)

    def _kind_rows(self) -> list[tuple[str, ...]]:
        return [
            (
                total.kind,
                str(total.steps),
                f"{total.milliseconds:.3f}",
                f"{100 * total.share:.1f}",
                *_rates(total.flops, total.milliseconds, self.peak),
            )
            for total in self.by_kind()
        ]

    def __repr__(self) -> str:
        return self.table()

    def _repr_html_(self) -> str:
        from mpscnn._private.html_view import Html, bar, details, lines, scroll_box, table

        longest = max((step.share for step in self.steps), default=0.0) or 1.0
        first, second, *others = self._columns()
        columns = (first, second, Column("", lambda step: bar(step.share / longest)), *others)
        kinds = [
            (*row, bar(total.share)) for row, total in zip(self._kind_rows(), self.by_kind(), strict=True)
        ]
        return Html(
            "<div>"
            + lines(*self._title())
            + table((*_KIND_HEADERS, ""), kinds, right=range(1, len(_KIND_HEADERS)))
            + details(
                _counted(len(self.steps), "step"),
                scroll_box(self._html_table(columns)),
            )
            + "</div>"
        )


def _step(entry: Mapping[str, Any], sum_of_minima: float, peak: float | None) -> ProfileStep:
    times = tuple(entry["milliseconds"])
    return ProfileStep(
        layers=tuple(entry["layers"]),
        part_of=tuple(entry["part_of"]),
        kind=entry["kind"],
        kernel=entry["kernel"],
        flops=entry["flops"],
        bytes=entry["bytes"],
        milliseconds=times,
        share=min(times) / sum_of_minima if sum_of_minima > 0 else 0.0,
        peak=peak,
    )


def _total(kind: str, steps: Sequence[ProfileStep], peak: float | None) -> KindTotal:
    return KindTotal(
        kind=kind,
        steps=len(steps),
        milliseconds=sum(step.minimum for step in steps),
        share=sum(step.share for step in steps),
        flops=sum(step.flops for step in steps),
        peak=peak,
    )


def _rate(amount: int, milliseconds: float) -> float:
    """Return billions per second; 0 if the time is too short for the clock."""
    return amount / milliseconds / 1e6 if milliseconds > 0 else 0.0


def _rates(flops: int, milliseconds: float, peak: float | None) -> tuple[str, str]:
    """Return GFLOP/s and percent of the peak as cells of a table; empty if nothing is computed."""
    if flops == 0:
        return "", ""
    rate = _rate(flops, milliseconds)
    return f"{rate:.1f}", "" if peak is None else f"{100 * rate / peak:.1f}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
