"""Read annotations of objects in COCO's format: a JSON file with images, categories and annotations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from mpscnn._private.arguments import is_finite_number, is_whole_number
from mpscnn._private.files import is_file, read_content
from mpscnn._private.json_text import parse_json
from mpscnn._private.names import first_repeated
from mpscnn.errors import ParameterError
from mpscnn.training.scenes.labelled import (
    LabelledObjects,
    LabelledPhoto,
    ObjectList,
    StatedPart,
    fail,
    find_photo,
)
from mpscnn.training.scenes.shapes import Shape, bitmap
from mpscnn.training.split_folders import TRAIN, split_kind, visible_folders
from mpscnn.vision.object_mask import runs_from_coco
from mpscnn.vision.photo_file import MAX_SIDE

_ID_BITS = 64
_MIN_OUTLINE = 6  # three corners
_FIELDS = {
    "images": ("id", "file_name"),
    "categories": ("id", "name"),
    "annotations": ("image_id", "category_id", "bbox"),
}


def parsed_annotations(path: str | PathLike[str]) -> Any:
    """Return the content of a JSON file. Raises ParameterError if it cannot be read or is not JSON."""
    content = read_content(path, ParameterError, is_text=True)
    try:
        return parse_json(content)
    except (ValueError, RecursionError) as error:
        raise ParameterError(f"{path}: is not a JSON file: {error}") from error


def read_coco_file(path: str | PathLike[str]) -> dict[str, Any]:
    """Return the content of a COCO file with checked entries. Annotations get new numbers, from 1 on.

    Raises ParameterError for a file that cannot be read, is not JSON, lacks a field or has two entries with one id. The
    message names the file and the entry.
    """
    dataset = parsed_annotations(path)
    if not isinstance(dataset, dict):
        raise ParameterError(f"{path}: expected an object with {', '.join(_FIELDS)}")
    for key, fields in _FIELDS.items():
        entries = dataset.get(key)
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise ParameterError(f"{path}: {key!r} must be a list of objects")
        if any(name in entry for name in ("image", "imagefilename") for entry in entries[:1]):
            fail(path, f"its {key!r} have entries of Create ML, whose files are this list alone: [...]")
        for number, entry in enumerate(entries):
            _check(f"{path}: {key}[{number}]", entry, fields)
    known = {key: _by_id(f"{path}: {key}", dataset[key]) for key in ("images", "categories")}
    for number, entry in enumerate(dataset["annotations"]):
        place = f"{path}: annotations[{number}]"
        for field, key in (("image_id", "images"), ("category_id", "categories")):
            if entry[field] not in known[key]:
                raise ParameterError(f"{place}: has the {field} {entry[field]}, which {key!r} lack")
        entry["id"] = number + 1
        entry.setdefault("area", entry["bbox"][2] * entry["bbox"][3])
        entry.setdefault("iscrowd", 0)
        for field, right in (
            ("area", is_finite_number(entry["area"])),
            ("iscrowd", entry["iscrowd"] in (0, 1)),
        ):
            if not right:
                raise ParameterError(f"{place}: {field} cannot be {entry[field]!r}")
    return dataset


def read_coco(folder: Path, path: Path, *, need_all: bool = True) -> LabelledObjects:
    """Return the photos of a COCO file with their objects. Classes have the order of the categories' ids.

    Args:
        folder: the folder with the photos.
        path: the JSON file.
        need_all: False if only one of the photos must be in the folder.

    Raises:
        ParameterError: the file is damaged, a photo does not exist, two categories have one name, or a box is outside
            of its photo or has no area.
    """
    dataset = read_coco_file(path)
    categories = sorted(dataset["categories"], key=lambda entry: int(entry["id"]))
    names = [entry["name"] for entry in categories]
    if (twice := first_repeated(names)) is not None:
        fail(path, f"two categories have the name {twice!r}")
    numbers = {entry["id"]: number for number, entry in enumerate(categories)}
    lists: dict[int, ObjectList] = {}
    for number, image in enumerate(dataset["images"]):
        size = size_of_image(image, f"{path}: images[{number}]")
        lists[image["id"]] = ObjectList(size)
    for number, entry in enumerate(dataset["annotations"]):
        left, top, width, height = entry["bbox"]
        place = f"{path}: annotations[{number}] of image {entry['image_id']}"
        edges = (left, top, left + width, top + height)
        lists[entry["image_id"]].add(
            place,
            edges,
            numbers[entry["category_id"]],
            crowd=bool(entry["iscrowd"]),
            area=float(entry["area"]),
            shape=_shape(place, entry.get("segmentation")),
        )
    photos = []
    for number, image in enumerate(dataset["images"]):
        place = f"{path}: images[{number}]"
        found = find_photo(folder, image["file_name"], place, must_exist=need_all)
        photos.append(lists[image["id"]].photo(found, place, size_of_image(image, place) or (0, 0)))
    if photos and not need_all and not any(is_file(photo.path) for photo in photos):
        fail(
            folder,
            f"has none of the {len(photos):,} photos of {path}, such as {dataset['images'][0]['file_name']!r}",
        )
    ids = tuple(entry["id"] for entry in categories)
    return LabelledObjects(
        tuple(names), tuple(photos), ids=ids, listed_by_id=categories == dataset["categories"]
    )


def _shape(place: str, given: Any) -> Shape | None:
    """Return the outline of an object: polygons, or run lengths as pycocotools writes them; None if it has none."""
    if not given:
        return None
    if isinstance(given, dict):
        size: Any = given.get("size")
        counts: Any = given.get("counts")
        is_size = isinstance(size, list) and len(size) == 2 and all(map(is_whole_number, size))
        if not is_size or not isinstance(counts, (str, list)):
            fail(place, "segmentation must have 'size' and 'counts'")
        try:
            runs = counts if isinstance(counts, list) else runs_from_coco(counts)
            return Shape(bitmap=bitmap(0, 0, (size[0], size[1]), runs, by_columns=True))
        except ValueError as error:
            fail(place, f"the counts of segmentation do not fill its size: {error}")
    if not isinstance(given, list):
        fail(place, f"segmentation must be a list of polygons or run lengths, got {given!r:.60}")
    for one in given:
        if (
            not isinstance(one, list)
            or len(one) < _MIN_OUTLINE
            or len(one) % 2
            or not all(map(is_finite_number, one))
        ):
            fail(
                place, f"a polygon of segmentation must be x and y of three or more corners, got {one!r:.60}"
            )
    return Shape(tuple(np.asarray(one, np.float64).reshape(-1, 2) for one in given))


def read_coco_parts(folder: Path, annotations: Path) -> LabelledObjects:
    """Return the photos of several COCO files with their objects, such as instances_train2017.json and val.json.

    Args:
        folder: the folder with the photos, or with folders such as train2017 and val2017 for the files.
        annotations: the folder of the files. If some begin with "instances_", others are not read.

    Raises the errors of `read_coco` and `coco_part_files`. ParameterError: no file is for training, or a class is in no
    file for training.
    """
    parts = {kind: read_coco(*found) for kind, found in coco_part_files(folder, annotations).items()}
    if TRAIN not in parts:
        fail(annotations, "has no .json file for train")
    labels = parts[TRAIN].labels
    photos: list[LabelledPhoto] = []
    stated: dict[str, StatedPart] = {}
    for kind, found in parts.items():
        place = f"{annotations}: {kind}"
        same = found.numbered_like(labels, place)
        photos += [replace(photo, part=kind) for photo in same.photos]
        stated[kind] = StatedPart(place, tuple(photo.path for photo in same.photos))
    return LabelledObjects(labels, tuple(photos), stated)


def coco_part_files(folder: Path, annotations: Path) -> dict[str, tuple[Path, Path]]:
    """Return the folder of the photos and the file of each part, such as `TRAIN`.

    Raises ParameterError if two files are for one part, or the name of a file tells no part.
    """
    files = sorted(annotations.glob("instances_*.json")) or sorted(annotations.glob("*.json"))
    roots = {split_kind(entry.name): entry for entry in visible_folders(folder)}
    parts: dict[str, tuple[Path, Path]] = {}
    for file in files:
        kind = next(filter(None, map(split_kind, file.stem.split("_"))), None)
        if kind is None and len(files) == 1:
            fail(
                annotations,
                f"is a folder, and its file {file.name} tells no part by its name; give the file, {file}",
            )
        if kind is None or kind in parts:
            fail(file, f"is not the only file of {annotations} for train, val or test, by its name")
        parts[kind] = roots.get(kind, folder), file
    return parts


def size_of_image(image: Mapping[str, Any], place: str) -> tuple[int, int] | None:
    """Return (width, height) of an image's entry; None if it lacks them."""
    sides = [image.get(side) for side in ("width", "height")]
    if sides in ([None, None], [0, 0]):  # some tools do not know the photo's size
        return None
    given = [int(side) for side in sides if is_whole_number(side) and 0 < int(side) <= MAX_SIDE]
    if len(given) < len(sides):
        fail(place, f"width and height cannot be {sides[0]!r} and {sides[1]!r}")
    return given[0], given[1]


def _by_id(place: str, entries: Sequence[Mapping[str, Any]]) -> set[int]:
    known: set[int] = set()
    for number, entry in enumerate(entries):
        if entry["id"] in known:
            raise ParameterError(f"{place}[{number}]: the id {entry['id']} is used twice")
        known.add(entry["id"])
    return known


def _check(place: str, entry: Mapping[str, Any], fields: Sequence[str]) -> None:
    for field in fields:
        value = entry.get(field)
        if field == "bbox":
            right = isinstance(value, list) and len(value) == 4 and all(map(is_finite_number, value))
        elif field in ("name", "file_name"):
            right = isinstance(value, str)
        else:
            # Many longer integers may have the same hash, which makes sets and mappings very slow.
            right = is_whole_number(value) and int(value).bit_length() <= _ID_BITS
        if not right:
            raise ParameterError(f"{place}: {field} cannot be {value!r}")
