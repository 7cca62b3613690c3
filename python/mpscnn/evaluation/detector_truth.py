"""Read the true objects of photos for the evaluation of a detector, from the annotations that training reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from mpscnn._private.arguments import path_name
from mpscnn._private.files import is_file
from mpscnn.training.scenes.coco import coco_part_files, read_coco_file, size_of_image
from mpscnn.training.scenes.labelled import LabelledObjects, LabelledPhoto, fail, require_pixels
from mpscnn.training.scenes.source import annotation_format, annotations_path, read_objects
from mpscnn.training.split_folders import TEST, VALIDATION, split_by_folder


@dataclass(frozen=True, eq=False)
class Truth:
    """Photos with their objects, as pycocotools compares them.

    Attributes:
        dataset: the content of a COCO file. It gets the objects of `labelled` when the photos' sizes are known.
        samples: pairs of a photo and its number in `dataset`.
        sizes: the (width, height) that COCO's file states for the numbers; None: it states none.
        labelled: photos of other formats with their objects, by number.
    """

    dataset: dict[str, Any]
    samples: list[tuple[Path, int]]
    sizes: Mapping[int, tuple[int, int] | None]
    labelled: Mapping[int, LabelledPhoto]

    def add_seen(self, image: int, size: tuple[int, int], annotations: object) -> None:
        """Take the size of an upright photo. Raises ParameterError if the annotations are for another size."""
        photo = self.labelled.get(image)
        stated = self.sizes[image] if photo is None else photo.size
        if stated is not None and stated not in ((0, 0), size):
            fail(
                f"{annotations}: image {image}" if photo is None else photo.place,
                f"has {' x '.join(map(str, stated))} pixels, but its upright photo "
                f"{' x '.join(map(str, size))}: annotate the photos as they are",
            )
        if photo is None:
            return
        entries = self.dataset["annotations"]
        boxes, classes = photo.boxes_in_pixels(size).tolist(), photo.classes.tolist()
        difficult = [False] * len(boxes) if photo.difficult is None else photo.difficult.tolist()
        for (left, top, right, bottom), kind, left_out in zip(boxes, classes, difficult, strict=True):
            width, height = right - left, bottom - top
            entries.append(
                {
                    "id": len(entries) + 1,
                    "image_id": image,
                    "category_id": kind + 1,
                    "bbox": [left, top, width, height],
                    # pycocotools leaves out objects whose area is in no range: whether they are found or not
                    # changes nothing.
                    "area": -1 if left_out else width * height,
                    "iscrowd": 0,
                }
            )


def read_truth(photos: str | PathLike[str], annotations: str | PathLike[str]) -> Truth:
    """Return the photos of a folder with their objects.

    If the folder has the photos of several parts of a data set, those for test are taken, or else those for validation.

    Args:
        photos: the folder with the photos.
        annotations: the place of the annotations, as for `read_objects`.

    Raises the errors of `read_objects`.
    """
    folder, path = Path(path_name("photos", photos)), annotations_path(annotations)
    form = annotation_format(path)
    if form == "coco":
        return _truth_of_coco(folder, path)
    if form == "coco parts":
        files = coco_part_files(folder, path)
        found = files.get(TEST) or files.get(VALIDATION)
        if found is None:
            fail(path, "has no .json file for test or val; give the file to measure with")
        return _truth_of_coco(*found)
    objects = read_objects(folder, path)
    measured = _photos_to_measure(objects, folder)
    dataset: dict[str, Any] = {
        "images": [{"id": number, "file_name": photo.path} for number, photo in enumerate(measured)],
        "categories": [{"id": kind + 1, "name": name} for kind, name in enumerate(objects.labels)],
        "annotations": [],
    }
    labelled = dict(enumerate(measured))
    return Truth(dataset, [(Path(photo.path), number) for number, photo in labelled.items()], {}, labelled)


def _truth_of_coco(folder: Path, path: Path) -> Truth:
    """Return the photos of a COCO file. Objects of crowds stay, because COCO's measures know them."""
    dataset = read_coco_file(path)
    boxes = np.array([entry["bbox"] for entry in dataset["annotations"]], np.float64).reshape(-1, 4)
    require_pixels(path, np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1))
    images = dataset["images"]
    samples = [(folder / image["file_name"], image["id"]) for image in images]
    if samples and not any(is_file(photo) for photo, _ in samples):
        fail(folder, f"has none of the {len(samples):,} photos of {path}, such as {images[0]['file_name']!r}")
    sizes = {
        image["id"]: size_of_image(image, f"{path}: images[{place}]") for place, image in enumerate(images)
    }
    return Truth(dataset, samples, sizes, {})


def _photos_to_measure(objects: LabelledObjects, folder: Path) -> Sequence[LabelledPhoto]:
    if objects.stated:
        parts = {
            kind: [photo for photo in objects.photos if photo.part == kind] for kind in (TEST, VALIDATION)
        }
    else:
        parts = split_by_folder(folder, objects.photos) or {}
    return parts.get(TEST) or parts.get(VALIDATION) or objects.photos
