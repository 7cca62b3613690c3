"""Read videos, cameras and streams for the commands that take photos."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mpscnn._private.arguments import number_in
from mpscnn._private.files import is_folder
from mpscnn.apps.cli.arguments import ChannelOrderOption
from mpscnn.apps.cli.line_file import LineFile
from mpscnn.apps.cli.output import hint
from mpscnn.apps.cli.ray_options import RayOption
from mpscnn.apps.cli.result_printer import ResultPrinter, text_of_rows
from mpscnn.errors import ParameterError
from mpscnn.vision.photo_formats import ANIMATION_SUFFIXES, suffix_of

if TYPE_CHECKING:
    from PIL import Image as PillowImage

    from mpscnn.apps.video.stream import Video, VideoFrame
    from mpscnn.model import Model

_INFLIGHT = 3


@dataclass(frozen=True)
class VideoPart:
    """A video, camera or stream, and the part of it to compute."""

    source: str
    every: int
    start: float
    end: float | None
    inflight: int
    track: bool = False
    count_line: tuple[float, ...] | None = None

    def through(self, model: Any, **options: Any) -> Video[Any]:
        """Return an iterator over the frames with the results of a model or a feature extractor."""
        from mpscnn.apps.video.stream import video

        return video(
            self.source,
            model,
            inflight=self.inflight,
            every=self.every,
            start=self.start,
            end=self.end,
            **({"track": True, "count_line": self.count_line} if self.track else {}),
            **options,
        )


@dataclass(frozen=True)
class Reading:
    """The options of a command for reading its photos or its video. `add_options` makes options of them."""

    channel_order: ChannelOrderOption = None
    every: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="For a video: use every N-th frame.")
    ] = None
    start: Annotated[
        float | None,
        typer.Option("--from", "--start", min=0, metavar="SECONDS", help="For a video: begin at this time."),
    ] = None
    end: Annotated[
        float | None,
        typer.Option("--to", "--end", min=0, metavar="SECONDS", help="For a video: end at this time."),
    ] = None
    inflight: Annotated[
        int | None,
        typer.Option(
            "--inflight",
            min=1,
            max=32,
            metavar="N",
            help=f"For a video: keep N frames in flight; default: {_INFLIGHT}.",
        ),
    ] = None
    cluster: RayOption = None

    def video(self, arguments: Sequence[str], output: Path | None = None) -> VideoPart | None:
        """Return the video among the command's arguments, or None if they are photos.

        A video must be the only argument. A folder or an animation counts as a video if an option for videos is given,
        or if the output is a video.
        """
        from mpscnn.apps.video.source import is_video
        from mpscnn.apps.video.writer import is_video_name

        names = self._given()
        if output is not None and is_video_name(output):
            names.append("--output")
        videos = [argument for argument in arguments if is_video(argument)]
        if not videos and not names:
            _note_animations(arguments)
            return None
        if not videos and (len(arguments) > 1 or not _has_pictures(arguments[0])):
            raise typer.BadParameter(
                "is for one video, animation, camera, stream or folder of photos"
                + (
                    f", and {arguments[0]} is none"
                    if len(arguments) == 1
                    else f", not for {len(arguments)} photos"
                ),
                param_hint=", ".join(names),
            )
        if len(arguments) > 1:
            others = ", ".join(argument for argument in arguments if argument != videos[0]) or videos[0]
            raise typer.BadParameter(
                f"{videos[0]}: a video, camera or stream stands alone: call the command once more for {others}"
            )
        if self.channel_order is not None:
            raise typer.BadParameter("is for photos, not for frames of a video", param_hint="--channel-order")
        start, end = self.start or 0.0, self.end
        if end is not None and end <= start:
            raise typer.BadParameter(f"must be above --from, got {end:g}", param_hint="--to")
        return VideoPart(arguments[0], self.every or 1, start, end, self.inflight or _INFLIGHT)

    def _given(self) -> list[str]:
        """Return the names of the given options that are for videos only."""
        values = {"--every": self.every, "--from": self.start, "--to": self.end, "--inflight": self.inflight}
        return [name for name, value in values.items() if value is not None]


@dataclass(frozen=True)
class Following(Reading):
    """The options of a command that may follow the objects of its video."""

    track: Annotated[
        bool,
        typer.Option("--track", help="For a video: follow objects from frame to frame, and number them."),
    ] = False
    count_line: Annotated[
        str | None,
        typer.Option(
            "--count-line",
            metavar="X1,Y1,X2,Y2",
            help="With --track: count the objects whose centres cross the line between two points, in pixels.",
        ),
    ] = None

    def video(self, arguments: Sequence[str], output: Path | None = None) -> VideoPart | None:
        """Return the video among the command's arguments, see `Reading.video`."""
        if self.count_line is not None and not self.track:
            raise typer.BadParameter("counts objects that --track follows", param_hint="--count-line")
        line = None if self.count_line is None else _line_in(self.count_line)
        part = super().video(arguments, output)
        return None if part is None else replace(part, track=self.track, count_line=line)

    def _given(self) -> list[str]:
        return [*super()._given(), *(["--track"] if self.track else [])]


READING, FOLLOWING = Reading(), Following()


