"""Write pictures with times as a video."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mpscnn._private.files import convert_write_errors, create_temporary, is_folder, replace_target
from mpscnn.apps.video.planes import FFMPEG_MATRICES, VIDEO_RANGE, matrix_of_lines
from mpscnn.apps.video.source import import_av
from mpscnn.errors import ImageError, ParameterError

if TYPE_CHECKING:
    from PIL import Image as PillowImage

_TICKS = 90000  # ticks a second, as in MPEG
_USUAL_RATE = Fraction(25)
_SQUARE = Fraction(1)
#: Suffixes of formats that store the time of each picture. AVI and MPEG-2 are not here: their rate is fixed.
_ENDINGS = (".flv", ".m4v", ".mkv", ".mov", ".mp4", ".webm", ".wmv")
#: Formats for which PyAV does not store the aspect ratio of pixels.
_SQUARE_PIXELS = (".flv", ".webm")


def is_video_name(path: Path) -> bool:
    """Return True if `VideoWriter` can write a file with this name."""
    return path.suffix.lower() in _ENDINGS and not is_folder(path)


class VideoWriter:
    """A video file that is written picture by picture, as a context manager. The suffix selects the format and codec.

    The first picture determines the size. Other pictures are cropped, or filled with white. The file appears at the end
    of the `with` block. If the block raises an error, the file has the pictures that were written before the error. If
    there was no picture or writing failed, an older file of that name stays.

    Args:
        rate: the usual number of pictures per second.
        fit: pictures of another size than the first are scaled to fit, with white margins.

    Raises:
        ParameterError: the suffix belongs to no format.
        ImageError: the file cannot be written.
        UnsupportedError: PyAV is missing.
    """

    def __init__(self, path: Path, rate: Fraction | None = None, fit: bool = False) -> None:
        av = import_av()
        self.path = path
        self._fit = fit
        self._rate = rate or _USUAL_RATE
        self._stream: Any = None
        self._first = self._size = (0, 0)
        self._matrix = 0
        self._begun = 0.0
        self._last = -1
        self._failed = False
        if path.suffix.lower() not in _ENDINGS:
            raise ParameterError(
                f"{path}: expected a name that ends in one of {', '.join(_ENDINGS)} for a video"
            )
        with convert_write_errors(path, ImageError):
            self._temporary = create_temporary(path, path.suffix.lower())
        try:
            with self._failures():
                self._container = av.open(f"file:{self._temporary}", "w")
        except BaseException:
            self._temporary.unlink()
            raise

    def write(self, picture: PillowImage.Image, time: float, pixel_aspect: Fraction = _SQUARE) -> None:
        """Append an RGB picture that is shown from `time` on, in seconds. Times must not go back.

        `pixel_aspect` is the width of the picture's pixels divided by their height. The file stores it for the first
        picture. If the format cannot store it, pictures are made wider instead.
        """
        from PIL import Image, ImageOps

        av = import_av()
        if pixel_aspect != 1 and self.path.suffix.lower() in _SQUARE_PIXELS:
            picture = picture.resize((max(1, round(picture.width * pixel_aspect)), picture.height))
            pixel_aspect = _SQUARE
        if self._stream is None:
            self._begin(picture.size, time, pixel_aspect)
        if self._fit and picture.size != self._first:
            picture = ImageOps.pad(picture, self._size, color="white")
        if picture.size != self._size:
            canvas = Image.new("RGB", self._size, "white")
            canvas.paste(picture)
            picture = canvas
        # The encoder would use BT.601 for all sizes.
        frame = av.VideoFrame.from_image(picture).reformat(format="yuv420p", dst_colorspace=self._matrix)
        self._last = max(self._last + 1, round((time - self._begun) * _TICKS))
        frame.pts, frame.time_base = self._last, Fraction(1, _TICKS)
        with self._failures():
            self._container.mux(self._stream.encode(frame))

    def _begin(self, size: tuple[int, int], time: float, pixel_aspect: Fraction) -> None:
        """Add the stream for pictures of this size, the first of which is shown at `time`."""
        width, height = self._first = size
        # Sizes must be even, because a chroma sample covers two pixels in each direction.
        self._size = (width + width % 2, height + height % 2)
        self._matrix = FFMPEG_MATRICES[matrix_of_lines(self._size[1])]
        self._begun = time
        with self._failures():
            self._stream = self._container.add_stream(self._container.default_video_codec, rate=self._rate)
            self._stream.width, self._stream.height = self._size
            self._stream.pix_fmt = "yuv420p"
            self._stream.codec_context.colorspace = self._matrix
            self._stream.codec_context.color_range = VIDEO_RANGE
            self._stream.codec_context.sample_aspect_ratio = pixel_aspect
            self._stream.codec_context.time_base = Fraction(1, _TICKS)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Turn FFmpeg's exceptions into errors that name the file. The file is then discarded."""
        av = import_av()
        try:
            yield
        except (av.error.FFmpegError, OSError) as error:
            self._failed = True
            raise ImageError(
                f"{self.path}: cannot be written: {getattr(error, 'strerror', None) or error}"
            ) from error

    def close(self) -> None:
        """Finish the file, and move it to its name if it has a picture."""
        try:
            if self._stream is None or self._failed:
                with suppress(import_av().error.FFmpegError, OSError):  # the error was already reported
                    self._container.close()
                return
            with self._failures():
                self._container.mux(self._stream.encode(None))
                self._container.close()
                replace_target(self._temporary, self.path)
        finally:
            self._temporary.unlink(missing_ok=True)

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
