"""Read a video's frames from files, cameras and network streams, with PyAV."""

from __future__ import annotations

import os
import re
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpscnn._private.files import is_folder, reading, require_regular
from mpscnn.apps.video.planes import photo_of
from mpscnn.apps.video.truncation import cut_off
from mpscnn.errors import Error, ImageError, ParameterError, UnsupportedError
from mpscnn.vision.photo import open_photo
from mpscnn.vision.photo_list import photos_in

if TYPE_CHECKING:
    from mpscnn.vision.photo import Photo, YuvImage

__all__ = ["VideoFrame", "VideoSource", "import_av", "is_video", "open_source"]

_CAMERA = re.compile(r"camera:(\d{1,3})")
_STREAM = re.compile(r"rtsps?://")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
#: Seconds that opening a stream and waiting for its next piece may take.
_TIME_LIMIT = 10.0
_MICROSECONDS = 1_000_000
#: Seconds by which times go back only where recordings were joined, or a camera's clock was set.
_SET_BACK = 1.0
#: Formats whose packets do not say every picture's time: after a seek FFmpeg guesses times, and may be one off.
_INEXACT = ("mpeg",)
_SUFFIXES = {
    *(".264", ".265", ".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".h264", ".h265"),
    *(".hevc", ".ivf", ".m1v", ".m2ts", ".m2v", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4", ".mpeg"),
    *(".mpg", ".mts", ".mxf", ".nut", ".ogv", ".qt", ".ts", ".vob", ".webm", ".wmv", ".y4m"),
}


@dataclass(frozen=True, slots=True, eq=False)
class VideoFrame:
    """One decoded frame."""

    number: int
    """Among those decoded from `start` on, from 0; with `every=5` 0, 5, 10 and so on."""
    time: float
    """Seconds since the video's beginning, of a live source since its first frame."""
    photo: YuvImage | Photo
    """The image for the model, accepted wherever a photo is."""
    decoded_at: float
    """`time.perf_counter()` when it was decoded."""
    pixel_aspect: Fraction = Fraction(1)
    """Width by height of a pixel as seen, which are not square in videos such as DV's and DVDs'."""


class VideoSource(ABC):
    """Frames, decoded one by one."""

    name: str
    live: bool
    """Frames arrive at their own time. Frames that are not read in time are lost."""
    of_photos: bool = False
    """Frames are photos, each of its own size."""
    rate: Fraction | None = None
    """Frames per second if the source has them, as an average if they vary."""
    duration: float | None = None
    """Seconds, if the source has the duration."""

    @abstractmethod
    def frames(self) -> Iterator[VideoFrame]:
        """Decode. Raises ImageError for what cannot be decoded."""

    @abstractmethod
    def close(self) -> None:
        """Give the file or the device back; no thread may be decoding."""


def is_video(source: str) -> bool:
    """Return True if a name is a camera's, a stream's or a video file's, by its ending."""
    return bool(
        _CAMERA.fullmatch(source) or _STREAM.match(source) or Path(source).suffix.lower() in _SUFFIXES
    )


def open_source(source: str | os.PathLike[str], start: float = 0.0, end: float | None = None) -> VideoSource:
    """Open a video file, a folder of photos, "camera:N", or an RTSP address.

    Frames outside of `start` to `end`, in seconds, are left out.

    Raises:
        ImageError: it cannot be read, or has no video. UnsupportedError: PyAV is missing; cameras of this system.
        ParameterError: an address that is neither of RTSP nor a camera's; nothing that is a name.
    """
    name: object = os.fspath(source) if isinstance(source, os.PathLike) else source
    if not isinstance(name, str) or not name:
        given = "an empty name" if name == "" else type(source).__name__
        raise ParameterError(
            f"source must be the path of a video or folder, camera:N or an address, got {given}"
        )
    if (camera := _CAMERA.fullmatch(name)) is not None:
        return _AvSource(name, *_camera(int(camera[1])), live=True, start=start, end=end)
    if _STREAM.match(name):
        return _AvSource(name, name, None, {}, live=True, start=start, end=end)
    if _URL.match(name) or name.startswith("camera:"):
        raise ParameterError(
            f"{name}: a video is a file, camera:N with N from 0 to 999, or an address that begins with rtsp:// or rtsps://"
        )
    with reading(name, ImageError):
        if is_folder(name):
            return _PhotoFolder(name, start, end)
        require_regular(name, ImageError)
        if Path(name).stat().st_size == 0:
            raise ImageError(f"{name}: is empty (0 bytes)")
    # The prefix, so that a name with a colon is no address; the list, so that a playlist opens no address either.
    only_files = {"protocol_whitelist": "file"}
    return _AvSource(name, f"file:{name}", None, only_files, live=False, start=start, end=end)


class _PhotoFolder(VideoSource):
    """The photos of a folder and its subfolders by name, as if they had been taken 25 times a second."""

    live = False
    of_photos = True
    rate = Fraction(25)

    def __init__(self, name: str, start: float, end: float | None) -> None:
        paths, failures = photos_in(name)
        if failures:
            raise failures[0]
        if not paths:
            raise ImageError(f"{name}: the folder has no photos in it, nor have its subfolders")
        self.name = name
        self.duration = float(len(paths) / self.rate)
        times = [float(number / self.rate) for number in range(len(paths))]
        self._taken = [
            (seconds, path)
            for seconds, path in zip(times, paths, strict=True)
            if start <= seconds and (end is None or seconds < end)
        ]

    def frames(self) -> Iterator[VideoFrame]:
        for number, (seconds, path) in enumerate(self._taken):
            yield VideoFrame(number, seconds, open_photo(path), time.perf_counter())

    def close(self) -> None:
        """There is nothing to give back."""


def _camera(number: int) -> tuple[str, str, dict[str, str]]:
    """Return a camera in FFmpeg's terms: name, format and options."""
    if sys.platform == "darwin":
        return str(number), "avfoundation", {"framerate": "30"}
    if sys.platform.startswith("linux"):
        return f"/dev/video{number}", "v4l2", {}
    raise UnsupportedError(f"camera:{number}: cameras are read on Linux and macOS, this is {sys.platform}")


def import_av() -> Any:
    """PyAV."""
    try:
        import av
    except ImportError as error:
        raise UnsupportedError(f'videos need PyAV: pip install "mpscnn[video]" ({error})') from error
    return av


class _AvSource(VideoSource):
    def __init__(
        self,
        name: str,
        address: str,
        form: str | None,
        options: dict[str, str],
        *,
        live: bool,
        start: float,
        end: float | None,
    ) -> None:
        self.name = name
        self.live = live
        self._start, self._end = start, end
        self._opening: dict[str, Any] = {"file": address, "format": form, "options": options}
        self._read_to = 0
        self._packet_cut = self._frame_spoilt = self._at_end = False
        self._open()
        self.rate = self._stream.average_rate
        if not live and self._container.duration is not None:
            self.duration = self._container.duration / _MICROSECONDS

    def _open(self) -> None:
        av = import_av()
        # Files need no time limit. It would only affect slow disks.
        limit = _TIME_LIMIT if self.live else None
        failed = "cannot be opened" if self.live else "cannot be opened, or is cut off"
        with _failures(self.name, lambda: "is not a video, or damaged or cut off", lambda: failed):
            self._container = av.open(**self._opening, timeout=limit)
        streams = self._container.streams
        cover = av.stream.Disposition.attached_pic
        video = [stream for stream in streams.video if not stream.disposition & cover]
        if not video:
            kinds = {"a still picture" if stream.type == "video" else stream.type for stream in streams}
            self._container.close()
            raise ImageError(f"{self.name}: has no video, but {' and '.join(sorted(kinds)) or 'nothing'}")
        self._stream = video[0]
        # Threads over whole frames would hold some frames of a live source back.
        self._stream.thread_type = "SLICE" if self.live else "AUTO"

    def close(self) -> None:
        self._container.close()

    def frames(self) -> Iterator[VideoFrame]:
        origin = self._origin()
        clock = _Clock(origin, 1 / (self.rate or 25))
        decoded = number = 0
        with _failures(self.name, lambda: self._damage(decoded), lambda: f"failed after {decoded} frames"):
            for frame in self._decoded(origin):
                at = time.perf_counter()
                decoded += 1
                seconds = clock.seconds(frame.time)
                if self._end is not None and seconds >= self._end:
                    return
                if self._start > 0 and seconds < self._start:
                    continue
                photo = photo_of(frame, self._stream.codec_context.name, self.name)
                yield VideoFrame(number, seconds, photo, at, self._pixel_aspect(photo))
                number += 1
        if decoded == 0:
            raise ImageError(
                f"{self.name}: has no frame that can be decoded: it is empty, damaged or cut off"
            )
        if (missing := self._missing()) is not None:
            raise ImageError(f"{self.name}: is cut off after {decoded} frames: {missing}")

    def _pixel_aspect(self, photo: YuvImage | Photo) -> Fraction:
        aspect = Fraction(self._stream.sample_aspect_ratio or 1)
        return 1 / aspect if photo.orientation >= 5 else aspect  # by a quarter turn, or mirrored so

    def _damage(self, decoded: int) -> str:
        """Handle a failure of FFmpeg's decoder, at the file's end or before."""
        missing = self._missing() if self._at_end else None
        if missing is None:
            return f"is damaged after {decoded} frames"
        return f"is cut off after {decoded} frames: {missing}"

    def _missing(self) -> str | None:
        """Return which part of the file's end is missing after decoding; None if nothing is known to be missing."""
        if self.live:
            return None
        form = self._container.format.name
        missing = cut_off(self.name, form)
        # FFmpeg makes no packet of a part of a picture that is not compressed.
        left = form == "yuv4mpegpipe" and self._read_to < Path(self.name).stat().st_size
        unfinished = left or self._packet_cut or self._frame_spoilt
        return "the last picture is unfinished" if missing is None and unfinished else missing

    def _origin(self) -> float | None:
        if self.live:
            return None
        begun = self._stream.start_time
        return 0.0 if begun is None else float(begun * self._stream.time_base)

    def _decoded(self, origin: float | None) -> Iterator[Any]:
        """Decode from the key frame before `start`, or from the beginning if the format cannot find it."""
        if self._start > 0 and not self.live and self._container.format.name not in _INEXACT:
            frames = self._after_seek(origin or 0.0)
            if frames is not None:
                yield from frames
                return
            # After a failed seek the position is unknown, and not every format can go back.
            self._container.close()
            self._open()
        yield from self._pictures()

    def _pictures(self, sought: bool = False) -> Iterator[Any]:
        """Decode on, and keep whether what came last was whole. `sought`: pictures may lack others from before."""
        invalid = import_av().error.InvalidDataError
        sound = not sought
        failure: Exception | None = None
        for packet in self._container.demux(self._stream):
            if packet.size:
                if failure is not None:
                    raise failure
                self._read_to = (packet.pos or 0) + packet.size
                self._packet_cut = packet.is_corrupt
            try:
                frames = packet.decode()
            except invalid as error:  # of the last packet pictures before may come yet
                failure = error
                continue
            for frame in frames:
                sound = sound or not frame.is_corrupt
                self._frame_spoilt = sound and frame.is_corrupt
                yield frame
        self._at_end = True
        if failure is not None:
            raise failure

    def _after_seek(self, origin: float) -> Iterator[Any] | None:
        """None: there is no frame that is known to be at `start` or before."""
        av = import_av()
        try:
            self._container.seek(int((self._start + origin) * _MICROSECONDS))
            frames = self._pictures(sought=True)
            first = next(frames, None)
        except (av.error.FFmpegError, OverflowError):  # of a number that FFmpeg has not
            return None
        if first is None or first.time is None or first.time - origin > self._start:
            return None
        return chain([first], frames)


class _Clock:
    """Times of frames in seconds since the beginning, as the source says them.

    Where they go back by more than a second they go on from the frame before, so that none is lost.

    Args:
        origin: the source's time of the beginning; None: that of its first frame.
        step: seconds from a frame to one that has no time, or one whose time went back.
    """

    def __init__(self, origin: float | None, step: Fraction | float) -> None:
        self._origin = origin
        self._step = float(step)
        self._next = 0.0

    def seconds(self, given: float | None) -> float:
        """Return the time of the next frame, from the time that the source gives."""
        if given is None:
            seconds = self._next
        else:
            if self._origin is None:
                self._origin = given
            if given - self._origin < self._next - self._step - _SET_BACK:
                self._origin = given - self._next
            seconds = given - self._origin
        self._next = seconds + self._step
        return seconds


@contextmanager
def _failures(name: str, invalid: Callable[[], str], failed: Callable[[], str]) -> Iterator[None]:
    """Names the source, and what went wrong, in what FFmpeg raises of invalid data and of anything else."""
    av = import_av()
    try:
        yield
    except Error:
        raise
    except (av.error.InvalidDataError, av.error.EOFError) as error:
        raise ImageError(f"{name}: {invalid()}") from error
    except av.error.ExitError as error:
        raise ImageError(f"{name}: {failed()}: nothing came for {_TIME_LIMIT:g} seconds") from error
    except (av.error.FFmpegError, OSError) as error:
        raise ImageError(f"{name}: {failed()}: {getattr(error, 'strerror', None) or error}") from error
