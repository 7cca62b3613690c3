"""Convert photos to a network's input: orientation, crop, resize, channels, normalisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Resize = Callable[..., Any]

PRESETS: dict[str, dict[str, Any]] = {
    "none": {},
    "unit": {"scale": [1 / 255] * 3},
    "tensorflow": {"mean": [127.5] * 3, "scale": [1 / 127.5] * 3},
    "caffe": {"order": "bgr", "mean": [123.68, 116.78, 103.94], "scale": [0.017] * 3},
    "torch": {
        "mean": [255 * mean for mean in (0.485, 0.456, 0.406)],
        "scale": [1 / (255 * deviation) for deviation in (0.229, 0.224, 0.225)],
    },
}


def colors(photo: Any) -> Any:
    """Return red, green and blue in 0..255 of a photo, which is composited over white if it has alpha.

    The photo is (height, width) or (height, width, channels), where 1 channel is gray, 2 are gray and alpha, 3 RGB and
    4 RGB and alpha, of uint8, uint16 or floats in 0..1.
    """
    photo = np.asarray(photo)
    full = {"u1": 255.0, "u2": 65535.0}.get(photo.dtype.str[1:], 1.0)
    samples = np.asarray(photo, np.float64).reshape(*photo.shape[:2], -1) / full
    count = samples.shape[2]
    if count in (2, 4):
        alpha = samples[..., -1:]
        samples = samples[..., :-1] * alpha + (1 - alpha)
    return 255 * np.broadcast_to(samples, (*photo.shape[:2], 3))


def oriented(image: Any, orientation: int) -> Any:
    """Return the image as it is seen, for the EXIF orientations 1..8."""
    if orientation in (5, 6, 7, 8):
        image = np.swapaxes(image, 0, 1)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return image


def resize_matrix(
    kind: str, inputs: int, start: float, extent: float, outputs: int, position: Any = None, spacing: int = 1
) -> Any:
    """Return the weight of each input in each output (outputs, inputs). Outputs share [start, start + extent) evenly.

    Inputs have their centres at `position` and are `spacing` pixels apart.
    """
    position = np.arange(inputs) + 0.5 if position is None else position
    scale = extent / outputs
    center = (start + (np.arange(outputs) + 0.5) * scale)[:, None]
    if kind == "nearest":
        interval = np.floor((center[:, 0] - position[0]) / spacing + 0.5)
        return np.eye(inputs)[np.clip(interval, 0, inputs - 1).astype(int)]
    if kind == "bilinear":
        return np.maximum(0, 1 - np.abs(position - np.clip(center, position[0], position[-1])) / spacing)
    weights = np.maximum(0, 1 - np.abs(position - center) / max(scale, spacing))
    return weights / weights.sum(axis=1, keepdims=True)


def used_part(width: int, height: int, fit: str, crop_fraction: float, aspect: float) -> tuple[float, float]:
    """Return width and height of the part of the photo that is used, which lies in its middle."""
    if fit == "center_crop":
        return crop_fraction * min(width, height * aspect), crop_fraction * min(height, width / aspect)
    return crop_fraction * width, crop_fraction * height


def inner_size(width: int, height: int, fit: str, out_width: int, out_height: int) -> tuple[int, int]:
    """Return width and height of the part of the output that the photo fills."""
    if fit != "letterbox":
        return out_width, out_height
    if width * out_height > height * out_width:
        return out_width, max(1, (2 * height * out_width + width) // (2 * width))
    return max(1, (2 * width * out_height + height) // (2 * height)), out_height


def rgb_of_yuv(y: Any, blue: Any, red: Any, matrix: str, video: bool) -> Any:
    """Return RGB (..., 3) by ITU-R BT.601 or BT.709, limited to 0..255."""
    kr, kb = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722)}[matrix]
    luma = (y - 16) / 219 if video else y / 255
    blue, red = ((x - 128) / (224 if video else 255) for x in (blue, red))
    r, b = luma + 2 * (1 - kr) * red, luma + 2 * (1 - kb) * blue
    g = (luma - kr * r - kb * b) / (1 - kr - kb)
    return 255 * np.clip(np.stack([r, g, b], axis=-1), 0, 1)


def chroma_positions(extent: int, shift: float, reversed_: bool) -> Any:
    """Return where colour differences lie along an axis of `extent` pixels: `shift` before the middle of two pixels.

    If the orientation reverses the axis, positions are counted from its other end.
    """
    position = 2 * np.arange((extent + 1) // 2) + 1 - shift
    return extent - position[::-1] if reversed_ else position


def preprocess_yuv(
    y: Any,
    blue: Any,
    red: Any,
    height: int,
    width: int,
    *,
    matrix: str,
    video: bool,
    left: bool,
    orientation: int = 1,
    **options: Any,
) -> Any:
    """Do as `preprocess` with a photo of luma and colour differences, planes that are resized each on its own."""
    y, blue, red = (oriented(np.asarray(plane, np.float64), orientation) for plane in (y, blue, red))
    seen_height, seen_width = y.shape
    transposed = orientation >= 5
    across = chroma_positions(
        seen_width, 0.5 * (left and not transposed), reversed_=orientation in (2, 3, 6, 7)
    )
    down = chroma_positions(seen_height, 0.5 * (left and transposed), reversed_=orientation in (3, 4, 7, 8))

    def resized(resize: Resize) -> Any:
        luma = resize(y)
        differences = [resize(plane, down, across, 2) for plane in (blue, red)]
        return rgb_of_yuv(luma, *differences, matrix, video)

    return _placed(resized, seen_height, seen_width, height, width, **options)


def preprocess(photo: Any, height: int, width: int, *, orientation: int = 1, **options: Any) -> Any:
    """Return the network's input (height, width, 1 or 3).

    The options are those of "mpscnn.preprocess" in a model file. mean and scale have the order red, green, blue, or
    are one number for gray.
    """
    image = oriented(colors(photo), orientation)
    return _placed(lambda resize: resize(image), *image.shape[:2], height, width, **options)


def _placed(
    resized: Callable[[Resize], Any],
    seen_height: int,
    seen_width: int,
    height: int,
    width: int,
    *,
    fit: str = "stretch",
    crop_fraction: float = 1.0,
    filter: str = "bilinear_antialias",
    order: str = "rgb",
    mean: Any = (0.0, 0.0, 0.0),
    scale: Any = (1.0, 1.0, 1.0),
    letterbox_value: float = 0.0,
    letterbox_position: str = "center",
) -> Any:
    used_width, used_height = used_part(seen_width, seen_height, fit, crop_fraction, width / height)
    inner_width, inner_height = inner_size(seen_width, seen_height, fit, width, height)

    def resize(image: Any, down: Any = None, across: Any = None, spacing: int = 1) -> Any:
        rows, columns = image.shape[:2]
        weights_across = resize_matrix(
            filter, columns, (seen_width - used_width) / 2, used_width, inner_width, across, spacing
        )
        weights_down = resize_matrix(
            filter, rows, (seen_height - used_height) / 2, used_height, inner_height, down, spacing
        )
        return np.einsum("yv,xu,vu...->yx...", weights_down, weights_across, image, optimize=True)

    result = np.full((height, width, 3), float(letterbox_value))
    centred = letterbox_position == "center"
    top, left = ((height - inner_height) // 2, (width - inner_width) // 2) if centred else (0, 0)
    result[top : top + inner_height, left : left + inner_width] = resized(resize)
    if order == "gray":
        result = (result @ [0.299, 0.587, 0.114])[..., None]
    channels = result.shape[2]
    result = (result - np.asarray(mean, np.float64)[:channels]) * np.asarray(scale, np.float64)[:channels]
    return result[..., ::-1] if order == "bgr" else result
