"""Use the planes of a decoded frame as a photo, without a copy."""

from __future__ import annotations

import struct
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mpscnn.errors import ImageError
from mpscnn.vision.photo import MAX_PIXELS, Photo, YuvImage, open_photo

Matrix = Literal["bt601", "bt709"]

_BT709 = 1
_UNSPECIFIED = (0, 2, 3)  # RGB, which says nothing of YUV; unspecified; reserved
_BT601 = (4, 5, 6)  # the matrices of FCC, BT.470 BG and SMPTE 170M
VIDEO_RANGE, _FULL_RANGE = 1, 2
#: If a stream does not name its matrix, frames with at least this many lines use BT.709.
_HIGH_DEFINITION = 720
#: Codecs whose chroma samples lie between the columns of pixels. In other codecs they lie on the left column.
_CENTERED = ("mjpeg", "mpeg1video")
_I420, _NV12 = ("yuv420p", "yuvj420p"), "nv12"
#: FFmpeg's numbers of the matrices, which PyAV takes.
FFMPEG_MATRICES: dict[Matrix, int] = {"bt601": 5, "bt709": 1}

#: EXIF orientations by the signs of the display matrix (a, b, c, d), with x' = a x + c y and y' = b x + d y.
_ORIENTATIONS = {
    (1, 0, 0, 1): 1,
    (-1, 0, 0, 1): 2,
    (-1, 0, 0, -1): 3,
    (1, 0, 0, -1): 4,
    (0, 1, 1, 0): 5,
    (0, 1, -1, 0): 6,
    (0, -1, -1, 0): 7,
    (0, -1, 1, 0): 8,
}


class Orientations:
    """The EXIF orientations of the frames of a stream.

    A frame of PyAV whose side data were read is part of a reference cycle, so its memory stays in use until Python's
    garbage collection. They are read at key frames, and where the rotation changes. A flip that begins at another
    frame is not seen before the next key frame.
    """

    def __init__(self) -> None:
        self._rotation: int | None = None
        self._orientation = 1

    def of(self, frame: Any) -> int:
        """Return the orientation of the next frame."""
        if frame.rotation != self._rotation or frame.key_frame:
            self._rotation, self._orientation = frame.rotation, _orientation(frame)
        return self._orientation


def photo_from_frame(
    frame: Any, codec: str, name: str, max_pixels: int = MAX_PIXELS, orientation: int = 1
) -> YuvImage | Photo:
    """Return a frame of PyAV as a photo. 8-bit NV12 and I420 are not copied, others are converted by FFmpeg.

    Both use the same matrix, also if the stream does not name one. `orientation` is that of EXIF.

    Raises ImageError if the frame is too large.
    """
    require_size(name, frame.width, frame.height, max_pixels)
    matrix = _matrix(frame)
    planar = frame.format.name in _I420
    if matrix is None or not (planar or frame.format.name == _NV12) or frame.planes[0].line_size <= 0:
        return open_photo(_colors(frame, matrix), orientation=orientation)
    height, width = (frame.height + 1) // 2, (frame.width + 1) // 2
    y = _plane(frame.planes[0], frame.height, frame.width)
    u = _plane(frame.planes[1], height, width if planar else 2 * width)
    v = _plane(frame.planes[2], height, width) if planar else None
    siting: Literal["left", "center"] = "center" if codec in _CENTERED else "left"
    return YuvImage(y, u, v, matrix, "full" if _is_full(frame) else "video", siting, orientation)


def require_size(name: str, width: int, height: int, max_pixels: int) -> None:
    """Raise ImageError for frames with more pixels than a source may have."""
    if width * height > max_pixels:
        raise ImageError(
            f"{name}: has frames of {width} x {height}; at most {max_pixels:,} pixels are allowed"
        )


def _colors(frame: Any, matrix: Matrix | None) -> NDArray[np.uint8]:
    """Let FFmpeg convert a frame to RGB, or to RGBA if it has transparent pixels, which become white as in photos.

    `matrix` is the frame's, or None to use the one that the frame names.
    """
    has_alpha = any(component.is_alpha for component in frame.format.components)
    pixels: NDArray[np.uint8] = frame.to_ndarray(
        format="rgba" if has_alpha else "rgb24",
        src_colorspace=frame.colorspace if matrix is None else FFMPEG_MATRICES[matrix],
        # Old versions of PyAV only use the source's matrix if the destination's is another. RGB has none.
        dst_colorspace=FFMPEG_MATRICES["bt601"],
        src_color_range=_FULL_RANGE if _is_full(frame) else VIDEO_RANGE,
    )
    return pixels


def _is_full(frame: Any) -> bool:
    """Return True if samples use all 8 bits. FFmpeg takes gray for full range, whatever the stream says."""
    form = frame.format
    return form.name.startswith("yuvj") or len(form.components) < 3 or frame.color_range == _FULL_RANGE


def _plane(plane: Any, height: int, width: int) -> NDArray[np.uint8]:
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:height, :width]


def matrix_of_lines(lines: int) -> Matrix:
    """Return the colour matrix of a video with this number of lines that does not name its matrix."""
    return "bt709" if lines >= _HIGH_DEFINITION else "bt601"


def _matrix(frame: Any) -> Matrix | None:
    """Return the frame's colour matrix; None for one that the core does not know, such as BT.2020's."""
    if frame.colorspace in _UNSPECIFIED:
        return matrix_of_lines(frame.height)
    return "bt709" if frame.colorspace == _BT709 else "bt601" if frame.colorspace in _BT601 else None


def _orientation(frame: Any) -> int:
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return 1
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(data))
    if abs(a) + abs(d) >= abs(b) + abs(c):
        b = c = 0  # other angles are rounded to the nearest quarter turn
    else:
        a = d = 0
    return _ORIENTATIONS.get(tuple(_sign(value) for value in (a, b, c, d)), 1)  # type: ignore[arg-type]


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)
