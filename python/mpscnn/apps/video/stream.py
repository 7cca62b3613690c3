"""Run a model on a video: one thread decodes, several frames are computed in parallel, results keep the order."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

from mpscnn._private.arguments import is_finite_number, whole_number
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn._private.other_names import Expected
from mpscnn.apps.video.following import Following
from mpscnn.apps.video.frame_buffer import FrameBuffer
from mpscnn.apps.video.source import VideoFrame, VideoSource, open_source
from mpscnn.errors import ParameterError
from mpscnn.runner.frames import frame_kind
from mpscnn.runner.runner import Runner
from mpscnn.runtime.options import RunOptions
from mpscnn.vision.photo import open_photo

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mpscnn.graph.features import FeatureExtractor
    from mpscnn.model import Model
    from mpscnn.runner.runner import FrameFuture
    from mpscnn.vision.detection import Detections
    from mpscnn.vision.tracked_detections import TrackedDetections

__all__ = ["Video", "VideoFrame", "video"]

Result = TypeVar("Result")


class Video(Expected, Iterator[tuple[VideoFrame, Result]], Generic[Result]):
    """An iterator over a video's frames with their results, made by `mpscnn.video`. One thread at a time may use it."""

    @accept_foreign_arguments
    def __init__(
        self,
        source: VideoSource,
        model: Model[Result] | FeatureExtractor,
        inflight: int,
        every: int,
        options: dict[str, Any],
        following: Following | None = None,
    ) -> None:
        """Begin to read the source; `mpscnn.video(path, model)` calls this with its defaults."""
        self.source = source
        self._begun = False
        # For a live source only the newest frame waits, so that results are up to date.
        self._buffer: FrameBuffer[VideoFrame] = FrameBuffer(1 if source.live else inflight, source.live)
        self._results = _results(source, self._buffer, model, inflight, every, options, following)

    @property
    def dropped(self) -> int:
        """The number of frames of a live source that were skipped because newer ones arrived first."""
        return self._buffer.dropped

    def __next__(self) -> tuple[VideoFrame, Result]:
        self._begun = True
        return next(self._results)

    def close(self) -> None:
        """Stop decoding and computing. Closing again does nothing."""
        self._results.close()
        if not self._begun:  # otherwise the decoding thread closes it
            self.source.close()

    def __enter__(self) -> Video[Result]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@overload
