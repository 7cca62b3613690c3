"""Pictures with times, written as a video."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mpscnn.errors import ImageError, ParameterError
from mpscnn.stream.video_source import import_av

if TYPE_CHECKING:
    from PIL import Image as PillowImage

__all__ = ["VideoWriter"]

_TICKS = 90000  # a second, as in MPEG
_USUAL_RATE = Fraction(25)


class VideoWriter:
    """A video file, in the format of its name's ending and that format's usual codec; a context manager.

    The first picture decides the size; of others what lies beyond is left out, and what they lack is white. Whatever
    ends the `with` block, what was written until then can be played.

    Raises:
        ParameterError: an ending that names no format for videos. ImageError: the file cannot be written.
        UnsupportedError: PyAV is missing.
    """

    def __init__(self, path: Path, rate: Fraction | None = None) -> None:
        av = import_av()
        self.path = path
        self._rate = rate or _USUAL_RATE
        self._stream: Any = None
        self._size = (0, 0)
        self._begun = 0.0
        self._last = -1
        try:
            self._container = av.open(f"file:{path}", "w")
        except ValueError as error:
            raise ParameterError(
                f"{path}: expected a name that ends in a video format's ending, such as .mp4"
            ) from error
        except OSError as error:
            raise ImageError(f"{path}: cannot be written: {error.strerror or error}") from error
        if self._container.default_video_codec in ("", "none"):
            self._container.close()
            path.unlink(missing_ok=True)
            raise ParameterError(f"{path}: files of this ending hold no video; .mp4 does")

    def write(self, picture: PillowImage.Image, time: float) -> None:
        """Appends an RGB picture, seen from `time` on, in seconds, which must not go back."""
        from PIL import Image

        av = import_av()
        if self._stream is None:
            # Differences stand for two pixels of each direction.
            self._size = (picture.width + picture.width % 2, picture.height + picture.height % 2)
            self._begun = time
            self._stream = self._container.add_stream(self._container.default_video_codec, rate=self._rate)
            self._stream.width, self._stream.height = self._size
            self._stream.pix_fmt = "yuv420p"
            self._stream.codec_context.time_base = Fraction(1, _TICKS)
        if picture.size != self._size:
            canvas = Image.new("RGB", self._size, "white")
            canvas.paste(picture)
            picture = canvas
        frame = av.VideoFrame.from_image(picture)
        self._last = max(self._last + 1, round((time - self._begun) * _TICKS))
        frame.pts, frame.time_base = self._last, Fraction(1, _TICKS)
        self._mux(frame)

    def _mux(self, frame: Any) -> None:
        try:
            self._container.mux(self._stream.encode(frame))
        except OSError as error:
            raise ImageError(f"{self.path}: cannot be written: {error.strerror or error}") from error

    def close(self) -> None:
        """Finishes the file; without any picture there is none."""
        if self._stream is not None:
            self._mux(None)
        self._container.close()
        if self._stream is None:
            self.path.unlink(missing_ok=True)

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
