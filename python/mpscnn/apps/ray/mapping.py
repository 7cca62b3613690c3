"""Run a model over a data set of Ray Data: `mpscnn.ray.map`."""

from __future__ import annotations

import os
import pickle
import uuid
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from mpscnn._private.arguments import whole_number
from mpscnn.apps.ray.cluster import connect, nodes
from mpscnn.apps.ray.node import Job, Work, compute_table
from mpscnn.apps.ray.rows import IMAGE, result_columns
from mpscnn.apps.ray.sources import Source, open_source
from mpscnn.errors import ParameterError, UnsupportedError
from mpscnn.model import Model, load
from mpscnn.vision.photo_tasks import TASKS, option_names

if TYPE_CHECKING:
    from mpscnn._private.literals import PrecisionName


def map(  # noqa: A001 - as Ray's datasets call it
    source: Any,
    model: str | os.PathLike[str] | Model,
    *,
    layers: str | Sequence[str] | None = None,
    pooling: str | None = None,
    device: str = "auto",
    precision: PrecisionName = "auto",
    threads: int | None = None,
    max_memory: int | None = None,
    address: str | None = None,
    photo_column: str | None = None,
    name_column: str | None = None,
    **options: Any,
) -> Any:
    """Run a model on many photos on the machines of a Ray cluster.

        rows = mpscnn.ray.map("photos/", "mobilenet_v2", top=1)
        rows.write_parquet("classes/")

    Each machine runs one process with the model, and all its CPUs compute photos. The model is sent to each machine, so
    the machines only need mpscnn, Ray and access to the photos. If a machine or process dies, its photos are computed
    again elsewhere. Each photo gives one row.

    Args:
        source: a folder, files or patterns, as for the commands, on a file system that all machines can read; Parquet
            files or a folder of them, with a column of image files' bytes; or a dataset of Ray Data with a column of
            such bytes or of paths.
        model: a name or path as for `mpscnn.load`, or a `Model`, whose device, precision and memory limit are used.
        layers: compute the outputs of these layers (`Model.features`) instead of the model's task.
        pooling: for `layers`: None or "global".
        device, precision, max_memory: as for `mpscnn.load`, on each machine.
        threads: the number of photos that each machine computes in parallel, at most the number of its CPUs in the
            cluster; None: that number.
        address: the cluster: HOST:PORT, "auto" (the one on this machine) or "local" (start one here); None: the one
            that this process is connected to, otherwise the environment variable RAY_ADDRESS, otherwise "local".
        photo_column: the column of photos in Parquet files and datasets; None: the only one with bytes, or with structs
            of "bytes" and "path".
        name_column: the column of the photos' names; None: the struct's path, a column with a usual name, or the only
            column of text.
        options: options of the model's task, see `Model.classify`, `Model.detect` and `Model.segment`.

    Returns:
        A lazy `ray.data.Dataset` with a row for each photo, in the order of the source. Files of a folder are
        sorted by name.
        Columns are "image" (the name; "(no name)" for null), the source's other columns (as "source_NAME" if a result
        has that name), "model", "device", "precision", "milliseconds", and the items of the result's `to_dict`
        ("predictions"; "width", "height" and "detections" or "areas"). With `layers` there is a list of floats for each
        layer, row by row and channels last. If a photo cannot be read, these are null, and "error" and "error_kind" (a
        class of `mpscnn.errors`) have the reason.

    Raises:
        UnsupportedError: Ray is not installed, or the model does not take photos.
        DeviceError: the cluster does not answer.
        ImageError: there are no photos.
        ParameterError: an unknown option, or the columns are not clear.
        Other errors are those of `mpscnn.load`.
    """
    loaded = (
        model
        if isinstance(model, Model)
        else load(model, device=device, precision=precision, max_memory=max_memory)
    )
    if isinstance(model, Model) and (device, precision, max_memory) != ("auto", "auto", None):
        raise ParameterError(
            "device, precision and max_memory are the model's own: give its name, or load it so"
        )
    names = () if layers is None else (layers,) if isinstance(layers, str) else tuple(layers)
    if layers is None and pooling is not None:
        raise ParameterError("pooling is for layers")
    if layers is not None and not names:
        raise ParameterError("layers is empty: name a layer, or leave it out for the model's task")
    ray = connect(address)
    opened = open_source(ray, source, photo_column, name_column, len(nodes(ray)))
    return map_source(ray, opened, loaded, options, layers=names, pooling=pooling, threads=threads).dataset


class Mapped:
    """A dataset of results with its schema and the job that computes it."""

    def __init__(self, dataset: Any, job: str, schema: Any) -> None:
        self.dataset = dataset
        self.job = job
        self.schema = schema
        """The schema of the results."""


def map_source(
    ray: Any,
    source: Source,
    model: Model,
    options: Mapping[str, Any],
    *,
    layers: tuple[str, ...] = (),
    pooling: str | None = None,
    threads: int | None = None,
    mask: str | None = None,
) -> Mapped:
    """Return the results of a source's photos as a dataset.

    `mask` is the column with the paths of true masks, for evaluating a segmenter.
    """
    if threads is not None:
        whole_number("threads", threads)
    checked = _checked(model, options, layers, pooling)
    task = "features" if layers else "masks" if mask is not None else model.task
    schema = result_columns(task, layers, calibrated=model.calibration is not None)
    work = Work(task, checked, threads, source.columns, layers, pooling, mask)
    job = Job(f"mpscnn-{uuid.uuid4().hex}", ray.put(pickle.dumps(model)), work)
    # Each machine works on two batches, so that the next one starts while the last photos of one are computed.
    minimum = min(node["Resources"]["CPU"] for node in nodes(ray))
    dataset = source.dataset.map_batches(
        partial(compute_table, job),
        batch_format="pyarrow",
        batch_size=source.rows,
        num_cpus=minimum / 2,
    )
    dataset.context.execution_options.preserve_order = True
    return Mapped(dataset, job.name, schema)


def _checked(
    model: Model, options: Mapping[str, Any], layers: tuple[str, ...], pooling: str | None
) -> dict[str, Any]:
    """Check the options here, before the machines get them, and return them."""
    if model.preprocess is None:
        raise UnsupportedError(
            f"{model!r} does not say how a photo becomes its input; mpscnn.load(path, preprocess=NAME) says it"
        )
    if layers:
        model.features(layers, pooling=pooling)  # type: ignore[arg-type]
        reserved = {IMAGE, *result_columns("features").names}
        for layer in layers:
            if layer in reserved:
                raise ParameterError(f"{layer!r} is the name of another column of the results")
        known: tuple[str, ...] = ("channel_order",)
    else:
        known = (*option_names(TASKS[model.task]), "channel_order")
    for name in options:
        if name not in known:
            raise ParameterError(f"there is no option {name!r}; it has {', '.join(known)}")
    if options.get("scores"):
        raise UnsupportedError("scores of every pixel are not sent between machines: leave scores out")
    if not layers:
        TASKS[model.task](model, **{name: options[name] for name in options if name != "channel_order"})
    return dict(options)
