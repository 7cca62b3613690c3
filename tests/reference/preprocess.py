"""Convert photos to a network's input: orientation, crop, resize, channels, normalisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

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
PRESETS["torchvision"] = {
    **PRESETS["torch"],
    "fit": "center_crop",
    "crop_fraction": 0.875,
    "whole_pixels": True,
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


def cubic(distance: Any, a: float) -> Any:
    """Return Keys's cubic kernel, whose slope at 1 is `a`."""
    d = np.abs(distance)
    inner = (a + 2) * d**3 - (a + 3) * d**2 + 1
    return np.where(d <= 1, inner, np.where(d < 2, a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a, 0))


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
    if kind == "bicubic":
        # The edge sample is repeated, so virtual samples outside add their weights to it.
        index = np.arange(-inputs - 3, 2 * inputs + 3)
        weights = cubic((position[0] + index * spacing - center) / spacing, -0.75)
        return weights @ np.eye(inputs)[np.clip(index, 0, inputs - 1)]
    distance = (position - center) / max(scale, spacing)
    weights = cubic(distance, -0.5) if kind == "bicubic_antialias" else np.maximum(0, 1 - np.abs(distance))
    return weights / weights.sum(axis=1, keepdims=True)


def whole_size(
    width: int, height: int, fit: str, crop_fraction: float, out_width: int, out_height: int
) -> tuple[int, int]:
    """Return width and height of the resized photo in whole pixels, by the rules of torchvision and timm."""
    across, down = (max(1, int(side / crop_fraction)) for side in (out_width, out_height))
    if fit == "stretch":
        return across, down
    if fit == "center_crop" and across == down:
        shorter = min(width, height)
        return across * width // shorter, across * height // shorter
    ratio = (max if fit == "letterbox" else min)(width / across, height / down)
    return max(1, round(width / ratio)), max(1, round(height / ratio))


def whole_axis(extent: int, resized: int, outputs: int) -> AxisPlace:
    """Return the place of an axis in whole pixels: the central ones of the resized photo, or all with bars around."""
    inner = min(resized, outputs)
    start = round((resized - inner) / 2) * extent / resized
    return AxisPlace(start, inner * extent / resized, (outputs - inner) // 2, inner)


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


class AxisPlace(NamedTuple):
    """One axis: `used` pixels of a photo from `start` on become `inner` pixels of the input from `first` on."""

    start: float
    used: float
    first: int
    inner: int


def places(
    width: int,
    height: int,
    out_width: int,
    out_height: int,
    fit: str,
    crop_fraction: float,
    *,
    whole_pixels: bool = False,
    centred: bool = True,
) -> tuple[AxisPlace, AxisPlace]:
    """Return the places of columns and rows of a photo in the input."""
    if whole_pixels:
        resized = whole_size(width, height, fit, crop_fraction, out_width, out_height)
        return whole_axis(width, resized[0], out_width), whole_axis(height, resized[1], out_height)
    used = used_part(width, height, fit, crop_fraction, out_width / out_height)
    inner = inner_size(width, height, fit, out_width, out_height)
    first = [
        (side - part) // 2 if centred else 0
        for side, part in zip((out_width, out_height), inner, strict=True)
    ]
    return (
        AxisPlace((width - used[0]) / 2, used[0], first[0], inner[0]),
        AxisPlace((height - used[1]) / 2, used[1], first[1], inner[1]),
    )


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
    whole_pixels: bool = False,
    filter: str = "bilinear_antialias",
    order: str = "rgb",
    mean: Any = (0.0, 0.0, 0.0),
    scale: Any = (1.0, 1.0, 1.0),
    letterbox_value: Any = 0.0,
    letterbox_position: str = "center",
) -> Any:
    x, y = places(
        *(seen_width, seen_height, width, height, fit, crop_fraction),
        whole_pixels=whole_pixels,
        centred=letterbox_position == "center",
    )

    def resize(image: Any, down: Any = None, across: Any = None, spacing: int = 1) -> Any:
        rows, columns = image.shape[:2]
        weights_across = resize_matrix(filter, columns, x.start, x.used, x.inner, across, spacing)
        weights_down = resize_matrix(filter, rows, y.start, y.used, y.inner, down, spacing)
        axes = {"x": weights_across, "y": weights_down}
        # Pillow's order: the rows axis comes first if the photo loses more than twice as much height as width.
        lost_width, lost_height = (
            side - side * place.inner / place.used for side, place in ((seen_width, x), (seen_height, y))
        )
        rows_first = lost_height > 1e-6 and lost_height > 2 * lost_width + 1e-6
        result = image
        for step, axis in enumerate("yx" if rows_first else "xy"):
            subscripts = "xu,vu...->vx..." if axis == "x" else "yv,vu...->yu..."
            result = np.einsum(subscripts, axes[axis], result, optimize=True)
            if filter == "bicubic_antialias" or (filter == "bicubic" and step == 1):
                result = np.clip(result, 0, 255)
        return result

    result = np.broadcast_to(np.asarray(letterbox_value, np.float64), (height, width, 3)).copy()
    result[y.first : y.first + y.inner, x.first : x.first + x.inner] = resized(resize)
    if order == "gray":
        result = (result @ [0.299, 0.587, 0.114])[..., None]
    channels = result.shape[2]
    result = (result - np.asarray(mean, np.float64)[:channels]) * np.asarray(scale, np.float64)[:channels]
    return result[..., ::-1] if order == "bgr" else result
