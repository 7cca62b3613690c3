"""Run the commands that compute a result for each photo, or for each frame of a video: classify, detect, segment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mpscnn._private.literals import ChannelOrderName
from mpscnn.apps.cli.existing_outputs import require_new
from mpscnn.apps.cli.failures import FAILED
from mpscnn.apps.cli.output import hint, report
from mpscnn.apps.cli.photo_options import for_each_photo, for_many_photos, list_photos, open_input_photo
from mpscnn.apps.cli.picture_folder import PictureFolder
from mpscnn.apps.cli.ray_options import (
    are_files,
    compute_on_cluster,
    connect_to_cluster,
    show_cluster_results,
)
from mpscnn.apps.cli.result_printer import Form, ResultPrinter, text_of_rows
from mpscnn.apps.cli.row_file import is_row_file, row_file, settings_of
from mpscnn.apps.cli.task import COMMANDS, require_task
from mpscnn.apps.cli.video_options import Reading, show_frames, write_frames
from mpscnn.errors import Error
from mpscnn.model import Model
from mpscnn.vision.preprocessing import decoded_size
from mpscnn.vision.result_rows import photo_error_text

if TYPE_CHECKING:
    from PIL import Image as PillowImage

    from mpscnn.apps.video.stream import VideoFrame
    from mpscnn.vision.photo import Photo


@dataclass(frozen=True)
class ShownTask:
    """State what a command does with the result of a photo.

    Args:
        name: the model's task, such as "detection".
        lines: returns the printed lines for a photo's path and its result.
        pictures: by the name of each written file for JSON: the end of its name, and a function that draws it.
        frame: draws a frame of a video; None: draws it as the first of `pictures`.
        options: the options of the task's method of `Model`.
        fast_decode: whether large JPEG files are decoded at a part of their size.
    """

    name: str
    lines: Callable[[str, Any], list[str]]
    pictures: Mapping[str, tuple[str, Callable[[Any, Any], PillowImage.Image]]]
    frame: Callable[[VideoFrame, Any], PillowImage.Image] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    fast_decode: bool = False

    def reading(self, model: Model, channel_order: ChannelOrderName | None) -> Callable[[str], Photo]:
        """Return the function that opens the photos of a model."""
        size = decoded_size(model) if self.fast_decode else None
        return partial(open_input_photo, channel_order=channel_order, min_size=size)


def show_results(
    task: ShownTask,
    photos: list[str],
    reading: Reading,
    opened: Callable[[], Model],
    given: str,
    *,
    output: Path | None,
    overwrite: bool,
    form: Form,
    threads: int | str,
    said: Callable[[Model], None] = lambda _: None,
) -> None:
    """Run a model on photos or a video, and print the results. Write their pictures to `output`.

    If `output` is a file of rows, the results are written there, and not printed.

    Args:
        overwrite: whether an output that exists is replaced.
        opened: returns the model. It is called when the photos are known.
        given: the model as the user named it.
        form: the form of the printed results.
        threads: the option --threads, for a cluster.
        said: is called with the model at the end if a photo could be read.
    """
    part = reading.video(photos, output)
    if task.fast_decode and (part is not None or reading.cluster is not None):
        raise typer.BadParameter("is for photos, without --ray", param_hint="--fast-decode")
    rows = output if output is not None and is_row_file(output) else None
    if rows is not None and form is not Form.text:
        raise typer.BadParameter(
            f"print the results, and --output writes them to {output}", param_hint=f"--{form.value}"
        )
    if output is not None and (rows is not None or part is not None or reading.cluster is not None):
        require_new(overwrite, output)
    on_cluster = reading.cluster is not None and not (rows is not None and part is None and are_files(photos))
    of_photos = part is None and not on_cluster
    paths, failed = list_photos(photos) if of_photos else ([], 0)
    if of_photos and not paths:
        raise typer.Exit(FAILED if failed else 0)
    model = opened()
    require_task(model, given, task.name)
    printer = ResultPrinter(model, form, task.lines)
    if on_cluster:
        assert reading.cluster is not None
        order = reading.channel_order
        show_cluster_results(
            reading.cluster, part, photos, model, printer, output, threads, order, **task.options
        )
    elif part is not None and rows is not None:
        write_frames(part, model, rows, **task.options)
    elif part is not None:
        ((_, draw), *_) = task.pictures.values()
        frame = task.frame or (lambda frame, result: draw(result, frame.photo))
        show_frames(part, model, printer, output, frame, **task.options)
    elif rows is not None:
        unread = _write_rows(task, paths, model, rows, reading, threads)
        if unread < len(paths):
            said(model)
        failed += unread
    else:
        folder = None if output is None else picture_folder(task, output, paths, overwrite=overwrite)
        unread = show_photos(task, paths, model, printer, folder, reading.channel_order)
        if unread < len(paths):
            said(model)
        failed += unread
    if failed:
        raise typer.Exit(FAILED)


def picture_folder(task: ShownTask, output: Path, paths: Sequence[str], *, overwrite: bool) -> PictureFolder:
    """Return the folder for the pictures of a task's results."""
    suffixes = [suffix for suffix, _ in task.pictures.values()]
    return PictureFolder(output, paths, suffixes, overwrite=overwrite)