def video(
    source: str | os.PathLike[str],
    model: FeatureExtractor,
    *,
    inflight: int = 3,
    every: int = 1,
    start: float = 0.0,
    end: float | None = None,
    **options: Any,
) -> Video[dict[str, NDArray[Any]]]: ...
@overload
def video(
    source: str | os.PathLike[str],
    model: Model[Detections],
    *,
    track: Literal[True],
    count_line: tuple[float, float, float, float] | None = None,
    inflight: int = 3,
    every: int = 1,
    start: float = 0.0,
    end: float | None = None,
    **options: Any,
) -> Video[TrackedDetections]: ...
@overload
def video(
    source: str | os.PathLike[str],
    model: Model[Result],
    *,
    inflight: int = 3,
    every: int = 1,
    start: float = 0.0,
    end: float | None = None,
    track: bool = False,
    count_line: tuple[float, float, float, float] | None = None,
    **options: Any,
) -> Video[Result]: ...
@accept_foreign_arguments
def video(
    source: str | os.PathLike[str],
    model: Model[Any] | FeatureExtractor,
    *,
    inflight: int = 3,
    every: int = 1,
    start: float = 0.0,
    end: float | None = None,
    track: bool = False,
    count_line: tuple[float, float, float, float] | None = None,
    **options: Any,
) -> Video[Any]:
    """Run a model on the frames of a video.

        for frame, result in mpscnn.video("clip.mp4", model):
            print(frame.time, result.top(1))

    Frames come in order, each once. Frames in 8-bit NV12 and I420, as in most videos, go to the model as `YuvImage`
    with the stream's colour matrix and range. Others are converted to RGB first. Rotated videos are turned upright. A
    live source never waits: if the computation is too slow, the oldest frames are dropped and counted.

    Args:
        source: a video file; a folder, whose photos become frames in the order of their names, 25 a second; "camera:N"
            for the N-th camera of this machine; or an address with rtsp:// or rtsps://.
        model: a `Model`, whose results are those of `Model.predict`, or a `FeatureExtractor`.
        inflight: the number of frames in progress, 1 to 32, see `Runner`.
        every: compute only the first of every N frames. The others are only decoded.
        start: skip frames before this time, in seconds since the video's beginning (for a live source since its first
            frame).
        end: stop at this time in seconds; None: at the end.
        track: follow the objects of a detector from frame to frame. Results are `TrackedDetections`: the objects with
            identities, `Detection.track`.
        count_line: with `track`, count the objects whose centres cross the line from (x1, y1) to (x2, y2), in pixels of
            the upright frame: `TrackedDetections.counts`.
        options: the options of `Runner.submit`, such as `top` or `score_threshold`.

    Returns:
        An iterator over (`VideoFrame`, result), which is also a context manager. If a loop ends early, decoding stops
        as soon as the iterator is closed or deleted.

    Raises:
        ImageError: the source cannot be read, is empty or has no video. If it is damaged or the camera is disconnected,
            the error comes after the frames before that.
        UnsupportedError: PyAV is missing (the extra `video` of mpscnn), or cameras are not supported on this system.
        ParameterError: an argument is out of its range, there is no such model, or a model that is not a detector has
            `track`.
        TypeError: an unknown option.
    """
    if hasattr(source, "program"):
        raise ParameterError("video: the source comes first, then the model: mpscnn.video(path, model)")
    whole_number("inflight", inflight, maximum=32)
    whole_number("every", every)
    if not is_finite_number(start) or start < 0:
        raise ParameterError(f"start must be a number of seconds, 0 or more, got {start!r}")
    if end is not None and (not is_finite_number(end) or end <= start):
        raise ParameterError(f"end must be a number of seconds above start, {start}, got {end!r}")
    if "output" in options:
        raise TypeError(
            "video() has no argument 'output'; `mpscnn detect clip.mp4 --output out.mp4` writes a video, and "
            "result.draw() gives the picture of a frame"
        )
    kind = frame_kind(model)
    if count_line is not None and not track:
        raise ParameterError("count_line counts objects that are followed: give track=True, too")
    following = Following(model, options, count_line) if track else None
    wanted = options if following is None else following.options
    kind.checked(options)  # before a camera is opened
    return Video(open_source(source, start, end), model, inflight, every, wanted, following)


def _results(
    source: VideoSource,
    buffer: FrameBuffer[VideoFrame],
    model: Model[Any] | FeatureExtractor,
    inflight: int,
    every: int,
    options: dict[str, Any],
    following: Following | None,
) -> Generator[tuple[VideoFrame, Any], None, None]:
    run_options = getattr(model, "run_options", RunOptions())
    decoder = threading.Thread(target=_decode, args=(source, buffer, every), name="mpscnn video", daemon=True)
    under_way: deque[tuple[VideoFrame, FrameFuture[Any]]] = deque()
    try:
        with Runner(model, inflight, **run_options.to_dict()) as runner:
            decoder.start()
            while True:
                while len(under_way) < inflight:
                    # While results are pending, a live source does not wait for its next frame, so results are not
                    # delayed.
                    frame = buffer.take(wait=not (source.live and under_way))
                    if frame is None:
                        break
                    # The decoder writes each frame into memory of its own, so the runner need not copy it.
                    photo = replace(open_photo(frame.photo), is_shared=False)
                    under_way.append((frame, runner.submit(photo, **options)))
                if not under_way:
                    if buffer.failure is not None:
                        raise buffer.failure
                    return
                frame, future = under_way.popleft()
                result = future.result()
                yield frame, result if following is None else following.follow(result)
    finally:
        buffer.close()
        if not source.live and decoder.ident is not None:
            decoder.join()


def _decode(source: VideoSource, buffer: FrameBuffer[VideoFrame], every: int) -> None:
    """Decode until the end of the video, or until the reader has closed the buffer. Then close the source.

    No other thread reads the source.
    """
    try:
        for frame in source.frames():
            if frame.number % every == 0 and not buffer.put(frame):
                break
    except Exception as error:
        buffer.end(error)
    else:
        buffer.end()
    finally:
        source.close()
