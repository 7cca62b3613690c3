"""Read the true objects of photos for the evaluation of a detector, from the annotations that training reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from mpscnn._private.arguments import path_name
from mpscnn.training.scenes.coco import coco_part_files
from mpscnn.training.scenes.labelled import LabelledObjects, LabelledPhoto, fail
from mpscnn.training.scenes.source import annotation_format, annotations_path, read_objects
from mpscnn.training.split_folders import TEST, VALIDATION, split_by_folder


@dataclass(frozen=True, eq=False)
class Truth:
    """Photos with their objects, as pycocotools compares them.

    Attributes:
        dataset: the content of a COCO file. It gets the objects of the photos when their sizes are known.
        ids: the numbers of the classes in the annotations; None if they are COCO's numbers from 1 on.
        labelled: the photos with their objects, by their number in `dataset`.
        listed_by_id: False if a COCO file lists its classes in another order than that of their numbers.
    """

    dataset: dict[str, Any]
    ids: Sequence[int] | None
    labelled: Mapping[int, LabelledPhoto]
    listed_by_id: bool = True

    @property
    def samples(self) -> list[tuple[Path, int]]:
        """Pairs of a photo and its number in `dataset`."""
        return [(Path(photo.path), number) for number, photo in self.labelled.items()]

    def add_seen(self, image: int, size: tuple[int, int]) -> None:
        """Take the size of an upright photo. Raises ParameterError if the annotations are for another size."""
        photo = self.labelled[image]
        if photo.size is not None and photo.size not in ((0, 0), size):
            fail(
                photo.place,
                f"has {' x '.join(map(str, photo.size))} pixels, but its upright photo "
                f"{' x '.join(map(str, size))}: annotate the photos as they are",
            )
        entries = self.dataset["annotations"]
        boxes, classes = photo.boxes_in_pixels(size), photo.classes.tolist()
        areas = (boxes[:, 2:] - boxes[:, :2]).prod(1) if photo.areas is None else photo.areas
        nothing = [False] * len(boxes)
        difficult = nothing if photo.difficult is None else photo.difficult.tolist()
        crowds = nothing if photo.crowds is None else photo.crowds.tolist()
        for box, kind, area, left_out, crowd in zip(
            boxes.tolist(), classes, areas.tolist(), difficult, crowds, strict=True
        ):
            left, top, right, bottom = box
            entries.append(
                {
                    "id": len(entries) + 1,
                    "image_id": image,
                    "category_id": kind + 1,
                    "bbox": [left, top, right - left, bottom - top],
                    # pycocotools leaves out objects whose area is in no range: whether they are found or not
                    # changes nothing.
                    "area": -1 if left_out else area,
                    "iscrowd": int(crowd),
                }
            )


def read_truth(photos: str | PathLike[str] | None, annotations: str | PathLike[str]) -> Truth:
    """Return the photos of a folder with their objects.

    If the folder has the photos of several parts of a data set, those for test are taken, or else those for validation.

    Args:
        photos: the folder with the photos; None: the photos of a data.yaml.
        annotations: the place of the annotations, as for `read_objects`.

    Raises the errors of `read_objects`.
    """
    folder = None if photos is None else Path(path_name("photos", photos))
    path = annotations_path(annotations)
    if folder is not None and annotation_format(path) == "coco parts":
        files = coco_part_files(folder, path)
        found = files.get(TEST) or files.get(VALIDATION)
        if found is None:
            fail(path, "has no .json file for test or val; give the file to measure with")
        folder, path = found
    objects = read_objects(folder, path, need_all=False, measures=True)
    measured = photos_to_measure(objects, folder)
    dataset: dict[str, Any] = {
        "images": [{"id": number, "file_name": photo.path} for number, photo in enumerate(measured)],
        "categories": [{"id": kind + 1, "name": name} for kind, name in enumerate(objects.labels)],
        "annotations": [],
    }
    return Truth(dataset, objects.ids, dict(enumerate(measured)), objects.listed_by_id)


def photos_to_measure(objects: LabelledObjects, folder: Path | None) -> Sequence[LabelledPhoto]:
    """Return the photos for test, or else those for validation, or else all."""
    if objects.ids is not None:
        return objects.photos  # a file of COCO is one part
    if objects.stated or folder is None:
        parts = {
            kind: [photo for photo in objects.photos if photo.part == kind] for kind in (TEST, VALIDATION)
        }
    else:
        parts = split_by_folder(folder, objects.photos) or {}
    return parts.get(TEST) or parts.get(VALIDATION) or objects.photos
