"""Compute photos on the machines of a Ray cluster, for the option --ray."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from mpscnn._private.literals import ChannelOrderName
from mpscnn.apps.cli.failures import FAILED
from mpscnn.apps.cli.output import hint, report
from mpscnn.apps.cli.progress import with_progress
from mpscnn.apps.cli.result_printer import ResultPrinter
from mpscnn.errors import Error
from mpscnn.vision.result_rows import KIND, photo_error_text

if TYPE_CHECKING:
    from mpscnn.apps.ray.sources import Source
    from mpscnn.graph.features import FeatureExtractor
    from mpscnn.model import Model
    from mpscnn.vision.photo_result import PhotoResult

#: Suffixes of output files that can hold lists of numbers.
ROW_FILES = (".parquet", ".jsonl")

RayOption = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="[ADDRESS]",
        help="Distribute the photos over the machines of a Ray cluster: HOST:PORT, or auto for the cluster on "
        "this machine. Without ADDRESS: the cores of this machine. Parquet files of image bytes are read, too.",
    ),
]


@contextmanager
def connect_to_cluster(address: str) -> Iterator[Any]:
    """Connect to a Ray cluster, and yield the `ray` module. Ray's exceptions become errors that name the machine."""
    from mpscnn.apps.ray.cluster import connect, translate_errors

    ray = connect(address or None, quiet=True)
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    ray.data.DataContext.get_current().enable_progress_bars = False
    with translate_errors(ray):
        yield ray


def compute_rows(
    ray: Any,
    source: Source,
    model: Model,
    options: Mapping[str, Any],
    write: Callable[[Any], None] | None = None,
    *,
    threads: int | str,
    **work: Any,
) -> Iterator[dict[str, Any]]:
    """Run the model on the photos of a source on the cluster, and yield one row for each photo in order.

    A progress bar is shown if the number of photos is known and `write` is None.

    Args:
        write: a function that is called with each table of rows. Then only rows with an error are yielded. None: all
            rows are yielded.
        threads: the number of photos that each machine computes at a time, at most one for each of its CPUs; "auto":
            that many.
        work: as for `mpscnn.apps.ray.mapping.map_source`.
    """
    from mpscnn.apps.ray.mapping import map_source
    from mpscnn.apps.ray.node import end_programs

    run = map_source(ray, source, model, options, threads=None if threads == "auto" else int(threads), **work)

    def rows() -> Iterator[dict[str, Any]]:
        for table in run.dataset.iter_batches(batch_size=None, batch_format="pyarrow"):
            if write is not None:
                write(table)
                table = table.filter(table.column(KIND).is_valid())
            yield from table.to_pylist()

    try:
        if source.names is None or write is not None:
            yield from rows()
        else:
            with with_progress(source.names) as tracked:
                yield from (row for _, row in zip(tracked, rows(), strict=True))
    finally:
        end_programs(ray, run.job)


def show_cluster_results(
    address: str,
    part: object,
    photos: Sequence[str],
    model: Model,
    printer: ResultPrinter,
    output: Path | None,
    threads: int | str,
    channel_order: ChannelOrderName | None,
    **options: Any,
) -> None:
    """Run the model on photos in the cluster, and print the results or write them to `output`."""
    from mpscnn.apps.ray.cluster import nodes
    from mpscnn.apps.ray.output import check_output, writer
    from mpscnn.apps.ray.rows import IMAGE, error_from_row, result_from_row
    from mpscnn.apps.ray.sources import open_source

    refuse_videos(part)
    if output is not None:
        check_output(output)
    if channel_order is not None:
        options["channel_order"] = channel_order
    failed = 0
    with connect_to_cluster(address) as ray:
        machines = len(nodes(ray))
        source = open_source(ray, list(photos), None, None, machines)
        begun = time.perf_counter()
        for failure in source.unread:
            report(failure)
        with nullcontext(None) if output is None else writer(output) as write:
            count = 0

            def counted(table: Any) -> None:
                nonlocal count
                assert write is not None
                write(table)
                count += len(table)

            given = None if write is None else counted
            for row in compute_rows(ray, source, model, options, given, threads=threads):
                error = error_from_row(row)
                if error is None:
                    printer.show(row[IMAGE], result_from_row(row), {})
                elif write is None:
                    printer.fail(row[IMAGE], error)
                else:
                    report(photo_error_text(row[IMAGE], error))
                failed += error is not None
                count += write is None
        seconds = time.perf_counter() - begun
        said = [
            f"{count:,} photos",
            f"{failed:,} failed",
            f"{seconds:.1f} s",
            f"{count / seconds:.1f} photos/s",
        ]
        hint(", ".join([*said, f"{machines} {'machine' if machines == 1 else 'machines'}"]))
        if output is not None:
            hint(f"{output} is written")
    if failed or source.unread:
        raise typer.Exit(FAILED)


