"""Load what photos need before the service listens, so that a lack of memory ends its start and not its requests."""

from __future__ import annotations

import io
import resource
import threading
from concurrent.futures import wait
from typing import TYPE_CHECKING

from mpscnn._private.memory_errors import is_out_of_memory
from mpscnn.apps.serve.responses import JPEG, PNG, picture
from mpscnn.errors import Error, ParameterError
from mpscnn.vision.photo import Photo, open_content
from mpscnn.vision.photo_formats import load_decoders

if TYPE_CHECKING:
    from mpscnn.apps.serve.hosting import Compiled
    from mpscnn.apps.serve.service import Service

_SIDE = 512
_SECONDS = 60.0  # seconds that a thread waits for the others
_SPARE_BYTES = 1 << 26  # of address space that requests may need beyond what they needed here
_HEIF_PREFIX = b"\0\0\0\x20ftypheic"


def warm_up(service: Service) -> None:
    """Start the threads of a service, load the decoders of photos, and run photos through each model.

    All threads decode, compute and draw photos at the same time, as they do under load, so that each session of each
    model has its memory and its threads. A later lack of memory could end the process, because glibc aborts if a thread
    cannot get its thread-local variables. So the process must also be able to get some memory more.

    Raises:
        ParameterError: the process may not use enough memory.
    """
    try:
        content = _sample()
        load_photo_decoders()
        together = threading.Barrier(service.settings.slots, timeout=_SECONDS)
        models = [hosted.compiled for hosted in service.models if hosted.compiled.takes_photos]
        try:
            started = [
                service.pool.submit(_one_thread, content, models, together)
                for _ in range(service.settings.slots)
            ]
            started += [pool.submit(lambda: None) for pool in service.single_threads]
        except BaseException:
            together.abort()  # a thread was not started, and the others would wait for it
            raise
        wait(started)
        failures = [error for done in started if (error := done.exception()) is not None]
        # A thread that fails ends the waiting of the others, whose errors say nothing.
        for error in sorted(failures, key=lambda error: isinstance(error, threading.BrokenBarrierError)):
            raise error
        bytes(_SPARE_BYTES)  # is reserved without being written
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise ParameterError(_refusal(service.settings.slots)) from error


def load_photo_decoders() -> None:
    """Load the decoders of all kinds of photos."""
    load_decoders(_HEIF_PREFIX)


def _one_thread(content: bytes, models: list[Compiled], together: threading.Barrier) -> None:
    try:
        photo = open_content(content, _SIDE * _SIDE)
        for compiled in models:
            together.wait()
            _run(compiled, photo)
        together.wait()
    except BaseException:
        together.abort()
        raise


def _run(compiled: Compiled, photo: Photo) -> None:
    try:
        result = compiled.photos.submit(photo).result()
        for kind in (PNG, JPEG):
            picture(result, photo, kind)
    except Error as error:  # a model that cannot take this photo says so to its clients
        if is_out_of_memory(error):
            raise


def _sample() -> bytes:
    """Return a photo as a JPEG file."""
    from PIL import Image

    stream = io.BytesIO()
    Image.linear_gradient("L").resize((_SIDE, _SIDE)).convert("RGB").save(stream, "JPEG")
    return stream.getvalue()


def _refusal(slots: int) -> str:
    allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
    limit = (
        "" if allowed == resource.RLIM_INFINITY else f": it may use {allowed // 1_000_000:,} MB (ulimit -v)"
    )
    return (
        f"inflight: this process has not enough memory for {slots} photos at the same time{limit}; allow more memory, "
        "or choose a smaller --inflight"
    )
