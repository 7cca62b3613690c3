"""Do the work of one machine in the cluster. One process holds the model, and all tasks on the machine use it."""

from __future__ import annotations

import os
import pickle
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from mpscnn.apps.ray.cluster import cpu_count, import_arrow, import_ray
from mpscnn.apps.ray.rows import IMAGE, kept_columns, result_columns, row_from_result
from mpscnn.apps.ray.sources import Columns
from mpscnn.errors import DeviceError, Error, ImageError, ParameterError, ShapeError
from mpscnn.evaluation.segmenter import classes_of_segmenter, counted_pairs
from mpscnn.model import Model
from mpscnn.runtime.library import available_processors
from mpscnn.runtime.session_pool import SessionPool
from mpscnn.vision.result_rows import ERROR, KIND

_NAMESPACE = "mpscnn"
#: A machine's process ends after this many seconds without work.
_IDLE = 20.0
#: The number of times that a batch is tried if the process dies.
_ATTEMPTS = 4


@dataclass(frozen=True)
class Work:
    """The description of what is computed for each photo."""

    task: str
    """The task, as for `result_columns`."""
    options: Mapping[str, Any]
    """The options of the model's task."""
    threads: int | None
    """The number of sessions on each machine, at most one for each of its CPUs; None: that many."""
    columns: Columns
    layers: tuple[str, ...] = ()
    pooling: Any = None
    mask: str | None = None
    """The column with the paths of the masks, for the task "masks" only."""


@dataclass(frozen=True)
class Job:
    """The argument of each Ray task: a unique name, the model, and the work."""

    name: str
    model: Any
    """A reference to the pickled model in Ray's object store. Each machine fetches it once."""
    work: Work


def compute_table(job: Job, table: Any) -> Any:
    """Compute a table of photos in the process that holds this machine's model. This is a Ray task.

    If the process dies, a new one computes the table again.

    Raises:
        DeviceError: the process died several times. Other errors of mpscnn: the model does not run on this machine.
    """
    ray = import_ray()
    node = ray.get_runtime_context().get_node_id()
    for attempt in range(_ATTEMPTS):
        time.sleep(0.5 * attempt)
        program = _program(ray, job, node)
        try:
            return ray.get(program.run.remote(table))
        except ray.exceptions.RayActorError as error:
            died = error
    names = table.column(job.work.columns.name or job.work.columns.photo)
    raise DeviceError(
        f"the process that computes on node {node} died {_ATTEMPTS} times over the photos {names[0]} to "
        f"{names[-1]}: too little memory, or a photo that ends it"
    ) from died