def _write_rows(
    task: ShownTask,
    paths: Sequence[str],
    model: Model,
    output: Path,
    reading: Reading,
    threads: int | str,
) -> int:
    """Write the results of photos to a file of rows, computed here or on a cluster. Return the number of failed photos.

    Photos whose rows an ended command has left are not computed again.
    """
    text = text_of_rows(model, output)
    settings = settings_of(
        model,
        {**task.options, "channel_order": reading.channel_order}
        | ({"fast_decode": True} if task.fast_decode else {}),
    )
    with _each(task, model, reading, threads) as each, row_file(output, text.head(), settings) as rows:
        waiting = rows.waiting(paths)
        if len(waiting) < len(paths):
            hint(f"the rows of {len(paths) - len(waiting):,} of {len(paths):,} photos are there already")

        def add(path: str, result: Any) -> None:
            rows.add(path, text.result(path, result, {}))

        def fail(path: str, error: Error) -> None:
            report(photo_error_text(path, error))
            rows.add(path, text.failure(path, error), failed=True)

        failed = each(waiting, add, fail)
        rows.finish(paths)
    hint(f"{output} is written: {len(paths):,} photos, {failed:,} failed")
    return failed


@contextmanager
def _each(
    task: ShownTask, model: Model, reading: Reading, threads: int | str
) -> Iterator[Callable[[Sequence[str], Callable[[str, Any], None], Callable[[str, Error], None]], int]]:
    """Yield a function that computes photos, and passes each result or error to a function, in order."""
    order = reading.channel_order
    if reading.cluster is not None:
        options = {**task.options, **({} if order is None else {"channel_order": order})}
        with connect_to_cluster(reading.cluster) as ray:
            yield partial(compute_on_cluster, ray, model, threads, options)
        return

    def each(
        paths: Sequence[str], add: Callable[[str, Any], None], fail: Callable[[str, Error], None]
    ) -> int:
        compute, workers = _computing(task, model, len(paths))
        reads = task.reading(model, order)
        return for_each_photo(
            paths, compute, lambda path, _, result: add(path, result), fail, reads, workers=workers
        )

    yield each


def show_photos(
    task: ShownTask,
    paths: Sequence[str],
    model: Model,
    printer: ResultPrinter,
    folder: PictureFolder | None,
    channel_order: ChannelOrderName | None = None,
) -> int:
    """Print the result of each photo, and write its pictures to `folder`. Return the number of failed photos."""

    def show_one(path: str, photo: Photo, result: Any) -> None:
        written: dict[str, str] = {}
        if folder is not None:
            for name, (suffix, draw) in task.pictures.items():
                written[name] = str(folder.save(draw(result, photo), path, suffix))
        printer.show(path, result, written)

    compute, workers = _computing(task, model, len(paths))
    reading = task.reading(model, channel_order)
    return for_each_photo(paths, compute, show_one, printer.fail, reading, workers=workers)


def _computing(task: ShownTask, model: Model, count: int) -> tuple[Callable[[Photo], Any], int]:
    """Return the function that computes the result of one of `count` photos, and how many may run it at a time."""
    shared, workers = for_many_photos(model, count)
    return partial(getattr(shared, COMMANDS[task.name]), **task.options), workers
