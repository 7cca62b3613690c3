"""Read the frames of video files, cameras and network streams with PyAV."""

from __future__ import annotations

import errno
import os
import re
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from io import FileIO
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpscnn._private.files import convert_read_errors, is_folder, require_regular
from mpscnn._private.installation import install_command
from mpscnn._private.other_names import Expected
from mpscnn.apps.video.planes import Orientations, photo_from_frame, require_size
from mpscnn.apps.video.sample_counts import require_sample_counts
from mpscnn.apps.video.truncation import describe_truncation
from mpscnn.errors import Error, ImageError, ParameterError, UnsupportedError
from mpscnn.vision.photo import open_photo
from mpscnn.vision.photo_file import MAX_PIXELS, allowed_pixels
from mpscnn.vision.photo_formats import STREAMS, VIDEO_SUFFIXES
from mpscnn.vision.photo_list import no_photos_text, photos_in, warn_of_left_out

if TYPE_CHECKING:
    from mpscnn.vision.photo import Photo, YuvImage

_CAMERA = re.compile(r"camera:(\d{1,3})")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
#: Seconds after which opening a stream, or waiting for more of its data, fails.
_TIME_LIMIT = 10.0
_MICROSECONDS = 1_000_000
#: If a frame's time goes back by more than this many seconds, recordings were joined or a camera's clock was set.
_SET_BACK = 1.0
#: The beginning of MP4 and QuickTime files from byte 4 on. FFmpeg takes no file that begins so for another format.
_MP4 = b"ftyp"
#: Formats whose header lists all streams. FFmpeg finds the streams of others while it decodes their beginning.
_LISTING = ("asf", "avi", "gif", "ivf", "matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "yuv4mpegpipe")
#: The frames of a stream, and bytes of a file, that FFmpeg decodes at most while it opens the file.
_PROBED_FRAMES, _PROBED_BYTES = 20, 5_000_000
#: Formats that do not store the time of every picture. FFmpeg then guesses times after a seek, and may be wrong.
_INEXACT = ("mpeg",)


@dataclass(frozen=True, slots=True, eq=False)
class VideoFrame(Expected):
    """One decoded frame."""

    number: int
    """The frame's number from `start` on, beginning with 0. With `every=5` the numbers are 0, 5, 10 ..."""
    time: float
    """Seconds since the video's beginning; for a live source, since its first frame."""
    photo: YuvImage | Photo
    """The image. Models accept it like any photo."""
    decoded_at: float
    """The value of `time.perf_counter()` when the frame was decoded."""
    pixel_aspect: Fraction = Fraction(1)
    """A pixel's width divided by its height. Pixels are not square in some videos, such as DV and DVD."""


class VideoSource(ABC):
    """A source of frames, which are decoded one by one."""

    name: str
    live: bool
    """True for a camera or stream: frames that are not read in time are lost."""
    of_photos: bool = False
    """True if the frames are separate photos with different sizes."""
    rate: Fraction | None = None
    """Frames per second, on average if they vary; None if unknown."""
    duration: float | None = None
    """The duration in seconds; None if unknown."""

    @abstractmethod
    def frames(self) -> Iterator[VideoFrame]:
        """Yield the decoded frames. Raises ImageError for damaged data."""

    @abstractmethod
    def close(self) -> None:
        """Close the file or device. No thread may be decoding."""


def is_video(source: str) -> bool:
    """Return True if the name is a camera, a stream, or a file with a video's suffix."""
    return bool(
        _CAMERA.fullmatch(source)
        or source.startswith(STREAMS)
        or Path(source).suffix.lower() in VIDEO_SUFFIXES
    )


def open_source(source: str | os.PathLike[str], start: float = 0.0, end: float | None = None) -> VideoSource:
    """Open a video file, a folder of photos, "camera:N", or an RTSP address.

    Only frames from `start` to `end`, in seconds, are read.

    Raises:
        ImageError: the source cannot be read, or has no video.
        UnsupportedError: PyAV is missing, or cameras are not supported on this system.
        ParameterError: the address is neither for RTSP nor a camera, or the source is not a name.
    """
    name: object = os.fspath(source) if isinstance(source, os.PathLike) else source
    if not isinstance(name, str) or not name:
        given = "an empty name" if isinstance(name, str) else type(source).__name__
        raise ParameterError(
            f"source must be the path of a video or folder, camera:N or an address, got {given}"
        )
    if (camera := _CAMERA.fullmatch(name)) is not None:
        return _AvSource(name, *_camera(int(camera[1])), live=True, start=start, end=end)
    if name.startswith(STREAMS):
        return _AvSource(name, name, None, {}, live=True, start=start, end=end)
    if _URL.match(name) or name.startswith("camera:"):
        raise ParameterError(
            f"{name}: a video is a file, camera:N with N from 0 to 999, or an address that begins with rtsp:// or rtsps://"
        )
    with convert_read_errors(name, ImageError):
        if is_folder(name):
            return _PhotoFolder(name, start, end)
        require_regular(name, ImageError)
        if Path(name).stat().st_size == 0:
            raise ImageError(f"{name}: is empty (0 bytes)")
        require_sample_counts(name)
    # FFmpeg reads the file that we opened, and may open nothing itself. A playlist could name itself, a pipe or
    # addresses.
    return _AvSource(name, None, None, {"protocol_whitelist": "none"}, live=False, start=start, end=end)


class _PhotoFolder(VideoSource):
    """The photos of a folder and its subfolders, sorted by name, as a video with 25 frames a second."""

    live = False
    of_photos = True
    rate = Fraction(25)

    def __init__(self, name: str, start: float, end: float | None) -> None:
        found = photos_in(name)
        paths = found.paths
        if found.failures:
            raise found.failures[0]
        if not paths:
            raise ImageError(no_photos_text(name, found.left_out))
        warn_of_left_out(name, found.left_out)
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
        """Do nothing, since no file stays open."""


def _camera(number: int) -> tuple[str, str, dict[str, str]]:
    """Return a camera's name, format and options for FFmpeg."""
    if sys.platform == "darwin":
        return str(number), "avfoundation", {"framerate": "30"}
    if sys.platform.startswith("linux"):
        return f"/dev/video{number}", "v4l2", {}
    raise UnsupportedError(f"camera:{number}: cameras are read on Linux and macOS, this is {sys.platform}")


def import_av() -> Any:
    """Import PyAV. Raises UnsupportedError if it is not installed."""
    try:
        import av
    except ImportError as error:
        raise UnsupportedError(f"videos need PyAV: {install_command('video')} ({error})") from error
    return av


class _File(FileIO):
    """A file that is closed with its last reference, as containers of PyAV are."""

    def __del__(self) -> None:
        self.close()


class _AvSource(VideoSource):
    def __init__(
        self,
        name: str,
        address: str | None,
        form: str | None,
        options: dict[str, str],
        *,
        live: bool,
        start: float,
        end: float | None,
    ) -> None:
        self.name = name
        self.live = live
        self._max_pixels = MAX_PIXELS if live else allowed_pixels(Path(name).stat().st_size)
        self._start, self._end = start, end
        self._opening: dict[str, Any] = {
            "format": form,
            # Some decoders run while a container is opened, before its size is known here.
            "options": {**options, "max_pixels": str(self._max_pixels)},
            "metadata_errors": "replace",  # titles need not be UTF-8
        }
        self._address = address
        self._file: _File | None = None
        self._read_to = 0
        self._packet_cut = self._frame_spoilt = self._at_end = False
        self._may_probe = True
        self._open()
        self.rate = self._stream.average_rate
        if not live and self._container.duration is not None:
            self.duration = self._container.duration / _MICROSECONDS

    def _open(self) -> None:
        av = import_av()
        # Files have no time limit, which could only fail on slow disks.
        limit = _TIME_LIMIT if self.live else None
        failed = (
            "cannot be opened"
            if self.live
            else "cannot be opened, is cut off, or refers to other files, which are never opened"
        )
        invalid = "sends no video" if self.live else "is not a video, or damaged or cut off"
        with _failures(self.name, lambda: invalid, lambda: failed):
            opening = self._opening
            if self._address is None:
                self._may_probe = self._has_allowed_beginning()
                opening = self._opening if self._may_probe else self._without_decoders()
                self._file = _File(self.name)
            try:
                self._container = av.open(self._address or self._file, **opening, timeout=limit)
            except BaseException:
                self._close_file()
                raise
        streams = self._container.streams
        cover = av.stream.Disposition.attached_pic
        video = [stream for stream in streams.video if not stream.disposition & cover]
        if not video:
            kinds = {"a still picture" if stream.type == "video" else stream.type for stream in streams}
            self.close()
            raise ImageError(f"{self.name}: has no video, but {' and '.join(sorted(kinds)) or 'nothing'}")
        self._stream = video[0]
        context = self._stream.codec_context
        if context is None:
            self.close()
            raise ImageError(f"{self.name}: its video has no codec that PyAV decodes, or is damaged")
        width, height = context.width, context.height
        if not ((width and height) or self.live):
            width, height = self._announced_size()
        require_size(self.name, width, height, self._max_pixels)
        # The decoder checks frames whose size differs from that in the header, before it allocates their memory.
        context.options = {"max_pixels": str(self._max_pixels)}
        # Decoding several frames in parallel would delay the frames of a live source.
        self._stream.thread_type = "SLICE" if self.live else "AUTO"

    def _without_decoders(self) -> dict[str, Any]:
        """Return the options with which FFmpeg decodes nothing while it opens a file."""
        return {**self._opening, "options": {**self._opening["options"], "codec_whitelist": "none"}}

    def _has_allowed_beginning(self) -> bool:
        """Return False if the first frames may have more pixels than allowed, or cannot be decoded.

        While FFmpeg opens a file, the decoders of streams that its header does not list have no limit of pixels.
        """
        with _File(self.name) as file:
            if file.read(8)[4:] == _MP4:
                return True
        av = import_av()
        with _File(self.name) as file, av.open(file, **self._without_decoders()) as container:
            if container.format.name in _LISTING:
                return True
            decoded = {}
            for stream in container.streams.video:
                if stream.codec_context is not None:
                    stream.codec_context.options = {"max_pixels": str(self._max_pixels)}
                    decoded[stream.index] = 0
            if not decoded:
                return True
            read = 0
            for packet in container.demux(*[container.streams[index] for index in decoded]):
                read += packet.size
                try:
                    decoded[packet.stream.index] += len(packet.decode())
                except av.error.FFmpegError:
                    return False
                if read > _PROBED_BYTES or min(decoded.values()) >= _PROBED_FRAMES:
                    break
        return True

    def _announced_size(self) -> tuple[int, int]:
        """Return the width and height in the container's header, also those that decoders refuse; 0 if unknown."""
        with _File(self.name) as file, import_av().open(file, **self._without_decoders()) as container:
            context = container.streams[self._stream.index].codec_context
            return context.width, context.height

    def close(self) -> None:
        self._container.close()
        self._close_file()

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()

    def frames(self) -> Iterator[VideoFrame]:
        origin = self._origin()
        clock, orientations = _Clock(origin, 1 / (self.rate or 25)), Orientations()
        decoded = number = 0
        with _failures(
            self.name,
            lambda: self._damage(decoded),
            lambda: f"failed after {decoded} frames{self._or_larger()}",
        ):
            for frame in self._decoded(origin):
                at = time.perf_counter()
                decoded += 1
                orientation = orientations.of(frame)
                seconds = clock.seconds(frame.time)
                if self._end is not None and seconds >= self._end:
                    return
                if self._start > 0 and seconds < self._start:
                    continue
                codec = self._stream.codec_context.name
                photo = photo_from_frame(frame, codec, self.name, self._max_pixels, orientation)
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
        # From orientation 5 on, the upright photo is turned by 90 degrees, so width and height swap.
        return 1 / aspect if photo.orientation >= 5 else aspect

    def _damage(self, decoded: int) -> str:
        """Return a message for a failed decoder: the file is cut off, or damaged."""
        missing = self._missing() if self._at_end else None
        if missing is None:
            return f"is damaged after {decoded} frames{self._or_larger()}"
        return f"is cut off after {decoded} frames: {missing}"

    def _or_larger(self) -> str:
        """Return the other reason for a failed decoder, where only the decoder knows the size of a frame."""
        return "" if self._may_probe else f", or has frames of more than {self._max_pixels:,} pixels"

    def _missing(self) -> str | None:
        """Return which part of the file's end is missing; None if nothing is known to be missing."""
        if self.live:
            return None
        form = self._container.format.name
        missing = describe_truncation(self.name, form)
        # FFmpeg returns no packet for an incomplete uncompressed picture.
        left = form == "yuv4mpegpipe" and self._read_to < Path(self.name).stat().st_size
        unfinished = left or self._packet_cut or self._frame_spoilt
        return "the last picture is unfinished" if missing is None and unfinished else missing

    def _origin(self) -> float | None:
        """Return the source's time of the file's beginning; None for a live source: the time of its first frame.

        A file whose sound comes first begins with the sound, as in players. Sound before time 0 only fills a decoder.
        """
        if self.live:
            return None
        begun = self._stream.start_time
        if begun is None:
            return 0.0
        of_stream = float(begun * self._stream.time_base)
        of_file = self._container.start_time
        return of_stream if of_file is None else min(of_stream, max(of_file / _MICROSECONDS, 0.0))

    def _decoded(self, origin: float | None) -> Iterator[Any]:
        """Decode from the key frame before `start`. If the format cannot seek exactly, decode from the beginning."""
        if self._start > 0 and not self.live and self._container.format.name not in _INEXACT:
            frames = self._after_seek(origin or 0.0)
            if frames is not None:
                yield from frames
                return
            # After a failed seek the position is unknown, and some formats cannot go back, so open the file again.
            self.close()
            self._open()
        yield from self._pictures()

    def _pictures(self, sought: bool = False) -> Iterator[Any]:
        """Yield decoded pictures, and record whether the last packet and picture were complete.

        After a seek (`sought`), the first pictures may be incomplete, since they refer to earlier ones.
        """
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
            except invalid as error:  # pictures before the damaged packet may still follow
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
        """Seek to `start`, and yield the pictures from there; None if no picture at or before `start` was found."""
        av = import_av()
        try:
            self._container.seek(int((self._start + origin) * _MICROSECONDS))
            frames = self._pictures(sought=True)
            first = next(frames, None)
        except (av.error.FFmpegError, OverflowError):  # the time is too large for FFmpeg
            return None
        if first is None or first.time is None or first.time - origin > self._start:
            return None
        return chain([first], frames)


class _Clock:
    """Converts the times of a source to seconds since its beginning.

    If times go back by more than a second, they continue from the last frame, so that no frame is skipped.

    Args:
        origin: the source's time of the beginning; None: the time of its first frame.
        step: the seconds between frames, for frames that have no time or one that went back.
    """

    def __init__(self, origin: float | None, step: Fraction | float) -> None:
        self._origin = origin
        self._step = float(step)
        self._next = 0.0

    def seconds(self, given: float | None) -> float:
        """Return the time of the next frame in seconds. `given` is the source's time."""
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
    """Turn FFmpeg's exceptions into ImageErrors that name the source.

    `invalid` describes damaged data, `failed` the rest.
    """
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
        if error.errno == errno.EBUSY:  # FFmpeg's reader of YUV4MPEG2 returns it for frames of too many bytes
            raise ImageError(f"{name}: {invalid()}") from error
        raise ImageError(f"{name}: {failed()}: {getattr(error, 'strerror', None) or error}") from error
