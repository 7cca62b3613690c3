"""How a photo becomes a network's input: orientation, crop, resize, channels, normalisation."""

from __future__ import annotations

from typing import Any

import numpy as np

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
    """Red, green, blue in 0..255 of a (height, width) or (height, width, 1 gray, 2 gray + alpha, 3 or 4) photo
    of uint8, uint16 or 0..1 floats; alpha is composited over white."""
    photo = np.asarray(photo)
    full = {"u1": 255.0, "u2": 65535.0}.get(photo.dtype.str[1:], 1.0)
    samples = np.asarray(photo, np.float64).reshape(*photo.shape[:2], -1) / full
    count = samples.shape[2]
    if count in (2, 4):
        alpha = samples[..., -1:]
        samples = samples[..., :-1] * alpha + (1 - alpha)
    return 255 * np.broadcast_to(samples, (*photo.shape[:2], 3))


def oriented(image: Any, orientation: int) -> Any:
    """The image as seen, for the EXIF orientations 1..8."""
    if orientation in (5, 6, 7, 8):
        image = np.swapaxes(image, 0, 1)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return image


def resize_matrix(kind: str, inputs: int, start: float, extent: float, outputs: int) -> Any:
    """(outputs, inputs): the weight of each input in each output spread evenly over [start, start + extent)."""
    scale = extent / outputs
    center = (start + (np.arange(outputs) + 0.5) * scale)[:, None]
    position = np.arange(inputs) + 0.5
    if kind == "nearest":
        return np.eye(inputs)[np.clip(np.floor(center[:, 0]), 0, inputs - 1).astype(int)]
    if kind == "bilinear":
        return np.maximum(0, 1 - np.abs(position - np.clip(center, 0.5, inputs - 0.5)))
    weights = np.maximum(0, 1 - np.abs(position - center) / max(scale, 1))
    return weights / weights.sum(axis=1, keepdims=True)


def used_part(width: int, height: int, fit: str, crop_fraction: float, aspect: float) -> tuple[float, float]:
    """Width and height of the centred part of the photo that is seen."""
    if fit == "center_crop":
        return crop_fraction * min(width, height * aspect), crop_fraction * min(height, width / aspect)
    return crop_fraction * width, crop_fraction * height


def inner_size(width: int, height: int, fit: str, out_width: int, out_height: int) -> tuple[int, int]:
    """Width and height of the part of the output that the photo fills."""
    if fit != "letterbox":
        return out_width, out_height
    if width * out_height > height * out_width:
        return out_width, max(1, (2 * height * out_width + width) // (2 * width))
    return max(1, (2 * width * out_height + height) // (2 * height)), out_height


def preprocess(
    photo: Any,
    height: int,
    width: int,
    *,
    orientation: int = 1,
    fit: str = "stretch",
    crop_fraction: float = 1.0,
    filter: str = "bilinear_antialias",
    order: str = "rgb",
    mean: Any = (0.0, 0.0, 0.0),
    scale: Any = (1.0, 1.0, 1.0),
    letterbox_value: float = 0.0,
) -> Any:
    """(height, width, 1 or 3). The options are those of a model file's "mpscnn.preprocess"; mean and scale are
    in the order red, green, blue, or one number for gray."""
    image = oriented(colors(photo), orientation)
    seen_height, seen_width = image.shape[:2]
    used_width, used_height = used_part(seen_width, seen_height, fit, crop_fraction, width / height)
    inner_width, inner_height = inner_size(seen_width, seen_height, fit, width, height)
    across = resize_matrix(filter, seen_width, (seen_width - used_width) / 2, used_width, inner_width)
    down = resize_matrix(filter, seen_height, (seen_height - used_height) / 2, used_height, inner_height)

    result = np.full((height, width, 3), float(letterbox_value))
    top, left = (height - inner_height) // 2, (width - inner_width) // 2
    inner = np.einsum("yv,xu,vuc->yxc", down, across, image, optimize=True)
    result[top : top + inner_height, left : left + inner_width] = inner
    if order == "gray":
        result = (result @ [0.299, 0.587, 0.114])[..., None]
    channels = result.shape[2]
    result = (result - np.asarray(mean, np.float64)[:channels]) * np.asarray(scale, np.float64)[:channels]
    return result[..., ::-1] if order == "bgr" else result