def are_files(photos: Sequence[str]) -> bool:
    """Return True if the photos of a cluster are files, and not rows of Parquet files."""
    from mpscnn.apps.ray.sources import parquet_files

    return not parquet_files(photos)


def compute_on_cluster(
    ray: Any,
    model: Model,
    threads: int | str,
    options: Mapping[str, Any],
    paths: Sequence[str],
    add: Callable[[str, PhotoResult], None],
    fail: Callable[[str, Error], None],
) -> int:
    """Run the model on photo files in the cluster, and pass each result to `add` or its error to `fail`, in order.

    Return the number of failed photos.
    """
    from mpscnn.apps.ray.cluster import nodes
    from mpscnn.apps.ray.rows import error_from_row, result_from_row
    from mpscnn.apps.ray.sources import from_paths

    if not paths:
        return 0
    failed = 0
    source = from_paths(ray, paths, {}, len(nodes(ray)))
    for path, row in zip(paths, compute_rows(ray, source, model, options, threads=threads), strict=True):
        error = error_from_row(row)
        if error is None:
            add(path, result_from_row(row))
        else:
            fail(path, error)
            failed += 1
    return failed


def refuse_videos(part: object) -> None:
    """Raise BadParameter for a video: --ray takes photos only."""
    if part is not None:
        raise typer.BadParameter("is for photos: a video is computed on one machine", param_hint="--ray")


def compute_features(
    address: str,
    photos: Sequence[str],
    model: Model,
    extractor: FeatureExtractor,
    channel_order: str | None,
    threads: int | str,
    output: Path | None,
    add: Callable[[str, Mapping[str, NDArray[Any]]], None],
    written: Callable[[str], None],
    fail: Callable[[str, Error], None],
) -> int:
    """Compute the features of photos on the cluster, and pass them to `add`. Return the number of failed photos.

    With `output` the rows are written to that file, and only the photos' names are passed, to `written`. Photos that
    failed are passed to `fail`.
    """
    from mpscnn.apps.ray.cluster import nodes
    from mpscnn.apps.ray.output import check_output, writer
    from mpscnn.apps.ray.rows import IMAGE, error_from_row
    from mpscnn.apps.ray.sources import open_source

    if output is not None:
        check_output(output, ROW_FILES)
    options = {} if channel_order is None else {"channel_order": channel_order}
    shapes = extractor.program.output_shapes((1, *extractor._photo_extents()))
    failed = 0
    with connect_to_cluster(address) as ray:
        source = open_source(ray, list(photos), None, None, len(nodes(ray)))
        for failure in source.unread:
            report(failure)
        with nullcontext(None) if output is None else writer(output) as write:

            def taken(table: Any) -> None:
                assert write is not None
                write(table)
                for name in table.filter(table.column(KIND).is_null()).column(IMAGE).to_pylist():
                    written(name)

            given = None if write is None else taken
            work = {"layers": extractor.layers, "pooling": extractor.pooling}
            for row in compute_rows(ray, source, model, options, given, threads=threads, **work):
                error = error_from_row(row)
                if error is not None:
                    fail(row[IMAGE], error)
                    failed += 1
                    continue
                add(
                    row[IMAGE],
                    {
                        layer: np.array(row[layer], np.float32).reshape(shape)
                        for layer, shape in zip(extractor.layers, shapes, strict=True)
                    },
                )
    return failed + len(source.unread)
