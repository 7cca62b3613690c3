"""Draw photos of shapes on random backgrounds, with boxes and masks, for trainings of detectors and segmenters."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

KINDS = ("disc", "ring", "square", "triangle", "star", "cross")
_SMOOTH = 4  # shapes are drawn larger by this factor, and then reduced
_TRIES = 40


@dataclass(frozen=True)
class Scene:
    """A picture (side, side, 3), the class numbers of its pixels, and the box and kind of each shape."""

    picture: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    boxes: list[tuple[int, int, int, int]]
    kinds: list[int]


def draw_scene(side: int, random: np.random.Generator) -> Scene:
    """Draw one to four shapes that do not overlap, on a background with gradients, blobs and noise."""
    picture = _background(side, random)
    mask = np.zeros((side, side), np.uint8)
    boxes: list[tuple[int, int, int, int]] = []
    kinds: list[int] = []
    for _ in range(int(random.integers(1, 5))):
        kind = int(random.integers(len(KINDS)))
        size = int(random.uniform(0.16, 0.42) * side)
        shape = _shape(kind, size, random)
        rows, columns = np.flatnonzero(shape.max(1) > 0.5), np.flatnonzero(shape.max(0) > 0.5)
        shape = shape[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        height, width = shape.shape
        for _ in range(_TRIES):
            top, left = int(random.integers(0, side - height + 1)), int(random.integers(0, side - width + 1))
            around = mask[max(top - 2, 0) : top + height + 2, max(left - 2, 0) : left + width + 2]
            if not around.any():
                break
        else:
            continue
        part = picture[top : top + height, left : left + width]
        color = _contrasting(part.mean((0, 1)), random)
        part += shape[..., None] * (color - part)
        mask[top : top + height, left : left + width][shape > 0.5] = kind + 1
        boxes.append((left, top, left + width, top + height))
        kinds.append(kind)
    noise = random.normal(0, random.uniform(2, 14), picture.shape)
    return Scene(np.clip(picture + noise, 0, 255).astype(np.uint8), mask, boxes, kinds)


def write_scenes(folder: Path, count: int, *, side: int, seed: int = 0) -> None:
    """Write photos/, masks/ with classes.txt, and annotations.json in COCO's format."""
    photos, masks = folder / "photos", folder / "masks"
    for place in (photos, masks):
        place.mkdir(parents=True, exist_ok=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(count):
        scene = draw_scene(side, np.random.default_rng([seed, number]))
        name = f"{number:04}.png"
        Image.fromarray(scene.picture).save(photos / name)
        Image.fromarray(scene.mask).save(masks / name)
        images.append({"id": number, "file_name": name, "width": side, "height": side})
        for (left, top, right, bottom), kind in zip(scene.boxes, scene.kinds, strict=True):
            box = [left, top, right - left, bottom - top]
            annotations.append(
                {"id": len(annotations) + 1, "image_id": number, "category_id": kind + 1, "bbox": box}
            )
    categories = [{"id": number, "name": name} for number, name in enumerate(KINDS, start=1)]
    dataset = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "annotations.json").write_text(json.dumps(dataset), "utf-8")
    (masks / "classes.txt").write_text("\n".join(("background", *KINDS)), "utf-8")


def _background(side: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Return a gradient between two colours with blurred blobs of other colours."""
    first, second = random.uniform(20, 235, (2, 3))
    angle = random.uniform(0, 2 * math.pi)
    axis = np.linspace(-0.5, 0.5, side)
    slope = (math.cos(angle) * axis[None, :] + math.sin(angle) * axis[:, None] + 0.7) / 1.4
    picture = Image.fromarray((first + slope[..., None] * (second - first)).astype(np.uint8))
    pen = ImageDraw.Draw(picture)
    for _ in range(int(random.integers(2, 9))):
        x, y, radius = random.uniform(0, side), random.uniform(0, side), random.uniform(0.05, 0.25) * side
        color = tuple(int(value) for value in random.uniform(20, 235, 3))
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)
    blurred = picture.filter(ImageFilter.GaussianBlur(float(random.uniform(0.03, 0.08)) * side))
    return np.asarray(blurred, np.float64).copy()


def _contrasting(near: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    """Return a colour that differs from the background's."""
    while True:
        color = random.uniform(0, 255, 3)
        if np.abs(color - near).max() > 90:
            return color


def _shape(kind: int, size: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Return the share of each pixel (size, size) that a shape covers. It is turned by a random angle."""
    extent = size * _SMOOTH
    picture = Image.new("L", (extent, extent))
    pen = ImageDraw.Draw(picture)
    center, radius, turn = extent / 2, extent / 2 - 1, random.uniform(0, 2 * math.pi)
    name = KINDS[kind]
    around = (center - radius, center - radius, center + radius, center + radius)
    if name == "disc":
        pen.ellipse(around, fill=255)
    elif name == "ring":
        pen.ellipse(around, outline=255, width=int(0.3 * radius))
    else:
        pen.polygon(_corners(name, center, radius, turn), fill=255)
    return np.asarray(picture.resize((size, size), Image.Resampling.BOX), np.float64) / 255


def _corners(name: str, center: float, radius: float, turn: float) -> list[tuple[float, float]]:
    """Return the corners of a polygon."""
    if name == "cross":
        arm = 0.3
        polar = []
        for quarter in range(4):
            for x, y in ((1, -arm), (1, arm), (arm, arm)):
                angle = math.atan2(y, x) + quarter * math.pi / 2
                polar.append((angle, math.hypot(x, y) / math.hypot(1, arm)))
    else:
        count, inner = {"square": (4, 0.0), "triangle": (3, 0.0), "star": (5, 0.42)}[name]
        polar = []
        for corner in range(count):
            angle = 2 * math.pi * corner / count
            polar.append((angle, 1.0))
            if inner:
                polar.append((angle + math.pi / count, inner))
    return [
        (
            center + radius * share * math.cos(angle + turn),
            center + radius * share * math.sin(angle + turn),
        )
        for angle, share in polar
    ]
