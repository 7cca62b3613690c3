"""Write photos of rectangles with their objects in the formats of annotations, and with masks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

LABELS = ("green", "red")
WIDTH, HEIGHT = 60, 40


@dataclass(frozen=True)
class Scenes:
    """The folder of the photos, and the place of the labels in each format."""

    photos: Path
    coco: Path
    voc: Path
    yolo: Path
    createml: Path
    masks: Path
    boxes: list[list[tuple[int, int, int, int]]]
    classes: list[list[int]]


def write_scenes(folder: Path, count: int = 10, seed: int = 0) -> Scenes:
    """Write photos with up to two bright rectangles, one in each half. The first photo has no object."""
    scenes = Scenes(
        folder / "photos",
        folder / "coco.json",
        folder / "voc",
        folder / "yolo",
        folder / "createml.json",
        folder / "masks",
        [],
        [],
    )
    for place in (scenes.photos, scenes.voc, scenes.yolo, scenes.masks):
        place.mkdir(parents=True)
    for number in range(count):
        random = np.random.default_rng([seed, number])
        pixels = random.integers(0, 60, (HEIGHT, WIDTH, 3)).astype(np.uint8)
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        boxes, classes = [], []
        for half in range(0 if number == 0 else 2):
            width, height = (int(side) for side in random.integers(12, 24, 2))
            left = half * WIDTH // 2 + int(random.integers(0, WIDTH // 2 - width))
            top, kind = int(random.integers(0, HEIGHT - height)), int(random.integers(0, 2))
            pixels[top : top + height, left : left + width, 1 - kind] = 230
            mask[top : top + height, left : left + width] = kind + 1
            boxes.append((left, top, left + width, top + height))
            classes.append(kind)
        mask[0, 0] = 255
        scenes.boxes.append(boxes)
        scenes.classes.append(classes)
        Image.fromarray(pixels).save(scenes.photos / f"{number:02}.png")
        Image.fromarray(mask).save(scenes.masks / f"{number:02}.png")
    _write_coco(scenes)
    _write_voc(scenes)
    _write_yolo(scenes)
    _write_createml(scenes)
    (scenes.masks / "classes.txt").write_text("\n".join(("background", *LABELS)), "utf-8")
    return scenes


def _write_coco(scenes: Scenes) -> None:
    images = [
        {"id": 100 + number, "file_name": f"{number:02}.png", "width": WIDTH, "height": HEIGHT}
        for number in range(len(scenes.boxes))
    ]
    annotations = [
        {
            "id": 1000 * number + place,
            "image_id": 100 + number,
            "category_id": 7 + 2 * kind,
            "bbox": [left, top, right - left, bottom - top],
        }
        for number, (boxes, classes) in enumerate(zip(scenes.boxes, scenes.classes, strict=True))
        for place, ((left, top, right, bottom), kind) in enumerate(zip(boxes, classes, strict=True))
    ]
    categories = [{"id": 7 + 2 * kind, "name": label} for kind, label in enumerate(LABELS)]
    dataset = {"images": images, "annotations": annotations, "categories": categories[::-1]}
    scenes.coco.write_text(json.dumps(dataset), "utf-8")


def _write_voc(scenes: Scenes) -> None:
    for number, (boxes, classes) in enumerate(zip(scenes.boxes, scenes.classes, strict=True)):
        objects = "".join(
            f"<object><name>{LABELS[kind]}</name><bndbox><xmin>{left + 1}</xmin><ymin>{top + 1}</ymin>"
            f"<xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"
            for (left, top, right, bottom), kind in zip(boxes, classes, strict=True)
        )
        size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>"
        text = f"<annotation><filename>{number:02}.png</filename>{size}{objects}</annotation>"
        (scenes.voc / f"{number:02}.xml").write_text(text, "utf-8")


def _write_yolo(scenes: Scenes) -> None:
    for number, (boxes, classes) in enumerate(zip(scenes.boxes, scenes.classes, strict=True)):
        if not boxes:
            continue  # a photo without objects has no file
        lines = [
            f"{kind} {(left + right) / 2 / WIDTH!r} {(top + bottom) / 2 / HEIGHT!r} {(right - left) / WIDTH!r} "
            f"{(bottom - top) / HEIGHT!r}"
            for (left, top, right, bottom), kind in zip(boxes, classes, strict=True)
        ]
        (scenes.yolo / f"{number:02}.txt").write_text("\n".join(lines) + "\n", "utf-8")
    (scenes.yolo / "classes.txt").write_text("\n".join(LABELS), "utf-8")


def _write_createml(scenes: Scenes) -> None:
    def box(left: int, top: int, right: int, bottom: int) -> dict[str, float]:
        return {
            "x": (left + right) / 2,
            "y": (top + bottom) / 2,
            "width": right - left,
            "height": bottom - top,
        }

    entries = [
        {
            "image": f"{number:02}.png",
            "annotations": [
                {"label": LABELS[kind], "coordinates": box(*edges)}
                for edges, kind in zip(boxes, classes, strict=True)
            ],
        }
        for number, (boxes, classes) in enumerate(zip(scenes.boxes, scenes.classes, strict=True))
    ]
    scenes.createml.write_text(json.dumps(entries), "utf-8")