def _program(ray: Any, job: Job, node: str) -> Any:
    """Return the actor that runs this machine's process. The first task starts it."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return (
        ray.remote(_NodeProgram)
        .options(
            name=_name(job.name, node),
            namespace=_NAMESPACE,
            get_if_exists=True,
            lifetime="detached",  # it must outlive the task that starts it
            num_cpus=0,  # the CPUs belong to the tasks that wait for it
            max_concurrency=8,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
        )
        .remote(job.model, job.work)
    )


def _name(job: str, node: str) -> str:
    return f"{job}-{node}"


def end_programs(ray: Any, job: str) -> None:
    """End the processes of a job on all machines at once, instead of after their idle time."""
    for node in ray.nodes():
        try:
            ray.kill(ray.get_actor(_name(job, node["NodeID"]), namespace=_NAMESPACE))
        except ValueError:  # the machine has no such process
            continue


class _NodeProgram:
    """The process of one machine: a model, and a thread with a session for each CPU."""

    def __init__(self, model: Any, work: Work) -> None:
        ray = import_ray()
        context = ray.get_runtime_context()
        processors = min(cpu_count(ray, context.get_node_id()), available_processors())
        self._pickled, self._work = model, work
        self._threads = processors if work.threads is None else min(work.threads, processors)
        self._lock = threading.Lock()
        self._compute: Any = None
        self._running = 0
        self._last = time.monotonic()
        self._pool = ThreadPoolExecutor(self._threads, "mpscnn")
        threading.Thread(target=self._leave_when_idle, args=(context.current_actor,), daemon=True).start()

    def run(self, table: Any) -> Any:
        """Compute a table of photos, and return a table with a row for each."""
        with self._lock:
            self._running += 1
            # The model is prepared here and not in the constructor, so that its errors reach the caller unchanged.
            if self._compute is None:
                self._compute = _Compute(self._pickled, self._work)
        try:
            return self._compute.table(table, self._pool)
        finally:
            with self._lock:
                self._running -= 1
                self._last = time.monotonic()

    def leave(self) -> None:
        """End this process."""
        import_ray().actor.exit_actor()

    def _leave_when_idle(self, own: Any) -> None:
        while True:
            time.sleep(_IDLE / 4)
            with self._lock:
                idle = not self._running and time.monotonic() - self._last > _IDLE
            if idle:
                own.leave.remote()
                return


class _Compute:
    """A model and what to compute with it."""

    def __init__(self, pickled: Any, work: Work) -> None:
        model: Model = pickle.loads(pickled)
        # Each photo runs in one thread with its own session. Photos are independent, so threads never wait for each
        # other.
        model.run_options = model.run_options.replaced(threads=1)
        model._sessions = SessionPool(model.program, model.run_options)
        self._model, self._work = model, work
        program = model.program
        if work.layers:
            self._extractor = model.features(work.layers, pooling=work.pooling)
            program = self._extractor.program
        self._origin = {"model": model.name, "device": program.device, "precision": program.precision}
        self._schema = result_columns(work.task, work.layers, calibrated=model.calibration is not None)

    def table(self, table: Any, pool: ThreadPoolExecutor) -> Any:
        """Return a row for each row of a table: the photo's name, the other columns, and the result."""
        pa, columns = import_arrow(), self._work.columns
        names = columns.names(table)
        photos = table.column(columns.photo)
        masks = [None] * len(names) if self._work.mask is None else table.column(self._work.mask).to_pylist()
        records = list(pool.map(self._record, photos, names, masks))
        results = pa.Table.from_pylist(records, schema=self._schema)
        made = pa.table({IMAGE: pa.array(names, pa.string())})
        others = [name for name in table.column_names if name not in (columns.photo, columns.name)]
        # A column of the source is not taken for that of calibrated models, whichever the model is.
        reserved = result_columns(self._work.task, self._work.layers, calibrated=True).names
        for name, kept in kept_columns(others, reserved).items():
            made = made.append_column(kept, table.column(name))
        for name in results.column_names:
            made = made.append_column(name, results.column(name))
        return made

    def _record(self, cell: Any, name: str, mask: bytes | None) -> dict[str, Any]:
        try:
            return {**self._origin, **self._computed(self._work.columns.photo_of(cell), mask)}
        except (ImageError, ParameterError, ShapeError) as error:
            return {**self._origin, ERROR: self._message(error, name), KIND: type(error).__name__}

    def _message(self, error: Error, name: str) -> str:
        """Return an error's message with the photo's name, which errors for photos given as bytes do not have."""
        nameless = isinstance(error, ImageError) and not self._work.columns.are_paths
        return f"{name}: {error}" if nameless else str(error)

    def _computed(self, photo: Any, mask: bytes | None) -> dict[str, Any]:
        work = self._work
        if work.layers:
            begun = time.perf_counter()
            found = self._extractor.run(photo, **work.options)
            record: dict[str, Any] = {layer: value.reshape(-1) for layer, value in found.items()}
            record["milliseconds"] = round(1000.0 * (time.perf_counter() - begun), 3)
            return record
        result = self._model.predict(photo, **work.options)
        if mask is None:
            return row_from_result(result)
        pairs = counted_pairs(os.fsdecode(mask), result.labels, classes_of_segmenter(self._model))
        return {
            "milliseconds": result.milliseconds,
            "pairs": [
                {"true": int(true), "found": int(named), "pixels": int(pairs[true, named])}
                for true, named in np.argwhere(pairs)
            ],
        }
