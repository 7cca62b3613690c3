"""Write pictures with times as a video."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mpscnn._private.files import file_next_to, is_folder, take_place, writing
from mpscnn.apps.video.source import import_av
from mpscnn.errors import ImageError, ParameterError

if TYPE_CHECKING:
    from PIL import Image as PillowImage

__all__ = ["VideoWriter", "is_video_name"]

_TICKS = 90000  # a second, as in MPEG
_USUAL_RATE = Fraction(25)
_SQUARE = Fraction(1)
#: Formats that keep the time of each picture, by their endings; those of AVI and MPEG-2 have a fixed rate.
_ENDINGS = (".flv", ".m4v", ".mkv", ".mov", ".mp4", ".webm", ".wmv")
#: Formats for which PyAV does not write the shape of pixels.
_SQUARE_PIXELS = (".flv", ".webm")


def is_video_name(path: Path) -> bool:
    """Return True if `VideoWriter` writes a file of that name."""
    return path.suffix.lower() in _ENDINGS and not is_folder(path)


class VideoWriter:
    """A video file, in the format of its name's ending and that format's usual codec; a context manager.

    The first picture decides the size; of others what lies beyond is left out, and what they lack is white. The file
    takes its place at the end. Whatever ends the `with` block, what was written until then can be played; without any
    picture, or if writing fails, a file that was there before stays.

    Args:
        rate: pictures per second, usually.
        fit: pictures of another size than the first are made as large as fits, with white around.

    Raises:
        ParameterError: an ending that names none of the formats. ImageError: the file cannot be written.
        UnsupportedError: PyAV is missing.
    """

    def __init__(self, path: Path, rate: Fraction | None = None, fit: bool = False) -> None:
        av = import_av()
        self.path = path
        self._fit = fit
        self._rate = rate or _USUAL_RATE
        self._stream: Any = None
        self._first = self._size = (0, 0)
        self._begun = 0.0
        self._last = -1
        self._failed = False
        if path.suffix.lower() not in _ENDINGS:
            raise ParameterError(
                f"{path}: expected a name that ends in one of {', '.join(_ENDINGS)} for a video"
            )
        with writing(path, ImageError):
            self._temporary = file_next_to(path, path.suffix.lower())
        try:
            with self._failures():
                self._container = av.open(f"file:{self._temporary}", "w")
        except BaseException:
            self._temporary.unlink()
            raise

    def write(self, picture: PillowImage.Image, time: float, pixel_aspect: Fraction = _SQUARE) -> None:
        """Append an RGB picture, seen from `time` on, in seconds, which must not go back.

        `pixel_aspect` is the width by the height of its pixels; the file has that of the first picture, or the
        pictures are made wider.
        """
        from PIL import Image, ImageOps

        av = import_av()
        if pixel_aspect != 1 and self.path.suffix.lower() in _SQUARE_PIXELS:
            picture = picture.resize((max(1, round(picture.width * pixel_aspect)), picture.height))
            pixel_aspect = _SQUARE
        if self._stream is None:
            self._first = picture.size
            # Differences stand for two pixels of each direction.
            self._size = (picture.width + picture.width % 2, picture.height + picture.height % 2)
            self._begun = time
            with self._failures():
                self._stream = self._container.add_stream(
                    self._container.default_video_codec, rate=self._rate
                )
                self._stream.width, self._stream.height = self._size
                self._stream.pix_fmt = "yuv420p"
                self._stream.codec_context.sample_aspect_ratio = pixel_aspect
                self._stream.codec_context.time_base = Fraction(1, _TICKS)
        if self._fit and picture.size != self._first:
            picture = ImageOps.pad(picture, self._size, color="white")
        if picture.size != self._size:
            canvas = Image.new("RGB", self._size, "white")
            canvas.paste(picture)
            picture = canvas
        frame = av.VideoFrame.from_image(picture)
        self._last = max(self._last + 1, round((time - self._begun) * _TICKS))
        frame.pts, frame.time_base = self._last, Fraction(1, _TICKS)
        with self._failures():
            self._container.mux(self._stream.encode(frame))

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Names the file in what FFmpeg raises; nothing takes its place then."""
        av = import_av()
        try:
            yield
        except (av.error.FFmpegError, OSError) as error:
            self._failed = True
            raise ImageError(
                f"{self.path}: cannot be written: {getattr(error, 'strerror', None) or error}"
            ) from error

    def close(self) -> None:
        """Finishes the file and moves it to its place, if there is a picture."""
        try:
            if self._stream is None or self._failed:
                with suppress(import_av().error.FFmpegError, OSError):  # told already
                    self._container.close()
                return
            with self._failures():
                self._container.mux(self._stream.encode(None))
                self._container.close()
                take_place(self._temporary, self.path)
        finally:
            self._temporary.unlink(missing_ok=True)

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