def _line_in(text: str) -> tuple[float, ...]:
    """Return the ends of a line. Raises ParameterError for other texts."""
    from mpscnn.apps.video.following import checked_line

    numbers = [number_in(part.strip()) for part in text.split(",")]
    if len(numbers) != 4 or None in numbers:
        raise typer.BadParameter(
            f"must be four numbers in pixels, such as 0,240,640,240, got {text!r:.100}",
            param_hint="--count-line",
        )
    return checked_line(tuple(numbers))


def _note_animations(arguments: Sequence[str]) -> None:
    """Say on stderr of which animations only the first picture is taken. Files that cannot be read are left out."""
    animations = [argument for argument in arguments if suffix_of(argument) in ANIMATION_SUFFIXES]
    if not animations:
        return
    from PIL import Image

    for argument in animations:
        with suppress(OSError, ValueError, SyntaxError), Image.open(argument) as picture:
            if getattr(picture, "is_animated", False):
                hint(f"{argument}: only its first picture is taken; --every 1 takes the whole animation")


def _has_pictures(argument: str) -> bool:
    """Return True for a folder and for a file of photos that may be an animation."""
    return is_folder(argument) or suffix_of(argument) in ANIMATION_SUFFIXES


def show_frames(
    part: VideoPart,
    model: Model,
    printer: ResultPrinter,
    output: Path | None,
    draw: Callable[[VideoFrame, Any], PillowImage.Image],
    **options: Any,
) -> None:
    """Print the result of each frame, and write the frames with their results to the video `output`.

    Args:
        draw: draws the result on a frame.
        options: the options of the model's task.
    """
    from mpscnn.apps.video.writer import VideoWriter

    if output is not None and _is_source(output, part.source):
        raise ParameterError(f"{output}: is the video that is read")
    with part.through(model, **options) as results:
        source = results.source
        writer = nullcontext() if output is None else VideoWriter(output, source.rate, fit=source.of_photos)
        with writer as target, status(results, part) as tick:
            for frame, result in results:
                if target is not None:
                    target.write(draw(frame, result), frame.time, frame.pixel_aspect)
                printer.show(part.source, result, {}, {"frame": frame.number, "time": round(frame.time, 6)})
                tick(frame)
    if results.source.live and part.end is None:
        hint(f"{part.source} has ended")
    if output is not None:
        hint(f"{output} is written")


def write_frames(part: VideoPart, model: Model, output: Path, **options: Any) -> None:
    """Write the result of each frame to a file of rows. Frames before Ctrl-C or damage are kept."""
    text = text_of_rows(model, output)
    file, frames = LineFile(output), 0
    try:
        with part.through(model, **options) as results, status(results, part) as tick:
            for frame, result in results:
                moment = {"frame": frame.number, "time": round(frame.time, 6)}
                rows = text.result(part.source, result, {}, moment)
                file.write((text.head(moment) if frames == 0 else "") + rows)
                frames += 1
                tick(frame)
    finally:
        if frames:
            file.finish()
        file.close()
    hint(f"{output} is written")


def _is_source(output: Path, source: str) -> bool:
    """Return True if the output is the same file as the source, possibly through a link."""
    try:
        return output.samefile(source)
    except (OSError, ValueError):  # one of them does not exist or is not a file name
        return False


class _Rates:
    """Measures frames per second, and the latency from decoding a frame to showing its result."""

    def __init__(self, results: Video[Any]) -> None:
        self._results = results
        self._begun = time.perf_counter()
        self.frames = 0
        self._latency = 0.0

    def count(self, frame: VideoFrame) -> None:
        self.frames += 1
        self._latency += time.perf_counter() - frame.decoded_at

    def __str__(self) -> str:
        seconds = max(time.perf_counter() - self._begun, 1e-9)
        latency = 1000 * self._latency / max(self.frames, 1)
        return (
            f"{self.frames} {'frame' if self.frames == 1 else 'frames'}, {self.frames / seconds:.1f} per second, "
            f"latency {latency:.0f} ms, {self._results.dropped} dropped"
        )


@contextmanager
def status(results: Video[Any], part: VideoPart) -> Iterator[Callable[[VideoFrame], None]]:
    """Print the frame rates at the end. On a terminal, stderr also shows them with a progress bar during the run.

    Raises ParameterError if there was no frame.
    """
    rates = _Rates(results)
    try:
        with _bar(results, part, rates) as tick:
            yield tick
    finally:
        hint(str(rates))
    if rates.frames == 0:
        length = results.source.duration
        end = f"--to, {part.end:g} s" if part.end is not None else "the end"
        had = "" if length is None else f"; the video lasts {length:g} s"
        raise ParameterError(f"{part.source}: no frame lies between --from, {part.start:g} s, and {end}{had}")


@contextmanager
def _bar(results: Video[Any], part: VideoPart, rates: _Rates) -> Iterator[Callable[[VideoFrame], None]]:
    if not sys.stderr.isatty():
        yield rates.count
        return
    from rich.progress import BarColumn, Progress, TextColumn

    from mpscnn.apps.cli.progress import console_options

    length = results.source.duration
    end = part.end if length is None else min(length, part.end or length)
    columns = [TextColumn("{task.description}", markup=False)]
    bar = Progress(*([BarColumn()] if end is not None else []), *columns, **console_options())
    with bar:
        task = bar.add_task("", total=None if end is None else max(end - part.start, 0.0))

        def tick(frame: VideoFrame) -> None:
            rates.count(frame)
            bar.update(task, completed=frame.time - part.start, description=str(rates))

        yield tick
