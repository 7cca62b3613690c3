"""Read annotations of objects in YOLO's format: a text file for each photo, and a file with the names of classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mpscnn._private.arguments import is_finite_number, number_in, whole_number_in
from mpscnn._private.files import is_file, is_folder
from mpscnn._private.names import shown_names
from mpscnn.training.scenes.class_names import (
    NAME_FILES,
    Settings,
    names_beside,
    names_of_settings,
    settings_beside,
    text_lines,
)
from mpscnn.training.scenes.labelled import (
    LabelledObjects,
    LabelledPhoto,
    ObjectList,
    fail,
    labelled_photo_paths,
)
from mpscnn.training.scenes.shapes import polygon
from mpscnn.training.scenes.yolo_parts import parts_of_settings, photo_key, root_of_settings
from mpscnn.training.split_folders import TRAIN

_NUMBERS = 5
_MIN_OUTLINE = 7  # the class and three corners
#: Larger numbers than this are pixels, not shares of the photo.
_MAX_SHARE = 1.5


def read_yolo(
    folder: Path | None, annotations: Path, *, measures: bool = False, trains: bool = True
) -> LabelledObjects:
    """Return the photos of a folder with their objects. A photo without a text file has no objects.

    Each line of a text file is an object: the class number, and centre x, centre y, width and height as fractions of
    the photo. Or the class number and the corners of a polygon, as for segmenters and oriented boxes. Keypoints of
    poses, which `kpt_shape` of a data.yaml counts, are not read. The text file has the photo's name and place in the
    folder of text files. In YOLO's own layout a part of the photo's path is `images`, and `labels` replaces it.

    Args:
        folder: the folder with the photos; None: those of a data.yaml.
        annotations: the folder of the text files, or a data.yaml with the `names` of the classes and the photos of
            `train`, `val` and `test` (see `parts_of_settings`).
        measures: True for an evaluation, which reads only one part of a data.yaml.
        trains: False for the photos for validation of a training, whose data.yaml needs none for training.

    Raises:
        ParameterError: there are no names or no text files, a line is not an object, a class is unknown, or a box is
            outside of its photo.
        ImageError: the folder has no photos.
    """
    labels = _labels(annotations)
    texts = annotations if is_folder(annotations) else None
    settings = annotations if texts is None else settings_beside(annotations)
    stated = {} if settings is None else parts_of_settings(settings, measures=measures, trains=trains)
    keypoints = _keypoints(settings)
    if folder is None and stated:
        paths = [photo for part in stated.values() for photo in part.photos]
    else:
        folder = root_of_settings(annotations) if folder is None else folder
        paths, failures = labelled_photo_paths(folder)
        if failures:
            raise failures[0]
    kinds = {photo_key(photo): kind for kind, part in stated.items() for photo in part.photos}
    photos = []
    for path in paths:
        photo = _photo(Path(path), _text_file(Path(path), folder, texts), labels, keypoints)
        photos.append(replace(photo, part=kinds.get(photo_key(path))))
    read = next(iter(stated), None) if measures else TRAIN
    if texts is not None and not any(photo.part == read for photo in photos):
        stated = {}  # the folder of text files is for photos that a data.yaml next to it does not split
    if not any(is_file(Path(photo.place)) for photo in photos):
        where = texts or "the folders 'labels' beside 'images', or next to the photos"
        fail(annotations, f"no photo of {folder or 'its parts'} has a text file in {where}")
    return LabelledObjects(tuple(labels), tuple(photos), stated)


def _text_file(photo: Path, folder: Path | None, texts: Path | None) -> Path:
    """Return the place of a photo's text file."""
    if texts is not None and folder is not None:
        return (texts / photo.relative_to(folder)).with_suffix(".txt")
    parts = list(photo.parts)
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
        return Path(*parts).with_suffix(".txt")
    return photo.with_suffix(".txt")


def _keypoint_hint(line: str, keypoints: int) -> str:
    count = len(line.split())
    if keypoints or count <= _NUMBERS or count % 2:
        return ""
    return ". Files of poses need a data.yaml with kpt_shape"


def _keypoints(settings: Path | None) -> int:
    """Return how many numbers of keypoints follow a box, from `kpt_shape` of a data.yaml; 0 if it has none."""
    entries = [] if settings is None else Settings(settings).entries("kpt_shape")[0]
    numbers = [whole_number_in(entry.strip()) for entry in entries]
    if None in numbers or len(numbers) not in (0, 2):
        fail(settings, f"kpt_shape must be [number of keypoints, 2 or 3], got {', '.join(entries)[:60]}")
    return (numbers[0] or 0) * (numbers[1] or 0) if numbers else 0


def _photo(photo: Path, text: Path, labels: list[str], keypoints: int) -> LabelledPhoto:
    objects = ObjectList((1, 1))
    if not is_file(text):
        return objects.photo(str(photo), str(text), None)
    for number, line in enumerate(text_lines(text), start=1):
        if not line.strip():
            continue
        place = f"{text}: line {number}"
        values = [number for number in map(number_in, line.split()) if is_finite_number(number)]
        outline = None
        is_outline = keypoints == 0 and len(values) >= _MIN_OUTLINE and len(values) % 2 == 1
        if is_outline and len(values) == len(line.split()):
            outline = polygon(values[1:])
            left, top, right, bottom = outline.edges()
            values = [values[0], (left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
        elif keypoints and len(values) == _NUMBERS + keypoints:
            values = values[:_NUMBERS]
        if len(values) != _NUMBERS or (not keypoints and outline is None and len(values) < len(line.split())):
            fail(
                place,
                "must be a class number, centre x, centre y, width and height, or a class number and the x and y of "
                f"three or more corners, got {line.strip()[:60]!r}{_keypoint_hint(line, keypoints)}",
            )
        kind, x, y, width, height = values
        if kind != int(kind) or not 0 <= kind < len(labels):
            fail(place, f"the class {kind:g} is unknown; there are {len(labels)}: {shown_names(labels)}")
        if max(map(abs, (x, y, width, height))) > _MAX_SHARE:
            fail(
                place,
                f"the box has {x:g}, {y:g}, {width:g} and {height:g}. YOLO's numbers are shares of the photo from 0 "
                "to 1: divide x and width by the photo's width, y and height by its height",
            )
        edges = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        objects.add(place, edges, int(kind), shape=outline)
    return objects.photo(str(photo), str(text), None)


def _labels(annotations: Path) -> list[str]:
    """Return the names of the classes."""
    names = names_beside(annotations) if is_folder(annotations) else names_of_settings(annotations)
    if names is None:
        fail(
            annotations,
            f"there are no names of classes; write them into {annotations / NAME_FILES[0]}, one a line",
        )
    return names
